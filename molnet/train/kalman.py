"""The extended Kalman filter: weights follow each measured number, weighed by how uncertain the weights still are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from molnet.evaluation import jacobian
from molnet.nn.mlp import GroupedMLP
from molnet.train.loop import Mean
from molnet.train.optimizers import trainable


@runtime_checkable
class Measured(Protocol):
    """A loss that is a sum of squares, and tells of what."""

    def measured(self, module: Any, batch: Any) -> tuple[dict[str, Mean], list[Tensor]]:
        """What the loss reports, and the weighted errors of each kind of number."""


@dataclass(frozen=True)
class Kalman:
    """The multistream extended Kalman filter with fading memory, one covariance P for each element's network.

    With the errors r of the numbers of a batch and their derivatives H with respect to the weights,

        S = σ²/s + Σ_g H_g P_g H_gᵀ,    w_g ← w_g − P_g H_gᵀ S⁻¹ r,    P_g ← (P_g − P_g H_gᵀ S⁻¹ H_g P_g)/λ + q.

    All the structures of a batch (the streams) are one update; of their force components, at most `components` drawn at
    random (None for all). Numbers are weighted as in the loss, in such units that those of a batch count 1 on average.
    P begins as `covariance`; σ is the `noise` of the numbers, in eV/Å for forces with the weight 1; q is the
    `process_noise`, and s the factor of the recipe's schedule. The memory λ approaches 1 from `memory`, by
    λ ← ν λ + 1 − ν at each step, ν being `fading`.

    Source: T. B. Blank & S. D. Brown, J. Chemom. 8, 391 (1994); G. V. Puskorius & L. A. Feldkamp, IEEE Trans. Neural
    Netw. 5, 279 (1994) (one P for each group); A. Singraber et al., J. Chem. Theory Comput. 15, 3075 (2019).
    Raises ValueError for settings out of range.
    """

    components: int | None = 60
    covariance: float = 0.1
    noise: float = 0.3
    process_noise: float = 0.0
    memory: float = 0.99
    fading: float = 0.999

    def __post_init__(self) -> None:
        positive = {"covariance": self.covariance, "noise": self.noise, "components": self.components or 1}
        for name, value in positive.items():
            if not value > 0:
                raise ValueError(f"Kalman's {name} is {value}; expected a positive number.")
        for name, value in {"memory": self.memory, "fading": self.fading}.items():
            if not 0 < value <= 1:
                raise ValueError(f"Kalman's {name} is {value}; expected a factor above 0 and at most 1.")
        if self.process_noise < 0:
            raise ValueError(f"Kalman's process_noise is {self.process_noise}; expected 0 or more.")

    def build(self, module: nn.Module) -> KalmanFilter:
        return KalmanFilter(_groups(module), self)


def _groups(module: nn.Module) -> list[list[nn.Parameter]]:
    """The parameters of each network of a group by themselves, and the others together."""
    networks = [net for part in module.modules() if isinstance(part, GroupedMLP) for net in part.networks]
    groups = [trainable(network) for network in networks]
    found = {id(p) for group in groups for p in group}
    return [group for group in (*groups, [p for p in trainable(module) if id(p) not in found]) if group]


class KalmanFilter(torch.optim.Optimizer):
    """The filter at work: `state` holds each group's covariance, in double precision, and the memory."""

    def __init__(self, groups: Sequence[Sequence[nn.Parameter]], settings: Kalman) -> None:
        super().__init__([{"params": list(group), "lr": 1.0} for group in groups], {})
        self.settings = settings
        for group in self.param_groups:
            n = sum(p.numel() for p in group["params"])
            start = group["params"][0]
            self.state[start]["covariance"] = settings.covariance * torch.eye(n, dtype=torch.float64)
            self.state[start]["memory"], self.state[start]["step"] = settings.memory, 0

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, which would round the covariances to the weights' precision."""
        super().load_state_dict(state_dict)
        parameters = [p for group in self.param_groups for p in group["params"]]
        for number, state in state_dict["state"].items():
            self.state[parameters[number]]["covariance"] = state["covariance"].clone()

    def learn(self, module: nn.Module, loss: Any, batch: Any) -> Mapping[str, Mean]:
        """One update; nothing is touched where an error isn't finite. ValueError for a loss of other than squares."""
        if not isinstance(loss, Measured):
            raise ValueError(f"the Kalman filter needs a loss of squared errors; found {type(loss).__name__}.")
        means, kinds = loss.measured(module, batch)
        errors = torch.cat(self._chosen(kinds))
        groups = [group["params"] for group in self.param_groups]
        found = jacobian(errors, [p for group in groups for p in group])
        if errors.isfinite().all() and all(part.isfinite().all() for part in found):
            columns = iter(found)
            self._update(errors.detach(), [[next(columns) for _ in group] for group in groups])
        return means

    def _chosen(self, kinds: Sequence[Tensor]) -> list[Tensor]:
        """Of each kind no more than `components`, weighted so that their squares keep their sum on average."""
        most, step = self.settings.components, self.state[self.param_groups[0]["params"][0]]["step"]
        generator = torch.Generator().manual_seed(step)
        chosen = []
        for errors in kinds:
            n = len(errors) if most is None else min(most, len(errors))
            places = torch.randperm(len(errors), generator=generator)[:n]
            chosen.append((len(errors) / n) ** 0.5 * errors[places])
        scale = sum(map(len, chosen)) ** 0.5
        return [scale * errors for errors in chosen]

    @torch.no_grad()
    def _update(self, errors: Float[Tensor, " errors"], parts: Sequence[Sequence[Tensor]]) -> None:
        if not (scale := self.param_groups[0]["lr"]):
            return
        variance = self.settings.noise**2 / scale
        H = [torch.cat([part.flatten(1) for part in group], dim=1).double() for group in parts]
        states = [self.state[group["params"][0]] for group in self.param_groups]
        HP = [h @ state["covariance"] for h, state in zip(H, states, strict=True)]
        S = variance * torch.eye(len(errors), dtype=torch.float64)
        S = S + sum(hp @ h.T for hp, h in zip(HP, H, strict=True))
        root = torch.linalg.cholesky(0.5 * (S + S.T))
        corrections = torch.cholesky_solve(errors.double().unsqueeze(1), root).squeeze(1)
        for group, state, hp in zip(self.param_groups, states, HP, strict=True):
            self._advance(state, torch.linalg.solve_triangular(root, hp, upper=False))
            steps = (corrections @ hp).split([p.numel() for p in group["params"]])
            for p, step in zip(group["params"], steps, strict=True):
                p.sub_(step.view_as(p))

    def _advance(self, state: dict[str, Any], gained: Float[Tensor, "errors weights"]) -> None:
        P, fading = state["covariance"], self.settings.fading
        P.addmm_(gained.T, gained, beta=1 / state["memory"], alpha=-1 / state["memory"])
        P.diagonal().add_(self.settings.process_noise)
        state["memory"] = fading * state["memory"] + 1 - fading
        state["step"] += 1
