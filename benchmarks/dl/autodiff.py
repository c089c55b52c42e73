"""Forward and reverse mode: the same derivatives, in different numbers of passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from dl.rows import Row
from matplotlib.figure import Figure
from torch import Tensor
from torch.func import jvp, vjp
from torch.utils.flop_counter import FlopCounterMode

Function = Callable[[Tensor], Tensor]


def forward_mode(function: Function, x: Tensor) -> tuple[Tensor, int]:
    """The Jacobian [outputs, inputs] column by column, and the number of passes."""
    columns = [jvp(function, (x,), (direction,))[1] for direction in torch.eye(len(x), dtype=x.dtype)]
    return torch.stack(columns, dim=-1).reshape(-1, len(x)), len(columns)


def reverse_mode(function: Function, x: Tensor) -> tuple[Tensor, int]:
    """The same row by row, and the number of passes back."""
    value, back = vjp(function, x)
    directions = torch.eye(value.numel(), dtype=x.dtype).reshape(-1, *value.shape)
    rows = [back(direction)[0] for direction in directions]
    return torch.stack(rows), len(rows)


def z(x: Tensor) -> Tensor:
    return x[0].sin() + x[0] * x[1]


def log_product(x: Tensor) -> Tensor:
    return (x[0] * x[1]).log()


def network(x: Tensor) -> Tensor:
    """One output of any number of inputs, through a layer of 100 units."""
    weight = torch.linspace(-1, 1, 100 * len(x), dtype=x.dtype).reshape(len(x), 100)
    return ((x[None] @ weight).tanh() @ x.new_ones(100, 1)).squeeze()


def both_modes(data: Path, folder: Path) -> str:
    """The largest difference from derivatives by hand, and passes; the figure has the work of a network's gradient."""
    x = torch.tensor([0.7, 2.5], dtype=torch.float64)
    by_hand = {z: torch.stack([x[0].cos() + x[1], x[0]]), log_product: 1 / x}
    differences, passes = [], set()
    for function, expected in by_hand.items():
        found = [mode(function, x) for mode in (forward_mode, reverse_mode)]
        differences += [float((jacobian[0] - expected).abs().max()) for jacobian, _ in found]
        passes.add(tuple(count for _, count in found))
    ((ahead, back),) = passes
    work = [f"{times:.0f}" for times in draw_work(folder / "autodiff.png")]
    return (
        f"within {max(differences):.0e} of the formulas by {ahead} passes forward or {back} back; "
        f"a gradient by 300 inputs: {' or '.join(work)} times the work of the value"
    )


def draw_work(path: Path) -> list[float]:
    """Operations for gradients, in those for the value itself, by the number of inputs; the last of either mode."""
    inputs = [torch.linspace(0, 1, count, dtype=torch.float64) for count in (1, 3, 10, 30, 100, 300)]
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes, last = figure.subplots(), []
    for name, mode in (("forward mode", forward_mode), ("reverse mode", reverse_mode)):
        work = [operations(mode, network, x) / operations(network, x) for x in inputs]
        axes.loglog([len(x) for x in inputs], work, "o-", label=name)
        last.append(work[-1])
    axes.set(xlabel="inputs of a network with one output", ylabel="work of the gradient / of the value")
    axes.legend()
    figure.savefig(path, dpi=150)
    return last


def operations(function: Callable[..., object], *arguments: object) -> int:
    """Multiplications and additions in matrix products during a call."""
    with FlopCounterMode(display=False) as counter:
        function(*arguments)
    return counter.get_total_flops()


ROWS = [
    Row(
        "forward and reverse mode",
        "from torch.func import jvp, vjp",
        "sin x₁ + x₁ x₂ and ln(ab)",
        "equal",
        both_modes,
    )
]
