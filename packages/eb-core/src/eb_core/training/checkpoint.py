"""The file of a checkpoint: one safetensors file that is read back bit for bit, or refused.

It holds the tensors, and in its metadata one JSON text with the plain values, and a digest over both.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from eb_core.registry import UsageError
from eb_core.registry.commands import command
from eb_core.training.report import EpochReport

FORMAT: Final = "1"


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
        return {"epochs": len(self.plain["reports"]), "batches": self.plain["tally"]["done"]}

    def encode(self) -> bytes:
        """The file."""
        text = json.dumps({**self.plain, "strides": {name: one.stride() for name, one in self.tensors.items()}})
        packed = {name: one.contiguous() for name, one in self.tensors.items()}
        metadata = {"format": FORMAT, "plain": text, "digest": _digest(packed, text)}
        return safetensors.torch.save(packed, metadata)

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """The checkpoint in a file.

        Raises:
            UsageError: it cannot be read, is damaged, or is no checkpoint of this version.
        """
        try:
            with safetensors.safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                packed = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
        except (OSError, SafetensorError) as error:
            raise unusable(path, f"cannot be read: {error}") from None
        if metadata.get("format") != FORMAT:
            raise unusable(path, "is none that this version of eb-core wrote")
        text = metadata.get("plain", "")
        if metadata.get("digest") != _digest(packed, text):
            raise unusable(path, "is damaged: its digest does not fit its content")
        plain = json.loads(text)
        strides = plain.pop("strides")
        return cls({name: _laid_out(one, strides[name]) for name, one in packed.items()}, plain)


def _digest(packed: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(packed):
        digest.update(f"{name} {packed[name].dtype} {tuple(packed[name].shape)}".encode())
        digest.update(packed[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
