"""Using a potential: ASE's calculator, molecular dynamics, and many replicas of a molecule at once."""

from molnet.simulate.calculator import Calculator
from molnet.simulate.dynamics import Dynamics, LangevinReplicas, OverdampedReplicas
from molnet.simulate.ensembles import NPT, NVE, Ensemble, Langevin
from molnet.simulate.exchange import Exchange, geometric_ladder
from molnet.simulate.forces import forces_of
from molnet.simulate.guard import Guard, LeftTheData
from molnet.simulate.limits import BondLimits
from molnet.simulate.md import run_md
from molnet.simulate.output import Output, Trajectories
from molnet.simulate.record import Summary, summary
from molnet.simulate.replicas import run_replicas
from molnet.simulate.state import State
from molnet.simulate.timing import seconds_per_step

__all__ = [
    "NPT",
    "NVE",
    "BondLimits",
    "Calculator",
    "Dynamics",
    "Ensemble",
    "Exchange",
    "Guard",
    "Langevin",
    "LangevinReplicas",
    "LeftTheData",
    "Output",
    "OverdampedReplicas",
    "State",
    "Summary",
    "Trajectories",
    "forces_of",
    "geometric_ladder",
    "run_md",
    "run_replicas",
    "seconds_per_step",
    "summary",
]
