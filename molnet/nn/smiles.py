"""SMILES strings as numbers: their tokens, which may have more than one letter, in a fixed order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import torch
from jaxtyping import Int
from torch import Tensor

END: Final = 0
"""The token that ends a string, and stands before its first."""

_TOKEN: Final = re.compile(r"\[[^\]]+\]|Cl|Br|%\d\d|[BCNOPSFI]|[bcnops]|\d|[-=#$:/\\.()~*]")


def split_smiles(smiles: str) -> list[str]:
    """The tokens of a string: atoms, of which those in brackets are one token each, bonds, branches and ring numbers.

    Raises ValueError for an empty string and for what isn't SMILES.
    """
    place, found = 0, []
    while token := _TOKEN.match(smiles, place):
        found.append(token[0])
        place = token.end()
    if not found or place < len(smiles):
        raise ValueError(f"'{smiles}' isn't SMILES at place {place + 1}; expected atoms, bonds, branches and rings.")
    return found


class SmilesTokens:
    """Numbers from 1 on for the tokens of some strings, in alphabetical order; 0 is the end."""

    def __init__(self, smiles: Iterable[str]) -> None:
        self.tokens = ["", *sorted({token for one in smiles for token in split_smiles(one)})]
        self._number = {token: number for number, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, smiles: str) -> Int[Tensor, " tokens"]:
        """The numbers of a string's tokens, without the end; raises ValueError for a token that is unknown."""
        tokens = split_smiles(smiles)
        if unknown := sorted(set(tokens) - self._number.keys()):
            raise ValueError(f"the tokens {unknown} of '{smiles}' are not among the {len(self) - 1} known ones.")
        return torch.tensor([self._number[token] for token in tokens], dtype=torch.long)

    def decode(self, numbers: Int[Tensor, " tokens"]) -> str:
        """The string up to the first end."""
        found = numbers.tolist()
        return "".join(self.tokens[number] for number in found[: found.index(END) if END in found else None])
