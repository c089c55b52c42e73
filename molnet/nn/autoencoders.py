"""Autoencoders: deep, denoising, and time-lagged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from molnet.nn.activations import Activation, SiLU
from molnet.nn.mlp import MLP


class Autoencoder(nn.Module):
    """A network that narrows, z = f(x), and one that widens, x̂ = g(z), so that x̂ is near to x.

    `widths` lead from the inputs to the code; the decoder has them in reverse. With `noise`, x gets Gaussian noise of
    that standard deviation in training, and the network learns to take it out (denoising). Trained on pairs (x_t,
    x_t+τ) of a time series, the code keeps what lasts (time-lagged); on whitened data and with `Identity` for
    activation, that is TICA's coordinate.
    Source: Hinton & Salakhutdinov, Science 313, 504 (2006); Vincent et al., ICML 2008; Wehmeyer & Noé, J. Chem. Phys.
    148, 241703 (2018).
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: Activation = SiLU(),  # noqa: B008 - frozen
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = MLP(widths, activation=activation)
        self.decoder = MLP(list(widths)[::-1], activation=activation)
        self.noise = noise

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch inputs"]:
        return self.decoder(self.encoder(x))

    def losses(self, batch: Tensor | tuple[Tensor, Tensor]) -> dict[str, Float[Tensor, " batch"]]:
        """The mean squared error of each row of x, or of pairs (x, what to find from it)."""
        x, target = (batch, batch) if isinstance(batch, Tensor) else batch
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        return {"loss": (self(x) - target).square().mean(dim=-1)}
