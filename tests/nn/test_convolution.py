from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from molnet.nn.convolution import FILTERS, filter_images, gaussian_filter, toeplitz
from molnet.nn.seeding import seeded

CASES: list[tuple[list[int], dict[str, Any]]] = [
    ([11], {}),
    ([11], {"stride": 2, "padding": 3, "dilation": 2}),
    ([6, 9], {"padding": 1}),
    ([7, 8], {"stride": 3, "padding": 2, "dilation": 2}),
    ([4, 5, 6], {"stride": 2, "padding": 1}),
]


@pytest.mark.parametrize(("sizes", "options"), CASES)
def test_the_matrix_is_the_convolution(sizes: list[int], options: dict[str, Any]) -> None:
    with seeded(0):
        kernel = torch.randn((3, 2, *range(3, 3 + len(sizes))), dtype=torch.float64)
        x = torch.randn((2, *sizes), dtype=torch.float64)
    conv = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[len(sizes)]
    matrix = toeplitz(kernel, sizes, **options)
    torch.testing.assert_close(matrix @ x.flatten(), conv(x[None], kernel, **options).flatten())


def test_a_convolution_in_one_dimension_is_constant_along_diagonals() -> None:
    matrix = toeplitz(torch.tensor([[[1.0, 2.0, 3.0]]]), [5])
    assert matrix.tolist() == [[1, 2, 3, 0, 0], [0, 1, 2, 3, 0], [0, 0, 1, 2, 3]]


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"1 dimensions of space and sizes has 2: \[3, 4\]"):
        toeplitz(torch.ones(1, 1, 3), [3, 4])
    with pytest.raises(ValueError, match="width 3 doesn't fit into the size 2"):
        toeplitz(torch.ones(1, 1, 3), [2])


def test_named_filters() -> None:
    step = torch.zeros(1, 2, 7, 8)
    step[..., 4:] = 1
    assert torch.equal(filter_images(step, FILTERS["identity"]), step)
    edges = filter_images(step, FILTERS["edges"])[0, 0, 3, 1:-1]
    assert edges.tolist() == [0, 0, -3, 3, 0, 0]
    assert filter_images(step, FILTERS["sharpen"])[0, 1, 3, 1:-1].tolist() == [0, 0, -1, 2, 1, 1]
    assert filter_images(step, FILTERS["box"])[0, 0, 3, 1:-1].tolist() == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 1])


def test_gaussian_filters_compose() -> None:
    one, two = gaussian_filter(1.5), gaussian_filter(2.0)
    assert one.sum().item() == pytest.approx(1)
    point = torch.zeros(1, 1, 31, 31)
    point[..., 15, 15] = 1
    both = filter_images(filter_images(point, one), two)
    assert (both - filter_images(point, gaussian_filter(2.5))).abs().max() < 1e-3
    with pytest.raises(ValueError, match="is 0.0; expected a positive"):
        gaussian_filter(0.0)
    with pytest.raises(ValueError, match="found 2 × 3"):
        filter_images(point, torch.ones(2, 3))
