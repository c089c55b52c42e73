"""The published ANI-1x network 0, against NeuroChem, and what is wrong with files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from molnet.data.convert import to_graph
from molnet.deploy import compile
from molnet.evaluation import evaluate
from molnet.foreign import ForeignFileError, read_ani
from molnet.graph import batch
from molnet.potential import Potential
from tests.features import ani1x
from tests.shared import shared_data

FILES = ("rHCNO-5.2R_16-3.5A_a4-8.params", "ani1x_model0_weights.npz", "sae_linfit.dat")


def network() -> Potential:
    # NeuroChem's Hartree.
    return read_ani(*(shared_data(f"torchani/{name}") for name in FILES), energy_unit=27.211386)


@pytest.mark.parametrize("compiled", [False, True])
def test_energies_and_forces_are_neurochem_s(compiled: bool) -> None:
    model, data = network(), ani1x.reference()
    model = compile(model) if compiled else model
    for isomer in range(0, 97, 4 if compiled else 1):
        some = [isomer % 10, (isomer + 5) % 10]
        found = evaluate(model, batch([to_graph(ani1x.conformer(isomer, k), model.cutoff) for k in some]))
        forces = data["forces_eV_per_A"][isomer, some][:, data["z"][isomer] > 0].reshape(-1, 3)
        np.testing.assert_allclose(found.energy.numpy(), data["energy_eV"][isomer, some], rtol=0, atol=5e-4)
        np.testing.assert_allclose(found.forces.numpy(), forces, rtol=0, atol=5e-5)


@pytest.mark.parametrize(
    ("number", "old", "new", "message"),
    [
        (0, "Rca = ", "Rc = ", "has no Rca; expected the parameters"),
        (0, "Rcr = 5.2000e+00", "Rcr = five", "line 2 of .* has 'five' as word 2; expected a number"),
        (0, "EtaA = [8.0", "EtaA = [2.0,8.0", "line 8 of .* has 2 numbers; expected one"),
        (0, "[H,C", "[Q,C", "line 10 of .* has 'Q' as word 2; expected the symbol of an element"),
        (2, "N,2", "F,2", "has no self energy of N"),
    ],
)
def test_what_is_wrong_is_said(number: int, old: str, new: str, message: str, tmp_path: Path) -> None:
    paths = [shared_data(f"torchani/{name}") for name in FILES]
    text = paths[number].read_text()
    assert old in text
    paths[number] = tmp_path / FILES[number]
    paths[number].write_text(text.replace(old, new))
    with pytest.raises(ForeignFileError, match=message):
        read_ani(*paths)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    parameters, weights, energies = (shared_data(f"torchani/{name}") for name in FILES)
    with np.load(weights) as file:
        stored = dict(file)
    np.savez(tmp_path / "some.npz", **(stored | {"C_l2_w": stored["C_l2_w"][:, 1:]}))
    with pytest.raises(ForeignFileError, match=r"C_l2_w in .* has the shape \(112, 143\); expected \(112, 144\)"):
        read_ani(parameters, tmp_path / "some.npz", energies)
    np.savez(tmp_path / "fewer.npz", **{k: v for k, v in stored.items() if not k.startswith("N_l4")})
    with pytest.raises(ForeignFileError, match="has 3 layers of N; expected some, the last with one output"):
        read_ani(parameters, tmp_path / "fewer.npz", energies)
