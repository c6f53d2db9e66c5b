"""A report before it has a form: the same blocks become a mail's text, its HTML and a page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rebalancer.model.words import plain

WIDTH = 78
"""Columns of the plain text."""


class Tone(StrEnum):
    """How loudly something is said."""

    PLAIN = "plain"
    GOOD = "good"
    NOTE = "note"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One thing said."""

    text: str
    tone: Tone = Tone.PLAIN
    kind: str = "paragraph"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, in two columns."""

    pairs: tuple[tuple[str, str], ...]
    kind: str = "facts"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells. `right` names the columns that are numbers.

    `stacked`: in plain text every row becomes a small paragraph, its first cell the title.
    `tones` has one tone a row, or is empty.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()
    stacked: bool = False
    tones: tuple[Tone, ...] = ()
    kind: str = "table"

    def tone(self, row: int) -> Tone:
        """Return a row's tone."""
        return self.tones[row] if self.tones else Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that goes with the report, by name; plain text leaves it out."""

    name: str
    alt: str
    kind: str = "picture"


Block = Paragraph | Facts | Table | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. `banner` is the loud mark of a run without real money ('' for live)."""

    title: str
    subtitle: str
    banner: str = ""
    lead: tuple[Paragraph, ...] = ()
    sections: tuple[Section, ...] = field(default_factory=tuple)
    footer: tuple[str, ...] = ()


def document_text(document: Document) -> str:
    """Return the report as plain text, one line each way of `WIDTH` where it can be."""
    lines: list[str] = []
    if document.banner:
        lines += ["*" * WIDTH, *textwrap.wrap(document.banner, WIDTH), "*" * WIDTH, ""]
    lines += [document.title, document.subtitle, ""]
    for paragraph in document.lead:
        lines += [*_paragraph(paragraph), ""]
    for section in document.sections:
        lines += [section.title, "-" * len(section.title)]
        for block in section.blocks:
            lines += _block(block)
        lines.append("")
    for line in document.footer:
        lines += textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(plain(line).rstrip() for line in lines).rstrip() + "\n"


def table_lines(table: Table) -> list[str]:
    """Return a table as aligned lines of plain text."""
    if table.stacked:
        return _stacked(table)
    rows = [table.header, *table.rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.header))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if place in table.right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines


def _block(block: Block) -> list[str]:
    if isinstance(block, Paragraph):
        return _paragraph(block)
    if isinstance(block, Facts):
        width = max((len(name) for name, _ in block.pairs), default=0)
        return [f"{name.ljust(width)}  {value}" for name, value in block.pairs]
    if isinstance(block, Table):
        return table_lines(block)
    return []


def _paragraph(paragraph: Paragraph) -> list[str]:
    mark = {Tone.BAD: "!! ", Tone.WARN: "! "}.get(paragraph.tone, "")
    wrapped: list[str] = []
    for line in paragraph.text.splitlines() or [""]:
        wrapped += _wrap(mark + line, indent=" " * len(mark)) or [""]
        mark = " " * len(mark)
    return wrapped


def _stacked(table: Table) -> list[str]:
    labels = table.header[1:]
    width = max((len(label) for label in labels), default=0) + 1
    lines: list[str] = []
    for row in table.rows:
        lines += _wrap(row[0])
        for label, cell in zip(labels, row[1:], strict=True):
            if cell:
                head = f"    {(label.lower() + ':').ljust(width)} "
                lines += _wrap(head + cell, indent=" " * len(head))
    return lines


def _wrap(text: str, indent: str = "") -> Sequence[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
