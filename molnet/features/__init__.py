"""Invariant featurizers: internal coordinates and atom-centred symmetry functions."""

from molnet.features.angular import G4, G5, AngularGaussians, AniAngular
from molnet.features.choice import Block, Only, Weighted
from molnet.features.cutoffs import (
    CosineCutoff,
    CutoffFunction,
    ExponentialCutoff,
    HardCutoff,
    PolynomialCutoff,
    TanhCutoff,
    UnitTanhCutoff,
)
from molnet.features.geometry import (
    BondAngles,
    BondLengths,
    DihedralAngles,
    DihedralCosSin,
    Joined,
    PairDistances,
)
from molnet.features.power_spectrum import PowerSpectrum
from molnet.features.radial import G1, G2, G3, AniRadial
from molnet.features.ranges import Extrapolated, Stop, Warn, extrapolations
from molnet.features.selection import CUR, FarthestPoints
from molnet.features.statistics import FeatureStatistics, feature_statistics
from molnet.features.symmetry import SymmetryFunctions
from molnet.features.windows import WindowNarrow, WindowRadial, WindowWide
from molnet.kernels.geometry import angles, dihedral_cos_sin, dihedrals, distances

__all__ = [
    "CUR",
    "G1",
    "G2",
    "G3",
    "G4",
    "G5",
    "AngularGaussians",
    "AniAngular",
    "AniRadial",
    "Block",
    "BondAngles",
    "BondLengths",
    "CosineCutoff",
    "CutoffFunction",
    "DihedralAngles",
    "DihedralCosSin",
    "ExponentialCutoff",
    "Extrapolated",
    "FarthestPoints",
    "FeatureStatistics",
    "HardCutoff",
    "Joined",
    "Only",
    "PairDistances",
    "PolynomialCutoff",
    "PowerSpectrum",
    "Stop",
    "SymmetryFunctions",
    "TanhCutoff",
    "UnitTanhCutoff",
    "Warn",
    "Weighted",
    "WindowNarrow",
    "WindowRadial",
    "WindowWide",
    "angles",
    "dihedral_cos_sin",
    "dihedrals",
    "distances",
    "extrapolations",
    "feature_statistics",
]
