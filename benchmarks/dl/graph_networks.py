"""Solubility from molecular graphs, by message passing."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from dl.rows import Row
from matplotlib.figure import Figure
from rdkit import Chem
from torch import nn

from molnet.nn.graph_networks import EdgeNetwork, GraphBatches, GraphTensors, MessagePassing
from molnet.nn.seeding import seeded
from molnet.train.arrays import regression_loss
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

ELEMENTS = ("C", "N", "O", "F", "P", "S", "Cl", "Br", "I")
BONDS = (
    Chem.BondType.SINGLE,
    Chem.BondType.DOUBLE,
    Chem.BondType.TRIPLE,
    Chem.BondType.AROMATIC,
)
HYBRIDS = (Chem.HybridizationType.SP, Chem.HybridizationType.SP2, Chem.HybridizationType.SP3)


def one_hot(value: object, known: tuple[object, ...]) -> list[float]:
    """The last place stands for anything else."""
    return [float(value == k) for k in known] + [float(value not in known)]


def molecule_graph(smiles: str) -> GraphTensors:
    """Heavy atoms as nodes, bonds as edges in both directions; raises ValueError for a string that is no molecule."""
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise ValueError(f"'{smiles}' is no SMILES string that RDKit can read.")
    nodes = [
        [
            *one_hot(atom.GetSymbol(), ELEMENTS),
            *one_hot(atom.GetDegree(), (1, 2, 3, 4)),
            *one_hot(atom.GetTotalNumHs(), (0, 1, 2, 3)),
            *one_hot(atom.GetHybridization(), HYBRIDS),
            float(atom.GetFormalCharge()),
            float(atom.GetIsAromatic()),
            float(atom.IsInRing()),
        ]
        for atom in molecule.GetAtoms()
    ]
    pairs, edges = [], []
    for bond in molecule.GetBonds():
        features = [*one_hot(bond.GetBondType(), BONDS), float(bond.GetIsConjugated()), float(bond.IsInRing())]
        a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        pairs += [(a, b), (b, a)]
        edges += [features, features]
    senders, receivers = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    return GraphTensors(
        torch.tensor(nodes),
        torch.tensor(edges).reshape(-1, 7),
        torch.ones(1, 1),
        senders,
        receivers,
        torch.zeros(len(nodes), dtype=torch.long),
    )


def read(path: Path) -> tuple[list[str], torch.Tensor, torch.Tensor]:
    """The SMILES strings, the measured log10 solubility (mol/l) and Delaney's own estimate of it."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    measured = [float(row["measured log solubility in mols per litre"]) for row in rows]
    estimated = [float(row["ESOL predicted log solubility in mols per litre"]) for row in rows]
    return [row["smiles"] for row in rows], torch.tensor(measured), torch.tensor(estimated)


def message_passing(graph: GraphTensors) -> MessagePassing:
    """A network for graphs with the features of this one."""
    message = EdgeNetwork(48, graph.edges.shape[1])
    return MessagePassing(message, nodes=graph.nodes.shape[1], channels=48, rounds=3, outputs=1)


def one_split(
    network: nn.Module, graphs: list[GraphTensors], y: torch.Tensor, *, seed: int, recipe: Recipe
) -> tuple[np.ndarray, np.ndarray]:
    """Trains on 80 %, keeps the epoch that is best on 10 %, and answers for the last 10 %: their rows and answers."""
    order = np.random.default_rng(seed).permutation(len(graphs))
    train, valid, test = np.split(order, [int(0.8 * len(order)), int(0.9 * len(order))])
    mean, std = y[train].mean(), y[train].std()

    def batches(rows: np.ndarray) -> GraphBatches:
        return GraphBatches([graphs[i] for i in rows], ((y[rows] - mean) / std)[:, None], size=32, seed=seed)

    fit(network, regression_loss, batches(train), batches(valid), recipe=recipe)
    with torch.no_grad():
        answers = network(GraphTensors.join([graphs[i] for i in test])).squeeze(1) * std + mean
    return test, answers.numpy()


def rmse(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - wanted) ** 2)))


def solubility(data: Path, folder: Path, *, epochs: int = 30, splits: int = 5) -> str:
    """RMSE in log units, mean of random splits, beside Delaney's own estimates for the same molecules."""
    strings, measured, estimated = read(data / "moleculenet" / "delaney-processed.csv")
    graphs, wanted = [molecule_graph(smiles) for smiles in strings], measured.numpy()
    figure = Figure(figsize=(4, 4))
    axes = figure.subplots()
    recipe = Recipe(epochs=epochs, learning_rate=2e-3, weight_decay=1e-2, ema=0.99)
    ours, theirs = [], []
    for seed in range(splits):
        with seeded(seed):
            network = message_passing(graphs[0])
        test, answers = one_split(network, graphs, measured, seed=seed, recipe=recipe)
        ours.append(rmse(answers, wanted[test]))
        theirs.append(rmse(estimated.numpy()[test], wanted[test]))
        axes.scatter(wanted[test], answers, s=6, label=f"split {seed}: {ours[-1]:.2f}")
    axes.axline((0, 0), slope=1, color="gray", linewidth=0.8)
    axes.set(xlabel="measured log S", ylabel="predicted log S")
    axes.legend(fontsize=7)
    figure.savefig(folder / "solubility.png", dpi=150, bbox_inches="tight")
    return f"RMSE {np.mean(ours):.3f} ± {np.std(ours):.3f} (Delaney {np.mean(theirs):.3f})"


ROWS = [
    Row(
        "solubility from molecular graphs",
        "from molnet.nn import MessagePassing",
        "delaney (1,128 molecules), 5 random splits 80/10/10",
        "RMSE ≤ 0.9 log units",
        solubility,
    )
]
