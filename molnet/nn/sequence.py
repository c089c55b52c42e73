"""Networks that read and write sequences: characters, translation with attention, a memory of keys and values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from molnet.nn.recurrent import RecurrentLayers

NO_LABEL = -100
"""The label of places that don't count: torch's choice."""


class Characters:
    """Numbers for the characters of a text, in their order. Raises ValueError for a text without any."""

    def __init__(self, text: str) -> None:
        if not text:
            raise ValueError("the text is empty; expected the characters that the vocabulary is to have.")
        self.characters = "".join(sorted(set(text)))
        self._number = {character: number for number, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Int[Tensor, " characters"]:
        """Raises ValueError for a character that the vocabulary lacks."""
        if unknown := sorted(set(text) - self._number.keys()):
            raise ValueError(f"the characters {unknown} are not among {self.characters!r}.")
        return torch.tensor([self._number[character] for character in text], dtype=torch.long)

    def decode(self, numbers: Int[Tensor, " characters"]) -> str:
        return "".join(self.characters[number] for number in numbers.tolist())


class TextBatches:
    """Excerpts of a text and the same one character further: (x, y), each [size, time].

    An epoch covers the text once; where its excerpts begin differs from epoch to epoch, by less than their length.
    Epoch 0 begins at the start. Raises ValueError for a text shorter than an excerpt.
    """

    def __init__(self, text: Int[Tensor, " characters"], *, time: int, size: int, seed: int = 0) -> None:
        if len(text) <= time:
            raise ValueError(f"the text has {len(text)} characters; excerpts of {time} need {time + 1} or more.")
        self.text, self.time, self.size, self.seed = text, time, size, seed

    def __len__(self) -> int:
        return -(-((len(self.text) - 1) // self.time) // self.size)

    def epoch(self, number: int) -> Iterator[tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]]:
        """The batches of an epoch."""
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + number)
        room = min(self.time, len(self.text) - self.time)
        first = int(torch.randint(room, (), generator=generator)) if number else 0
        rows = self.text[first:].unfold(0, self.time + 1, self.time)
        order = torch.randperm(len(rows), generator=generator) if number else torch.arange(len(rows))
        for chosen in order.split(self.size):
            yield rows[chosen, :-1], rows[chosen, 1:]


class LengthBatches:
    """Sequences of similar length together: (x, mask, labels), padded, with up to `places` places a batch.

    Labels are a tensor with one for each sequence, or a list with one for each place, which is padded by −100. Before
    each epoch but 0, lengths are disturbed by a tenth, so that the company changes, and the batches shuffled.
    Raises ValueError for empty sequences and for labels that don't fit.
    """

    def __init__(
        self, x: Sequence[Tensor], labels: Tensor | Sequence[Tensor], *, places: int = 4096, seed: int = 0
    ) -> None:
        if len(x) != len(labels) or not len(x):
            raise ValueError(f"there are {len(x)} sequences and labels for {len(labels)}; expected equally many.")
        if empty := [number for number, one in enumerate(x) if not len(one)]:
            raise ValueError(f"sequence {empty[0]} is empty; leave empty sequences out.")
        if not isinstance(labels, Tensor):
            for n in (n for n in range(len(x)) if len(x[n]) != len(labels[n])):
                raise ValueError(f"sequence {n} has {len(x[n])} places and {len(labels[n])} labels.")
        self.x, self.labels, self.places, self.seed = x, labels, places, seed
        self.lengths = torch.tensor([len(one) for one in x])
        # The loop asks for it at every step.
        self._count = len(self.groups(self.lengths.double()))

    def __len__(self) -> int:
        return self._count

    def groups(self, key: Float[Tensor, " sequences"]) -> list[list[int]]:
        """The rows of each batch, in the order of the key."""
        found: list[list[int]] = []
        longest = 0
        order = key.argsort(stable=True)
        for row, length in zip(order.tolist(), self.lengths[order].tolist(), strict=True):
            longest = max(longest, length)
            if not found or longest * (len(found[-1]) + 1) > self.places:
                found.append([])
                longest = length
            found[-1].append(row)
        return found

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Bool[Tensor, "batch time"], Tensor]]:
        """The batches of an epoch."""
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + number)
        noise = 0.1 * torch.rand(len(self.x), generator=generator, dtype=torch.float64) if number else 0.0
        groups = self.groups(self.lengths * (1.0 + noise))
        order = torch.randperm(len(groups), generator=generator).tolist() if number else range(len(groups))
        for rows in (groups[i] for i in order):
            x = pad_sequence([self.x[row] for row in rows], batch_first=True)
            mask = torch.arange(x.shape[1]) < self.lengths[rows][:, None]
            if isinstance(self.labels, Tensor):
                yield x, mask, self.labels[rows]
            else:
                one = [self.labels[row] for row in rows]
                yield x, mask, pad_sequence(one, batch_first=True, padding_value=NO_LABEL)


class CharacterModel(nn.Module):
    """p(c_{t+1} | c_1 … c_t) from the states of a recurrent layer, and text drawn from it.

    The layer has batch_first and one direction; `dropout` acts on its input and its states.
    """

    def __init__(self, vocabulary: int, layer: nn.RNNBase, *, dropout: float = 0.0) -> None:
        super().__init__()
        if not layer.batch_first or layer.bidirectional:
            raise ValueError(f"a model of text needs a layer with batch_first=True in one direction; found {layer}.")
        self.embed, self.layer = nn.Embedding(vocabulary, layer.input_size), layer
        self.dropout, self.output = nn.Dropout(dropout), nn.Linear(layer.hidden_size, vocabulary)

    def forward(self, x: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocabulary"]:
        return self.output(self.dropout(self.layer(self.dropout(self.embed(x)))[0]))

    def losses(self, batch: tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]) -> dict[str, Tensor]:
        """−ln p of each character, in nats."""
        x, y = batch
        return {"loss": cross_entropy(self(x).flatten(0, 1), y.flatten(), reduction="none")}

    @torch.no_grad()
    def sample(
        self, prompt: Int[Tensor, " characters"], length: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Int[Tensor, " length"]:
        """One to many: continues the prompt by drawing from p^(1/temperature); raises ValueError for an empty one."""
        if not len(prompt):
            raise ValueError("the prompt is empty; give one character or more.")
        found, x, state = [], prompt[None], None
        for _ in range(length):
            states, state = self.layer(self.embed(x), state)
            p = (self.output(states[:, -1]) / temperature).softmax(dim=1)
            x = torch.multinomial(p, 1, generator=generator)
            found.append(x[0])
        return torch.cat(found) if found else prompt[:0]


class Seq2Seq(nn.Module):
    """Sequence to sequence: a reader in both directions, a writer that looks back with attention.

        s_t = GRU(y_{t−1}, s_{t−1}),   a_ti = softmax_i(s_t · W h_i),   c_t = Σ_i a_ti h_i
        p(y_t) = softmax(U tanh(V (s_t ‖ c_t)))

    Token 0 of the target begins and ends every target sequence; it isn't part of what is given or returned.
    Source: M.-T. Luong, H. Pham and C. Manning, EMNLP 2015, eqs. 5 to 8 ("general").
    """

    def __init__(self, source: int, target: int, channels: int) -> None:
        super().__init__()
        self.embed_source, self.embed_target = nn.Embedding(source, channels), nn.Embedding(target, channels)
        self.reader = RecurrentLayers(nn.GRU, channels, channels, directions=2)
        self.writer = nn.GRU(channels, channels, batch_first=True)
        self.bridge = nn.Linear(2 * channels, channels)
        self.score = nn.Linear(2 * channels, channels, bias=False)
        self.join, self.output = nn.Linear(3 * channels, channels), nn.Linear(channels, target)

    def read(
        self, x: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]
    ) -> tuple[Float[Tensor, "batch source channels"], Float[Tensor, "1 batch half"]]:
        """The states h_i of the source, and the writer's first state."""
        states = self.reader(self.embed_source(x), mask)
        return states, torch.tanh(self.bridge(self.reader.last(states, mask)))[None]

    def write(
        self,
        before: Int[Tensor, "batch target"],
        state: Float[Tensor, "1 batch half"],
        h: Float[Tensor, "batch source channels"],
        mask: Bool[Tensor, "batch source"],
    ) -> tuple[
        Float[Tensor, "batch target vocabulary"], Float[Tensor, "1 batch half"], Float[Tensor, "batch target source"]
    ]:
        """Logits after each of the tokens before, the next state, and where the writer looked: a_ti."""
        s, state = self.writer(self.embed_target(before), state)
        scores = (s @ self.score(h).transpose(1, 2)).masked_fill(~mask[:, None], -torch.inf)
        weights = scores.softmax(dim=2)
        joined = torch.tanh(self.join(torch.cat([s, weights @ h], dim=2)))
        return self.output(joined), state, weights

    def losses(
        self, batch: tuple[Int[Tensor, "batch source"], Bool[Tensor, "batch source"], Int[Tensor, "batch target"]]
    ) -> dict[str, Tensor]:
        """−ln p of each target token and of the end, given the true ones before; labels −100 are padding."""
        x, mask, y = batch
        end = torch.full_like(y[:, :1], NO_LABEL)
        wanted = torch.cat([y, end], dim=1)
        wanted.scatter_(1, (y != NO_LABEL).sum(dim=1, keepdim=True), 0)
        before = torch.cat([torch.zeros_like(end), y.clamp(min=0)], dim=1)
        h, state = self.read(x, mask)
        logits, _, _ = self.write(before, state, h, mask)
        counts = wanted != NO_LABEL
        return {"loss": cross_entropy(logits[counts], wanted[counts], reduction="none")}

    @torch.no_grad()
    def translate(
        self, x: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"], length: int
    ) -> Int[Tensor, "batch length"]:
        """The likeliest token at every step, up to the given length; zeros from the end on."""
        h, state = self.read(x, mask)
        token, over, found = x.new_zeros(len(x), 1), x.new_zeros(len(x), 1, dtype=torch.bool), []
        for _ in range(length):
            logits, state, _ = self.write(token, state, h, mask)
            token = logits.argmax(dim=2).masked_fill(over, 0)
            over = over | (token == 0)
            found.append(token)
        return torch.cat(found, dim=1)


class KeyValueMemory(nn.Module):
    """Answers from a memory that is addressed by keys and read by values, in several hops.

        p_i = softmax_i(q · A k_i),   o = Σ_i p_i B v_i,   q ← R_j (q + o),   answer = C q

    Source: A. Miller et al., EMNLP 2016, section 3.1 (with its own matrix B for the values).
    """

    def __init__(self, *, keys: int, values: int, queries: int, outputs: int, channels: int, hops: int = 1) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(queries, channels, bias=False), nn.Linear(keys, channels, bias=False)
        self.value = nn.Linear(values, channels, bias=False)
        self.hops = nn.ModuleList(nn.Linear(channels, channels, bias=False) for _ in range(hops))
        self.output = nn.Linear(channels, outputs)

    def forward(
        self,
        query: Float[Tensor, "batch queries"],
        keys: Float[Tensor, "batch slots keys"],
        values: Float[Tensor, "batch slots values"],
        mask: Bool[Tensor, "batch slots"],
    ) -> Float[Tensor, "batch outputs"]:
        return self.output(self.read(query, keys, values, mask)[0])

    def read(
        self,
        query: Float[Tensor, "batch queries"],
        keys: Float[Tensor, "batch slots keys"],
        values: Float[Tensor, "batch slots values"],
        mask: Bool[Tensor, "batch slots"],
    ) -> tuple[Float[Tensor, "batch channels"], Float[Tensor, "batch hops slots"]]:
        """q after the last hop, and where each hop looked: p_i."""
        if not mask.any(dim=1).all():
            raise ValueError("a memory of the batch has no slots; expected one or more in each.")
        q, k, v = self.query(query), self.key(keys), self.value(values)
        looked = []
        for hop in self.hops:
            scores = torch.einsum("bc,bsc->bs", q, k).masked_fill(~mask, -torch.inf)
            looked.append(scores.softmax(dim=1))
            q = hop(q + torch.einsum("bs,bsc->bc", looked[-1], v))
        return q, torch.stack(looked, dim=1)
