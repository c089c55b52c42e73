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


def simulate(system: System, folder: Path, *, epochs: int, systems: int = 200, steps: int = 200) -> str:
    """RMS error of positions after 50 and all steps, and the drift of the energy, for systems that it never saw."""
    frames, mass = system.trajectories(systems + 50, 100, seed=0)
    with seeded(0):
        module = GraphSimulator(system.connect, dimensions=2, attributes=1, channels=64, rounds=2)
    module.set_scales(frames[:systems])
    noise = 3e-4 * float(module.velocity_scale)
    train = NoisyWindows(frames[:systems], mass[:systems], history=1, noise=noise, size=256)
    valid = NoisyWindows(frames[systems:], mass[systems:], history=1, noise=0.0, size=1024)
    fit(module, own_loss, train, valid, recipe=Recipe(epochs=epochs, learning_rate=2e-3, ema=0.99))
    true, mass = system.trajectories(50, steps + 2, seed=1)
    found = torch.cat([true[:, :, :2], module.rollout(true[:, :, :2], mass, steps)], dim=2)
    error = (found - true).square().sum(dim=3).mean(dim=(0, 1)).sqrt()
    energies = [system.total_energy(x, mass) for x in (true, found)]
    spread = (true - true.mean(dim=(1, 2), keepdim=True)).square().sum(dim=3).mean().sqrt()
    draw(system, folder, (true, found), error, energies)
    drift = (energies[1][:, -20:].mean(dim=1) - energies[0][:, -20:].mean(dim=1)).abs().mean() / energies[0].std()
    return (
        f"error {float(error[51] / spread):.1%} of the size after 50 steps, {float(error[-1] / spread):.1%} after "
        f"{steps}; energy off by {float(drift):.1%} of its spread over systems"
    )


def draw(system: System, folder: Path, frames: tuple[Tensor, Tensor], error: Tensor, energies: list[Tensor]) -> None:
    figure = Figure(figsize=(11, 3.5))
    paths, errors, energy = figure.subplots(1, 3)
    for x, style in zip(frames, ("-", "--"), strict=True):
        paths.set_prop_cycle(None)
        paths.plot(x[0, :, :, 0].T, x[0, :, :, 1].T, style, linewidth=0.9)
    paths.set(title=f"{system.name}: exact (full) and learned (dashed)", aspect="equal")
    errors.semilogy(error[2:])
    errors.set(xlabel="step", ylabel="RMS error of positions")
    for values, name in zip(energies, ("exact", "learned"), strict=True):
        energy.plot((values - values[:, :1]).square().mean(dim=0).sqrt(), label=name)
    energy.set(xlabel="step", ylabel="RMS change of the energy")
    energy.legend()
    figure.savefig(folder / f"simulator_{system.name}.png", dpi=150, bbox_inches="tight")


def springs(data: Path, folder: Path, *, epochs: int = 40) -> str:
    return simulate(SPRINGS, folder, epochs=epochs)


def bodies(data: Path, folder: Path, *, epochs: int = 40) -> str:
    return simulate(BODIES, folder, epochs=epochs)


IMPORT = "from molnet.nn.simulator import GraphSimulator"
ROWS = [
    Row("learned simulator: masses on springs", IMPORT, "made here: 200 chains of 5", "rollout, energy", springs),
    Row("learned simulator: bodies under gravity", IMPORT, "made here: 200 systems of 4", "rollout, energy", bodies),
]
