"""What every edge promises: pullback is the adjoint derivative of drive, `plus` adds, `linear` is true."""

import torch
from torch import Tensor

from eb_core.network.edge import Edge
from eb_core.testing.verdict import require, require_close


def check_edge(edge: Edge, pre_shape: tuple[int, ...], post_shape: tuple[int, ...], samples: int = 4) -> None:
    """Check an edge between layers of these shapes, in float64, with random weights.

    * `pullback(u_post, context=…)` = d<drive(u_pre), u_post> / du_pre by autograd;
    * `gradient` = d<drive(u_pre), u_post> / d parameter by autograd;
    * `drive_at` is the transpose of `pullback`, and `drive` at the u_pre of its context;
    * `plus` is added, not changed; `drive_and_context` agrees with `drive`;
    * `linear` edges are linear in u_pre; all are positively homogeneous;
    * `as_matrix`, if it gives one, is the matrix of `drive`;
    * self-terms broadcast to the layers' shapes, and `curvature_gradient` is their derivative by autograd;
    * `init_` and `project_` leave parameters within their `bounds`, and projecting twice changes nothing;
    * on a lateral edge no state has less energy than its `majorant` allows: u'(diag(a) + J)u >= 0.

    Raises:
        ConformanceError: naming the promise and the size of the violation.
    """
    where = type(edge).__name__
    generator = torch.Generator().manual_seed(0)
    edge.double().init_(1.0, generator)

    def draw(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.rand(samples, *shape, generator=generator, dtype=torch.float64)

    u_pre, u_post = draw(pre_shape).requires_grad_(), draw(post_shape)
    drive, context = edge.drive_and_context(u_pre)
    require_close(drive, edge.drive(u_pre), "drive_and_context agrees with drive", where)
    slope = torch.autograd.grad((drive * u_post).sum(), u_pre)[0]
    u = u_pre.detach()
    require_close(edge.pullback(u_post, context=context).detach(), slope, "pullback = d<drive(u), v>/du", where)
    plus_post, plus_pre = draw(post_shape), draw(pre_shape)
    kept = plus_post.clone()
    require_close(edge.drive(u, plus_post), plus_post + edge.drive(u), "drive adds to plus", where)
    require_close(edge.pullback(u_post, plus_pre, context), plus_pre + slope, "pullback adds to plus", where)
    require(torch.equal(plus_post, kept), "plus is left alone", where)
    require_close(edge.drive(2 * u), 2 * edge.drive(u), "drive is positively homogeneous", where)
    for name, gradient in edge.gradient(u, u_post).items():
        parameter = edge.get_parameter(name)
        expected = torch.autograd.grad((edge.drive(u) * u_post).sum(), parameter)[0]
        require_close(gradient, expected, f"gradient of {name} = d<drive(u), v>/d{name}", where)
    other = draw(pre_shape) - 0.5
    bent = edge.drive_at(other, context)
    require_close((bent * u_post).sum(), (other * slope).sum(), "drive_at is the transpose of pullback", where)
    require_close(edge.drive_at(u, context), edge.drive(u), "drive_at the context's u_pre is drive", where)
    if edge.linear:
        require_close(edge.drive(u + other), edge.drive(u) + edge.drive(other), "a linear edge is linear", where)
        require_close(edge.pullback(u_post), slope, "a linear edge needs no context", where)
    matrix = edge.as_matrix()
    if matrix is not None:
        product = (u.flatten(1) @ matrix.t()).view_as(drive)
        require_close(product, edge.drive(u), "as_matrix is the matrix of drive", where)
    _check_self_terms(edge, draw(pre_shape)[0], draw(post_shape)[0], where)
    _check_constraints(edge, generator, where)
    if edge.is_lateral:
        _check_majorant(edge, pre_shape, where)


def _check_self_terms(edge: Edge, pre: Tensor, post: Tensor, where: str) -> None:
    """Compare `curvature_gradient` with autograd."""
    curvature = edge.curvature()
    if curvature is None:
        require(not edge.curvature_gradient(pre, post), "an edge without self-terms has no gradient of them", where)
        return
    shapes = [(pre, curvature[0], "pre"), (post, curvature[1], "post")]
    for layer, own, end in shapes:
        require((own + layer).shape == layer.shape, f"the self-term at {end} has the layer's shape", where)
    total = (curvature[0] * pre).sum() + (curvature[1] * post).sum()
    for name, gradient in edge.curvature_gradient(pre, post).items():
        expected = torch.autograd.grad(total, edge.get_parameter(name), retain_graph=True)[0]
        require_close(gradient, expected, f"curvature_gradient of {name} = d<a, q>/d{name}", where)


@torch.no_grad()
def _check_constraints(edge: Edge, generator: torch.Generator, where: str) -> None:
    """Throw parameters far out and project them twice."""
    parameters = dict(edge.named_parameters())
    unknown = sorted({*edge.bounds} - {*parameters})
    require(not unknown, f"bounds name parameters: {unknown}", where)
    _require_within(edge, "after init_", where)
    kept = {name: value.clone() for name, value in parameters.items()}
    for value in parameters.values():
        value.normal_(generator=generator).mul_(10)
    edge.project_()
    _require_within(edge, "after project_", where)
    once = {name: value.clone() for name, value in parameters.items()}
    edge.project_()
    for name, value in parameters.items():
        require(torch.equal(value, once[name]), f"projecting {name} twice changes nothing", where)
        value.copy_(kept[name])


def _require_within(edge: Edge, when: str, where: str) -> None:
    for name, (lowest, highest) in edge.bounds.items():
        value = edge.get_parameter(name)
        inside = bool(((value >= lowest) & (value <= highest)).all())
        require(inside, f"{name} lies in [{lowest:g}, {highest:g}] {when}", where)


@torch.no_grad()
def _check_majorant(edge: Edge, shape: tuple[int, ...], where: str) -> None:
    """diag(a) + J by its smallest eigenvalue."""
    size = edge.majorant(shape)
    require(size.shape == shape, f"majorant has the layer's shape {shape}, not {tuple(size.shape)}", where)
    units = torch.eye(size.numel(), dtype=torch.float64).view(-1, *shape)
    couplings = (edge.drive(units) + edge.pullback(units)).flatten(1)
    lowest = float(torch.linalg.eigvalsh(couplings + torch.diag(size.flatten()))[0])
    require(lowest >= -1e-9, f"diag(majorant) + J has no negative eigenvalue, but {lowest:.2e}", where)
