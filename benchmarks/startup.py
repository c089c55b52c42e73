"""How long `molnet --help` takes, beside starting Python and beside importing torch."""

import statistics
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import molnet'": [sys.executable, "-c", "import molnet"],
    "molnet --help": [sys.executable, "-m", "molnet", "--help"],
    "molnet fit --help": [sys.executable, "-m", "molnet", "fit", "--help"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
}


def seconds(command: list[str]) -> float:
    """The median of seven runs."""
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    table = Table(title="Start-up; target: molnet --help under 1 s")
    for column in ("command", "seconds", "beside python"):
        table.add_column(column)
    found = {name: seconds(command) for name, command in COMMANDS.items()}
    for name, taken in found.items():
        table.add_row(name, f"{taken:.2f}", f"{taken / found['python -c pass']:.1f} ×")
    Console().print(table)


if __name__ == "__main__":
    main()
