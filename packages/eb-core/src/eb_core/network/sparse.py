"""3x3 convolutions that work for what is not zero only, compiled (package eb-native).

    Y = sum over (pixel p, channel c) with x_pc != 0 of x_pc times the 3x3 weights of c, around p

About half of the hidden units of a trained convolutional Hopfield net stand at 0, and of a map that max-pooling has
sent back at least three quarters are zeros. The result is the convolution's but for the order of its sums, and for
zeros that meet weights which are infinite or not a number: they add nothing.
A place is where in its 2x2 square a maximum stands: 0, 1 in the upper row, 2, 3 in the lower one, the first of equals.
"""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

DENSE = 0.65
"""Share of values other than zero above which the library's convolution is the faster one (docs/performance.md)."""
FEW = 16
"""Channels below which there is too little to do for each pixel."""


def kernels() -> tuple[tuple[int, str, int], ...]:
    """(index, name, lanes) of each compiled kernel of this machine, best first; none without eb-native."""
    try:
        import eb_native  # noqa: PLC0415
    except ImportError:
        return ()
    return eb_native.KERNELS


class SparseConv:
    """3x3 convolutions with stride 1 and one zero around the image, both ways, with fixed weights.

    Args:
        weight: (channels, C, 3, 3), float32, on the CPU.
        kernel: which of the compiled `kernels`.
    """

    def __init__(self, weight: Tensor, kernel: tuple[int, str, int]) -> None:
        self._index, _, self._lanes = kernel
        self._weight = weight.detach()
        self._channels = weight.shape[0], weight.shape[1]

    @cached_property
    def _forth(self) -> Tensor:
        return self._packed(self._weight.flip(2, 3))

    @cached_property
    def _back(self) -> Tensor:
        return self._packed(self._weight.transpose(0, 1))

    @staticmethod
    def fits(weight: Tensor) -> bool:
        """Whether the kernels are for such weights."""
        channels, inputs, *kernel = weight.shape
        here = weight.device.type == "cpu" and weight.dtype == torch.float32
        return here and kernel == [3, 3] and min(channels, inputs) >= FEW and bool(kernels())

    @staticmethod
    def pays(image: Tensor) -> bool:
        """Whether so few values are other than zero, going by the first sample; with places it always pays."""
        return len(image) > 0 and int(image[0].count_nonzero()) <= DENSE * image[0].numel()

    def convolve(self, image: Tensor) -> Tensor:
        """W * image: (N, C, H, W) to (N, channels, H, W), channels last."""
        return self._run(self._forth, image, *self._channels[::-1])[0]

    def pooled(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Maxima of W * image in squares of 2x2, (N, channels, H/2, W/2), and their places, uint8; H and W even."""
        found, places = self._run(self._forth, image, *self._channels[::-1], pool=True)
        assert places is not None
        return found, places

    def transposed(self, image: Tensor, places: Tensor | None = None) -> Tensor:
        """W' * image: (N, channels, H, W) to (N, C, H, W); with places (N, C, 2H, 2W), the values put there."""
        return self._run(self._back, image, *self._channels, places)[0]

    def maxima(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Maxima and places of a map (N, channels, H, W) that is there already; H and W even."""
        import eb_native  # noqa: PLC0415

        image = _laid_out(image, self._channels[0])
        samples, channels, height, width = image.shape
        shape = (samples, channels, height // 2, width // 2)
        found, places = _empty(shape, torch.float32), _empty(shape, torch.uint8)
        addresses = image.data_ptr(), found.data_ptr(), places.data_ptr()
        eb_native.pool(self._index, addresses, (samples, height, width, channels), torch.get_num_threads())
        return found, places

    def gradient(self, image: Tensor, values: Tensor, places: Tensor | None = None) -> Tensor:
        """d sum <W * image, spread values> / dW, (channels, C, 3, 3) channels last; the values spread as above."""
        import eb_native  # noqa: PLC0415

        channels, inputs = self._channels
        image, values = _laid_out(image, inputs), _laid_out(values, channels)
        places = _placed(places, values)
        samples, _, height, width = image.shape
        side = 1 if places is None else 2
        if values.shape != (samples, channels, height // side, width // side):
            raise ValueError(f"values of shape {tuple(values.shape)} do not belong to images {tuple(image.shape)}")
        found = _empty((channels, inputs, 3, 3), torch.float32)
        addresses = values.data_ptr(), _address(places), image.data_ptr(), found.data_ptr()
        sizes = samples, height, width, channels, inputs
        eb_native.gradient(self._index, addresses, sizes, torch.get_num_threads())
        return found

    def _packed(self, weight: Tensor) -> Tensor:
        """(outputs, inputs, 3, 3) as (blocks, inputs, 9, lanes), the last block filled up with zeros."""
        outputs, inputs = weight.shape[:2]
        blocks = -(-outputs // self._lanes)
        filled = weight.new_zeros(blocks * self._lanes, inputs, 9)
        filled[:outputs] = weight.reshape(outputs, inputs, 9)
        return filled.view(blocks, self._lanes, inputs, 9).permute(0, 2, 3, 1).contiguous()

    def _run(
        self,
        weights: Tensor,
        image: Tensor,
        inputs: int,
        outputs: int,
        places: Tensor | None = None,
        pool: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        import eb_native  # noqa: PLC0415

        image = _laid_out(image, inputs)
        places = _placed(places, image)
        samples, _, height, width = image.shape
        if places is not None:
            height, width = 2 * height, 2 * width
        shape = (samples, outputs, height // 2, width // 2) if pool else (samples, outputs, height, width)
        found, into = _empty(shape, torch.float32), _empty(shape, torch.uint8) if pool else None
        addresses = image.data_ptr(), _address(places), weights.data_ptr(), found.data_ptr(), _address(into)
        sizes = samples, height, width, inputs, outputs
        eb_native.convolve(self._index, addresses, sizes, torch.get_num_threads())
        return found, into


def _laid_out(image: Tensor, channels: int) -> Tensor:
    """The image, channels last, for a kernel that sees an address only.

    Raises:
        ValueError: it is not float32 images of so many channels on the CPU.
    """
    fits = image.ndim == 4 and image.shape[1] == channels
    if not fits or image.dtype != torch.float32 or image.device.type != "cpu":
        what = f"{tuple(image.shape)}, {image.dtype}, {image.device}"
        raise ValueError(f"expected images with {channels} channels, float32, on the CPU; these are {what}")
    return image.contiguous(memory_format=torch.channels_last)


def _placed(places: Tensor | None, values: Tensor) -> Tensor | None:
    if places is None:
        return None
    if places.shape != values.shape or places.dtype != torch.uint8 or places.device != values.device:
        raise ValueError(f"places {tuple(places.shape)}, {places.dtype} do not belong to values {tuple(values.shape)}")
    return places.contiguous(memory_format=torch.channels_last)


def _empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="cpu", memory_format=torch.channels_last)


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def indices_of(places: Tensor, sides: Sequence[int]) -> Tensor:
    """Indices of `max_pool2d` in a map of these sides, int64."""
    height, width = sides
    rows = torch.arange(0, height, 2, device=places.device).view(-1, 1)
    columns = torch.arange(0, width, 2, device=places.device)
    return (rows + places // 2) * width + columns + places % 2
