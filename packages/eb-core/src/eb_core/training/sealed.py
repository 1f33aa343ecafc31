"""A safetensors file with a digest over all that it holds: read back bit for bit, or refused."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs
import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from eb_core.training.manifest import regular

FORMAT: Final = "1"


@attrs.frozen(eq=False)
class Sealed:
    """Tensors and a text.

    Args:
        digest: BLAKE2 over the text and the name, type, shape and bytes of each tensor; None in a file without one.
    """

    tensors: Mapping[str, Tensor]
    text: str
    digest: str | None

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], text: str = "") -> "Sealed":
        """`tensors` as contiguous ones on the CPU, with their digest."""
        packed = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        return cls(packed, text, _digest(packed, text))

    def encode(self) -> bytes:
        """The file."""
        metadata = {"digest": self.digest or ""}  # a single entry: of several the order is left to chance
        if self.text:
            metadata |= {"format": FORMAT, "plain": self.text}
        return safetensors.torch.save(dict(self.tensors), metadata)

    @classmethod
    def read(cls, file: Path) -> "Sealed":
        """What a file holds; one that says nothing but its tensors has no digest.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it cannot be read, is of another version, or its digest does not fit.
        """
        try:
            with safetensors.safe_open(regular(file), "pt") as opened:
                metadata = opened.metadata()
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no dictionary
        except FileNotFoundError:
            raise
        except (OSError, SafetensorError, AttributeError, RuntimeError) as error:  # the last two: types torch lacks
            raise ValueError(f"cannot be read: {error}") from None
        if metadata is None:
            return cls(tensors, "", None)
        if metadata.get("format", FORMAT) != FORMAT:
            raise ValueError("is none that this version of eb-core wrote")
        text = metadata.get("plain", "")
        if metadata.get("digest") != _digest(tensors, text):
            raise ValueError("is damaged: its digest does not fit its content")
        if metadata.keys() - {"digest"} not in (set(), {"format", "plain"}):
            raise ValueError("is damaged: its metadata are not those that eb-core writes")
        return cls(tensors, text, metadata["digest"])


def _digest(packed: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(packed):
        digest.update(f"{name} {packed[name].dtype} {tuple(packed[name].shape)}".encode())
        digest.update(packed[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
