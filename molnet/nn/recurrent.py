"""Recurrent networks: torch's cells, made to remember longer, stacked over time scales, and with frozen reservoirs.

A batch of sequences is padded to the longest at its end: the mask [batch, time] is true where a place exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

Cell = type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]
"""torch's recurrent layers."""

__all__ = [
    "DilatedStack",
    "EchoState",
    "NormPreservingClassifier",
    "RecurrentLayers",
    "SequenceClassifier",
    "SequenceTagger",
    "norm_preservation",
    "orthogonal_",
]


M = TypeVar("M", bound=nn.Module)


def orthogonal_(module: M, forget_bias: float = 1.0) -> M:
    """Starts all recurrent layers of a module, in place, so that they neither forget nor explode: for each gate,

        W_recurrent orthogonal,   W_input by Glorot's rule,   b = 0, but forget_bias for the gate that keeps the state,

    the forget gate of an LSTM and the update gate z of a GRU, h_t = z h_{t−1} + (1 − z) n_t.

    Sources: A. Saxe, J. McClelland and S. Ganguli, ICLR 2014; R. Jozefowicz et al., ICML 2015, section 5.
    """
    for layer in (m for m in module.modules() if isinstance(m, nn.RNNBase)):
        for name, parameter in layer.named_parameters():
            for gate in parameter.detach().split(layer.hidden_size):
                if "weight_hh" in name:
                    nn.init.orthogonal_(gate)
                elif "weight" in name:
                    nn.init.xavier_uniform_(gate)
                else:
                    nn.init.zeros_(gate)
            if isinstance(layer, nn.LSTM | nn.GRU) and "bias_ih" in name:
                parameter.detach()[layer.hidden_size : 2 * layer.hidden_size] = forget_bias
    return module


def require_places(mask: Bool[Tensor, "batch time"]) -> Int[Tensor, " batch"]:
    """The lengths of sequences; raises ValueError for an empty one, or a gap within one."""
    lengths = mask.sum(dim=1)
    if not lengths.min():
        raise ValueError(f"sequence {int(lengths.argmin())} is empty; leave empty sequences out.")
    expected = torch.arange(mask.shape[1], device=mask.device) < lengths[:, None]
    if not torch.equal(mask, expected):
        where = int((mask != expected).any(dim=1).nonzero()[0])
        raise ValueError(f"the mask of sequence {where} has a gap; expected all padding at the end.")
    return lengths


class RecurrentLayers(nn.Module):
    """torch's RNN, LSTM or GRU in several layers, in one direction or two, on padded sequences.

    The states are those of the last layer, of both directions side by side. Each direction of a layer is a module of
    torch, and what is read backwards is turned around sequence by sequence: on a CPU, torch's own packed sequences of
    unequal lengths take seven times as long.
    """

    def __init__(
        self, cell: Cell, inputs: int, channels: int, *, layers: int = 1, directions: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if directions not in (1, 2):
            raise ValueError(f"{directions} directions were asked for; sequences have 1 or 2.")
        self.directions, self.outputs = directions, directions * channels
        widths = [inputs] + [self.outputs] * (layers - 1)
        self.layers = nn.ModuleList(cell(w, channels, batch_first=True) for w in widths for _ in range(directions))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "batch time inputs"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time outputs"]:
        lengths = require_places(mask)
        places = torch.arange(x.shape[1], device=x.device)
        # The own inverse: what exists is reversed, padding stays where it is.
        turned = torch.where(mask, lengths[:, None] - 1 - places, places)[..., None]
        for number in range(0, len(self.layers), self.directions):
            x = self.dropout(x) if number else x
            states = [self.layers[number](x)[0]]
            if self.directions == 2:
                back, _ = self.layers[number + 1](x.gather(1, turned.expand_as(x)))
                states.append(back.gather(1, turned.expand_as(back)))
            x = torch.cat(states, dim=2)
        return x

    def last(
        self, states: Float[Tensor, "batch time outputs"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch outputs"]:
        """The states of each direction after all it has read: at the last place, and at the first."""
        final = states[torch.arange(len(states)), mask.sum(dim=1) - 1]
        if self.directions == 1:
            return final
        half = self.outputs // 2
        return torch.cat([final[:, :half], states[:, 0, half:]], dim=1)


class SequenceTagger(nn.Module):
    """Many to many: an answer at each place, W h_t + b with the states h_t of `layers`.

    `embed` turns what stands at the places into channels; `layers` are `RecurrentLayers` or a `DilatedStack`.
    """

    def __init__(self, embed: nn.Module, layers: RecurrentLayers | DilatedStack, outputs: int) -> None:
        super().__init__()
        self.embed, self.layers = embed, layers
        self.output = nn.Linear(layers.outputs, outputs)

    def forward(
        self, x: Shaped[Tensor, "batch time ..."], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time outputs"]:
        return self.output(self.layers(self.embed(x), mask))


class SequenceClassifier(SequenceTagger):
    """Many to one: an answer for each sequence, W h + b with the last states h."""

    def forward(
        self, x: Shaped[Tensor, "batch time ..."], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch outputs"]:
        return self.output(self.layers.last(self.layers(self.embed(x), mask), mask))


class DilatedStack(nn.Module):
    """Layers on several time scales, each joined to the input and to the output by skip connections.

        h_t^l = cell_l(x_t ‖ h_t^{l−1}, h_{t−d_l}^l),   y_t = h_t^1 ‖ … ‖ h_t^L

    With dilations d_l = 1, 2, 4, … a signal reaches over n places in about n/d_L steps. The outputs have channels ·
    layers.
    Sources: S. Chang et al., NeurIPS 2017, eq. 2; the skips of A. Graves, arXiv:1308.0850 (2013), section 2.
    """

    def __init__(self, cell: Cell, inputs: int, channels: int, dilations: Sequence[int]) -> None:
        super().__init__()
        if not dilations or min(dilations) < 1:
            raise ValueError(f"the dilations are {list(dilations)}; expected one or more whole numbers from 1 on.")
        self.dilations, self.outputs = tuple(dilations), channels * len(dilations)
        widths = [inputs] + [inputs + channels] * (len(dilations) - 1)
        self.layers = nn.ModuleList(cell(width, channels, batch_first=True) for width in widths)

    def forward(
        self, x: Float[Tensor, "batch time inputs"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time outputs"]:
        require_places(mask)
        states: list[Tensor] = []
        for layer, dilation in zip(self.layers, self.dilations, strict=True):
            states.append(dilated(layer, torch.cat([x, *states[-1:]], dim=2), dilation))
        return torch.cat(states, dim=2)

    def last(
        self, states: Float[Tensor, "batch time outputs"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch outputs"]:
        """The states at the last place."""
        return states[torch.arange(len(states)), mask.sum(dim=1) - 1]


def dilated(
    layer: nn.Module, x: Float[Tensor, "batch time inputs"], dilation: int
) -> Float[Tensor, "batch time channels"]:
    """Runs the layer over every `dilation`-th place, from each of the first ones on."""
    batch, time, inputs = x.shape
    rows = nn.functional.pad(x, (0, 0, 0, -time % dilation)).reshape(batch, -1, dilation, inputs)
    states, _ = layer(rows.transpose(1, 2).flatten(0, 1))
    return states.unflatten(0, (batch, dilation)).transpose(1, 2).flatten(1, 2)[:, :time]


def norm_preservation(
    layer: nn.RNN, states: Float[Tensor, "batch time channels"], direct: Float[Tensor, "batch time channels"]
) -> Float[Tensor, " batch"]:
    """How much the gradient grows or shrinks on its way back through time, as a regularizer of the recurrent matrix W.

        Ω = mean_k ( ‖g_{k+1} ∂h_{k+1}/∂h_k‖ / ‖g_{k+1}‖ − 1 )²,   ∂h_{k+1}/∂h_k = diag(1 − h²_{k+1}) W

    g_k is the gradient of the objective with respect to h_k, from `direct`, the part that doesn't pass later states.
    States and gradients count as constants; only W is differentiated.
    Source: R. Pascanu, T. Mikolov and Y. Bengio, ICML 2013, eq. 9.
    """
    weight: Tensor = layer.weight_hh_l0  # type: ignore[assignment]
    slope = 1 - states.detach().square()
    with torch.no_grad():
        gradients = [direct[:, -1]]
        for k in range(states.shape[1] - 2, -1, -1):
            gradients.append(direct[:, k] + (gradients[-1] * slope[:, k + 1]) @ weight)
    later = torch.stack(gradients[-2::-1], dim=1)
    size = later.norm(dim=2)
    # A gradient that has vanished altogether has no direction to be kept.
    there = size > torch.finfo(size.dtype).tiny ** 0.5
    ratio = ((later * slope[:, 1:]) @ weight).norm(dim=2) / size.where(there, 1)
    return (ratio - 1).square().where(there, 0).mean(dim=1)


class NormPreservingClassifier(SequenceClassifier):
    """A tanh network whose losses add `weight` times the regularizer `norm_preservation` to the cross-entropy.

    The sequences of a batch are equally long. Raises ValueError for layers other than one of `nn.RNN` in one direction.
    """

    def __init__(self, embed: nn.Module, layers: RecurrentLayers, outputs: int, *, weight: float = 1.0) -> None:
        super().__init__(embed, layers, outputs)
        self.weight = weight
        if len(layers.layers) > 1 or not isinstance(layers.layers[0], nn.RNN):
            raise ValueError(f"norm preservation needs a single tanh layer of one direction; found {layers}.")

    def losses(
        self, batch: tuple[Shaped[Tensor, "batch time ..."], Bool[Tensor, "batch time"], Int[Tensor, " batch"]]
    ) -> dict[str, Tensor]:
        """Cross-entropy and regularizer, by example; raises ValueError where there is padding."""
        x, mask, labels = batch
        if not mask.all() or mask.shape[1] < 2:
            raise ValueError("norm preservation needs sequences of one length, of two places or more.")
        states = self.layers(self.embed(x), mask)

        def objective(last: Tensor) -> Tensor:
            return cross_entropy(self.output(last), labels, reduction="sum")

        direct = torch.zeros_like(states)
        direct[:, -1] = torch.func.grad(objective)(states[:, -1].detach())
        error = cross_entropy(self.output(states[:, -1]), labels, reduction="none")
        penalty = norm_preservation(self.layers.layers[0], states, direct)  # type: ignore[arg-type]
        return {"loss": error + self.weight * penalty, "error": error, "penalty": penalty}


class EchoState(nn.Module):
    """A recurrent network whose weights stay as they were drawn; only its linear readout is fitted, in one step.

        h_t = (1 − α) h_{t−1} + α tanh(W h_{t−1} + V x_t + b),   y_t = U (1 ‖ x_t ‖ h_t)

    W has the spectral radius `radius`, α is `leak`, V and b are uniform in ± `scale`.
    Source: H. Jaeger and H. Haas, Science 304, 78 (2004); M. Lukoševičius, Neural Networks: Tricks of the Trade (2012).
    """

    recurrent: Tensor
    entry: Tensor
    readout: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        channels: int = 200,
        radius: float = 0.9,
        leak: float = 1.0,
        scale: float = 0.5,
    ) -> None:
        super().__init__()
        self.leak = leak
        weight = torch.randn(channels, channels)
        self.register_buffer("recurrent", weight * radius / torch.linalg.eigvals(weight).abs().max())
        self.register_buffer("entry", scale * (2 * torch.rand(channels, 1 + inputs) - 1))
        self.register_buffer("readout", torch.zeros(outputs, 1 + inputs + channels))

    def states(self, x: Float[Tensor, "batch time inputs"]) -> Float[Tensor, "batch time features"]:
        """1 ‖ x_t ‖ h_t, from h = 0 on."""
        ones = torch.cat([x.new_ones(*x.shape[:2], 1), x], dim=2)
        driven, h, found = ones @ self.entry.T, x.new_zeros(len(x), len(self.recurrent)), []
        for t in range(x.shape[1]):
            h = self.step(h, driven[:, t])
            found.append(h)
        return torch.cat([ones, torch.stack(found, dim=1)], dim=2)

    def step(
        self, h: Float[Tensor, "batch channels"], driven: Float[Tensor, "batch channels"]
    ) -> Float[Tensor, "batch channels"]:
        """h_t from h_{t−1} and V x_t + b."""
        return (1 - self.leak) * h + self.leak * torch.tanh(h @ self.recurrent.T + driven)

    @torch.no_grad()
    def fit(
        self,
        x: Float[Tensor, "batch time inputs"],
        y: Float[Tensor, "batch time outputs"],
        *,
        ridge: float = 1e-6,
        washout: int = 0,
    ) -> EchoState:
        """Least squares with the penalty ridge · ‖U‖², leaving out the first `washout` places."""
        if x.shape[1] <= washout:
            raise ValueError(f"sequences of {x.shape[1]} places are all washout, which is {washout}; give longer ones.")
        a, b = self.states(x)[:, washout:].flatten(0, 1).double(), y[:, washout:].flatten(0, 1).double()
        found = torch.linalg.solve(a.T @ a + ridge * torch.eye(a.shape[1], device=a.device, dtype=a.dtype), a.T @ b)
        self.readout.copy_(found.T)
        return self

    def forward(self, x: Float[Tensor, "batch time inputs"]) -> Float[Tensor, "batch time outputs"]:
        return self.states(x) @ self.readout.T

    @torch.no_grad()
    def continued(self, x: Float[Tensor, "batch time inputs"], steps: int) -> Float[Tensor, "batch steps inputs"]:
        """What follows x, each answer being the next input; raises ValueError where answers are no inputs."""
        if len(self.readout) != x.shape[2]:
            raise ValueError(f"{len(self.readout)} outputs can't be read as {x.shape[2]} inputs; fit it to the next x.")
        width, state, answers = 1 + x.shape[2], self.states(x)[:, -1], []
        for _ in range(steps):
            answers.append(state @ self.readout.T)
            ones = torch.cat([state[:, :1], answers[-1]], dim=1)
            state = torch.cat([ones, self.step(state[:, width:], ones @ self.entry.T)], dim=1)
        return torch.stack(answers, dim=1)
