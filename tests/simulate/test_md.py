import json
import os
import signal

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.constraints import FixAtoms, FixBondLengths
from ase.io import read

from molnet.files import FileError, lock_folder
from molnet.models.schnet import SchNet
from molnet.simulate import NPT, NVE, Calculator, Guard, Langevin, LeftTheData, run_md, summary
from molnet.simulate import md as module
from molnet.simulate.ensembles import draw_velocities
from molnet.simulate.record import Slope
from tests.simulate.potentials import LennardJones

ENSEMBLES = [NVE(2.0, 100.0), Langevin(2.0, 100.0, 0.02, seed=3), NPT(2.0, 100.0, 0.1, 0.02, 200.0, seed=4)]


def argon():
    return bulk("Ar", cubic=True, a=5.3) * 2


def run(folder, ensemble=ENSEMBLES[0], steps=12, **options):
    options = {"every": 5, "potential": Calculator(LennardJones(), skin=0.05), **options}
    atoms = options.pop("atoms", None) or argon()
    return run_md(atoms, options.pop("potential"), ensemble=ensemble, steps=steps, folder=folder, **options)


def interrupt_at(monkeypatch, step):
    """Ctrl-C in the middle of a step."""
    advance = module._Run.advance

    def pressed(self):
        if self.step == step - 1:
            os.kill(os.getpid(), signal.SIGINT)
        advance(self)

    monkeypatch.setattr(module._Run, "advance", pressed)


def test_the_folder_holds_trajectory_log_and_settings(tmp_path):
    atoms = run(tmp_path / "run")
    frames = read(tmp_path / "run/md.traj", ":")
    settings, log = summary(tmp_path / "run")
    assert len(frames) == 3 and log["step"].tolist() == [0, 5, 10]
    assert np.allclose(log["time_ps"], [0, 0.01, 0.02])
    assert [f.get_potential_energy() for f in frames] == log["potential_eV"].tolist()
    assert np.allclose([f.get_kinetic_energy() for f in frames], log["kinetic_eV"])
    assert np.allclose(log["total_eV"], log["potential_eV"] + log["kinetic_eV"])
    assert frames[-1].get_forces().shape == (32, 3) and frames[-1].pbc.all()
    assert settings["status"] == "finished" and settings["last_step"] == 12
    assert settings["ensemble"] == {"name": "NVE", "timestep": 2.0, "temperature": 100.0, "seed": 0}
    assert settings["ns_per_day"] == pytest.approx(86.4 * 2.0 / settings["ms_per_step"], rel=0.01)
    assert "kinetic + potential" in settings["drift_definition"]
    assert settings["drift_meV_per_atom_per_ps"] == log["drift_meV_per_atom_per_ps"][-1]
    slope = np.polyfit(log["time_ps"], log["conserved_eV"], 1)[0]
    assert settings["drift_meV_per_atom_per_ps"] == pytest.approx(1000 * slope / 32, rel=1e-6)
    assert np.abs(atoms.get_momenta().sum(axis=0)).max() < 1e-9


def test_the_start_isnt_changed_and_its_velocities_are_kept(tmp_path):
    atoms = argon()
    run(tmp_path / "a", atoms=atoms, steps=1)
    assert not atoms.has("momenta") and atoms.calc is None and np.allclose(atoms.positions, argon().positions)
    atoms.set_momenta(np.full((32, 3), 0.5))
    run(tmp_path / "b", atoms=atoms, steps=1)
    assert np.allclose(read(tmp_path / "b/md.traj@0").get_momenta(), 0.5)


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("stop", [5, 7])
def test_resumed_runs_are_the_same_to_the_last_bit(tmp_path, ensemble, stop):
    whole = run(tmp_path / "whole", ensemble)
    run(tmp_path / "parts", ensemble, steps=stop)
    parts = run(tmp_path / "parts", ensemble, resume=True)
    assert np.array_equal(whole.positions, parts.positions)
    assert np.array_equal(whole.get_momenta(), parts.get_momenta())
    assert np.array_equal(whole.cell.array, parts.cell.array)
    lists = [atoms.calc.neighbors.reference.positions for atoms in (whole, parts)]
    assert np.array_equal(*lists) and whole.calc.neighbors.builds > 1
    one, other = (summary(tmp_path / name).log for name in ("whole", "parts"))
    assert one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
    assert len(read(tmp_path / "parts/md.traj", ":")) == 3


def test_a_network_resumes_to_the_last_bit(tmp_path):
    potential = SchNet([1, 6, 8], 3.0, channels=8, interactions=2, gaussians=8, knots=16)
    options = {"atoms": molecule("CH3CH2OH"), "ensemble": Langevin(0.5, 300.0, 0.01), "guard": None}
    whole = run(tmp_path / "whole", potential=Calculator(potential, skin=0.02), **options)
    run(tmp_path / "parts", potential=Calculator(potential, skin=0.02), steps=6, **options)
    parts = run(tmp_path / "parts", potential=Calculator(potential, skin=0.02), resume=True, **options)
    assert np.array_equal(whole.positions, parts.positions)
    lists = [atoms.calc.neighbors.reference.positions for atoms in (whole, parts)]
    assert np.array_equal(*lists) and whole.calc.neighbors.builds > 1


def test_control_c_ends_after_the_step_and_the_run_goes_on_from_there(tmp_path, monkeypatch, capsys):
    whole = run(tmp_path / "whole", ENSEMBLES[1])
    with monkeypatch.context() as patched:
        interrupt_at(patched, 7)
        run(tmp_path / "parts", ENSEMBLES[1])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert summary(tmp_path / "parts").settings["status"] == "interrupted"
    assert summary(tmp_path / "parts").settings["last_step"] == 7
    assert "Stopped after step 7" in capsys.readouterr().err
    assert np.array_equal(run(tmp_path / "parts", ENSEMBLES[1], resume=True).positions, whole.positions)


def test_what_came_after_the_last_checkpoint_is_replaced(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole", steps=20)
    run(tmp_path / "parts", steps=7)
    checkpoint = (tmp_path / "parts/md.checkpoint.npz").read_bytes()
    run(tmp_path / "parts", steps=18, resume=True)
    (tmp_path / "parts/md.checkpoint.npz").write_bytes(checkpoint)
    parts = run(tmp_path / "parts", steps=20, resume=True)
    assert np.array_equal(whole.positions, parts.positions)
    assert summary(tmp_path / "parts").log["step"].tolist() == [0, 5, 10, 15, 20]
    for one, other in zip(*(read(tmp_path / f"{name}/md.traj", ":") for name in ("whole", "parts")), strict=True):
        assert np.array_equal(one.positions, other.positions)
        assert one.get_potential_energy() == other.get_potential_energy()


def test_a_former_run_is_never_overwritten(tmp_path):
    run(tmp_path, steps=1)
    with pytest.raises(FileError, match="holds a run already"):
        run(tmp_path)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"ensemble": NVE(1.0)}, "ensemble"),
        ({"every": 3}, "every"),
        ({"potential": Calculator(LennardJones(), skin=0.4)}, "skin"),
        ({"atoms": bulk("Ne", cubic=True, a=5.3) * 2}, "composition"),
        ({"steps": 3}, "at step 4 already"),
    ],
)
def test_a_run_is_resumed_as_it_was_started(tmp_path, options, match):
    run(tmp_path, steps=4)
    with pytest.raises(ValueError, match=match):
        run(tmp_path, resume=True, **options)


def test_there_must_be_something_to_resume(tmp_path):
    with pytest.raises(FileError, match="start without resume"):
        run(tmp_path, resume=True)
    with pytest.raises(FileError, match="no simulation"):
        summary(tmp_path)


def test_a_folder_that_cant_be_used_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in ("file", "file/run"):
        with pytest.raises(FileError, match="cannot write"):
            run(tmp_path / folder)
    with lock_folder(tmp_path / "busy"), pytest.raises(FileError, match="another run"):
        run(tmp_path / "busy")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match="cannot write"):
        run(tmp_path / "run")


def test_the_guard_stops_the_run_and_leaves_what_there_was(tmp_path):
    potential = LennardJones()
    potential.provenance["coverage"] = {"contacts": {"Ar-Ar": 3.7}, "largest_force": None, "energy_per_atom": {}}
    options = {"ensemble": NVE(2.0, 2000.0), "guard": Guard(every=1), "every": 2}
    with pytest.raises(LeftTheData, match=r"step \d+: atom \d+ \(Ar\) and .* Add structures") as caught:
        run(tmp_path, steps=100, potential=potential, **options)
    settings, log = summary(tmp_path)
    assert 4 < settings["last_step"] < 100 and "left the data at step" in settings["status"]
    frames = read(tmp_path / "md.traj", ":")
    assert len(frames) == len(log["step"]) == (settings["last_step"] - 1) // 2 + 1
    distances = read(tmp_path / "md.stopped.xyz").get_all_distances(mic=True) + 9 * np.eye(32)
    assert f"{distances.min():.2f} Å apart" in str(caught.value)


def test_a_potential_that_doesnt_know_its_data_says_so_once(tmp_path, capsys):
    run(tmp_path, steps=5)
    assert capsys.readouterr().err.count("doesn't say what its data cover") == 1
    run(tmp_path, resume=True, guard=None)
    assert "data cover" not in capsys.readouterr().err


def test_plain_progress_says_where_how_fast_and_how_long(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("molnet.simulate.display._SECONDS_BETWEEN_PLAIN_LINES", 0.0)
    run(tmp_path, guard=None)
    line = capsys.readouterr().err.splitlines()[6]
    for part in ("step 7/12", " K ", " eV ", "meV/atom/ps", "ns/day", "left"):
        assert part in line


def test_other_errors_leave_a_record_too(tmp_path, monkeypatch):
    def fails(self):
        raise RuntimeError("broken")

    monkeypatch.setattr(module._Run, "advance", fails)
    with pytest.raises(RuntimeError, match="broken"):
        run(tmp_path)
    assert summary(tmp_path).settings["status"] == "failed"
    assert summary(tmp_path).log["step"].tolist() == [0]


def test_a_linear_molecule_is_given_velocities_without_rotation():
    linear = molecule("CO2")
    draw_velocities(linear, 300.0, np.random.default_rng(0))
    assert linear.get_kinetic_energy() > 0
    assert np.abs(linear.get_angular_momentum()).max() < 1e-12


def test_drawn_velocities_are_seeded_and_at_rest_on_the_whole():
    def drawn(seed, atoms):
        draw_velocities(atoms, 300.0, np.random.default_rng(seed))
        return atoms

    ethanol = drawn(0, molecule("CH3CH2OH"))
    assert np.array_equal(ethanol.get_momenta(), drawn(0, molecule("CH3CH2OH")).get_momenta())
    assert not np.array_equal(ethanol.get_momenta(), drawn(1, molecule("CH3CH2OH")).get_momenta())
    assert np.abs(ethanol.get_momenta().sum(axis=0)).max() < 1e-12
    assert np.abs(ethanol.get_angular_momentum()).max() < 1e-12
    energies = [drawn(seed, molecule("CH3CH2OH")).get_kinetic_energy() for seed in range(300)]
    freedoms = NVE(1.0).freedoms(molecule("CH3CH2OH"))
    assert freedoms == 21
    mean = 0.5 * freedoms * 8.617e-5 * 300
    assert np.mean(energies) == pytest.approx(mean, abs=4 * mean * np.sqrt(2 / freedoms / 300))


@pytest.mark.parametrize(("name", "nve", "langevin"), [("CO2", 4, 9), ("H2O", 3, 9), ("N2", 1, 6), ("CH4", 9, 15)])
def test_degrees_of_freedom_leave_out_what_the_dynamics_conserve(name, nve, langevin):
    assert NVE(1.0).freedoms(molecule(name)) == nve
    assert Langevin(1.0, 300.0, 0.1).freedoms(molecule(name)) == langevin


def test_fixed_atoms_stay_where_they_are(tmp_path):
    for number, ensemble in enumerate(ENSEMBLES[:2]):
        atoms = argon()
        atoms.set_constraint(FixAtoms([0, 5]))
        moved = run(tmp_path / str(number), ensemble, atoms=atoms)
        same = (moved.positions == atoms.positions).all(axis=1)
        assert np.flatnonzero(same).tolist() == [0, 5]


def test_what_an_ensemble_cant_do_is_refused(tmp_path):
    atoms = molecule("H2O")
    with pytest.raises(ValueError, match="periodic in three directions"):
        run(tmp_path / "a", ENSEMBLES[2], atoms=atoms)
    atoms.set_constraint(FixBondLengths([[0, 1], [0, 2]]))
    with pytest.raises(ValueError, match="FixBondLengths works with NVE only"):
        run(tmp_path / "b", ENSEMBLES[1], atoms=atoms)
    with pytest.raises(ValueError, match="counts of steps"):
        run(tmp_path / "c", every=0)


@pytest.mark.parametrize(
    "make", [lambda: NVE(0.0), lambda: NVE(1.0, -1.0), lambda: Langevin(1.0, 300.0, 0.0), lambda: NVE(float("nan"))]
)
def test_nonsense_is_refused(make):
    with pytest.raises(ValueError, match=r"timestep|temperature|friction"):
        make()


def test_the_slope_is_the_least_squares_one():
    rng, slope = np.random.default_rng(0), Slope()
    assert slope.value == 0.0
    x, y = np.arange(50.0), -4.2e5 + 1e-3 * rng.standard_normal(50)
    for point in zip(x, y, strict=True):
        slope.add(*point)
    assert slope.value == pytest.approx(np.polyfit(x - x.mean(), y - y.mean(), 1)[0], rel=1e-6)


def test_the_checkpoint_holds_no_pickle_and_the_settings_are_json(tmp_path):
    run(tmp_path, ENSEMBLES[2])
    with np.load(tmp_path / "md.checkpoint.npz", allow_pickle=False) as stored:
        state = json.loads(str(stored["state"]))
    assert state["step"] == 12 and state["motion"]["rng"]["bit_generator"] == "PCG64"
    assert json.loads((tmp_path / "md.json").read_text())["versions"].keys() >= {"molnet", "torch", "ase"}


def test_a_start_at_constant_energy_has_exactly_its_temperature():
    ensemble, ethanol = NVE(0.5, temperature=450.0), molecule("CH3CH2OH")
    ensemble.start(ethanol, np.random.default_rng(0))
    assert ethanol.get_kinetic_energy() == pytest.approx(0.5 * 21 * 8.617333e-5 * 450.0, rel=1e-6)
    before = ethanol.get_momenta()
    NVE(0.5, temperature=10.0).start(ethanol, np.random.default_rng(0))
    assert np.array_equal(ethanol.get_momenta(), before), "momenta that are there stay"
