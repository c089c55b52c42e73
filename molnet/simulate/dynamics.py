"""Stochastic dynamics of many replicas at once: steps as pure functions from state to state.

Times are in fs and frictions in 1/fs. Both schemes sample the configurations of a harmonic potential exactly, at every
timestep that is stable, and those of others with errors of second order in the timestep.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import NDArray

from molnet.kernels.compiled import compiled
from molnet.simulate.forces import Forces
from molnet.simulate.noise import Noise
from molnet.simulate.state import State
from molnet.units import ACCELERATION

Array = NDArray[Any]


@runtime_checkable
class Dynamics(Protocol):
    """A way to move replicas at their temperatures."""

    @property
    def timestep(self) -> float: ...

    def advance(self, state: State, forces: Forces, steps: int) -> State:
        """The state so many steps later; the same for a thousand steps at once and for a thousand calls."""


@dataclass(frozen=True)
class LangevinReplicas:
    """Langevin's equation, m dv = F dt − m γ v dt + √(2 m γ kT) dW, by the splitting BAOAB.

    B is half a kick by the force, A half a drift, and O friction and noise, v ← e^(−γh) v + √((1 − e^(−2γh)) kT/m) R.
    Source: B. Leimkuhler and C. Matthews, Appl. Math. Res. eXpress 2013, 34 (2013).
    """

    timestep: float
    friction: float

    def __post_init__(self) -> None:
        _refuse_nonsense(self)

    def advance(self, state: State, forces: Forces, steps: int) -> State:
        state = state.computed(forces)
        x, v, f, energies = state.positions.copy(), state.velocities.copy(), state.forces, state.energies
        keep = np.exp(-self.friction * self.timestep)
        kick = _like(x, 0.5 * self.timestep * ACCELERATION / state.masses[:, 0])
        spread = _like(x, np.sqrt(1 - keep**2) * state.thermal_speeds[..., 0])
        half, keep = x.dtype.type(0.5 * self.timestep), x.dtype.type(keep)
        noise = Noise(state.seed, state.numbers, len(state.molecule))
        for step in range(state.step, state.step + steps):
            _kick_drift_drag_drift(x, v, f, noise.at(step), kick, spread, half, keep)
            energies, f = forces(x)
            _kick(v, f, kick)
        return replace(state, positions=x, velocities=v, forces=f, energies=energies, step=state.step + steps)


@dataclass(frozen=True)
class OverdampedReplicas:
    """Brownian dynamics, dx = D F/kT dt + √(2D) dW with D = kT/(m γ), in the limit of strong friction of BAOAB.

    x ← x + D F h/kT + √(2 D h) (R_n + R_(n+1))/2, with each noise used twice. There are no velocities: they are NaN.
    Source: B. Leimkuhler and C. Matthews, Appl. Math. Res. eXpress 2013, 34 (2013), eq. 1.2.
    """

    timestep: float
    friction: float

    def __post_init__(self) -> None:
        _refuse_nonsense(self)

    def advance(self, state: State, forces: Forces, steps: int) -> State:
        state = state.computed(forces)
        x, f, energies = state.positions.copy(), state.forces, state.energies
        drift = _like(x, self.timestep * ACCELERATION / (state.masses[:, 0] * self.friction))
        spread = _like(x, 0.5 * np.sqrt(2 * self.timestep / self.friction) * state.thermal_speeds[..., 0])
        noise = Noise(state.seed, state.numbers, len(state.molecule))
        for step in range(state.step, state.step + steps):
            _slide(x, f, noise.at(step), noise.at(step + 1), drift, spread)
            energies, f = forces(x)
        none = np.full_like(x, np.nan)
        return replace(state, positions=x, velocities=none, forces=f, energies=energies, step=state.step + steps)


def _refuse_nonsense(dynamics: Any) -> None:
    for name in ("timestep", "friction"):
        if not 0 < getattr(dynamics, name) < np.inf:
            raise ValueError(
                f"the {name} of {type(dynamics).__name__} is to be positive; {getattr(dynamics, name)} was given."
            )


def _like(x: ndarray, values: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape"]:
    return np.ascontiguousarray(values, dtype=x.dtype)


@compiled
def _kick_drift_drag_drift(
    x: Array, v: Array, f: Array, noise: Array, kick: Array, spread: Array, half: float, keep: float
) -> None:
    for r in range(x.shape[0]):
        for i in range(x.shape[1]):
            for a in range(3):
                first = v[r, i, a] + kick[i] * f[r, i, a]
                second = keep * first + spread[r, i] * noise[r, i, a]
                x[r, i, a] += half * (first + second)
                v[r, i, a] = second


@compiled
def _kick(v: Array, f: Array, kick: Array) -> None:
    for r in range(v.shape[0]):
        for i in range(v.shape[1]):
            for a in range(3):
                v[r, i, a] += kick[i] * f[r, i, a]


@compiled
def _slide(x: Array, f: Array, noise: Array, next_noise: Array, drift: Array, spread: Array) -> None:
    for r in range(x.shape[0]):
        for i in range(x.shape[1]):
            for a in range(3):
                x[r, i, a] += drift[i] * f[r, i, a] + spread[r, i] * (noise[r, i, a] + next_noise[r, i, a])
