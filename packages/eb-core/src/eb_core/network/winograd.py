"""Minimal filtering F(2x2, 3x3): a 3x3 convolution with 16 products for four outputs instead of 36.

    Y = A' [sum_c (G w_c G') * (B' d_c B)] A

d_c is a 4x4 tile of channel c, every two pixels one; w_c its kernel, Y the 2x2 outputs of the tile, * elementwise. The
sum over channels is a matrix product for each of the 16 places, (tiles, C) times (C, channels). The transposed
convolution is the same with the kernels turned around, which only exchanges the first and the last place of either
axis, so both directions share one set of transformed kernels, and these are transformed once for all iterations.

What is lost are the passes over memory that the transforms take: it pays where there are many channels. Its rounding
error in float32 is between half and twice that of the direct convolution.

References: S. Winograd, Arithmetic Complexity of Computations (1980); A. Lavin, S. Gray, arXiv 1509.09308, Sec. 4.1.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WORTH = 300
"""Harmonic mean of the numbers of channels at both ends from which on it is the faster way (docs/performance.md)."""
CHUNK = 6 << 20
"""Bytes of transformed tiles at a time: they should stay in a processor's cache."""
PLACES, TURNED = (0, 1, 2, 3), (3, 1, 2, 0)


class Winograd:
    """3x3 convolutions with stride 1 and one zero around the image, both ways, with fixed weights.

    Args:
        weight: (channels, C, 3, 3).
    """

    def __init__(self, weight: Tensor) -> None:
        half = 0.5
        g = weight.new_tensor([[1, 0, 0], [half, half, half], [half, -half, half], [0, 0, 1]])
        places = weight.detach().permute(2, 3, 0, 1).reshape(9, -1)
        self._kernels = torch.mm(torch.kron(g, g), places).view(16, *weight.shape[:2])

    @staticmethod
    def fits(weight: Tensor, sides: Sequence[int]) -> bool:
        """Whether it can be had for these kernels and images, and is the faster way on a CPU."""
        channels, inputs, *kernel = weight.shape
        can = kernel == [3, 3] and not any(side % 2 for side in sides)
        return can and weight.device.type == "cpu" and 2 * channels * inputs >= WORTH * (channels + inputs)

    @staticmethod
    def pays(image: Tensor) -> bool:
        """Whatever the image."""
        return True

    def convolve(self, image: Tensor) -> Tensor:
        """W * image: (N, C, H, W) to (N, channels, H, W), channels last; H and W even."""
        return self._filtered(image, self._kernels.transpose(1, 2), PLACES)

    def transposed(self, image: Tensor) -> Tensor:
        """W' * image: (N, channels, H, W) to (N, C, H, W), channels last."""
        return self._filtered(image, self._kernels, TURNED)

    @staticmethod
    def _filtered(image: Tensor, kernels: Tensor, places: Sequence[int]) -> Tensor:
        pixels = image.permute(0, 2, 3, 1)
        n, height, width, inputs = pixels.shape
        outputs, down, across = kernels.shape[2], height // 2, width // 2
        bytes_each = 16 * down * across * (inputs + outputs) * image.element_size()
        found = image.new_empty(n, height, width, outputs)
        step = max(1, CHUNK // bytes_each)
        for first in range(0, n, step):
            part, into = pixels[first : first + step], found[first : first + step]
            size = len(part)
            framed = image.new_zeros(size, height + 2, width + 2, inputs)
            framed[:, 1:-1, 1:-1] = part
            rows = image.new_empty(4, size, down, width + 2, inputs)
            _tiles([framed[:, k : k + height : 2] for k in range(4)], rows.__getitem__, places)
            tiles = image.new_empty(4, 4, size, down, across, inputs)
            _tiles([rows[:, :, :, k : k + width : 2] for k in range(4)], lambda k: tiles[:, k], places)  # noqa: B023
            products = torch.bmm(tiles.view(16, -1, inputs), kernels).view(4, 4, size, down, across, outputs)
            halves = image.new_empty(2, 4, size, down, across, outputs)
            _outputs(products, halves, places)
            for row, half in enumerate(halves):
                _outputs(half, [into[:, row::2, column::2] for column in (0, 1)], places)
        return found.permute(0, 3, 1, 2)


def _tiles(d: Sequence[Tensor], into: Callable[[int], Tensor], places: Sequence[int]) -> None:
    """B' d along one axis, at its four places."""
    torch.sub(d[0], d[2], out=into(places[0]))
    torch.add(d[1], d[2], out=into(places[1]))
    torch.sub(d[2], d[1], out=into(places[2]))
    torch.sub(d[1], d[3], out=into(places[3]))


def _outputs(m: Tensor, into: Sequence[Tensor] | Tensor, places: Sequence[int]) -> None:
    """A' m along the first axis: two outputs of four places."""
    first, second, third, fourth = (m[place] for place in places)
    torch.add(first, second, out=into[0]).add_(third)
    torch.sub(second, third, out=into[1]).sub_(fourth)
