"""Deep one-dimensional convolutions on sequences of any length."""

from __future__ import annotations

from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from molnet.nn.sets import MaxPool


class MaskedConvolution(nn.Module):
    """x ← x + dropout(relu(norm(convolution(x)))), where padding stays zero, so that it never reaches a neighbor.

    The norm is over the channels of each place, so that no sequence depends on its batch.
    """

    def __init__(self, channels: int, kernel: int, *, dilation: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, channels, kernel, padding="same", dilation=dilation)
        self.norm, self.dropout = nn.LayerNorm(channels), nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "batch time channels"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time channels"]:
        found = self.norm(self.convolution(x.transpose(1, 2)).transpose(1, 2)).relu()
        return (x + self.dropout(found)).masked_fill(~mask[..., None], 0)


class SequenceCNN(nn.Module):
    """A class for each sequence: convolutions, the mean of the largest values of each channel, a perceptron.

    `embed` turns what stands at the places into `channels`; block b has the dilation 2^(b mod 4). Neither padding nor
    the other sequences of a batch matter. Raises ValueError for an even kernel, or an empty sequence.
    Source: J. Hou, B. Adhikari and J. Cheng, Bioinformatics 34, 1295 (2018), figure 1; skips and dilations are added.
    """

    def __init__(
        self,
        embed: nn.Module,
        outputs: int,
        *,
        channels: int,
        blocks: int,
        kernel: int = 5,
        largest: int = 10,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"the kernel has {kernel} places; expected an odd number, so that it has a middle.")
        self.embed = embed
        self.blocks = nn.ModuleList(
            MaskedConvolution(channels, kernel, dilation=2 ** (b % 4), dropout=dropout) for b in range(blocks)
        )
        self.pool = MaxPool(largest)
        self.output = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Dropout(dropout), nn.Linear(2 * channels, outputs)
        )

    def forward(
        self, x: Shaped[Tensor, "batch time ..."], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch outputs"]:
        states = self.embed(x).masked_fill(~mask[..., None], 0)
        for block in self.blocks:
            states = block(states, mask)
        return self.output(self.pool(states, mask))
