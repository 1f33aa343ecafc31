"""What every cost promises: its derivative, its quadratic form, its curvature bound, its encoding of labels."""

import torch

from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.testing.verdict import require, require_close


def check_cost(cost: Cost, energy: Energy, classes: int = 4, samples: int = 9) -> None:
    """Check a cost on random read-outs of `energy`, in float64.

    * `derivative` = dC/dr by autograd; `quadratic`, if given, differs from C by a constant;
    * no second derivative exceeds `curvature`;
    * a read-out that equals the target is predicted as its label.

    Raises:
        ConformanceError: naming the promise and the size of the violation.
    """
    where = type(cost).__name__
    generator = torch.Generator().manual_seed(0)
    outputs = cost.outputs(classes)
    labels = torch.arange(samples) % classes
    target = cost.encode(labels, classes, energy, torch.float64)
    require(tuple(target.shape) == (samples, outputs), "targets have one value for each output unit", where)
    require(bool((cost.predict(target) == labels).all()), "the target itself is predicted as its label", where)
    readout = torch.randn(samples, outputs, generator=generator, dtype=torch.float64).requires_grad_()
    value = cost.value(readout, target)
    require(tuple(value.shape) == (samples,), "one value for each sample", where)
    slope = torch.autograd.grad(value.sum(), readout)[0]
    require_close(cost.derivative(readout, target).detach(), slope, "derivative = dC/dr", where)
    closed = cost.quadratic(target)
    if closed is not None:
        a, b = closed
        require_close(a * readout.detach() - b, slope, "quadratic (a, b): dC/dr = a r - b", where)
    for row in range(samples):
        hessian = torch.autograd.functional.hessian(  # type: ignore[no-untyped-call]
            lambda r, row=row: cost.value(r.unsqueeze(0), target[row : row + 1]).sum(), readout[row].detach()
        )
        largest = float(torch.linalg.eigvalsh(hessian).max())
        require(largest <= cost.curvature + 1e-12, f"no curvature above {cost.curvature:g}: {largest:.3g}", where)
