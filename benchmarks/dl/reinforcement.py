"""CartPole by policy gradients and by Q-learning."""

from __future__ import annotations

from pathlib import Path

from dl.rows import Row
from matplotlib.figure import Figure

from molnet.nn.activations import Tanh
from molnet.nn.mlp import MLP
from molnet.nn.reinforcement import ActorCritic, Agent, DoubleQ
from molnet.nn.seeding import seeded
from molnet.train.loop import Batches, History, fit
from molnet.train.recipe import Recipe
from molnet.train.reinforcement import Episodes, Replay, Rollouts, agent_loss, environments, returns

NAME = "CartPole-v1"


def balanced(agent: Agent, train: Batches, recipe: Recipe, figure: Path) -> str:
    """The mean return of 100 new episodes; 20 others choose the epoch, and draw the learning curve."""
    history = fit(agent, agent_loss, train, Episodes(environments(NAME, 20), seed=1), recipe=recipe)
    _curve(history).savefig(figure, dpi=120)
    found = returns(agent, environments(NAME, 100), seed=2)
    return f"{found.mean():.1f}, the least {found.min():.0f}"


def policy_gradient(data: Path, folder: Path) -> str:
    """The policy gradient with a critic: 820,000 steps of 16 poles."""
    with seeded(0):
        agent = ActorCritic(MLP([4, 64, 64, 2], activation=Tanh()), MLP([4, 64, 64, 1], activation=Tanh()))
    train = Rollouts(agent, environments(NAME, 16))
    recipe = Recipe(epochs=40, learning_rate=3e-3, ema=0, clip_norm=1.0)
    return balanced(agent, train, recipe, folder / "policy_gradient.png")


def q_learning(data: Path, folder: Path) -> str:
    """Double Q-learning with replay: 20,000 batches, and 160,000 steps of 8 poles."""
    with seeded(0):
        agent = DoubleQ(MLP([4, 64, 64, 2], activation=Tanh()), renewal=10)
    recipe = Recipe(epochs=40, learning_rate=2e-3, ema=0.99)
    return balanced(agent, Replay(agent, environments(NAME, 8)), recipe, folder / "q_learning.png")


def _curve(history: History) -> Figure:
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot([row["epoch"] for row in history.rows], [row["valid_return"] for row in history.rows])
    axes.set(xlabel="epoch", ylabel="mean return of 20 episodes", ylim=(0, 510))
    return figure


ROWS = [
    Row(
        f"{title}, {NAME}",
        f"from molnet.nn import {name}",
        "gymnasium, 100 episodes",
        "≥ 475",
        run,
    )
    for title, name, run in (("policy gradient", "ActorCritic", policy_gradient), ("Q-learning", "DoubleQ", q_learning))
]
