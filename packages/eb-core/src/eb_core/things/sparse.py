"""3x3 convolutions that work for what is not zero only, compiled (package eb-native).

    Y = sum over (pixel p, channel c) with x_pc != 0 of x_pc times the 3x3 weights of c, around p

About half of the hidden units of a trained convolutional Hopfield net stand at 0, and of a map that max-pooling has
sent back at least three quarters are zeros. The result is the convolution's but for the order of its sums.
A place is where in its 2x2 square a maximum stands: 0, 1 in the upper row, 2, 3 in the lower one, the first of equals.
"""

import importlib.util
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
    if importlib.util.find_spec("eb_native") is None:
        return ()
    import eb_native  # noqa: PLC0415

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
        return self._run(self._forth, image, self._channels[0])[0]

    def pooled(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Maxima of W * image in squares of 2x2, (N, channels, H/2, W/2), and their places, uint8; H and W even."""
        found, places = self._run(self._forth, image, self._channels[0], pool=True)
        assert places is not None
        return found, places

    def maxima(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The same of a map (N, channels, H, W) that is there already."""
        import eb_native  # noqa: PLC0415

        image = image.contiguous(memory_format=torch.channels_last)
        samples, channels, height, width = image.shape
        shape = (samples, channels, height // 2, width // 2)
        found = torch.empty(shape, memory_format=torch.channels_last)
        places = torch.empty(shape, dtype=torch.uint8, memory_format=torch.channels_last)
        eb_native.pool(
            self._index,
            image.data_ptr(),
            found.data_ptr(),
            places.data_ptr(),
            samples,
            height,
            width,
            channels,
            torch.get_num_threads(),
        )
        return found, places

    def transposed(self, image: Tensor, places: Tensor | None = None) -> Tensor:
        """W' * image: (N, channels, H, W) to (N, C, H, W); with places (N, C, 2H, 2W), the values put there."""
        return self._run(self._back, image, self._channels[1], places)[0]

    def gradient(self, image: Tensor, values: Tensor, places: Tensor | None = None) -> Tensor:
        """d sum <W * image, spread values> / dW, (channels, C, 3, 3) channels last; the values spread as above."""
        import eb_native  # noqa: PLC0415

        image, values = (part.contiguous(memory_format=torch.channels_last) for part in (image, values))
        samples, inputs, height, width = image.shape
        channels = values.shape[1]
        if places is not None:
            places = places.contiguous(memory_format=torch.channels_last)
        found = torch.empty(channels, inputs, 3, 3).contiguous(memory_format=torch.channels_last)
        eb_native.gradient(
            self._index,
            values.data_ptr(),
            0 if places is None else places.data_ptr(),
            image.data_ptr(),
            found.data_ptr(),
            samples,
            height,
            width,
            channels,
            inputs,
            torch.get_num_threads(),
        )
        return found

    def _packed(self, weight: Tensor) -> Tensor:
        """(outputs, inputs, 3, 3) as (blocks, inputs, 9, lanes), the last block filled up with zeros."""
        outputs, inputs = weight.shape[:2]
        blocks = -(-outputs // self._lanes)
        filled = weight.new_zeros(blocks * self._lanes, inputs, 9)
        filled[:outputs] = weight.reshape(outputs, inputs, 9)
        return filled.view(blocks, self._lanes, inputs, 9).permute(0, 2, 3, 1).contiguous()

    def _run(
        self, weights: Tensor, image: Tensor, outputs: int, places: Tensor | None = None, pool: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        import eb_native  # noqa: PLC0415

        image = image.contiguous(memory_format=torch.channels_last)
        samples, inputs, height, width = image.shape
        if places is not None:
            places = places.contiguous(memory_format=torch.channels_last)
            height, width = 2 * height, 2 * width
        shape = (samples, outputs, height // 2, width // 2) if pool else (samples, outputs, height, width)
        found = torch.empty(shape, memory_format=torch.channels_last)
        into = torch.empty(shape, dtype=torch.uint8, memory_format=torch.channels_last) if pool else None
        eb_native.convolve(
            self._index,
            image.data_ptr(),
            0 if places is None else places.data_ptr(),
            weights.data_ptr(),
            found.data_ptr(),
            0 if into is None else into.data_ptr(),
            samples,
            height,
            width,
            inputs,
            outputs,
            torch.get_num_threads(),
        )
        return found, into


def indices_of(places: Tensor, sides: Sequence[int]) -> Tensor:
    """Indices of `max_pool2d` in a map of these sides, int64."""
    height, width = sides
    rows, columns = torch.arange(0, height, 2).view(-1, 1), torch.arange(0, width, 2)
    return (rows + places // 2) * width + columns + places % 2
