"""`eb relax`: what it prints is what relax does, and what cannot be compared is refused before work."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from registered import make
from tiny_parts import Tiny
from typer.testing import Result

from eb_core import Problem, Relaxation, load_run, make_network, train
from eb_core.diagnostics.side_by_side import TOLERANCES, side_by_side, with_budget
from eb_core.training.streams import stream

Eb = Callable[..., Result]

TINY = ["relax", "--dataset", "tiny_parts:Tiny", "--model-opt", "hidden=[5]", "--batch", "4", "--repeats", "1"]
BOTH = ["--relaxer", "hopfield", "--relaxer", "gradient-flow(dt=.3, check_every=1)"]


def report(eb: Eb, *more: str) -> Any:
    result = eb(*more, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def settled(name: str, steps: int, **options: Any) -> Relaxation:
    """The same by hand: weights of seed 0, the first four test samples, in float64."""
    data, energy = Tiny().load(), make("energy", "hopfield")
    network = make_network(
        make("model", "mlp", hidden=(5,)), energy, (4,), 2, generator=stream(0, "init"), dtype=torch.float64
    )
    problem = Problem.free(network, energy, data.test.x[:4].double())
    return make("relaxer", name, steps=steps, tol=0.0, **options).relax(problem, trace=True)


def test_the_figures_are_those_of_relax_itself(eb: Eb) -> None:
    shown = report(eb, *TINY, *BOTH, "--steps", "40")
    ends = [settled("hopfield", 40), settled("gradient-flow", 40, dt=0.3)]
    assert [one["name"] for one in shown["relaxers"]] == ["hopfield", "gradient-flow(dt=.3, check_every=1)"]
    for one, end in zip(shown["relaxers"], ends, strict=True):
        assert end.trace is not None
        assert one["energy"] == pytest.approx(float(end.energy.mean()), rel=1e-12)
        assert one["residual"] == pytest.approx(float(end.residual.max()), rel=1e-6)
        assert one["curves"]["residual"] == pytest.approx(end.trace.residual.amax(1).tolist(), rel=1e-6, abs=1e-15)
        for tolerance in TOLERANCES:
            under = [step for step, left in enumerate(one["curves"]["residual"]) if left <= tolerance]
            assert one["iterations_to"][f"{tolerance:g}"] == (under[0] if under else None)
            assert (one["seconds_to"][f"{tolerance:g}"] is None) is (not under)
        assert 0 < one["seconds_to"]["0.01"] <= one["seconds"]


def test_one_that_is_not_there_yet_is_far_from_the_best(eb: Eb) -> None:
    slow, good = report(eb, *TINY, "--relaxer", "gradient-flow(dt=.01)", "--relaxer", "hopfield")["relaxers"]
    assert slow["distance"] > 0.01
    assert slow["elsewhere"] == 1
    assert slow["iterations_to"]["1e-06"] is None
    assert (good["distance"], good["elsewhere"]) == (0, 0)


def test_the_tables_and_the_plot(eb: Eb) -> None:
    result = eb(*TINY, *BOTH, "--plot", "relax.svg", "--beta", "0.1")
    assert result.exit_code == 0
    for text in ("nudged phase, beta 0.1", "gradient-flow(dt=.3, check_every=1)", "1e-06", "mean F = E + beta C"):
        assert text in result.stdout
    drawn = Path("relax.svg").read_text()
    for text in ("mean F above the lowest", "milliseconds", "hopfield", "gradient-flow(dt=.3, check_every=1)"):
        assert text in drawn


def test_the_nudge_moves_the_state_and_both_find_it(eb: Eb) -> None:
    free, nudged = (report(eb, *TINY, *BOTH, "--steps", "300", "--beta", beta) for beta in ("0", ".5"))
    assert nudged["relaxers"][0]["energy"] > free["relaxers"][0]["energy"] + 1e-3
    for one in nudged["relaxers"]:
        assert one["residual"] < 1e-10
        assert one["distance"] < 1e-8


def test_weights_of_a_run_are_settled_on_its_own_data(eb: Eb) -> None:
    result = train({"name": "mlp", "hidden": [4]}, dataset={"name": "tiny_parts:Tiny"}, epochs=2, out="runs")
    shown = report(
        eb, "relax", str(result.path), "--relaxer", "gradient-flow", "--steps", "400", "--batch", "10", "--trust"
    )
    net = load_run(result.path, trust=True)
    energy = net.settle(Tiny().load().test.x).energy
    assert shown["relaxers"][0]["energy"] == pytest.approx(float(energy.mean()), abs=1e-5)
    refused = eb("relax", result.path, "--model", "mlp", "--energy-opt", "output=boxed", "--trust")
    assert refused.exit_code == 2
    assert "RUN does not go with --model, --energy-opt" in refused.stderr


def test_what_does_not_fit_is_one_error_before_any_work(eb: Eb) -> None:
    choosy = ["relax", "--relaxer", "tiny_parts:Choosy", "--relaxer", "hopfield"]
    result = eb(*choosy, "--dataset", "tiny_parts:Untouchable")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("error:") == 1
    assert "'tiny_parts:Choosy' does not fit energy 'hopfield': it takes only frozen hydrogen" in result.stderr


@pytest.mark.parametrize(
    ("relaxers", "what"),
    [
        (["hopfield(steps=3"], "opens a bracket"),
        (["hopfield(steps)"], "'steps' is not KEY=VALUE"),
        (["hopfield(stps=3)"], "no option 'stps'"),
        (["hopfeild"], "did you mean 'hopfield'"),
        (["hopfield", "hopfield"], "given twice"),
        (["gradient-flow(dt=9)", "hopfield(order=up)"], "option 'order'"),
    ],
)
def test_a_relaxer_that_cannot_be_read_is_wrong_usage(eb: Eb, relaxers: list[str], what: str) -> None:
    flags = [word for one in relaxers for word in ("--relaxer", one)]
    result = eb("relax", "--dataset", "tiny_parts:Untouchable", *flags)
    assert (result.exit_code, result.stdout) == (2, "")
    assert what in result.stderr


def test_a_budget_that_another_option_does_not_allow_is_refused_before_any_work(eb: Eb) -> None:
    few = ["--relaxer", "hopfield", "--relaxer", "csb(average=20)", "--steps", "10"]
    result = eb("relax", "--dataset", "tiny_parts:Untouchable", *few)
    assert result.exit_code == 2
    assert "cannot run 10 iterations" in result.stderr


def test_commas_inside_brackets_and_quotes_belong_to_a_value() -> None:
    from eb_core.cli.choices import component_layer

    layer = component_layer("relaxer", 'own(a=[1, 2], b="x, y", c={d = 1, e = "]"}, f=.5 )')
    values = {key: getattr(value, "text", value) for key, (value, _) in layer.sections["relaxer"].items()}
    assert values == {"name": "own", "a": "[1, 2]", "b": '"x, y"', "c": '{d = 1, e = "]"}', "f": ".5"}


def test_every_relaxer_runs_the_whole_budget_and_keeps_its_other_options() -> None:
    given = with_budget(make("relaxer", "hopfield", order="forward", nudged_tol=1e-3), 7)
    assert given == make("relaxer", "hopfield", order="forward", steps=7, nudged_steps=7, tol=0.0)


def test_the_best_state_is_chosen_sample_by_sample() -> None:
    energy = make("energy", "hopfield")
    network = make_network(make("model", "mlp", hidden=(5,)), energy, (4,), 2, generator=stream(0, "init"))
    x = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    problem = Problem.free(network, energy, x)
    made = {"slow": make("relaxer", "gradient-flow", dt=0.1), "block": make("relaxer", "hopfield")}
    relaxers = {name: with_budget(relaxer, 5) for name, relaxer in made.items()}
    slow, block = side_by_side(relaxers, problem, problem.initial_state(), repeats=1, generator=torch.Generator)
    best = torch.minimum(slow.energy[-1], block.energy[-1])
    assert bool(((slow.distance == 0) == (slow.energy[-1] == best)).all())
    assert bool((slow.distance + block.distance > 0).all())
