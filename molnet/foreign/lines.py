"""Text files line by line: what is wrong is said with the file and the line."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ase.data import atomic_numbers


class ForeignFileError(ValueError):
    """A file of another program that can't be read as what it should be."""


@dataclass(frozen=True)
class Line:
    """The words of one line, and where it stands."""

    path: Path
    number: int
    words: tuple[str, ...]

    def refuse(self, what: str) -> NoReturn:
        raise ForeignFileError(f"line {self.number} of {self.path} {what}")

    def real(self, place: int) -> float:
        """The word there as a number; NaN and infinity are none."""
        try:
            value = float(self._word(place))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.refuse(f"has {self._word(place)!r} as word {place + 1}; expected a number.")
        return value

    def whole(self, place: int) -> int:
        if not self._word(place).lstrip("-").isdigit():
            self.refuse(f"has {self._word(place)!r} as word {place + 1}; expected a whole number.")
        return int(self._word(place))

    def element(self, place: int) -> int:
        """The atomic number of the symbol there."""
        if self._word(place) not in atomic_numbers or self._word(place) == "X":
            self.refuse(f"has {self._word(place)!r} as word {place + 1}; expected the symbol of an element.")
        return int(atomic_numbers[self._word(place)])

    def _word(self, place: int) -> str:
        if place >= len(self.words):
            self.refuse(f"ends after {len(self.words)} words ({' '.join(self.words)}); expected more.")
        return self.words[place]


def lines(path: Path, *, comments: Sequence[str] = ("#", "!")) -> list[Line]:
    """The lines that hold words before what begins a comment.

    Raises FileNotFoundError, and ForeignFileError for a file that isn't text.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        text = path.read_text()
    except UnicodeDecodeError as error:
        raise ForeignFileError(f"{path} isn't a text file ({error}).") from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for mark in comments:
            line = line.partition(mark)[0]
        if words := tuple(line.split()):
            found.append(Line(path, number, words))
    return found


def written(value: float, guess: float, read: Callable[[float], float]) -> str:
    """The shortest number, near the guess, that is read as the value; the guess in full where none is."""
    for digits in range(1, 18):
        text = f"{guess:.{digits}g}"
        if read(float(text)) == value:
            return text
    near = [guess]
    for _ in range(4):
        near += [math.nextafter(near[-1], math.inf), math.nextafter(near[-1], -math.inf)]
    exact = [each for each in near if read(each) == value]
    return repr(exact[0] if exact else guess)
