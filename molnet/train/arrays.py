"""Arrays in batches, and the losses of ordinary networks, for the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from molnet.train.loop import Loss, Mean

NO_LABEL: Final = -100
"""A label that doesn't count, such as that of a padded place; also torch's choice."""


class ArrayBatches:
    """Arrays of equal first length, in batches of up to `size` rows.

    Epoch 0, which the loop asks of validation data, keeps the rows' order; all others are shuffled by the seed and
    their number. A batch is a tuple with a part of each array, or the part itself of a single array; numpy arrays
    become tensors of their dtype.
    Raises ValueError for no arrays, no rows, unequal lengths, numbers that aren't finite, and a size below one.
    """

    def __init__(self, *arrays: Any, size: int = 64, seed: int = 0) -> None:
        self.tensors = tuple(to_tensor(array) for array in arrays)
        self.size, self.seed = size, seed
        lengths = {t.shape[0] if t.ndim else 0 for t in self.tensors}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError(f"batches need arrays of one length, with rows; found {[*map(_shape, self.tensors)]}.")
        if size < 1:
            raise ValueError(f"batches of {size} rows can't be made; expected 1 or more.")
        for number, tensor in enumerate(self.tensors):
            if bad := (~torch.isfinite(tensor).reshape(len(tensor), -1).all(dim=1)).nonzero().flatten().tolist():
                raise ValueError(
                    f"array {number} of {len(self.tensors)} has NaN or infinite numbers in {len(bad)} rows, "
                    f"first in row {bad[0]}; leave those rows out."
                )

    def __len__(self) -> int:
        return -(-len(self.tensors[0]) // self.size)

    def epoch(self, number: int) -> Iterator[Any]:
        """The batches of an epoch."""
        rows = len(self.tensors[0])
        shuffled = np.random.default_rng([self.seed, number]).permutation(rows) if number else np.arange(rows)
        for chosen in torch.from_numpy(shuffled).split(self.size):
            parts = tuple(tensor[chosen.to(tensor.device)] for tensor in self.tensors)
            yield parts if len(parts) > 1 else parts[0]


def to_tensor(array: Any) -> Tensor:
    """A tensor as it is, or a copy of an array, which may be read-only or strided in any way."""
    return array if isinstance(array, Tensor) else torch.from_numpy(np.array(array, order="C"))


def classification_loss(module: nn.Module, batch: Any) -> dict[str, Mean]:
    """The cross-entropy −ln p(label) of a module's logits, in nats; the accuracy is reported.

    A batch is (*inputs, labels); the module turns the inputs into logits [*places, classes] for labels [*places], which
    are class numbers, or −100 where they don't count. Raises ValueError for shapes that don't fit.
    """
    *inputs, labels = batch
    logits = module(*inputs)
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"logits have the shape {_shape(logits)} and labels {_shape(labels)}; expected one row of logits a label."
        )
    count = int((labels != NO_LABEL).sum())
    total = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=NO_LABEL, reduction="sum")
    hits = (logits.detach().argmax(dim=-1) == labels).sum()
    return {"loss": Mean(total, count), "accuracy": Mean(hits.to(logits.dtype), count)}


def regression_loss(module: nn.Module, batch: Any) -> dict[str, Mean]:
    """The mean squared error of a module's outputs; the mean absolute error `mae` is reported.

    A batch is (*inputs, targets), and targets have the shape of the outputs. Raises ValueError where they don't.
    """
    *inputs, targets = batch
    outputs = module(*inputs)
    if outputs.shape != targets.shape:
        raise ValueError(f"outputs have the shape {_shape(outputs)} and targets {_shape(targets)}; expected the same.")
    error = outputs - targets
    return {
        "loss": Mean(error.square().sum(), error.numel()),
        "mae": Mean(error.detach().abs().sum(), error.numel()),
    }


def example_loss(function: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """The loss of a function(outputs, targets) that gives one number an example, such as those of `molnet.nn.losses`.

    Raises ValueError where it gives another shape.
    """

    def loss(module: nn.Module, batch: Any) -> dict[str, Mean]:
        *inputs, targets = batch
        values = function(module(*inputs), targets)
        if values.shape != targets.shape[:1]:
            raise ValueError(
                f"the loss gave the shape {_shape(values)} for {len(targets)} examples; expected one each."
            )
        return {"loss": Mean(values.sum(), len(values))}

    return loss


def penalized(loss: Loss, penalty: Callable[[nn.Module], Tensor]) -> Loss:
    """A loss plus a penalty on the weights, such as `molnet.nn.losses.Lasso(0.01)`, which is also reported."""

    def both(module: nn.Module, batch: Any) -> dict[str, Mean]:
        means, extra = dict(loss(module, batch)), penalty(module)
        total, count = means["loss"]
        return means | {"loss": Mean(total + count * extra, count), "penalty": Mean(extra.detach() * count, count)}

    return both


def own_loss(module: nn.Module, batch: Any) -> dict[str, Mean]:
    """The means of what `module.losses(batch)` returns: values [batch] by name, of which "loss" is the objective.

    Raises ValueError for values of another shape, or without a "loss".
    """
    losses: dict[str, Float[Tensor, " batch"]] = module.losses(batch)  # type: ignore[operator]
    if "loss" not in losses or any(values.ndim != 1 for values in losses.values()):
        found = {name: _shape(values) for name, values in losses.items()}
        raise ValueError(
            f"{type(module).__name__}.losses gave {found}; expected one number an example, with the entry 'loss'."
        )
    return {name: Mean(values.sum(), len(values)) for name, values in losses.items()}


@dataclass(frozen=True)
class WarmUp:
    """`own_loss` with a part that enters gradually: loss − (1 − share) · weight · part, as in variational autoencoders
    the divergence, which with its whole weight from the start may press all information out of the code.

    The share rises from zero at the run's begin to one at the progress `until`; validation has the whole.
    Source: S. R. Bowman et al., CoNLL 2016, section 3.1.
    """

    part: str
    until: float
    weight: float = 1.0
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.until <= 1:
            raise ValueError(f"the {self.part} is warmed up until {self.until} of a run; expected above 0, up to 1.")

    def during(self, progress: float) -> WarmUp:
        return replace(self, share=min(1.0, progress / self.until))

    def __call__(self, module: nn.Module, batch: Any) -> dict[str, Mean]:
        means = own_loss(module, batch)
        total, count = means["loss"]
        return means | {"loss": Mean(total - (1 - self.share) * self.weight * means[self.part].total, count)}


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
