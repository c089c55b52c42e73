"""Times of several packages taken in turn: each has its own process, and only one works at a time."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from peers.packages import PEERS, Unavailable, environment, last_line
from rich.console import Console

HERE = Path(__file__).parent
FOLDER = Path("~/.cache/molnet-benchmarks").expanduser()


@dataclass(frozen=True)
class Case:
    """What is measured: steps of dynamics of one structure or, with a batch, training steps of that many."""

    package: str
    model: str
    system: str
    batch: int = 0


@dataclass(frozen=True)
class Times:
    """The milliseconds of a step, round by round."""

    rounds: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def __str__(self) -> str:
        return rounded(self.median)

    @property
    def range(self) -> str:
        return f"{rounded(min(self.rounds))}–{rounded(max(self.rounds))}"


def rounded(value: float) -> str:
    """Three digits, or all of a whole number that has more."""
    return f"{value:.0f}" if value >= 1000 else f"{value:#.3g}".rstrip(".")


def wide() -> Console:
    """A terminal on which no column of the tables is cut."""
    return Console(width=max(120, Console().width))


class Process:
    """A package in its own process, which waits while others are asked; with the most memory it has had."""

    def __init__(self, python: Path, script: str, log: Path, clock: str = "perf_counter") -> None:
        self.log, self.clock, self.gibibytes = log, clock, 0.0
        with log.open("w") as errors:
            command, pipe = [str(python), str(HERE / script)], subprocess.PIPE
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True)
        assert self.process.stdin and self.process.stdout
        self.questions, self.answers = self.process.stdin, self.process.stdout

    def milliseconds(self, case: Case, steps: int) -> float:
        """What a step took, on average. Raises Unavailable for a process that fails or has ended."""
        try:
            print(json.dumps({**asdict(case), "steps": steps, "clock": self.clock}), file=self.questions, flush=True)
            # Libraries may print lines of their own.
            answer = json.loads(next((line for line in self.answers if line.startswith("{")), "{}"))
        except BrokenPipeError:
            answer = {}
        if "seconds" not in answer:
            raise Unavailable(answer.get("error", f"its process ended; {self.log} says: {last_line(self.log)}"))
        self.gibibytes = answer["kilobytes"] / 2**20
        return 1e3 * answer["seconds"]

    def end(self) -> None:
        with suppress(BrokenPipeError):
            self.questions.close()
        self.answers.close()
        self.process.wait()


@contextmanager
def processes(names: Iterable[str], folder: Path, console: Console) -> Iterator[dict[str, Process]]:
    """molnet and the named packages, installed where they aren't yet; those that can't be are told and left out."""
    found = {}
    with ExitStack() as stack:
        for name in ("molnet", *names):
            try:
                place = folder / name.lower()
                place.mkdir(parents=True, exist_ok=True)
                python = Path(sys.executable)
                if name != "molnet":
                    console.print(f"{name}: installing into {place} where it isn't there yet …")
                    python = environment(PEERS[name], place)
                script = "with_molnet.py" if name == "molnet" else PEERS[name].script
                found[name] = Process(python, script, place / "run.log")
                stack.callback(found[name].end)
            except Unavailable as error:
                console.print(f"{name} is left out: {error}")
        yield found


def interleaved(
    running: dict[str, Process], cases: Sequence[Case], rounds: int, seconds: float, console: Console
) -> dict[Case, Times]:
    """The times of all cases of packages that run: round after round, in each of which every case has its turn.

    A turn is as many steps as take about that many seconds, at least three. A case that fails is told and left out.
    """
    times: dict[Case, list[float]] = {case: [] for case in cases if case.package in running}
    steps: dict[Case, int] = {}
    for turn in range(rounds + 1):
        for case in list(times):
            try:
                taken = running[case.package].milliseconds(case, steps.get(case, 5))
            except Unavailable as error:
                console.print(f"{case.package} {case.model} is left out of {case.system}: {error}")
                del times[case]
                continue
            # The first turn, which includes what compilers still do, only tells how many steps a turn has.
            times[case] += [taken] if turn else []
            steps.setdefault(case, max(3, round(1e3 * seconds / taken)))
    return {case: Times(found) for case, found in times.items()}


def conditions() -> str:
    """Threads and load, on which times depend."""
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    return f"OMP_NUM_THREADS {threads}, load average before {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
