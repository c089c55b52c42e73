"""Using a potential: ASE's calculator, and molecular dynamics."""

from molnet.simulate.calculator import Calculator
from molnet.simulate.ensembles import NPT, NVE, Ensemble, Langevin
from molnet.simulate.guard import Guard, LeftTheData
from molnet.simulate.md import run_md
from molnet.simulate.record import Summary, summary

__all__ = [
    "NPT",
    "NVE",
    "Calculator",
    "Ensemble",
    "Guard",
    "Langevin",
    "LeftTheData",
    "Summary",
    "run_md",
    "summary",
]
