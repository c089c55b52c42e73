from __future__ import annotations

import csv

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from molnet.nn.smiles import SmilesTokens, split_smiles
from tests.shared import shared_data

PARTS = ["C", "Cl", "Br", "B", "c", "n", "[nH]", "[C@@H]", "[13CH3-]", "%12", "1", "=", "#", "(", ")", "/", "\\", "."]


@given(st.lists(st.sampled_from(PARTS), min_size=1))
def test_tokens_are_found_and_joined_again(parts: list[str]) -> None:
    assert split_smiles("".join(parts)) == parts
    vocabulary = SmilesTokens(["".join(PARTS)])
    assert vocabulary.decode(vocabulary.encode("".join(parts))) == "".join(parts)


def test_the_end_ends_a_string() -> None:
    vocabulary = SmilesTokens(["CCl", "c1ccccc1"])
    assert len(vocabulary) == 5
    assert vocabulary.encode("ClC1").tolist() == [3, 2, 1]
    assert vocabulary.decode(torch.tensor([2, 3, 0, 2, 0])) == "CCl"
    assert vocabulary.decode(torch.tensor([0, 3])) == ""


def test_published_molecules_have_few_tokens() -> None:
    with shared_data("moleculenet/delaney-processed.csv").open() as file:
        smiles = [row["smiles"].strip() for row in csv.DictReader(file)]
    vocabulary = SmilesTokens(smiles)
    assert len(vocabulary) == 29
    assert [vocabulary.decode(vocabulary.encode(one)) for one in smiles] == smiles


def test_errors_name_the_place() -> None:
    for smiles, place in (("", 1), ("CCX", 3), ("C[CH", 2), ("C%1", 2), ("C C", 2)):
        with pytest.raises(ValueError, match=f"'{smiles.replace('[', '.')}' isn't SMILES at place {place}"):
            split_smiles(smiles)
    with pytest.raises(ValueError, match=r"the tokens \['N', 'O'\] of 'CNO' are not among the 1 known"):
        SmilesTokens(["CC"]).encode("CNO")
