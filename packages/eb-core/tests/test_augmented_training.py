"""Training on augmented batches: which batches are augmented, by which random numbers, and which never are."""

from typing import Any, get_args

import pytest
import torch
from foreign_physics import Centred, Chain, Descent, Springs
from torch import Tensor

import eb_core as eb
from eb_core import Data
from eb_core.training.streams import Stream, stream

PARTS: dict[str, Any] = {"model": Chain(), "energy": Springs(), "relaxer": Descent(), "rule": Centred()}
Y = torch.arange(40) % 2
X = (2.0 * Y - 1).unsqueeze(1).repeat(1, 4) + torch.arange(40).unsqueeze(1) / 1000


class Noise:
    """Adds noise to a batch, and remembers the batch and the noise."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, Tensor]] = []

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        noise = 0.3 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        self.seen.append((x.clone(), noise))
        return x + noise


def fit(augment: Any, **trainer: Any) -> eb.TrainingResult:
    data = Data.from_arrays(X, Y, test=(X, Y), augment=augment)
    return eb.train(**PARTS, data=data, **({"epochs": 2, "batch_size": 8, "lr": 0.05, "validation": 0.2} | trainer))


def test_every_training_batch_is_augmented_and_no_other_one() -> None:
    noise = Noise()
    fit(noise)
    assert [len(x) for x, _ in noise.seen] == [8, 8, 8, 8] * 2, "32 training samples, 8 are held out for validation"
    for epoch in (noise.seen[:4], noise.seen[4:]):
        samples = torch.cat([x for x, _ in epoch])
        assert len(samples.unique(dim=0)) == 32
        assert bool(torch.isin(samples, X).all()), "what is augmented is the batch as it is"


def test_what_training_sees_is_what_the_augmentation_gave() -> None:
    plain, shifted = fit(None), fit(lambda x, generator: x + 1)
    weights = [one.net.network.state_dict()["edges.input-hidden1.weight"] for one in (plain, shifted)]
    assert not torch.equal(*weights)
    same = fit(lambda x, generator: x)
    assert [one.train for one in same.reports] == [one.train for one in plain.reports]


def test_each_batch_has_random_numbers_of_its_own_that_the_seed_repeats() -> None:
    first, again, other = Noise(), Noise(), Noise()
    for noise, seed in ((first, 3), (again, 3), (other, 4)):
        fit(noise, seed=seed)
    for index, (_, drawn) in enumerate(first.seen):
        generator = stream(3, "augment", index // 4, index % 4)
        assert torch.equal(drawn, 0.3 * torch.randn(drawn.shape, generator=generator))
        assert torch.equal(drawn, again.seen[index][1])
        assert not torch.equal(drawn, other.seen[index][1])


def test_the_random_numbers_of_augmentation_are_those_of_no_other_stream() -> None:
    names: tuple[Stream, ...] = get_args(Stream)
    assert "augment" in names
    assert len({torch.rand(1, generator=stream(0, name, 1, 1)).item() for name in names}) == len(names)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_augmentation_gets_batches_in_the_precision_of_the_training(dtype: str) -> None:
    noise = Noise()
    fit(noise, dtype=dtype, epochs=1)
    assert {x.dtype for x, _ in noise.seen} == {getattr(torch, dtype)}


def test_data_is_not_augmented_unless_it_says_how() -> None:
    assert Data.from_arrays(X, Y).augment is None
    assert Data.from_arrays(X, Y, augment=Noise()).checksum() == Data.from_arrays(X, Y).checksum()
