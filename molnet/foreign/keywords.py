"""The keywords of n2p2's and RuNNer's input.nn."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from molnet.foreign.functions import FUNCTIONS
from molnet.foreign.lines import ForeignFileError, Line, lines

MANY = {*FUNCTIONS, "atom_energy", "element_nodes_short"}
"""May stand there more than once."""

_MODEL = """
    number_of_elements elements cutoff_type cutoff_alpha scale_symmetry_functions scale_symmetry_functions_sigma
    center_symmetry_functions scale_min_short scale_max_short global_hidden_layers_short global_nodes_short
    global_activation_short normalize_nodes mean_energy conv_energy conv_length nnp_type nn_type nnp_gen
    nnp_generation nn_type_short"""
MODEL = MANY | set(_MODEL.split())
"""What a network is made of."""

_TRAINING = """
    random_seed random_number_type test_fraction epochs use_short_forces use_short_nn rmse_threshold
    rmse_threshold_energy rmse_threshold_force rmse_threshold_trials rmse_threshold_trials_energy
    rmse_threshold_trials_force short_energy_error_threshold short_force_error_threshold energy_fraction
    force_fraction short_energy_fraction short_force_fraction use_old_weights_short use_old_scaling weights_min
    weights_max nguyen_widrow_weights_short precondition_weights main_error_metric write_trainpoints
    write_trainforces write_weights_epoch write_neuronstats write_trainlog write_unformatted write_weightpernode
    repeated_energy_update updater_type parallel_mode jacobian_mode update_strategy selection_mode
    selection_mode_energy selection_mode_force task_batch_size_energy task_batch_size_force gradient_type
    gradient_eta gradient_adam_eta gradient_adam_beta1 gradient_adam_beta2 gradient_adam_epsilon kalman_type
    kalman_epsilon kalman_eta kalman_etatau kalman_etamax kalman_q0 kalman_qtau kalman_qmin kalman_lambda_short
    kalman_nue_short memorize_symfunc_results force_weight normalize_data_set force_energy_ratio debug_mode
    runner_mode points_in_memory mix_all_points optmode_short_energy optmode_short_force force_update_scaling
    short_energy_group short_force_group energy_threshold force_threshold bond_threshold fitting_unit
    calculate_forces calculate_stress detailed_timing remove_atom_energies print_mad energy_cutoff"""
TRAINING = set(_TRAINING.split())
"""Says how the network was trained, or how a program runs: nothing of it belongs to the network."""

NEEDED = (
    "elements",
    "cutoff_type",
    "global_hidden_layers_short",
    "global_nodes_short",
    "global_activation_short",
)


class Keywords:
    """The lines of an input.nn by keyword.

    Raises FileNotFoundError, and ForeignFileError for unknown keywords, those that stand there twice, and missing ones.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, list[Line]] = {}
        for line in lines(path):
            name = line.words[0]
            if name not in MODEL | TRAINING:
                near = get_close_matches(name, MODEL | TRAINING, n=1)
                line.refuse(f"has the unknown keyword {name!r}" + (f"; did you mean {near[0]}?" if near else "."))
            if name in self._found and name not in MANY:
                line.refuse(f"has {name} again, after line {self._found[name][0].number}; leave one of them.")
            self._found.setdefault(name, []).append(line)
        for name in NEEDED:
            if name not in self._found:
                self.refuse(f"has no {name}; every network needs it.")

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def all(self, name: str) -> list[Line]:
        return self._found.get(name, [])

    def one(self, name: str) -> Line:
        return self._found[name][0]

    def real(self, name: str, default: float) -> float:
        return self.one(name).real(1) if name in self else default

    def refuse(self, what: str) -> NoReturn:
        raise ForeignFileError(f"{self.path} {what}")
