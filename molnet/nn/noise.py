"""Random numbers for modules that draw while they are trained, exact after a resume and the same at each validation."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Noise(nn.Module):
    """A new generator at each call, made from the seed and, in training, the number of calls up to now.

    The count is saved with the weights, so a resumed training draws what an uninterrupted one would have drawn. In
    eval mode each call gives the same random numbers.
    """

    calls: Tensor

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self) -> torch.Generator:
        if self.training:
            self.calls += 1
        return torch.Generator().manual_seed(1_000_003 * self.seed + (int(self.calls) if self.training else 0))
