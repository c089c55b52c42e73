"""An ASE calculator around any potential: relaxation, phonons, dynamics, and whatever else ASE can do."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import PropertyNotImplementedError
from ase.stress import full_3x3_to_voigt_6_stress

from molnet.data.neighbors import periodic_cell
from molnet.deploy import CompiledTerm, Step, compile
from molnet.deploy.step import Found
from molnet.evaluation import evaluate
from molnet.potential import Potential
from molnet.simulate.skin import SkinList, differ, same_substance


class Calculator(AseCalculator):
    """Energy and atom energies (eV), forces (eV/Å) and stress (eV/Å³, Voigt's order, tension positive).

    It computes with its own copy of the potential, in `dtype` and compiled (`molnet.deploy.compile`). The neighbour
    list reaches `skin` (Å) further than the potential's cutoff and is reused until atoms or cell have moved that
    far, as `SkinList` derives.
    The total charge is `atoms.info["charge"]` (e).

    Raises `UnknownSpecies` for species that the potential doesn't know, ValueError for two atoms at one
    place, and PropertyNotImplementedError for the stress of what isn't periodic in three directions.
    """

    name = "molnet"
    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 - ASE's type

    def __init__(self, potential: Potential, *, dtype: torch.dtype = torch.float64, skin: float = 0.5) -> None:
        super().__init__()
        if not skin >= 0:
            raise ValueError(f"the skin of a neighbour list is a length in Å, zero or more; {skin} was given.")
        self.potential = deepcopy(potential).to(dtype).requires_grad_(False).eval()
        self.compiled = compile(self.potential)
        self.neighbors = SkinList(self.potential.cutoff, skin, dtype=dtype, device=self.potential.device)
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
        """Fill `results`; atom energies cost another pass through the potential and come when asked for."""
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
        if set(properties) - {"energies"}:
            self._calculate(self.atoms)

    def _calculate(self, atoms: Atoms) -> None:
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
