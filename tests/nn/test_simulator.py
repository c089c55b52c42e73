from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from molnet.nn.seeding import seeded
from molnet.nn.simulator import FixedEdges, GraphSimulator, NoisyWindows, Within

PAIR = FixedEdges(((0, 1),))


def springs(systems: int, frames: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two particles on a spring in the plane, by Störmer's rule: exact positions for exact forces."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(systems, 2, 2, generator=generator)
    mass = 0.5 + torch.rand(systems, 2, 1, generator=generator)
    found = [x, x + 0.05 * torch.randn(systems, 2, 2, generator=generator)]
    while len(found) < frames:
        r = found[-1][:, [1, 0]] - found[-1]
        found.append(2 * found[-1] - found[-2] + 0.02 * r / mass)
    return torch.stack(found, dim=2), mass


@pytest.fixture(scope="module")
def trained() -> GraphSimulator:
    frames, mass = springs(200, 20, 0)
    with seeded(0):
        simulator = GraphSimulator(PAIR, dimensions=2, attributes=1, channels=32, rounds=1)
    simulator.set_scales(frames)
    optimizer = torch.optim.Adam(simulator.parameters(), 5e-3)
    batches = NoisyWindows(frames, mass, history=1, noise=1e-4, size=128)
    for epoch in range(1, 5):
        for batch in batches.epoch(epoch):
            optimizer.param_groups[0]["lr"] = 5e-3 * (5 - epoch) / 4
            optimizer.zero_grad()
            simulator.losses(batch)["loss"].mean().backward()
            optimizer.step()
    return simulator


def test_a_rollout_follows_unseen_springs(trained: GraphSimulator) -> None:
    frames, mass = springs(50, 32, 1)
    found = trained.rollout(frames[:, :, :2], mass, 30)
    straight = frames[:, :, 1:2] + (frames[:, :, 1:2] - frames[:, :, :1]) * torch.arange(1, 31)[:, None]
    error = (found - frames[:, :, 2:]).square().mean().sqrt()
    assert error < 0.2 * (straight - frames[:, :, 2:]).square().mean().sqrt()


def test_a_shifted_and_renumbered_system_moves_the_same_way(trained: GraphSimulator) -> None:
    frames, mass = springs(3, 2, 2)
    found = trained(frames, mass)
    torch.testing.assert_close(trained(frames + 5, mass), found, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(trained(frames[:, [1, 0]], mass[:, [1, 0]]), found[:, [1, 0]])


def test_edges_stay_within_their_systems() -> None:
    x = torch.tensor([[[0.0], [1.0], [5.0]], [[0.0], [1.5], [0.5]]])
    assert {tuple(edge) for edge in Within(1.1)(x).T.tolist()} == {(0, 1), (1, 0), (3, 5), (5, 3), (4, 5), (5, 4)}
    assert Within(math.inf)(x).shape[1] == 12
    edges = FixedEdges(((0, 2), (1, 2)))(x).T.tolist()
    assert {tuple(edge) for edge in edges} == {(0, 2), (2, 0), (1, 2), (2, 1), (3, 5), (5, 3), (4, 5), (5, 4)}


def test_noise_has_the_stated_size_and_leaves_validation_alone() -> None:
    frames, attributes = torch.zeros(500, 2, 6, 3), torch.zeros(500, 2, 0)
    batches = NoisyWindows(frames, attributes, history=4, noise=0.3, size=500)
    (window, _), *_ = batches.epoch(1)
    assert window.diff(dim=2)[:, :, -2].std().item() == pytest.approx(0.3, rel=0.1)
    torch.testing.assert_close(window[:, :, -1], window[:, :, -2])
    torch.testing.assert_close(next(batches.epoch(1))[0], window)
    assert all(not x.any() for x, _ in batches.epoch(0))


def test_windows_cover_the_trajectories_once() -> None:
    frames = torch.arange(2 * 7).reshape(2, 1, 7, 1).double()
    batches = NoisyWindows(frames, torch.zeros(2, 1, 0), history=2, noise=0.0, size=3)
    found = torch.cat([x for x, _ in batches.epoch(0)])[:, 0, :, 0]
    assert len(list(batches.epoch(0))) == len(batches)
    assert sorted(found[:, 0].tolist()) == [0, 1, 2, 3, 7, 8, 9, 10]
    assert (found.diff(dim=1) == 1).all()


def test_wrong_data_are_refused() -> None:
    simulator = GraphSimulator(PAIR, dimensions=2, history=2)
    with pytest.raises(ValueError, match=r"velocity_scale of these trajectories is 0"):
        simulator.set_scales(torch.ones(1, 2, 5, 2))
    with pytest.raises(ValueError, match=r"2 frames were given; expected history \+ 1 = 3"):
        simulator(torch.ones(1, 2, 2, 2), torch.ones(1, 2, 0))
    with pytest.raises(ValueError, match=r"hold no window of history \+ 2 = 4 frames"):
        NoisyWindows(torch.ones(1, 2, 3, 2), torch.ones(1, 2, 0), history=2, noise=0.0)
    with pytest.raises(ValueError, match="leads to particle 1; there are 1"):
        PAIR(torch.ones(1, 1, 2))
