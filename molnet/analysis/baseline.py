"""A network's errors beside those of the linear potential that it has to be measured by."""

from __future__ import annotations

import json
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from molnet.analysis.errors import QUANTITIES, Errors, shown
from molnet.files import atomic_write


def beside(network: Errors, baseline: Errors, folder: str | Path) -> Table:
    """Both errors as a table; those of the baseline are written to `baseline.json` too, where the report finds them."""
    content = json.dumps(baseline.as_dict(), indent=1, ensure_ascii=False)
    atomic_write(Path(folder) / "baseline.json", content.encode())
    columns = (Column(title, justify="right") for title in ("network", "linear baseline"))
    table = Table("MAE / RMSE", *columns, box=SIMPLE_HEAD)
    for name, quantity in QUANTITIES.items():
        pair = [getattr(errors, name) for errors in (network, baseline)]
        if pair[0].number:
            table.add_row(f"{quantity.title}, {quantity.unit}", *(f"{shown(m.mae)} / {shown(m.rmse)}" for m in pair))
    return table
