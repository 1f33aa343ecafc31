"""Training with the core alone: parts made in Python, own tensors, no plugin but the core's."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_physics import Centred, Chain, Descent, Springs

import eb_core as eb
from eb_core import Data, EpochReport, RunError, TrainingResult, UsageError
from eb_core.training.optimiser import make_optimiser, schedule_rates
from eb_core.training.split import split_off
from eb_core.training.streams import stream

PARTS: dict[str, Any] = {"model": Chain(), "energy": Springs(), "relaxer": Descent(), "rule": Centred()}


def clouds(samples: int = 60) -> Data:
    """Two well separated clouds of points."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(samples) % 2
    x = torch.randn(samples, 4, generator=generator) * 0.3 + (2 * y.unsqueeze(1) - 1)
    return Data.from_arrays(x, y, test=(x + 0.1, y))


def fit(**trainer: Any) -> TrainingResult:
    settings = {"epochs": 4, "batch_size": 16, "lr": 0.05} | trainer
    return eb.train(**PARTS, data=settings.pop("data", clouds()), **settings)


def test_a_few_lines_with_own_tensors_and_own_parts_learn() -> None:
    result = fit()
    assert result.test is not None
    assert result.test.accuracy == 1.0
    assert result.net.predict(clouds().train.x).tolist() == clouds().train.y.tolist()


def test_the_same_seed_gives_the_same_run_bit_for_bit_and_another_seed_another_one() -> None:
    first, again, other = fit(seed=1), fit(seed=1), fit(seed=2)
    for name, value in first.net.network.state_dict().items():
        assert torch.equal(value, again.net.network.state_dict()[name])
    weights = [run.net.network.state_dict()["edges.input-hidden1.weight"] for run in (first, other)]
    assert not torch.equal(*weights)


def test_training_neither_reads_nor_moves_the_global_generator() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = fit()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    second = fit()
    assert [one.train for one in first.reports] == [one.train for one in second.reports]


def test_streams_differ_by_seed_name_epoch_and_batch_and_repeat_otherwise() -> None:
    places = [(0, "init", 0, 0), (1, "init", 0, 0), (0, "split", 0, 0), (0, "settle", 1, 0), (0, "settle", 0, 1)]
    draws = {place: torch.rand(1, generator=stream(*place)).item() for place in places}  # type: ignore[arg-type]
    assert len(set(draws.values())) == len(places)
    assert all(torch.rand(1, generator=stream(*place)).item() == draw for place, draw in draws.items())  # type: ignore[arg-type]


def test_model_selection_keeps_the_weights_of_the_best_validation_epoch() -> None:
    class Watch:
        def __init__(self) -> None:
            self.reports: list[EpochReport] = []

        def batch(self, epoch: int, done: int, total: int) -> None:
            assert 1 <= done <= total

        def epoch(self, report: EpochReport) -> None:
            self.reports.append(report)

    watch = Watch()
    data = clouds()
    result = eb.train(**PARTS, data=data, observers=[watch], epochs=6, lr=0.3, validation=0.3, batch_size=8)
    merits = [(one.validation.accuracy, -one.validation.loss) for one in watch.reports if one.validation]
    assert result.best_epoch == 1 + merits.index(max(merits))
    last = eb.train(**PARTS, data=data, epochs=6, lr=0.3, validation=0.3, batch_size=8, select="last")
    assert last.best_epoch == 6


def test_the_validation_split_comes_from_the_training_data_and_the_two_parts_make_the_whole() -> None:
    data = clouds()
    train, held_out = split_off(data.train, eb.TrainerSettings(validation=0.25))
    assert held_out is not None
    assert len(held_out) == 15
    rows = {tuple(row) for part in (train, held_out) for row in part.x.tolist()}
    assert rows == {tuple(row) for row in data.train.x.tolist()}
    assert split_off(data.train, eb.TrainerSettings(validation=0.0)) == (data.train, None)
    with pytest.raises(UsageError, match="leaves an empty split"):
        split_off(data.train, eb.TrainerSettings(validation=0.001))


def test_a_loss_that_is_not_finite_ends_the_run_with_advice_and_keeps_the_record(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not finite in epoch 1"):
        eb.train(**PARTS, data=clouds(), epochs=3, lr=1e30, optimizer="sgd", out=tmp_path, batch_size=4)
    manifest = json.loads(next(tmp_path.glob("*/manifest.json")).read_text())
    assert manifest["status"] == "failed"
    assert "not finite" in manifest["reason"]


def test_learning_rates_follow_patterns_and_schedules() -> None:
    network = Chain().build((4,), 2)
    settings = eb.TrainerSettings(
        lr=1.0, layer_lr={"edges.*": 0.5, "*hidden2*": 0.25}, schedule="cosine", epochs=10, lr_min=0.0
    )
    optimiser = make_optimiser(network, settings)
    schedule_rates(optimiser, settings, 5)
    rates = {group["name"]: group["lr"] for group in optimiser.param_groups}
    assert rates["biases.output"] == pytest.approx(0.5)
    assert rates["edges.input-hidden1.weight"] == pytest.approx(0.25)
    assert rates["biases.hidden2"] == pytest.approx(0.125)
    assert rates["edges.hidden1-hidden2.weight"] == pytest.approx(0.125), "the last pattern that fits wins"
    decaying = eb.TrainerSettings(lr=1.0, schedule="exponential", lr_decay=0.5)
    optimiser = make_optimiser(network, decaying)
    for epoch in (0, 3, 2):
        schedule_rates(optimiser, decaying, epoch)
        assert optimiser.param_groups[0]["lr"] == pytest.approx(0.5**epoch)
    with pytest.raises(UsageError, match=r"'edges\.hiden' fits no parameter"):
        make_optimiser(network, eb.TrainerSettings(layer_lr={"edges.hiden": 1.0}))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_optimisers_are_torchs_with_momentum_and_weight_decay(optimizer: str) -> None:
    network = Chain().build((4,), 2)
    made = make_optimiser(network, eb.TrainerSettings(optimizer=optimizer, momentum=0.9, weight_decay=3e-4))  # type: ignore[arg-type]
    assert type(made) is {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    assert all(group["weight_decay"] == 3e-4 for group in made.param_groups)
    assert optimizer == "adam" or made.param_groups[0]["momentum"] == 0.9


def test_a_run_directory_loads_in_three_lines_and_predicts_the_same(tmp_path: Path) -> None:
    result = eb.train(**PARTS, data=clouds(), epochs=2, out=tmp_path)
    assert result.path is not None
    net = eb.load_run(result.path, trust=True)
    x = clouds().train.x
    assert torch.equal(net.readout(x), result.net.readout(x))
    manifest = json.loads((result.path / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["data"]["checksum"] == clouds().checksum()
    assert manifest["origins"]["trainer"]["epochs"] == "epochs="
    assert len((result.path / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_damaged_or_foreign_run_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = eb.train(**PARTS, data=clouds(), epochs=1, out=tmp_path).path
    assert path is not None
    weights = path / "weights.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-10])
    with pytest.raises(UsageError, match="weights do not fit"):
        eb.load_run(path, trust=True)
    weights.unlink()
    with pytest.raises(UsageError, match="no weights"):
        eb.load_run(path, trust=True)
    with pytest.raises(UsageError, match="is no run"):
        eb.load_run(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.zeros(0, 3), torch.zeros(0), "no samples"),
        (torch.zeros(3), torch.zeros(3, dtype=torch.int64), "no samples"),
        (torch.zeros(3, 2), torch.zeros(2, dtype=torch.int64), "labels of shape"),
        (torch.zeros(3, 2), torch.zeros(3), "labels of type torch.float32"),
        (torch.full((2, 2), float("nan")), torch.tensor([0, 1]), "nan or infinite"),
        (torch.zeros(3, 2), torch.tensor([0, -1, 1]), "labels outside"),
    ],
)
def test_unusable_arrays_are_refused(x: torch.Tensor, y: torch.Tensor, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Data.from_arrays(x, y)


def test_labels_outside_the_classes_are_named_with_their_number() -> None:
    with pytest.raises(UsageError, match="2 labels outside 0 … 1, the first is 2"):
        Data.from_arrays(torch.zeros(4, 2), torch.tensor([0, 1, 2, 3]), classes=2)


def test_health_is_measured_on_every_sample() -> None:
    report = fit(epochs=1).reports[0]
    assert report.health.unconverged == 0.0
    assert 3 <= report.health.steps <= 30
    assert report.health.saturated is None, "springs have no walls"
    strict = eb.train(**(PARTS | {"relaxer": Descent(steps=1, nudged_steps=1, tol=1e-12)}), data=clouds(), epochs=1)
    assert strict.reports[0].health.unconverged == 1.0
