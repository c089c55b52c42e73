"""Networks on sets: pooling that ignores the order, Deep Sets, attention over the elements.

A batch of sets is padded to the longest: x has the shape [sets, elements, channels], and the mask is true where an
element exists. What stands in the padding never matters.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["AttentionPool", "DeepSets", "EquivariantLayer", "MaxPool", "MeanPool", "SumPool", "pad_sets"]


def pad_sets(
    sets: list[Float[Tensor, "_ channels"]],
) -> tuple[Float[Tensor, "sets elements channels"], Bool[Tensor, "sets elements"]]:
    """The sets, padded with zeros to the size of the largest, and the mask of what exists.

    Raises ValueError for no sets, and for a set without elements.
    """
    if not sets:
        raise ValueError("there are no sets; expected one or more.")
    sizes = torch.tensor([len(one) for one in sets])
    if not sizes.min():
        raise ValueError(f"set {int(sizes.argmin())} has no elements; leave empty sets out.")
    padded = nn.utils.rnn.pad_sequence(sets, batch_first=True)
    return padded, torch.arange(padded.shape[1]) < sizes[:, None]


def require_elements(mask: Bool[Tensor, "sets elements"]) -> None:
    """Raises ValueError where a row of the mask is empty."""
    empty = ~mask.any(dim=1)
    if empty.any():
        raise ValueError(f"row {int(empty.nonzero()[0])} of the mask is false everywhere; expected an element or more.")


class SumPool(nn.Module):
    """Σ_k x_k over the elements that exist."""

    def forward(
        self, x: Float[Tensor, "sets elements channels"], mask: Bool[Tensor, "sets elements"]
    ) -> Float[Tensor, "sets channels"]:
        return x.masked_fill(~mask[..., None], 0).sum(dim=1)


class MeanPool(nn.Module):
    """The mean over the elements that exist; raises ValueError where none does."""

    def forward(
        self, x: Float[Tensor, "sets elements channels"], mask: Bool[Tensor, "sets elements"]
    ) -> Float[Tensor, "sets channels"]:
        require_elements(mask)
        return x.masked_fill(~mask[..., None], 0).sum(dim=1) / mask.sum(dim=1, keepdim=True)


class MaxPool(nn.Module):
    """The mean of the largest `count` values of each channel, of fewer where the set is smaller; 1 is max pooling.

    Raises ValueError where a set has no elements.
    """

    def __init__(self, count: int = 1) -> None:
        super().__init__()
        self.count = count

    def forward(
        self, x: Float[Tensor, "sets elements channels"], mask: Bool[Tensor, "sets elements"]
    ) -> Float[Tensor, "sets channels"]:
        require_elements(mask)
        kept = min(self.count, x.shape[1])
        largest = x.masked_fill(~mask[..., None], -torch.inf).topk(kept, dim=1).values
        found = largest.isfinite()
        return largest.masked_fill(~found, 0).sum(dim=1) / found.sum(dim=1)


class AttentionPool(nn.Module):
    """A weighted mean whose weights are learned: gated attention for bags of which some instance decides.

        z = Σ_k a_k x_k,   a = softmax_k( w · (tanh(V x_k) ⊙ σ(U x_k)) )

    Raises ValueError where a set has no elements.
    Source: M. Ilse, J. Tomczak and M. Welling, ICML 2018, eqs. 7 and 9.
    """

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.value, self.gate = nn.Linear(channels, hidden), nn.Linear(channels, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)

    def weights(
        self, x: Float[Tensor, "sets elements channels"], mask: Bool[Tensor, "sets elements"]
    ) -> Float[Tensor, "sets elements"]:
        """a_k: they add to one, and say which elements decided."""
        require_elements(mask)
        score = self.score(torch.tanh(self.value(x)) * torch.sigmoid(self.gate(x))).squeeze(-1)
        return score.masked_fill(~mask, -torch.inf).softmax(dim=1)

    def forward(
        self, x: Float[Tensor, "sets elements channels"], mask: Bool[Tensor, "sets elements"]
    ) -> Float[Tensor, "sets channels"]:
        return torch.einsum("se,sec->sc", self.weights(x, mask), x.masked_fill(~mask[..., None], 0))


class DeepSets(nn.Module):
    """f(X) = ρ(pool_k φ(x_k)): any function of sets that doesn't depend on the order, for φ and ρ wide enough.

    `element` is φ, for inputs [rows, …]; only elements that exist pass it. `output` is ρ.
    Source: M. Zaheer et al., NeurIPS 2017, theorem 2.
    """

    def __init__(self, element: nn.Module, pool: nn.Module, output: nn.Module) -> None:
        super().__init__()
        self.element, self.pool, self.output = element, pool, output

    def embed(
        self, x: Float[Tensor, "sets elements *features"], mask: Bool[Tensor, "sets elements"]
    ) -> Float[Tensor, "sets elements channels"]:
        """φ(x_k) for each element, zero in the padding."""
        rows = self.element(x[mask])
        return rows.new_zeros(*mask.shape, rows.shape[-1]).masked_scatter(mask[..., None], rows)

    def forward(
        self, x: Float[Tensor, "sets elements *features"], mask: Bool[Tensor, "sets elements"]
    ) -> Float[Tensor, "sets outputs"]:
        return self.output(self.pool(self.embed(x, mask), mask))


class EquivariantLayer(nn.Module):
    """y_k = W x_k + b − V mean_j x_j: the elements' answers are permuted as the elements are.

    Raises ValueError where a set has no elements.
    Source: M. Zaheer et al., NeurIPS 2017, eq. 4.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.own, self.pooled = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs, bias=False)
        self.pool = MeanPool()

    def forward(
        self, x: Float[Tensor, "sets elements inputs"], mask: Bool[Tensor, "sets elements"]
    ) -> Float[Tensor, "sets elements outputs"]:
        return self.own(x) - self.pooled(self.pool(x, mask))[:, None]
