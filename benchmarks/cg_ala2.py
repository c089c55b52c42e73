"""Alanine dipeptide in five beads: force errors by cross-validation, and free energies of simulated replicas.

Give an .npz file of beads: one that `molnet cg map` has written, or the published positions (Å) and forces
(kcal/mol/Å) of C, N, Cα, C, N at 300 K. Errors are mean squares per force component, in (kcal/mol/Å)²; most of each is
the noise of instantaneous forces. Every model is then fitted to all frames, and its replicas start from frames drawn
from the data.
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
from linear_basis import LinearBasis
from rich.console import Console
from rich.table import Table

import molnet as mn
from molnet.analysis.landscape_figures import population_bars, surfaces
from molnet.analysis.landscapes import ALANINE, KCAL, Population, Surface, dihedral_angles, distance, populations
from molnet.cli.cg_refine import Rounds, refined
from molnet.cli.cg_simulate import Start
from molnet.coarse import read_arrays
from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from molnet.models import CGnet, SchNet
from molnet.potential import Potential, Sum
from molnet.priors import PeriodicDihedrals, fit_priors
from molnet.simulate import BondLimits, LangevinReplicas, Output, State, Trajectories, run_replicas
from molnet.train import cross_validate, fit_conformations
from molnet.train.crossvalidation import CrossValidation

Fit = Callable[[Conformations], Potential]
LINEAR = "linear basis"
VALID = 0.1


def published(path: Path) -> Conformations:
    beads, masses = ["C", "N", "CA", "C", "N"], [12.011, 14.007, 12.011, 12.011, 14.007]
    residues = ["ACE1", "ALA2", "ALA2", "ALA2", "NME3"]
    molecule = Molecule.bonded(beads, masses, bonds=[(0, 1), (1, 2), (2, 3), (3, 4)], residues=residues)
    return read_arrays(path, molecule, temperature=300.0, length_unit="Å", force_unit="kcal/mol/Å")


def read(path: Path) -> Conformations:
    with np.load(path) as held:
        return Conformations.load(path) if "about" in held else published(path)


def trained(network: Potential, data: Conformations, **recipe: Any) -> Potential:
    """Priors and the network, fitted to nine tenths of the frames; the others choose the epoch."""
    order = np.random.default_rng(0).permutation(len(data))
    valid, train = np.split(order, [round(VALID * len(data))])
    potential = fit_priors(data) + network
    fit_conformations(potential, data[train], data[valid], **recipe)
    return potential


def cgnet(data: Conformations) -> Potential:
    network = CGnet.like(data, hidden=(64, 64))
    return trained(network, data, epochs=30, learning_rate=1e-3, weight_decay=0.01, batch=256)


def refined_cgnet(data: Conformations) -> Potential:
    """CGnet after two rounds of relative entropy, with 100 replicas of 0.5 ns."""
    potential = cgnet(data)
    rounds = Rounds(
        2, Start(100), LangevinReplicas(4.0, 1e-3), 500.0, epochs=30, learning_rate=1e-3, forces_weight=20.0
    )
    with TemporaryDirectory() as folder:
        for _ in refined(potential, data, rounds, folder=Path(folder)):
            pass
    return potential


def schnet(data: Conformations) -> Potential:
    species = sorted(set(data.molecule.species))
    rms = float(np.sqrt(np.mean(data.forces**2)))
    network = SchNet(species, 10.0, channels=32, interactions=2, gaussians=32, knots=64, scale=0.1 * rms)
    return trained(network, data, epochs=30, learning_rate=2e-3, weight_decay=1.0)


def without_dihedrals(data: Conformations) -> Potential:
    return Sum(term for term in fit_priors(data).terms if not isinstance(term, PeriodicDihedrals))


MODELS: dict[str, Fit] = {
    LINEAR: LinearBasis.fit,
    "priors": without_dihedrals,
    "priors + dihedrals": fit_priors,
    "CGnet": cgnet,
    "CGnet, refined": refined_cgnet,
    "SchNet": schnet,
}


def error_table(found: CrossValidation, folds: int) -> Table:
    table = Table(title=f"Force error in {folds} folds, (kcal/mol/Å)² per component")
    for column in (
        "",
        "mean",
        "standard error",
        "≤ linear",
        *(f"fold {n + 1}" for n in range(folds)),
    ):
        table.add_column(column, justify="left" if column == "" else "right")
    for name, errors in found.errors.items():
        numbers = [f"{error / KCAL**2:.1f}" for error in (found.mean(name), *errors)]
        spread, wins = f"{found.standard_error(name) / KCAL**2:.1f}", f"{found.wins(name, LINEAR)} of {folds}"
        table.add_row(name, numbers[0], spread, wins, *numbers[1:])
    return table


def simulated(fit: Fit, data: Conformations, folder: Path, *, replicas: int, nanoseconds: float) -> Trajectories:
    """Replicas of 4 fs and 1/ps, a frame each 0.4 ps; from the folder where they are there already."""
    steps = round(1e6 * nanoseconds / 4.0)
    if not (folder / "replicas.json").exists():
        potential = fit(data)
        mn.save(potential, folder.with_suffix(".safetensors"))
        chosen = np.random.default_rng(0).choice(len(data), replicas, replace=False)
        start = State.start(data.molecule, data.positions[chosen].astype(np.float32), temperatures=data.temperature)
        output, limits = Output(folder, every=100, format="dcd"), BondLimits.of(data)
        dynamics = LangevinReplicas(4.0, 1e-3)
        run_replicas(start.centered(), potential, dynamics=dynamics, steps=steps, output=output, limits=limits)
    return Trajectories.load(folder)


Sampled = tuple[Surface, dict[str, Population]]


def sampled(trajectories: list[np.ndarray], data: Conformations, bins: int) -> Sampled:
    """The surface in φ and ψ, and the populations of the basins."""
    angles = [tuple(dihedral_angles(x.astype(float), data.molecule.dihedrals)) for x in trajectories]
    phi, psi = (np.concatenate(values) for values in zip(*angles, strict=True))
    return Surface.of(phi, psi, temperature=data.temperature, bins=bins), populations(angles)


def simulation_table(found: dict[str, Sampled], seconds: dict[str, float]) -> Table:
    table = Table(title="Simulated replicas beside the reference, in φ and ψ")
    distances = ("JS, nats", "KL, nats", "ΔF², (kcal/mol)²")
    for column in ("", *distances, *(f"{name}, %" for name in ALANINE), "minutes"):
        table.add_column(column, justify="left" if column == "" else "right")
    reference = found["reference"][0]
    for name, (surface, basins) in found.items():
        apart = [f"{value:.3f}" for value in distance(surface, reference)] if name != "reference" else [""] * 3
        shares = [f"{100 * p.value:.2f} ± {100 * p.error:.2f}" for p in basins.values()]
        table.add_row(name, *apart, *shares, f"{seconds[name] / 60:.1f}" if name in seconds else "")
    return table


def main(
    data: Path,
    folder: Annotated[Path, typer.Option(help="Where potentials and trajectories are kept.")] = Path("runs/cg_ala2"),
    model: Annotated[list[str] | None, typer.Option(help="Only these models.")] = None,
    folds: Annotated[int, typer.Option(help="Of the cross-validation; 0 for none.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    replicas: Annotated[int, typer.Option(help="Simulated at once; 0 for none.")] = 100,
    nanoseconds: Annotated[float, typer.Option(help="Length of each replica.")] = 1.0,
    bins: Annotated[int, typer.Option(help="Of each angle.")] = 36,
) -> None:
    """Print the tables, and draw the surfaces."""
    folder.mkdir(parents=True, exist_ok=True)
    console, beads = Console(width=120), read(data)
    fits = {name: fit for name, fit in MODELS.items() if model is None or name in (LINEAR, *model)}
    if folds:
        console.print(error_table(cross_validate(fits, beads, k=folds, seed=seed), folds))
    if not replicas:
        return
    found, seconds = {"reference": sampled([beads.positions], beads, bins)}, {}
    for name, fit in fits.items():
        if name == LINEAR:
            continue
        begun = time.perf_counter()
        run = simulated(
            fit, beads, folder / name.replace(" ", "").replace(",", "-"), replicas=replicas, nanoseconds=nanoseconds
        )
        seconds[name] = time.perf_counter() - begun
        # The first tenth forgets the frames that replicas started from.
        later = run.positions[len(run.positions) // 10 :]
        found[name] = sampled([np.asarray(later[:, column]) for column in range(replicas)], beads, bins)
    console.print(simulation_table(found, seconds))
    surfaces({name: each[0] for name, each in found.items()}, basins=ALANINE).savefig(folder / "surfaces.png", dpi=200)
    population_bars({name: each[1] for name, each in found.items()}).savefig(folder / "populations.png", dpi=200)


if __name__ == "__main__":
    typer.run(main)
