"""Tic-tac-toe solved, and taught to a tower with two heads."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from dl.rows import Row
from torch import Tensor

from molnet.nn.seeding import seeded
from molnet.nn.vision import PolicyValueNet
from molnet.train.arrays import ArrayBatches, own_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]
Board = tuple[int, ...]


def lost(board: Board) -> bool:
    return any(all(board[place] == -1 for place in line) for line in LINES)


def moves(board: Board) -> dict[int, Board]:
    """The positions after each move, as the other player sees them: one's own stones are 1, the other's −1."""
    free = () if lost(board) else (place for place in range(9) if board[place] == 0)
    return {move: tuple(-(1 if place == move else stone) for place, stone in enumerate(board)) for move in free}


@cache
def outcome(board: Board) -> int:
    """With best play, for the player to move."""
    return -1 if lost(board) else max((-outcome(after) for after in moves(board).values()), default=0)


def solved() -> tuple[Tensor, Tensor, Tensor]:
    """All positions that aren't over: boards with a plane for each player, best moves, outcomes."""
    found, left = {}, [(0,) * 9]
    while left:
        board = left.pop()
        if board not in found and moves(board):
            found[board] = [move for move, after in moves(board).items() if -outcome(after) == outcome(board)]
            left += moves(board).values()
    stones = torch.tensor(list(found)).reshape(-1, 3, 3)
    policies = torch.stack([torch.zeros(9).index_fill(0, torch.tensor(best), 1 / len(best)) for best in found.values()])
    return (
        torch.stack([stones == 1, stones == -1], dim=1).float(),
        policies,
        torch.tensor([float(outcome(b)) for b in found]),
    )


def tower(data: Path, folder: Path) -> str:
    """The share of 1,000 positions that were never seen with a best move, and with the right outcome."""
    parts = solved()
    order = torch.randperm(len(parts[0]), generator=torch.Generator().manual_seed(0))
    train, valid, test = ([part[rows] for part in parts] for rows in order.split([3220, 300, 1000]))
    with seeded(0):
        network = PolicyValueNet(2, (3, 3), moves=9, channels=32, blocks=2)
    batches = ArrayBatches(*train), ArrayBatches(*valid, size=300)
    fit(network, own_loss, *batches, recipe=Recipe(epochs=20, learning_rate=5e-3, weight_decay=0.01, ema=0.99))
    boards, policies, outcomes = test
    with torch.no_grad():
        logits, values = network(boards)
    best = policies.gather(1, logits.argmax(dim=1, keepdim=True)) > 0
    right = values.round() == outcomes
    return f"best moves {100 * best.float().mean():.1f} %, outcomes {100 * right.float().mean():.1f} %"


ROWS = [
    Row(
        "AlphaGo Zero tower",
        "from molnet.nn import PolicyValueNet",
        "tic-tac-toe, 1,000 of 4,520 positions unseen",
        "reported",
        tower,
    )
]
