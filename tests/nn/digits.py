"""Some of MNIST, for tests that train on it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tests.shared import shared_data


def digits(count: int) -> tuple[Tensor, Tensor]:
    """The first images [count 1 28 28], in [0, 1], and their labels."""
    with np.load(shared_data("dlcore/mnist_t10k.npz")) as file:
        images, labels = file["images"][:count], file["labels"][:count].astype(np.int64)
    return torch.from_numpy(images).float()[:, None] / 255, torch.from_numpy(labels)
