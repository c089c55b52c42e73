"""Attention: multi-head, the transformer encoder, the causal decoder, and attention on graphs."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, leaky_relu, scaled_dot_product_attention

from molnet.nn.graph_networks import softmax_rows
from molnet.nn.mlp import MLP
from molnet.nn.sets import MeanPool, require_elements

Places = Float[Tensor, "batch time channels"]


class MultiHeadAttention(nn.Module):
    """Each place of x asks the places of a context, with several heads side by side.

        head_h = softmax(Q_h K_hᵀ/√d) V_h,   y = W (head_1 ‖ … ‖ head_H),   Q = x W_Q, (K, V) = context W_KV

    Raises ValueError for channels that the heads don't divide.
    Source: A. Vaswani et al., NeurIPS 2017, section 3.2.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels can't be shared by {heads} heads; choose a multiple.")
        self.heads = heads
        self.query, self.key_value = nn.Linear(channels, channels), nn.Linear(channels, 2 * channels)
        self.output = nn.Linear(channels, channels)

    def forward(
        self,
        x: Places,
        context: Float[Tensor, "batch places channels"],
        mask: Bool[Tensor, "#batch #time places"],
    ) -> Places:
        """The mask is true where a place of x may look at a place of the context, which must be one or more."""
        keys, values = self.split(self.key_value(context)).chunk(2, dim=-1)
        found = scaled_dot_product_attention(self.split(self.query(x)), keys, values, attn_mask=mask[:, None])
        return self.output(found.transpose(1, 2).flatten(2))

    def split(self, x: Float[Tensor, "batch places width"]) -> Float[Tensor, "batch heads places part"]:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class TransformerBlock(nn.Module):
    """x ← x + attention(norm x), x ← x + MLP(norm x), with four times the channels in the hidden layer.

    Normalized before each branch, as R. Xiong et al., ICML 2020, figure 1b.
    """

    def __init__(self, channels: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.attention = MultiHeadAttention(channels, heads)
        self.network = MLP([channels, 4 * channels, channels])
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Places, mask: Bool[Tensor, "#batch #time time"]) -> Places:
        own = self.norms[0](x)
        x = x + self.dropout(self.attention(own, own, mask))
        return x + self.dropout(self.network(self.norms[1](x)))


class Transformer(nn.Module):
    """Blocks of attention on embedded tokens and learned places, up to `time` of them."""

    def __init__(
        self, vocabulary: int, outputs: int, *, time: int, channels: int, heads: int, blocks: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.time = time
        self.token, self.place = nn.Embedding(vocabulary, channels), nn.Embedding(time, channels)
        for embedding in (self.token, self.place):
            nn.init.normal_(embedding.weight, std=0.1)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(TransformerBlock(channels, heads, dropout=dropout) for _ in range(blocks))
        self.norm, self.output = nn.LayerNorm(channels), nn.Linear(channels, outputs)

    def states(self, x: Int[Tensor, "batch time"], mask: Bool[Tensor, "#batch #time time"]) -> Places:
        """What stands at each place after the last block; raises ValueError for more than `time` places."""
        if x.shape[1] > self.time:
            raise ValueError(f"sequences have {x.shape[1]} places; this network was made for {self.time} at most.")
        places = torch.arange(x.shape[1], device=x.device)
        states = self.dropout(self.token(x) + self.place(places))
        for block in self.blocks:
            states = block(states, mask)
        return self.norm(states)


class TransformerEncoder(Transformer):
    """Every place looks at all that exist; the answer is read from their mean.

    Raises ValueError for an empty sequence.
    """

    def forward(self, x: Int[Tensor, "batch time"], mask: Bool[Tensor, "batch time"]) -> Float[Tensor, "batch outputs"]:
        require_elements(mask)
        return self.output(MeanPool()(self.states(x, mask[:, None]), mask))


class CausalTransformer(Transformer):
    """p(c_{t+1} | c_1 … c_t): every place looks at itself and those before, as a model of text does.

    Its outputs are the logits of the vocabulary.
    """

    def __init__(
        self, vocabulary: int, *, time: int, channels: int, heads: int, blocks: int, dropout: float = 0.0
    ) -> None:
        sizes = {"time": time, "channels": channels, "heads": heads, "blocks": blocks}
        super().__init__(vocabulary, vocabulary, **sizes, dropout=dropout)

    def forward(self, x: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocabulary"]:
        before = torch.ones(1, x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        return self.output(self.states(x, before))

    def losses(self, batch: tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]) -> dict[str, Tensor]:
        """−ln p of each token, in nats."""
        x, y = batch
        return {"loss": cross_entropy(self(x).flatten(0, 1), y.flatten(), reduction="none")}

    @torch.no_grad()
    def sample(
        self, prompt: Int[Tensor, " tokens"], length: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Int[Tensor, " length"]:
        """Continues the prompt by drawing from p^(1/temperature), given the last `time` tokens.

        Raises ValueError for an empty prompt.
        """
        if not len(prompt):
            raise ValueError("the prompt is empty; give one token or more.")
        found = prompt
        for _ in range(length):
            p = (self(found[None, -self.time :])[0, -1] / temperature).softmax(dim=0)
            found = torch.cat([found, torch.multinomial(p, 1, generator=generator)])
        return found[len(prompt) :]


class GraphAttention(nn.Module):
    """A node's mean of its senders, weighted by how well they match, with several heads side by side.

        α_rs = softmax_s( a · LeakyReLU(W_r h_r + W_s h_s + W_e e_sr) ),   y_r = Σ_s α_rs W_s h_s

    A node that receives nothing gets zero: add edges to itself where it should keep what it has.
    Source: S. Brody, U. Alon and E. Yahav, ICLR 2022, eq. 7 (of P. Veličković et al., ICLR 2018, with W inside).
    """

    def __init__(self, nodes: int, channels: int, heads: int, *, edges: int = 0) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels can't be shared by {heads} heads; choose a multiple.")
        self.sender, self.receiver = nn.Linear(nodes, channels), nn.Linear(nodes, channels)
        self.edge = nn.Linear(edges, channels, bias=False) if edges else None
        self.score = nn.Parameter(torch.randn(heads, channels // heads) * (channels // heads) ** -0.5)

    def forward(
        self,
        nodes: Float[Tensor, "nodes inputs"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        edges: Float[Tensor, "edges features"],
    ) -> Float[Tensor, "nodes channels"]:
        sent = self.sender(nodes)[senders]
        met = sent + self.receiver(nodes)[receivers]
        if self.edge is not None:
            met = met + self.edge(edges)
        heads = self.score.shape[0]
        scores = torch.einsum("ehc,hc->eh", leaky_relu(met.unflatten(1, (heads, -1)), 0.2), self.score)
        weights = softmax_rows(scores, receivers, len(nodes))
        messages = (weights[..., None] * sent.unflatten(1, (heads, -1))).flatten(1)
        return messages.new_zeros(len(nodes), messages.shape[1]).index_add(0, receivers, messages)
