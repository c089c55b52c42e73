"""Langevin walkers of one molecule in implicit solvent with OpenMM: positions and forces, unbiased and resumable.

Each walker is a trajectory of its own and writes into the folder of the run

| file | holds |
|---|---|
| `topology.pdb` | the atoms, and the start of walker 0 |
| `system.xml` | the force field as an OpenMM System, for forces at other positions |
| `run.json` | the settings, with the masses in amu: of the atoms, and of the dynamics |
| `walker_00.dcd` | positions (Å in the file; mdtraj gives nm), center of mass at the origin, evenly in time |
| `walker_00_forces_kJ_per_mol_nm.npy` | forces [frames, atoms, 3] of the force field, without those of constraints |
| `walker_00_checkpoint.npz` | the phase point that the walker goes on from (nm, nm/ps) |

A walker advances in blocks. Each block begins with a random seed made of (seed, walker, block), so a run that was
stopped and started again gives the frames it would have given without the stop.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import mdtraj
import numpy as np
import openmm
from openmm import app, unit
from scipy.spatial.transform import Rotation

FORCES = "forces_kJ_per_mol_nm"


@dataclass(frozen=True)
class Settings:
    """One run: ps for times between frames, fs for the timestep, amu for the mass of hydrogens, K, 1/ps.

    Hydrogens borrow their mass from the atom they are bonded to, which allows a longer timestep and leaves
    averages over positions as they are: masses cancel in the configurational distribution. `block` is the number of
    frames between checkpoints, `rotate_every` the time between trial rotations (see `Rotations`), 0 for dynamics alone.
    """

    interval: float
    equilibration: float
    block: int
    rotate_every: float = 0.0
    timestep: float = 4.0
    hydrogen_mass: float = 3.0
    temperature: float = 300.0
    friction: float = 1.0
    force_field: tuple[str, ...] = ("amber99sbildn.xml", "amber99_obc.xml")
    platform: str = "Reference"
    seed: int = 1

    def steps(self, time_ps: float) -> int:
        """Steps in a time (ps)."""
        return round(time_ps * 1000 / self.timestep)


@dataclass(frozen=True)
class Molecule:
    """A topology, the starting positions (nm) of its walkers, in turn, and the bonds (i, j) that trial moves turn."""

    topology: app.Topology
    starts: Sequence[np.ndarray]
    rotatable: Sequence[tuple[int, int]] = ()

    def system(self, settings: Settings) -> openmm.System:
        """The force field in OBC2 implicit solvent, bonds to hydrogen constrained, nothing cut off."""
        return app.ForceField(*settings.force_field).createSystem(
            self.topology,
            nonbondedMethod=app.NoCutoff,
            constraints=app.HBonds,
            hydrogenMass=settings.hydrogen_mass * unit.amu,
            removeCMMotion=False,
        )


class Walker:
    """One trajectory, in its files."""

    def __init__(self, folder: Path, index: int, topology: mdtraj.Topology) -> None:
        self.index, self.topology = index, topology
        self.trajectory = folder / f"walker_{index:02}.dcd"
        self.forces = folder / f"walker_{index:02}_{FORCES}.npy"
        self.checkpoint = folder / f"walker_{index:02}_checkpoint.npz"
        self.frames: tuple[np.ndarray, np.ndarray] | None = None

    def blocks(self) -> int:
        """Blocks finished, the equilibration counted as the first."""
        return int(np.load(self.checkpoint)["blocks"]) if self.checkpoint.exists() else 0

    def phase(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (nm) and velocities (nm/ps) to go on from."""
        saved = np.load(self.checkpoint)
        return saved["positions"], saved["velocities"]

    def save(self, blocks: int, context: openmm.Context) -> None:
        """The checkpoint, which is written last: what a stop left half done is done again."""
        state = context.getState(positions=True, velocities=True)
        positions, velocities = in_md_units(state.getPositions(True)), in_md_units(state.getVelocities(True))
        unfinished = self.checkpoint.with_name("unfinished.npz")
        np.savez(unfinished, blocks=blocks, positions=positions, velocities=velocities)
        unfinished.replace(self.checkpoint)

    def append(self, finished: int, positions: np.ndarray, forces: np.ndarray) -> None:
        """Writes the first `finished` frames and these behind them (nm, kJ/mol/nm)."""
        if finished:
            known = self.frames or (mdtraj.load(self.trajectory, top=self.topology).xyz, np.load(self.forces))
            positions = np.concatenate([known[0][:finished], positions])
            forces = np.concatenate([known[1][:finished], forces])
        self.frames = positions, forces
        unfinished = self.trajectory.with_name("unfinished.dcd"), self.forces.with_name("unfinished.npy")
        mdtraj.Trajectory(positions, self.topology).save_dcd(str(unfinished[0]))
        np.save(unfinished[1], forces)
        unfinished[0].replace(self.trajectory)
        unfinished[1].replace(self.forces)


def in_md_units(quantity: unit.Quantity) -> np.ndarray:
    """In nm, nm/ps, kJ/mol/nm."""
    return quantity.value_in_unit_system(unit.md_unit_system)


def sample(molecule: Molecule, settings: Settings, folder: Path, *, walkers: int, frames: int) -> None:
    """Advances all walkers in turn, a block each, until each has that many frames; goes on where a stop left them."""
    folder.mkdir(parents=True, exist_ok=True)
    system = molecule.system(settings)
    describe(molecule, settings, system, folder)
    topology = mdtraj.Topology.from_openmm(molecule.topology)
    blocks = max(1, round(frames / settings.block))
    every = [Walker(folder, index, topology) for index in range(walkers)]
    todo = [(number, walker) for number in range(blocks + 1) for walker in every if walker.blocks() <= number]
    lasts = settings.block * settings.interval
    steps = [settings.steps(lasts if number else settings.equilibration) for number, _ in todo]
    begun = time.perf_counter()
    for i, (number, walker) in enumerate(todo, start=1):
        advance(walker, number, system, molecule, settings)
        minutes = (time.perf_counter() - begun) / sum(steps[:i]) * sum(steps[i:]) / 60
        reached = f"{number * settings.block} of {blocks * settings.block} frames"
        print(f"walker {walker.index}: {reached}; {minutes:.0f} minutes left", flush=True)


def advance(walker: Walker, number: int, system: openmm.System, molecule: Molecule, settings: Settings) -> None:
    """Runs and saves one block; block 0 is the minimization and equilibration, of which no frame is kept."""
    seeds = np.random.SeedSequence([settings.seed, walker.index, number])
    context = new_context(system, settings, seeds)
    move = Rotations(molecule, settings, np.random.default_rng(seeds))
    if number == 0:
        context.setPositions(molecule.starts[walker.index % len(molecule.starts)])
        openmm.LocalEnergyMinimizer.minimize(context)
        context.setVelocitiesToTemperature(settings.temperature, settings.seed + walker.index)
        propagate(context, move, settings, settings.equilibration)
    else:
        positions, velocities = walker.phase()
        context.setPositions(positions)
        context.setVelocities(velocities)
        walker.append((number - 1) * settings.block, *record(context, move, settings))
    walker.save(number + 1, context)


def new_context(system: openmm.System, settings: Settings, seeds: np.random.SeedSequence) -> openmm.Context:
    """A context with random numbers of its own."""
    integrator = openmm.LangevinMiddleIntegrator(
        settings.temperature, settings.friction, settings.timestep * unit.femtoseconds
    )
    integrator.setRandomNumberSeed(positive(seeds.generate_state(1)[0]))
    platform = openmm.Platform.getPlatformByName(settings.platform)
    threads = {"Threads": "1"} if settings.platform == "CPU" else {}
    return openmm.Context(system, integrator, platform, threads)


def positive(number: np.integer) -> int:
    """A seed for OpenMM, where 0 asks for another seed at each start."""
    return 1 + int(number) % (2**31 - 2)


class Rotations:
    """Metropolis moves: all rotatable bonds turned at once, each by any angle, far sides kept rigid.

    Accepted with min(1, exp(−ΔU / kT)), which leaves the Boltzmann distribution as it is: proposals are symmetric, and
    a rigid rotation keeps volumes and constraints. An accepted move draws new velocities, since constraints tie
    them to the positions. Leapfrog steps tie those of stiff bonds together as well, so each draw heats these bonds:
    the friction should take that heat away before the next frame. Basins that dynamics alone leaves after nanoseconds
    are left after picoseconds, so the trajectories say nothing about the time scale of these crossings.
    """

    def __init__(self, molecule: Molecule, settings: Settings, rng: np.random.Generator) -> None:
        bonds = [(a.index, b.index) for a, b in molecule.topology.bonds()]
        self.axes = [(i, j, far_side(bonds, i, j)) for i, j in molecule.rotatable]
        self.temperature, self.rng = settings.temperature, rng

    def __call__(self, context: openmm.Context) -> None:
        state = context.getState(positions=True, energy=True)
        before = in_md_units(state.getPositions(True))
        after = before.copy()
        for i, j, far in self.axes:
            axis = (after[j] - after[i]) / np.linalg.norm(after[j] - after[i])
            turn = Rotation.from_rotvec(self.rng.uniform(-np.pi, np.pi) * axis)
            after[far] = after[j] + turn.apply(after[far] - after[j])
        context.setPositions(after)
        change = context.getState(energy=True).getPotentialEnergy() - state.getPotentialEnergy()
        kt = unit.MOLAR_GAS_CONSTANT_R * self.temperature * unit.kelvin
        if np.log(self.rng.uniform()) < -(change / kt):
            context.setVelocitiesToTemperature(self.temperature, positive(self.rng.integers(2**31)))
        else:
            context.setPositions(before)


def far_side(bonds: Sequence[tuple[int, int]], i: int, j: int) -> list[int]:
    """The atoms behind j, seen from i."""
    behind, edge = {j}, {j}
    while edge:
        reached = {b for a, b in bonds if a in edge} | {a for a, b in bonds if b in edge}
        edge = reached - behind - {i}
        behind |= edge
    return sorted(behind - {j})


def propagate(context: openmm.Context, move: Rotations, settings: Settings, duration: float) -> None:
    """Dynamics of a duration (ps), with a trial rotation before each `rotate_every`."""
    steps = settings.steps(duration)
    stretch = settings.steps(settings.rotate_every) or steps
    for begun in range(0, steps, stretch):
        if move.axes and settings.rotate_every:
            move(context)
        context.getIntegrator().step(min(stretch, steps - begun))


def record(context: openmm.Context, move: Rotations, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """One block: positions about the center of mass (nm) and forces (kJ/mol/nm), `interval` apart."""
    masses = np.array(masses_of(context.getSystem()))
    positions, forces = np.empty((2, settings.block, len(masses), 3), dtype=np.float32)
    for frame in range(settings.block):
        propagate(context, move, settings, settings.interval)
        state = context.getState(positions=True, forces=True)
        found = in_md_units(state.getPositions(True))
        positions[frame] = found - masses @ found / masses.sum()
        forces[frame] = in_md_units(state.getForces(True))
    if not np.isfinite(forces).all():
        raise SystemExit("A force is not finite: the walker blew up. Take a shorter --timestep.")
    return positions, forces


def masses_of(system: openmm.System) -> list[float]:
    """The masses in the dynamics, amu."""
    return [system.getParticleMass(i).value_in_unit(unit.amu) for i in range(system.getNumParticles())]


def describe(molecule: Molecule, settings: Settings, system: openmm.System, folder: Path) -> None:
    """Writes topology.pdb, system.xml and run.json; refuses a folder with a run of other settings."""
    masses = [atom.element.mass.value_in_unit(unit.amu) for atom in molecule.topology.atoms()]
    text = {**asdict(settings), "masses_amu": masses, "masses_of_dynamics_amu": masses_of(system)}
    run = folder / "run.json"
    if run.exists():
        if json.loads(run.read_text()) != json.loads(json.dumps(text)):
            raise SystemExit(f"{run} is of a run with other settings. Give another --folder, or the settings it names.")
        return
    app.PDBFile.writeFile(molecule.topology, molecule.starts[0] * 10, str(folder / "topology.pdb"))
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    run.write_text(json.dumps(text, indent=1) + "\n")
