"""Model files: what comes back, and what is said of files that are broken or hostile."""

from __future__ import annotations

import errno
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from molnet import checkpoint
from molnet.checkpoint import KNOWN, ModelFileError, decode, encode, load, save
from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.features import G2, SymmetryFunctions
from molnet.files import FileError
from molnet.models import BPNN, SchNet
from molnet.potential import Potential, Scaled, Sum
from molnet.priors import ZBL, AtomEnergies
from molnet.upgrades import FORMAT
from tests.contract import ethanol

FORMER = Path(__file__).with_name("former_formats")


def schnet(**options: int) -> SchNet:
    return SchNet([1, 8], 4.0, **{"channels": 4, "interactions": 1, "gaussians": 6, "knots": 10, **options})


def water() -> Atoms:
    return molecule("H2O")


def full() -> Sum:
    atoms = AtomEnergies([1, 8], [-13.587222780835477, -2041.9816003861047])
    return atoms + ZBL([1, 8], [[0.7, 0.9], [0.9, 1.1]]) + Scaled(schnet(), 0.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(schnet(), tmp_path / "water.safetensors")


def rewritten(
    path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], object], *, raw: str | None = None
) -> Path:
    """The file with its description and tensors changed in place."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        description = json.loads(file.metadata()["molnet"])
    change(description, tensors)
    save_file(tensors, path, {"molnet": json.dumps(description) if raw is None else raw})
    return path


def with_arguments(path: Path, **arguments: object) -> Path:
    return rewritten(path, lambda description, _: description["potential"]["arguments"].update(arguments))


def one_sentence(path: Path) -> str:
    """What is said of a file that can't be loaded; it is short and names the file."""
    with pytest.raises(ModelFileError) as error:
        load(path)
    text = str(error.value)
    assert text.startswith(str(path)) and text.count("\n") == 0 and text[-1] in ".)?"
    return text.removeprefix(str(path)).strip()


def test_a_file_brings_back_results_to_the_last_bit(tmp_path: Path) -> None:
    potential, graph = full().eval(), to_graph(water(), 4.0)
    again = load(save(potential, tmp_path / "a.safetensors"))
    assert isinstance(again, Sum) and not again.training
    assert (again.species, again.cutoff, again.dtype) == (potential.species, potential.cutoff, potential.dtype)
    for one, other in ((potential, again), (potential.double(), again.double())):
        here, there = evaluate(one, graph), evaluate(other, graph)
        assert torch.equal(here.energy, there.energy) and torch.equal(here.forces, there.forces)


def test_numbers_of_priors_keep_their_digits_in_a_float32_sum(tmp_path: Path) -> None:
    again = load(save(full(), tmp_path / "a.safetensors"))
    assert again.terms[0].energies == full().terms[0].energies
    assert torch.equal(again.double().terms[1].pair_radii, full().terms[1].pair_radii)


def test_a_float64_potential_is_read_back_as_one(tmp_path: Path) -> None:
    again = load(save(full().double(), tmp_path / "a.safetensors"))
    assert {t.dtype for t in (*again.parameters(), *again.buffers()) if t.is_floating_point()} == {torch.float64}


def test_trained_weights_and_buffers_come_back(tmp_path: Path) -> None:
    model = BPNN(SymmetryFunctions([1, 8], [G2(4.0, (0.5,), (1.0, 2.0))]), hidden=(4,))
    model.standardize([water()])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.37
    again = load(save(model, tmp_path / "b.safetensors"))
    assert isinstance(again, BPNN) and again.features.names == model.features.names
    assert all(torch.equal(again.state_dict()[name], value) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_the_same_weights_twice_are_saved_twice(tmp_path: Path) -> None:
    network = schnet()
    again = load(save(network + network, tmp_path / "a.safetensors"))
    graph = to_graph(water(), 4.0)
    assert float(evaluate(again, graph).energy) == pytest.approx(2 * float(evaluate(network, graph).energy))


def test_provenance_is_kept_at_every_level(tmp_path: Path) -> None:
    potential = full()
    potential.provenance = {"coverage": {"contacts": {"H-O": 0.93}, "largest_force": None}}
    potential.terms[0].provenance = {"method": "least squares", "rank": 2}
    again = load(save(potential, tmp_path / "a.safetensors"))
    assert again.provenance == potential.provenance
    assert [term.provenance for term in again.terms] == [{"method": "least squares", "rank": 2}, {}, {}]


def test_the_file_states_units_species_and_cutoff(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        found = json.loads(file.metadata()["molnet"])
    assert found["units"] == {"length": "Å", "energy": "eV", "charge": "e"}
    assert (found["species"], found["cutoff"], found["dtype"], found["format"]) == ([1, 8], 4.0, "float32", FORMAT)


def test_every_known_class_is_saved_by_its_own_name() -> None:
    assert {"Sum", "Scaled", "AtomEnergies", "ZBL", "SchNet", "BPNN", "SymmetryFunctions"} <= set(KNOWN)
    assert all(kind.__name__ == name and kind.__module__.startswith("molnet.") for name, kind in KNOWN.items())


def test_numpy_s_numbers_are_numbers() -> None:
    assert encode([np.int64(8), np.float32(0.5), np.array([1, 8])]) == [8, 0.5, [1, 8]]


def test_a_class_that_is_not_molnet_s_is_not_saved(tmp_path: Path) -> None:
    class SchNet(Potential):  # the name alone doesn't count
        pass

    with pytest.raises(TypeError, match="SchNet can't be saved: it is none of molnet's own classes"):
        save(SchNet(), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_leaves_the_former_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(FileError, match="no space left on device; the former file is untouched"):
        save(schnet(seed=5), path)
    assert load(path).seed == 0
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no model file .*gone.safetensors"):
        load(tmp_path / "gone.safetensors")


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.target),)


def test_a_pickle_by_another_name_is_refused_and_not_run(tmp_path: Path) -> None:
    path, target = tmp_path / "a.safetensors", tmp_path / "made by the pickle"
    path.write_bytes(pickle.dumps(Bomb(target)))
    assert "isn't a whole safetensors file" in one_sentence(path)
    torch.save({"weights": Bomb(target)}, path)
    assert "isn't a whole safetensors file" in one_sentence(path)
    assert not target.exists()


@pytest.mark.parametrize("part", [0, 5, 100, -100, -1])
def test_a_truncated_file_is_refused(path: Path, part: int) -> None:
    path.write_bytes(path.read_bytes()[:part])
    assert "isn't a whole safetensors file" in one_sentence(path)


def test_a_header_longer_than_the_file_is_refused(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])
    assert "isn't a whole safetensors file" in one_sentence(path)


def test_tensors_of_another_program_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(3)}, tmp_path / "a.safetensors")
    assert one_sentence(tmp_path / "a.safetensors").startswith("holds tensors but no description")


@pytest.mark.parametrize(
    "text",
    ["", "{", "not JSON", "[]", "3", "null", "{}", "[" * 100_000],
)
def test_a_description_that_is_none_is_refused(path: Path, text: str) -> None:
    assert "has a description that can't be read" in one_sentence(rewritten(path, lambda *_: None, raw=text))


def test_a_newer_format_asks_for_a_newer_molnet(path: Path) -> None:
    rewritten(path, lambda description, _: description.update(format=FORMAT + 1))
    assert one_sentence(path) == f"has format {FORMAT + 1}; this molnet reads up to {FORMAT}. Update molnet."


@pytest.mark.parametrize("number", [0, -1, 0.5, "1", None, 1.0, [1], float("inf")])
def test_a_format_that_never_was_is_refused(path: Path, number: object) -> None:
    rewritten(path, lambda description, _: description.update(format=number))
    assert one_sentence(path) == f"has format {number!r}, which never was one of molnet's."


def test_a_former_format_is_upgraded_step_by_step(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def second(description: dict[str, Any], weights: dict[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        description["potential"]["arguments"]["scale"] = 2.0
        return description, weights

    def third(description: dict[str, Any], weights: dict[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        description["potential"]["arguments"]["scale"] *= 10
        return description, weights

    monkeypatch.setattr(checkpoint, "FORMAT", FORMAT + 2)
    monkeypatch.setattr(checkpoint, "UPGRADES", {FORMAT: second, FORMAT + 1: third})
    assert load(path).scale == 20.0


def test_a_file_of_format_1_gives_what_it_gave() -> None:
    """Energy and the first atom's force were printed by the version that wrote the file."""
    potential = load(FORMER / "format_1_bpnn.safetensors").double()
    found = evaluate(potential, to_graph(ethanol(), potential.cutoff))
    assert float(found.energy) == pytest.approx(-4182.153320902872, abs=1e-9)
    assert found.forces[0].tolist() == pytest.approx([8.735343446457064, -0.8089951420911983, 1.0877389716789234])


@pytest.mark.parametrize("name", ["Module", "os.system", "eval", "torch.nn.Linear", "schnet", ""])
def test_a_class_outside_of_the_list_is_refused(path: Path, name: str) -> None:
    rewritten(path, lambda description, _: description["potential"].update({"class": name}))
    assert f"names the class {name!r}, which molnet doesn't know." in one_sentence(path)


@pytest.mark.parametrize(
    ("potential", "sentence"),
    [
        (None, "NoneType isn't a potential"),
        ([], "list isn't a potential"),
        ({}, "class is missing"),
        ({"class": "SchNet"}, "arguments is missing"),
        ({"class": ["SchNet"], "arguments": {}}, "unhashable"),
        ({"class": "SchNet", "arguments": {}}, "missing"),
        ({"class": "Sum", "arguments": {"terms": []}}, "at least one potential"),
        (encode(G2(4.0, (1.0,), (1.0,))), "G2 isn't a potential."),
    ],
)
def test_a_potential_that_is_none_is_refused(path: Path, potential: object, sentence: str) -> None:
    rewritten(path, lambda description, _: description.update(potential=potential))
    assert sentence in one_sentence(path)


def test_unknown_arguments_are_named(path: Path) -> None:
    assert "unexpected keyword argument 'chanels'" in one_sentence(with_arguments(path, chanels=4))


@pytest.mark.parametrize("dtype", ["load", "int64", "complex64", "float16", ["float32"], None, 32])
def test_a_dtype_is_float32_or_float64(path: Path, dtype: object) -> None:
    rewritten(path, lambda description, _: description.update(dtype=dtype))
    assert f"its dtype is {dtype!r}; expected float64 or float32." in one_sentence(path)


def test_nesting_without_end_is_refused(path: Path) -> None:
    def nest(description: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        for _ in range(300):
            inner = description["potential"]
            description["potential"] = {"class": "Scaled", "arguments": {"potential": inner, "scale": 1.0}}

    rewritten(path, nest)
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(500)
    try:
        assert "recursion" in one_sentence(path)
    finally:
        sys.setrecursionlimit(usual)


def test_tensors_that_are_missing_extra_or_of_another_shape_are_named(path: Path) -> None:
    rewritten(path, lambda _, tensors: tensors.pop("embedding.weight"))
    assert "the weights embedding.weight are absent in the file; its arguments make (2, 4)." in one_sentence(path)
    rewritten(path, lambda _, tensors: tensors.update({"embedding.weight": torch.ones(2, 5)}))
    assert "embedding.weight are (2, 5) in the file; its arguments make (2, 4)" in one_sentence(path)
    rewritten(path, lambda _, t: t.update({"embedding.weight": torch.ones(2, 4), "more": torch.ones(1)}))
    assert "the weights more are (1,) in the file; its arguments make no such tensor." in one_sentence(path)


@pytest.fixture
def built_on(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The devices on which parts of a potential were built; "meta" holds no memory."""
    devices = set()

    def spy(value: object) -> object:
        devices.add(torch.get_default_device().type)
        return decode(value)

    monkeypatch.setattr(checkpoint, "decode", spy)
    return devices


@pytest.mark.parametrize(
    "sizes",
    [
        {"channels": 10**9},
        {"channels": 60_000, "gaussians": 60_000},
        {"interactions": 10**9},
        {"interactions": 500},
        {"knots": 10**12},
        {"gaussians": 2**63},
        {"species": [1, 10**12]},
        {"species": [1, 9_000_000]},
        {"cutoff": -1.0},
        {"cutoff": float("nan")},
        {"scale": [10**15]},
        {"seed": 10**400},
    ],
)
def test_sizes_beyond_those_of_the_weights_take_no_memory(
    path: Path, sizes: dict[str, Any], built_on: set[str]
) -> None:
    assert "doesn't describe a potential" in one_sentence(with_arguments(path, **sizes))
    assert built_on == {"meta"}


def test_tables_that_are_not_in_the_file_take_no_memory_either(tmp_path: Path, built_on: set[str]) -> None:
    path = save(schnet(gaussians=2000), tmp_path / "a.safetensors")
    assert "its arguments make tables of 1.3e+08 numbers." in one_sentence(with_arguments(path, knots=65_000))
    assert built_on == {"meta"}
    assert load(with_arguments(path, knots=20)).knots == 20
    assert built_on == {"meta", "cpu"}


def test_loading_leaves_the_global_state_and_an_outer_device_alone(path: Path) -> None:
    before = (torch.get_default_dtype(), torch.get_default_device(), torch.get_rng_state().tolist())
    loaded = load(path)
    assert (torch.get_default_dtype(), torch.get_default_device(), torch.get_rng_state().tolist()) == before
    assert {t.device.type for t in (*loaded.parameters(), *loaded.buffers())} == {"cpu"}
    assert all(isinstance(p, nn.Parameter) for p in loaded.parameters())
