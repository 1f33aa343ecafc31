"""What every edge promises: pullback is the adjoint derivative of drive, `plus` adds, `linear` is true."""

import torch

from eb_core.testing.verdict import require, require_close
from eb_core.things.edge import Edge


def check_edge(edge: Edge, pre_shape: tuple[int, ...], post_shape: tuple[int, ...], samples: int = 4) -> None:
    """Check an edge between layers of these shapes, in float64, with random weights.

    * `pullback(u_post, context=…)` = d<drive(u_pre), u_post> / du_pre by autograd;
    * `gradient` = d<drive(u_pre), u_post> / d parameter by autograd;
    * `drive_at` is the transpose of `pullback`, and `drive` at the u_pre of its context;
    * `plus` is added, not changed; `drive_and_context` agrees with `drive`;
    * `linear` edges are linear in u_pre; all are positively homogeneous.

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
