"""SOAP: what it does to vectors, to turned matrices, to stacks, and how soon it arrives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from molnet.train.loop import fit
from molnet.train.recipe import Constant, Recipe
from molnet.train.soap import SOAP
from tests.train.test_loop import Data, net, squares

RATE, STEPS = 0.05, 40


def descend(start: Tensor, loss: Callable[[Tensor], Tensor], make: Callable[..., Optimizer], steps: int) -> Tensor:
    parameter = nn.Parameter(start.clone())
    optimizer = make([parameter], lr=RATE)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(parameter).backward()
        optimizer.step()
    return parameter.detach()


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def badly_conditioned(size: int, seed: int) -> Tensor:
    turn = torch.linalg.qr(random(size, size, seed=seed)).Q
    return turn @ torch.diag(torch.logspace(0, -1, size, dtype=torch.float64)) @ turn.T


def problem(W: Tensor) -> Tensor:
    """½ ‖A W B − A W₀ B‖², along whose axes neither rows nor columns are."""
    A, B = badly_conditioned(5, 1), badly_conditioned(5, 2)
    return 0.5 * (A @ (W - random(5, 5, seed=3)) @ B).square().sum()


def test_a_vector_has_adam() -> None:
    scales = torch.logspace(0, 2, 5, dtype=torch.float64)

    def make(parameters: list[Tensor], lr: float) -> Optimizer:
        return torch.optim.AdamW(parameters, lr, betas=(0.95, 0.95), weight_decay=0.0)

    found, expected = (descend(random(5), lambda x: (scales * x.square()).sum(), kind, STEPS) for kind in (SOAP, make))
    torch.testing.assert_close(found, expected)


def test_turning_the_problem_turns_the_path() -> None:
    """G → U G Vᵀ gives W → U W Vᵀ, which Adam doesn't."""
    U, V = (torch.linalg.qr(random(5, 5, seed=seed)).Q for seed in (7, 8))
    start = random(5, 5, seed=4)
    paths = {}
    for kind in (SOAP, torch.optim.Adam):
        straight = descend(start, problem, kind, STEPS)
        turned = descend(U @ start @ V.T, lambda W: problem(U.T @ W @ V), kind, STEPS)
        paths[kind] = (U @ straight @ V.T - turned).abs().max()
    assert paths[SOAP] < 1e-6 < 1e-2 < paths[torch.optim.Adam]


def test_it_arrives_where_adam_is_on_the_way() -> None:
    start = random(5, 5, seed=4)
    soap, adam = (problem(descend(start, problem, kind, 300)).item() for kind in (SOAP, torch.optim.Adam))
    assert soap < 0.02 * adam


def test_a_stack_is_its_matrices_and_a_kernel_is_one() -> None:
    stack = random(3, 5, 5, seed=5)
    together = descend(stack, lambda W: sum(problem(one) for one in W), SOAP, STEPS)
    alone = torch.stack([descend(one, problem, SOAP, STEPS) for one in stack])
    torch.testing.assert_close(together, alone)
    kernel = random(5, 5, 1, 1, seed=5)
    together = descend(kernel, lambda W: problem(W.flatten(1)), SOAP, STEPS)
    torch.testing.assert_close(together.flatten(1), descend(kernel.flatten(1), problem, SOAP, STEPS))


def test_a_long_side_is_not_turned() -> None:
    """With neither side turned, Adam's path without its first step."""

    def make(parameters: list[Tensor], lr: float) -> Optimizer:
        return torch.optim.Adam(parameters, lr, betas=(0.95, 0.95))

    start = random(5, 5, seed=4)
    path = descend(start, problem, lambda parameters, lr: SOAP(parameters, lr, largest=4), STEPS + 1)
    torch.testing.assert_close(path, descend(start, problem, make, STEPS))


def test_decay_is_decoupled() -> None:
    parameter = nn.Parameter(torch.ones(3, 2))
    optimizer = SOAP([parameter], lr=0.1, weight_decay=0.5)
    for _ in range(2):
        parameter.grad = torch.zeros(3, 2)
        optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3, 2), 0.95))  # the first step only measures


def test_a_run_is_resumed_to_the_last_bit(tmp_path: Path) -> None:
    def run(folder: str, epochs: int, *, resume: bool = False) -> Tensor:
        module, recipe = net(), Recipe(epochs=epochs, optimizer="soap", learning_rate=0.01, schedule=Constant())
        fit(module, squares, Data(), Data(), recipe=recipe, folder=tmp_path / folder, resume=resume)
        return nn.utils.parameters_to_vector(module.parameters())

    whole = run("whole", 6)
    run("parts", 3)
    assert torch.equal(run("parts", 6, resume=True), whole)


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"betas": (1.0, 0.9)}, {"every": 0}, {"weight_decay": -0.1}])
def test_numbers_that_make_no_optimizer_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="SOAP has"):
        SOAP([nn.Parameter(torch.zeros(2))], **wrong)  # type: ignore[arg-type]
