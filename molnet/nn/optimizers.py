"""Natural gradients, initial weights, and what shows how an optimizer moves; torch has the other optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from molnet.nn.losses import weights

Likelihood = Callable[[Tensor, torch.Generator], Tensor]
"""−Σ ln p(y) over the rows of outputs, of targets y drawn from what the outputs say of them."""


def categorical(logits: Float[Tensor, "batch classes"], generator: torch.Generator) -> Float[Tensor, ""]:
    """The likelihood of classes, as cross-entropy takes it."""
    drawn = logits.detach().softmax(dim=1).multinomial(1, generator=generator).squeeze(1)
    return functional.cross_entropy(logits, drawn, reduction="sum")


def gaussian(outputs: Float[Tensor, "batch outputs"], generator: torch.Generator) -> Float[Tensor, ""]:
    """The likelihood of numbers with unit variance, of which half the squared error is the negative logarithm."""
    noise = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
    return 0.5 * (outputs - outputs.detach() - noise).square().sum()


class NaturalGradient(Optimizer):
    """Steepest descent in the distance of what networks predict: W ← W − lr · F⁻¹ ∂L/∂W, F the Fisher information.

    F is taken as one block a linear layer and each block as a product of two small matrices (K-FAC),

        F ≈ E[g gᵀ] ⊗ E[a aᵀ],    F⁻¹ ∂L/∂W ≈ (E[g gᵀ] + √λ/π)⁻¹ ∂L/∂W (E[a aᵀ] + π√λ)⁻¹

    with a the layer's inputs and a constant one, g the derivatives of ln p(y) with respect to its outputs, y drawn from
    the model (so F is the Fisher information, not the empirical one), λ the damping, and π² the ratio of the mean
    eigenvalues of E[a aᵀ] and E[g gᵀ]. Means decay over steps by `decay`. The likelihood must be that of the loss. All
    parameters must be those of nn.Linear layers called once a pass, on rows; otherwise raises ValueError. The means
    aren't part of `state_dict`: a resumed run gathers them anew.
    Source: Amari, Neural Computation 10, 251 (1998); Martens & Grosse, ICML 2015, sections 3 and 6.3.
    """

    def __init__(
        self,
        module: nn.Module,
        likelihood: Likelihood,
        *,
        lr: float = 0.1,
        damping: float = 1e-3,
        decay: float = 0.95,
        seed: int = 0,
    ) -> None:
        self.layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
        if {id(p) for p in module.parameters()} != {id(p) for layer in self.layers for p in layer.parameters()}:
            raise ValueError(f"NaturalGradient knows linear layers only; {type(module).__name__} has other parameters.")
        super().__init__(module.parameters(), {"lr": lr})
        self.damping, self.decay, self.likelihood = damping, decay, likelihood
        self._generator = torch.Generator().manual_seed(seed)
        self._inputs: dict[nn.Linear, Tensor] = {}
        self._outputs: dict[nn.Linear, Tensor] = {}
        self._means: dict[nn.Linear, tuple[Tensor, Tensor]] = {}
        # Functions, because copies of the module would copy methods together with this object.
        for layer in self.layers:
            layer.register_forward_hook(lambda *passed: self._keep(*passed))
        module.register_forward_hook(lambda *passed: self._measure(*passed))

    def _keep(self, layer: nn.Linear, inputs: tuple[Tensor], output: Tensor) -> None:
        if layer.training and output.requires_grad:
            a = inputs[0].detach()
            self._inputs[layer] = a if layer.bias is None else functional.pad(a, (0, 1), value=1.0)
            self._outputs[layer] = output

    def _measure(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        """Adds this batch to the means; within the forward pass, while its graph is whole."""
        if not module.training or not output.requires_grad:
            return
        passed = list(self._outputs.values())
        for kept in passed:
            kept.retain_grad()
        self.likelihood(output, self._generator).backward(inputs=passed, retain_graph=True)
        for layer, kept in self._outputs.items():
            a, g = self._inputs[layer], kept.grad
            assert g is not None
            now = (a.T @ a / len(a), g.T @ g / len(g))
            before = self._means.get(layer, now)
            self._means[layer] = before[0].lerp(now[0], 1 - self.decay), before[1].lerp(now[1], 1 - self.decay)
            kept.grad = None
        self._inputs.clear()
        self._outputs.clear()

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of all layers, with the gradients that are there."""
        lr = self.param_groups[0]["lr"]
        for layer in self.layers:
            grad = layer.weight.grad
            if grad is None:
                continue
            if layer.bias is not None and layer.bias.grad is not None:
                grad = torch.cat([grad, layer.bias.grad[:, None]], dim=1)
            a, g = self._means[layer]
            change = _solve(a, g, grad, self.damping)
            layer.weight.sub_(lr * change[:, : layer.in_features])
            if layer.bias is not None:
                layer.bias.sub_(lr * change[:, -1])


def _solve(a: Tensor, g: Tensor, grad: Tensor, damping: float) -> Tensor:
    ratio = ((a.trace() / len(a)) / (g.trace() / len(g)).clamp(min=1e-30)).sqrt()
    root = damping**0.5
    a = a + ratio * root * torch.eye(len(a), dtype=a.dtype)
    g = g + root / ratio * torch.eye(len(g), dtype=g.dtype)
    return torch.linalg.solve(a, torch.linalg.solve(g, grad).T).T


def initialize(module: nn.Module, draw: Callable[[Tensor], Any]) -> None:
    """Draws all weights by one of torch's functions, such as nn.init.orthogonal_, and sets all biases to zero."""
    chosen = weights(module)
    for parameter in chosen:
        draw(parameter)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)


def gradient_norms(module: nn.Module, loss: Tensor) -> list[float]:
    """The root mean square derivative of a loss by each weight matrix, in the module's order."""
    chosen = weights(module)
    module.zero_grad()
    loss.backward(inputs=chosen)
    return [0.0 if w.grad is None else float(w.grad.square().mean().sqrt()) for w in chosen]


def trajectory(
    function: Callable[[Tensor], Tensor],
    start: Float[Tensor, " coordinates"],
    optimizer: Callable[[list[nn.Parameter]], Optimizer],
    *,
    steps: int,
) -> Float[Tensor, "points coordinates"]:
    """Where an optimizer goes on a function of a point, from the start on: steps + 1 points."""
    point = nn.Parameter(start.detach().clone())
    made, points = optimizer([point]), [start.detach().clone()]
    for _ in range(steps):
        made.zero_grad()
        function(point).backward()
        made.step()
        points.append(point.detach().clone())
    return torch.stack(points)


def saddle(point: Float[Tensor, " 2"]) -> Float[Tensor, ""]:
    """x² − y²: from y near zero, the way down is hardly to be seen."""
    return point[0] ** 2 - point[1] ** 2


def ravine(point: Float[Tensor, " 2"]) -> Float[Tensor, ""]:
    """½ (x² + 50 y²): fifty times as steep across as along."""
    return 0.5 * (point[0] ** 2 + 50 * point[1] ** 2)
