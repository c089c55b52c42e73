"""Recurrent networks: torch's cells, made to remember longer, stacked over time scales, and with frozen reservoirs.

A batch of sequences is padded to the longest at its end: the mask [batch, time] is true where a place exists.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

__all__ = [
    "DilatedStack",
    "EchoState",
    "NormPreservingClassifier",
    "SequenceClassifier",
    "SequenceTagger",
    "norm_preservation",
    "orthogonal_",
]


def orthogonal_(layer: nn.RNNBase, forget_bias: float = 1.0) -> nn.RNNBase:
    """Starts a recurrent layer, in place, so that it neither forgets nor explodes: with one matrix for each gate,

        W_recurrent orthogonal,   W_input by Glorot's rule,   b = 0, but forget_bias for the forget gate of an LSTM.

    Sources: A. Saxe, J. McClelland and S. Ganguli, ICLR 2014; R. Jozefowicz et al., ICML 2015, section 5.
    """
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            for gate in parameter.split(layer.hidden_size):
                if "weight_hh" in name:
                    nn.init.orthogonal_(gate)
                elif "weight" in name:
                    nn.init.xavier_uniform_(gate)
                else:
                    gate.zero_()
            if isinstance(layer, nn.LSTM) and "bias_ih" in name:
                parameter[layer.hidden_size : 2 * layer.hidden_size] = forget_bias
    return layer


def packed(x: Float[Tensor, "batch time channels"], mask: Bool[Tensor, "batch time"]) -> PackedSequence:
    """The sequences without their padding; raises ValueError for an empty one, or a gap within one."""
    lengths = mask.sum(dim=1)
    if not lengths.min():
        raise ValueError(f"sequence {int(lengths.argmin())} is empty; leave empty sequences out.")
    expected = torch.arange(mask.shape[1], device=mask.device) < lengths[:, None]
    if not torch.equal(mask, expected):
        where = int((mask != expected).any(dim=1).nonzero()[0])
        raise ValueError(f"the mask of sequence {where} has a gap; expected all padding at the end.")
    return pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)


class SequenceTagger(nn.Module):
    """Many to many: an answer at each place, W h_t + b with the states h_t of a recurrent layer.

    `embed` turns what stands at the places into channels; the layer has batch_first, any depth, one direction or two.
    """

    def __init__(self, embed: nn.Module, layer: nn.RNNBase, outputs: int) -> None:
        super().__init__()
        self.embed, self.layer = embed, require_batch_first(layer)
        self.output = nn.Linear(layer.hidden_size * (1 + layer.bidirectional), outputs)

    def forward(
        self, x: Shaped[Tensor, "batch time ..."], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time outputs"]:
        states, _ = self.layer(packed(self.embed(x), mask))
        return self.output(pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])[0])


class SequenceClassifier(SequenceTagger):
    """Many to one: the answer from the states after the last place (and before the first, for two directions)."""

    def forward(
        self, x: Shaped[Tensor, "batch time ..."], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch outputs"]:
        _, last = self.layer(packed(self.embed(x), mask))
        states = last[0] if isinstance(last, tuple) else last
        return self.output(torch.cat([*states[-1 - self.layer.bidirectional :]], dim=1))


def require_batch_first(layer: nn.RNNBase) -> nn.RNNBase:
    if not layer.batch_first:
        raise ValueError(f"{type(layer).__name__} has batch_first=False; give a layer made with batch_first=True.")
    return layer


class DilatedStack(nn.Module):
    """Layers on several time scales, each joined to the input and to the output by skip connections.

        h_t^l = cell_l(x_t ‖ h_t^{l−1}, h_{t−d_l}^l),   y_t = h_t^1 ‖ … ‖ h_t^L

    With dilations d_l = 1, 2, 4, … a signal reaches over n places in about n/d_L steps. `cell` is torch's RNN, LSTM or
    GRU; the outputs have channels · layers.
    Sources: S. Chang et al., NeurIPS 2017, eq. 2; the skips of A. Graves, arXiv:1308.0850 (2013), section 2.
    """

    def __init__(
        self, cell: type[nn.RNN] | type[nn.LSTM] | type[nn.GRU], inputs: int, channels: int, dilations: Sequence[int]
    ) -> None:
        super().__init__()
        if not dilations or min(dilations) < 1:
            raise ValueError(f"the dilations are {list(dilations)}; expected one or more whole numbers from 1 on.")
        self.dilations = tuple(dilations)
        widths = [inputs] + [inputs + channels] * (len(dilations) - 1)
        self.layers = nn.ModuleList(orthogonal_(cell(width, channels, batch_first=True)) for width in widths)

    def forward(self, x: Float[Tensor, "batch time inputs"]) -> Float[Tensor, "batch time outputs"]:
        states: list[Tensor] = []
        for layer, dilation in zip(self.layers, self.dilations, strict=True):
            states.append(dilated(layer, torch.cat([x, *states[-1:]], dim=2), dilation))
        return torch.cat(states, dim=2)


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
    States and gradients count as constants; only W is differentiated. Raises ValueError for
    layers other than a single one of tanh units in one direction.
    Source: R. Pascanu, T. Mikolov and Y. Bengio, ICML 2013, eq. 9.
    """
    if layer.nonlinearity != "tanh" or layer.num_layers > 1 or layer.bidirectional:
        raise ValueError(f"norm_preservation needs a single tanh layer of one direction; found {layer}.")
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

    The sequences of a batch are equally long.
    """

    def __init__(self, embed: nn.Module, layer: nn.RNN, outputs: int, *, weight: float = 1.0) -> None:
        super().__init__(embed, layer, outputs)
        self.weight = weight

    def losses(
        self, batch: tuple[Shaped[Tensor, "batch time ..."], Bool[Tensor, "batch time"], Int[Tensor, " batch"]]
    ) -> dict[str, Tensor]:
        """Cross-entropy and regularizer, by example; raises ValueError where there is padding."""
        x, mask, labels = batch
        if not mask.all():
            raise ValueError("norm_preservation needs sequences of one length; found padding in the mask.")
        states, _ = self.layer(self.embed(x))

        def objective(last: Tensor) -> Tensor:
            return cross_entropy(self.output(last), labels, reduction="sum")

        direct = torch.zeros_like(states)
        direct[:, -1] = torch.func.grad(objective)(states[:, -1].detach())
        error = cross_entropy(self.output(states[:, -1]), labels, reduction="none")
        penalty = norm_preservation(self.layer, states, direct)  # type: ignore[arg-type]
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
            h = (1 - self.leak) * h + self.leak * torch.tanh(h @ self.recurrent.T + driven[:, t])
            found.append(h)
        return torch.cat([ones, torch.stack(found, dim=1)], dim=2)

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
