"""The few heavy operations. Models call them here and never a backend."""

from molnet.kernels.density import Neighborhood, spherical_harmonics, spline_basis, spline_centers
from molnet.kernels.neighborhood import fused_runs, neighbor_density, neighborhood

__all__ = [
    "Neighborhood",
    "fused_runs",
    "neighbor_density",
    "neighborhood",
    "spherical_harmonics",
    "spline_basis",
    "spline_centers",
]
