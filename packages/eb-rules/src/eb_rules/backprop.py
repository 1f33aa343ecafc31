"""Three baselines that are not local: truncated and recurrent backpropagation through settling, and plain backprop.

tbp:  run T further iterations from the detached free state and differentiate the cost at their end
rbp:  lambda_0 = dC/ds;  T times: g += (df/dtheta)' lambda, lambda <- (df/ds)' lambda,  f(s) = P(s - dt dE/ds)
bp:   the feed-forward net of the same shape: s_l = argmin of layer l under what lower layers send, and its gradient

Scellier et al., NeurIPS 2023 (arXiv 2312.15103), Sec. 2 and App.; Almeida 1987, Pineda 1987 for rbp.
"""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from eb_core import (
    Cost,
    Diagnostic,
    GradientEstimate,
    Network,
    Problem,
    Relaxation,
    Rule,
    Session,
    Setup,
    State,
    UsageError,
    View,
    configurable,
    option,
    refuse,
)


@configurable
class TruncatedBackprop(Rule):
    """The gradient of C after T further iterations from the free state, that state held fixed.

    As T grows, and settling converges, it becomes the gradient of the cost at the free equilibrium; a finite T cuts
    off the part that needs more than T iterations to reach the output.
    """

    phases = ("free",)
    settles = 1
    differentiates = True

    steps: int = option(default=15, help="iterations T that are differentiated", unit="iterations", ge=1)

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        return _not_smooth(setup)

    def estimate(
        self,
        session: Session,
        x: Tensor,
        target: Tensor,
        cost: Cost,
        *,
        carry: State | None = None,
        generator: torch.Generator | None = None,
    ) -> GradientEstimate:
        _needs_simulation(session, "tbp")
        problem = Problem.free(session.network, session.energy, x)
        free = self.infer(session, problem, generator=generator)
        with torch.enable_grad():
            end = session.relaxer.iterate(problem, free.state.detach(), self.steps, generator=generator)
            gradients = _gradients(cost.value(problem.readout(end), target).mean(), session.network)
        readout = problem.readout(free.state)
        return GradientEstimate(gradients, cost.value(readout, target), readout, {"free": free})


@configurable
class RecurrentBackprop(Rule):
    """The gradient of the cost at the free equilibrium by T terms of its Neumann series: exact as T grows.

    Term t is (df/dtheta)' ((df/ds)')^t dC/ds; the series converges while f contracts, and its rest shrinks with
    the T-th power of the contraction. f is one synchronous projected step, the walls' mask included.
    """

    phases = ("free",)
    settles = 1
    differentiates = True

    steps: int = option(default=15, help="terms T of the series", unit="iterations", ge=1)
    dt: float = option(default=1.0, help="step of f(s) = P(s - dt dE/ds); below 1 for stiff energies", gt=0)

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        return _not_smooth(setup)

    def estimate(
        self,
        session: Session,
        x: Tensor,
        target: Tensor,
        cost: Cost,
        *,
        carry: State | None = None,
        generator: torch.Generator | None = None,
    ) -> GradientEstimate:
        problem = Problem.free(session.network, session.energy, x)
        free = self.infer(session, problem, generator=generator)
        parameters = dict(session.network.named_parameters())
        names = session.network.parameter_names()
        total = {name: torch.zeros_like(parameters[name]) for name in names}
        with torch.enable_grad():
            units = {name: value.detach().requires_grad_() for name, value in free.state.units.items()}
            state = State(units)
            readout = problem.readout(state)
            loss = cost.value(readout, target)
            costate = _gradients_of(loss.mean(), units)
            work = View(problem, state)
            after = [
                session.energy.domain(layer).project(units[name] + self.dt * work.force(name))
                for name, layer in work.layers.items()
            ]
            leaves = [*units.values(), *(parameters[name] for name in names)]
            for _ in range(self.steps):
                pulled = torch.autograd.grad(
                    after, leaves, [costate[name] for name in work.layers], retain_graph=True, materialize_grads=True
                )
                for name, term in zip(names, pulled[len(units) :], strict=True):
                    total[name] += term
                costate = dict(zip(units, pulled[: len(units)], strict=True))
        return GradientEstimate(total, loss.detach(), readout.detach(), {"free": free})


@configurable
class Backprop(Rule):
    """The exact gradient of the cost of the feed-forward net of the same shape; nothing settles, nothing is fed back.

    Predictions are those of the feed-forward pass, also in evaluation. Lateral edges take no part.
    """

    phases = ()
    settles = 0
    differentiates = True

    def infer(
        self,
        session: Session,
        problem: Problem,
        start: State | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Relaxation:
        state = feed_forward(problem)
        steps = torch.ones(problem.batch, dtype=torch.int64, device=problem.x.device)
        return Relaxation(problem, state, steps)

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        return _not_smooth(setup)

    def estimate(
        self,
        session: Session,
        x: Tensor,
        target: Tensor,
        cost: Cost,
        *,
        carry: State | None = None,
        generator: torch.Generator | None = None,
    ) -> GradientEstimate:
        problem = Problem.free(session.network, session.energy, x)
        with torch.enable_grad():
            pass_forward = self.infer(session, problem)
            readout = problem.readout(pass_forward.state)
            loss = cost.value(readout, target)
            gradients = _gradients(loss.mean(), session.network)
        state = pass_forward.state.detach()
        free = Relaxation(problem, state, pass_forward.steps)
        return GradientEstimate(gradients, loss.detach(), readout.detach(), {"free": free})


def feed_forward(problem: Problem) -> State:
    """Layer after layer at its minimum under the input and the layers before it alone; differentiable."""
    work = View(problem, problem.initial_state())
    for name in work.layers:
        work.write(name, work.minimized(name, work.field(name, feedback=False), majorised=False))
    return work.state()


def _gradients(loss: Tensor, network: Network) -> dict[str, Tensor]:
    parameters = dict(network.named_parameters())
    return _gradients_of(loss, {name: parameters[name] for name in network.parameter_names()})


def _gradients_of(loss: Tensor, leaves: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = torch.autograd.grad(loss, list(leaves.values()), retain_graph=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def _not_smooth(setup: Setup) -> Iterator[Diagnostic]:
    if setup.energy is not None and not setup.energy.differentiable:
        kind = type(setup.energy).__name__
        yield refuse(f"it differentiates states, and units of {kind} have no derivative; use a contrastive rule")


def _needs_simulation(session: Session, rule: str) -> None:
    if not session.simulates:
        raise UsageError(f"{rule} differentiates the dynamics, which a device does not show", advice="use c-ep there")
