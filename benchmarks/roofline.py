"""How far a step of the compiled SchNet is from what the processor could do at best.

What a step has to compute and to move at least is counted, part by part (`floors`). The rates are measured in the same
run, on one core: multiplications with additions by a loop that stays in registers, products of matrices by torch, and
bytes by a triad on as many as the part moves. The floor of a part is the longer of the two times. Times are the
processor's and the shortest of many turns, in which all parts alternate; set OMP_NUM_THREADS=1.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import numba
import numpy as np
import torch
import typer
from peers.rounds import conditions, rounded, wide
from peers.worker import dynamics, structure
from rich.table import Table

import molnet as mn
from molnet.deploy import Step, schnet_loops
from molnet.deploy import step as step_loops
from molnet.kernels.compiled import FAST_MATH
from molnet.kernels.dense import add_product, softplus

LAYERS, CHANNELS, KNOTS = 3, 128, 128
STEPS = 60  # of dynamics, for the share of the neighbour list
REAL, INDEX = 4, 8  # bytes
OF_AN_ACTIVATION = 40  # an exponential and a logarithm, with series of single precision
OF_A_SPLINE = 30  # four cubics, their slopes, a square root and a division


@dataclass(frozen=True)
class Floor:
    """What a part has to do at least: multiplications with additions, and bytes from and to memory."""

    operations: float
    bytes: float

    def seconds(self, rate: float, bandwidth: float) -> float:
        return max(self.operations / rate, self.bytes / bandwidth)


def floors(atoms: int, edges: int, listed: int, hidden: int) -> dict[str, Floor]:
    """Of each part of a step, for so many edges within the cutoff, edges on the list, and neurons of the readout.

    A filter is four multiplications with additions for each edge and channel, and so is its slope. A density takes one
    more; its derivatives take one for those with respect to x and two for that with respect to the distance.
    """
    rows, points = atoms * CHANNELS * REAL, KNOTS * CHANNELS * REAL
    per_edge = 4 * REAL + 2 * INDEX
    blocks = LAYERS + LAYERS * (LAYERS - 1) // 2
    products = 2 * atoms * CHANNELS * (blocks * CHANNELS + LAYERS * hidden)
    activations = atoms * (LAYERS * CHANNELS + hidden)
    return {
        "densities": Floor(LAYERS * edges * CHANNELS * 5, LAYERS * (2 * rows + points + edges * per_edge)),
        "their derivatives": Floor(
            LAYERS * edges * CHANNELS * 11, LAYERS * (3 * rows + points + edges * (per_edge + 5 * REAL))
        ),
        "products": Floor(products, 2 * (blocks + LAYERS) * 3 * rows),
        "activations": Floor(activations * OF_AN_ACTIVATION, 3 * activations * REAL),
        "splines": Floor(edges * OF_A_SPLINE, listed * 3 * REAL + edges * (9 * REAL + INDEX)),
        # Read indices, shifts and positions and write vectors; read indices, vectors and derivatives and write forces.
        "vectors and forces": Floor(9 * listed + 12 * listed, listed * (4 * INDEX + 9 * REAL + 3 * 8) + 2 * atoms * 24),
    }


def shortest(parts: dict[str, Callable[[], object]], turns: int = 25) -> dict[str, float]:
    """Seconds of the processor, of all parts in turn."""
    found = dict.fromkeys(parts, math.inf)
    for _ in range(turns + 1):
        for name, part in parts.items():
            begun = time.thread_time()
            part()
            found[name] = min(found[name], time.thread_time() - begun)
    return found


@numba.njit(fastmath=FAST_MATH)
def chains(turns: int, a: np.ndarray, out: np.ndarray) -> None:
    """128 multiplications with additions a turn and number, in four chains."""
    for _ in range(turns):
        for c in range(a.shape[0]):
            v = a[c]
            s, t, u, w = v, v, v, v
            for _ in range(32):
                s, t, u, w = s * v + v, t * s + v, u * v + s, w * t + v
            out[c] += s + t + u + w


@numba.njit(fastmath=FAST_MATH)
def triad(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    for c in range(a.shape[0]):
        out[c] = a[c] + b[c] * a.dtype.type(0.5)


@cache
def multiplications() -> float:
    """A second, with additions, of single precision: of the faster of two loops, the other of which is a product."""
    a, out, turns = torch.full((256,), 0.1).numpy(), torch.zeros(256).numpy(), 2000
    x, weight, product = torch.rand(64, 128).numpy(), torch.rand(128, 128).numpy(), torch.zeros(64, 128).numpy()
    both = {"chains": lambda: chains(turns, a, out), "product": lambda: add_product(0, 64, x, weight, product)}
    found = shortest(both, 100)
    return max(turns * 256 * 128 / found["chains"], 64 * 128 * 128 / found["product"])


@cache
def bandwidth(size: int) -> float:
    """Bytes a second of a triad on as many bytes."""
    a, b, out = (torch.zeros(max(64, size // 12)).numpy() for _ in range(3))
    return 12 * len(a) / shortest({"": lambda: triad(a, b, out)})[""]


@cache
def matrix_products(atoms: int) -> float:
    """Multiplications a second of torch's product with a square matrix."""
    x, weight, out = torch.rand(atoms, CHANNELS), torch.rand(CHANNELS, CHANNELS), torch.empty(atoms, CHANNELS)
    return atoms * CHANNELS**2 / shortest({"": lambda: torch.mm(x, weight, out=out)})[""]


@dataclass(frozen=True)
class System:
    """Water with a compiled SchNet, and its parts as functions that do what one step does of them."""

    atoms: int
    edges: int
    listed: int
    hidden: int
    parts: dict[str, Callable[[], object]]


def system(n_atoms: int) -> System:
    atoms = structure(f"water {n_atoms}")
    calculator = mn.Calculator(mn.SchNet((1, 8), 5.0, interactions=LAYERS), dtype=torch.float32)
    calculator.get_property("energy", atoms)
    graph, term = calculator.neighbors.listed, calculator.compiled
    step, vectors = Step(term, graph), graph.vectors.numpy()
    term.run(graph, vectors)
    layout = term._layout.of(graph, torch.float32)
    own, back = layout.forward_work.lend().arrays, layout.backward_work.lend().arrays
    y, slopes, _, splines, first, s, hidden = own
    near, (d_distance, *_, d_y) = back[:4], back[4:]
    edges, C, W = layout.edges, layout.forward[5], layout.forward[3]
    _, starts, _ = schnet_loops.index_parts.py_func(edges[1], n_atoms)
    d_distance[:] = 0
    schnet_loops._reversed(0, n_atoms, edges, splines, first, near)
    products = 2 * (LAYERS + LAYERS * (LAYERS - 1) // 2)
    readout = np.ascontiguousarray(layout.forward[7][0])

    def densities() -> None:
        for n in range(LAYERS):
            schnet_loops._densities(0, n_atoms, edges, splines, first, y[n], C[n], d_y)

    def derivatives() -> None:
        schnet_loops._reversed(0, n_atoms, edges, splines, first, near)
        for n in range(LAYERS):
            schnet_loops._adjoint(0, n_atoms, starts, near, (s[n], y[n], C[n]), d_y, d_distance)

    def multiply() -> None:
        for _ in range(products):
            add_product(0, n_atoms, y[0], W[0], d_y)
        for _ in range(2 * LAYERS):
            add_product(0, n_atoms, y[0], readout, hidden)

    def activate() -> None:
        for n in range(LAYERS):
            softplus(0, n_atoms, s[n], slopes[n])
        softplus(0, n_atoms, hidden, own[2])

    cell, forces, shifts = atoms.cell.array, np.empty((n_atoms, 3)), graph.shifts.double().numpy()

    def vectors_and_forces() -> None:
        step_loops._vectors(edges[0], shifts, atoms.positions, cell, vectors)
        step_loops._forces(edges[0], vectors, vectors, cell, forces, np.empty((3, 3)))

    parts = {
        "densities": densities,
        "their derivatives": derivatives,
        "products": multiply,
        "activations": activate,
        "splines": lambda: schnet_loops.edge_splines(0, len(vectors), (5.0, KNOTS), vectors, splines, first),
        "vectors and forces": vectors_and_forces,
        "step": lambda: step(atoms.positions, cell),
        "list": lambda: calculator.neighbors.build(atoms),
    }
    near_edges = int((first[: len(vectors)] >= 0).sum())
    return System(n_atoms, near_edges, len(vectors), hidden.shape[1], parts)


def of_dynamics(n_atoms: int) -> tuple[float, float]:
    """Seconds of a step of ASE's dynamics, on average, and how many lists are built in one."""
    atoms = structure(f"water {n_atoms}")
    calculator = mn.Calculator(mn.SchNet((1, 8), 5.0, interactions=LAYERS), dtype=torch.float32)
    run = dynamics(calculator, atoms)
    run(5)
    begun, builds = time.thread_time(), calculator.neighbors.builds
    run(STEPS)
    return (time.thread_time() - begun) / STEPS, (calculator.neighbors.builds - builds) / STEPS


def rows(
    whole: System, found: dict[str, float], dynamic: tuple[float, float], least: dict[str, float]
) -> list[list[str]]:
    """What the table says of one size: each part, what of a step is in no part, and the step."""

    def row(name: str, seconds: float, floor: float) -> list[str]:
        ratio = rounded(seconds / floor) if floor else ""
        share = f"{100 * seconds / found['step']:.0f} %"
        return [f"{whole.atoms:,}", name, rounded(1e3 * seconds), rounded(1e3 * floor) if floor else "", ratio, share]

    per_step, builds = dynamic
    table = [row(name, found[name], floor) for name, floor in least.items()]
    table.append(row("the rest", found["step"] - sum(found[name] for name in least), 0.0))
    table.append(row("energy and forces", found["step"], sum(least.values())))
    table.append(row("neighbour list, a step's share", builds * found["list"], 0.0))
    table.append(row("ASE and the calculator", max(per_step - builds * found["list"] - found["step"], 0.0), 0.0))
    return table


def main(
    size: Annotated[list[int] | None, typer.Option(help="Only so many atoms, three times a cube.")] = None,
) -> None:
    """Print the table."""
    console = wide()
    table = Table(title="A step of the compiled SchNet over its floor; target: twice it for 648 atoms")
    for column in ("atoms", "", "ms", "floor, ms", "× floor", "of energy and forces"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for n_atoms in size or (192, 648, 1536):
        whole = system(n_atoms)
        least = {}
        for name, floor in floors(n_atoms, whole.edges, whole.listed, whole.hidden).items():
            rate = max(matrix_products(n_atoms), multiplications()) if name == "products" else multiplications()
            least[name] = floor.seconds(rate, bandwidth(int(floor.bytes)))
        for row in rows(whole, shortest(whole.parts), of_dynamics(n_atoms), least):
            table.add_row(*row)
        table.add_section()
        console.print(
            f"{n_atoms} atoms, {whole.edges} edges within the cutoff and {whole.listed} on the list; "
            f"products of matrices: {2e-9 * matrix_products(n_atoms):.0f} GFLOP/s"
        )
    console.print(f"multiplications with additions: {2e-9 * multiplications():.0f} GFLOP/s; {conditions()}")
    sizes = [f"{name}: {1e-9 * bandwidth(size):.0f} GB/s" for name, size in (("1 MiB", 2**20), ("64 MiB", 2**26))]
    console.print("triad of", ", ".join(sizes))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
