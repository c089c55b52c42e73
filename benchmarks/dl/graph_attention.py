"""Solubility from molecular graphs, by attention of atoms to their neighbors, and what each atom contributes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from dl.graph_networks import molecule_graph, one_split, read, rmse
from dl.rows import Row
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from rdkit import Chem
from rdkit.Chem import rdDepictor
from torch import Tensor, nn
from torch.nn import functional

from molnet.nn.attention import GraphAttention
from molnet.nn.graph_networks import GraphTensors, sum_rows
from molnet.nn.mlp import MLP
from molnet.nn.seeding import seeded
from molnet.train.recipe import Recipe


class AtomSum(nn.Module):
    """A constant plus what the atoms contribute, each after some layers of attention to itself and its neighbors."""

    def __init__(self, nodes: int, *, edges: int = 8, channels: int = 48, layers: int = 3) -> None:
        super().__init__()
        self.embed = nn.Linear(nodes, channels)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(layers))
        self.layers = nn.ModuleList(GraphAttention(channels, channels, 4, edges=edges) for _ in range(layers))
        self.output, self.constant = MLP([channels, channels, 1]), nn.Parameter(torch.zeros(1))

    def atoms(self, graph: GraphTensors) -> Tensor:
        """The contributions, [atoms, 1]."""
        h = self.embed(graph.nodes)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            h = h + functional.silu(layer(norm(h), graph.senders, graph.receivers, graph.edges))
        return self.output(h)

    def forward(self, graph: GraphTensors) -> Tensor:
        return self.constant + sum_rows(self.atoms(graph), graph.node_graph, len(graph.globals))


def equal_weights(network: AtomSum) -> AtomSum:
    """A copy whose atoms take the plain mean of themselves and their neighbors."""
    copy = deepcopy(network)
    for layer in copy.layers:
        layer.score.requires_grad_(False).zero_()
    return copy


def with_loops(graph: GraphTensors) -> GraphTensors:
    """The graph with an edge from each atom to itself, which an eighth feature tells from bonds."""
    own = torch.arange(len(graph.nodes))
    return replace(
        graph,
        edges=torch.cat([functional.pad(graph.edges, (0, 1)), functional.one_hot(torch.full_like(own, 7), 8).float()]),
        senders=torch.cat([graph.senders, own]),
        receivers=torch.cat([graph.receivers, own]),
    )


def attended(data: Path, folder: Path, *, epochs: int = 30, splits: int = 5) -> str:
    """RMSE in log units, mean of the splits of the other solubility row, beside equal weights and Delaney."""
    strings, measured, estimated = read(data / "moleculenet" / "delaney-processed.csv")
    graphs, wanted = [with_loops(molecule_graph(smiles)) for smiles in strings], measured.numpy()
    recipe = Recipe(epochs=epochs, learning_rate=5e-3, weight_decay=1e-2, ema=0.99)
    errors: dict[str, list[float]] = {"attention": [], "equal weights": [], "Delaney": []}
    for seed in range(splits):
        with seeded(seed):
            network = AtomSum(graphs[0].nodes.shape[1])
        for name, module in {"equal weights": equal_weights(network), "attention": network}.items():
            test, answers = one_split(module, graphs, measured, seed=seed, recipe=recipe)
            errors[name].append(rmse(answers, wanted[test]))
        errors["Delaney"].append(rmse(estimated.numpy()[test], wanted[test]))
        if not seed:
            chosen = np.argsort(wanted[test])[np.linspace(0, len(test) - 1, 8).round().astype(int)]
            titles = [f"log S {wanted[test][i]:.1f} (found {answers[i]:.1f})" for i in chosen]
            shown = [Shown(strings[i], graphs[i], title) for i, title in zip(test[chosen], titles, strict=True)]
            draw_molecules(network, shown, folder)
    told = (f"{name} {np.mean(found):.3f} ± {np.std(found):.3f}" for name, found in errors.items())
    return f"RMSE {', '.join(told)}"


class Shown(NamedTuple):
    """A molecule to draw."""

    smiles: str
    graph: GraphTensors
    title: str


def draw_molecules(network: AtomSum, shown: list[Shown], folder: Path) -> None:
    """Molecules with what their atoms contribute."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    grid = figure.subplots(2, -(-len(shown) // 2))
    for axes, (smiles, graph, title) in zip(grid.flat, shown, strict=False):
        with torch.no_grad():
            contributions = network.atoms(graph)[:, 0]
        colors = draw_molecule(axes, Chem.MolFromSmiles(smiles), contributions)
        axes.set_title(title, fontsize=9)
    figure.colorbar(colors, ax=grid, shrink=0.6, label="contribution of an atom / spread of log S")
    figure.savefig(folder / "graph_attention.png", dpi=150)


def draw_molecule(axes: Axes, molecule: Chem.Mol, values: Tensor) -> PathCollection:
    """Bonds as lines, atoms as disks colored by their values; all but carbon are named."""
    rdDepictor.Compute2DCoords(molecule)
    places = molecule.GetConformer().GetPositions()[:, :2]
    for bond in molecule.GetBonds():
        ends = places[[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]]
        axes.plot(*ends.T, color="0.5", linewidth=1 + bond.GetBondTypeAsDouble(), zorder=1)
    for atom, (x, y) in zip(molecule.GetAtoms(), places, strict=True):
        if atom.GetSymbol() != "C":
            axes.text(x, y, atom.GetSymbol(), fontsize=7, ha="center", va="center")
    low, high = places.min(axis=0), places.max(axis=0)
    (left, right), (bottom, top) = ((low + high) / 2)[:, None] + ((high - low).max() / 2 + 1) * np.array([-1, 1])
    axes.set_axis_off()
    axes.set(aspect="equal", xlim=(left, right), ylim=(bottom, top))
    return axes.scatter(*places.T, c=values.numpy(), s=90, cmap="RdBu", vmin=-1, vmax=1, edgecolors="0.5", zorder=2)


ROWS = [
    Row(
        "solubility by graph attention",
        "from molnet.nn import GraphAttention",
        "delaney (1,128 molecules), the same 5 random splits 80/10/10",
        "below equal weights and Delaney",
        attended,
    )
]
