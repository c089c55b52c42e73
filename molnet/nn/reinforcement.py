"""Reinforcement learning with few actions: policy gradients with a critic, and Q-learning with a second network."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

Observations = Shaped[Tensor, "batch ..."]
Actions = Int[Tensor, " batch"]
Rows = Float[Tensor, " batch"]
Steps = Float[Tensor, "time environments"]
Flags = Bool[Tensor, "time environments"]


class Agent(nn.Module, ABC):
    """Gives each of a few actions a score, of which the highest is the best action, and acts to learn."""

    @abstractmethod
    def forward(self, observations: Observations) -> Float[Tensor, "batch actions"]:
        """The scores of all actions."""

    @abstractmethod
    def act(self, observations: Observations, generator: torch.Generator) -> Actions:
        """Actions as they are taken in training."""

    @abstractmethod
    def losses(self, batch: Sequence[Tensor]) -> dict[str, Rows]:
        """The loss of each row of a batch, as the entry "loss", and other numbers."""

    def best(self, observations: Observations) -> Actions:
        """The actions with the highest scores."""
        with torch.no_grad():
            return self(observations).argmax(dim=1)


class ActorCritic(Agent):
    """A policy π(a | s), the softmax of a network's numbers, and a critic V(s), the return to be expected:

        loss = −A ln π(a | s) + ½ (R − V(s))² − entropy · H(π(· | s))

    for batches of observations, actions, advantages A and returns R. The first part's gradient is an estimate of that
    of the expected return, −A ∇ ln π; with A = R − V(s) it is REINFORCE with a baseline. `policy` maps observations to
    [batch, actions], `critic` to [batch, 1].
    Sources: R. J. Williams, Mach. Learn. 8, 229 (1992); V. Mnih et al., ICML 2016, 1928 (entropy).
    """

    def __init__(self, policy: nn.Module, critic: nn.Module, *, entropy: float = 0.0) -> None:
        super().__init__()
        self.policy, self.critic, self.entropy = policy, critic, entropy

    def forward(self, observations: Observations) -> Float[Tensor, "batch actions"]:
        """ln π but for a constant."""
        return self.policy(observations)

    def act(self, observations: Observations, generator: torch.Generator) -> Actions:
        """Actions drawn from π."""
        with torch.no_grad():
            return torch.multinomial(self(observations).softmax(dim=1), 1, generator=generator)[:, 0]

    def values(self, observations: Observations) -> Rows:
        """V(s). Raises ValueError where the critic gives more than one number."""
        found = self.critic(observations)
        if found.shape != (len(observations), 1):
            raise ValueError(f"the critic gave {tuple(found.shape)}; expected one number for each observation.")
        return found[:, 0]

    def losses(self, batch: Sequence[Tensor]) -> dict[str, Rows]:
        observations, actions, advantages, returns = batch
        log_probs = self(observations).log_softmax(dim=1)
        policy = -advantages * _taken(log_probs, actions)
        critic = 0.5 * (returns - self.values(observations)).square()
        entropy = -(log_probs.exp() * log_probs).sum(dim=1)
        loss = policy + critic - self.entropy * entropy
        return {"loss": loss, "critic": critic.detach(), "entropy": entropy.detach()}


class DoubleQ(Agent):
    """Values Q(s, a) of actions, learned from single steps that were kept, by Huber's function of Q(s, a) − y with

        y = r + γ Q′(s′, argmax_a Q(s′, a)),   and y = r where s′ ends the episode by its own rules.

    Q′ is a copy of Q that is renewed every `renewal` losses in training. A share of the actions is random: it falls
    from all to `exploration` within the first `exploring` losses. Batches are observations, actions, rewards, the
    following observations, and whether these are terminal.
    Sources: V. Mnih et al., Nature 518, 529 (2015); H. van Hasselt, A. Guez and D. Silver, AAAI 2016, equation 4.
    """

    calls: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        discount: float = 0.99,
        renewal: int = 200,
        exploration: float = 0.05,
        exploring: int = 2000,
    ) -> None:
        super().__init__()
        if not 0 <= discount <= 1 or not 0 <= exploration <= 1 or renewal < 1 or exploring < 1:
            raise ValueError(
                f"{discount=} and {exploration=} lie between 0 and 1, and {renewal=} and {exploring=} are 1 or more."
            )
        self.network, self.target = network, copy.deepcopy(network).requires_grad_(False)
        self.discount, self.renewal, self.exploration, self.exploring = discount, renewal, exploration, exploring
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, observations: Observations) -> Float[Tensor, "batch actions"]:
        return self.network(observations)

    def act(self, observations: Observations, generator: torch.Generator) -> Actions:
        """The best actions, or random ones as often as is due."""
        share = 1 - (1 - self.exploration) * min(1.0, int(self.calls) / self.exploring)
        with torch.no_grad():
            scores = self(observations)
        anything = torch.randint(scores.shape[1], (len(scores),), generator=generator)
        return torch.where(torch.rand(len(scores), generator=generator) < share, anything, scores.argmax(dim=1))

    def losses(self, batch: Sequence[Tensor]) -> dict[str, Rows]:
        observations, actions, rewards, following, terminal = batch
        if self.training:
            if int(self.calls) % self.renewal == 0:
                self.target.load_state_dict(self.network.state_dict())
            self.calls += 1
        with torch.no_grad():
            future = _taken(self.target(following), self(following).argmax(dim=1))
            aims = rewards + self.discount * torch.where(terminal, 0.0, future)
        values = _taken(self(observations), actions)
        loss = functional.smooth_l1_loss(values, aims, reduction="none")
        return {"loss": loss, "value": values.detach()}


def advantages(
    rewards: Steps,
    values: Steps,
    following: Steps,
    *,
    terminated: Flags,
    truncated: Flags,
    discount: float,
    decay: float,
) -> Steps:
    """How much better actions were than the critic expected, A_t = Σ_l (γλ)^l δ_{t+l} up to the end of the episode:

        δ_t = r_t + γ V(s_{t+1}) − V(s_t)

    `values` are V(s_t) and `following` V(s_{t+1}), which counts as zero where an episode is terminated by its own
    rules, and not where it is cut off (truncated) or the data end. The decay λ = 1 gives returns minus the baseline,
    0 a single step; A_t + V(s_t) are the returns.
    Source: J. Schulman et al., ICLR 2016, equation 16.
    """
    surprise = rewards + discount * torch.where(terminated, 0.0, following) - values
    ended = terminated | truncated
    found, last = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
    for t in range(len(rewards) - 1, -1, -1):
        last = surprise[t] + discount * decay * torch.where(ended[t], 0.0, last)
        found[t] = last
    return found


def _taken(scores: Float[Tensor, "batch actions"], actions: Actions) -> Rows:
    """Those of the actions that were taken."""
    return scores.gather(1, actions[:, None])[:, 0]
