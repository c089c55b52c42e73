"""Convolutions written out as matrices, and image filters with names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def toeplitz(
    kernel: Float[Tensor, "outputs inputs *widths"],
    sizes: Sequence[int],
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Float[Tensor, "rows columns"]:
    """The matrix T of a convolution in any number of dimensions: T · x.flatten() = conv(x, kernel).flatten().

        T[(o, p), (i, q)] = Σ_k kernel[o, i, k] · [q = stride·p + dilation·k − padding]

    for positions p of the output and q of an input whose extents are `sizes`; as in deep learning, the kernel isn't
    mirrored. In one dimension with stride 1, T is constant along its diagonals: a Toeplitz matrix.
    Raises ValueError where sizes and kernel don't fit.
    """
    widths = kernel.shape[2:]
    if len(sizes) != len(widths):
        raise ValueError(f"the kernel has {len(widths)} dimensions of space and sizes has {len(sizes)}: {list(sizes)}.")
    matrix = kernel
    for size, width in zip(sizes, widths, strict=True):
        places = (size + 2 * padding - dilation * (width - 1) - 1) // stride + 1
        if places < 1:
            raise ValueError(f"a kernel of width {width} doesn't fit into the size {size} with padding {padding}.")
        p, k, q = torch.meshgrid(torch.arange(places), torch.arange(width), torch.arange(size), indexing="ij")
        meets = (q == stride * p + dilation * k - padding).to(kernel)
        matrix = torch.tensordot(matrix, meets, dims=([2], [1]))
    # The axes are now (output, input, p₁, q₁, p₂, q₂, …).
    rows, columns = range(2, matrix.ndim, 2), range(3, matrix.ndim, 2)
    matrix = matrix.permute(0, *rows, 1, *columns)
    return matrix.reshape(math.prod(matrix.shape[: len(sizes) + 1]), -1)


FILTERS: Final[Mapping[str, Float[Tensor, "height width"]]] = MappingProxyType(
    {
        "identity": torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]),
        "edges": torch.tensor([[-1.0, -1.0, -1.0], [-1.0, 8.0, -1.0], [-1.0, -1.0, -1.0]]),
        "sharpen": torch.tensor([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]]),
        "box": torch.full((3, 3), 1 / 9),
    }
)
"""Kernels for `filter_images`. All but the edges' (zero) sum to one, so that they keep an image's brightness."""


def gaussian_filter(sigma: float) -> Float[Tensor, "height width"]:
    """The kernel exp(−(x² + y²)/2σ²), normalized to the sum one and cut at 3σ; σ is in pixels."""
    if not sigma > 0:
        raise ValueError(f"the standard deviation of a Gaussian filter is {sigma}; expected a positive number.")
    reach = math.ceil(3 * sigma)
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    line = line / line.sum()
    return torch.outer(line, line)


def filter_images(
    images: Float[Tensor, "batch channels height width"], kernel: Float[Tensor, "rows columns"]
) -> Float[Tensor, "batch channels height width"]:
    """Each channel by itself convolved with the kernel; outside, an image is zero.

    Raises ValueError for a kernel of even width, which has no center.
    """
    rows, columns = kernel.shape
    if rows % 2 == 0 or columns % 2 == 0:
        raise ValueError(f"an image filter needs odd widths, to have a center; found {rows} × {columns}.")
    channels = images.shape[1]
    weight = kernel.to(images).expand(channels, 1, rows, columns)
    return functional.conv2d(images, weight, padding=(rows // 2, columns // 2), groups=channels)
