"""Variational autoencoders: latent variables, and a bound of the likelihood that trains both networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from molnet.nn.boltzmann import Binary, Units
from molnet.nn.noise import Noise

Data = Float[Tensor, "batch features"]
Latent = Float[Tensor, "batch latent"]
Condition = Float[Tensor, "batch conditions"]


class VariationalAutoencoder(nn.Module):
    """p(x) = ∫ p(x | z) N(z; 0, 1) dz with q(z | x) = N(z; μ(x), σ²(x)), trained on β times the divergence:

        loss = −⟨ln p(x | z)⟩_q + β KL(q(z | x) ‖ N(0, 1)),   KL = ½ Σ (μ² + σ² − ln σ² − 1)

    which with β = 1 is an upper bound of −ln p(x), in nats. `encoder` maps x to μ and ln σ² [batch, 2 latent],
    `decoder` maps z to the field of the `units`: logits, or means with a variance of one. Where batches are
    (x, condition), the condition is concatenated to the inputs of both.
    Sources: D. P. Kingma and M. Welling, ICLR 2014; I. Higgins et al., ICLR 2017 (β); K. Sohn et al., Adv. Neural Inf.
    Process. Syst. 28 (2015) (condition).
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        latent: int,
        units: Units | None = None,
        beta: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent, self.beta = encoder, decoder, latent, beta
        self.units, self.noise = Binary() if units is None else units, Noise(seed)

    def encode(self, x: Data, condition: Condition | None = None) -> tuple[Latent, Latent]:
        """μ and ln σ² of q(z | x). Raises ValueError where the encoder's output has another width."""
        found = self.encoder(_joined(x, condition))
        if found.shape[1] != 2 * self.latent:
            raise ValueError(
                f"the encoder gave {found.shape[1]} numbers; expected 2 × {self.latent}, means and log variances."
            )
        mean, log_variance = found.chunk(2, dim=1)
        return mean, log_variance

    def forward(self, x: Data, condition: Condition | None = None) -> Data:
        """The reconstruction through the mean of q."""
        return self.units.mean(self.decoder(_joined(self.encode(x, condition)[0], condition)))

    def losses(self, batch: Data | Sequence[Tensor]) -> dict[str, Float[Tensor, " batch"]]:
        """The loss of each example, with the bound `nats` of −ln p(x) and its two parts."""
        x, condition = (batch, None) if isinstance(batch, Tensor) else (batch[0], batch[1])
        mean, log_variance = self.encode(x, condition)
        noise = torch.randn(mean.shape, generator=self.noise(), dtype=mean.dtype)
        field = self.decoder(_joined(mean + (0.5 * log_variance).exp() * noise, condition))
        mismatch = self.units.mismatch(x, field)
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1)
        parts = {"nats": mismatch + divergence, "reconstruction": mismatch, "divergence": divergence}
        return {"loss": mismatch + self.beta * divergence, **parts}

    def sample(self, count: int, generator: torch.Generator, *, condition: Condition | None = None) -> Data:
        """The means of p(x | z) for latent variables drawn from the prior, under the condition of each."""
        with torch.no_grad():
            z = torch.randn((count, self.latent), generator=generator)
            return self.units.mean(self.decoder(_joined(z, condition)))


def _joined(x: Float[Tensor, "batch inputs"], condition: Condition | None) -> Float[Tensor, "batch joined"]:
    return x if condition is None else torch.cat([x, condition], dim=1)
