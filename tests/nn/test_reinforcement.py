from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from molnet.nn.reinforcement import ActorCritic, DoubleQ, advantages

REWARDS = torch.tensor([1.0, 3.0, -2.0])


def linear(actions: int, weight: Tensor | None = None) -> nn.Linear:
    layer = nn.Linear(1, actions, bias=False)
    nn.init.zeros_(layer.weight)
    if weight is not None:
        layer.weight.data[:, 0] = weight
    return layer


def test_the_policy_gradient_of_a_bandit_is_the_analytic_one() -> None:
    # Actions as often as the policy takes them, so that the mean over the batch is the expectation.
    probabilities = torch.tensor([0.5, 0.25, 0.25])
    agent = ActorCritic(linear(3, probabilities.log()), linear(1))
    actions = torch.tensor([0, 0, 1, 2])
    expected = probabilities @ REWARDS
    analytic = probabilities * (REWARDS - expected)
    for baseline in (0.0, 0.7):
        agent.zero_grad()
        gains = REWARDS[actions] - baseline
        agent.losses((torch.ones(4, 1), actions, gains, torch.zeros(4)))["loss"].mean().backward()
        torch.testing.assert_close(-agent.policy.get_parameter("weight").grad[:, 0], analytic)  # type: ignore[index]


def test_sampled_actions_estimate_it_and_the_baseline_makes_the_estimate_better() -> None:
    weight = torch.tensor([0.2, -0.1, 0.4])
    agent = ActorCritic(linear(3, weight), linear(1))
    probabilities = weight.softmax(dim=0)
    analytic = probabilities * (REWARDS - probabilities @ REWARDS)
    actions = agent.act(torch.ones(20_000, 1), torch.Generator().manual_seed(0))
    slopes = torch.eye(3)[actions] - probabilities
    found = [(REWARDS[actions] - b)[:, None] * slopes for b in (10.0, (probabilities @ REWARDS).item())]
    for estimate in found:
        error = estimate.std(dim=0) / len(actions) ** 0.5
        assert ((estimate.mean(dim=0) - analytic).abs() < 4 * error).all()
    assert (found[1].std(dim=0) < 0.5 * found[0].std(dim=0)).all()


def test_the_critic_learns_the_returns_and_entropy_counts() -> None:
    agent = ActorCritic(linear(2), linear(1), entropy=0.5)
    x, zero = torch.ones(2, 1), torch.zeros(2)
    found = agent.losses((x, torch.tensor([0, 1]), zero, torch.tensor([1.0, 3.0])))
    assert found["critic"].tolist() == [0.5, 4.5]
    assert found["loss"].tolist() == pytest.approx([0.5 - 0.5 * 0.6931, 4.5 - 0.5 * 0.6931], abs=1e-4)
    found["loss"].mean().backward()
    assert agent.critic.get_parameter("weight").grad.item() == pytest.approx(-2.0)  # type: ignore[union-attr]


def test_advantages_are_the_sums_written_out() -> None:
    rewards, values, following = torch.rand((3, 5, 2), generator=torch.Generator().manual_seed(0))
    terminated, truncated = torch.zeros(2, 5, 2, dtype=torch.bool)
    terminated[1, 0], truncated[2, 1] = True, True
    found = advantages(rewards, values, following, terminated=terminated, truncated=truncated, discount=0.9, decay=0.8)
    for n in range(2):
        for t in range(5):
            total, factor = 0.0, 1.0
            for s in range(t, 5):
                after = 0.0 if terminated[s, n] else following[s, n].item()
                total += factor * (rewards[s, n].item() + 0.9 * after - values[s, n].item())
                factor *= 0.9 * 0.8
                if terminated[s, n] or truncated[s, n]:
                    break
            assert found[t, n].item() == pytest.approx(total, abs=1e-5)


def test_double_q_aims_at_the_copys_value_of_its_own_best_action() -> None:
    agent = DoubleQ(linear(2, torch.tensor([1.0, 2.0])), discount=0.5, renewal=100)
    agent.losses(_transition(1))
    agent.network.get_parameter("weight").data[:, 0] = torch.tensor([5.0, 3.0])
    # Its best action is now 0, whose value the copy knows as 1: y = 1 + 0.5 · 1, and not 1 + 0.5 · 2.
    assert agent.losses(_transition(1))["loss"].tolist() == pytest.approx([abs(3.0 - 1.5) - 0.5])
    assert agent.losses(_transition(1, terminal=True))["loss"].tolist() == pytest.approx([abs(3.0 - 1.0) - 0.5])


def test_the_copy_is_renewed_now_and_then_and_not_trained() -> None:
    agent = DoubleQ(linear(2), renewal=3)
    seen = []
    for number in range(7):
        agent.network.get_parameter("weight").data += 1
        agent.losses(_transition(number % 2))
        seen.append(agent.target.get_parameter("weight")[0, 0].item())
    assert seen == [1, 1, 1, 4, 4, 4, 7]
    agent.eval().losses(_transition(0))
    assert int(agent.calls) == 7 and not agent.target.get_parameter("weight").requires_grad
    again = DoubleQ(linear(2), renewal=3)
    again.load_state_dict(copy.deepcopy(agent.state_dict()))
    assert int(again.calls) == 7


def test_random_actions_become_rarer() -> None:
    agent, x = DoubleQ(linear(2, torch.tensor([0.0, 1.0])), exploration=0.1, exploring=10), torch.ones(2000, 1)
    assert agent.act(x, torch.Generator().manual_seed(0)).float().mean().item() == pytest.approx(0.5, abs=0.05)
    agent.calls += 10
    assert agent.act(x, torch.Generator().manual_seed(0)).float().mean().item() == pytest.approx(0.95, abs=0.02)
    assert agent.best(x).float().mean() == 1


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="discount=1.5"):
        DoubleQ(linear(2), discount=1.5)
    with pytest.raises(ValueError, match=r"the critic gave \(3, 2\)"):
        ActorCritic(linear(2), linear(2)).values(torch.ones(3, 1))


def _transition(action: int, *, terminal: bool = False) -> tuple[Tensor, ...]:
    one = torch.ones(1, 1)
    return one, torch.tensor([action]), torch.ones(1), one, torch.tensor([terminal])
