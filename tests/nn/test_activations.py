from __future__ import annotations

import json

import pytest
import torch

from molnet.checkpoint import decode, encode
from molnet.nn.activations import (
    CELU,
    ELU,
    Activation,
    Arctan,
    Identity,
    LeakyReLU,
    Logistic,
    ReLU,
    SiLU,
    Softplus,
    Softsign,
    Step,
    Tanh,
)

X = torch.linspace(-3.1, 3, 14, dtype=torch.float64)
EXPECTED = {
    SiLU(): X / (1 + (-X).exp()),
    CELU(0.1): torch.where(X > 0, X, 0.1 * ((X / 0.1).exp() - 1)),
    Tanh(): (X.exp() - (-X).exp()) / (X.exp() + (-X).exp()),
    Softplus(): (1 + X.exp()).log(),
    ELU(0.7): torch.where(X > 0, X, 0.7 * (X.exp() - 1)),
    Identity(): X,
    Step(): (X > 0).double(),
    Logistic(): 1 / (1 + (-X).exp()),
    Arctan(): torch.atan2(X, torch.ones_like(X)),
    Softsign(): X / (1 + X.abs()),
    ReLU(): X.clamp(min=0),
    LeakyReLU(0.1): torch.maximum(X, 0.1 * X),
}


@pytest.mark.parametrize("activation", EXPECTED, ids=str)
def test_values_and_saving(activation: Activation) -> None:
    torch.testing.assert_close(activation(X), EXPECTED[activation])
    x = X.clone().requires_grad_()
    slope = torch.autograd.grad(activation(x).sum(), x)[0]
    h = 1e-5
    torch.testing.assert_close(slope, (activation(X + h) - activation(X - h)) / (2 * h), rtol=0, atol=5e-9)
    assert decode(json.loads(json.dumps(encode(activation)))) == activation
