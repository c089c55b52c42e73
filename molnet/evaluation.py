"""Energy, forces and stress of any potential: the one place where energies are differentiated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from molnet.graph import Graph, Properties
from molnet.potential import Committee, Potential


def evaluate(
    potential: Potential,
    graph: Graph,
    *,
    differentiable: bool = False,
    check: Callable[[Potential, Graph], None] | None = None,
) -> Properties:
    """Energy E (eV), forces −∂E/∂r (eV/Å) and stress (1/V) ∂E/∂ε (eV/Å³) of each structure.

    The strain ε deforms positions and cell together, r → r(1 + ε) and h → h(1 + ε), so that the stress is right for
    every potential that is a function of them; it is positive under tension, as in ASE, and NaN for a structure that
    isn't periodic in all three directions. `differentiable` keeps what training on forces needs;
    `check` is shown the graph first, such as the `Warn` and `Stop` of `molnet.features` that look for extrapolation.

    Raises `UnknownSpecies` if the graph holds a species that the potential wasn't made for, and ValueError if its
    neighbour lists end before the potential's cutoff.
    """
    refuse_unfit(potential, graph)
    if check is not None:
        check(potential, graph)
    # A caller's inference mode would make forces zero: nothing is recorded in it, nor of the tensors made in it.
    with torch.inference_mode(False), torch.enable_grad():
        graph = _plain(graph).to(potential.device).to(potential.dtype)
        positions = graph.positions.detach().requires_grad_()
        strain = torch.zeros_like(graph.cell).requires_grad_()
        periodic = bool(graph.cell.any())
        moved = replace(graph, positions=positions)
        energy = graph.sum_atoms(potential(_strained(moved, strain) if periodic else moved))
        gradient, virial = gradients(energy, (positions, strain), differentiable)
    stress = _stress(virial, graph) if periodic else torch.full_like(graph.cell, torch.nan)
    return Properties(energy if differentiable else energy.detach(), -gradient, stress)


def deviation(committee: Committee, graph: Graph) -> Properties:
    """The standard deviations of the members' energies (eV), forces (eV/Å) and stresses (eV/Å³), number by number.

    σ² = 1/n Σ_m (x_m − x̄)², at the cost of evaluating every member by itself.
    """
    # Any, as torch's containers don't say what they hold.
    members: Any = committee.members
    found = [evaluate(member, graph) for member in members]
    return Properties(
        *(torch.stack([getattr(p, name) for p in found]).std(dim=0, correction=0) for name, _ in found[0].tensors())
    )


def _stress(virial: Float[Tensor, "graphs 3 3"], graph: Graph) -> Float[Tensor, "graphs 3 3"]:
    volume = graph.volume[:, None, None]
    # Dividing by a NaN instead would spoil the derivatives of the periodic structures in the same batch.
    return torch.where(volume > 0, virial / volume.clamp(min=1e-30), torch.nan)


def refuse_unfit(potential: Potential, graph: Graph) -> None:
    """Raise `UnknownSpecies`, or ValueError for neighbour lists that end before the potential's cutoff."""
    potential.refuse_unknown(graph.species.tolist())
    reach = graph.reach.min().item()
    if reach < potential.cutoff * (1 - 1e-6):
        raise ValueError(
            f"the neighbour lists of the graph end at {reach:g} Å, but the potential reads neighbours up to "
            f"{potential.cutoff:g} Å; make it with to_graph(atoms, potential.cutoff)."
        )


def _plain(graph: Graph) -> Graph:
    inferred = {name: t.clone() for name, t in graph.tensors() if t.is_inference()}
    return replace(graph, **inferred) if inferred else graph


def _strained(graph: Graph, strain: Float[Tensor, "graphs 3 3"]) -> Graph:
    symmetric = 0.5 * (strain + strain.transpose(1, 2))
    if graph.n_graphs == 1:
        moved = graph.positions @ symmetric[0]
    else:
        moved = (graph.positions.unsqueeze(1) @ symmetric.index_select(0, graph.graph_index)).squeeze(1)
    return replace(graph, positions=graph.positions + moved, cell=graph.cell + graph.cell @ symmetric)


def gradients(energy: Tensor, inputs: tuple[Tensor, ...], differentiable: bool) -> tuple[Tensor, ...]:
    """The derivatives of the energies' sum, zero with respect to inputs that it doesn't depend on."""
    if not energy.requires_grad:
        return tuple(torch.zeros_like(x) for x in inputs)
    return torch.autograd.grad(
        energy.sum(), inputs, create_graph=differentiable, allow_unused=True, materialize_grads=True
    )


def jacobian(outputs: Float[Tensor, " outputs"], parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The derivatives of all outputs with respect to each parameter, outputs × its shape, in one pass backwards."""
    directions = torch.eye(len(outputs), dtype=outputs.dtype, device=outputs.device)

    def along(direction: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(
            outputs, parameters, direction, retain_graph=True, allow_unused=True, materialize_grads=True
        )

    found: tuple[Tensor, ...] = torch.func.vmap(along)(directions)
    return found
