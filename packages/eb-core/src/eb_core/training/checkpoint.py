"""The file of a checkpoint: one safetensors file that is read back bit for bit, or refused.

Its text is the plain values, as JSON; `sealed.py` puts a digest over all of it.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from eb_core.registry import UsageError
from eb_core.registry.commands import command
from eb_core.training.report import EpochReport
from eb_core.training.sealed import Sealed


@attrs.frozen(eq=False)
class Checkpoint:
    """Where a training stands between two batches.

    Args:
        tensors: name -> tensor on the CPU, in its own memory and with its own strides.
        plain: everything else, as JSON can hold it.
    """

    tensors: Mapping[str, Tensor]
    plain: Mapping[str, Any]

    @property
    def reports(self) -> list[EpochReport]:
        """The finished epochs."""
        return [EpochReport.from_record(record) for record in self.plain["reports"]]

    @property
    def position(self) -> dict[str, int]:
        """Epochs finished, and batches done of the next one."""
        return {"epochs": len(self.plain["reports"]), "batches": int(self.plain["sums"]["done"])}

    def encode(self) -> bytes:
        """The file."""
        text = json.dumps({**self.plain, "strides": {name: one.stride() for name, one in self.tensors.items()}})
        return Sealed.of(self.tensors, text).encode()

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """The checkpoint in a file.

        Raises:
            UsageError: it cannot be read, is damaged, or is no checkpoint of this version.
        """
        try:
            sealed = Sealed.read(path)
        except FileNotFoundError as error:
            raise unusable(path, f"cannot be read: {error}") from None
        except ValueError as error:
            raise unusable(path, str(error)) from None
        if sealed.digest is None:
            raise unusable(path, "is none that this version of eb-core wrote")
        with understood(path):
            plain = json.loads(sealed.text)
            strides = plain.pop("strides")
            return cls({name: _laid_out(one, strides[name]) for name, one in sealed.tensors.items()}, plain)


@contextlib.contextmanager
def understood(path: Path) -> Iterator[None]:
    """Refuse a checkpoint that is intact, but whose writer had another idea of what is in it.

    Raises:
        UsageError: the block could not make sense of it.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise unusable(path, f"does not hold what a checkpoint holds: {type(error).__name__}: {error}") from None


def _laid_out(packed: Tensor, strides: list[int]) -> Tensor:
    """A copy in memory of torch's own, laid out as it was: alignment and strides can change how sums round."""
    return torch.empty_strided(packed.shape, strides, dtype=packed.dtype).copy_(packed)


def unusable(path: Path, why: str) -> UsageError:
    """The error of a checkpoint that `why`."""
    return UsageError(
        f"the checkpoint {why}",
        origin=str(path),
        advice="start again: " + command("eb", "train", "--recipe", path.parent / "recipe.toml"),
    )
