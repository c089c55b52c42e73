"""Linear potentials: atom energies that are linear in features and products of them, fitted by least squares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from molnet.data.convert import to_graph, to_properties
from molnet.data.labels import LabelError, naming, where
from molnet.data.statistics import pairs_within, species_of
from molnet.evaluation import evaluate
from molnet.features.design import VOIGT, AtomFeatures, design, products_up_to
from molnet.features.power_spectrum import PowerSpectrum
from molnet.features.ranges import Ranges, refuse_not_finite
from molnet.graph import Graph, Properties
from molnet.nn.ridge import Choice, Sums, cross_validated, ridge
from molnet.potential import Potential

PENALTIES = tuple(10.0**k for k in range(-12, 0))
ENERGY_WEIGHTS = (10.0, 30.0, 100.0, 300.0)
KINDS = ("energy", "forces", "virial")
COLUMNS = 800


class LinearPotential(Potential):
    """E_i = k_Z + Σ_f b_Zf G_if + Σ_fg Q_Zfg G_if G_ig for the features G_i of atom i and its element Z.

    Products are those of features whose degrees add up to `degree` or less; 0 is none. k, b and Q (eV) are zero until
    `solve` fits them to data.

    Source: Thompson et al., J. Comput. Phys. 285, 316 (2015); quadratic as in Wood & Thompson, J. Chem. Phys. 148,
    241721 (2018).
    """

    constants: Tensor
    linear: Tensor
    quadratic: Tensor

    def __init__(self, features: AtomFeatures, *, degree: int = 0) -> None:
        super().__init__()
        self.features, self.degree = features, degree
        self.species, self.cutoff = features.species, features.cutoff
        elements, n = len(self.species), len(features.degrees)
        self.ranges = Ranges(elements, n)
        self.register_buffer("constants", torch.zeros(elements, dtype=torch.float64))
        self.register_buffer("linear", torch.zeros((elements, n), dtype=torch.float64))
        self.register_buffer("quadratic", torch.zeros((elements, n, n), dtype=torch.float64))

    @classmethod
    def like(cls, frames: Sequence[Atoms], *, cutoff: float) -> LinearPotential:
        """A power spectrum for the data, with as many products as give some hundred coefficients; not fitted yet.

        There are fewer where the data have less than four numbers for each.
        """
        species, rows = species_of(frames), sum(3 * len(atoms) + 1 for atoms in frames)
        length, columns = nearest_distance(frames, cutoff), min(COLUMNS, rows // 4) // len(species)
        sizes = ((radial, degree) for degree in range(8, 1, -1) for radial in (10, 6, 3))
        for radial, degree in sizes:
            features = PowerSpectrum(species, cutoff, length=length, radial=radial, degree=degree)
            products = [products_up_to(features.degrees, total).shape[1] for total in range(degree, degree + 4)]
            fitting = [k for k, count in enumerate(products) if 1 + len(features.degrees) + count <= columns]
            if fitting:
                return cls(features, degree=degree + fitting[-1])
        return cls(PowerSpectrum(species, cutoff, length=length, radial=2, degree=1))

    @classmethod
    def fit(cls, frames: Sequence[Atoms], *, cutoff: float, prior: Potential | None = None) -> LinearPotential:
        """`like` the data, and solved."""
        potential = cls.like(frames, cutoff=cutoff)
        potential.solve(frames, prior=prior)
        return potential

    @property
    def terms(self) -> list[str]:
        """What each coefficient of an element belongs to."""
        names = self.features.names
        return ["1", *names, *(f"{names[f]} {names[g]}" for f, g in self._pairs.T.tolist())]

    @property
    def _pairs(self) -> Tensor:
        return products_up_to(self.features.degrees, self.degree)

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        # In the coefficients' precision, also beside a network in single precision.
        G, element = self.features(graph).to(self.linear.dtype), self.features.elements(graph.species)
        slopes = (G @ self.quadratic).transpose(0, 1) if self.degree else torch.zeros_like(self.linear)
        by_element = self.constants + (G.unsqueeze(1) * (self.linear + slopes)).sum(2)
        return by_element.gather(1, element.unsqueeze(1)).squeeze(1)

    def solve(
        self,
        frames: Sequence[Atoms],
        *,
        prior: Potential | None = None,
        energy_weight: float | None = None,
        stress_weight: float = 0.1,
        folds: int = 10,
        seed: int = 0,
    ) -> Choice:
        """Fit to what the prior leaves of the labels that there are, with the penalty that predicts left-out frames.

        The rows are energies per atom (eV), force components (eV/Å) and virials per atom (eV). Forces weigh one,
        virials `stress_weight` times what energies weigh; without `energy_weight`, that is chosen like the penalty.
        Whole frames are left out, by turns in so many folds; as many as there are frames is leave-one-out. Frames are
        read one at a time: memory holds a matrix of columns² numbers for each fold and kind of row.

        Raises ValueError for less than two folds or frames and for features that aren't finite, LabelError
        where no frame has labels.
        """
        groups = np.random.default_rng(seed).permutation(len(frames)) % min(folds, len(frames))
        if groups.max(initial=0) < 1:
            raise ValueError(f"{len(frames)} frames in {folds} folds leave nothing to choose a penalty by; give two.")
        self.measure(frames)
        sums = self._sums(frames, groups.tolist(), prior)
        present = [any(fold[kind].rows for fold in sums) for kind in range(len(KINDS))]
        if not any(present):
            raise LabelError(f"none of the {len(frames)} frames has an energy, forces or a stress to fit to.")
        weights = ENERGY_WEIGHTS if energy_weight is None and present[0] and present[1] else (energy_weight or 1.0,)
        each = [(weight, 1.0, stress_weight * weight) for weight in weights]
        choice = cross_validated(sums, each, PENALTIES)
        whole = Sums.zero(sums[0][0].gram.shape[0])
        for fold in sums:
            for kind, weight in zip(fold, choice.weights, strict=True):
                whole = whole + kind.weighted(weight)
        self._set(ridge(whole, choice.penalty))
        kinds = [name for name, there in zip(KINDS, present, strict=True) if there]
        self.provenance["least squares"] = {
            "frames": len(frames),
            "folds": int(groups.max()) + 1,
            "penalty": choice.penalty,
            "energy_weight": choice.weights[0],
            "left_out_rmse": dict(zip(kinds, choice.errors, strict=True)),
        }
        return choice

    @torch.no_grad()
    def measure(self, frames: Sequence[Atoms]) -> None:
        """Set the ranges of the features to those of the data."""
        values, elements = [], []
        for index, atoms in enumerate(frames):
            with naming(atoms, index):
                graph = to_graph(atoms, self.cutoff)
            values.append(self.features(graph))
            elements.append(self.features.elements(graph.species))
            refuse_not_finite(values[-1], atoms.numbers.tolist(), self.features.names, where(atoms, index))
        self.ranges.measure(torch.cat(values), torch.cat(elements))

    def _sums(self, frames: Sequence[Atoms], groups: list[int], prior: Potential | None) -> list[list[Sums]]:
        """The sums of energies, forces and virials of each group."""
        columns = len(self.species) * (1 + self.linear.shape[1] + self._pairs.shape[1])
        sums = [[Sums.zero(columns) for _ in KINDS] for _ in range(max(groups) + 1)]
        for atoms, group in zip(frames, groups, strict=True):
            kinds = self._rows(atoms, prior)
            sums[group] = [total + Sums.of(*rows) for total, rows in zip(sums[group], kinds, strict=True)]
        return sums

    def _rows(self, atoms: Atoms, prior: Potential | None) -> list[tuple[ndarray, ndarray]]:
        """Rows and targets of each kind, without those that have no label."""
        graph, target = to_graph(atoms, max(self.cutoff, prior.cutoff if prior else 0.0)), to_properties(atoms)
        if prior is not None:
            target = _without(target, evaluate(prior, graph).to(torch.float64))
        rows = design(self.features, self._pairs, graph)
        stress = torch.stack([target.stress[0, a, b] for a, b in VOIGT])
        pairs = (
            (rows.energy.unsqueeze(0) / graph.n_atoms, target.energy / graph.n_atoms),
            (rows.forces, target.forces.flatten()),
            (rows.virial / graph.n_atoms, stress * graph.volume / graph.n_atoms),
        )
        return [(X[y.isfinite()].numpy(), y[y.isfinite()].numpy()) for X, y in pairs]

    @torch.no_grad()
    def _set(self, coefficients: Float[ndarray, " columns"]) -> None:
        table = torch.from_numpy(coefficients).view(len(self.species), -1)
        n, (f, g) = self.linear.shape[1], self._pairs
        self.constants.copy_(table[:, 0])
        self.linear.copy_(table[:, 1 : n + 1])
        self.quadratic.zero_()
        self.quadratic[:, f, g] = table[:, n + 1 :].to(self.quadratic)


def _without(target: Properties, prior: Properties) -> Properties:
    return Properties(target.energy - prior.energy, target.forces - prior.forces, target.stress - prior.stress)


def nearest_distance(frames: Sequence[Atoms], cutoff: float) -> float:
    """The median over atoms of the distance to the nearest other one, Å; the cutoff where none is within it."""
    nearest = []
    for index, atoms in enumerate(frames):
        with naming(atoms, index):
            edges, distances = pairs_within(atoms, cutoff)
        least = np.full(len(atoms), cutoff)
        np.minimum.at(least, edges[0], distances)
        nearest.append(least)
    return float(np.median(np.concatenate(nearest)))
