"""What comes back from settling is checked where it arises: form, numbers, walls, clamps."""

import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import torch
from foreign_physics import Amplitudes, Centred, Chain, Descent, Springs
from torch import Tensor

import eb_core as eb
from eb_core import IterativeRelaxer, Problem, Relaxation, RunError, Session, State, View, configurable, option
from eb_core.learning.simulator import Simulator
from eb_core.physics.squared_error import SquaredError


class Spoilt(Session):
    """Settles by the relaxer, then spoils what it hands back."""

    spoil: Callable[[Relaxation], Any] = staticmethod(lambda relaxation: relaxation)

    def settle(self, problem: Problem, start: State | None = None, *, generator: Any = None) -> Relaxation:
        return self.spoil(self.relaxer.relax(problem, start, generator=generator))


def opened(
    spoil: Callable[[Relaxation], Any], energy: Any = None, kind: type[Spoilt] = Spoilt
) -> tuple[Spoilt, Problem]:
    energy = energy or Amplitudes()
    network = eb.make_network(Chain(), energy, (4,), 2, generator=torch.Generator().manual_seed(0))
    session = kind(network, energy, Descent())
    session.spoil = spoil
    return session, Problem.free(network, energy, torch.rand(6, 4, generator=torch.Generator().manual_seed(1)))


def with_units(relaxation: Relaxation, layer: str, change: Callable[[Tensor], Any]) -> Relaxation:
    units = {name: change(s.clone()) if name == layer else s for name, s in relaxation.state.units.items()}
    return attrs.evolve(relaxation, state=State({name: s for name, s in units.items() if s is not None}))


def at(sample: int, value: float) -> Callable[[Tensor], Tensor]:
    def change(s: Tensor) -> Tensor:
        s[sample, 0] = value
        return s

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (at(3, float("nan")), "sample 3 came back as nan: it diverged"),
        (at(2, float("inf")), "sample 2 came back as inf: it diverged"),
        (at(4, 1.5), r"sample 4 came back as 1.5, outside its domain Box\(lower=0.0, upper=1.0\)"),
        (at(0, -1e-4), "sample 0 came back as -0.0001, outside"),
        (lambda s: s[:5], r"torch.float32 of shape \(5, 3\) on cpu, expected is torch.float32 of shape \(6, 3\)"),
        (lambda s: s.double(), "came back as torch.float64"),
        (lambda s: None, "came back as nothing"),
        (lambda s: s.numpy(), "came back as a ndarray"),
    ],
)
def test_a_wrong_state_is_named_with_session_dynamics_phase_layer_sample_and_value(change: Any, said: str) -> None:
    session, problem = opened(lambda relaxation: with_units(relaxation, "hidden1", change))
    with pytest.raises(RunError, match=f"Spoilt with Descent, free phase: layer 'hidden1'.*{said}") as caught:
        session.settle(problem)
    assert caught.value.faults[0].advice


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda r: None, "a NoneType came back"),
        (lambda r: attrs.evolve(r, steps=7), "its steps came back as a int"),
        (lambda r: attrs.evolve(r, steps=r.steps[:2]), r"its steps came back as torch.int64 of shape \(2,\)"),
        (lambda r: attrs.evolve(r, steps=r.steps * 0.5), "its steps came back as torch.float32"),
        (lambda r: attrs.evolve(r, converged=True), "converged came back as a bool"),
        (lambda r: attrs.evolve(r, state=State(r.state.units, {"v": torch.zeros(2)})), "the memory 'v' came back as"),
    ],
)
def test_a_wrong_record_is_named(spoil: Any, said: str) -> None:
    session, problem = opened(spoil)
    with pytest.raises(RunError, match=said):
        session.settle(problem)


def test_rounding_of_a_change_of_units_is_no_fault() -> None:
    session, problem = opened(lambda r: with_units(r, "hidden1", at(1, 1 + 5e-7)))
    session.settle(problem)
    session.spoil = lambda r: with_units(r, "hidden1", at(1, 1 + 5e-6))
    with pytest.raises(RunError, match="outside its domain"):
        session.settle(problem)


def test_clamped_units_must_be_at_their_values_wholly_or_where_the_mask_is_true() -> None:
    session, problem = opened(lambda r: with_units(r, "hidden1", at(5, 0.25)))
    held = torch.full((6, 3), 0.5)
    with pytest.raises(RunError, match=r"clamped phase: layer 'hidden1', sample 5 came back as 0\.25, clamped at 0\.5"):
        session.settle(problem.clamped({"hidden1": held}))
    mask = torch.zeros(1, 3, dtype=torch.bool)
    session.settle(problem.clamped({"hidden1": held}, {"hidden1": mask}))
    mask[0, 0] = True
    with pytest.raises(RunError, match=r"clamped at 0\.5"):
        session.settle(problem.clamped({"hidden1": held}, {"hidden1": mask}))


def test_values_clamped_beyond_the_walls_are_where_they_were_put() -> None:
    session, problem = opened(lambda r: r)
    beyond = torch.full((6, 3), 1.5)
    settled = session.settle(problem.clamped({"hidden1": beyond}))
    assert torch.equal(settled.state["hidden1"], beyond)


def test_states_of_any_layout_in_memory_are_looked_at_whole() -> None:
    for sample in range(6):
        session, problem = opened(
            lambda r, sample=sample: with_units(r, "hidden1", lambda s: at(sample, 2.0)(s).t().contiguous().t())
        )
        with pytest.raises(RunError, match=f"sample {sample} came back as 2"):
            session.settle(problem)


def test_a_domain_of_a_plugins_own_is_judged_by_its_projection() -> None:
    class Even(eb.Domain):
        def project(self, s: Tensor) -> Tensor:
            return (s / 2).round() * 2

        def distance(self, a: Tensor, b: Tensor) -> Tensor:
            return (a - b).abs()

    class Steps(Springs):  # type: ignore[misc]
        def domain(self, layer: Any) -> eb.Domain:
            return Even()

    session, problem = opened(lambda r: r, Steps())
    session.spoil = lambda r: attrs.evolve(r, state=r.state.map(torch.zeros_like))
    session.settle(problem)
    session.spoil = lambda r: attrs.evolve(r, state=State({k: torch.ones_like(s) for k, s in r.state.units.items()}))
    with pytest.raises(RunError, match="came back as 1, outside its domain"):
        session.settle(problem)


def test_whatever_a_device_raises_is_an_error_of_the_run_with_its_cause() -> None:
    def unplugged(relaxation: Relaxation) -> Relaxation:
        raise OSError("no such device")

    session, problem = opened(unplugged)
    with pytest.raises(RunError, match="Spoilt with Descent, free phase: OSError: no such device") as caught:
        session.settle(problem)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_session_that_builds_on_another_ones_settle_is_checked_too() -> None:
    class Above(Spoilt):
        def settle(self, problem: Problem, start: State | None = None, *, generator: Any = None) -> Relaxation:
            relaxation = super().settle(problem, start, generator=generator)
            return attrs.evolve(relaxation, steps=relaxation.steps.double())

    session, problem = opened(lambda relaxation: relaxation, kind=Above)
    with pytest.raises(RunError, match=r"Above with Descent, free phase: its steps came back as torch\.float64"):
        session.settle(problem)


@configurable
class Euler(IterativeRelaxer):
    """s <- s - dt dF/ds."""

    dt: float = option(default=0.5, help="step", gt=0)

    def step(self, view: View) -> None:
        for name in view.order():
            view.write(name, view.units[name] + self.dt * view.force(name))


def euler(dt: float) -> tuple[Session, Problem]:
    energy, relaxer = Springs(), Euler(dt=dt, steps=3000, tol=0.0)
    network = eb.make_network(Chain(), energy, (4,), 2, generator=torch.Generator().manual_seed(0))
    session = Simulator().open(network, energy, relaxer, device=torch.device("cpu"), dtype=torch.float32)
    return session, Problem.free(network, energy, torch.rand(6, 4, generator=torch.Generator().manual_seed(1)))


def test_a_dynamics_with_too_long_a_step_is_told_so() -> None:
    session, problem = euler(dt=0.5)
    session.settle(problem)
    session, problem = euler(dt=2.5)
    with pytest.raises(RunError, match=r"SimulatorSession with Euler, free phase: layer '\w+', sample 0") as caught:
        session.settle(problem)
    assert "shorten the step of the dynamics (dt = 2.5)" in caught.value.faults[0].advice


def test_weights_that_have_run_away_are_named_instead_of_the_step() -> None:
    session, problem = euler(dt=0.5)
    with torch.no_grad():
        problem.network.biases["output"].fill_(float("inf"))
    with pytest.raises(RunError, match=re.escape("biases.output holds values as large as inf")) as caught:
        session.settle(problem)
    assert caught.value.faults[0].advice == "lower lr or the gain of the model"


def test_the_trainer_says_which_of_loss_gradient_and_weights_is_not_finite() -> None:
    data = eb.Data.from_arrays(torch.rand(20, 4), torch.arange(20) % 2)
    parts: dict[str, Any] = {
        "model": Chain(),
        "energy": Springs(),
        "relaxer": Descent(),
        "cost": SquaredError(),
        "data": data,
        "epochs": 1,
    }

    @configurable
    class Bad(Centred):
        def estimate(self, *args: Any, **options: Any) -> Any:
            estimate = Centred().estimate(*args, **options)
            return attrs.evolve(estimate, gradients={name: g * torch.inf for name, g in estimate.gradients.items()})

    with pytest.raises(RunError, match="the gradient is not finite in epoch 1, batch 1") as caught:
        eb.train(**parts, rule=Bad())
    assert "raise beta" in caught.value.faults[0].advice
    with pytest.raises(RunError, match=r"not finite in epoch 1, batch 2: .* holds values as large as") as caught:
        eb.train(**parts, rule=Centred(), optimizer="sgd", lr=1e30, batch_size=4)
    assert caught.value.faults[0].advice == "lower lr or the gain of the model"
