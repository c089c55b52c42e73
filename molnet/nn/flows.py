"""Normalizing flows: invertible networks whose log-determinants are known, for exact densities and samples."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from molnet.nn.mlp import MLP

Points = Float[Tensor, "batch features"]
LogDet = Float[Tensor, " batch"]
Numbers = Float[Tensor, "batch moved"]
Parameters = Float[Tensor, "batch moved parameters"]

LEAST = 1e-3
"""The smallest width and height of a spline's bin, relative to all, and its smallest slope."""


class Elementwise(ABC):
    """An increasing function of each number by itself; with all parameters zero, the identity."""

    parameters: int

    @abstractmethod
    def forward(self, x: Numbers, parameters: Parameters) -> tuple[Numbers, Numbers]:
        """y and ln dy/dx."""

    @abstractmethod
    def inverse(self, y: Numbers, parameters: Parameters) -> tuple[Numbers, Numbers]:
        """x and ln dx/dy."""


@dataclass(frozen=True)
class Affine(Elementwise):
    """y = x · exp(s) + t with |s| below `limit`, by a hyperbolic tangent. Source: L. Dinh et al., ICLR 2017, eq. 4."""

    limit: float = 3.0

    @property
    def parameters(self) -> int:  # type: ignore[override]
        return 2

    def forward(self, x: Numbers, parameters: Parameters) -> tuple[Numbers, Numbers]:
        scale, shift = self._read(parameters)
        return x * scale.exp() + shift, scale

    def inverse(self, y: Numbers, parameters: Parameters) -> tuple[Numbers, Numbers]:
        scale, shift = self._read(parameters)
        return (y - shift) * (-scale).exp(), -scale

    def _read(self, parameters: Parameters) -> tuple[Numbers, Numbers]:
        scale, shift = parameters.unbind(dim=-1)
        return self.limit * torch.tanh(scale / self.limit), shift


class Bin(NamedTuple):
    """The bin of a spline in which each number lies: its corner, its extents, and the slopes at both ends."""

    x: Numbers
    y: Numbers
    width: Numbers
    height: Numbers
    left: Numbers
    right: Numbers


@dataclass(frozen=True)
class RationalQuadratic(Elementwise):
    """A monotonic spline of `bins` quotients of quadratic polynomials on [−bound, bound], the identity elsewhere:

        y = y_k + h (s ξ² + d_k ξ (1 − ξ)) / (s + (d_{k+1} + d_k − 2s) ξ (1 − ξ)),   ξ = (x − x_k)/w,   s = h/w

    with a continuous slope, d_k at the knots and 1 at the ends.
    Source: C. Durkan et al., Adv. Neural Inf. Process. Syst. 32 (2019), equations 4 to 8.
    """

    bins: int = 8
    bound: float = 4.0

    def __post_init__(self) -> None:
        if self.bins < 2 or not self.bound > 0:
            raise ValueError(f"a spline needs two bins and a positive bound; found {self.bins} and {self.bound}.")

    @property
    def parameters(self) -> int:  # type: ignore[override]
        return 3 * self.bins - 1

    def forward(self, x: Numbers, parameters: Parameters) -> tuple[Numbers, Numbers]:
        xs, ys, slopes = self._knots(parameters)
        inside = x.abs() < self.bound
        b = _bin(x, xs, xs, ys, slopes)
        xi = torch.where(inside, (x - b.x) / b.width, 0.5)
        y, log_slope = _quotient(xi, b)
        return torch.where(inside, y, x), torch.where(inside, log_slope, 0.0)

    def inverse(self, y: Numbers, parameters: Parameters) -> tuple[Numbers, Numbers]:
        xs, ys, slopes = self._knots(parameters)
        inside = y.abs() < self.bound
        b = _bin(y, ys, xs, ys, slopes)
        # Eqs. 6 to 8; of the two ways to write the root, this one loses no digits.
        above = torch.where(inside, y - b.y, 0.5 * b.height)
        s = b.height / b.width
        bend = above * (b.left + b.right - 2 * s)
        quadratic, linear, constant = b.height * (s - b.left) + bend, b.height * b.left - bend, -s * above
        root = (linear.square() - 4 * quadratic * constant).clamp(min=0).sqrt()
        xi = 2 * constant / (-linear - root)
        log_slope = _quotient(xi, b)[1]
        return torch.where(inside, b.x + xi * b.width, y), torch.where(inside, -log_slope, 0.0)

    def _knots(self, parameters: Parameters) -> tuple[Tensor, Tensor, Tensor]:
        """Places, values and slopes at the bins' ends, [batch moved bins+1]."""
        widths, heights, inner = parameters.split([self.bins, self.bins, self.bins - 1], dim=-1)
        # softplus(offset) + LEAST = 1: slopes begin at one.
        offset = math.log(math.expm1(1 - LEAST))
        slopes = functional.pad(functional.softplus(inner + offset) + LEAST, (1, 1), value=1.0)
        return self._spread(widths), self._spread(heights), slopes

    def _spread(self, parts: Tensor) -> Tensor:
        shares = LEAST + (1 - LEAST * self.bins) * parts.softmax(dim=-1)
        ends = functional.pad(shares.cumsum(dim=-1)[..., :-1], (1, 1))
        ends = torch.cat([ends[..., :-1], torch.ones_like(ends[..., :1])], dim=-1)
        return self.bound * (2 * ends - 1)


def _bin(v: Numbers, edges: Tensor, xs: Tensor, ys: Tensor, slopes: Tensor) -> Bin:
    found = torch.searchsorted(edges.detach().contiguous(), v.detach()[..., None], right=True) - 1
    low = found.clamp(0, edges.shape[-1] - 2)
    (x, right_x), (y, right_y), (left, right) = (
        (part.gather(-1, low).squeeze(-1), part.gather(-1, low + 1).squeeze(-1)) for part in (xs, ys, slopes)
    )
    return Bin(x, y, right_x - x, right_y - y, left, right)


def _quotient(xi: Numbers, b: Bin) -> tuple[Numbers, Numbers]:
    """The spline and the logarithm of its slope at the place ξ of a bin (eqs. 4 and 5)."""
    s, mixed = b.height / b.width, xi * (1 - xi)
    below = s + (b.left + b.right - 2 * s) * mixed
    y = b.y + b.height * (s * xi.square() + b.left * mixed) / below
    above = b.right * xi.square() + 2 * s * mixed + b.left * (1 - xi).square()
    return y, 2 * s.log() + above.log() - 2 * below.log()


class Coupling(nn.Module):
    """Moves some features by an elementwise function whose parameters a network makes of those that are kept.

    The Jacobian is triangular, so its log-determinant is the sum of the logarithms of the function's slopes. The
    network's last layer begins at zero, and so the coupling as the identity.
    Raises ValueError where nothing is kept or nothing moved. Source: Dinh et al. 2017, section 3.2.
    """

    kept: Tensor
    order: Tensor

    def __init__(self, kept: Bool[Tensor, " features"], hidden: list[int], elementwise: Elementwise) -> None:
        super().__init__()
        count = int(kept.sum())
        if not 0 < count < len(kept):
            raise ValueError(f"a coupling keeps {count} of {len(kept)} features; expected some, and not all.")
        self.register_buffer("kept", kept)
        self.register_buffer("order", torch.cat([kept.nonzero(), (~kept).nonzero()]).flatten().argsort())
        self.elementwise = elementwise
        self.network = MLP([count, *hidden, (len(kept) - count) * elementwise.parameters])
        nn.init.zeros_(self.network.layers[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Points) -> tuple[Points, LogDet]:
        moved, logs = self.elementwise.forward(x[:, ~self.kept], self._conditioned(x))
        return self._with(x, moved), logs.sum(dim=1)

    def inverse(self, y: Points) -> tuple[Points, LogDet]:
        """x and ln |det ∂x/∂y|."""
        moved, logs = self.elementwise.inverse(y[:, ~self.kept], self._conditioned(y))
        return self._with(y, moved), logs.sum(dim=1)

    def _conditioned(self, x: Points) -> Parameters:
        found = self.network(x[:, self.kept])
        return found.reshape(len(x), -1, self.elementwise.parameters)

    def _with(self, x: Points, moved: Numbers) -> Points:
        return torch.cat([x[:, self.kept], moved], dim=1)[:, self.order]


class Flow(nn.Module):
    """p(x) = N(z; 0, 1) |det ∂z/∂x| for z = f(x), a chain of couplings that keep even and odd features in turns.

    `elementwise` is `Affine()` for RealNVP, `RationalQuadratic()` for neural splines; `hidden` are the widths of the
    couplings' networks. `forward` leads from data to the normal distribution, `inverse` back. Data should be scaled
    to a variance near one. Raises ValueError for fewer than two features.
    """

    def __init__(self, features: int, *, couplings: int, hidden: list[int], elementwise: Elementwise) -> None:
        super().__init__()
        if features < 2 or couplings < 1:
            raise ValueError(f"a flow needs two features and a coupling; found {features} and {couplings}.")
        self.features = features
        even = torch.arange(features) % 2 == 0
        self.couplings = nn.ModuleList(
            Coupling(even if number % 2 else ~even, hidden, elementwise) for number in range(couplings)
        )

    def forward(self, x: Points) -> tuple[Points, LogDet]:
        """z and ln |det ∂z/∂x|."""
        self._check(x)
        total = x.new_zeros(len(x))
        for coupling in self.couplings:
            x, log_det = coupling(x)
            total = total + log_det
        return x, total

    def inverse(self, z: Points) -> tuple[Points, LogDet]:
        """x and ln |det ∂x/∂z|."""
        self._check(z)
        total = z.new_zeros(len(z))
        for coupling in reversed(self.couplings):
            z, log_det = coupling.inverse(z)  # type: ignore[operator]
            total = total + log_det
        return z, total

    def log_prob(self, x: Points) -> LogDet:
        """ln p(x)."""
        z, log_det = self(x)
        return _log_normal(z) + log_det

    def sample(self, count: int, generator: torch.Generator) -> tuple[Points, LogDet]:
        """Points of the distribution with their ln p(x); gradients pass through both."""
        weight = next(self.parameters())
        z = torch.randn((count, self.features), generator=generator, dtype=weight.dtype)
        x, log_det = self.inverse(z)
        return x, _log_normal(z) - log_det

    def losses(self, batch: Points) -> dict[str, LogDet]:
        """−ln p(x) of each example, in nats."""
        return {"loss": -self.log_prob(batch)}

    def _check(self, x: Points) -> None:
        if x.shape[1] != self.features:
            raise ValueError(f"the flow has {self.features} features; the data have {x.shape[1]}.")


def _log_normal(z: Points) -> LogDet:
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(dim=1)
