"""Steps in buffers, noted once and repeated, end where recorded ones end; what cannot be noted is run as it is."""

import gc
import warnings
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import pytest
import torch
from foreign_physics import Amplitudes, Descent, Momentum, Phases, SpinGlass, Springs
from torch import Tensor

from eb_core import (
    CrossEntropy,
    Dense,
    Energy,
    IterativeRelaxer,
    Lateral,
    Network,
    Problem,
    SquaredError,
    State,
    View,
    configurable,
)
from eb_core.diagnostics.problems import nudged
from eb_core.settling.buffered import BufferedView
from eb_core.settling.buffers import Buffers, can_buffer
from eb_core.settling.tape import Tape
from eb_core.testing import all_phases, free_problem, random_network, random_state

ENERGIES = [Springs(), Amplitudes(), Phases(), SpinGlass()]
FLAT = "three hidden layers"


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def same(one: State, other: State) -> None:
    assert set(one.memory) == set(other.memory)
    for name in one.units:
        torch.testing.assert_close(one[name], other[name], rtol=1e-12, atol=1e-12)
    for name, value in one.memory.items():
        torch.testing.assert_close(value, other.memory[name], rtol=0, atol=1e-12)


def view_of(problem: Problem, relaxer: IterativeRelaxer, steps: int, start: State | None = None) -> BufferedView:
    with torch.no_grad():
        view = BufferedView(problem, random_state(problem) if start is None else start, generator(), eager=3)
        relaxer.init(view, resumed=False)
        view.run(relaxer.step, steps)
    return view


def expect(relaxer: IterativeRelaxer, problem: Problem, steps: int, noted: bool) -> None:
    """After so many iterations the view is where `iterate` is, and it has noted the step or not."""
    view = view_of(problem, relaxer, steps)
    with torch.no_grad():
        same(view.state(), relaxer.iterate(problem, random_state(problem), steps, generator=generator()))
    assert view._repeatable is noted
    assert bool(view._tapes) is noted


@pytest.mark.parametrize("energy", ENERGIES, ids=repr)
def test_a_step_is_noted_once_and_repeated_in_every_phase(energy: Energy) -> None:
    relaxers = [Descent(), Momentum()] if energy.differentiable else [Descent()]
    with torch.no_grad():
        problems = [problem for _, problem in all_phases(energy) if can_buffer(problem)]
    assert len(problems) >= 12
    for problem in problems:
        for relaxer in relaxers:
            for steps in (2, 5, 12):
                view = view_of(problem, relaxer, steps)
                assert view._repeatable
                with torch.no_grad():
                    same(view.state(), relaxer.iterate(problem, random_state(problem), steps, generator=generator()))


def test_what_follows_from_the_phase_alone_is_computed_once_a_phase() -> None:
    problem = nudged(free_problem(Springs(), FLAT), SquaredError(), 0.3)
    view = view_of(problem, Descent(), 9)
    noted, *_ = view._tapes.values()
    assert len(noted.prologue) == 1, "1 + a"
    names = [getattr(call.func, "__name__", "") for call in noted.calls]  # type: ignore[attr-defined]
    assert names.count("add") == 0
    assert names.count("addmm") == 6


@pytest.mark.parametrize("cost", [SquaredError(), CrossEntropy()], ids=repr)
@torch.no_grad()
def test_buffers_hold_nothing_of_the_batch_before(cost: object) -> None:
    buffers, free = Buffers(), free_problem(Springs(), FLAT)
    relaxer = Descent(steps=11, nudged_steps=11, tol=0.0)
    rows = torch.arange(free.batch)
    for turn in range(4):
        batch = Problem.free(free.network, free.energy, free.x[rows.roll(turn)])
        for problem in (batch, nudged(batch, cost, 0.1 * (turn - 1))):  # type: ignore[arg-type]
            start = random_state(problem, seed=turn)
            same(relaxer.relax(problem, start, buffers=buffers).state, relaxer.iterate(problem, start, 11))
        for parameter in free.network.parameters():
            parameter.add_(0.01)
    assert len(buffers._views) == 2


@torch.no_grad()
def test_weights_that_moved_to_another_place_are_found_there() -> None:
    network = random_network(Springs(), "lateral")
    assert any(isinstance(edge, Lateral) for edge in network.edges.values())
    buffers, relaxer = Buffers(), Descent(steps=9, tol=0.0)
    x = torch.rand(3, *network.layers[network.input].shape, generator=generator(), dtype=torch.float64)
    for _ in range(3):
        problem = Problem.free(network, Springs(), x)
        start = random_state(problem)
        same(relaxer.relax(problem, start, buffers=buffers).state, relaxer.iterate(problem, start, 9))
        for edge in network.edges.values():
            edge.weight.data = 0.9 * edge.weight.data


def test_the_generator_of_a_phase_is_the_one_that_is_drawn_from() -> None:
    buffers, problem = Buffers(), free_problem(Springs(), FLAT)
    relaxer, start = Momentum(steps=10, tol=0.0), random_state(problem)
    for seed in (1, 2, 3):
        ended = relaxer.relax(problem, start, generator=torch.Generator().manual_seed(seed), buffers=buffers).state
        with torch.no_grad():
            same(ended, relaxer.iterate(problem, start, 10, generator=torch.Generator().manual_seed(seed)))


def step_of(function: Callable[[View], None]) -> IterativeRelaxer:
    """A dynamics whose step is this function."""

    @configurable
    class Odd(IterativeRelaxer):
        def init(self, view: View, resumed: bool) -> None:
            view.memory.setdefault("count", view.like.new_zeros(view.batch))

        def step(self, view: View) -> None:
            function(view)

    return Odd()


def reads_a_value(view: View) -> None:
    for name in view.layers:
        if float(view.units[name].sum()) > 0:
            view.write(name, view.minimized(name))


def reads_the_batch(view: View) -> None:
    for name in view.layers:
        view.write(name, view.minimized(name) + view.problem.x.sum(1, keepdim=True))


def leaves_torch(view: View) -> None:
    for name in view.layers:
        view.write(name, torch.from_numpy(view.minimized(name).detach().numpy() * 0.5))


def picks_by_a_mask(view: View) -> None:
    for name in view.layers:
        new = view.minimized(name)
        view.write(name, new + new[new > 0].sum())


def reads_what_was_prepared(view: View) -> None:
    if "mean" not in view.prepared:
        view.prepared["mean"] = view.units["hidden1"].mean(1, keepdim=True)
    for name in view.layers:
        view.write(name, 0.5 * view.minimized(name) + view.prepared["mean"])


def places_by_truth(view: View) -> None:
    for name in view.layers:
        new = view.minimized(name)
        rows, columns = torch.where(new > 0)
        view.write(name, new.index_put((rows, columns), new.new_tensor(0.1)))


def repeats_by_values(view: View) -> None:
    for name in view.layers:
        new = view.minimized(name)
        counts = (new[0] > 0).long() + 1
        view.write(name, new + torch.repeat_interleave(new[0], counts).sum())


def goes_back_twice(view: View) -> None:
    """Heun's method: the old state is read after the first write."""
    old, first = dict(view.units), {name: view.minimized(name) for name in view.layers}
    for name in view.layers:
        view.write(name, first[name])
    second = {name: view.minimized(name) for name in view.layers}
    for name in view.layers:
        view.write(name, 0.5 * old[name] + 0.25 * (first[name] + second[name]))
        view.remember("count", (view.units[name] - old[name]).abs().amax(1))


STANDING = [
    reads_a_value,
    reads_the_batch,
    leaves_torch,
    picks_by_a_mask,
    reads_what_was_prepared,
    places_by_truth,
    repeats_by_values,
]


@pytest.mark.parametrize("function", STANDING)
def test_a_step_that_is_no_fixed_list_of_calls_is_run_as_it_stands(function: Callable[[View], None]) -> None:
    expect(step_of(function), free_problem(Springs(), FLAT), 9, noted=False)


def sums_in_place(view: View) -> None:
    total = torch.zeros(view.batch, dtype=view.like.dtype)
    for name in view.layers:
        total += view.units[name].sum(1)
    for name in view.layers:
        view.write(name, view.minimized(name) + 0.01 * total.unsqueeze(1))


def writes_a_part(view: View) -> None:
    for name in view.layers:
        new = view.minimized(name).clone()
        new[:, 0] = 0.5
        view.write(name, new)


def keeps_the_old_state(view: View) -> None:
    before = dict(view.units)
    for name in view.layers:
        view.write(name, view.minimized(name))
    for name in view.layers:
        view.write(name, 0.5 * (before[name] + view.units[name]))


def counts(view: View) -> None:
    for name in view.layers:
        share = 1 / (1 + view.memory["count"])
        view.write(name, torch.lerp(view.units[name], view.minimized(name), view.spread(share, view.units[name])))
    view.remember("count", view.memory["count"] + 1)


def looks_at_what_it_wrote(view: View) -> None:
    for name in view.layers:
        new = view.minimized(name)
        view.write(name, new)
        view.remember("count", torch.maximum(view.memory["count"], new.abs().amax(1)))


def gathers_in_a_list(view: View) -> None:
    sizes: list[Tensor] = []
    for name in view.layers:
        new = view.minimized(name)
        sizes.append(new.abs().amax(1))
        view.write(name, new / (1 + torch.stack(sizes).sum(0).unsqueeze(1)))


def splits_and_sorts(view: View) -> None:
    for name in view.layers:
        low, high = view.minimized(name).aminmax(dim=1, keepdim=True)
        halves = torch.chunk(view.minimized(name), 2, dim=1)
        view.write(name, torch.cat([halves[0] - low, *(half - high for half in halves[1:])], dim=1))


TRUE = [
    sums_in_place,
    writes_a_part,
    keeps_the_old_state,
    counts,
    looks_at_what_it_wrote,
    splits_and_sorts,
    gathers_in_a_list,
    goes_back_twice,
]


@pytest.mark.parametrize("function", TRUE)
@pytest.mark.parametrize("steps", [4, 5, 9, 10])
def test_whatever_a_step_does_with_tensors_it_is_repeated_truly(function: Callable[[View], None], steps: int) -> None:
    relaxer = step_of(function)
    for problem in (free_problem(Springs(), FLAT), nudged(free_problem(Springs(), FLAT), SquaredError(), 0.2)):
        expect(relaxer, problem, steps, noted=True)


@pytest.mark.parametrize("function", [*STANDING, *TRUE], ids=lambda function: function.__name__)
@torch.no_grad()
def test_the_third_batch_of_a_session_ends_where_it_would_alone(function: Callable[[View], None]) -> None:
    buffers, relaxer, free = Buffers(), attrs.evolve(step_of(function), steps=9, tol=0.0), free_problem(Springs(), FLAT)
    for turn in range(3):
        problem = Problem.free(free.network, free.energy, free.x.roll(turn, 0) * (1 + turn))
        start = random_state(problem, seed=turn)
        same(relaxer.relax(problem, start, buffers=buffers).state, relaxer.iterate(problem, start, 9))


@configurable
class Pausing(Descent):
    """Block descent that does something to the view in the middle of a phase."""

    def init(self, view: View, resumed: bool) -> None:
        for name in ("a", "b"):
            view.remember(name, view.like.new_full((view.batch,), ord(name)))

    def pauses(self, view: View, budget: int) -> tuple[int, ...]:
        return (5, 8)

    def pause(self, view: View, taken: int, left: int) -> None:
        old, first, second = view.units["hidden1"], view.memory["a"], view.memory["b"]
        view.remember("kept", view.units["hidden1"])
        view.write("hidden1", 0.5 * old)
        view.remember("moved", (view.units["hidden1"] - old).abs().amax(1))
        view.remember("a", second)
        view.remember("b", first)


@torch.no_grad()
def test_a_pause_may_write_swap_and_keep_what_it_will() -> None:
    buffers, relaxer, free = Buffers(), Pausing(steps=11, tol=0.0), free_problem(Springs(), FLAT)
    for turn in range(3):
        problem = Problem.free(free.network, free.energy, free.x.roll(turn, 0))
        start = random_state(problem, seed=turn)
        same(relaxer.relax(problem, start, buffers=buffers).state, relaxer.iterate(problem, start, 11))


@torch.no_grad()
def test_masks_that_change_from_batch_to_batch_leave_nothing_behind() -> None:
    buffers, relaxer, free = Buffers(), Descent(steps=9, nudged_steps=9, tol=0.0), free_problem(Springs(), FLAT)
    for turn in range(4):
        values = torch.full_like(free.initial_state()["hidden1"], 5.0 + turn)
        mask = (torch.arange(values.shape[1]) % 2 == turn % 2).unsqueeze(0)
        problem = free.clamped({"hidden1": values}, {"hidden1": mask})
        ended = relaxer.relax(problem, buffers=buffers).state
        same(ended, relaxer.iterate(problem, problem.initial_state(), 9))


class Pruned(Dense):
    """A dense edge with a mask that is no parameter."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.mask = torch.ones_like(self.weight)

    def matrix(self) -> Tensor:
        return self.weight * self.mask


@torch.no_grad()
def test_matrices_are_read_anew_in_every_phase() -> None:
    layers = [("input", (3,)), ("hidden1", (4,)), ("output", (2,))]
    network = Network(layers, [Dense("input", "hidden1", (3,), (4,)), Pruned("hidden1", "output", (4,), (2,))]).double()
    Springs().init_(network, generator())
    edge = network.edges["hidden1-output"]
    assert isinstance(edge, Pruned)
    buffers, relaxer = Buffers(), Descent(steps=9, tol=0.0)
    for turn in range(4):
        edge.mask = edge.mask.to(edge.weight)
        edge.mask[turn % 2, turn % 4] = 0.0
        problem = Problem.free(network, Springs(), torch.rand(3, 3, generator=generator(), dtype=torch.float64))
        start = random_state(problem, seed=turn)
        same(relaxer.relax(problem, start, buffers=buffers).state, relaxer.iterate(problem, start, 9))


@torch.no_grad()
def test_what_turns_out_different_is_run_as_it_stands() -> None:
    problem = free_problem(Springs(), FLAT)
    view = view_of(problem, Descent(), 5)
    for noted in view._tapes.values():
        noted.calls.append(lambda: view.units["hidden1"].add_(1.0))
    view.run(Descent().step, 1)
    view = view_of(problem, Descent(), 5)
    step = view._stepping
    assert step is not None
    for noted in view._tapes.values():
        noted.calls.append(lambda: [pair[turn].add_(1.0) for pair in view._pairs.values() for turn in (0, 1)])
    view.run(step, 4)
    assert not view._repeatable
    same(view.state(), Descent().iterate(problem, random_state(problem), 9))


class Late(Descent):
    """A step, and a measure, that count in Python and change after a few calls."""

    calls: ClassVar[int] = 0

    def _factor(self) -> float:
        type(self).calls += 1
        return 1.0 if type(self).calls < 9 else 0.5


@configurable
class LateStep(Late):
    def step(self, view: View) -> None:
        factor = self._factor()
        for name in view.order():
            view.write(name, view.project(name, view.units[name] + factor * 0.1 * view.force(name)))


@configurable
class LateMeasure(Late):
    def measure(self, view: View) -> Tensor:
        return view.residual() + 1.0 / self._factor()


@torch.no_grad()
@pytest.mark.parametrize("kind", [LateStep, LateMeasure])
def test_a_change_that_comes_late_is_found_late_and_said(kind: type[Late]) -> None:
    problem = free_problem(Springs(), FLAT)
    relaxer = kind(steps=400, tol=1e-300, check_every=1)
    kind.calls = 0
    buffers = Buffers()
    with pytest.warns(RuntimeWarning, match=f"{kind.__name__}.* is not what it was 64 iterations ago"):
        relaxer.relax(problem, random_state(problem), buffers=buffers)
    with warnings.catch_warnings(action="error"):
        relaxer.relax(problem, random_state(problem), buffers=buffers)


@torch.no_grad()
def test_a_tape_makes_the_calls_again_where_their_results_lie() -> None:
    s, steady = torch.arange(4.0), torch.full((4,), 2.0)
    with (tape := Tape([s])):
        scale = steady.sqrt() + 1
        moved = s * scale
        s.copy_(moved.clamp(max=100))
    tape.close()
    assert tape.fixed
    assert len(tape.prologue) == 2
    address = moved.data_ptr()
    expected = s.clone()
    for _ in range(3):
        for call in tape.calls:
            call()
        expected = (expected * (2.0**0.5 + 1)).clamp(max=100)
    torch.testing.assert_close(s, expected)
    assert moved.data_ptr() == address


def test_autograd_rounding_and_images_are_left_to_the_recorded_view() -> None:
    problem = free_problem(Springs(), FLAT)
    assert not can_buffer(problem), "autograd follows"
    with torch.no_grad():
        assert can_buffer(problem)
        assert not can_buffer(free_problem(Springs(), "convolutions"))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert not can_buffer(problem)


def test_buffers_of_inference_mode_are_not_those_of_training() -> None:
    problem, buffers, relaxer = free_problem(Springs(), FLAT), Buffers(), Descent(steps=9, tol=0.0)
    start = random_state(problem)
    with torch.no_grad():
        expected = relaxer.iterate(problem, start, 9)
    for mode in (torch.inference_mode(), torch.no_grad(), torch.inference_mode()):
        with mode:
            same(relaxer.relax(problem, start, buffers=buffers).state, expected)


@torch.no_grad()
def test_a_session_keeps_no_batch_alive() -> None:
    buffers, free, relaxer = Buffers(), free_problem(Springs(), FLAT), Descent(steps=9, tol=1e-3)
    seen, cost = [], CrossEntropy()
    for _ in range(3):
        problem = Problem.free(free.network, free.energy, free.x.clone())
        for phase in (problem, nudged(problem, cost, 0.1)):
            relaxer.relax(phase, random_state(phase), buffers=buffers)
        seen.append(weakref.ref(problem.x))
        del problem, phase
    gc.collect()
    assert [reference() is None for reference in seen] == [True, True, False], "the last one may still be there"
