"""The tests' type checker finds mistakes, in molnet too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from molnet.graph import Properties
from tests.typechecker import OFTEN, check, jaxtyped

checked = jaxtyped(typechecker=check)
TWO, THREE = torch.zeros(2), torch.zeros(3)


@checked
def longest(a: Float[Tensor, " n"], b: Float[Tensor, " n"], take: int = 3, *, scale: float = 1) -> Float[Tensor, " n"]:
    return scale * (a + b)[:take]


@checked
@dataclass
class Pair:
    first: Float[Tensor, " n"]
    second: Float[Tensor, " n"]

    @property
    @checked
    def count(self) -> int:
        return len(self.first) / 2

    @classmethod
    @checked
    def of(cls, each: Float[Tensor, " n"]) -> Pair:
        return cls(each, each)


@checked
def ones(n: int) -> Float[Tensor, " {n}"]:
    return torch.ones(2)


@checked
def each(first: Float[Tensor, " n"]) -> Iterator[int]:
    yield from range(len(first))


def test_what_is_right_passes() -> None:
    assert longest(THREE, THREE, scale=2).shape == (3,)
    assert torch.equal(Pair.of(TWO).second, TWO)
    assert ones(2).shape == (2,) and list(each(TWO)) == [0, 1]
    assert longest.__name__ == "longest" and longest.__wrapped__


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: longest(TWO, THREE),
        lambda: longest(TWO.int(), TWO.int()),
        lambda: longest(THREE, THREE, 2),
        lambda: longest(THREE, THREE, 3.0),
        lambda: Pair(TWO, THREE),
        lambda: Pair.of(torch.zeros(2, 2)),
        lambda: Pair(TWO, TWO).count,
        lambda: ones(3),
        lambda: each(torch.zeros(2, 2)),
        lambda: replace(Properties(TWO, torch.zeros(4, 3), torch.zeros(2, 3, 3)), energy=THREE),
    ],
)
def test_what_is_wrong_is_refused(wrong) -> None:
    with pytest.raises((BeartypeCallHintViolation, TypeCheckError)):
        wrong()


def test_of_many_calls_the_first_are_checked() -> None:
    for _ in range(OFTEN - 1):
        longest(THREE, THREE)
    with pytest.raises(BeartypeCallHintViolation):
        longest(THREE, THREE, 2)
    assert longest(THREE, THREE, 2).shape == (2,)


def test_of_functions_within_functions_the_first_is_checked() -> None:
    def made() -> Any:
        @checked
        def same(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
            return x

        return same

    with pytest.raises(BeartypeCallHintViolation):
        made()(torch.zeros(2, 2))
    assert not hasattr(made(), "__wrapped__")
