"""Parameters of terms by the types of their atoms, whichever end is first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from molnet.potential import LARGEST_SPECIES, UnknownSpecies

Types = tuple[int, ...]


def canonical(types: Sequence[int]) -> Types:
    """The types of a term, read from the end that makes them the smaller tuple."""
    return min(tuple(types), tuple(reversed(types)))


class TypeIndex(nn.Module):
    """Types of terms to their places in a list, where a tuple and its reverse are the same.

    Raises ValueError for tuples of other lengths than `order` and for types that occur twice.
    """

    keys: Tensor
    places: Tensor

    def __init__(self, types: Sequence[Sequence[int]], order: int, term: str) -> None:
        super().__init__()
        self.term, self.types = term, [canonical(each) for each in types]
        wrong = any(len(each) != order or not 0 <= min(each) <= max(each) <= LARGEST_SPECIES for each in self.types)
        if not self.types or wrong or len(set(self.types)) < len(self.types):
            raise ValueError(
                f"the types of {term}s are {self.types}; expected tuples of {order} types from 0 to {LARGEST_SPECIES}, "
                "each once, with their reverse."
            )
        keyed = sorted((_key(each), place) for place, each in enumerate(self.types))
        self.register_buffer("keys", torch.tensor([key for key, _ in keyed]), persistent=False)
        self.register_buffer("places", torch.tensor([place for _, place in keyed]), persistent=False)

    def forward(self, species: Int[Tensor, " atoms"], terms: Int[Tensor, "k terms"]) -> Int[Tensor, " terms"]:
        """Raises UnknownSpecies, with the types, for a term that isn't in the list."""
        types = species[terms]
        keys = torch.minimum(_key(types), _key(types.flip(0)))
        found = torch.searchsorted(self.keys, keys).clamp(max=self.keys.shape[0] - 1)
        unknown = self.keys[found] != keys
        if bool(unknown.any()):
            raise self.unknown(types[:, unknown][:, 0].tolist())
        return self.places[found]

    def place(self, types: Sequence[int]) -> int:
        """The place of one tuple; raises UnknownSpecies."""
        if canonical(types) not in self.types:
            raise self.unknown(types)
        return self.types.index(canonical(types))

    def unknown(self, types: Sequence[int]) -> UnknownSpecies:
        return UnknownSpecies(
            f"there is a {self.term} of types {label(types)}, for which there are no parameters; known are "
            f"{', '.join(map(label, self.types))}. Fit to data that have it, or leave it out of the topology."
        )


def label(types: Sequence[int]) -> str:
    return "-".join(str(z) for z in types)


def _key(types):  # type: ignore[no-untyped-def]  # of numbers or of tensors
    key = types[0]
    for z in types[1:]:
        key = key * (LARGEST_SPECIES + 1) + z
    return key


def shared(energies: Float[Tensor, " terms"], terms: Int[Tensor, "k terms"], n_atoms: int) -> Float[Tensor, " atoms"]:
    """Energies of terms in equal parts on their atoms."""
    k = terms.shape[0]
    return energies.new_zeros(n_atoms).index_add(0, terms.flatten(), (energies / k).repeat(k))
