"""What every rule promises: a gradient for every parameter, and nothing else changed."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs
import torch
from torch import Tensor

from eb_core.diagnostics.as_trained import measure_as_trained
from eb_core.diagnostics.measure import measure_rule
from eb_core.diagnostics.nets import fitting_shapes
from eb_core.diagnostics.problems import free_problem, labels_of
from eb_core.learning.fit import misfit
from eb_core.learning.rule import GradientEstimate, Rule
from eb_core.learning.simulator import Simulator
from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.registry import Registry
from eb_core.registry.setup import Setup
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxer
from eb_core.testing.defaults import default_part, fitting_relaxer
from eb_core.testing.kit import Suite, check_of
from eb_core.testing.report import SkippedError
from eb_core.testing.verdict import global_random_state_untouched, require, require_close, require_findings


def check_rule(rule: Rule, relaxer: Relaxer, energy: Energy, cost: Cost) -> int:
    """Check a rule on random nets; returns the number of nets.

    * a finite gradient of the right shape for every trainable parameter;
    * loss and read-out are those of the free state; `free` is among the phases;
    * parameters, `.grad` and the global random state are left alone; the same call gives the same gradient.

    Raises:
        ConformanceError: naming the promise and the place.
    """
    shapes = fitting_shapes(energy)
    for estimated in _estimated(rule, relaxer, energy, cost):
        for _, _, look in PROMISES:
            look(estimated)
    return len(shapes)


def rule_suite(
    rule: Rule, relaxer: Relaxer | None = None, energy: Energy | None = None, cost: Cost | None = None
) -> Suite:
    """The promises of a rule, one test for each; see `check_rule` and `check_as_trained`.

    Args:
        rule: at the options that are to be checked.
        relaxer: what settles; default: that of a run without options if it fits, else the first installed one.
        energy: the physics; default: that of a run without options.
        cost: likewise.

    Raises:
        UsageError: a part that is left out is not installed.
    """
    registry = Registry.installed()
    physics: Energy = energy or default_part(registry, "energy")
    price: Cost = cost or default_part(registry, "cost")
    dynamics = relaxer or fitting_relaxer(registry, physics)

    @functools.cache
    def estimates() -> tuple[Estimated, ...]:
        return tuple(_estimated(rule, dynamics, physics, price))

    def each(look: Callable[[Estimated], None]) -> None:
        for estimated in estimates():
            look(estimated)

    def fits() -> None:
        reason = misfit(Setup(rule=rule, relaxer=dynamics, energy=physics, cost=price))
        require(reason is None, f"{type(dynamics).__name__}, {type(physics).__name__} fit ({reason})", str(rule))

    def as_trained() -> None:
        if not check_as_trained(rule, dynamics, physics, price):
            raise SkippedError("it promises nothing for finite options")

    def exact() -> None:
        require_findings(measure_rule("", rule, dynamics, physics, price))

    return (
        check_of("fits", "the other parts fit it", fits, is_first=True),
        *(check_of(name, promise, functools.partial(each, look)) for name, promise, look in PROMISES),
        check_of("as trained", "at its options it gives the gradient that settling to the end gives", as_trained),
        check_of("exact gradient", "its gradient tends to the exact one of its objective, as fast as it says", exact),
    )


@attrs.frozen(eq=False)
class Estimated:
    """One estimate on one net, made twice.

    Args:
        kept: parameters as they were before.
        target: what the cost compared with.
    """

    problem: Problem
    where: str
    cost: Cost
    target: Tensor
    kept: Mapping[str, Tensor]
    first: GradientEstimate
    second: GradientEstimate


def _estimated(rule: Rule, relaxer: Relaxer, energy: Energy, cost: Cost) -> Iterator[Estimated]:
    """One batch on every net that the energy admits."""
    for where in fitting_shapes(energy):
        problem = free_problem(energy, where)
        network = problem.network
        kept = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        classes = network.layers[network.output].size
        target = cost.encode(labels_of(problem), classes, energy, torch.float64)
        opened = Simulator().open(network, energy, relaxer, device=torch.device("cpu"), dtype=torch.float64)
        with opened as session, global_random_state_untouched(where):
            first, second = (
                rule.estimate(session, problem.x, target, cost, generator=torch.Generator().manual_seed(1))
                for _ in range(2)
            )
        yield Estimated(problem, where, cost, target, kept, first, second)


def _check_free_phase(estimated: Estimated) -> None:
    first, where = estimated.first, estimated.where
    require("free" in first.phases, "the free phase is reported", where)
    readout = estimated.problem.readout(first.phases["free"].state)
    require_close(first.readout, readout, "the read-out is that of the free state", where)
    loss = estimated.cost.value(readout, estimated.target)
    require_close(first.loss, loss, "the loss is that of the free state", where)


def _check_gradients(estimated: Estimated) -> None:
    network, first, where = estimated.problem.network, estimated.first, estimated.where
    require(set(first.gradients) == set(network.parameter_names()), "a gradient for every parameter", where)
    for name, parameter in network.named_parameters():
        gradient = first.gradients[name]
        require(gradient.shape == parameter.shape, f"the gradient of {name} has its shape", where)
        require(bool(torch.isfinite(gradient).all()), f"the gradient of {name} is finite", where)


def _check_repeats(estimated: Estimated) -> None:
    for name, gradient in estimated.first.gradients.items():
        again = estimated.second.gradients[name]
        require(torch.equal(gradient, again), f"the gradient of {name} is repeatable", estimated.where)


def _check_left_alone(estimated: Estimated) -> None:
    for name, parameter in estimated.problem.network.named_parameters():
        require(torch.equal(parameter, estimated.kept[name]), f"{name} is left alone", estimated.where)
        require(parameter.grad is None, f".grad of {name} is left alone", estimated.where)


PROMISES: Final[tuple[tuple[str, str, Callable[[Estimated], None]], ...]] = (
    ("free phase", "loss and read-out are those of the free state", _check_free_phase),
    ("gradients", "every parameter has a finite gradient of its shape", _check_gradients),
    ("repeatable", "the same call gives the same gradient", _check_repeats),
    ("left alone", "parameters, .grad and the global random state are left alone", _check_left_alone),
)
"""Name, promise, and what looks at it in one estimate."""


def check_as_trained(rule: Rule, relaxer: Relaxer, energy: Energy, cost: Cost) -> int:
    """Check a rule and a dynamics at the options they are given; returns the number of nets.

    Raises:
        ConformanceError: the estimate is not the gradient that settling to the end gives.
    """
    judged = [one for one in measure_as_trained("", rule, relaxer, energy, cost) if one.holds is not None]
    for one in judged:
        promise = (
            f"{rule} with {relaxer}, worst cosine of beta 0.1 to 1e-5 with the converged estimate: {one.value:.3f}"
        )
        require(bool(one.holds), promise, one.net)
    return len(judged)
