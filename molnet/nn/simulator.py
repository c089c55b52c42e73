"""A learned simulator: a graph network that predicts accelerations of particles and is rolled out in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from molnet.nn.graph_networks import GraphNetwork, GraphTensors

Frames = Float[Tensor, "systems particles frames dimensions"]


@runtime_checkable
class Connect(Protocol):
    """Says who acts on whom: (sender, receiver) within each system, particles numbered through all systems."""

    def __call__(self, positions: Float[Tensor, "systems particles dimensions"]) -> Int[Tensor, "2 edges"]: ...


@dataclass(frozen=True)
class FixedEdges:
    """The same springs, bonds or contacts in every system, in both directions."""

    pairs: tuple[tuple[int, int], ...]

    def __call__(self, positions: Float[Tensor, "systems particles dimensions"]) -> Int[Tensor, "2 edges"]:
        systems, particles = positions.shape[:2]
        one = torch.tensor(self.pairs, device=positions.device).T
        if int(one.max()) >= particles:
            raise ValueError(f"an edge leads to particle {int(one.max())}; there are {particles} in a system.")
        both = torch.cat([one, one.flip(0)], dim=1)
        offsets = particles * torch.arange(systems, device=positions.device)
        return (both[:, None] + offsets[:, None]).flatten(1)


@dataclass(frozen=True)
class Within:
    """All pairs closer than the radius, which may be infinite."""

    radius: float

    def __call__(self, positions: Float[Tensor, "systems particles dimensions"]) -> Int[Tensor, "2 edges"]:
        particles = positions.shape[1]
        near = torch.cdist(positions, positions) < self.radius
        near &= ~torch.eye(particles, dtype=torch.bool, device=near.device)
        system, receiver, sender = near.nonzero().T
        return torch.stack([sender, receiver]) + particles * system


class GraphSimulator(nn.Module):
    """Accelerations of particles from their last velocities and their neighbors, by encode, process, decode.

        v_t = x_t − x_{t−1},   x_{t+1} = x_t + v_t + a_t
        a_t = s_a · GN(v_{t−C+1…t}/s_v, attributes; (x_s − x_r)/s_x, |x_s − x_r|/s_x)

    Time is counted in frames, so velocities and accelerations have the unit of positions. Nothing but differences of
    positions enters, so a shifted system moves the same way. `history` is C; `attributes` counts what is known of a
    particle beside its motion, such as its mass. s_v, s_a and s_x are buffers, see `set_scales`.
    Source: A. Sanchez-Gonzalez et al., ICML 2020, section 3 and appendix B.
    """

    velocity_scale: Tensor
    acceleration_scale: Tensor
    distance_scale: Tensor

    def __init__(
        self,
        connect: Connect,
        *,
        dimensions: int,
        attributes: int = 0,
        history: int = 1,
        channels: int = 64,
        rounds: int = 3,
    ) -> None:
        super().__init__()
        self.connect, self.history = connect, history
        widths = (history * dimensions + attributes, dimensions + 1, 1)
        self.network = GraphNetwork(widths, channels=channels, rounds=rounds, outputs=dimensions)
        for name in ("velocity_scale", "acceleration_scale", "distance_scale"):
            self.register_buffer(name, torch.ones(()))

    def set_scales(self, trajectories: Frames) -> None:
        """Takes the root mean squares of velocities, accelerations and distances from data.

        Raises ValueError where nothing moves or a number is not finite.
        """
        velocities = trajectories.diff(dim=2)
        first = trajectories[:, :, 0]
        scales = {
            "velocity_scale": velocities.square().mean().sqrt(),
            "acceleration_scale": velocities.diff(dim=2).square().mean().sqrt(),
            "distance_scale": (first - first.mean(dim=1, keepdim=True)).square().mean().sqrt(),
        }
        for name, scale in scales.items():
            if not 0 < float(scale) < torch.inf:
                raise ValueError(f"the {name} of these trajectories is {scale}; expected finite positions that move.")
            getattr(self, name).copy_(scale)

    def graph(self, past: Frames, attributes: Float[Tensor, "systems particles attributes"]) -> GraphTensors:
        """The systems' last state as the network sees it."""
        if past.shape[2] != self.history + 1:
            raise ValueError(f"{past.shape[2]} frames were given; expected history + 1 = {self.history + 1}.")
        systems, particles = past.shape[:2]
        senders, receivers = self.connect(past[:, :, -1])
        positions = past[:, :, -1].flatten(0, 1)
        offset = (positions[senders] - positions[receivers]) / self.distance_scale
        motion = past.diff(dim=2).flatten(2) / self.velocity_scale
        return GraphTensors(
            nodes=torch.cat([motion, attributes], dim=2).flatten(0, 1),
            edges=torch.cat([offset, offset.norm(dim=1, keepdim=True)], dim=1),
            globals=past.new_ones(systems, 1),
            senders=senders,
            receivers=receivers,
            node_graph=torch.arange(systems, device=past.device).repeat_interleave(particles),
        )

    def forward(
        self, past: Frames, attributes: Float[Tensor, "systems particles attributes"]
    ) -> Float[Tensor, "systems particles dimensions"]:
        """Accelerations in units of `acceleration_scale`."""
        return self.network(self.graph(past, attributes))[0].unflatten(0, past.shape[:2])

    def losses(self, batch: tuple[Frames, Float[Tensor, "systems particles attributes"]]) -> dict[str, Tensor]:
        """The mean squared error of the scaled acceleration at the last frame but one of windows, by system."""
        window, attributes = batch
        past, (x, v) = window[:, :, :-1], (window[:, :, -2], window[:, :, -2] - window[:, :, -3])
        target = (window[:, :, -1] - x - v) / self.acceleration_scale
        return {"loss": (self(past, attributes) - target).square().mean(dim=(1, 2))}

    @torch.no_grad()
    def rollout(
        self, past: Frames, attributes: Float[Tensor, "systems particles attributes"], steps: int
    ) -> Float[Tensor, "systems particles steps dimensions"]:
        """The next frames, each from the former ones that were predicted."""
        found = []
        for _ in range(steps):
            x, v = past[:, :, -1], past[:, :, -1] - past[:, :, -2]
            found.append(x + v + self.acceleration_scale * self(past, attributes))
            past = torch.cat([past[:, :, 1:], found[-1][:, :, None]], dim=2)
        return torch.stack(found, dim=2)


@dataclass(frozen=True)
class NoisyWindows:
    """Batches of windows of history + 2 frames, whose past is disturbed as a rollout's own errors disturb it.

    Velocities of the past get a random walk that ends with the standard deviation `noise`; positions are their sums.
    The last frame is moved as the one before it, so the acceleration to be found takes the error out of the velocity.
    Epoch 0, which validation asks for, has no noise.
    Source: A. Sanchez-Gonzalez et al., ICML 2020, appendix B.
    """

    trajectories: Frames
    attributes: Float[Tensor, "systems particles attributes"]
    history: int
    noise: float
    size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.trajectories.shape[2] < self.history + 2:
            raise ValueError(
                f"trajectories of {self.trajectories.shape[2]} frames hold no window of history + 2 = "
                f"{self.history + 2} frames."
            )

    @property
    def starts(self) -> int:
        return self.trajectories.shape[2] - self.history - 1

    def __len__(self) -> int:
        return -(-len(self.trajectories) * self.starts // self.size)

    def epoch(self, number: int) -> Iterator[tuple[Frames, Float[Tensor, "systems particles attributes"]]]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + number)
        windows = self.trajectories.unfold(2, self.history + 2, 1).movedim(-1, 3)
        for chosen in torch.randperm(len(windows) * self.starts, generator=generator).split(self.size):
            system, start = chosen // self.starts, chosen % self.starts
            window = windows[system, :, start]
            if number:
                window = window + self.disturbance(window, generator)
            yield window, self.attributes[system]

    def disturbance(self, window: Frames, generator: torch.Generator) -> Frames:
        """What is added to the frames of a window: a random walk in velocity, from the second frame on."""
        shape = (*window.shape[:2], self.history, window.shape[3])
        steps = torch.randn(shape, generator=generator, dtype=window.dtype) * self.noise / self.history**0.5
        past = steps.cumsum(dim=2).cumsum(dim=2)
        return torch.cat([torch.zeros_like(past[:, :, :1]), past, past[:, :, -1:]], dim=2)
