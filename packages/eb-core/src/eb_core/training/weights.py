"""The weights in a run directory, read only if they are those that it wrote, and finite."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

from eb_core.network.network import Network
from eb_core.registry import UsageError
from eb_core.training.finite import all_finite
from eb_core.training.manifest import WEIGHTS, read_manifest
from eb_core.training.report import Notice
from eb_core.training.sealed import Sealed


def read_weights(path: Path, network: Network) -> None:
    """Load the weights of a run directory into `network`.

    Raises:
        UsageError: the file is missing, damaged, not the one that the run wrote, not finite, of another
            network, or outside what its edges allow.
    """
    sealed = saved_weights(path / WEIGHTS, read_manifest(path).get("weights"))
    with _fitting(path / WEIGHTS):
        network.load_state_dict(dict(sealed.tensors))
        outside = network.outside()
        if outside:
            raise ValueError(f"{', '.join(outside)} hold values that the edge does not allow")


def saved_weights(file: Path, wanted: str | None) -> Sealed:
    """The weights in a file of a run, whatever network they are of.

    Args:
        file: where they are.
        wanted: the digest that the manifest names; None in one of a time before digests.

    Raises:
        UsageError: the file is missing, damaged, not the one that the run wrote, or not finite.
    """
    with _fitting(file):
        sealed = Sealed.read(file)
        if wanted is not None and sealed.digest != wanted:
            raise ValueError("are not those that the run wrote: the manifest has another digest")
        if not all_finite(sealed.tensors.values()):
            raise ValueError("are not finite")
    if sealed.digest is None:
        warnings.warn(f"{file} is of a time before digests: whether it is intact is not known", Notice, stacklevel=5)
    return sealed


@contextlib.contextmanager
def _fitting(file: Path) -> Iterator[None]:
    """Turn what is wrong with weights into one error that names their file.

    Raises:
        UsageError: the block found something wrong.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(
            f"no weights: {error}", origin=str(file.parent), advice="the run may have been killed"
        ) from None
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"the weights do not fit: {reason}", origin=str(file), advice="the file is damaged or foreign"
        ) from None
