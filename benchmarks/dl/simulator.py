"""Learned simulators of springs and of gravity: errors of rollouts and their energy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from dl.rows import Row
from matplotlib.figure import Figure
from torch import Tensor

from molnet.nn.seeding import seeded
from molnet.nn.simulator import Connect, FixedEdges, GraphSimulator, NoisyWindows, Within
from molnet.train.arrays import own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

SOFTENING = 0.2
"""Added to squared distances, so that bodies pass through each other without a collision."""


def spring_energy(x: Tensor, mass: Tensor) -> Tensor:
    """½ Σ (r − 1)² over the springs of a chain, for positions [..., particles, 2]."""
    r = (x.diff(dim=-2).square().sum(dim=-1) + 1e-6).sqrt()
    return 0.5 * (r - 1).square().sum(dim=-1)


def gravity_energy(x: Tensor, mass: Tensor) -> Tensor:
    """− Σ m_i m_j / √(r² + s) over the pairs."""
    a, b = torch.triu_indices(x.shape[-2], x.shape[-2], offset=1)
    r2 = (x[..., a, :] - x[..., b, :]).square().sum(dim=-1)
    m = mass[..., 0]
    return -(m[..., a] * m[..., b] / (r2 + SOFTENING).sqrt()).sum(dim=-1)


@dataclass(frozen=True)
class System:
    """What is simulated: the potential energy of positions and masses, who acts on whom, and how it starts."""

    name: str
    energy: Callable[[Tensor, Tensor], Tensor]
    connect: Connect
    particles: int
    step: float

    def start(self, systems: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Positions, velocities without a drift, and masses."""
        x = 0.2 * torch.randn(systems, self.particles, 2, generator=generator, dtype=torch.float64)
        x[..., 0] += torch.arange(self.particles) - (self.particles - 1) / 2
        v = 0.5 * torch.randn(systems, self.particles, 2, generator=generator, dtype=torch.float64)
        mass = 0.5 + torch.rand(systems, self.particles, 1, generator=generator, dtype=torch.float64)
        return x, v - (mass * v).sum(dim=1, keepdim=True) / mass.sum(dim=1, keepdim=True), mass

    def trajectories(self, systems: int, frames: int, seed: int) -> tuple[Tensor, Tensor]:
        """Positions [systems, particles, frames, 2] by Störmer's rule, every fourth step, and masses."""
        x, v, mass = self.start(systems, torch.Generator().manual_seed(seed))
        gradient = torch.func.grad(lambda x: self.energy(x, mass).sum())
        small = self.step / 4
        old, found = x - small * v, []
        for number in range(4 * frames):
            if number % 4 == 0:
                found.append(x)
            x, old = 2 * x - old - small**2 * gradient(x) / mass, x
        return torch.stack(found, dim=2).float(), mass.float()

    def total_energy(self, frames: Tensor, mass: Tensor) -> Tensor:
        """Kinetic and potential energy [systems, frames − 2], velocities by central differences."""
        x = frames.movedim(2, 1)
        v = (x[:, 2:] - x[:, :-2]) / (2 * self.step)
        m = mass[:, None]
        return (0.5 * m * v.square()).sum(dim=(2, 3)) + self.energy(x[:, 1:-1], m)


SPRINGS = System("springs", spring_energy, FixedEdges(tuple((i, i + 1) for i in range(4))), 5, 0.2)
BODIES = System("bodies", gravity_energy, Within(float("inf")), 4, 0.1)


def simulate(system: System, folder: Path, *, epochs: int, systems: int, steps: int = 200) -> str:
    """Errors of positions after 50 and 100 steps, and the drift of the energy, for 50 systems that it never saw."""
    frames, mass = system.trajectories(systems + 50, 100, seed=0)
    with seeded(0):
        module = GraphSimulator(system.connect, dimensions=2, attributes=1, channels=64, rounds=2)
    module.set_scales(frames[:systems])
    train = NoisyWindows(frames[:systems], mass[:systems], history=1, noise=0.0, size=256)
    valid = NoisyWindows(frames[systems:], mass[systems:], history=1, noise=0.0, size=1024)
    fit(module, own_loss, train, valid, recipe=Recipe(epochs=epochs, optimizer="soap", learning_rate=3e-3, ema=0.99))
    true, mass = system.trajectories(50, steps + 2, seed=1)
    found = torch.cat([true[:, :, :2], module.rollout(true[:, :, :2], mass, steps)], dim=2)
    error = (found - true).square().sum(dim=3).mean(dim=1).sqrt()
    energies = [system.total_energy(x, mass) for x in (true, found)]
    spread = (true - true.mean(dim=(1, 2), keepdim=True)).square().sum(dim=3).mean().sqrt()
    draw(system, folder, (true, found), error / spread, energies)
    drift = (energies[1][:, -20:].mean(dim=1) - energies[0][:, -20:].mean(dim=1)).abs().mean() / energies[0].std()
    after = (f"{share(error[:, 1 + n] / spread)} after {n}" for n in (50, 100))
    return f"error in the size {', '.join(after)} steps; energy off by {float(drift):.1%} of its spread over systems"


def share(errors: Tensor) -> str:
    """The root mean square, and the median over systems."""
    return f"{float(errors.square().mean().sqrt()):.1%} (median {float(errors.median()):.1%})"


def draw(system: System, folder: Path, frames: tuple[Tensor, Tensor], error: Tensor, energies: list[Tensor]) -> None:
    """Paths of one system for 50 steps; relative errors [systems, frames] and changes of the energy for all."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    paths, errors, energy = figure.subplots(1, 3)
    for x, style in zip(frames, ("-", "k:"), strict=True):
        paths.plot(x[0, :, :52, 0].T, x[0, :, :52, 1].T, style, linewidth=1.2)
    paths.set(title=f"{system.name}, 50 steps: exact, learned (dots)", aspect="equal")
    errors.semilogy(error.square().mean(dim=0).sqrt()[2:], label="root mean square")
    errors.semilogy(error.median(dim=0).values[2:], label="median")
    errors.set(xlabel="step", ylabel="error of positions / size")
    for values, name in zip(energies, ("exact", "learned"), strict=True):
        energy.plot((values - values[:, :1]).square().mean(dim=0).sqrt() / energies[0].std(), label=name)
    energy.set(xlabel="step", ylabel="RMS change of energy / its spread", ylim=(0, None))
    errors.legend()
    energy.legend()
    figure.savefig(folder / f"simulator_{system.name}.png", dpi=100, bbox_inches="tight")


def springs(data: Path, folder: Path, *, epochs: int = 10) -> str:
    return simulate(SPRINGS, folder, epochs=epochs, systems=2000)


def bodies(data: Path, folder: Path, *, epochs: int = 4) -> str:
    return simulate(BODIES, folder, epochs=epochs, systems=1000)


TARGET = "some % after 50 steps"
IMPORT = "from molnet.nn import GraphSimulator"
ROWS = [
    Row("learned simulator: masses on springs", IMPORT, "made here: 2,000 chains of 5", TARGET, springs),
    Row("learned simulator: bodies under gravity", IMPORT, "made here: 1,000 systems of 4", TARGET, bodies),
]
