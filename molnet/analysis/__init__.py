"""Errors, dimer scans and the report of a run."""

from molnet.analysis.baseline import beside
from molnet.analysis.comparison import Contestant, comparison, write_comparison
from molnet.analysis.dimers import Dimers, dimers
from molnet.analysis.errors import Errors, Predictions, compare, errors, predict
from molnet.analysis.report import collect, write_report

__all__ = [
    "Contestant",
    "Dimers",
    "Errors",
    "Predictions",
    "beside",
    "collect",
    "compare",
    "comparison",
    "dimers",
    "errors",
    "predict",
    "write_comparison",
    "write_report",
]
