import csv
import json
import os
import signal
from dataclasses import replace

import mdtraj
import numpy as np
import pytest
from ase.io import read

from molnet.data.conformations import Conformations
from molnet.files import FileError
from molnet.simulate import (
    BondLimits,
    Exchange,
    LangevinReplicas,
    LeftTheData,
    Output,
    OverdampedReplicas,
    Trajectories,
    run_replicas,
)
from molnet.simulate import replicas as module
from tests.simulate.replicas import Bonds, chain, chains

DYNAMICS = LangevinReplicas(2.0, 0.01)
EXCHANGE = Exchange((300.0, 330.0), 30)
FILES = ["positions.npy", "energies.npy", "replicas.npy", "replicas.csv", "trajectory-0.dcd", "topology.pdb"]


def run(folder, start=None, potential=None, *, steps=100, every=20, form="dcd", **options):
    options = {"dynamics": DYNAMICS, **options}
    output = Output(folder, every, form)
    return run_replicas(start or chains(4), potential or Bonds(), steps=steps, output=output, **options)


def ladders(dtype=np.float64):
    return chains(4, dtype=dtype, temperatures=np.tile(EXCHANGE.temperatures, 2))


def rows(folder):
    with open(folder / "replicas.csv") as file:
        return list(csv.DictReader(file))


def same(one, other):
    names = ("positions", "velocities", "forces", "energies", "temperatures", "numbers")
    return all(np.array_equal(getattr(one, n), getattr(other, n), equal_nan=True) for n in names)


def interrupt_at(monkeypatch, step):
    """Ctrl-C in the middle of the steps that lead beyond this one."""
    advance = module._Run.advance

    def pressed(self, steps):
        if self.state.step <= step < self.state.step + steps:
            os.kill(os.getpid(), signal.SIGINT)
        advance(self, steps)

    monkeypatch.setattr(module._Run, "advance", pressed)


def test_the_folder_holds_arrays_log_and_trajectories(tmp_path):
    end = run(tmp_path, steps=110)
    made, log = Trajectories.load(tmp_path), rows(tmp_path)
    assert made.positions.shape == (6, 4, 3, 3) and made.numbers.tolist() == [[0, 1, 2, 3]] * 6
    assert [int(line["step"]) for line in log] == [0, 20, 40, 60, 80, 100] and end.step == 110
    assert made.picoseconds == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.2])
    assert [float(line["potential_eV_300.00K"]) for line in log] == made.energies.mean(axis=1).tolist()
    assert 50 < float(log[-1]["kinetic_K_300.00K"]) < 1000
    masses = np.array(chain().masses)[:, None]
    assert np.abs((masses * made.positions).sum(axis=2)).max() < 1e-4
    assert made.settings["status"] == "finished" and made.settings["stopped"] == []
    assert made.settings["bead_steps_per_second"] == pytest.approx(12e3 / made.settings["ms_per_step"])
    energies = 5.0 * ((np.linalg.norm(np.diff(made.positions.astype(float), axis=2), axis=3) - 1.5) ** 2).sum(axis=2)
    assert made.energies == pytest.approx(energies, abs=1e-5)


@pytest.mark.parametrize("form", ["dcd", "xtc"])
def test_viewers_and_readers_open_the_trajectories(tmp_path, form):
    run(tmp_path, form=form)
    made = Trajectories.load(tmp_path)
    for column in range(4):
        found = mdtraj.load(tmp_path / f"trajectory-{column}.{form}", top=tmp_path / "topology.pdb")
        assert [atom.name for atom in found.topology.atoms] == ["B0", "B1", "B2"]
        assert found.topology.n_bonds == 2
        assert 10 * found.xyz == pytest.approx(made.positions[:, column], abs=0.006 if form == "xtc" else 1e-6)
    if form == "xtc":
        assert found.time == pytest.approx(made.picoseconds)
    assert len(read(tmp_path / "topology.pdb")) == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dynamics", [DYNAMICS, OverdampedReplicas(0.5, 0.1)], ids=lambda d: type(d).__name__)
@pytest.mark.parametrize("exchange", [None, EXCHANGE], ids=["alone", "exchange"])
def test_a_resumed_run_is_the_same_to_the_last_bit(tmp_path, monkeypatch, dtype, dynamics, exchange):
    start, options = ladders(dtype), {"dynamics": dynamics, "exchange": exchange, "limits": limits()}
    whole = run(tmp_path / "whole", start, **options)
    interrupt_at(monkeypatch, 45)
    part = run(tmp_path / "parts", start, **options)
    assert 45 < part.step < 100
    assert Trajectories.load(tmp_path / "parts").settings["status"] == "interrupted"
    monkeypatch.undo()
    parts = run(tmp_path / "parts", start, resume=True, **options)
    assert same(whole, parts) and parts.step == 100
    for name in FILES:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name
    one, other = (Trajectories.load(tmp_path / name).settings for name in ("whole", "parts"))
    assert one.get("swaps") == other.get("swaps") and one["bonds_reported"] == other["bonds_reported"]


def test_a_longer_run_goes_on_from_a_finished_one(tmp_path):
    run(tmp_path / "parts", steps=50)
    assert same(run(tmp_path / "whole"), run(tmp_path / "parts", resume=True))
    assert len(Trajectories.load(tmp_path / "parts").positions) == 6


def test_frames_after_the_last_checkpoint_come_once(tmp_path):
    """As after a crash: files that are longer than the checkpoint knows."""
    run(tmp_path / "run", steps=60)
    kept = (tmp_path / "run/replicas.checkpoint.npz").read_bytes()
    run(tmp_path / "run", steps=100, resume=True)
    expected = {name: (tmp_path / "run" / name).read_bytes() for name in FILES}
    (tmp_path / "run/replicas.checkpoint.npz").write_bytes(kept)
    run(tmp_path / "run", steps=100, resume=True)
    assert expected == {name: (tmp_path / "run" / name).read_bytes() for name in FILES}


def test_with_exchange_each_column_has_one_temperature(tmp_path):
    end = run(tmp_path, ladders(), steps=300, every=30, exchange=EXCHANGE)
    made, log = Trajectories.load(tmp_path), rows(tmp_path)
    assert made.temperatures.tolist() == [300.0, 330.0, 300.0, 330.0]
    assert sorted(made.numbers[-1, :2]) == [0, 1] and len(np.unique(made.numbers, axis=0)) > 1
    assert end.temperatures[made.numbers[-1]].tolist() == made.temperatures.tolist()
    assert end.energies[made.numbers[-1]].tolist() == made.energies[-1].tolist()
    assert float(log[3]["potential_eV_330.00K"]) == made.energies[3, [1, 3]].mean()
    (pair,) = made.settings["swaps"]
    assert pair["tried"] == 2 * 5 and 0 < pair["accepted"] <= 1
    assert float(log[-1]["swaps_accepted"]) == pair["accepted"]


def data(temperature=300.0):
    rng = np.random.default_rng(0)
    positions = np.zeros((50, 3, 3))
    positions[..., 0] = 1.5 * np.arange(3) + rng.normal(0, 0.05, (50, 3))
    return Conformations(chain(), positions, np.zeros_like(positions), temperature)


def limits(**options):
    return BondLimits.of(data(), **options)


def kicked(number, state):
    """Its last bead flies off."""
    velocities = state.velocities.copy()
    velocities[number, 2] = 0.15, 0.0, 0.0
    return replace(state, velocities=velocities)


def stretched(number, state, length):
    positions = state.positions.copy()
    positions[number, 2, 0] = positions[number, 1, 0] + length
    return replace(state, positions=positions)


def test_a_replica_that_blows_up_is_named_and_the_others_go_on(tmp_path, capsys):
    start, soft = kicked(2, chains(4)), Bonds(1.0)
    alone = run(tmp_path / "alone", potential=soft, steps=40)
    end = run(tmp_path / "run", start, soft, limits=limits(), steps=40)
    assert end.numbers.tolist() == [0, 1, 3]
    assert np.allclose(end.positions, alone.positions[[0, 1, 3]], atol=1e-9)
    assert "Replica 2 was stopped at step 20: the bond B1 (1)–B2 (2) is" in capsys.readouterr().err
    made = Trajectories.load(tmp_path / "run")
    assert made.numbers[:, 2].tolist() == [2, -1, -1] and np.isnan(made.positions[1:, 2]).all()
    assert made.settings["stopped"][0] | {"reason": ""} == {
        "replica": 2,
        "step": 20,
        "reason": "",
        "file": "stopped-2.npz",
    }
    with np.load(tmp_path / "run/stopped-2.npz") as held:
        assert held["positions"].shape == (2, 3, 3) and np.diff(held["positions"][0, :, 0]) == pytest.approx([1.5, 1.5])
        assert "in the data 1.51 ± 0.06" in json.loads(str(held["about"]))["reason"]
    assert len(mdtraj.load(tmp_path / "run/trajectory-2.dcd", top=tmp_path / "run/topology.pdb")) == 1
    resumed = run(tmp_path / "run", start, soft, limits=limits(), steps=80, resume=True)
    assert resumed.numbers.tolist() == [0, 1, 3]
    assert Trajectories.load(tmp_path / "run").settings["stopped"] == made.settings["stopped"]


def test_its_ladder_stops_with_it(tmp_path):
    end = run(tmp_path, kicked(2, ladders()), Bonds(1.0), limits=limits(), exchange=EXCHANGE, steps=40)
    assert end.numbers.tolist() == [0, 1]
    assert Trajectories.load(tmp_path).numbers[-1].tolist()[2:] == [-1, -1]


def test_where_none_is_left_the_run_ends(tmp_path):
    with pytest.raises(LeftTheData, match=r"Replica 0 was stopped at step 20.*No replica is left"):
        run(tmp_path, kicked(0, chains(1)), Bonds(1.0), limits=limits())
    made = Trajectories.load(tmp_path)
    assert made.settings["status"].startswith("left the data") and len(made.positions) == 1
    assert (tmp_path / "trajectory-0.dcd").exists() and (tmp_path / "stopped-0.npz").exists()


def test_a_start_outside_the_limits_is_named(tmp_path):
    with pytest.raises(LeftTheData, match=r"Replica 0 was stopped at step 0: the bond B1 \(1\)–B2 \(2\) is 4.00 Å"):
        run(tmp_path, stretched(0, chains(1), 4.0), limits=limits())
    assert not len(Trajectories.load(tmp_path).positions)


def test_numbers_that_are_not_finite_stop_without_limits(tmp_path):
    with pytest.raises(LeftTheData, match="positions or energy aren't finite numbers"):
        run(tmp_path, stretched(0, chains(1), 4.0), Bonds(1e6), dynamics=LangevinReplicas(1e3, 1e-6), steps=2000)


def test_limits_are_in_standard_deviations_of_the_data():
    lengths = np.linalg.norm(np.diff(data().positions, axis=1), axis=2)
    deviations = limits().deviations(stretched(1, chains(3), 1.9))
    assert deviations[1, 1] == pytest.approx((1.9 - lengths[:, 1].mean()) / lengths[:, 1].std())
    assert deviations[0].max() < 1 and limits().deviations(chains(2, beads=3)[np.array([0])]).shape == (1, 2)
    hot = limits().deviations(stretched(1, chains(3, temperatures=1200.0), 1.9))
    assert hot == pytest.approx(deviations / 2)
    rigid = replace(data()[:9], positions=np.array(chains(9).positions))
    assert BondLimits.of(rigid).widths == pytest.approx([0.015, 0.015])


def test_bonds_beyond_the_limit_are_counted(tmp_path):
    run(tmp_path, limits=limits(report=0.01))
    log = rows(tmp_path)
    assert 8 < int(log[-1]["bonds_reported"]) <= 4 * 2 * 6
    assert Trajectories.load(tmp_path).settings["bonds_reported"] == int(log[-1]["bonds_reported"])


def test_other_settings_are_refused(tmp_path):
    run(tmp_path, steps=20)
    with pytest.raises(FileError, match="holds a run already"):
        run(tmp_path)
    with pytest.raises(ValueError, match="at step 20 already"):
        run(tmp_path, steps=20, resume=True)
    with pytest.raises(ValueError, match="had dynamics = .*resume it with what it had"):
        run(tmp_path, dynamics=LangevinReplicas(2.0, 0.02), resume=True)
    with pytest.raises(ValueError, match="had dtype = float64, not float32"):
        run(tmp_path, chains(4, dtype=np.float32), resume=True)
    with pytest.raises(FileError, match="to go on from"):
        run(tmp_path / "empty", resume=True)
    with pytest.raises(FileError, match="holds no replicas"):
        Trajectories.load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="dcd, xtc or h5; 'xyz'"):
        Output(tmp_path, 10, "xyz")
    with pytest.raises(ValueError, match="every 0 steps"):
        Output(tmp_path, 0)


def test_hdf5_without_pytables_is_refused_before_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="need PyTables"):
        Output(tmp_path, 10, "h5")
