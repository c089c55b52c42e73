"""Agents in environments: episodes as batches for the training loop, and as its validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from molnet.nn.reinforcement import ActorCritic, Agent, DoubleQ, advantages
from molnet.train.arrays import own_loss
from molnet.train.loop import Mean


@runtime_checkable
class Environments(Protocol):
    """Several copies of an environment that take their steps together: the interface of gymnasium's `VectorEnv`.

    Where an episode ended, `step` has given its last observation, and the next step ignores the action, gives no reward
    and begins an episode (gymnasium's NEXT_STEP).
    """

    num_envs: int

    def reset(self, *, seed: int | None = None) -> tuple[Any, Any]:
        """The first observations [environments, …], and what isn't read here."""

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, Any]:
        """Observations, rewards, terminated by the rules, truncated by a limit [environments], and what isn't read."""


def environments(name: str, count: int, **options: Any) -> Environments:
    """So many copies of a registered environment of gymnasium, such as CartPole-v1.

    Raises ImportError where gymnasium is missing, and ValueError for actions that can't be numbered and other ways to
    begin the next episode.
    """
    try:
        import gymnasium  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise ImportError(
            f"{name} is an environment of gymnasium, which isn't installed; install molnet[rl]."
        ) from error
    made = gymnasium.make_vec(name, num_envs=count, **options)
    if not isinstance(made.single_action_space, gymnasium.spaces.Discrete):
        raise ValueError(f"{name} takes actions of {made.single_action_space}; expected Discrete.")
    if (mode := made.metadata.get("autoreset_mode")) != gymnasium.vector.AutoresetMode.NEXT_STEP:
        raise ValueError(f"{name} begins episodes by {mode}; expected AutoresetMode.NEXT_STEP.")
    return made


class Step(NamedTuple):
    """What happened in each environment; rows that began an episode instead aren't `real`."""

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    following: Tensor
    terminated: Tensor
    truncated: Tensor
    real: Tensor


def steps(act: Callable[[Tensor], Tensor], world: Environments, *, seed: int) -> Iterator[Step]:
    """The steps of all environments from a new start, without end."""
    observations = _tensor(world.reset(seed=seed)[0])
    real = torch.ones(world.num_envs, dtype=torch.bool)
    while True:
        actions = act(observations)
        following, rewards, terminated, truncated = map(_tensor, world.step(actions.numpy())[:4])
        yield Step(observations, actions, rewards, following, terminated, truncated, real)
        observations, real = following, ~(terminated | truncated)


class Rollouts:
    """Batches for `ActorCritic`: before each, the policy of that moment takes `length` steps in all environments.

    An epoch begins with new episodes and has `batches` batches. γ is the `discount`, λ the `decay` of `advantages`,
    which are divided by their root mean square, so that the learning rate doesn't depend on the rewards' size.
    A resumed training goes on with episodes of its own.
    """

    def __init__(
        self,
        agent: ActorCritic,
        world: Environments,
        *,
        length: int = 64,
        batches: int = 20,
        discount: float = 0.99,
        decay: float = 0.95,
        seed: int = 0,
    ) -> None:
        self.agent, self.world, self.length, self.batches = agent, world, length, batches
        self.discount, self.decay, self.seed = discount, decay, seed

    def __len__(self) -> int:
        return self.batches

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """Observations, actions, advantages and returns of each batch."""
        source = _playing(self.agent, self.world, self.seed, number)
        for _ in range(self.batches):
            yield self._batch([next(source) for _ in range(self.length)])

    def _batch(self, played: list[Step]) -> tuple[Tensor, ...]:
        step = Step(*map(torch.stack, zip(*played, strict=True)))
        with torch.no_grad():
            values, following = (
                self.agent.values(x.flatten(0, 1)).reshape(step.rewards.shape)
                for x in (step.observations, step.following)
            )
        gains = advantages(
            step.rewards,
            values,
            following,
            terminated=step.terminated,
            truncated=step.truncated,
            discount=self.discount,
            decay=self.decay,
        )
        scale = gains[step.real].square().mean().sqrt().clamp(min=1e-6)
        parts = (step.observations, step.actions, gains / scale, gains + values)
        return tuple(part[step.real] for part in parts)


class Replay:
    """Batches for `DoubleQ`: before each, one step in all environments is added to a memory, of which it is drawn.

    An epoch begins with new episodes and has `batches` batches of `size` steps; the memory holds the last `capacity`
    steps, and `first` before the first batch. It isn't saved: a resumed training begins with an empty one.
    """

    def __init__(
        self,
        agent: DoubleQ,
        world: Environments,
        *,
        size: int = 128,
        batches: int = 500,
        capacity: int = 50_000,
        first: int = 1000,
        seed: int = 0,
    ) -> None:
        if not 0 < size <= first <= capacity:
            raise ValueError(f"expected size ≤ first ≤ capacity; found {size}, {first} and {capacity}.")
        self.agent, self.world, self.size, self.batches = agent, world, size, batches
        self.capacity, self.first, self.seed = capacity, first, seed
        self._memory: list[Tensor] = []
        self._count = 0

    def __len__(self) -> int:
        return self.batches

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """Observations, actions, rewards, following observations and whether these are terminal, of each batch."""
        source = _playing(self.agent, self.world, self.seed, number)
        generator = torch.Generator().manual_seed(_seed(self.seed, number, 1))
        while self._count < self.first:
            self._keep(next(source))
        for _ in range(self.batches):
            self._keep(next(source))
            rows = torch.randint(min(self._count, self.capacity), (self.size,), generator=generator)
            yield tuple(part[rows] for part in self._memory)

    def _keep(self, step: Step) -> None:
        parts = [part[step.real] for part in step[:5]]
        if not self._memory:
            self._memory = [part.new_empty((self.capacity, *part.shape[1:])) for part in parts]
        places = torch.arange(self._count, self._count + len(parts[0])) % self.capacity
        for held, part in zip(self._memory, parts, strict=True):
            held[places] = part
        self._count += len(parts[0])


@dataclass(frozen=True)
class Episodes:
    """Validation data for `agent_loss`: an episode of each environment, the same ones every time."""

    world: Environments
    seed: int = 0

    def __len__(self) -> int:
        return 1

    def epoch(self, number: int) -> Iterator[Episodes]:
        """Itself, as the only batch: the loss plays the episodes with the module that is validated."""
        yield self


def agent_loss(module: Agent, batch: Any) -> dict[str, Mean]:
    """The agent's own loss of a batch of steps; of `Episodes`, minus the mean return, which is reported, too."""
    if not isinstance(batch, Episodes):
        return own_loss(module, batch)
    found = returns(module, batch.world, seed=batch.seed)
    return {"loss": Mean(-found.sum(), len(found)), "return": Mean(found.sum(), len(found))}


def returns(agent: Agent, world: Environments, *, seed: int) -> Float[Tensor, " environments"]:
    """The sum of rewards in one episode of each environment, with the best action at every step.

    It lasts until the last of them ends, so that the environments need a limit of time.
    """
    total = torch.zeros(world.num_envs)
    playing = torch.ones(world.num_envs, dtype=torch.bool)
    for step in steps(agent.best, world, seed=seed):
        total += torch.where(playing, step.rewards, 0.0)
        playing &= ~(step.terminated | step.truncated)
        if not playing.any():
            break
    return total


def _playing(agent: Agent, world: Environments, seed: int, epoch: int) -> Iterator[Step]:
    generator = torch.Generator().manual_seed(_seed(seed, epoch, 0))
    return steps(lambda observations: agent.act(observations, generator), world, seed=_seed(seed, epoch, 2))


def _seed(*numbers: int) -> int:
    return int(np.random.default_rng(numbers).integers(2**31))


def _tensor(array: Any) -> Tensor:
    """A copy, since environments may write into what they have given; real numbers in single precision."""
    held = torch.tensor(np.asarray(array))
    return held.float() if held.is_floating_point() else held
