"""Answers on the screen: aligned text everywhere, rich's tables on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

Row = Sequence[str]


def show_table(headers: Row, rows: Sequence[Row], *, right: Sequence[int] = ()) -> None:
    """Print a table; the columns in `right` (their places) are numbers."""
    if on_terminal():
        _rich(headers, rows, right)
    else:
        print(plain_table(headers, rows, right=right))


def plain_table(headers: Row, rows: Sequence[Row], *, right: Sequence[int] = ()) -> str:
    """Return a table as text, columns aligned and two blanks apart."""
    lines = [headers, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(headers))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if place in right else text.ljust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def on_terminal() -> bool:
    """Return whether somebody looks at our answer on a terminal that can show more than text."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _rich(headers: Row, rows: Sequence[Row], right: Sequence[int]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, header in enumerate(headers):
        table.add_column(
            header,
            justify="right" if place in right else "left",
            overflow="fold",
            no_wrap=place in right,
        )
    for row in rows:
        table.add_row(*(Text(text) for text in row))
    Console().print(table)
