"""Errors, dimer scans and the report of a run."""

from molnet.analysis.baseline import beside
from molnet.analysis.dimers import Dimers, dimers
from molnet.analysis.errors import Errors, Predictions, compare, errors, predict
from molnet.analysis.report import collect, write_report

__all__ = [
    "Dimers",
    "Errors",
    "Predictions",
    "beside",
    "collect",
    "compare",
    "dimers",
    "errors",
    "predict",
    "write_report",
]
