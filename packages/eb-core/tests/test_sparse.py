"""The compiled convolutions are the library's, on every instruction set, and edges really use them."""

import pickle
import sys

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.nn.grad import conv2d_weight

from eb_core import Conv
from eb_core.network.sparse import SparseConv, indices_of, kernels

pytestmark = pytest.mark.skipif(not kernels(), reason="eb-native has no kernel here")
Kernel = tuple[int, str, int]
EVERY = pytest.mark.parametrize("kernel", kernels(), ids=lambda kernel: kernel[1])
SHAPES = pytest.mark.parametrize(
    ("channels", "inputs", "height", "width", "samples"),
    [(32, 16, 8, 8, 3), (20, 17, 6, 10, 5), (16, 150, 4, 4, 70), (40, 64, 2, 2, 1), (16, 16, 2, 2, 0)],
)


def random(*shape: int, zeros: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    found = torch.rand(*shape, generator=generator) - 0.5
    return found * (torch.rand(*shape, generator=generator) >= zeros)


def close(found: Tensor, wanted: Tensor) -> bool:
    assert found.shape == wanted.shape
    return not wanted.numel() or bool((found - wanted).abs().max() <= 1e-5 * wanted.abs().max())


@EVERY
@SHAPES
@pytest.mark.parametrize("zeros", [0.0, 0.5, 1.0])
def test_they_are_the_convolution_and_its_adjoint(
    kernel: Kernel, channels: int, inputs: int, height: int, width: int, samples: int, zeros: float
) -> None:
    weight = random(channels, inputs, 3, 3)
    image, back = (random(samples, size, height, width, zeros=zeros) for size in (inputs, channels))
    fast = SparseConv(weight, kernel)
    assert close(fast.convolve(image), F.conv2d(image, weight, padding=1))
    assert close(fast.transposed(back), F.conv_transpose2d(back, weight, padding=1))


@EVERY
@SHAPES
def test_pooling_and_its_adjoint(
    kernel: Kernel, channels: int, inputs: int, height: int, width: int, samples: int
) -> None:
    weight, image = random(channels, inputs, 3, 3), random(samples, inputs, height, width, zeros=0.5)
    fast = SparseConv(weight, kernel)
    image[:1] = 0  # a map of equals: the first one counts
    found, places = fast.pooled(image)
    wanted, indices = F.max_pool2d(F.conv2d(image, weight, padding=1), 2, return_indices=True)
    assert close(found, wanted)
    assert torch.equal(indices_of(places, (height, width)), indices)
    values = random(*found.shape, zeros=0.3)
    spread = F.max_unpool2d(values, indices, [2, 2], output_size=(height, width))
    assert close(fast.transposed(values, places), F.conv_transpose2d(spread, weight, padding=1))
    slope = conv2d_weight(image, list(weight.shape), spread, padding=1)  # type: ignore[no-untyped-call]
    assert close(fast.gradient(image, values, places), slope)
    assert close(fast.gradient(image, spread), slope)


@EVERY
def test_maxima_of_a_map_are_the_library_s_with_what_is_not_a_number_too(kernel: Kernel) -> None:
    image = random(3, 21, 6, 4)
    image[0, 5, 3, 2] = image[1, 20, 0, 0] = image[1, 0, 1, 1] = torch.nan
    found, places = SparseConv(random(21, 16, 3, 3), kernel).maxima(image)
    wanted, indices = F.max_pool2d(image, 2, return_indices=True)
    assert torch.equal(found.nan_to_num(7), wanted.nan_to_num(7))
    assert torch.equal(indices_of(places, (6, 4)), indices)


@EVERY
def test_threads_change_nothing(kernel: Kernel) -> None:
    fast, image = SparseConv(random(48, 32, 3, 3), kernel), random(9, 32, 8, 8, zeros=0.5)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fast.pooled(image)
        torch.set_num_threads(3)
        three = fast.pooled(image)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one[0], three[0])
    assert torch.equal(one[1], three[1])


@EVERY
def test_what_is_not_a_number_is_not_left_out(kernel: Kernel) -> None:
    image = torch.zeros(1, 16, 4, 4)
    image[0, 3, 1, 1] = torch.nan
    assert SparseConv(random(16, 16, 3, 3), kernel).convolve(image)[0, :, :3, :3].isnan().all()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the compiled ways that are used."""
    noted: list[str] = []

    def note(name: str) -> None:
        plain = getattr(SparseConv, name)
        monkeypatch.setattr(SparseConv, name, lambda *given: (noted.append(name), plain(*given))[1])

    for name in ("convolve", "pooled", "maxima", "transposed", "gradient"):
        note(name)
    return noted


def edge(sides: tuple[int, int] = (8, 6), **options: object) -> Conv:
    found = Conv("a", "b", (16, *sides), 24, **options)  # type: ignore[arg-type]
    found.init_(1.0, torch.Generator().manual_seed(0))
    return found


@pytest.mark.parametrize(
    ("pool", "zeros", "used"),
    [
        ("max", 0.7, ["pooled", "transposed", "pooled", "gradient"]),
        ("max", 0.0, ["maxima", "transposed", "maxima", "gradient"]),
        ("avg", 0.7, ["convolve", "transposed"]),
        ("none", 0.7, ["convolve", "transposed"]),
        ("none", 0.0, []),
    ],
)
@torch.no_grad()
def test_an_edge_uses_them_where_there_are_zeros(pool: str, zeros: float, used: list[str], calls: list[str]) -> None:
    wide, image = edge(pool=pool), random(4, 16, 8, 6, zeros=zeros)
    back = random(4, *wide.post_shape, zeros=zeros)
    drive, context = wide.drive_and_context(image)
    returned = wide.pullback(back, context=context)
    slope = wide.gradient(image, back)["weight"]
    assert calls == used
    with torch.enable_grad():
        plain, places = wide.drive_and_context(image)
        recorded = wide.pullback(back, context=places)
        mixed = wide.pullback(back, context=context)
        derived = wide.gradient(image, back)["weight"]
    assert calls == used
    assert close(drive, plain.detach())
    assert close(returned, recorded.detach())
    assert close(mixed, recorded.detach())
    assert close(slope, derived.detach())


@torch.no_grad()
def test_it_follows_the_weights_and_their_type(calls: list[str]) -> None:
    wide, image = edge(pool="none"), random(2, 16, 8, 6, zeros=0.7)
    before = wide.drive(image)
    wide.weight.mul_(2)
    assert torch.equal(wide.drive(image), 2 * before)
    assert len(calls) == 2
    wide.double().drive(image.double())
    assert len(calls) == 2


@pytest.mark.parametrize("options", [{"kernel": 1, "padding": 0}, {"stride": 2}, {"padding": 0}, {"upscale": 2}])
@torch.no_grad()
def test_other_geometries_do_not(options: dict[str, int], calls: list[str]) -> None:
    edge(pool="none", **options).drive(random(2, 16, 8, 6, zeros=0.9))
    assert not calls


@torch.no_grad()
def test_odd_maps_are_pooled_by_the_library(calls: list[str]) -> None:
    odd, image = edge((7, 6)), random(2, 16, 7, 6, zeros=0.9)
    drive, context = odd.drive_and_context(image)
    odd.pullback(drive, context=context)
    assert "pooled" not in calls
    assert "maxima" not in calls


def test_without_the_package_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eb_native", None)
    assert kernels() == ()
    assert not SparseConv.fits(torch.empty(32, 32, 3, 3))


@EVERY
@pytest.mark.parametrize("wrong", [random(2, 16, 4, 4).double(), random(2, 48, 4, 4), random(16, 4, 4)])
def test_what_is_not_for_the_kernels_is_refused(kernel: Kernel, wrong: Tensor) -> None:
    fast = SparseConv(random(16, 16, 3, 3), kernel)
    for way in (fast.convolve, fast.pooled, fast.maxima, fast.transposed):
        with pytest.raises(ValueError, match="expected images with 16 channels"):
            way(wrong)


@EVERY
def test_places_and_values_belong_together(kernel: Kernel) -> None:
    fast, values = SparseConv(random(16, 16, 3, 3), kernel), random(2, 16, 4, 4)
    with pytest.raises(ValueError, match="do not belong"):
        fast.transposed(values, torch.zeros(1, 16, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match="do not belong"):
        fast.transposed(values, torch.zeros(2, 16, 4, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="do not belong"):
        fast.gradient(values, values, torch.zeros(2, 16, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match="even sides"):
        fast.pooled(random(2, 16, 3, 4))


@EVERY
def test_the_default_type_does_not_matter(kernel: Kernel) -> None:
    fast, image = SparseConv(random(16, 16, 3, 3), kernel), random(2, 16, 4, 4)
    wanted = fast.pooled(image)[0]
    torch.set_default_dtype(torch.float64)
    try:
        found = fast.pooled(image)[0]
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)


@EVERY
def test_a_large_batch_in_parts_is_the_same(kernel: Kernel) -> None:
    fast, image = SparseConv(random(16, 64, 3, 3), kernel), random(150, 64, 16, 16, zeros=0.5)
    assert torch.equal(fast.convolve(image), torch.cat([fast.convolve(part) for part in image.split(70)]))


@torch.no_grad()
def test_what_was_prepared_is_not_pickled() -> None:
    wide = edge(pool="none")
    before = len(pickle.dumps(wide))
    wide.drive(random(2, 16, 8, 6, zeros=0.9))
    assert wide._known is not None
    assert len(pickle.dumps(wide)) == before
