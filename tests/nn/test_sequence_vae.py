from __future__ import annotations

import pytest
import torch
from torch import Tensor

from molnet.nn.seeding import seeded
from molnet.nn.sequence import LengthBatches
from molnet.nn.sequence_vae import SequenceVAE
from molnet.train.arrays import WarmUp
from molnet.train.loop import fit
from molnet.train.recipe import Recipe


def made(**arguments: float) -> SequenceVAE:
    with seeded(0):
        return SequenceVAE(4, channels=8, latent=2, **arguments)


def words(count: int) -> tuple[list[Tensor], Tensor]:
    """Runs of one token among 1, 2 and 3; their property is the length."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 9, (count,), generator=generator)
    tokens = torch.randint(1, 4, (count,), generator=generator)
    x = [torch.full((int(n),), int(token)) for n, token in zip(lengths, tokens, strict=True)]
    return x, (lengths - 4.5) / 2.3


def test_padding_changes_nothing() -> None:
    x, y = words(6)
    module = made(property_weight=1.0).eval()
    ((tokens, mask, labels),) = LengthBatches(x, y).epoch(0)
    wider = torch.nn.functional.pad(tokens, (0, 3), value=2), torch.nn.functional.pad(mask, (0, 3)), labels
    for name, values in module.losses((tokens, mask, labels)).items():
        torch.testing.assert_close(module.losses(wider)[name], values)


def test_the_reconstruction_is_a_probability_of_strings() -> None:
    # With one other token, strings are told by their length: Σ_n p(n) = 1, the long ones' share left out.
    with seeded(0):
        module = SequenceVAE(2, channels=8, latent=2).eval()
        module.code.weight.data.zero_()  # the same code for all strings
        module.output.bias.data[0] = 1.0  # short strings
    x = [torch.ones(n, dtype=torch.long) for n in range(1, 40)]
    ((tokens, mask, y),) = LengthBatches(x, torch.zeros(39)).epoch(0)
    z = torch.zeros(1, 2)
    module.code.bias.data[2:] = -50.0
    module.code.bias.data[:2] = 0.0
    p = (-module.losses((tokens, mask, y))["reconstruction"]).exp()
    drawn = module.decode(z.expand(4000, 2), 40, generator=torch.Generator().manual_seed(0))
    shares = torch.bincount((drawn > 0).sum(dim=1), minlength=41) / 4000
    torch.testing.assert_close(shares[1:40], p.detach(), atol=0.03, rtol=0)
    assert p.sum().item() == pytest.approx(1 - shares[0].item(), abs=0.03)
    assert torch.equal(drawn, drawn * (drawn.cumprod(dim=1)))  # zeros from the end on


def test_blanks_are_shown_in_training_only() -> None:
    x, y = words(50)
    (batch,) = LengthBatches(x, y).epoch(0)
    blind, seeing = made(word_dropout=1.0).eval(), made().eval()
    torch.testing.assert_close(blind.losses(batch), seeing.losses(batch))
    # The last embedding is the blank's: it has a gradient only where it is shown.
    for model, shown in ((made(word_dropout=1.0), True), (made(), False)):
        model.losses(batch)["reconstruction"].sum().backward()
        assert bool(model.embed.weight.grad[4].any()) == shown
    with pytest.raises(ValueError, match="the word dropout is 2"):
        made(word_dropout=2.0)


def test_words_come_back_and_the_code_tells_their_length() -> None:
    x, y = words(400)
    with seeded(0):
        module = SequenceVAE(4, channels=32, latent=4, beta=0.1, word_dropout=0.1, property_weight=5.0)
    train, valid = LengthBatches(x[:320], y[:320], places=300), LengthBatches(x[320:], y[320:])
    recipe = Recipe(epochs=40, learning_rate=1e-2, ema=0.9)
    fit(module, WarmUp("divergence", 0.5, weight=0.1), train, valid, recipe=recipe)
    ((tokens, mask, labels),) = valid.epoch(0)
    z = module.encode(tokens, mask)[0].detach()
    found = module.decode(z, tokens.shape[1])
    assert (found == tokens).all(dim=1).float().mean() > 0.75
    assert (module(z) - labels).square().mean().item() < 0.1
    # Uphill, words get longer, and keep their letter.
    path = module.climb(z[labels < 0.5], steps=4, size=0.5)
    ends = module.decode(path[-1], 12)
    assert (module(path[-1]) > module(path[0]) + 0.5).all()
    longer = (ends > 0).sum(dim=1) > (module.decode(path[0], 12) > 0).sum(dim=1)
    assert longer.float().mean() > 0.8
