"""Steps of many replicas beside the gradient of a bare network of their size, and what the integrator takes of them."""

import time
from collections.abc import Callable
from itertools import count, pairwise
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from molnet.models import CGnet
from molnet.priors import fit_priors
from molnet.simulate import LangevinReplicas, State, forces_of

ROUNDS = 9
STEPS = {1: 200, 100: 60, 1000: 12}


def conformations() -> Conformations:
    """A backbone of five beads, shaken."""
    rng = np.random.default_rng(0)
    molecule = Molecule.bonded(
        ["C", "N", "CA", "C2", "N2"], [12.0, 14.0, 12.0, 12.0, 14.0], bonds=[(0, 1), (1, 2), (2, 3), (3, 4)]
    )
    base = np.array([[0, 0, 0], [1.3, 0, 0], [2.0, 1.2, 0], [3.4, 1.3, 0.5], [4.1, 2.4, 0.3]])
    positions = base + rng.normal(0, 0.05, (2000, 5, 3))
    return Conformations(molecule, positions, rng.normal(0, 1, positions.shape), 300.0)


def bare(inputs: int, replicas: int) -> Callable[[], object]:
    """The gradient of 3 × 128 hidden units for so many rows."""
    generator = torch.Generator().manual_seed(0)
    sizes, layers = [inputs, 128, 128, 128, 1], list[torch.nn.Module]()
    for before, after in pairwise(sizes):
        layers += [torch.nn.Linear(before, after), torch.nn.Tanh()]
    network = torch.nn.Sequential(*layers[:-1]).requires_grad_(False)
    x = torch.randn((replicas, inputs), generator=generator).requires_grad_()
    return lambda: torch.autograd.grad(network(x).sum(), x)


def microseconds(call: Callable[[], object], number: int) -> float:
    start = time.perf_counter()
    call()
    return 1e6 * (time.perf_counter() - start) / number


def row(data: Conformations, replicas: int) -> list[str]:
    """One line of the table, medians of alternating rounds."""
    steps, network = STEPS[replicas], CGnet.like(data)
    positions = data.positions[:replicas].astype(np.float32)
    forces = forces_of(fit_priors(data) + network, data.molecule, replicas, dtype=torch.float32)
    none, seeds = (np.zeros(replicas), np.zeros_like(positions)), count()
    dynamics = LangevinReplicas(2.0, 0.001)
    gradient = bare(len(network.pairs) + len(network.angles) + 2 * len(network.dihedrals), replicas)

    def integrate() -> State:
        # Another seed for each call, as random numbers are kept for a while.
        start = State.start(data.molecule, positions, temperatures=300.0, seed=next(seeds))
        return dynamics.advance(start, lambda _: none, 1092)

    calls: list[tuple[Callable[[], object], int]] = [
        (integrate, 1092),
        (lambda: [forces(positions) for _ in range(steps)], steps),
        (lambda: [gradient() for _ in range(steps)], steps),
    ]
    times = [[microseconds(call, number) for call, number in calls] for _ in range(ROUNDS + 1)][1:]
    integrator, force, network_alone = (median(column) for column in zip(*times, strict=True))
    step = integrator + force
    per_second = 1e6 * replicas * len(data.molecule) / step
    shown = (f"{integrator:.1f}", f"{step:,.0f}", f"{network_alone:,.0f}", f"{step / network_alone:.2f}")
    return [f"{replicas:,}", *shown, f"{per_second:,.0f}"]


if __name__ == "__main__":
    columns = ("replicas", "integrator, µs", "step, µs", "bare network, µs", "ratio", "bead-steps per second")
    table = Table(*columns, title=f"5 beads, priors and CGnet, float32, {torch.get_num_threads()} threads")
    for replicas in STEPS:
        table.add_row(*row(conformations(), replicas))
    Console().print(table)
