"""Convolutional networks for images and boards, from LeNet to residual towers. All return logits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Images = Float[Tensor, "batch channels height width"]
Features = Float[Tensor, "batch features rows columns"]
Logits = Float[Tensor, "batch classes"]


class LeNet1(nn.Sequential):
    """Two convolutions with averages over 2 × 2 pixels between them, for images of 28 × 28.

    Source: Y. LeCun et al., Adv. Neural Inf. Process. Syst. 2 (1990), with all channels connected.
    """

    def __init__(self, inputs: int = 1, classes: int = 10) -> None:
        super().__init__(
            _Extent(28),
            *(nn.Conv2d(inputs, 4, 5), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Conv2d(4, 12, 5), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Flatten(), nn.Linear(12 * 4 * 4, classes)),
        )


class LeNet5(nn.Sequential):
    """Three convolutions and two dense layers, for images of 28 × 28, which are padded to 32 × 32.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Proc. IEEE 86, 2278 (1998), figure 2, with all channels
    connected, plain averages as subsampling, and logits instead of radial basis functions.
    """

    def __init__(self, inputs: int = 1, classes: int = 10) -> None:
        super().__init__(
            _Extent(28),
            *(nn.Conv2d(inputs, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten()),
            *(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, classes)),
        )


class AlexNet(nn.Sequential):
    """Five convolutions with overlapping maxima, then dense layers with dropout; for images of any size from 16.

    The layers of A. Krizhevsky, I. Sutskever and G. E. Hinton, Adv. Neural Inf. Process. Syst. 25 (2012), section
    3.5, with the first kernel and stride made for small images; `width` channels stand for the 96 of the paper.
    """

    def __init__(self, inputs: int, classes: int, *, width: int = 32) -> None:
        super().__init__(
            *(nn.Conv2d(inputs, width, 5, padding=2), nn.ReLU(), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(width, 2 * width, 5, padding=2), nn.ReLU(), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(2 * width, 4 * width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(4 * width, 4 * width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(4 * width, 2 * width, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool2d(3)),
            *(nn.Flatten(), nn.Dropout(), nn.Linear(18 * width, 8 * width), nn.ReLU()),
            *(nn.Dropout(), nn.Linear(8 * width, classes)),
        )


class Inception(nn.Module):
    """Convolutions of width 1, 3 and 5 and a maximum beside each other; their channels are concatenated.

    `narrow`, `middle`, `wide` and `pooled` are the channels of the four branches; 1 × 1 convolutions to half as many
    stand before the wider ones. Source: C. Szegedy et al., CVPR 2015, figure 2b.
    """

    def __init__(self, inputs: int, *, narrow: int, middle: int, wide: int, pooled: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                _convolution(inputs, narrow, 1),
                nn.Sequential(_convolution(inputs, -(-middle // 2), 1), _convolution(-(-middle // 2), middle, 3)),
                nn.Sequential(_convolution(inputs, -(-wide // 2), 1), _convolution(-(-wide // 2), wide, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, padding=1), _convolution(inputs, pooled, 1)),
            ]
        )

    def forward(self, x: Images) -> Features:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class ResidualBlock(nn.Module):
    """relu(s(x) + n(c(relu(n(c(x)))))) with convolutions c of width 3 and batch norms n.

    The shortcut s is the identity, or a normalized 1 × 1 convolution where the stride or the channels change.
    Source: K. He, X. Zhang, S. Ren and J. Sun, CVPR 2016, equations 1 and 2.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.change = nn.Sequential(
            *_convolution(inputs, outputs, 3, stride=stride),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else _convolution(inputs, outputs, 1, stride=stride)[:2]

    def forward(self, x: Images) -> Features:
        return functional.relu(self.shortcut(x) + self.change(x))


class ResNet(nn.Module):
    """Stages of residual blocks, each but the first at half the resolution, then the mean over the image.

    `widths` are the stages' channels. Source: He et al. 2016, section 4.2, whose network of 20 layers for small images
    has `blocks=3`.
    """

    def __init__(self, inputs: int, classes: int, *, widths: Sequence[int] = (16, 32, 64), blocks: int = 2) -> None:
        super().__init__()
        if not widths or blocks < 1:
            raise ValueError(f"a ResNet needs widths and blocks; found {list(widths)} and {blocks}.")
        stages = [ResidualBlock(widths[0], widths[0]) for _ in range(blocks)]
        for before, width in pairwise(widths):
            stages.append(ResidualBlock(before, width, stride=2))
            stages += [ResidualBlock(width, width) for _ in range(blocks - 1)]
        self.features = nn.Sequential(_convolution(inputs, widths[0], 3), *stages)
        self.output = nn.Linear(widths[-1], classes)

    def forward(self, images: Images) -> Logits:
        return self.output(self.features(images).mean(dim=(2, 3)))


class PolicyValueNet(nn.Module):
    """A tower of residual blocks with two heads: the logits of moves, and the value of the position in (−1, 1).

    Boards have the channels of `inputs` and the extents `board`. Both tasks are learned at once, from the batches
    (boards, move probabilities π [batch moves], outcomes z [batch]):

        loss = (z − v)² − Σ_a π_a log p_a

    Source: D. Silver et al., Nature 550, 354 (2017), equation 1 and "Neural network architecture".
    """

    def __init__(self, inputs: int, board: tuple[int, int], *, moves: int, channels: int, blocks: int) -> None:
        super().__init__()
        places = board[0] * board[1]
        self.tower = nn.Sequential(
            _convolution(inputs, channels, 3), *(ResidualBlock(channels, channels) for _ in range(blocks))
        )
        self.policy = nn.Sequential(_convolution(channels, 2, 1), nn.Flatten(), nn.Linear(2 * places, moves))
        self.value = nn.Sequential(
            *(_convolution(channels, 1, 1), nn.Flatten(), nn.Linear(places, channels), nn.ReLU()),
            *(nn.Linear(channels, 1), nn.Tanh()),
        )

    def forward(self, boards: Images) -> tuple[Float[Tensor, "batch moves"], Float[Tensor, " batch"]]:
        x = self.tower(boards)
        return self.policy(x), self.value(x).squeeze(1)

    def losses(self, batch: Sequence[Tensor]) -> dict[str, Float[Tensor, " batch"]]:
        """The loss of each position, and its two parts."""
        boards, moves, outcomes = batch
        logits, values = self(boards)
        policy = functional.cross_entropy(logits, moves, reduction="none")
        value = (outcomes - values).square()
        return {"loss": policy + value, "policy": policy, "value": value}


def _convolution(inputs: int, outputs: int, width: int, *, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the extents (divided by the stride), batch norm and ReLU."""
    layer = nn.Conv2d(inputs, outputs, width, stride=stride, padding=width // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class _Extent(nn.Module):
    """Passes images of one size on, and raises ValueError for others."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Images) -> Images:
        if images.shape[2:] != (self.size, self.size):
            found = " × ".join(map(str, images.shape[2:]))
            raise ValueError(
                f"the network takes images of {self.size} × {self.size}; found {found}. Resize them first."
            )
        return images
