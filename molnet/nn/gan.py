"""Generative adversarial networks: a generator of samples against a critic that tells them from data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn import functional

from molnet.nn.noise import Noise

Data = Float[Tensor, "batch ..."]
Latent = Float[Tensor, "batch latent"]
Rows = Float[Tensor, " batch"]


class Game(ABC):
    """What the two players minimize, example by example."""

    @abstractmethod
    def critic(self, critic: nn.Module, real: Data, fake: Data, generator: torch.Generator) -> Rows:
        """The critic's loss on pairs of a data point and a sample."""

    @abstractmethod
    def generator(self, scores: Rows) -> Rows:
        """The generator's loss, from the critic's scores of its samples."""


@dataclass(frozen=True)
class NonSaturating(Game):
    """The critic's scores D are logits of being data; the generator maximizes ln σ(D), not −ln(1 − σ(D)):

        critic: −ln σ(D(x)) − ln(1 − σ(D(y))),   generator: −ln σ(D(y))

    Source: I. Goodfellow et al., Adv. Neural Inf. Process. Syst. 27 (2014), section 3.
    """

    def critic(self, critic: nn.Module, real: Data, fake: Data, generator: torch.Generator) -> Rows:
        return functional.softplus(-_scores(critic, real)) + functional.softplus(_scores(critic, fake))

    def generator(self, scores: Rows) -> Rows:
        return functional.softplus(-scores)


@dataclass(frozen=True)
class Wasserstein(Game):
    """The critic estimates the distance of two distributions, as a function whose slope a penalty holds at one:

        critic: D(y) − D(x) + λ (‖∇D(x̂)‖ − 1)²,   generator: −D(y)

    Source: I. Gulrajani et al., Adv. Neural Inf. Process. Syst. 30 (2017), equation 3.
    """

    penalty: float = 10.0

    def critic(self, critic: nn.Module, real: Data, fake: Data, generator: torch.Generator) -> Rows:
        slope = gradient_penalty(critic, real, fake, generator)
        return _scores(critic, fake) - _scores(critic, real) + self.penalty * slope

    def generator(self, scores: Rows) -> Rows:
        return -scores


def gradient_penalty(critic: nn.Module, real: Data, fake: Data, generator: torch.Generator) -> Rows:
    """(‖∇D(x̂)‖ − 1)² at x̂ = t x + (1 − t) y, with t uniform in [0, 1] for each pair of a data point and a sample.

    Raises ValueError for a critic with batch norms, whose scores depend on more than one example.
    """
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in critic.modules()):
        raise ValueError("a penalty on the slope at each example needs a critic without batch norm; use nn.GroupNorm.")
    t = torch.rand((len(real), *[1] * (real.ndim - 1)), generator=generator, dtype=real.dtype)
    between = t * real + (1 - t) * fake
    slopes = grad(lambda x: _scores(critic, x).sum())(between.detach())
    return (slopes.flatten(1).norm(dim=1) - 1).square()


class AdversarialNetworks(nn.Module):
    """Samples y = G(z), z ~ N(0, 1), and a critic D that learns to tell them from data while G learns to please it.

    In training, the loss is the sum of both players' losses, each with the other's weights held constant, so that its
    gradient is each player's own. Only every `critic_steps`-th batch has the generator's part; in the others its
    weights have no gradient, and optimizers leave them. Neither player's loss tells how good samples are. So in eval
    mode, "loss" is the energy distance of the batch to as many samples, by which the training loop keeps its best
    epoch; give it batches of some hundred rows there. Optimizers may have a rate for each player.
    Source: M. Heusel et al., Adv. Neural Inf. Process. Syst. 30 (2017), section 2 (both players at once, at two rates).
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        *,
        latent: int,
        game: Game = NonSaturating(),
        critic_steps: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if latent < 1 or critic_steps < 1:
            raise ValueError(f"found {latent} latent variables and {critic_steps} critic steps; expected 1 or more.")
        self.generator, self.critic, self.latent, self.game = generator, critic, latent, game
        self.critic_steps, self.noise = critic_steps, Noise(seed)

    def forward(self, z: Latent) -> Data:
        return self.generator(z)

    def sample(self, count: int, generator: torch.Generator) -> Data:
        """Samples for latent variables drawn from N(0, 1)."""
        with torch.no_grad():
            return self(torch.randn((count, self.latent), generator=generator))

    def losses(self, batch: Data) -> dict[str, Rows]:
        """Both players' losses and the objective. Raises ValueError where samples have another shape than data."""
        random = self.noise()
        fake = self(torch.randn((len(batch), self.latent), generator=random, dtype=batch.dtype))
        if fake.shape != batch.shape:
            raise ValueError(f"samples have the shape {tuple(fake.shape[1:])}; the data have {tuple(batch.shape[1:])}.")
        found = {"critic": self.game.critic(self.critic, batch, fake.detach(), random)}
        if not self.training or int(self.noise.calls) % self.critic_steps == 0:
            found["generator"] = self.game.generator(_scores(_constant(self.critic), fake))
        objective = torch.stack(list(found.values())).sum(dim=0) if self.training else energy_distance(batch, fake)
        return {"loss": objective, **found}


def energy_distance(x: Float[Tensor, "batch ..."], y: Float[Tensor, "batch ..."]) -> Rows:
    """2⟨|x − y|⟩ − ⟨|x − x'|⟩ − ⟨|y − y'|⟩ of two samples, without bias; the terms of each row, whose mean it is.

    Of distributions, it is zero where these are equal and positive elsewhere. Raises ValueError for a single row.
    Source: G. J. Székely and M. L. Rizzo, J. Stat. Plan. Inference 143, 1249 (2013), equation 2.
    """
    if len(x) < 2:
        raise ValueError("the energy distance needs two rows or more; a batch has one. Choose another batch size.")
    x, y = x.flatten(1), y.flatten(1)
    within = torch.cdist(x, x).sum(dim=1) + torch.cdist(y, y).sum(dim=1)
    return 2 * torch.cdist(x, y).mean(dim=1) - within / (len(x) - 1)


def frechet_distance(x: Float[Tensor, "rows features"], y: Float[Tensor, "others features"]) -> float:
    """|μ − ν|² + tr(C + D − 2 (C D)^½) between Gaussians with the means and covariances of two samples.

    Its value depends on the features and, by a bias, on the number of rows: compare equal numbers.
    Source: M. Heusel et al., Adv. Neural Inf. Process. Syst. 30 (2017), equation 6.
    """
    x, y = x.double(), y.double()
    first, second = x.T.cov().reshape(x.shape[1], -1), y.T.cov().reshape(y.shape[1], -1)
    # The eigenvalues of C D are those of D^½ C D^½, which is symmetric.
    values, vectors = torch.linalg.eigh(second)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    mixed = torch.linalg.eigvalsh(root @ first @ root).clamp(min=0).sqrt().sum()
    return float((x.mean(dim=0) - y.mean(dim=0)).square().sum() + first.trace() + second.trace() - 2 * mixed)


class ImageGenerator(nn.Sequential):
    """Images [batch channels size size] in (0, 1) from latent variables, by two transposed convolutions of stride two.

    `width` are the channels at half the size, and half of those at a quarter. Raises ValueError for a size that four
    doesn't divide. Source: A. Radford, L. Metz and S. Chintala, ICLR 2016 (DCGAN), section 3, with logistic outputs.
    """

    def __init__(self, latent: int, channels: int, size: int, *, width: int = 32) -> None:
        start = _quarter(size)
        super().__init__(
            *(nn.Linear(latent, 2 * width * start**2, bias=False), nn.Unflatten(1, (2 * width, start, start))),
            *(nn.BatchNorm2d(2 * width), nn.ReLU()),
            *(nn.ConvTranspose2d(2 * width, width, 4, 2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.ConvTranspose2d(width, channels, 4, 2, padding=1), nn.Sigmoid()),
        )
        self.apply(_small)


class ImageCritic(nn.Sequential):
    """Scores [batch, 1] of images, by two convolutions of stride two; `norm` makes a layer from a number of channels.

    For `Wasserstein`, take a norm of single examples, such as lambda width: nn.GroupNorm(1, width).
    Source: Radford et al. 2016, section 3.
    """

    def __init__(
        self, channels: int, size: int, *, width: int = 32, norm: Callable[[int], nn.Module] = nn.BatchNorm2d
    ) -> None:
        end = _quarter(size)
        super().__init__(
            *(nn.Conv2d(channels, width, 4, 2, padding=1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(width, 2 * width, 4, 2, padding=1), norm(2 * width), nn.LeakyReLU(0.2)),
            *(nn.Flatten(), nn.Linear(2 * width * end**2, 1)),
        )
        self.apply(_small)


def _small(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)


def _quarter(size: int) -> int:
    if size < 4 or size % 4:
        raise ValueError(f"images of {size} pixels a side can't be halved twice; expected a multiple of four.")
    return size // 4


def _constant(module: nn.Module) -> Callable[[Data], Tensor]:
    """The module with its parameters as constants: only its inputs get a gradient."""
    frozen = {name: parameter.detach() for name, parameter in module.named_parameters()}
    return lambda x: functional_call(module, frozen, (x,))


def _scores(critic: Callable[[Data], Tensor], x: Data) -> Rows:
    found = critic(x)
    if found.numel() != len(x):
        raise ValueError(f"the critic gave the shape {tuple(found.shape)} for {len(x)} examples; expected one each.")
    return found.flatten()
