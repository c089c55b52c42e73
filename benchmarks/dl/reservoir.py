"""An echo-state network that goes on with a chaotic series by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import torch
from dl.rows import Row
from matplotlib.figure import Figure
from torch import Tensor

from molnet.nn.recurrent import EchoState
from molnet.nn.seeding import seeded

Continuation = Callable[[Tensor, int], Tensor]
WARM, AHEAD, STANDARD = 200, 1000, 84
"""Places read before a forecast, places forecast, and the place at which forecasts of this series are compared."""


def mackey_glass(length: int) -> Tensor:
    """The chaotic series x' = 0.2 x(t−17)/(1 + x(t−17)¹⁰) − 0.1 x, [1, length, 1], by the trapezoidal rule.

    Source: M. Mackey and L. Glass, Science 197, 287 (1977); steps of a tenth, of which every tenth is kept.
    """
    x, decay, forced = [1.2] * 171, math.exp(-0.01), [0.2 * 1.2 / (1 + 1.2**10)] * 171
    for _ in range(10 * (length + 500)):
        x.append(decay * x[-1] + 0.05 * (decay * forced[-171] + forced[-170]))
        forced.append(0.2 * x[-1] / (1 + x[-1] ** 10))
    return torch.tensor(x[-10 * length :: 10], dtype=torch.float64)[None, :, None]


def error(continuation: Continuation, x: Tensor, every: int = 50) -> Tensor:
    """Root of the mean squared error by place ahead, over forecasts from many places of a series, [AHEAD]."""
    windows = x[0, :, 0].unfold(0, WARM + AHEAD, every)[..., None]
    return (continuation(windows[:, :WARM], AHEAD) - windows[:, WARM:]).square().mean(dim=(0, 2)).sqrt()


def reservoirs(x: Tensor, channels: int) -> list[Continuation]:
    """Echo-state networks fitted to a series, with several leaks and penalties."""
    found: list[Continuation] = []
    for leak, ridge in product((0.3, 0.5, 1.0), (1e-11, 1e-9, 1e-7)):
        with seeded(0):
            network = EchoState(1, 1, channels=channels, leak=leak).double()
        found.append(network.fit(x[:, :-1], x[:, 1:], ridge=ridge, washout=100).continued)
    return found


def autoregression(x: Tensor, lags: int) -> Continuation:
    """The next value as a linear function of the last ones, by least squares."""
    windows = x[0, :, 0].unfold(0, lags + 1, 1)
    ones = torch.ones(len(windows), 1, dtype=x.dtype)
    weights = torch.linalg.lstsq(torch.cat([ones, windows[:, :-1]], dim=1), windows[:, -1]).solution

    def continued(x: Tensor, steps: int) -> Tensor:
        for _ in range(steps):
            x = torch.cat([x, (weights[0] + x[:, -lags:, 0] @ weights[1:])[:, None, None]], dim=1)
        return x[:, -steps:]

    return continued


def chaos(data: Path, folder: Path, *, channels: int = 500, length: int = 9000) -> str:
    """Error of forecasts, in units of the series' spread; settings are chosen on a part of their own."""
    x = mackey_glass(length)
    x = (x - x[:, : length // 3].mean()) / x[:, : length // 3].std()
    train, valid, test = x.split([length // 3, length // 4, length - length // 3 - length // 4], dim=1)

    def best(tried: list[Continuation]) -> Continuation:
        return min(tried, key=lambda one: float(error(one, valid)[:STANDARD].nan_to_num(math.inf).mean()))

    reservoir = best(reservoirs(train, channels))
    methods = {
        "echo state": reservoir,
        "linear autoregression": best([autoregression(train, lags) for lags in (20, 50, 100, 200)]),
        "last value": lambda x, steps: x[:, -1:].expand(-1, steps, -1),
    }
    errors = {name: error(method, test) for name, method in methods.items()}
    draw(methods, errors, test, folder)
    told = [f"{name} {float(values[STANDARD - 1]):.2g}" for name, values in errors.items()]
    return f"{STANDARD} places ahead, in units of the spread: {', '.join(told)}"


def draw(methods: dict[str, Continuation], errors: dict[str, Tensor], x: Tensor, folder: Path) -> None:
    """A forecast beside the series, how errors grow, and the attractor as the reservoir goes on by itself."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplot_mosaic("AAA;BCD")
    places, series = np.arange(-100, AHEAD), x[0, :, 0].numpy()
    axes["A"].plot(places, series[WARM - 100 : WARM + AHEAD], color="0.7", linewidth=4, label="series")
    for (name, method), color in zip(methods.items(), ("C3", "C0", "C2"), strict=True):
        axes["A"].plot(places[100:], method(x[:, :WARM], AHEAD)[0, :, 0].numpy(), color, label=name, linewidth=1.3)
        axes["B"].semilogy(range(1, AHEAD + 1), errors[name].numpy(), color)
    axes["A"].axvline(0, color="black", linewidth=0.8)
    axes["A"].set(xlabel="places ahead", xlim=(-100, AHEAD))
    axes["A"].legend(fontsize=8, ncols=4, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    axes["B"].set(xlabel="places ahead", ylabel="error / spread")
    alone = methods["echo state"](x[:, :WARM], len(series) - WARM)[0, :, 0].numpy()
    shown = ("0.4", series[WARM:], "series"), ("C3", alone, "reservoir by itself")
    for name, (color, values, title) in zip("CD", shown, strict=True):
        axes[name].plot(values[17:], values[:-17], color, linewidth=0.4)
        axes[name].set_title(title, fontsize=9)
        axes[name].set(xlabel="$x_t$", ylabel="$x_{t-17}$", xlim=(-3, 2.2), ylim=(-3, 2.2), aspect="equal")
    figure.savefig(folder / "reservoir.png", dpi=150)


ROWS = [
    Row(
        "echo state of a chaotic series",
        "from molnet.nn import EchoState",
        "made here: Mackey–Glass, 3,000 places to fit, 2,250 to choose, 3,750 to test",
        "below a linear autoregression",
        chaos,
    )
]
