"""The packages that molnet is compared with: their versions, and an environment for each.

All get molnet's own versions of torch, NumPy and ASE (constraints.txt). pip obeys its usual settings: where a wheel of
torch for CPUs is wanted, name its place in PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL.
"""

import subprocess
import sys
from ast import literal_eval
from dataclasses import dataclass
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
SHARED = ("torch", "numpy", "ase")


@dataclass(frozen=True)
class Package:
    """What pip installs: `requirements` with what they depend on, `alone` without."""

    script: str
    requirements: tuple[str, ...]
    alone: tuple[str, ...] = ()


PEERS = {
    # It asks for sympy<=1.12 and torch for a newer one; so it comes alone, and what it imports is named here.
    "SchNetPack": Package(
        "with_schnetpack.py",
        (
            *("torch", "numpy", "ase", "h5py", "pyyaml", "tqdm", "fasteners", "dirsync", "matscipy==1.3.1"),
            *("hydra-core", "hydra-colorlog", "rich", "tensorboard", "tensorboardX"),
            *("pytorch-lightning", "torchmetrics", "torch-ema"),
        ),
        alone=("schnetpack==2.1.1",),
    ),
    "TorchANI": Package("with_torchani.py", ("torchani==2.9.0",)),
    "MACE": Package("with_mace.py", ("mace-torch==0.3.16", "matscipy==1.3.1")),
    "DeePMD-kit": Package("with_deepmd.py", ("torch", "numpy", "ase", "mpich", "e3nn", "deepmd-kit==3.2.0")),
}


class Unavailable(Exception):
    """A package that can't be installed or doesn't run, and why."""


def environment(package: Package, folder: Path) -> Path:
    """The Python of the package's environment in that folder, which is made where it isn't there or out of date."""
    python, log, done = folder / "bin" / "python", folder / "install.log", folder / "installed"
    wanted = (package.requirements, package.alone, CONSTRAINTS.read_text())
    if done.exists() and _decisive(*literal_eval(done.read_text())) == _decisive(*wanted):
        return python
    folder.mkdir(parents=True, exist_ok=True)
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    commands = [
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [*pip, "-c", str(CONSTRAINTS), *package.requirements],
        [*pip, "--no-deps", *package.alone],
    ]
    for command in commands if package.alone else commands[:2]:
        found = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        log.write_text(found.stdout)
        if found.returncode:
            raise Unavailable(f"its installation failed; {log} says: {last_line(log, 'ERROR')}")
    done.write_text(repr(wanted))
    return python


def _decisive(requirements: tuple[str, ...], alone: tuple[str, ...], constraints: str) -> tuple[object, ...]:
    """What an environment is out of date without: a pin of a package that only molnet needs is none of it."""
    pins = [line for line in constraints.splitlines() if line.partition("==")[0] in SHARED]
    return requirements, alone, pins


def last_line(log: Path, start: str = "") -> str:
    """The last line of a file that isn't empty, if possible one with that beginning."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return next((line for line in reversed(lines) if line.startswith(start)), lines[-1] if lines else "nothing")
