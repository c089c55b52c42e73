"""Atoms by mdtraj's selection language or by the name of a preset."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import mdtraj
from jaxtyping import Int
from numpy import ndarray

from molnet.suggest import did_you_mean

_AMINES = "NME NMA NHE NH2"  # caps of the C terminus: their nitrogen is backbone, a methyl group isn't
_BACKBONE = (
    f"(protein and name N CA C and not resname ACE {_AMINES}) or (resname ACE and name C) "
    f"or (resname {_AMINES} and name N)"
)
PRESETS: Final[dict[str, str]] = {
    "ca": "protein and name CA",
    "heavy-backbone": _BACKBONE,
    "backbone-cb": f"{_BACKBONE} or (protein and name CB)",
}
"""Selections by name: Cα; N, Cα and C of the chain with its caps; the same with Cβ."""


def load_topology(topology: str | Path | mdtraj.Topology) -> mdtraj.Topology:
    """The topology of a file that mdtraj reads, or the one given."""
    return topology if isinstance(topology, mdtraj.Topology) else mdtraj.load_topology(str(topology))


def select(topology: mdtraj.Topology, selection: str) -> Int[ndarray, " atoms"]:
    """The atoms that a preset or a selection names, in the order of the topology.

    Raises ValueError where the selection can't be read, or matches no atom, with the nearest name that exists.
    """
    text = PRESETS.get(selection, selection)
    try:
        found = topology.select(text)
    except (ValueError, NameError, AttributeError, TypeError, KeyError, SyntaxError) as error:
        reason = str(error).strip().splitlines()[0].strip("'\"")
        hint = did_you_mean(selection, PRESETS)
        raise ValueError(
            f"{selection!r} is neither a preset ({', '.join(PRESETS)}) nor a selection that mdtraj reads{hint} {reason}"
        ) from error
    if len(found) == 0:
        raise ValueError(f"no atom matches {selection!r}{_nearest(topology, text)}")
    return found


def _nearest(topology: mdtraj.Topology, text: str) -> str:
    names = sorted({atom.name for atom in topology.atoms})
    residues = sorted({residue.name for residue in topology.residues})
    words = [word for word in re.findall(r"[\w'*]+", text) if word not in {*names, *residues}]
    hints = [hint for word in words if (hint := did_you_mean(word, [*names, *residues])) != "."]
    return (
        f"{hints[0] if hints else '.'} The atoms are named {_some(names)}, and the residues {_some(residues)}; "
        "mdtraj's selection language reads 'name CA', 'resname ALA' or 'protein and element C'."
    )


def _some(names: list[str], most: int = 20) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
