from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from molnet.nn.recurrent import (
    DilatedStack,
    EchoState,
    NormPreservingClassifier,
    RecurrentLayers,
    SequenceClassifier,
    SequenceTagger,
    norm_preservation,
    orthogonal_,
)
from molnet.nn.seeding import seeded


def mask(*lengths: int) -> Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def descend(module: nn.Module, x: Tensor, y: Tensor, steps: int, rate: float = 0.01) -> None:
    optimizer = torch.optim.Adam(module.parameters(), rate)
    everywhere = torch.ones(x.shape[:2], dtype=torch.bool)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x, everywhere), y).backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()


def test_a_layer_starts_orthogonal_and_remembering() -> None:
    with seeded(0):
        layer = orthogonal_(nn.LSTM(3, 5, num_layers=2), forget_bias=2.0)
    for gate in layer.weight_hh_l1.split(5):
        torch.testing.assert_close(gate @ gate.T, torch.eye(5))
    assert (layer.bias_ih_l1 + layer.bias_hh_l1).tolist() == [0] * 5 + [2] * 5 + [0] * 10
    gated = orthogonal_(nn.GRU(3, 5), forget_bias=30.0)
    torch.testing.assert_close(gated(torch.ones(4, 3), torch.ones(1, 5))[0], torch.ones(4, 5))


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_layers_are_torchs_own_without_the_padding(cell: type[nn.RNN]) -> None:
    with seeded(0):
        own, x = RecurrentLayers(cell, 3, 4, layers=2, directions=2), torch.randn(3, 6, 3)
    theirs = cell(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    weights = {}
    for layer, end in zip(own.layers, ("_l0", "_l0_reverse", "_l1", "_l1_reverse"), strict=True):
        weights |= {name.replace("_l0", end): value for name, value in layer.state_dict().items()}
    theirs.load_state_dict(weights)
    states = own(x, mask(6, 2, 4))
    for row, length in enumerate((6, 2, 4)):
        expected, last = theirs(x[row : row + 1, :length])
        torch.testing.assert_close(states[row : row + 1, :length], expected)
        last = last[0] if isinstance(last, tuple) else last
        found = own.last(states, mask(6, 2, 4))[row]
        torch.testing.assert_close(found, torch.cat([last[-2, 0], last[-1, 0]]))


@pytest.mark.parametrize("network", [SequenceTagger, SequenceClassifier])
@pytest.mark.parametrize("layers", [RecurrentLayers(nn.GRU, 3, 4, directions=2), DilatedStack(nn.LSTM, 3, 4, (1, 2))])
def test_padding_does_not_matter(network: type[SequenceTagger], layers: RecurrentLayers | DilatedStack) -> None:
    with seeded(0):
        module, x = network(nn.Identity(), layers, 2), torch.randn(3, 6, 3)
    together = module(x, mask(6, 2, 4))
    for row, length in enumerate((6, 2, 4)):
        alone = module(x[row : row + 1, :length], mask(length))[0]
        found = together[row, :length] if network is SequenceTagger else together[row]
        torch.testing.assert_close(found, alone)


def test_a_dilated_layer_skips_places() -> None:
    with seeded(0):
        stack, x = DilatedStack(nn.GRU, 2, 3, dilations=(1, 3)), torch.randn(4, 8, 2)
    layer = stack.layers[1]
    cell = nn.GRUCell(5, 3)
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in layer.state_dict().items()})
    found = stack(x, mask(8, 8, 8, 8))
    states = [torch.zeros(4, 3)] * 3
    for t in range(8):
        states.append(cell(torch.cat([x[:, t], found[:, t, :3]], dim=1), states[t]))
    torch.testing.assert_close(found[..., 3:], torch.stack(states[3:], dim=1))


def palindromes(count: int, length: int, seed: int) -> tuple[Tensor, Tensor]:
    """All but the last symbol, one-hot, and the last, which is the first."""
    generator = torch.Generator().manual_seed(seed)
    half = torch.randint(4, (count, (length + 1) // 2), generator=generator)
    whole = torch.cat([half, half.flip(1)[:, length % 2 :]], dim=1)
    return nn.functional.one_hot(whole[:, :-1], 4).float(), whole[:, -1]


@pytest.mark.parametrize(
    ("layers", "right"),
    [
        (lambda: RecurrentLayers(nn.RNN, 4, 32), False),
        (lambda: orthogonal_(RecurrentLayers(nn.RNN, 4, 32)), True),
        (lambda: RecurrentLayers(nn.GRU, 4, 32), True),
    ],
    ids=["simple", "orthogonal", "gated"],
)
def test_palindromes_are_completed_by_what_remembers(layers: Callable[[], RecurrentLayers], right: bool) -> None:
    with seeded(0):
        network = SequenceClassifier(nn.Identity(), layers(), 4)
    x, y = palindromes(512, 12, seed=0)
    descend(network, x, y, steps=100)
    x, y = palindromes(500, 12, seed=1)
    accuracy = (network(x, torch.ones(x.shape[:2], dtype=torch.bool)).argmax(dim=1) == y).float().mean()
    assert (accuracy > 0.98) == right


def test_the_regularizer_is_pascanus() -> None:
    with seeded(0):
        layer, output = nn.RNN(2, 3, batch_first=True).double(), nn.Linear(3, 1).double()
        x = torch.randn(4, 5, 2, dtype=torch.float64)
    states = [torch.zeros(4, 3, dtype=torch.float64)]
    for t in range(5):
        own = x[:, t] @ layer.weight_ih_l0.T + layer.bias_ih_l0 + layer.bias_hh_l0
        states.append(torch.tanh(own + states[-1] @ layer.weight_hh_l0.T))
    h = torch.stack(states[1:], dim=1)
    direct = torch.func.grad(lambda h: output(h).square().sum())(h.detach())
    gradients = torch.autograd.grad(output(h).square().sum(), states[1:], retain_graph=True)
    expected = 0
    for k in range(4):
        (carried,) = torch.autograd.grad(states[k + 2], states[k + 1], gradients[k + 1], retain_graph=True)
        expected = expected + (carried.norm(dim=1) / gradients[k + 1].norm(dim=1) - 1) ** 2 / 4
    torch.testing.assert_close(norm_preservation(layer, h, direct), expected)


def test_the_regularizer_lets_a_simple_network_remember_longer() -> None:
    (x, y), (unseen, wanted) = palindromes(256, 16, seed=0), palindromes(500, 16, seed=1)
    right = []
    for weight in (0.0, 1.0):
        with seeded(1):
            network = NormPreservingClassifier(nn.Identity(), RecurrentLayers(nn.RNN, 4, 32), 4, weight=weight)
        optimizer = torch.optim.Adam(network.parameters(), 0.01)
        for _ in range(60):
            optimizer.zero_grad()
            network.losses((x, torch.ones(x.shape[:2], dtype=torch.bool), y))["loss"].mean().backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        answers = network(unseen, torch.ones(unseen.shape[:2], dtype=torch.bool)).argmax(dim=1)
        right.append(float((answers == wanted).float().mean()))
    assert right[0] < 0.5 < 0.95 < right[1]


def mackey_glass(length: int) -> Tensor:
    """The chaotic series x' = 0.2 x(t−17)/(1 + x(t−17)^10) − 0.1 x, by Euler's rule with steps of one tenth."""
    x = [1.2] * 171
    for _ in range(10 * length):
        x.append(x[-1] + 0.1 * (0.2 * x[-171] / (1 + x[-171] ** 10) - 0.1 * x[-1]))
    return torch.tensor(x[171::10])[None, :, None]


def test_a_reservoir_predicts_a_chaotic_series() -> None:
    with seeded(0):
        network = EchoState(1, 1, channels=100)
    assert torch.linalg.eigvals(network.recurrent).abs().max().item() == pytest.approx(0.9, abs=1e-4)
    x = mackey_glass(1200)
    network.fit(x[:, :800], x[:, 1:801], washout=100)
    error = (network(x[:, :-1]) - x[:, 1:])[:, 801:].square().mean().sqrt()
    assert error < 0.03 * x.std()
    assert (x[:, 802:] - x[:, 801:-1]).std() > 0.1 * x.std()


def test_a_reservoir_goes_on_by_its_own_answers() -> None:
    x = mackey_glass(600)
    with seeded(0):
        network = EchoState(1, 1, channels=50, leak=0.7).fit(x[:, :400], x[:, 1:401], washout=100)
    found = network.continued(x[:, :450], 20)
    read_again = network(torch.cat([x[:, :450], found], dim=1))[:, 449:-1]
    torch.testing.assert_close(found, read_again)
    assert (found - x[:, 450:470]).abs().max() < 0.1 < (x[:, 449:450] - x[:, 450:470]).abs().max()


def test_wrong_sequences_are_refused() -> None:
    tagger = SequenceTagger(nn.Identity(), RecurrentLayers(nn.GRU, 3, 4), 2)
    with pytest.raises(ValueError, match="sequence 1 is empty"):
        tagger(torch.ones(2, 3, 3), mask(3, 0))
    with pytest.raises(ValueError, match="mask of sequence 0 has a gap"):
        tagger(torch.ones(1, 3, 3), torch.tensor([[True, False, True]]))
    with pytest.raises(ValueError, match="3 directions were asked for"):
        RecurrentLayers(nn.GRU, 3, 4, directions=3)
    with pytest.raises(ValueError, match=r"dilations are \[\]"):
        DilatedStack(nn.GRU, 2, 3, dilations=())
    with pytest.raises(ValueError, match="a single tanh layer of one direction"):
        NormPreservingClassifier(nn.Identity(), RecurrentLayers(nn.RNN, 3, 4, directions=2), 2)
    with pytest.raises(ValueError, match="sequences of 5 places are all washout"):
        EchoState(1, 1, channels=4).fit(torch.ones(1, 5, 1), torch.ones(1, 5, 1), washout=5)
    with pytest.raises(ValueError, match="2 outputs can't be read as 1 inputs"):
        EchoState(1, 2, channels=4).continued(torch.ones(1, 5, 1), 3)
