"""A variational autoencoder of sequences, which may predict a property from its code and go along it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from molnet.nn.mlp import MLP
from molnet.nn.noise import Noise
from molnet.nn.recurrent import RecurrentLayers
from molnet.nn.sequence import NO_LABEL

Tokens = Int[Tensor, "batch time"]
Mask = Bool[Tensor, "batch time"]
Code = Float[Tensor, "batch latent"]
Rows = Float[Tensor, " batch"]


class SequenceVAE(nn.Module):
    """Sequences of tokens from a code z ~ N(0, 1), which also tells a property y of each:

        q(z | x) = N(μ(h), σ²(h)),   h = GRU(x) in both directions
        p(x | z) = Π_t softmax(W s_t + b),   s_t = GRU(x_{t−1} ‖ z, s_{t−1}),   s_0 = tanh(V z)
        loss = −⟨ln p(x | z)⟩ + β KL(q ‖ N(0, 1)) + ½ w (y − f(μ))²

    Token 0 begins and ends sequences; it isn't part of those given or returned. In training, the writer is shown each
    earlier token with the probability 1 − `word_dropout` only (a blank otherwise), so that it has to read z.
    Properties should be scaled to a variance near one; w is `property_weight`.
    Sources: S. R. Bowman et al., CoNLL 2016 (sequences, word dropout); R. Gómez-Bombarelli et al., ACS Cent. Sci. 4,
    268 (2018) (the property; theirs is on SMILES).
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        channels: int = 128,
        latent: int = 32,
        beta: float = 1.0,
        word_dropout: float = 0.0,
        property_weight: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= word_dropout <= 1:
            raise ValueError(f"the word dropout is {word_dropout}; expected a probability.")
        self.vocabulary, self.latent, self.beta = vocabulary, latent, beta
        self.word_dropout, self.property_weight, self.noise = word_dropout, property_weight, Noise(seed)
        # The last row is the blank of the word dropout.
        self.embed = nn.Embedding(vocabulary + 1, channels // 2)
        self.reader = RecurrentLayers(nn.GRU, channels // 2, channels, directions=2)
        self.code = nn.Linear(2 * channels, 2 * latent)
        self.start = nn.Linear(latent, channels)
        self.writer = nn.GRU(channels // 2 + latent, channels, batch_first=True)
        self.output = nn.Linear(channels, vocabulary)
        self.property = MLP([latent, channels, 1])

    def encode(self, x: Tokens, mask: Mask) -> tuple[Code, Code]:
        """μ and ln σ² of q(z | x)."""
        states = self.reader(self.embed(x), mask)
        mean, log_variance = self.code(self.reader.last(states, mask)).chunk(2, dim=1)
        return mean, log_variance

    def forward(self, z: Code) -> Rows:
        """The property f(z)."""
        return self.property(z).squeeze(1)

    def losses(self, batch: Sequence[Tensor]) -> dict[str, Rows]:
        """The loss of each sequence and its parts, in nats, from batches (tokens, mask, properties)."""
        x, mask, y = batch
        random = self.noise()
        mean, log_variance = self.encode(x, mask)
        z = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=random, dtype=mean.dtype)
        before = nn.functional.pad(x, (1, 0))
        if self.training and self.word_dropout:
            # The begin, at place 0, stays.
            blank = torch.rand(x.shape, generator=random) < self.word_dropout
            before[:, 1:] = before[:, 1:].masked_fill(blank, self.vocabulary)
        wanted = nn.functional.pad(x.masked_fill(~mask, NO_LABEL), (0, 1), value=NO_LABEL)
        wanted = wanted.scatter(1, mask.sum(dim=1, keepdim=True), 0)
        logits, _ = self._write(before, z, torch.tanh(self.start(z))[None])
        errors = cross_entropy(logits.transpose(1, 2), wanted, ignore_index=NO_LABEL, reduction="none")
        mismatch = errors.sum(dim=1)
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1)
        square = (y - self(mean)).square()
        loss = mismatch + self.beta * divergence + 0.5 * self.property_weight * square
        return {"loss": loss, "reconstruction": mismatch, "divergence": divergence, "property": square}

    @torch.no_grad()
    def decode(self, z: Code, length: int, *, generator: torch.Generator | None = None) -> Int[Tensor, "batch length"]:
        """Tokens drawn from p(x | z), or each time the likeliest one without a generator; zeros from the end on."""
        token, state = z.new_zeros((len(z), 1), dtype=torch.long), torch.tanh(self.start(z))[None]
        over, found = torch.zeros_like(token, dtype=torch.bool), []
        for _ in range(length):
            logits, state = self._write(token, z, state)
            p = logits[:, 0].softmax(dim=1)
            drawn = p.argmax(dim=1, keepdim=True) if generator is None else torch.multinomial(p, 1, generator=generator)
            token = drawn.masked_fill(over, 0)
            over = over | (token == 0)
            found.append(token)
        return torch.cat(found, dim=1)

    def climb(self, z: Code, *, steps: int, size: float) -> list[Code]:
        """Codes along the gradient of the property, the given ones first: z ← z + size · ∇f/‖∇f‖."""
        path = [z]
        for _ in range(steps):
            slope = torch.func.grad(lambda code: self(code).sum())(path[-1]).detach()
            path.append(path[-1] + size * nn.functional.normalize(slope, dim=1))
        return path

    def _write(self, before: Tokens, z: Code, state: Tensor) -> tuple[Float[Tensor, "batch time vocabulary"], Tensor]:
        """Logits after each of the tokens before, and the next state."""
        shown = torch.cat([self.embed(before), z[:, None].expand(-1, before.shape[1], -1)], dim=2)
        states, state = self.writer(shown, state)
        return self.output(states), state
