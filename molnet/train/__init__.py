"""Fitting: the loop, which knows no potentials, and what builds its batches and loss for one."""

from molnet.train.conformations import fit_conformations
from molnet.train.crossvalidation import cross_validate
from molnet.train.ensembles import fit_ensemble
from molnet.train.kalman import Kalman
from molnet.train.loop import History, Mean, NonFinite
from molnet.train.loss import Absolute, Huber, Late, Loss, Squared
from molnet.train.optimizers import LBFGS
from molnet.train.potentials import BrokenFrames, fit, loss_for
from molnet.train.recipe import Constant, Cosine, Plateau, Recipe

__all__ = [
    "LBFGS",
    "Absolute",
    "BrokenFrames",
    "Constant",
    "Cosine",
    "History",
    "Huber",
    "Kalman",
    "Late",
    "Loss",
    "Mean",
    "NonFinite",
    "Plateau",
    "Recipe",
    "Squared",
    "cross_validate",
    "fit",
    "fit_conformations",
    "fit_ensemble",
    "loss_for",
]
