"""Invariant featurizers: internal coordinates and atom-centred symmetry functions."""

from molnet.features.angular import G4, G5, AniAngular
from molnet.features.cutoffs import CosineCutoff, CutoffFunction, PolynomialCutoff, TanhCutoff
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
from molnet.features.symmetry import Block, SymmetryFunctions
from molnet.kernels.geometry import angles, dihedral_cos_sin, dihedrals, distances

__all__ = [
    "CUR",
    "G1",
    "G2",
    "G3",
    "G4",
    "G5",
    "AniAngular",
    "AniRadial",
    "Block",
    "BondAngles",
    "BondLengths",
    "CosineCutoff",
    "CutoffFunction",
    "DihedralAngles",
    "DihedralCosSin",
    "Extrapolated",
    "FarthestPoints",
    "FeatureStatistics",
    "Joined",
    "PairDistances",
    "PolynomialCutoff",
    "PowerSpectrum",
    "Stop",
    "SymmetryFunctions",
    "TanhCutoff",
    "Warn",
    "angles",
    "dihedral_cos_sin",
    "dihedrals",
    "distances",
    "extrapolations",
    "feature_statistics",
]
