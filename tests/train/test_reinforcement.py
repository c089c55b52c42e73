"""Agents that learn in environments: one that is written here, whose values are known, and CartPole."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from molnet.nn.activations import Tanh
from molnet.nn.mlp import MLP
from molnet.nn.reinforcement import ActorCritic, DoubleQ
from molnet.nn.seeding import seeded
from molnet.train.loop import fit
from molnet.train.recipe import Recipe
from molnet.train.reinforcement import Episodes, Replay, Rollouts, agent_loss, environments, returns, steps

DISCOUNT = 0.9
RIGHT = DISCOUNT ** np.array([3.0, 2.0, 1.0, 0.0, np.nan])
"""The value of going right in each state; in the last one, nobody acts."""


class Chain:
    """Five states in a row: from one, the actions lead left or right; the last is the end and gives 1."""

    def __init__(self, count: int, limit: int = 30) -> None:
        self.num_envs, self.limit = count, limit

    def reset(self, *, seed: int | None = None) -> tuple[Any, Any]:
        self.rng = np.random.default_rng(seed)
        self.state, self.taken = self.rng.integers(4, size=self.num_envs), np.zeros(self.num_envs, dtype=int)
        self.over = np.zeros(self.num_envs, dtype=bool)
        return self._seen(), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, Any]:
        moved = np.clip(self.state + 2 * actions - 1, 0, 4)
        self.state = np.where(self.over, self.rng.integers(4, size=self.num_envs), moved)
        self.taken = np.where(self.over, 0, self.taken + 1)
        terminated = ~self.over & (self.state == 4)
        truncated = ~self.over & ~terminated & (self.taken == self.limit)
        self.over = terminated | truncated
        return self._seen(), terminated.astype(float), terminated, truncated, {}

    def _seen(self) -> np.ndarray:
        return np.eye(5, dtype=np.float32)[self.state]


def table(actions: int) -> nn.Linear:
    layer = nn.Linear(5, actions, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def test_q_learning_finds_the_values_of_the_chain() -> None:
    agent = DoubleQ(table(2), discount=DISCOUNT, renewal=10, exploration=0.5, exploring=100)
    data = Replay(agent, Chain(8), size=64, batches=50, first=200)
    recipe = Recipe(epochs=3, learning_rate=0.05, ema=0)
    history = fit(agent, agent_loss, data, Episodes(Chain(4)), recipe=recipe)
    assert history.rows[-1]["valid_return"] == 1.0
    # The kept weights are those of the first epoch without a mistake; values need all of them.
    data, agent = Replay(agent, Chain(8), size=64, batches=400, first=200), agent.train()
    fit(agent, agent_loss, data, Episodes(Chain(4)), recipe=Recipe(epochs=1, learning_rate=0.05, ema=0))
    right = agent(torch.eye(5))[:4, 1].detach().numpy()
    left = agent(torch.eye(5))[:4, 0].detach().numpy()
    np.testing.assert_allclose(right, RIGHT[:4], atol=1e-2)
    np.testing.assert_allclose(left, DISCOUNT * RIGHT[[0, 0, 1, 2]], atol=1e-2)


def test_the_policy_gradient_learns_the_chain_and_its_critic_the_values() -> None:
    agent = ActorCritic(table(2), table(1))
    data = Rollouts(agent, Chain(8), length=25, batches=40, discount=DISCOUNT, decay=1.0)
    recipe = Recipe(epochs=2, learning_rate=0.1, ema=0)
    fit(agent, agent_loss, data, Episodes(Chain(4)), recipe=recipe)
    assert agent.best(torch.eye(5))[:4].tolist() == [1, 1, 1, 1]
    fit(agent, agent_loss, data, Episodes(Chain(4)), recipe=recipe)
    np.testing.assert_allclose(agent.values(torch.eye(5))[:4].detach().numpy(), RIGHT[:4], atol=0.05)


def test_steps_that_begin_episodes_are_not_learned_from() -> None:
    seen = list(islice(steps(lambda x: torch.ones(len(x)).long(), Chain(3), seed=0), 50))
    ended = [step.terminated | step.truncated for step in seen]
    assert torch.stack(ended).any(dim=0).all()
    for step, before, over in zip(seen[1:], seen, ended, strict=False):
        assert (step.real == ~over).all() and step.observations.equal(before.following)
    agent = ActorCritic(table(2), table(1))
    (batch,) = Rollouts(agent, Chain(8), length=40, batches=1).epoch(1)
    assert len({len(part) for part in batch}) == 1 and len(batch[0]) < 320
    assert not batch[0][:, 4].any()


def test_epochs_differ_and_are_reproducible() -> None:
    data = Rollouts(ActorCritic(table(2), table(1)), Chain(3), length=10, batches=2, seed=4)
    first, again, other = (torch.cat([batch[1] for batch in data.epoch(n)]) for n in (1, 1, 2))
    assert first.equal(again) and not (len(first) == len(other) and first.equal(other))
    replay = Replay(DoubleQ(table(2)), Chain(3), size=5, batches=2, first=10, capacity=12)
    assert [len(part) for batch in replay.epoch(1) for part in batch] == 10 * [5]


def test_returns_count_one_episode_of_each() -> None:
    right, left = ActorCritic(table(2), table(1)), ActorCritic(table(2), table(1))
    right.policy.get_parameter("weight").data[1] = 1.0
    assert returns(right, Chain(6), seed=0).tolist() == 6 * [1.0]
    assert returns(left, Chain(6), seed=0).tolist() == 6 * [0.0]


def test_a_memory_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="found 128, 10 and 50000"):
        Replay(DoubleQ(table(2)), Chain(2), first=10)


def test_without_gymnasium_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportError, match=r"install molnet\[rl\]"):
        environments("CartPole-v1", 2)


def test_a_pole_is_balanced_better_after_a_moment() -> None:
    pytest.importorskip("gymnasium")
    with seeded(0):
        agent = ActorCritic(MLP([4, 32, 2], activation=Tanh()), MLP([4, 32, 1], activation=Tanh()))
    before = returns(agent, environments("CartPole-v1", 20), seed=1).mean()
    data = Rollouts(agent, environments("CartPole-v1", 16), length=64, batches=20)
    valid = Episodes(environments("CartPole-v1", 4), seed=3)
    fit(agent, agent_loss, data, valid, recipe=Recipe(epochs=2, learning_rate=1e-2, ema=0, clip_norm=1.0))
    assert returns(agent, environments("CartPole-v1", 20), seed=1).mean() > max(100, 2 * before)


def test_other_environments_are_refused() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    same = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}
    with pytest.raises(ValueError, match="begins episodes by AutoresetMode.SAME_STEP"):
        environments("CartPole-v1", 2, vectorization_mode="sync", vector_kwargs=same)
    with pytest.raises(ValueError, match="takes actions of Box"):
        environments("Pendulum-v1", 2)
