"""An ASE calculator around any potential: relaxation, phonons, dynamics, and whatever else ASE can do."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import PropertyNotImplementedError
from ase.outputs import Properties as AseProperties
from ase.stress import full_3x3_to_voigt_6_stress

from molnet.data.neighbors import periodic_cell
from molnet.deploy import CompiledTerm, Step, compile
from molnet.deploy.step import Found
from molnet.evaluation import deviation, evaluate
from molnet.features.ranges import Check
from molnet.potential import Committee, Potential, Sum
from molnet.simulate.skin import SkinList, differ, same_substance

DEVIATIONS = ("energy_std", "forces_std")


class Calculator(AseCalculator):
    """Energy and atom energies (eV), forces (eV/Å) and stress (eV/Å³, Voigt's order, tension positive).

    It computes with its own copy of the potential, in `dtype` and compiled (`molnet.deploy.compile`). The neighbour
    list reaches `skin` (Å) further than the potential's cutoff and is reused until atoms or cell have moved that
    far, as `SkinList` derives.
    The total charge is `atoms.info["charge"]` (e).

    Of a `Committee`, or a `Sum` with one, `get_property("energy_std", atoms)` (eV) and `"forces_std"` (eV/Å) are the
    standard deviations of the members (`molnet.evaluation.deviation`). They cost a calculation with every member, and
    come when asked for.

    `extrapolation` (`Warn`, `Stop` of `molnet.features`) looks at each structure before its forces are calculated.

    Raises `UnknownSpecies` for species that the potential doesn't know, ValueError for two atoms at one
    place, and PropertyNotImplementedError for the stress of what isn't periodic in three directions.
    """

    name = "molnet"
    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 - ASE's type

    def __init__(
        self,
        potential: Potential,
        *,
        dtype: torch.dtype = torch.float64,
        skin: float = 0.5,
        extrapolation: Check | None = None,
    ) -> None:
        super().__init__()
        if not skin >= 0:
            raise ValueError(f"the skin of a neighbour list is a length in Å, zero or more; {skin} was given.")
        self.potential = deepcopy(potential).to(dtype).requires_grad_(False).eval()
        self.compiled = compile(self.potential)
        self.neighbors = SkinList(self.potential.cutoff, skin, dtype=dtype, device=self.potential.device)
        self._committee = _committee_of(self.potential)
        if self._committee is not None:
            self.implemented_properties = [*self.implemented_properties, *DEVIATIONS]
        self.extrapolation = extrapolation
        self._step: Step | None = None
        self._step_of = 0

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation; ASE's own check overlooks the total charge."""
        if self.atoms is None or not same_substance(self.atoms, atoms):
            return ["positions", "numbers", "cell", "pbc"]
        pairs = {
            "positions": (self.atoms.positions, atoms.positions),
            "cell": (self.atoms.cell.array, atoms.cell.array),
        }
        return [name for name, (one, other) in pairs.items() if differ(one, other, tol)]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = (),
    ) -> None:
        """Fill `results`; what costs more passes (atom energies, deviations) comes when asked for."""
        if atoms is not None and self.check_state(atoms):
            self.atoms, self.results = atoms.copy(), {}
        if self.atoms is None:
            raise ValueError("there is no structure to calculate; give atoms.")
        if "stress" in properties and not self.atoms.pbc.all():
            raise PropertyNotImplementedError(
                f"a stress needs a structure that is periodic in three directions; this one has pbc "
                f"{self.atoms.pbc.tolist()}. Set atoms.pbc = True and a cell, or don't ask for the stress."
            )
        if "energies" in properties:
            self._calculate_atom_energies(self.atoms)
        if set(properties) & set(DEVIATIONS):
            self._calculate_deviations(self.atoms)
        if set(properties) - {"energies", *DEVIATIONS}:
            self._calculate(self.atoms)

    def export_properties(self) -> AseProperties:
        """The results that ASE knows; deviations are none of them."""
        return AseProperties({name: value for name, value in self.results.items() if name not in DEVIATIONS})

    def _calculate(self, atoms: Atoms) -> None:
        if self.extrapolation is not None:
            self.extrapolation(self.potential, self.neighbors.graph(atoms))
        energy, forces, stress = self._found(atoms)
        self.results.update(energy=energy, free_energy=energy, forces=forces)
        if atoms.pbc.all():
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)

    def _found(self, atoms: Atoms) -> Found:
        if not isinstance(self.compiled, CompiledTerm):
            found = evaluate(self.compiled, self.neighbors.graph(atoms))
            return found.energy.item(), found.forces.cpu().double().numpy(), found.stress[0].cpu().double().numpy()
        self.neighbors.update(atoms)
        if self._step is None or self._step_of != self.neighbors.builds:
            self._step, self._step_of = Step(self.compiled, self.neighbors.listed), self.neighbors.builds
        return self._step(atoms.positions, periodic_cell(atoms))

    def _calculate_atom_energies(self, atoms: Atoms) -> None:
        self.potential.refuse_unknown(atoms.numbers.tolist())
        with torch.no_grad():
            self.results["energies"] = self.compiled(self.neighbors.graph(atoms)).cpu().double().numpy()

    def _calculate_deviations(self, atoms: Atoms) -> None:
        found = deviation(self._compiled_committee, self.neighbors.graph(atoms))
        values = found.energy.item(), found.forces.cpu().double().numpy()
        self.results.update(zip(DEVIATIONS, values, strict=True))

    @cached_property
    def _compiled_committee(self) -> Committee:
        # Any, as torch's containers don't say what they hold.
        whole: Any = self._committee
        return Committee(compile(member) for member in whole.members)


def _committee_of(potential: Potential) -> Committee | None:
    """The committee that the potential is, or of whose terms one is; the others know no deviation."""
    terms = list(potential.terms) if isinstance(potential, Sum) else [potential]
    found = [term for term in terms if isinstance(term, Committee)]
    return found[0] if len(found) == 1 else None
