"""Networks: one architecture, one file."""

from molnet.models.acenet import ACENet
from molnet.models.bpnn import BPNN
from molnet.models.cgnet import CGnet
from molnet.models.schnet import SchNet

__all__ = ["BPNN", "ACENet", "CGnet", "SchNet"]
