"""Functions of the distance that networks read: Bessel functions under an envelope, and filters made of them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from molnet.kernels import envelope_values, spline_centers

_TWO_DERIVATIVES = 2


def radial_basis(r: Float[Tensor, " n"], cutoff: float, count: int) -> Float[Tensor, "n functions"]:
    """f(r) · (1, sin(πr/R)/r, …, sin(nπr/R)/r) with the cutoff R and f = 1 − 10u³ + 15u⁴ − 6u⁵ of u = r/R.

    The envelope f makes all of them zero with two derivatives at and beyond the cutoff. Lengths in Å.
    Source: J. Gasteiger et al., ICLR 2020, equation 7.
    """
    k = torch.arange(1, count + 1, dtype=r.dtype, device=r.device) / cutoff
    f = envelope_values(r, cutoff, _TWO_DERIVATIVES).unsqueeze(1)
    return torch.cat([f, f * torch.pi * k * torch.sinc(k * r.unsqueeze(1))], dim=1)


class SplineFilters(nn.Module):
    """Filters W_c(r), linear in a `radial_basis`, as the control points of cubic splines.

    They are evaluated at the centers of the splines and not on edges. Initial weights make filters of about 0.2, so
    that a sum over tens of neighbours has the size of one feature.
    """

    basis: Tensor

    def __init__(self, channels: int, *, functions: int, knots: int, cutoff: float) -> None:
        super().__init__()
        centers = spline_centers(cutoff, knots).clamp(min=0)
        self.register_buffer("basis", radial_basis(centers, cutoff, functions).float(), persistent=False)
        weights = torch.empty((functions + 1, channels), dtype=torch.float32)
        self.weights = nn.Parameter(nn.init.normal_(weights, std=0.2 * (functions + 1) ** -0.5))

    def forward(self) -> Float[Tensor, "knots channels"]:
        return self.basis @ self.weights
