"""Damage to texts of a form: TOML with its tables, CSV with its columns, JSON in its places."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

from tests.fuzz.damage import NUMBERS, damaged_bytes, damaged_json, damaged_lines, damaged_row

TEXTS = (
    "", " ", "a\0b", "null", "true", "=1+1", "../../x", "caf\u00e9", "\U0001f600", "\u202egnp",
    "\ufeff", "a" * 5000, "line\nline", "<b>&amp;</b>", "%s%n", "{}", "AAPL.STK.USD@IB", "CASH",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2020-02-30T00:00:00Z", "2020-03-02T15:00:00",
)  # fmt: skip
"""Texts that somebody will once have to read."""

PATHS = ("~nosuchuser/x", "~nosuchuser/x.py", "a\0b", "a\0b.py", "a" * 300, "a" * 300 + ".py", "/")
PATH_KEYS = ("portfolio.state", "mail.cafile", "sleeve.generator")
"""Paths that no file system follows, and where they may stand."""

VALUES = (
    *(number for number in NUMBERS if number.strip()),
    *(json.dumps(text) for text in (*NUMBERS, *TEXTS)),
    "true", "false", "[]", "{}", "[[]]", '["x"]', "[1, 'a']", "{ a = { b = 1 } }", "[{}]",
    "1979-05-27", "07:32:00", "1979-05-27T07:32:00", "9999-12-31T23:59:59-23:00",
    "0001-01-01T00:00:00+23:00", "[" * 60 + "]" * 60, "'''\na\n'''", "'\\'", "=", "",
)  # fmt: skip
"""Values of every type there is, and some that are none."""

KEY_LINE = re.compile(r"^(?P<key>[\w.-]+) *= *(?P<value>.*)$")


def spoil_bytes(dice: Random, content: bytes) -> bytes:
    """Return other bytes: flipped, cut, doubled, swapped, filled with rubbish."""
    return damaged_bytes(dice, content)


def spoil_json(dice: Random, plain: Any) -> bytes:
    """Return the text of a JSON value that is another in one place or a few."""
    return damaged_json(dice, plain).encode("utf-8", "surrogatepass")


def spoil_json_text(dice: Random, content: bytes) -> bytes:
    """Return JSON text, or one of its lines, changed; other bytes when it is no JSON."""
    try:
        return spoil_json(dice, json.loads(content))
    except (ValueError, RecursionError):
        return damaged_lines(dice, content)


def spoil_csv(dice: Random, content: bytes) -> bytes:
    """Return a CSV file with a cell, a row, or a column changed."""
    lines = content.splitlines(keepends=True)
    if not lines or dice.random() < 0.3:
        return damaged_lines(dice, content)
    if dice.random() < 0.2:
        rows = [line.rstrip(b"\n").split(b",") for line in lines]
        column = dice.randrange(len(rows[0]))
        return b"".join(b",".join(row[:column] + row[column + 1 :]) + b"\n" for row in rows)
    place = dice.randrange(len(lines))
    lines[place] = damaged_row(dice, lines[place])
    return b"".join(lines)


def spoil_toml(dice: Random, text: str, keys: tuple[str, ...]) -> str:
    """Return TOML with a key changed, gone, doubled, moved, added, or a table so; `keys`: known."""
    lines = text.splitlines()
    valued = [place for place, line in enumerate(lines) if KEY_LINE.match(line)]
    heads = [place for place, line in enumerate(lines) if line.startswith("[")]
    if not valued or not heads:
        return text + "\nx = 1\n"
    at, head = dice.choice(valued), dice.choice(heads)
    what = dice.randrange(13)
    if what <= 3:
        key = KEY_LINE.sub(r"\g<key>", lines[at])
        lines[at] = f"{key} = {_value(dice)}"
    elif what == 4:
        del lines[at]
    elif what == 5:
        lines.insert(dice.choice(valued), lines[at])
    elif what == 6:
        name = lines[head].strip("[]")
        heading = (name, f"[[{name}]]", "[x]", "[[x.y]]", lines[dice.choice(heads)], "[a.b.c]")
        lines[head] = dice.choice(heading)
    elif what == 7:
        del lines[head]
    elif what <= 10:
        table, _, key = dice.choice(keys).rpartition(".")
        where = next((i for i, line in enumerate(lines) if line.strip("[]") == table), head)
        lines.insert(where + 1, f"{key} = {_value(dice)}")
    elif what == 11:
        table, _, key = dice.choice(PATH_KEYS).partition(".")
        lines = [line for line in lines if not line.startswith(f"{key} =")]
        places = [i for i, line in enumerate(lines) if line.strip("[]") == table]
        if not places:
            lines, places = [*lines, f"[{table}]"], [len(lines)]
        lines.insert(places[0] + 1, f"{key} = {json.dumps(dice.choice(PATHS))}")
    else:
        end = next((place for place in heads if place > head), len(lines))
        part = lines[head:end]
        del lines[head:end]
        lines += part * dice.choice((0, 1, 2))
    return "\n".join(lines) + "\n"


def _value(dice: Random) -> str:
    """Return a value of any type, or none."""
    deep = "[" * 5000 + "]" * 5000
    return dice.choice((dice.choice(VALUES), dice.choice(VALUES), dice.choice(VALUES), deep))
