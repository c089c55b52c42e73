"""Replica exchange in temperature: high temperatures cross barriers, and low ones get the configurations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from molnet.simulate.noise import Purpose, stream
from molnet.simulate.state import State
from molnet.units import KB


def geometric_ladder(lowest: float, highest: float, rungs: int) -> tuple[float, ...]:
    """Temperatures (K) with a constant ratio: where the heat capacity is constant, so is the acceptance."""
    if rungs < 2 or not 0 < lowest < highest < np.inf:
        raise ValueError(
            f"a ladder of {rungs} temperatures from {lowest} to {highest} K; expected two or more, rising."
        )
    return tuple(np.geomspace(lowest, highest, rungs).tolist())


@dataclass(frozen=True)
class Exchange:
    """Neighbouring temperatures of a ladder (K, rising) are tried for a swap after `every` so many steps.

    As many replicas as there are temperatures, in the order of their numbers, make a ladder; pairs (0, 1), (2, 3), …
    and (1, 2), (3, 4), … take turns. With u uniform in (0, 1], a swap is accepted where

        ln u < (1/kT_low − 1/kT_high)(U_low − U_high),

    which keeps the product of all the Boltzmann distributions (detailed balance); it swaps the temperatures of two
    replicas, and scales their velocities.
    Source: Y. Sugita and Y. Okamoto, Chem. Phys. Lett. 314, 141 (1999).
    """

    temperatures: tuple[float, ...]
    every: int = 100

    def __post_init__(self) -> None:
        if len(self.temperatures) < 2 or list(self.temperatures) != sorted(set(self.temperatures)):
            raise ValueError(f"the temperatures to exchange are {self.temperatures} K; expected two or more, rising.")
        if self.every < 1:
            raise ValueError(f"exchanges are tried every {self.every} steps; expected 1 or more.")

    def columns(self, state: State) -> Int64[ndarray, " replicas"]:
        """The place of each replica if ladders stand one after the other, each with rising temperatures.

        Raises ValueError unless each ladder of replicas has all the temperatures.
        """
        rungs, kelvins = len(self.temperatures), np.array(self.temperatures)
        nearest = np.abs(state.temperatures[:, None] - kelvins).argmin(axis=1)
        places = state.numbers // rungs * rungs + nearest
        whole = np.unique(state.numbers // rungs)[:, None] * rungs + np.arange(rungs)
        if not np.array_equal(np.sort(places), whole.ravel()) or not np.array_equal(
            kelvins[nearest], state.temperatures
        ):
            raise ValueError(
                f"{len(state)} replicas at {sorted(set(state.temperatures.tolist()))} K don't make "
                f"ladders of {self.temperatures} K; expected a multiple of {rungs} replicas, each ladder with all the "
                "temperatures."
            )
        return places

    def swapped(self, state: State) -> tuple[State, Int64[ndarray, "pairs 2"]]:
        """The state after a trial, and how many swaps were accepted and tried between each two temperatures."""
        rungs = len(self.temperatures)
        rows = np.argsort(self.columns(state)).reshape(-1, rungs)
        ladders = state.numbers[rows[:, 0]] // rungs
        chance = stream(state.seed, 0, Purpose.EXCHANGE, state.step).random((ladders.max() + 1, rungs - 1))[ladders]
        turn = (np.arange(rungs - 1) + state.step // self.every) % 2 == 0
        low, high = rows[:, :-1], rows[:, 1:]
        beta, energies = 1 / (KB * state.temperatures), state.energies
        accepted = turn & (np.log1p(-chance) < (beta[low] - beta[high]) * (energies[low] - energies[high]))
        temperatures, (low, high) = state.temperatures.copy(), (low[accepted], high[accepted])
        temperatures[low], temperatures[high] = state.temperatures[high], state.temperatures[low]
        scale = np.sqrt(temperatures / state.temperatures)[:, None, None].astype(state.velocities.dtype)
        counts = np.stack([accepted.sum(axis=0), len(ladders) * turn], axis=1)
        return replace(state, temperatures=temperatures, velocities=scale * state.velocities), counts
