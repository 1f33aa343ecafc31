"""What every cost promises: its derivative, its quadratic form, its curvature bound, its encoding of labels."""

import torch
from torch import Tensor

from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.registry import Registry
from eb_core.testing.defaults import default_part
from eb_core.testing.kit import Suite, check_of, require_all
from eb_core.testing.report import SkippedError
from eb_core.testing.verdict import require, require_close


def check_cost(cost: Cost, energy: Energy, classes: int = 4, samples: int = 9) -> int:
    """Check a cost on random read-outs of `energy`, in float64; returns the number of cases.

    * `derivative` = dC/dr by autograd; `quadratic`, if given, differs from C by a constant;
    * no second derivative exceeds `curvature`;
    * a read-out that equals the target is predicted as its label.

    Raises:
        ConformanceError: naming the promise and the size of the violation.
    """
    return require_all(cost_suite(cost, energy, classes, samples), type(cost).__name__)


def cost_suite(cost: Cost, energy: Energy | None = None, classes: int = 4, samples: int = 9) -> Suite:
    """The promises of a cost, one test for each; see `check_cost`.

    Args:
        cost: at the options that are to be checked.
        energy: whose read-outs it judges; default: that of a run without options.
        classes: number of classes.
        samples: number of random read-outs.

    Raises:
        UsageError: no energy is named, and none is installed.
    """
    physics: Energy = energy or default_part(Registry.installed(), "energy")
    where = type(cost).__name__
    outputs = cost.outputs(classes)
    labels = torch.arange(samples) % classes

    def target() -> Tensor:
        return cost.encode(labels, classes, physics, torch.float64)

    def readout() -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(samples, outputs, generator=generator, dtype=torch.float64).requires_grad_()

    def encoding() -> None:
        encoded = target()
        require(tuple(encoded.shape) == (samples, outputs), "targets have one value for each output unit", where)
        require(bool((cost.predict(encoded) == labels).all()), "the target itself is predicted as its label", where)

    def slope(r: Tensor) -> Tensor:
        value = cost.value(r, target())
        require(tuple(value.shape) == (samples,), "one value for each sample", where)
        return torch.autograd.grad(value.sum(), r)[0]

    def derivative() -> None:
        r = readout()
        require_close(cost.derivative(r, target()).detach(), slope(r), "derivative = dC/dr", where)

    def quadratic() -> None:
        closed, r = cost.quadratic(target()), readout()
        if closed is None:
            raise SkippedError("it says that it is not quadratic")
        a, b = closed
        require_close(a * r.detach() - b, slope(r), "quadratic (a, b): dC/dr = a r - b", where)

    def curvature() -> None:
        for row, r in enumerate(readout().detach()):
            aim = target()[row : row + 1]
            hessian = torch.autograd.functional.hessian(  # type: ignore[no-untyped-call]
                lambda r, aim=aim: cost.value(r.unsqueeze(0), aim).sum(), r
            )
            largest = float(torch.linalg.eigvalsh(hessian).max())
            require(largest <= cost.curvature + 1e-12, f"no curvature above {cost.curvature:g}: {largest:.3g}", where)

    return (
        check_of("encoding", "a target has a value for each output unit, and is predicted as its label", encoding),
        check_of("derivative", "derivative is dC/dr by autograd", derivative),
        check_of("quadratic", "the quadratic form, if it gives one, differs from C by a constant", quadratic),
        check_of("curvature", "no second derivative exceeds curvature", curvature),
    )
