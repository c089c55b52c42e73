"""Inputs that are changed a little so that a classifier errs, and training against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

Inputs = Float[Tensor, "batch ..."]
Labels = Int[Tensor, " batch"]


@dataclass(frozen=True)
class FastGradientSign:
    """x + ε sign(∂ −ln p(label | x) / ∂x), clamped to [0, 1]: of all changes of max-norm ε, to first order the worst.

    Source: I. J. Goodfellow, J. Shlens and C. Szegedy, ICLR 2015, section 4.
    """

    epsilon: float

    def __call__(self, module: nn.Module, inputs: Inputs, labels: Labels) -> Inputs:
        _check_range(inputs)
        x = inputs.detach().clone().requires_grad_()
        with torch.enable_grad():
            # Only x gets a gradient, not the parameters.
            functional.cross_entropy(module(x), labels).backward(inputs=[x])
        assert x.grad is not None
        return (x.detach() + self.epsilon * x.grad.sign()).clamp(0, 1)


def sign_noise(inputs: Inputs, epsilon: float, generator: torch.Generator) -> Inputs:
    """x ± ε with signs at random, clamped to [0, 1]: the control of an attack, equal to it in every norm."""
    _check_range(inputs)
    signs = torch.randint(0, 2, inputs.shape, generator=generator).to(inputs) * 2 - 1
    return (inputs + epsilon * signs).clamp(0, 1)


class AdversarialTraining(nn.Module):
    """A classifier together with the loss that makes it robust:

        loss = (1 − share) · l(x) + share · l(attack(x)),   l(x) = −ln p(label | x)

    Batches are (inputs, labels). The attack follows the classifier as it learns.
    Raises ValueError for a share outside [0, 1]. Source: Goodfellow et al. 2015, section 6.
    """

    def __init__(self, classifier: nn.Module, attack: FastGradientSign, *, share: float = 0.5) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise ValueError(f"the share of attacked inputs is {share}; expected a number from 0 to 1.")
        self.classifier, self.attack, self.share = classifier, attack, share

    def forward(self, inputs: Inputs) -> Float[Tensor, "batch classes"]:
        return self.classifier(inputs)

    def losses(self, batch: Sequence[Tensor]) -> dict[str, Float[Tensor, " batch"]]:
        """The loss of each example, and its two parts."""
        inputs, labels = batch
        clean = functional.cross_entropy(self(inputs), labels, reduction="none")
        attacked = self.attack(self.classifier, inputs, labels)
        worst = functional.cross_entropy(self(attacked), labels, reduction="none")
        return {"loss": (1 - self.share) * clean + self.share * worst, "clean": clean, "attacked": worst}


def _check_range(inputs: Inputs) -> None:
    if inputs.min() < 0 or inputs.max() > 1:
        found = f"{inputs.min():.4g} to {inputs.max():.4g}"
        raise ValueError(f"attacks take inputs from 0 to 1; found {found}. Scale the data before the classifier.")
