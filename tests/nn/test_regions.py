from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from molnet.nn.activations import LeakyReLU, ReLU, Tanh
from molnet.nn.mlp import MLP
from molnet.nn.regions import linear_regions
from molnet.nn.seeding import seeded

UNIT = torch.tensor([[0.0], [1.0]])


def network(widths: list[int], seed: int) -> MLP:
    with seeded(seed):
        made = MLP(widths, activation=ReLU()).double()
        for layer in made.layers:
            torch.nn.init.normal_(layer.bias)
    return made


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_pieces_of_a_line_are_those_of_a_fine_scan(seed: int) -> None:
    made = network([3, 6, 5, 1], seed)
    ends = torch.tensor([[-3.0, 1.0, 2.0], [3.0, -1.0, 0.5]], dtype=torch.float64)
    parts = linear_regions(made, ends)
    for part in parts:
        a, b = torch.from_numpy(part)
        ends_mean = (made(a) + made(b)) / 2
        torch.testing.assert_close(made((a + b) / 2), ends_mean)
    assert sum(np.linalg.norm(b - a) for a, b in parts) == pytest.approx(float((ends[1] - ends[0]).norm()))
    t = torch.linspace(0, 1, 20_001, dtype=torch.float64)[:, None]
    x, patterns = ends[0] + t * (ends[1] - ends[0]), []
    for layer in made.layers[:-1]:
        x = layer(x)
        patterns.append(x > 0)
        x = x.relu()
    seen = torch.cat(patterns, dim=1)
    changes = 1 + int((seen[1:] != seen[:-1]).any(dim=1).sum())
    assert changes <= len(parts) <= changes + 2  # a piece may be shorter than the scan's step


def test_depth_doubles_the_pieces_of_the_tent() -> None:
    """The tent 2 relu(x) − 4 relu(x − ½), applied n times, has 2ⁿ pieces; Telgarsky, COLT 2016."""
    for depth in (1, 2, 5):
        made = MLP([1, *[2] * depth, 1], activation=ReLU()).double()
        with torch.no_grad():
            for number, layer in enumerate(made.layers):
                into = torch.ones(2, 1) if number < depth else torch.ones(1, 1)
                out_of = torch.ones(1, 1) if number == 0 else torch.tensor([[2.0, -4.0]])
                layer.weight.copy_(into @ out_of)
                layer.bias.copy_(torch.tensor([0.0, -0.5]) if number < depth else torch.zeros(1))
        assert len(linear_regions(made, UNIT)) == 2**depth
        assert made(torch.tensor([[0.5**depth]], dtype=torch.float64)).item() == pytest.approx(1)


def test_a_plane_cut_by_lines_in_general_position_has_the_most_pieces() -> None:
    square = 1e4 * torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    for n in (1, 2, 5, 9):
        made = network([2, n, 1], seed=n)
        assert len(linear_regions(made, square)) == 1 + n + n * (n - 1) // 2


def test_the_pieces_of_a_plane_fill_it() -> None:
    def area(corners: np.ndarray) -> float:
        return abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in pairwise([*corners, corners[0]]))) / 2

    made = network([2, 8, 8, 2], seed=1)
    made.activations = [LeakyReLU(), ReLU()]
    parts = linear_regions(made, torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]))
    assert sum(map(area, parts)) == pytest.approx(4)
    for part in parts:
        corners = torch.from_numpy(part)
        torch.testing.assert_close(made(corners.mean(0)), made(corners).mean(0))


def test_what_is_not_piecewise_linear_is_refused() -> None:
    with pytest.raises(ValueError, match="ReLU or LeakyReLU without norms; found MLP"):
        linear_regions(MLP([1, 2, 1], activation=Tanh()), UNIT)
    with pytest.raises(ValueError, match="polygon's corners; found 1"):
        linear_regions(MLP([1, 2, 1], activation=ReLU()), UNIT[:1])
