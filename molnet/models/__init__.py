"""Networks: one architecture, one file."""

from molnet.models.acenet import ACENet
from molnet.models.attention import AttentionMPNN
from molnet.models.bpnn import BPNN
from molnet.models.cgnet import CGnet
from molnet.models.linear import LinearPotential
from molnet.models.mpnn import GRU, MPNN, EdgeNetwork, GatedFilter, PairNetwork, Residual
from molnet.models.painn import PaiNN
from molnet.models.schnet import SchNet

__all__ = [
    "BPNN",
    "GRU",
    "MPNN",
    "ACENet",
    "AttentionMPNN",
    "CGnet",
    "EdgeNetwork",
    "GatedFilter",
    "LinearPotential",
    "PaiNN",
    "PairNetwork",
    "Residual",
    "SchNet",
]
