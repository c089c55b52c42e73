"""A variational autoencoder of SMILES strings with their solubility, and the way along it in the code."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from dl.rows import Row
from matplotlib.figure import Figure
from rdkit import Chem, RDLogger
from rdkit.Chem import Crippen, Descriptors, Draw, rdMolDescriptors
from sklearn.metrics import r2_score
from torch import Tensor

from molnet.nn.seeding import seeded
from molnet.nn.sequence import LengthBatches
from molnet.nn.sequence_vae import SequenceVAE
from molnet.nn.smiles import SmilesTokens
from molnet.train.arrays import WarmUp
from molnet.train.loop import fit
from molnet.train.recipe import Recipe

LONGEST, SPELLINGS, BETA, SAMPLES = 60, 5, 0.1, 1000


@dataclass(frozen=True)
class Molecules:
    """Canonical SMILES of different molecules and their measured log10 solubility (mol/l)."""

    smiles: list[str]
    solubility: Tensor

    def rows(self, numbers: np.ndarray) -> Molecules:
        return Molecules([self.smiles[i] for i in numbers], self.solubility[numbers])

    def respelled(self, copies: int) -> Molecules:
        """Each molecule also begun at other atoms and walked in other orders, by a fixed seed."""
        made = [(smiles, y) for smiles, y in zip(self.smiles, self.solubility.tolist(), strict=True)]
        for smiles, y in list(made):
            molecule = Chem.MolFromSmiles(smiles)
            spelled = Chem.MolToRandomSmilesVect(molecule, copies, randomSeed=1)
            made += [(other, y) for other in set(spelled) - {smiles}]
        return Molecules([smiles for smiles, _ in made], torch.tensor([y for _, y in made]))


def read(path: Path) -> Molecules:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    found = {
        Chem.CanonSmiles(row["smiles"].strip()): float(row["measured log solubility in mols per litre"]) for row in rows
    }
    short = {smiles: y for smiles, y in found.items() if len(smiles) <= LONGEST}
    return Molecules(list(short), torch.tensor(list(short.values())))


def canonical(smiles: str) -> str | None:
    """The canonical SMILES of a string that is a molecule."""
    molecule = Chem.MolFromSmiles(smiles) if smiles else None
    return None if molecule is None else Chem.MolToSmiles(molecule)


def estimate(smiles: str) -> float:
    """log10 solubility by J. S. Delaney, J. Chem. Inf. Comput. Sci. 44, 1000 (2004), with Crippen's log P."""
    molecule = Chem.MolFromSmiles(smiles)
    aromatic = sum(atom.GetIsAromatic() for atom in molecule.GetAtoms()) / molecule.GetNumHeavyAtoms()
    turning = rdMolDescriptors.CalcNumRotatableBonds(molecule)
    weight = Descriptors.MolWt(molecule)
    return 0.16 - 0.63 * Crippen.MolLogP(molecule) - 0.0062 * weight + 0.066 * turning - 0.74 * aromatic


@dataclass(frozen=True)
class Trained:
    """The model, what its tokens mean, and the scale of its property."""

    module: SequenceVAE
    tokens: SmilesTokens
    mean: float
    scale: float

    def codes(self, smiles: list[str]) -> Tensor:
        """The means of q(z | x)."""
        encoded = [self.tokens.encode(one) for one in smiles]
        batches = LengthBatches(encoded, torch.arange(len(encoded)), places=100_000)
        found = torch.zeros(len(encoded), self.module.latent)
        with torch.no_grad():
            for x, mask, rows in batches.epoch(0):
                found[rows] = self.module.encode(x, mask)[0]
        return found

    def strings(self, z: Tensor, *, generator: torch.Generator | None = None) -> list[str]:
        return [self.tokens.decode(row) for row in self.module.decode(z, LONGEST + 10, generator=generator)]

    def property(self, z: Tensor) -> Tensor:
        with torch.no_grad():
            return self.module(z) * self.scale + self.mean


def train(train: Molecules, valid: Molecules, every: list[str], *, epochs: int) -> Trained:
    tokens = SmilesTokens([*every, *train.smiles])
    mean, scale = float(train.solubility.mean()), float(train.solubility.std())

    def batches(part: Molecules) -> LengthBatches:
        x = [tokens.encode(one) for one in part.smiles]
        return LengthBatches(x, (part.solubility - mean) / scale, places=2500)

    with seeded(0):
        module = SequenceVAE(len(tokens), latent=32, beta=BETA, word_dropout=0.1, property_weight=5.0)
    recipe = Recipe(epochs=epochs, learning_rate=3e-3, ema=0.99, clip_norm=5.0)
    fit(module, WarmUp("divergence", 0.3, BETA), batches(train), batches(valid), recipe=recipe)
    return Trained(module, tokens, mean, scale)


def sampled(model: Trained, known: set[str]) -> tuple[str, list[str]]:
    """Shares of strings drawn from the prior: molecules, different ones of these, and of those the new ones."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn((SAMPLES, model.module.latent), generator=generator)
    valid = [found for one in model.strings(z, generator=generator) if (found := canonical(one))]
    new = set(valid) - known
    shares = len(valid) / SAMPLES, len(set(valid)) / len(valid), len(new) / len(set(valid))
    return "valid {:.0%}, of these unique {:.0%}, of those new {:.0%}".format(*shares), sorted(new)


def along(model: Trained, start: Tensor) -> list[tuple[float, float, float]]:
    """On the way up: the mean of the model, the median of the formula for decoded molecules, and their share."""
    found = []
    for z in model.module.climb(start, steps=8, size=0.4):
        read = [canonical(one) for one in model.strings(z)]
        values = [estimate(one) for one in read if one]
        found.append((float(model.property(z).mean()), float(np.median(values)), len(values) / len(read)))
    return found


def figure(model: Trained, shown: Molecules, path: list[tuple[float, float, float]], folder: Path) -> None:
    """Codes in their two main directions by solubility, the way up, and molecules between two codes."""
    z = model.codes(shown.smiles)
    made = Figure(figsize=(9, 5), layout="constrained")
    upper, lower = made.subfigures(2, 1, height_ratios=(3, 2))
    left, right = upper.subplots(1, 2)
    plane = torch.pca_lowrank(z - z.mean(dim=0), 2, niter=5)[2]
    dots = left.scatter(*(z @ plane).T, c=shown.solubility, s=8, cmap="viridis")
    left.set(xlabel="first direction of codes", ylabel="second")
    upper.colorbar(dots, ax=left, label="log10 solubility / mol/l")
    steps = np.arange(len(path))
    for column, name in ((0, "the model's own value"), (1, "Delaney's formula, decoded molecules")):
        right.plot(steps, [row[column] for row in path], "o-", label=name)
    right.set(xlabel="steps along the gradient", ylabel="log10 solubility / mol/l")
    right.legend(fontsize=8)
    ends = z[[int(shown.solubility.argmin()), int(shown.solubility.argmax())]]
    between = [canonical(one) for one in model.strings(torch.lerp(ends[0], ends[1], torch.linspace(0, 1, 25)[:, None]))]
    molecules = list(dict.fromkeys(one for one in between if one))[:8]
    for axes, smiles in zip(lower.subplots(1, 8), [*molecules, *[""] * 8], strict=False):
        axes.set_axis_off()
        if smiles:
            axes.imshow(Draw.MolToImage(Chem.MolFromSmiles(smiles), size=(220, 220)))
            axes.set_title(f"{estimate(smiles):.1f}", fontsize=8)
    made.savefig(folder / "smiles.png", dpi=110)


def design(data: Path, folder: Path, *, epochs: int = 40) -> str:
    """Trains on 80 %, keeps the epoch that is best on 10 %, and tells about the last 10 % and about samples."""
    RDLogger.DisableLog("rdApp.*")
    every = read(data / "moleculenet" / "delaney-processed.csv")
    order = np.random.default_rng(0).permutation(len(every.smiles))
    parts = np.split(order, [int(0.8 * len(order)), int(0.9 * len(order))])
    training, valid, test = (every.rows(part) for part in parts)
    model = train(training.respelled(SPELLINGS), valid, every.smiles, epochs=epochs)
    z = model.codes(test.smiles)
    known = set(every.smiles)
    shares, _ = sampled(model, known)
    back = np.mean([canonical(one) == s for one, s in zip(model.strings(z), test.smiles, strict=True)])
    seen = training.rows(np.arange(200))
    own = np.mean(
        [canonical(o) == s for o, s in zip(model.strings(model.codes(seen.smiles)), seen.smiles, strict=True)]
    )
    path = along(model, z)
    figure(model, test, path, folder)
    errors = (model.property(z) - test.solubility).square().mean().sqrt()
    r2 = r2_score(test.solubility, model.property(z))
    return (
        f"{shares}; given back {back:.0%} (training {own:.0%}); log S RMSE {errors:.2f}, R² {r2:.2f}; "
        f"formula {path[0][1]:.2f} to {path[-1][1]:.2f} in 8 steps, decoded {path[-1][2]:.0%}"
    )


ROWS = [
    Row(
        "SMILES autoencoder",
        "from molnet.nn import SequenceVAE",
        "ESOL, 1,100 molecules",
        "reported",
        design,
    )
]
