"""The repulsion of two nuclei screened by their electrons, which keeps atoms apart where there are no data."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ase import Atoms
from ase.data import covalent_radii
from jaxtyping import Float
from torch import Tensor

from molnet.data.statistics import shortest_contacts, species_of
from molnet.graph import Graph
from molnet.potential import Potential, SpeciesIndex
from molnet.units import COULOMB

_REACH = 3.0  # Å
SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))
"""Shares and rates of the exponentials in φ."""


class ZBL(Potential):
    """E_i = ½ Σ_j e²/(4πε₀) Z_i Z_j/r_ij φ(r_ij/a_ij) f(r_ij/R_ij), in eV, with a = 0.46850 Å/(Z_i^0.23 + Z_j^0.23).

    φ(x) = 0.18175 e^(−3.19980x) + 0.50986 e^(−0.94229x) + 0.28022 e^(−0.40290x) + 0.02817 e^(−0.20162x) and the
    envelope f(u) = 1 − 10u³ + 15u⁴ − 6u⁵, zero from u = 1 on. `radii` (Å) is the symmetric table of R for each pair.

    Source: J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Solids, vol. 1 (1985).
    """

    pair_radii: Tensor
    charges: Tensor

    def __init__(self, species: Sequence[int], radii: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.species, self.radii = tuple(species), tuple(tuple(row) for row in radii)
        if self.radii != tuple(zip(*self.radii, strict=True)) or len(self.radii) != len(self.species):
            raise ValueError(f"the radii {self.radii} are no symmetric table for {len(self.species)} species.")
        self.cutoff = max(max(row) for row in self.radii)
        self.species_index = SpeciesIndex(species)
        self.register_buffer("pair_radii", torch.tensor(self.radii, dtype=torch.float64), persistent=False)
        self.register_buffer("charges", torch.tensor(self.species, dtype=torch.float64), persistent=False)

    @classmethod
    def below(cls, frames: Sequence[Atoms]) -> ZBL:
        """Repulsion that ends at the data's shortest contact of each pair, so that it never acts on the data.

        A pair that the data don't hold within 3 Å gets 0.7 times the sum of its covalent radii, or 3 Å if that is less.
        """
        species, contacts = species_of(frames), shortest_contacts(frames, within=_REACH)

        def radius(a: int, b: int) -> float:
            # A little less than the contact, which is computed again, perhaps with another rounding.
            found = contacts.get((min(a, b), max(a, b)), 0.7 * (covalent_radii[a] + covalent_radii[b]))
            return (1 - 1e-6) * min(float(found), _REACH)

        return cls(species, [[radius(a, b) for b in species] for a in species])

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        kind = self.species_index(graph.species)
        radii, charges = (table.to(graph.positions.dtype) for table in (self.pair_radii, self.charges))
        close = (graph.distances < radii[kind[graph.centers], kind[graph.neighbors]]).nonzero().squeeze(1)
        first, second = kind[graph.edges[:, close]]
        r = graph.distances.index_select(0, close)
        u = r / radii[first, second]
        envelope = 1 + u**3 * (-10 + u * (15 - 6 * u))
        pair = 0.5 * envelope * screened_repulsion(r, charges[first], charges[second])
        return torch.zeros_like(graph.positions[:, 0]).index_add(0, graph.centers[close], pair)


def screened_repulsion(
    r: Float[Tensor, " pairs"], first: Float[Tensor, " pairs"], second: Float[Tensor, " pairs"]
) -> Float[Tensor, " pairs"]:
    """Ziegler, Biersack and Littmark's universal potential (eV) of nuclei with these charges (e) at r (Å)."""
    x = r / screening_length(first, second)
    screening = sum((share * torch.exp(-rate * x) for share, rate in SCREENING), torch.zeros_like(x))
    return COULOMB * first * second / r * screening


def screening_length(first: Float[Tensor, " *pairs"], second: Float[Tensor, " *pairs"]) -> Float[Tensor, " *pairs"]:
    """a (Å) of nuclei with these charges (e)."""
    return 0.46850 / (first**0.23 + second**0.23)
