from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from molnet.nn.attention import CausalTransformer, GraphAttention, MultiHeadAttention, TransformerEncoder
from molnet.nn.seeding import seeded

SIZES = {"time": 12, "channels": 32, "heads": 4, "blocks": 2}


def test_heads_are_torchs_own() -> None:
    with seeded(0):
        own, theirs = MultiHeadAttention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
        x, context = torch.randn(3, 4, 8), torch.randn(3, 5, 8)
    # Of each head: its keys, then its values.
    rows = torch.cat([torch.arange(4) + 8 * head for head in (0, 1)])
    with torch.no_grad():
        weight, bias = own.key_value.weight, own.key_value.bias
        theirs.in_proj_weight.copy_(torch.cat([own.query.weight, weight[rows], weight[rows + 4]]))
        theirs.in_proj_bias.copy_(torch.cat([own.query.bias, bias[rows], bias[rows + 4]]))
    theirs.out_proj.load_state_dict(own.output.state_dict())
    mask = torch.rand(4, 5, generator=torch.Generator().manual_seed(0)) > 0.3
    mask[:, 0] = True
    expected, _ = theirs(x, context, context, attn_mask=~mask)
    torch.testing.assert_close(own(x, context, mask[None]), expected)


def test_no_place_sees_what_comes_after_it() -> None:
    with seeded(0):
        model = CausalTransformer(7, **SIZES)
        x = torch.randint(7, (2, 10))
    changed = x.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 7
    torch.testing.assert_close(model(changed)[:, :6], model(x)[:, :6])
    assert not torch.allclose(model(changed)[:, 6:], model(x)[:, 6:])


def test_padding_does_not_matter() -> None:
    with seeded(0):
        model = TransformerEncoder(5, 3, **SIZES)
        x = torch.randint(5, (2, 9))
    mask = torch.arange(9) < torch.tensor([[4], [9]])
    torch.testing.assert_close(model(x, mask)[:1], model(x[:1, :4], mask[:1, :4]))


def palindromes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Words of eight letters; every other is a palindrome, the others but for one letter."""
    generator = torch.Generator().manual_seed(seed)
    half = torch.randint(4, (count, 4), generator=generator)
    x = torch.cat([half, half.flip(1)], dim=1)
    place = torch.randint(8, (count,), generator=generator)
    shift = torch.randint(1, 4, (count,), generator=generator) * (torch.arange(count) % 2)
    x[torch.arange(count), place] = (x[torch.arange(count), place] + shift) % 4
    return x, 1 - torch.arange(count) % 2


def test_a_causal_model_completes_palindromes() -> None:
    """The second half of each word, letter by letter, from what was before."""
    with seeded(0):
        model = CausalTransformer(4, **SIZES)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(120):
        x = palindromes(128, seed=step)[0][::2]
        optimizer.zero_grad()
        model.losses((x[:, :-1], x[:, 1:]))["loss"].mean().backward()
        optimizer.step()
    x = palindromes(200, seed=1000)[0][::2]
    assert (model(x[:, :-1]).argmax(dim=2)[:, 3:] == x[:, 4:]).float().mean() > 0.95
    drawn = model.sample(x[0, :4], 4, generator=torch.Generator().manual_seed(0), temperature=0.1)
    assert torch.equal(drawn, x[0, 4:])


def test_graph_attention_is_the_published_formula() -> None:
    with seeded(0):
        layer = GraphAttention(3, 4, 2, edges=2)
        nodes, edges = torch.randn(4, 3), torch.randn(5, 2)
    senders, receivers = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([1, 2, 1, 1, 2])
    found = layer(nodes, senders, receivers, edges)
    assert not found[0].any()
    for r in (1, 2):
        into = (receivers == r).nonzero().flatten()
        sent = layer.sender(nodes[senders[into]])
        met = leaky_relu(sent + layer.receiver(nodes[r]) + layer.edge(edges[into]), 0.2)
        for head in (0, 1):
            part = slice(2 * head, 2 * head + 2)
            weights = (met[:, part] @ layer.score[head]).softmax(dim=0)
            torch.testing.assert_close(found[r, part], weights @ sent[:, part])


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="6 channels can't be shared by 4 heads"):
        MultiHeadAttention(6, 4)
    with pytest.raises(ValueError, match="6 channels can't be shared by 4 heads"):
        GraphAttention(3, 6, 4)
    model = CausalTransformer(4, **SIZES)
    with pytest.raises(ValueError, match="13 places; this network was made for 12"):
        model(torch.zeros(1, 13, dtype=torch.long))
    with pytest.raises(ValueError, match="prompt is empty"):
        model.sample(torch.zeros(0, dtype=torch.long), 1, generator=torch.Generator())
    with pytest.raises(ValueError, match="row 1 of the mask is false everywhere"):
        TransformerEncoder(5, 3, **SIZES)(torch.zeros(2, 1, dtype=torch.long), torch.tensor([[True], [False]]))
