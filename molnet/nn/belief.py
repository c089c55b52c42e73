"""Deep belief networks: Boltzmann machines on top of each other, and the networks they unfold into."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from molnet.nn.boltzmann import Binary, RestrictedBoltzmann

Visible = Float[Tensor, "batch visible"]


class DeepBelief(nn.Module):
    """Restricted Boltzmann machines whose hidden units are the next one's visible units.

    They are trained greedily, from the first to the last, each on what `features` of those below it makes of the data:

        for level, machine in enumerate(network.machines):
            fit(machine, own_loss, ArrayBatches(network.features(x, level)), ...)

    Keywords are those of `RestrictedBoltzmann`. Raises ValueError for fewer than two widths.
    Source: G. E. Hinton, S. Osindero and Y.-W. Teh, Neural Comput. 18, 1527 (2006).
    """

    def __init__(self, widths: Sequence[int], *, steps: int = 1, chains: int = 0, seed: int = 0) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ValueError(f"a deep belief network needs two widths or more; found {list(widths)}.")
        self.machines = nn.ModuleList(
            RestrictedBoltzmann(n, m, steps=steps, chains=chains, seed=seed + level)
            for level, (n, m) in enumerate(pairwise(widths))
        )

    def features(self, x: Visible, levels: int) -> Float[Tensor, "batch features"]:
        """The hidden probabilities after so many machines."""
        with torch.no_grad():
            for machine in self.machines[:levels]:
                x = machine(x)
        return x

    def sample(self, start: Visible, generator: torch.Generator, *, steps: int) -> Visible:
        """Visible means after Gibbs sampling in the top machine, which begins at the features of `start`."""
        *below, top = self.machines
        v = top.gibbs(self.features(start, len(below)), generator, steps=steps)  # type: ignore[operator]
        with torch.no_grad():
            for machine in reversed(below):
                v = machine.visible(v)  # type: ignore[operator]
        return v

    def classifier(self, classes: int, *, dropout: float = 0.0) -> nn.Sequential:
        """A feed-forward network of logistic layers with copies of the weights and a linear layer to the classes.

        In training, hidden units are left out with the probability `dropout`.
        """
        layers = [part for machine in self.machines for part in (_upward(machine), nn.Sigmoid(), nn.Dropout(dropout))]
        output = nn.Linear(len(self.machines[-1].hidden_bias), classes)  # type: ignore[arg-type]
        nn.init.zeros_(output.weight)
        nn.init.zeros_(output.bias)
        return nn.Sequential(nn.Flatten(), *layers, output)

    def autoencoder(self) -> UnrolledAutoencoder:
        """The machines upward, then downward, with copies of the weights: start values for fine-tuning."""
        return UnrolledAutoencoder(self.machines)


class UnrolledAutoencoder(nn.Module):
    """A deep autoencoder of logistic layers that begins as machines stacked on each other; the code is linear.

    Source: G. E. Hinton and R. R. Salakhutdinov, Science 313, 504 (2006).
    """

    def __init__(self, machines: nn.ModuleList) -> None:
        super().__init__()
        up = [part for machine in machines for part in (_upward(machine), nn.Sigmoid())]
        down = [part for machine in reversed(machines) for part in (nn.Sigmoid(), _downward(machine))]
        self.encoder, self.decoder = nn.Sequential(*up[:-1]), nn.Sequential(*down)

    def forward(self, x: Visible) -> Visible:
        """The logits of the reconstruction."""
        return self.decoder(self.encoder(x))

    def losses(self, batch: Visible) -> dict[str, Float[Tensor, " batch"]]:
        """The cross-entropy of inputs in [0, 1] and their reconstructions, in nats an example; and squared errors."""
        logits = self(batch)
        squared = (logits.detach().sigmoid() - batch).square().sum(dim=1)
        return {"loss": Binary().mismatch(batch, logits), "squared_error": squared}


def _upward(machine: nn.Module) -> nn.Linear:
    return _linear(machine.weight.T, machine.hidden_bias)  # type: ignore[arg-type]


def _downward(machine: nn.Module) -> nn.Linear:
    return _linear(machine.weight, machine.visible_bias)  # type: ignore[arg-type]


def _linear(weight: Float[Tensor, "outputs inputs"], bias: Float[Tensor, " outputs"]) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data, layer.bias.data = weight.detach().clone(), bias.detach().clone()
    return layer
