"""Force matching of beads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from molnet.data.conformations import Conformations
from molnet.evaluation import evaluate
from molnet.models import CGnet
from molnet.potential import UnknownSpecies
from molnet.priors import HarmonicBonds, PeriodicDihedrals
from molnet.train import BrokenFrames, Constant, fit_conformations
from tests.models.beads import chain, grown


def data(frames: int = 400) -> Conformations:
    """Forces of a known potential, with noise."""
    rng = np.random.default_rng(0)
    x = grown(rng.normal(1.5, 0.05, (frames, 3)), rng.normal(1.9, 0.1, (frames, 2)), rng.uniform(-3, 3, (frames, 1)))
    truth = HarmonicBonds([[1, 2], [2, 3], [3, 4]], [10.0, 12.0, 8.0], [1.5, 1.5, 1.5])
    truth = truth + PeriodicDihedrals([[1, 2, 3, 4]], [[0.5]], [[0.2]])
    forces = evaluate(truth, chain(4).graph(torch.from_numpy(x))).forces.view(frames, 4, 3).numpy()
    return Conformations(chain(4), x, forces + rng.normal(scale=0.05, size=forces.shape), 300.0)


def test_a_network_learns_what_the_prior_leaves_and_the_prior_stays() -> None:
    frames = data()
    prior = HarmonicBonds([[1, 2], [2, 3], [3, 4]], [10.0, 12.0, 8.0], [1.5, 1.5, 1.5])
    potential = prior + CGnet.like(frames, hidden=(16, 16))
    batch = frames.batch(np.arange(300, 400), 0.0)
    left = float((evaluate(prior, batch.graph).forces - batch.target.forces).square().mean())
    options = {"batch": 50, "epochs": 25, "learning_rate": 1e-2, "ema": 0.9}
    history = fit_conformations(potential, frames[:300], frames[300:], lipschitz=3.0, **options)
    assert history.rows[-1]["valid_loss"] < 0.5 * left
    assert prior.stiffness == (10.0, 12.0, 8.0) and not list(prior.parameters())
    weights, _ = potential.terms[1].layers()
    assert max(float(torch.linalg.matrix_norm(w.detach(), ord=2)) for w in weights) <= 3.0 * (1 + 1e-5)


def test_a_resumed_fit_is_the_whole_fit(tmp_path) -> None:
    frames, fitted = data(60), []
    for name, parts in {"whole": [4], "parts": [2, 4]}.items():
        for epochs in parts:
            net = CGnet.like(frames, hidden=(8,))
            options = {"epochs": epochs, "batch": 20, "lipschitz": 2.0, "seed": 3, "schedule": Constant()}
            resume = epochs != parts[0]
            fit_conformations(net, frames[:40], frames[40:], folder=tmp_path / name, resume=resume, **options)
        fitted.append(list(net.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(*fitted, strict=True))


def test_other_molecules_and_broken_frames_are_named() -> None:
    frames = data(20)
    with pytest.raises(UnknownSpecies):
        fit_conformations(CGnet([1, 2], [(0, 1)], (), (), [(1.5, 0.1)]), frames, frames, epochs=1)
    huge = Conformations(frames.molecule, frames.positions, 1e300 * frames.forces, 300.0)
    with pytest.raises(BrokenFrames, match="frame 3"):
        fit_conformations(CGnet.like(frames, hidden=(4,)), huge, huge, epochs=1)
