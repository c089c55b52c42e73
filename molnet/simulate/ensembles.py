"""What is held constant: ensembles as small objects, over ASE's integrators.

Times are in fs, temperatures in K, frictions in 1/fs and pressures in GPa (1 bar is 1e-4 GPa).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from ase import Atoms, units
from ase.constraints import FixAtoms, FixCartesian, FixCom
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.velocitydistribution import Stationary, ZeroRotation
from ase.md.verlet import VelocityVerlet

from molnet.units import KB


@runtime_checkable
class Motion(Protocol):
    """An integrator that moves its atoms in place, and can be stopped and taken up again to the last bit."""

    def step(self) -> Any: ...

    def conserved_energy(self) -> float:
        """eV; what the exact equations of motion keep constant."""

    def state(self) -> dict[str, Any]:
        """Everything beyond positions, momenta and cell, as JSON."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a `state`."""


def _refuse_nonsense(ensemble: Any) -> None:
    for name in ("timestep", "friction", "barostat_time"):
        value = getattr(ensemble, name, 1.0)
        if not 0 < value < np.inf:
            raise ValueError(f"the {name} of {type(ensemble).__name__} is to be positive; {value} was given.")
    if not 0 <= ensemble.temperature < np.inf:
        raise ValueError(f"a temperature is in K, zero or more; {ensemble.temperature} was given.")


@dataclass(frozen=True)
class NVE:
    """Constant energy by velocity Verlet; a start without velocities gets some of exactly this temperature (K)."""

    timestep: float
    temperature: float = 300.0
    seed: int = 0

    conserved = "kinetic + potential energy"

    def __post_init__(self) -> None:
        _refuse_nonsense(self)

    def start(self, atoms: Atoms, rng: np.random.Generator) -> None:
        """Give a structure without momenta some that have the temperature: no thermostat would correct a draw."""
        if atoms.get_momenta().any():
            return
        draw_velocities(atoms, self.temperature, rng)
        if drawn := atoms.get_kinetic_energy():
            wanted = 0.5 * self.freedoms(atoms) * KB * self.temperature
            atoms.set_momenta(atoms.get_momenta() * np.sqrt(wanted / drawn))

    def motion(self, atoms: Atoms, rng: np.random.Generator) -> Motion:
        return _Verlet(atoms, self.timestep * units.fs)

    def freedoms(self, atoms: Atoms) -> int:
        """Those among which the kinetic energy is shared: without the momenta that are conserved."""
        return max(atoms.get_number_of_degrees_of_freedom() - _conserved_momenta(atoms), 1)


@dataclass(frozen=True)
class Langevin:
    """Constant temperature (K) by the BAOAB splitting of Langevin's equation; the friction is in 1/fs.

    Source: B. Leimkuhler and C. Matthews, J. Chem. Phys. 138, 174102 (2013).
    """

    timestep: float
    temperature: float
    friction: float
    seed: int = 0

    conserved = "kinetic + potential energy − heat from the thermostat"

    def __post_init__(self) -> None:
        _refuse_nonsense(self)

    def start(self, atoms: Atoms, rng: np.random.Generator) -> None:
        """Give a structure without momenta some of the temperature's distribution."""
        draw_velocities(atoms, self.temperature, rng)

    def motion(self, atoms: Atoms, rng: np.random.Generator) -> Motion:
        _refuse_rigid(atoms)
        return _Baoab(
            atoms,
            self.timestep * units.fs,
            temperature_K=self.temperature,
            T_tau=units.fs / self.friction,
            hydrostatic=True,
            rng=rng,
        )

    def freedoms(self, atoms: Atoms) -> int:
        """Those among which the kinetic energy is shared: all, for the noise acts on all of them."""
        return int(atoms.get_number_of_degrees_of_freedom())


@dataclass(frozen=True)
class NPT:
    """Constant temperature (K) and pressure (GPa): Langevin's equation for the atoms and the volume.

    The cell keeps its shape. `friction` (1/fs) is that of the atoms, `barostat_time` (fs) the time in which
    the volume follows. The pressure includes its kinetic part.
    Source: D. Quigley and M. I. J. Probert, J. Chem. Phys. 120, 11432 (2004).
    """

    timestep: float
    temperature: float
    pressure: float
    friction: float = 0.01
    barostat_time: float = 1000.0
    seed: int = 0

    conserved = "kinetic + potential energy + pressure·volume + the cell's kinetic energy − heat from the thermostats"

    def __post_init__(self) -> None:
        _refuse_nonsense(self)

    def start(self, atoms: Atoms, rng: np.random.Generator) -> None:
        """Give a structure without momenta some of the temperature's distribution."""
        draw_velocities(atoms, self.temperature, rng)

    def motion(self, atoms: Atoms, rng: np.random.Generator) -> Motion:
        if not atoms.pbc.all():
            raise ValueError(
                f"NPT needs a structure that is periodic in three directions; this one has pbc "
                f"{atoms.pbc.tolist()}. Set atoms.pbc = True and a cell, or use Langevin."
            )
        _refuse_rigid(atoms)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using heuristic P_mass")
            return _Baoab(
                atoms,
                self.timestep * units.fs,
                temperature_K=self.temperature,
                T_tau=units.fs / self.friction,
                P_tau=self.barostat_time * units.fs,
                externalstress=-self.pressure * units.GPa,
                hydrostatic=True,
                rng=rng,
            )

    def freedoms(self, atoms: Atoms) -> int:
        """Those among which the kinetic energy is shared: all, for the noise acts on all of them."""
        return int(atoms.get_number_of_degrees_of_freedom())


Ensemble = NVE | Langevin | NPT


def draw_velocities(atoms: Atoms, temperature: float, rng: np.random.Generator) -> None:
    """Momenta of Maxwell and Boltzmann's distribution, where the structure has none.

    Unless constraints hold atoms, the center of mass is at rest, and a molecule doesn't rotate.
    """
    if atoms.get_momenta().any():
        return
    widths = np.sqrt(atoms.get_masses() * KB * temperature)
    atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * widths[:, None])
    if atoms.constraints or len(atoms) == 1:
        return
    Stationary(atoms, preserve_temperature=False)
    if not atoms.pbc.any():
        with np.errstate(divide="ignore", invalid="ignore"):  # ASE divides by the moment about a linear molecule's axis
            ZeroRotation(atoms, preserve_temperature=False)


def _refuse_rigid(atoms: Atoms) -> None:
    """BAOAB moves atoms along their momenta: constraints on momenta hold, others would be lost."""
    for constraint in atoms.constraints:
        if not isinstance(constraint, (FixAtoms, FixCartesian, FixCom)):
            raise ValueError(
                f"{type(constraint).__name__} works with NVE only; with a thermostat, atoms, components or "
                "the center of mass can be fixed (FixAtoms, FixCartesian, FixCom)."
            )


def _conserved_momenta(atoms: Atoms) -> int:
    """The number of components of momentum and, for a molecule, of angular momentum that stay constant."""
    if atoms.constraints:
        return 0
    if atoms.pbc.any():
        return 3
    moments = atoms.get_moments_of_inertia()
    return 3 + int(np.count_nonzero(moments > 1e-6 * max(moments.max(), 1e-6)))


class _Verlet(VelocityVerlet):
    def conserved_energy(self) -> float:
        return float(self.atoms.get_total_energy())

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass


class _Baoab(LangevinBAOAB):
    """ASE's integrator, which also counts the heat that its thermostats bring in (eV)."""

    heat = 0.0

    def conserved_energy(self) -> float:
        energy = self.atoms.get_total_energy() - self.heat
        if self.externalstress is not None:
            energy += self._cell_energy() - self.externalstress * self.atoms.get_volume()
        return float(energy)

    def state(self) -> dict[str, Any]:
        state = {"heat": self.heat, "rng": self.rng.bit_generator.state}
        if self.externalstress is not None:
            state |= {"cell_momentum": float(self.p_eps), "cell_force": float(self.force_eps)}
        return state

    def restore(self, state: dict[str, Any]) -> None:
        self.heat, self.rng.bit_generator.state = state["heat"], state["rng"]
        if self.externalstress is not None:
            self.p_eps, self.force_eps = state["cell_momentum"], state["cell_force"]

    def _BAOAB_OU(self, drag_gamma_mod: float = 0.0) -> None:  # noqa: N802 - ASE's name
        # The drag is the barostat's and no heat: what it does to the kinetic energy comes back from the cell.
        before = self.atoms.get_kinetic_energy() * np.exp(-2 * drag_gamma_mod * self.dt)
        super()._BAOAB_OU(drag_gamma_mod)
        self.heat += float(self.atoms.get_kinetic_energy() - before)

    def _barostat_BAOAB_OU(self) -> None:  # noqa: N802 - ASE's name
        before = self._cell_energy()
        super()._barostat_BAOAB_OU()
        self.heat += self._cell_energy() - before

    def _cell_energy(self) -> float:
        return float(self.p_eps**2 / (2 * self.barostat_mass))
