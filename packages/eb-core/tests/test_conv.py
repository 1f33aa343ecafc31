"""The convolutional edge: its promises over every geometry, and that its wiring is the one the papers mean."""

import itertools

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from eb_core import Conv, Edge
from eb_core.testing import check_edge

GEOMETRIES = list(itertools.product((1, 3, 5), ((1, 0), (1, 1), (2, 1), (3, 2)), ("max", "avg", "none"), (1, 2)))


@pytest.mark.parametrize("sides", [(7, 6), (9, 11)])
@pytest.mark.parametrize(("kernel", "step", "pool", "upscale"), GEOMETRIES)
def test_every_geometry_keeps_the_promises_of_an_edge(
    kernel: int, step: tuple[int, int], pool: str, upscale: int, sides: tuple[int, int]
) -> None:
    if upscale * min(sides) + 2 * step[1] - kernel < 2 * step[0] and pool != "none":
        pytest.skip("nothing is left to pool")
    edge = Conv("a", "b", (2, *sides), 3, kernel=kernel, stride=step[0], padding=step[1], pool=pool, upscale=upscale)  # type: ignore[arg-type]
    check_edge(edge, (2, *sides), edge.post_shape)


def test_max_pooling_sends_back_to_the_first_of_equal_maxima() -> None:
    edge = Conv("a", "b", (1, 2, 2), 1, kernel=1, padding=0)
    with torch.no_grad():
        edge.weight.fill_(2.0)
        image = torch.tensor([[[[0.25, 0.5], [0.5, 0.5]]]])
        drive, places = edge.drive_and_context(image)
        back = edge.pullback(torch.ones(1, 1, 1, 1), context=places)
    assert drive.flatten().tolist() == [1.0]
    assert back.flatten().tolist() == [0.0, 2.0, 0.0, 0.0]


def test_an_average_is_a_quarter_of_the_sum_and_a_stride_needs_no_pooling() -> None:
    image = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    mean, strided = (
        Conv("a", "b", (3, 6, 6), 4, pool="avg"),
        Conv("a", "b", (3, 6, 6), 4, stride=2, pool="none"),
    )
    assert mean.post_shape == strided.post_shape == (4, 3, 3)
    mean.init_(1.0, torch.Generator().manual_seed(1))
    full = F.conv2d(image, mean.weight, padding=1)
    quarters = sum(full[:, :, i::2, j::2] for i, j in itertools.product((0, 1), repeat=2)) / 4
    assert torch.allclose(mean.drive(image), quarters, atol=1e-6)
    assert [edge.linear for edge in (mean, strided, Conv("a", "b", (3, 6, 6), 4))] == [True, True, False]


def test_what_is_computed_lies_channels_last_as_the_weights_do() -> None:
    edge = Conv("a", "b", (3, 8, 8), 4)
    drive, places = edge.drive_and_context(torch.rand(2, 3, 8, 8))
    back = edge.pullback(torch.rand_like(drive), context=places)
    for value in (edge.weight, drive, back):
        assert value.is_contiguous(memory_format=torch.channels_last)


def test_an_edge_that_leaves_nothing_of_the_image_says_so() -> None:
    with pytest.raises(ValueError, match=r"nothing is left of an image of \(2, 2\) after kernel 5"):
        Conv("a", "b", (1, 2, 2), 1, kernel=5)
    with pytest.raises(ValueError, match="pooling 'max'"):
        Conv("a", "b", (1, 1, 1), 1)


@pytest.mark.parametrize(("side", "even"), [(8, True), (7, False)])
def test_an_edge_knows_whether_it_leaves_a_row_out(side: int, even: bool) -> None:
    assert Conv("a", "b", (1, side, side), 1).even is even


@pytest.mark.parametrize("pool", ["max", "avg"])
def test_the_gradient_of_a_large_batch_is_taken_in_parts(pool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = Conv("a", "b", (2, 6, 6), 3, pool=pool).double()  # type: ignore[arg-type]
    edge.init_(1.0, torch.Generator().manual_seed(0))
    u_pre = torch.rand(7, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    u_post = torch.rand(7, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    whole = edge.gradient(u_pre, u_post)["weight"]
    monkeypatch.setattr("eb_core.network.conv.MAP", 3 * 36 * 2)
    parts: list[int] = []
    plain = edge._weight_gradient
    monkeypatch.setattr(edge, "_weight_gradient", lambda pre, post: parts.append(len(pre)) or plain(pre, post))
    torch.testing.assert_close(edge.gradient(u_pre, u_post)["weight"], whole, rtol=0, atol=1e-13)
    assert parts == [2, 2, 2, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pool", ["max", "avg", "none"])
@torch.no_grad()
def test_the_linearised_drive_is_the_transpose_of_the_pullback(pool: str, dtype: torch.dtype) -> None:
    edge = Conv("a", "b", (16, 6, 8), 20, pool=pool).to(dtype)  # type: ignore[arg-type]
    edge.init_(1.0, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    at, u = (torch.rand(3, 16, 6, 8, dtype=dtype, generator=generator) - 0.4 for _ in range(2))
    v = torch.rand(3, *edge.post_shape, dtype=dtype, generator=generator)
    drive, context = edge.drive_and_context(at)
    forth = edge.drive_at(u, context)
    assert torch.allclose((forth * v).sum(), (u * edge.pullback(v, context=context)).sum(), rtol=1e-5)
    assert torch.allclose(forth, Edge.drive_at(edge, u, context), atol=1e-6)
    assert torch.allclose(edge.drive_at(at, context), drive, atol=1e-6)
