"""The few heavy operations. Models call them here and never a backend."""

from molnet.kernels.density import Neighborhood, spherical_harmonics, spline_basis, spline_centers
from molnet.kernels.environment import envelope_values, pairs_within
from molnet.kernels.environment_operators import environment_sums
from molnet.kernels.neighborhood import fused_runs, neighbor_density, neighborhood
from molnet.kernels.plain import PlainEnvironments
from molnet.kernels.terms import EncodedTerms, Terms, encoded

__all__ = [
    "EncodedTerms",
    "Neighborhood",
    "PlainEnvironments",
    "Terms",
    "encoded",
    "envelope_values",
    "environment_sums",
    "fused_runs",
    "neighbor_density",
    "neighborhood",
    "pairs_within",
    "spherical_harmonics",
    "spline_basis",
    "spline_centers",
]
