"""What keeps a training from learning, measured on a few samples: each advice names a cause that was tried.

Is the estimate the gradient that its rule names? It is compared with the same rule's estimate from the same free state
in float64, with more iterations and a tighter tolerance; where the two disagree, each of the three is tried alone.
Do the inputs reach the read-out? What the states of each layer spread over the samples is compared with the targets.
Do units have room? Where nearly all sit on a wall, scaled inputs and the first weights are tried.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import torch
from torch import Tensor

from eb_core.learning.learner import Learner
from eb_core.learning.rule import GradientEstimate
from eb_core.learning.simulator import MixedSession, Simulator
from eb_core.network.network import Network
from eb_core.registry.options import evolve, fields
from eb_core.settling.relaxer import Relaxer
from eb_core.settling.state import State

FAITHFUL = 0.95
"""Cosine with the converged estimate below which an estimate is not the gradient that its rule names: 18 degrees."""
MORE, AMPLE, TIGHTER = 10, 1000, 1e-3
"""Times the iterations (twice, where that is more than ample), and times the tolerance, of what is compared with."""
SATURATED = 0.95
"""Share of hidden units on a wall above which a net has no room to learn."""
LOUD = 3.0
"""Root mean square of inputs above which they may be what drives units to their walls."""
SPREAD = 0.02
"""Spread of the read-outs, relative to that of the targets, below which they tell no input from another."""


@attrs.frozen(eq=False)
class Probe:
    """A training as it stands, and a few of its samples.

    Args:
        learner: what trains; its session must be a simulation.
        first: makes the network with the weights that training began with.
        x, labels: samples (B, *shape) and classes (B,) on the network's device.
    """

    learner: Learner
    first: Callable[[], Network]
    x: Tensor
    labels: Tensor

    def advice(self) -> list[str]:
        """What to change, each with the figure that says so; empty where nothing is wrong."""
        estimate = self._estimate(self.learner)
        free = estimate.phases["free"].state
        causes = (self._walls(free), self._faithful(estimate), self._spread(free, estimate.readout))
        return next((lines for cause in causes if (lines := list(cause))), [])

    def _estimate(self, learner: Learner, carry: State | None = None) -> GradientEstimate:
        generator = torch.Generator(learner.like.device).manual_seed(learner.seed)
        return learner.estimate(self.x.to(learner.like), self.labels, carry=carry, generator=generator)

    def _with(self, network: Network, relaxer: Relaxer) -> Learner:
        """The same on this computer, with another network and dynamics."""
        return attrs.evolve(self.learner, network=network, relaxer=relaxer, backend=Simulator())

    def _faithful(self, estimate: GradientEstimate) -> Iterator[str]:
        """Does the estimate point along the one from converged states, and if not, what is it that lacks?"""
        learner, network, relaxer = self.learner, self.learner.network, self.learner.relaxer
        precise, more, tighter = copy.deepcopy(network).double(), _longer(relaxer), _tighter(relaxer)
        free = State(estimate.phases["free"].state.units)
        start = free.map(Tensor.double)
        converged = _flat(self._estimate(self._with(precise, _tighter(more)), start))
        agreement = _cosine(_flat(estimate), converged)
        if agreement is None or agreement >= FAITHFUL:
            return
        said = f"the gradient estimate has a cosine of {agreement:.2f} with that of converged states"
        again = _cosine(_flat(self._estimate(attrs.evolve(learner, seed=learner.seed + 1))), _flat(estimate))
        if again is not None and again < FAITHFUL:
            yield f"{said}, and of {again:.2f} with another draw of its noise: raise beta, or average more states"
            return
        coarse = isinstance(learner.session, MixedSession)
        for weights, changed, cure in (
            *([(network, relaxer, "settle with precision=full, or raise polish")] if coarse else []),
            (network, more, f"raise steps and nudged_steps of the relaxer{_budget(more)}"),
            (precise, relaxer, f"{_name_of(network)} does not resolve this beta: use float64, or raise beta"),
            (network, _tighter(more), f"lower tol of the relaxer{_given(relaxer, tighter)}"),
            (precise, more, "use float64, and raise steps and nudged_steps of the relaxer"),
        ):
            begun = start if weights is precise else free
            tried = _cosine(_flat(self._estimate(self._with(weights, changed), begun)), converged)
            if tried is not None and tried >= FAITHFUL:
                yield f"{said}: {cure}"
                return
        yield (
            f"{said}, and neither more iterations nor float64 mend it: a read-out of few bits, or a dynamics that"
            " does not come to rest"
        )

    def _spread(self, free: State, readout: Tensor) -> Iterator[str]:
        """Do the read-outs differ from one input to another, and if not, where is the difference lost?"""
        target = self.learner.target(self.labels)
        wanted, reached = _spread_of(target), _spread_of(readout)
        if wanted == 0 or reached >= SPREAD * wanted:
            return
        hidden = [layer.name for layer in self.learner.network.unit_layers if layer.role == "hidden"]
        kept = {name: _spread_of(free[name]) for name in hidden}
        said = f"the read-outs of all inputs are the same (they spread {reached:.1g}, the targets {wanted:.1g})"
        lost = next((name for name in hidden if kept[name] < SPREAD * wanted), None)
        if lost is None:  # the hidden layers tell them apart, and what is missing may be nothing but time
            return
        if lost == hidden[0]:
            yield f"{said}: layer {lost} does not see the inputs; scale them up, or raise the gain of the model"
        else:
            before = hidden[hidden.index(lost) - 1]
            yield (
                f"{said}: what differs is lost between the layers {before} (spread {kept[before]:.1g}) and {lost}"
                f" ({kept[lost]:.1g}); use fewer hidden layers"
            )

    def _walls(self, free: State) -> Iterator[str]:
        """Do nearly all hidden units sit on a wall, and is it the inputs, the first weights or the learning?"""
        share = self._saturated(self.learner.network, free)
        if share is None or share <= SATURATED:
            return
        said = f"{share:.0%} of the hidden units sit on a wall"
        size = float(self.x.double().square().mean().sqrt())
        network = self.first()
        first = self._settled_share(network, self.x)
        if size > LOUD and self._settled_share(network, self.x / size) <= SATURATED < first:
            yield f"{said}, because inputs are as large as {size:.3g} (root mean square): scale them to about 1"
        elif first > SATURATED:
            yield f"{said}, {first:.0%} of them with the first weights already: lower the gain of the model"
        else:
            yield f"{said}, {first:.0%} before training: lower the learning rate"

    def _settled_share(self, network: Network, x: Tensor) -> float:
        learner = self._with(network, self.learner.relaxer)
        generator = torch.Generator(x.device).manual_seed(learner.seed)
        return self._saturated(network, learner.infer(x.to(learner.like), generator=generator).state) or 0.0

    def _saturated(self, network: Network, state: State) -> float | None:
        energy = self.learner.energy
        hidden = [layer for layer in network.unit_layers if layer.role == "hidden"]
        walls = [at for layer in hidden if (at := energy.domain(layer).at_wall(state[layer.name])) is not None]
        return float(torch.cat([at.flatten() for at in walls]).double().mean()) if walls else None


def _longer(relaxer: Relaxer) -> Relaxer:
    return _changed(relaxer, lambda value: min(MORE * value, max(2 * value, AMPLE)), "steps", "nudged_steps")


def _tighter(relaxer: Relaxer) -> Relaxer:
    return _changed(relaxer, lambda value: TIGHTER * value, "tol", "nudged_tol")


def _changed(relaxer: Relaxer, change: Callable[[Any], Any], *names: str) -> Relaxer:
    """The dynamics with these options changed, as far as it has them."""
    known = {field.name for field, _ in fields(type(relaxer))} & set(names)
    values = {name: getattr(relaxer, name) for name in known}
    return evolve(relaxer, **{name: change(value) for name, value in values.items() if value is not None})


def _budget(more: Relaxer) -> str:
    counts = [str(count) for name in ("steps", "nudged_steps") if (count := getattr(more, name, None)) is not None]
    return f", as {' and '.join(counts)} mend it" if counts else ""


def _given(relaxer: Relaxer, tighter: Relaxer) -> str:
    tol = getattr(relaxer, "tol", None)
    return "" if tol is None else f" from {tol:g} to {getattr(tighter, 'tol', tol):g}"


def _name_of(network: Network) -> str:
    return str(next(network.parameters()).dtype).removeprefix("torch.")


def _spread_of(values: Tensor) -> float:
    """Root mean square deviation from the mean over the samples."""
    return float(values.double().std(0, correction=0).square().mean().sqrt())


def _flat(estimate: GradientEstimate) -> Tensor:
    return torch.cat([value.detach().double().flatten() for value in estimate.gradients.values()])


def _cosine(a: Tensor, b: Tensor) -> float | None:
    """None where one of the two is zero or not finite."""
    lengths = float(a.norm() * b.norm())
    return float(a @ b) / lengths if 0 < lengths < torch.inf else None
