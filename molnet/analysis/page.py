"""A web page in one file: a few building blocks that return HTML, and the style sheet."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5d646c; --rule: #d9dde1;
  --paper: #fff; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 50rem; padding: 2.5rem 1.25rem 4rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 3rem 0 .4rem; padding-top: .8rem; border-top: 1px solid var(--rule); }
p { margin: .4rem 0; max-width: 44rem; }
.terms { margin: .8rem 0 1.6rem; }
.terms p { margin: 0; }
.soft, figcaption { color: var(--soft); font-size: .875rem; line-height: 1.45; }
.scroll { overflow-x: auto; margin: .9rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--ink); }
th, td { padding: .32rem .7rem .32rem 0; text-align: left; vertical-align: baseline; }
td { border-bottom: 1px solid var(--rule); }
.number { text-align: right; }
td.number { white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
table.main td { font-size: 1rem; }
table.main td:nth-child(2) { font-weight: 650; }
dl { display: flex; flex-wrap: wrap; gap: .9rem 2.6rem; margin: 1.2rem 0; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; font-size: 1.1rem; }
.panels { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem 1.5rem; margin: 1rem 0 0;
  align-items: start; }
figure { margin: 0; }
figcaption { margin-top: .3rem; }
img { display: block; width: 100%; max-width: 26rem; height: auto; }
.wide img { max-width: none; }
details { margin: .8rem 0; }
summary { cursor: pointer; }
small { display: block; color: var(--soft); font-size: .8rem; }
td.value { overflow-wrap: anywhere;
  font-family: ui-monospace, "Liberation Mono", monospace; font-size: .82rem; }
@media (max-width: 40rem) {
  body { padding: 1.2rem 1rem 3rem; }
  .panels { grid-template-columns: minmax(0, 1fr); }
  table, table.main td { font-size: .8rem; }
  th, td { padding-right: .35rem; }
}
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e4e6e8; --soft: #9da5ad; --rule: #363b41; --paper: #14171a; }
  img { filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; }
}
@media print {
  :root { color-scheme: light; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  figure, tr, dl { break-inside: avoid; }
  h2, h2 + p { break-after: avoid; }
  details::details-content { content-visibility: visible; display: block; }
}
"""


class Cell(NamedTuple):
    """A cell of a table: its text, the classes of its style, and a remark in small print below."""

    text: str
    style: str = ""
    remark: str = ""


def page(title: str, body: Sequence[str]) -> str:
    """A whole page."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def heading(text: str, level: int = 2) -> str:
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, style: str = "") -> str:
    return f'<p class="{style}">{escape(text)}</p>'


def facts(items: Mapping[str, str]) -> str:
    """Short facts, each under its name."""
    return "<dl>" + "".join(f"<div>{_tag('dt', k)}{_tag('dd', v)}</div>" for k, v in items.items()) + "</dl>"


def number(text: str) -> Cell:
    """A cell that is aligned to the right."""
    return Cell(text, "number")


def table(head: Sequence[Cell], rows: Sequence[Sequence[Cell]], *, caption: str = "", style: str = "") -> str:
    """A table that scrolls by itself where the page is too narrow."""
    top = "".join(_cell("th", cell) for cell in head)
    body = "".join(f"<tr>{''.join(_cell('td', cell) for cell in row)}</tr>\n" for row in rows)
    below = paragraph(caption, "soft") if caption else ""
    return (
        f'<div class="scroll"><table class="{style}"><thead><tr>{top}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>{below}"
    )


def definitions(items: Mapping[str, str]) -> str:
    """What terms mean, a line each, in small print."""
    lines = (f'<p class="soft"><b>{escape(k)}</b>: {escape(v)}.</p>' for k, v in items.items())
    return f'<div class="terms">{"".join(lines)}</div>'


def panels(blocks: Sequence[str]) -> str:
    """Blocks two side by side, where there is room."""
    return f'<div class="panels">{"".join(blocks)}</div>'


def figure(image: Path, caption: str, style: str = "") -> str:
    """A PNG image, embedded, with its caption; in the style `wide` it takes the whole width."""
    data = base64.b64encode(image.read_bytes()).decode()
    alternative = escape(caption or image.stem.replace("_", " "))
    below = _tag("figcaption", caption) if caption else ""
    return f'<figure class="{style}"><img src="data:image/png;base64,{data}" alt="{alternative}">{below}</figure>'


def folded(title: str, values: Mapping[str, Any]) -> str:
    """A table of nested JSON by dotted names, closed until it is opened."""
    rows = [[Cell(name), Cell(value, "value")] for name, value in flatten(values).items()]
    return f"<details><summary>{escape(title)}</summary>{table([Cell('name'), Cell('value')], rows)}</details>"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """{"train": {"epochs": 5}} as {"train.epochs": "5"}."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def _cell(tag: str, cell: Cell) -> str:
    remark = _tag("small", cell.remark) if cell.remark else ""
    return f'<{tag} class="{cell.style}">{escape(cell.text)}{remark}</{tag}>'


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"
