"""Deep convolutional Hopfield network: convolutions with pooling in a chain, then dense to the classes.

    input (C, H, W) -> hidden1 -> … -> hiddenN -> output

Scellier et al., NeurIPS 2023 (arXiv 2312.15103), Sec. 3: four 3x3 convolutions with 2x2 max-pooling to 128, 256, 512
and 512 channels. Biases are one per channel and start as U(+-0.5 / sqrt(fan-in)), whatever the gain of the weights.
"""

import math
from typing import Literal

from eb_core import Conv, Dense, Edge, Model, Network, UsageError, configurable, option

BIAS_GAIN = 0.5


@configurable
class DCHN(Model):
    """Any number of conv edges, then one dense edge; layer i has width * growth[i] channels."""

    width: int = option(default=32, help="channels of a conv layer of growth 1", ge=1)
    growth: tuple[int, ...] = option(default=(1, 2), help="channels of each conv layer, in units of `width`", ge=1)
    kernel: tuple[int, ...] = option(default=(3,), help="side of the kernels: one for all, or one for each", ge=1)
    stride: tuple[int, ...] = option(
        default=(1,), help="stride of the convolutions: one for all, or one for each", ge=1
    )
    padding: tuple[int, ...] = option(
        default=(1,), help="zeros around each image before its convolution: one for all, or one for each", ge=0
    )
    pool: tuple[Literal["max", "avg", "none"], ...] = option(
        default=("max",), help="pooling over 2x2 after each convolution: one for all, or one for each"
    )
    skip: tuple[str, ...] = option(
        default=(),
        help="further edges PRE-POST, such as hidden1-hidden3: a convolution with kernel 1 and the stride that fits,"
        " or a dense edge to the output",
    )
    gain: tuple[float, ...] | None = option(
        default=None,
        help="weights start as U(+-gain / sqrt(fan-in)): one for all edges, or one for each, dense and skips last;"
        " none: the energy's",
        gt=0,
    )
    upscale: int | None = option(
        default=None,
        help="enlarge the images so many times; none: as often as it takes to leave every pooling something",
        ge=1,
    )
    margin: int | None = option(
        default=None,
        help="zeros around the images beside `padding`; none: up to 3, if every pooling then comes out even",
        unit="pixels",
        ge=0,
    )

    def __attrs_post_init__(self) -> None:
        convolutions = len(self.growth)
        if not convolutions:
            raise ValueError("growth names no conv layer: give one number for each, [1, 2] for two")
        for name in ("kernel", "stride", "padding", "pool"):
            given = len(getattr(self, name))
            if given not in (1, convolutions):
                raise ValueError(
                    f"{given} values of {name} for {convolutions} conv layers: give one for all or for each"
                )
        edges = convolutions + 1 + len(self.skip)
        if self.gain is not None and len(self.gain) not in (1, edges):
            raise ValueError(f"{len(self.gain)} gains for {edges} edges: give one for all, or one for each")

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        """A network of `len(growth)` conv edges, one dense edge and the skip edges.

        Raises:
            UsageError: the inputs are not images, or too small, or a skip edge fits no layers.
        """
        if len(input_shape) != 3:
            raise UsageError(
                f"a convolutional network needs images (channels, height, width), not inputs {input_shape}",
                advice="choose a data set of images, or the model mlp",
            )
        edges: list[Edge] = list(self._chain(input_shape))
        layers = [("input", input_shape), *((edge.post, edge.post_shape) for edge in edges if isinstance(edge, Conv))]
        last, shape = layers[-1]
        edges.append(Dense(last, "output", shape, (outputs,), self._gain(len(edges))))
        layers.append(("output", (outputs,)))
        shapes = dict(layers)
        for index, pair in enumerate(self.skip):
            edges.append(self._skip(pair, shapes, self._gain(len(self.growth) + 1 + index)))
        biases = {name: ((shape[0], 1, 1) if len(shape) == 3 else shape) for name, shape in layers[1:]}
        return Network(layers, edges, bias_shapes=biases, bias_gain=BIAS_GAIN)

    def _gain(self, index: int) -> float | None:
        return None if self.gain is None else self.gain[index % len(self.gain)]

    def _chain(self, shape: tuple[int, ...]) -> list[Conv]:
        """The convolutions, on images that are enlarged and framed as far as the options leave that open."""
        fault: ValueError | None = None
        for upscale in [self.upscale] if self.upscale else range(1, 9):
            tried = []
            for margin in [self.margin] if self.margin is not None else range(4):
                try:
                    tried.append(self._convolutions(shape, upscale, margin))
                except ValueError as error:
                    fault = error
            if tried:
                return next((edges for edges in tried if all(edge.even for edge in edges)), tried[0])
        raise UsageError(
            f"images of {shape[1]} x {shape[2]} are too small for {len(self.growth)} conv layers: {fault}",
            advice="use fewer conv layers or less pooling, or raise upscale",
        )

    def _convolutions(self, shape: tuple[int, ...], upscale: int, margin: int) -> list[Conv]:
        found: list[Conv] = []
        for index, growth in enumerate(self.growth):
            padding = self.padding[index % len(self.padding)]
            edge = Conv(
                f"hidden{index}" if index else "input",
                f"hidden{index + 1}",
                shape,
                self.width * growth,
                kernel=self.kernel[index % len(self.kernel)],
                stride=self.stride[index % len(self.stride)],
                padding=padding if index else padding + margin,
                pool=self.pool[index % len(self.pool)],
                upscale=1 if index else upscale,
                gain=self._gain(index),
            )
            found.append(edge)
            shape = edge.post_shape
        return found

    def _skip(self, pair: str, shapes: dict[str, tuple[int, ...]], gain: float | None) -> Edge:
        pre, _, post = pair.partition("-")
        if pre not in shapes or post not in shapes or list(shapes).index(pre) >= list(shapes).index(post):
            raise UsageError(
                f"skip edge '{pair}' joins no earlier layer to a later one",
                advice="write PRE-POST with two of " + ", ".join(shapes),
            )
        if post == "output":
            return Dense(pre, post, shapes[pre], shapes[post], gain)
        (channels, *sides), (wanted, *ends) = shapes[pre], shapes[post]
        stride = math.ceil(sides[0] / ends[0])
        edge = Conv(pre, post, (channels, *sides), wanted, kernel=1, stride=stride, padding=0, pool="none", gain=gain)
        if edge.post_shape != shapes[post]:
            raise UsageError(
                f"skip edge '{pair}': no stride takes images of {sides} to {ends}",
                advice="join layers whose sides are whole multiples of each other",
            )
        return edge
