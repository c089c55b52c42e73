from __future__ import annotations

import lzma

import pytest
import torch
from torch import Tensor, nn

from molnet.nn.seeding import seeded
from molnet.nn.sequence import CharacterModel, Characters, KeyValueMemory, LengthBatches, Seq2Seq, TextBatches
from tests.shared import shared_data


def test_characters_come_back() -> None:
    vocabulary = Characters("to be or not")
    assert vocabulary.decode(vocabulary.encode("not to be")) == "not to be"
    with pytest.raises(ValueError, match="the text is empty"):
        Characters("")
    with pytest.raises(ValueError, match=r"characters \['x'\] are not among ' benort'"):
        vocabulary.encode("x")


def test_excerpts_cover_the_text_once() -> None:
    batches = TextBatches(torch.arange(41), time=8, size=2)
    for number in (0, 1, 2):
        found = list(batches.epoch(number))
        seen = torch.cat([x.flatten() for x, _ in found])
        assert all(torch.equal(y, x + 1) for x, y in found)
        assert len(seen.unique()) == len(seen) >= 32
    assert len(batches) == len(list(batches.epoch(0)))
    with pytest.raises(ValueError, match="text has 8 characters; excerpts of 8 need 9"):
        TextBatches(torch.arange(8), time=8, size=2)


@pytest.mark.parametrize("number", [0, 3])
def test_sequences_of_similar_length_come_together(number: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = [torch.full((int(n),), row + 1) for row, n in enumerate(torch.randint(1, 60, (200,), generator=generator))]
    labels = torch.tensor([len(one) for one in x])
    seen, places = [], 0
    for tokens, mask, y in LengthBatches(x, labels, places=256).epoch(number):
        assert torch.equal(mask.sum(dim=1), y)
        assert tokens.numel() <= 256
        seen += tokens[:, 0].tolist()
        places += tokens.numel()
    assert sorted(seen) == list(range(1, 201))
    assert places < 1.25 * sum(labels.tolist())


def test_labels_of_places_are_padded() -> None:
    batches = LengthBatches([torch.ones(2), torch.ones(3)], [torch.ones(2), torch.ones(3)])
    ((_, _, labels),) = batches.epoch(0)
    assert labels.tolist() == [[1, 1, -100], [1, 1, 1]]
    with pytest.raises(ValueError, match="sequence 1 has 3 places and 2 labels"):
        LengthBatches([torch.ones(2), torch.ones(3)], [torch.ones(2), torch.ones(2)])
    with pytest.raises(ValueError, match="sequence 0 is empty"):
        LengthBatches([torch.ones(0)], torch.ones(1))
    with pytest.raises(ValueError, match="1 sequences and labels for 2"):
        LengthBatches([torch.ones(1)], torch.ones(2))


def test_a_character_model_learns_english_letters() -> None:
    with lzma.open(shared_data("dlcore/tinyshakespeare.txt.xz"), "rt") as file:
        text = file.read(130_000)
    vocabulary = Characters(text)
    numbers = vocabulary.encode(text)
    with seeded(0):
        model = CharacterModel(len(vocabulary), nn.GRU(32, 64, batch_first=True))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for batch in TextBatches(numbers[:120_000], time=32, size=40).epoch(1):
        optimizer.zero_grad()
        model.losses(batch)["loss"].mean().backward()
        optimizer.step()
    test = numbers[120_000:]
    nats = float(model.losses((test[None, :-1], test[None, 1:]))["loss"].mean().detach())
    frequency = torch.bincount(test).double() / len(test)
    assert nats < 2.4 < float(torch.special.entr(frequency).sum()) - 0.7
    drawn = model.sample(vocabulary.encode("The "), 200, generator=torch.Generator().manual_seed(0))
    again = model.sample(vocabulary.encode("The "), 200, generator=torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)
    assert 10 < vocabulary.decode(drawn).count(" ") < 60


def test_sampling_without_temperature_follows_the_rule_that_was_learned() -> None:
    vocabulary = Characters("abc")
    text = vocabulary.encode("abc" * 30)
    with seeded(0):
        model = CharacterModel(3, nn.LSTM(4, 8, batch_first=True))
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(30):
        optimizer.zero_grad()
        model.losses((text[None, :-1], text[None, 1:]))["loss"].mean().backward()
        optimizer.step()
    drawn = model.sample(text[:2], 9, generator=torch.Generator().manual_seed(0), temperature=0.05)
    assert vocabulary.decode(drawn) == "cabcabcab"
    with pytest.raises(ValueError, match="prompt is empty"):
        model.sample(text[:0], 1, generator=torch.Generator())
    with pytest.raises(ValueError, match="batch_first=True in one direction"):
        CharacterModel(3, nn.LSTM(4, 8))


def reversals(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Words of two to four letters 1 … 4, and the same backwards."""
    generator = torch.Generator().manual_seed(seed)
    words = [torch.randint(1, 5, (2 + row % 3,), generator=generator) for row in range(count)]
    x = nn.utils.rnn.pad_sequence(words, batch_first=True)
    y = nn.utils.rnn.pad_sequence([word.flip(0) for word in words], batch_first=True, padding_value=-100)
    return x, x > 0, y


def test_attention_translates_words_into_their_reversal() -> None:
    with seeded(0):
        model = Seq2Seq(5, 5, 32)
    batch = reversals(400, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(100):
        optimizer.zero_grad()
        model.losses(batch)["loss"].mean().backward()
        optimizer.step()
    x, mask, y = reversals(100, seed=1)
    found = model.translate(x, mask, 5)
    right = (found[:, :4] == y.clamp(min=0)).all(dim=1) & (found[:, 4] == 0)
    assert right.float().mean() > 0.9


def test_a_memory_recalls_what_stands_beside_a_key() -> None:
    generator = torch.Generator().manual_seed(0)
    symbols = torch.eye(10)

    def batch(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        keys = torch.rand(count, 10, generator=generator).argsort(dim=1)[:, :6]
        values = torch.randint(10, (count, 6), generator=generator)
        asked = torch.randint(6, (count,), generator=generator)
        rows = torch.arange(count)
        everywhere = torch.ones(count, 6, dtype=torch.bool)
        return symbols[keys[rows, asked]], symbols[keys], symbols[values], everywhere, values[rows, asked]

    with seeded(0):
        memory = KeyValueMemory(keys=10, values=10, queries=10, outputs=10, channels=32)
    optimizer = torch.optim.Adam(memory.parameters(), 0.02)
    for _ in range(150):
        *inputs, y = batch(128)
        optimizer.zero_grad()
        nn.functional.cross_entropy(memory(*inputs), y).backward()
        optimizer.step()
    *inputs, y = batch(500)
    assert (memory(*inputs).argmax(dim=1) == y).float().mean() > 0.95
    asked = torch.einsum("bq,bsq->bs", inputs[0], inputs[1]).argmax(dim=1)
    assert (memory.read(*inputs)[1][:, 0].argmax(dim=1) == asked).float().mean() > 0.95
    with pytest.raises(ValueError, match="has no slots"):
        memory(*inputs[:3], torch.zeros_like(inputs[3]))
