"""Recipes of the deep-learning core on some of their published data, for seconds: they learn something."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from molnet.nn.seeding import seeded
from molnet.nn.sequence import LengthBatches
from molnet.nn.sequence_cnn import SequenceCNN
from molnet.train.arrays import classification_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe
from tests.shared import shared_data


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))


def recipes(family: str) -> ModuleType:
    return import_module(f"dl.{family}")


def test_domains_of_helices_are_told_from_those_of_strands() -> None:
    folds = recipes("sequence_cnn")
    x, y, _, names = folds.read_folds(shared_data("deepsf_scop").parent, least=5)
    rows = [row for row, fold in enumerate(y) if names[fold][0] in "ab"]  # SCOP's classes all α and all β
    y = torch.tensor([names[y[row]][0] == "b" for row in rows]).long()
    train, valid, test = folds.split([str(row) for row in rows], 0)

    def batches(part: list[int]) -> LengthBatches:
        return LengthBatches([x[rows[row]] for row in part], y[part], places=1500)

    with seeded(0):
        network = SequenceCNN(nn.Embedding(21, 16), 2, channels=16, blocks=2, largest=1000)
    recipe = Recipe(epochs=4, learning_rate=1e-2, ema=0)
    fit(network, classification_loss, batches(train), batches(valid), recipe=recipe)
    right = [network(tokens, mask).argmax(dim=1) == labels for tokens, mask, labels in batches(test).epoch(0)]
    commonest = y[test].bincount().max() / len(test)
    assert torch.cat(right).float().mean() > commonest + 0.05


def test_secondary_structure_is_told_better_than_by_the_commonest() -> None:
    recurrent = recipes("recurrent")
    parts = recurrent.read_proteins(shared_data("protein_ss").parent)
    some = {name: (x[:200], labels[:200]) for name, (x, labels) in parts.items()}
    confusion, _ = recurrent.tagged(some, epochs=2, channels=32)
    assert confusion.trace() > 1.1 * confusion.sum(dim=1).max()


def test_solubility_of_molecules_is_learned_from_their_graphs(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    graph_networks = recipes("graph_networks")
    lines = shared_data("moleculenet/delaney-processed.csv").read_text().splitlines()
    (tmp_path / "some.csv").write_text("\n".join(lines[:301]))
    strings, measured, _ = graph_networks.read(tmp_path / "some.csv")
    graphs = [graph_networks.molecule_graph(smiles) for smiles in strings]
    with seeded(0):
        network = graph_networks.message_passing(graphs[0])
    recipe = Recipe(epochs=6, learning_rate=2e-3, weight_decay=1e-2, ema=0.99)
    rows, answers = graph_networks.one_split(network, graphs, measured, seed=0, recipe=recipe)
    wanted = measured.numpy()[rows]
    assert graph_networks.rmse(answers, wanted) < 0.9 * wanted.std()
