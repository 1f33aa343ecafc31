"""Data sets: tensors in memory, checked once, with a checksum that goes into every run's manifest."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from eb_core.data.arrays import tensor_of
from eb_core.registry import UsageError, configurable

MOST_GAPS = 10
"""Class numbers to each class that has a sample, at most, unless the number of classes was given."""


@attrs.frozen(eq=False)
class Split:
    """Samples x (N, *shape) in any real dtype, labels y (N,) int64 in 0 … classes - 1."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Tensor) -> "Split":
        """The samples at these positions."""
        return Split(self.x[rows], self.y[rows])


@attrs.frozen(eq=False)
class Data:
    """A training split and, if there is one, a test split that training never looks at.

    Args:
        augment: another random view of a batch x (B, *shape), of the same shape, type and device; training calls it
            on every batch, evaluation never. All its draws come from the generator, which is on the CPU.
    """

    name: str
    train: Split
    test: Split | None
    classes: int
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any,
        *,
        test: tuple[Any, Any] | None = None,
        classes: int | None = None,
        name: str = "own arrays",
        augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    ) -> "Data":
        """Your own tensors, arrays or lists: x (N, *shape) real and finite, y (N,) whole numbers from 0.

        Args:
            x: samples, (N, *shape), of any real dtype.
            y: labels, (N,).
            test: another pair (x, y), used for the final figure only.
            classes: number of classes; default: the largest training label plus one, unless that leaves more than
                nine in ten of them without a sample.
            name: what errors and manifests call the data.
            augment: another random view of a batch, for training.

        Raises:
            UsageError: no arrays of real numbers, empty, of unequal length, not finite, a label outside the classes
                (all are named), or labels that hardly number classes.
        """
        train = _split(x, y, f"{name}, training")
        count = _counted(train.y, f"{name}, training") if classes is None else _stated(classes, name)
        if test is not None and not (isinstance(test, tuple | list) and len(test) == 2):
            raise UsageError(f"test is a {type(test).__name__}", origin=name, advice="give a pair: test=(x, y)")
        held_out = None if test is None else _split(*test, f"{name}, test")
        for part, where in ((train, "training"), (held_out, "test")):
            if part is None:
                continue
            if int(part.y.min()) < 0 or int(part.y.max()) >= count:
                bad = part.y[(part.y < 0) | (part.y >= count)]
                raise UsageError(
                    f"{len(bad)} labels outside 0 … {count - 1}, the first is {int(bad[0])}",
                    origin=f"{name}, {where}",
                    advice="number the classes from 0, or give the right number of classes",
                )
            if part.x.shape[1:] != train.x.shape[1:]:
                raise UsageError(
                    f"test samples of shape {tuple(part.x.shape[1:])}, training samples of {tuple(train.x.shape[1:])}",
                    origin=name,
                )
        return cls(name, train, held_out, count, augment)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.train.x.shape[1:])

    def checksum(self) -> str:
        """BLAKE2 digest over all samples and labels: two runs with the same one saw the same data."""
        digest = hashlib.blake2b(digest_size=16)
        for split in (self.train, self.test):
            for tensor in () if split is None else (split.x, split.y):
                digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()


def _split(x: Any, y: Any, origin: str) -> Split:
    samples, labels = tensor_of(x, "x", origin), tensor_of(y, "y", origin)
    if samples.ndim < 2 or samples.numel() == 0:
        raise UsageError(
            f"no samples: x has shape {tuple(samples.shape)}",
            origin=origin,
            advice="give x of shape (N, *sample); where a sample is one number, x[:, None]",
        )
    if labels.shape != (len(samples),):
        raise UsageError(
            f"labels of shape {tuple(labels.shape)} for {len(samples)} samples",
            origin=origin,
            advice="give one each: y of shape (N,)",
        )
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise UsageError(f"labels of type {labels.dtype}", origin=origin, advice="give whole numbers from 0")
    if samples.is_floating_point() and not bool(torch.isfinite(samples).all()):
        raise UsageError("samples that are nan or infinite", origin=origin, advice="clean the data first")
    return Split(samples, labels.to(torch.int64))


def _counted(labels: Tensor, origin: str) -> int:
    """How many classes the labels number, from 0 to the largest of them."""
    largest = int(labels.max())
    different = len(np.unique(labels.numpy()))
    if largest >= MOST_GAPS * different:
        raise UsageError(
            f"labels go up to {largest}, but there are only {different} different ones",
            origin=origin,
            advice="number the classes from 0: numpy.unique(y, return_inverse=True)[1]; are these values to be "
            "predicted, or names? If there really are so many classes, say so: classes=",
        )
    return largest + 1


def _stated(classes: Any, origin: str) -> int:
    if isinstance(classes, bool) or not isinstance(classes, int | np.integer) or not 1 <= classes < 2**31:
        raise UsageError(f"classes={classes!r:.50}", origin=origin, advice="give their number, a whole one from 1")
    return int(classes)


class Dataset(ABC):
    """A recipe for data: a frozen value whose options say what to load and how."""

    @abstractmethod
    def load(self, data_dir: Path | None = None) -> Data:
        """The data, on the CPU. `data_dir` is a folder of the user's that may hold its files.

        Raises:
            UsageError: a file is missing, wrong or truncated; it says which one and how to get it.
        """

    def known_form(self) -> tuple[tuple[int, ...], int] | None:
        """Shape of a sample and number of classes, where the options alone decide them; None where the data do.

        What does not fit them is then refused before anything is loaded.
        """
        return None

    def known_sizes(self) -> tuple[int, int] | None:
        """Number of training and of test samples of the files as published; None where only loading tells.

        How long a training will take is then said before anything is loaded.
        """
        return None


@configurable
class OwnArrays(Dataset):
    """Stands in a recipe for arrays that were given in Python; a recipe cannot load them again."""

    def load(self, data_dir: Path | None = None) -> Data:
        raise UsageError(
            "this run was trained on arrays given in Python",
            origin="[dataset]",
            advice="load them yourself and pass data=, or name another data set",
        )
