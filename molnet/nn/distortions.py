"""Images that are distorted a little anew in each epoch, as a larger set of training data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Images = Float[Tensor, "batch channels height width"]


@dataclass(frozen=True)
class Distortion:
    """Random affine and elastic distortions, drawn for each image by itself.

    `rotation` (radians), `scale` (of each axis, relative), `shear` and `shift` (in halves of the image) are drawn
    evenly from ± these; `elastic` is the standard deviation of a displacement in pixels, smooth over `width` pixels.
    Source: P. Y. Simard et al., ICDAR 2003, 958, section 2.
    """

    rotation: float = 0.2
    scale: float = 0.15
    shear: float = 0.15
    shift: float = 0.1
    elastic: float = 1.0
    width: float = 4.0

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        grid = functional.affine_grid(self._affine(len(images), generator), list(images.shape), align_corners=False)
        grid = grid.to(images) + self._elastic(images, generator)
        return functional.grid_sample(images, grid, align_corners=False)

    def _affine(self, count: int, generator: torch.Generator) -> Float[Tensor, "batch 2 3"]:
        draws = 2 * torch.rand((count, 6), generator=generator) - 1
        bounds = [self.rotation, self.scale, self.scale, self.shear, self.shift, self.shift]
        angle, wide, high, shear, right, down = (draws * torch.tensor(bounds)).unbind(dim=1)
        cos, sin = angle.cos(), angle.sin()
        rows = [(1 + wide) * cos, shear - sin, right, sin, (1 + high) * cos, down]
        return torch.stack(rows, dim=1).reshape(-1, 2, 3)

    def _elastic(self, images: Images, generator: torch.Generator) -> Float[Tensor, "batch height width 2"]:
        count, _, height, width = images.shape
        noise = torch.randn((count, 2, height, width), generator=generator)
        smooth = self._smoothing(height) @ noise @ self._smoothing(width).T
        pixels = torch.tensor([2 / width, 2 / height])
        return (smooth.permute(0, 2, 3, 1) * (self.elastic * pixels)).to(images)

    def _smoothing(self, size: int) -> Float[Tensor, "size size"]:
        """Gaussian weights of unit norm, so that white noise keeps its standard deviation, at the rim as well."""
        places = torch.arange(size)
        weights = torch.exp(-0.5 * ((places[:, None] - places) / self.width) ** 2)
        return weights / weights.norm(dim=1, keepdim=True)


@dataclass(frozen=True)
class DistortedBatches:
    """Batches whose images are distorted; epoch 0, which is asked of validation data, is as it was.

    A batch of `batches` is a tuple that begins with the images, or the images alone. What epoch n yields depends on
    n and the seed only.
    """

    batches: Any
    distortion: Callable[[Tensor, torch.Generator], Tensor] = Distortion()
    seed: int = 0

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int) -> Iterator[Any]:
        """The batches of an epoch."""
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + number)
        for batch in self.batches.epoch(number):
            if number == 0:
                yield batch
            elif isinstance(batch, Tensor):
                yield self.distortion(batch, generator)
            else:
                yield (self.distortion(batch[0], generator), *batch[1:])
