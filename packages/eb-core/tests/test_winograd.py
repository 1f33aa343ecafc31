"""Minimal filtering is the convolution, both ways, and wide edges really use it."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from eb_core import Conv
from eb_core.network import winograd
from eb_core.network.winograd import Winograd


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every width is worth it, and every use is noted."""
    noted: list[str] = []
    plain = Winograd._filtered

    def noting(image: Tensor, kernels: Tensor, places: tuple[int, ...]) -> Tensor:
        noted.append("forth" if places == winograd.PLACES else "back")
        return plain(image, kernels, places)

    monkeypatch.setattr(winograd, "WORTH", 0)
    monkeypatch.setattr(Winograd, "_filtered", staticmethod(noting))
    return noted


def edge(**options: object) -> Conv:
    found = Conv("a", "b", (3, 8, 6), 5, **options).double()  # type: ignore[arg-type]
    found.init_(1.0, torch.Generator().manual_seed(0))
    return found


def random(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("chunk", [1, 6 << 20])
def test_it_is_the_convolution_and_its_adjoint(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "CHUNK", chunk)
    weight = random(5, 3, 3, 3) - 0.5
    image, back = random(7, 3, 8, 6), random(7, 5, 8, 6)
    fast = Winograd(weight)
    assert (fast.convolve(image) - F.conv2d(image, weight, padding=1)).abs().max() < 1e-13
    assert (fast.transposed(back) - F.conv_transpose2d(back, weight, padding=1)).abs().max() < 1e-13
    assert fast.convolve(image).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("pool", ["max", "avg", "none"])
@torch.no_grad()
def test_a_wide_edge_uses_it_in_both_directions_with_the_same_result(pool: str, calls: list[str]) -> None:
    wide = edge(pool=pool)
    image = random(4, 3, 8, 6)
    drive, context = wide.drive_and_context(image)
    back = wide.pullback(drive, context=context)
    assert calls == ["forth", "back"]
    with torch.enable_grad():
        plain, places = wide.drive_and_context(image)
        returned = wide.pullback(drive, context=places)
    assert calls == ["forth", "back"]
    assert (drive - plain).abs().max() < 1e-13
    assert (back - returned).abs().max() < 1e-13


@torch.no_grad()
def test_it_follows_the_weights(calls: list[str]) -> None:
    wide, image = edge(pool="none"), random(2, 3, 8, 6)
    before = wide.drive(image)
    wide.weight.mul_(2)
    assert torch.allclose(wide.drive(image), 2 * before)
    single = wide.float().drive(image.float())
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), 2 * before, atol=1e-5)
    assert len(calls) == 3


@pytest.mark.parametrize("options", [{"kernel": 1, "padding": 0}, {"stride": 2}, {"padding": 0}, {"upscale": 2}])
@torch.no_grad()
def test_other_geometries_do_not(options: dict[str, int], calls: list[str]) -> None:
    edge(pool="none", **options).drive(random(2, 3, 8, 6))
    assert not calls


@torch.no_grad()
def test_narrow_edges_and_odd_images_do_not(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
    Conv("a", "b", (3, 7, 6), 5, pool="none").double().drive(random(2, 3, 7, 6))
    monkeypatch.setattr(winograd, "WORTH", 300)
    edge(pool="none").drive(random(2, 3, 8, 6))
    assert not calls
    assert Winograd.fits(torch.empty(512, 256, 3, 3), (8, 8))


@torch.no_grad()
def test_rounding_is_of_the_size_of_that_of_the_convolution() -> None:
    weight = (random(256, 256, 3, 3) - 0.5) / 48
    image = random(2, 256, 4, 4)
    exact = F.conv2d(image, weight, padding=1)
    fast = Winograd(weight.float()).convolve(image.float()) - exact
    direct = F.conv2d(image.float(), weight.float(), padding=1) - exact
    assert fast.norm() <= 3 * direct.norm()
