"""Recipes of the deep-learning core in small: what they make is what they say, and the controls lose."""

from __future__ import annotations

import csv
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from molnet.nn.recurrent import DilatedStack
from molnet.nn.seeding import seeded

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def family(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module(f"dl.{name}")


def test_the_last_facts_of_a_story_lead_to_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = family(monkeypatch, "memory")
    lengths = []
    for *story, asked, answer in zip(*(part.tolist() for part in memory.stories(300, 8, seed=0)), strict=True):
        steps = 0
        while asked != answer:
            asked = next(told for subject, told in reversed(list(zip(*story, strict=True))) if subject == asked)
            steps += 1
        lengths.append(steps)
    assert lengths == [1, 2, 3] * 100


def test_what_reads_its_memory_answers_and_what_cannot_guesses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    memory = family(monkeypatch, "memory")
    told = memory.facts_of_stories(tmp_path, tmp_path, facts=8, count=2000, epochs=8, hops=(1,))
    one, two, three, blind = (float(share) for share in re.findall(r"([\d.]+)%", told))
    assert one > 95 > 88 > max(two, three) and 15 < blind < 35
    assert (tmp_path / "memory.png").exists()


def test_a_reservoir_beats_a_linear_autoregression(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reservoir = family(monkeypatch, "reservoir")
    monkeypatch.setattr(reservoir, "AHEAD", 100)
    told = reservoir.chaos(tmp_path, tmp_path, channels=80, length=2400)
    echo, linear, last = (float(value) for value in re.findall(r"(?:state|autoregression|value) ([\d.e-]+)", told))
    assert 4 * echo < linear < last
    assert (tmp_path / "reservoir.png").exists()


def test_a_linear_autoregression_goes_on_with_a_wave(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = torch.sin(0.3 * torch.arange(200, dtype=torch.float64))[None, :, None]
    continued = family(monkeypatch, "reservoir").autoregression(wave[:, :100], 2)
    torch.testing.assert_close(continued(wave[:, :50], 150), wave[:, 50:])


def test_the_reach_of_a_layer_is_every_place_it_does_not_skip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pixels = family(monkeypatch, "pixels")
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(24, 1, 12, 12, generator=generator), torch.arange(24) % 10
    part = pixels.mnist.Part(images, labels)
    with seeded(0):
        network = pixels.PixelByPixel(nn.Identity(), DilatedStack(nn.GRU, 1, 4, (16,)), 10)
    assert pixels.reach(network, part).flatten().nonzero().flatten().tolist() == [3, 19, 35]
    monkeypatch.setattr(pixels.mnist, "read", lambda data: pixels.mnist.Mnist(part, part, part))
    told = pixels.pixel_by_pixel(tmp_path, tmp_path, epochs=1, channels=2)
    assert re.fullmatch(r"[\d.]+ % \(the same layers without skipping [\d.]+ %\)", told)
    assert (tmp_path / "pixel_by_pixel.png").exists()


def test_atoms_attend_to_their_neighbors_and_add_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    recipe = family(monkeypatch, "graph_attention")
    graph = recipe.with_loops(recipe.molecule_graph("CCO"))
    assert sorted(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True)) == [
        *((0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2))
    ]
    assert graph.edges[:, 7].tolist() == [0, 0, 0, 0, 1, 1, 1]
    with seeded(0):
        network = recipe.AtomSum(graph.nodes.shape[1])
    torch.testing.assert_close(network(graph), network.constant + network.atoms(graph).sum()[None, None])
    h, layer = torch.randn(3, 48, generator=torch.Generator().manual_seed(0)), recipe.equal_weights(network).layers[0]
    means = torch.stack([h[[0, 1]].mean(0), h.mean(0), h[[1, 2]].mean(0)])
    torch.testing.assert_close(layer(h, graph.senders, graph.receivers, graph.edges), layer.sender(means))


def test_the_recipe_of_graph_attention_ends_with_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    (tmp_path / "moleculenet").mkdir()
    columns = ["smiles", *(f"{name} log solubility in mols per litre" for name in ("measured", "ESOL predicted"))]
    with (tmp_path / "moleculenet" / "delaney-processed.csv").open("w") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows([f"{'C' * n}{end}", -0.5 * n, -0.4 * n] for n in range(1, 41) for end in ("O", "Cl"))
    told = family(monkeypatch, "graph_attention").attended(tmp_path, tmp_path, epochs=1, splits=1)
    assert re.fullmatch(r"RMSE attention [\d.]+ ± 0.000, equal weights .*, Delaney .*", told)
    assert (tmp_path / "graph_attention.png").exists()
