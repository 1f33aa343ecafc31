"""What every rule promises: a gradient for every parameter, and nothing else changed."""

import torch

from eb_core.diagnostics.as_trained import measure_as_trained
from eb_core.diagnostics.nets import fitting_shapes
from eb_core.diagnostics.problems import free_problem, labels_of
from eb_core.learning.rule import Rule
from eb_core.learning.simulator import Simulator
from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.settling.relaxer import Relaxer
from eb_core.testing.verdict import global_random_state_untouched, require, require_close


def check_rule(rule: Rule, relaxer: Relaxer, energy: Energy, cost: Cost) -> int:
    """Check a rule on random nets; returns the number of nets.

    * a finite gradient of the right shape for every trainable parameter;
    * loss and read-out are those of the free state; `free` is among the phases;
    * parameters, `.grad` and the global random state are left alone; the same call gives the same gradient.

    Raises:
        ConformanceError: naming the promise and the place.
    """
    shapes = fitting_shapes(energy)
    for where in shapes:
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
        require("free" in first.phases, "the free phase is reported", where)
        readout = problem.readout(first.phases["free"].state)
        require_close(first.readout, readout, "the read-out is that of the free state", where)
        require_close(first.loss, cost.value(readout, target), "the loss is that of the free state", where)
        require(set(first.gradients) == set(network.parameter_names()), "a gradient for every parameter", where)
        for name, parameter in network.named_parameters():
            gradient = first.gradients[name]
            require(gradient.shape == parameter.shape, f"the gradient of {name} has its shape", where)
            require(bool(torch.isfinite(gradient).all()), f"the gradient of {name} is finite", where)
            require(torch.equal(gradient, second.gradients[name]), f"the gradient of {name} is repeatable", where)
            require(torch.equal(parameter, kept[name]), f"{name} is left alone", where)
            require(parameter.grad is None, f".grad of {name} is left alone", where)
    return len(shapes)


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
