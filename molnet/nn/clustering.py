"""Clusters in the code of an autoencoder; scikit-learn has k-means and Gaussian mixtures of the data themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from molnet.nn.activations import Activation, SiLU
from molnet.nn.mlp import MLP


class MixtureVAE(nn.Module):
    """A variational autoencoder whose codes come from a mixture of Gaussians, one for each cluster.

        c ~ π,   z ~ N(μ_c, σ_c²),   x ~ N(g(z), s²);   loss = −ln p(x|z) + ln q(z|x) − ln Σ_c π_c N(z; μ_c, σ_c²)

    in nats, with z drawn once from q(z|x) = N(f(x), …), by torch's generator. `widths` lead from inputs to code.
    Train it with a `prior_weight` of 0.3, which multiplies the last two terms, `start(x)` it, and train it on with 1.
    Source: Jiang et al., IJCAI 2017 (VaDE), eq. 1 and 9, with the mixture summed instead of bounded.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        clusters: int,
        spread: float = 0.3,
        activation: Activation = SiLU(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__()
        if clusters < 2 or not spread > 0:
            raise ValueError(f"found {clusters} clusters and the spread {spread}; expected 2 or more, and positive.")
        *hidden, code = widths
        self.encoder = MLP([*hidden, 2 * code], activation=activation)
        self.decoder = MLP([code, *hidden[::-1]], activation=activation)
        self.spread, self.prior_weight = spread, 1.0
        self.log_weights = nn.Parameter(torch.zeros(clusters))
        self.centers = nn.Parameter(torch.randn(clusters, code))
        self.log_scales = nn.Parameter(torch.zeros(clusters, code))

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch code"]:
        """The mean code."""
        return self.encoder(x).chunk(2, dim=-1)[0]

    def joint(self, z: Float[Tensor, "batch code"]) -> Float[Tensor, "batch clusters"]:
        """ln π_c N(z; μ_c, σ_c²)."""
        weights = self.log_weights.log_softmax(dim=0)
        return weights + _log_normal(z[:, None, :], self.centers, self.log_scales)

    def responsibilities(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch clusters"]:
        """p(c|z) at the mean code: how much each cluster claims of a row."""
        return self.joint(self(x)).softmax(dim=1)

    def losses(self, x: Float[Tensor, "batch inputs"]) -> dict[str, Float[Tensor, " batch"]]:
        """The negative evidence lower bound, and its two parts."""
        mean, log_scale = self.encoder(x).chunk(2, dim=-1)
        log_scale = log_scale.clamp(-7, 3)
        z = mean + log_scale.exp() * torch.randn_like(mean)
        squares = ((x - self.decoder(z)) / self.spread).square().sum(dim=1)
        reconstruction = 0.5 * squares + x.shape[1] * (math.log(self.spread) + 0.5 * math.log(2 * math.pi))
        divergence = _log_normal(z, mean, log_scale) - self.joint(z).logsumexp(dim=1)
        loss = reconstruction + self.prior_weight * divergence
        return {"loss": loss, "reconstruction": reconstruction, "divergence": divergence}

    @torch.no_grad()
    def sample(
        self, count: int, generator: torch.Generator, *, cluster: int | None = None
    ) -> Float[Tensor, "batch inputs"]:
        """The means g(z) for codes drawn from the mixture, or from one of its clusters."""
        weights = self.log_weights.softmax(dim=0)
        drawn = torch.multinomial(weights, count, replacement=True, generator=generator)
        chosen = drawn if cluster is None else torch.full_like(drawn, cluster)
        noise = torch.randn((count, self.centers.shape[1]), generator=generator, dtype=weights.dtype)
        return self.decoder(self.centers[chosen] + self.log_scales[chosen].exp() * noise)

    @torch.no_grad()
    def start(self, x: Float[Tensor, "batch inputs"], *, seed: int = 0) -> None:
        """Sets the mixture to scikit-learn's fit to the mean codes of some rows."""
        fit = GaussianMixture(len(self.centers), covariance_type="diag", n_init=5, random_state=seed)
        fit.fit(self(x).double().numpy())
        for parameter, values in (
            (self.log_weights, torch.from_numpy(fit.weights_).log()),
            (self.centers, torch.from_numpy(fit.means_)),
            (self.log_scales, 0.5 * torch.from_numpy(fit.covariances_).log()),
        ):
            parameter.copy_(values)


def _log_normal(z: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """The logarithm of a Gaussian density with independent coordinates, over the last axis."""
    square = ((z - mean) * (-log_scale).exp()).square()
    return -0.5 * (square + 2 * log_scale + math.log(2 * math.pi)).sum(dim=-1)
