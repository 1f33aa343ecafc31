"""Random crops with edge padding and horizontal flips, of a whole batch at once and on its own device.

    y[b, c, i, j] = x[b, c, clip(i + v_b, 0, H - 1), clip(j + h_b, 0, W - 1)],   v_b, h_b uniform in {-P … P},

read from right to left for a random half of the samples if `flip`. Clipping the index is what padding by P with
repeated edge pixels and cutting out a window of the old size amounts to, without the padded copy.
"""

import attrs
import torch
from torch import Tensor


@attrs.frozen
class Augmentation:
    """Shifts images by up to `padding` pixels each way and, if `flip`, mirrors every other one at random."""

    padding: int
    flip: bool = False

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Another view of each image in x (B, channels, height, width), of the same shape and type.

        The draws are made where the generator lives: one on the CPU gives the same views on every device.
        """
        count, channels, height, width = x.shape
        where = generator.device
        limits = -self.padding, self.padding + 1
        down, right = torch.randint(*limits, (2, count, 1), generator=generator, device=where).to(x.device)
        rows = (torch.arange(height, device=x.device) + down).clamp(0, height - 1)
        columns = (torch.arange(width, device=x.device) + right).clamp(0, width - 1)
        if self.flip:
            mirrored = torch.randint(2, (count, 1), generator=generator, device=where).to(x.device).bool()
            columns = torch.where(mirrored, columns.flip(1), columns)
        pixels = (rows.unsqueeze(2) * width + columns.unsqueeze(1)).view(count, 1, height * width)
        return x.flatten(2).gather(2, pixels.expand(-1, channels, -1)).view(x.shape)
