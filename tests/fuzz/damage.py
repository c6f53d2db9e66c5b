"""What can happen to bytes, JSON and lines of text: seeded, so that each can be repeated."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

WORDS: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 0.1, -0.0, 1e308, 1e-320,
    "", " ", "x", "0", "-1", "1e5", "1E+999999", "1E-999999", "1E+99999999999", "NaN", "nan",
    "sNaN",
    "Infinity", "-inf", "0x10", "1_000", "\uff11\uff12", "1,5", "9" * 400,
    "\x00", "\n", "\ud800", "\u202e",
    "é", "💥", "AAPL.STK.USD@IB", "../../x", "2020-02-30T00:00:00Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z", "2020-03-02T15:05:00", [], {}, [[]], [None], {"": None}, {"schema": 2},
    ["x"] * 50, {"a": {"b": {"c": []}}},
)  # fmt: skip
"""Values that programs stumble over."""

NUMBERS = (
    "0", "-0", "1", "-1", "00", "1e3", "1E400", "1e-400", "NaN", "inf", "-Infinity", "1.5", "1,5",
    "9" * 30, "9" * 5000, "2147483647", "2147483648", "9223372036854775807",
    "1.7976931348623157E308", "0.1", "true", "", " ", "\u0661", "--1", "1e", "0x1F", "1_0",
)  # fmt: skip


def damaged_bytes(rng: random.Random, content: bytes, other: bytes = b"") -> bytes:
    """Return content to which one thing happened, as disks and editors do it."""
    size = len(content)
    first = rng.randrange(size + 1)
    last = min(size, first + rng.choice((1, 2, 16, 512, size)))
    ways: list[Callable[[], bytes]] = [
        lambda: _flipped(rng, content, 1),
        lambda: _flipped(rng, content, 8),
        lambda: content[:first],
        lambda: content[first:],
        lambda: content[:first] + content[last:],
        lambda: content[:last] + content[first:],
        lambda: content[:first] + b"\0" * (last - first) + content[last:],
        lambda: content[:first] + rng.randbytes(rng.choice((1, 8, 600))) + content[first:],
        lambda: b"",
        lambda: b"\n",
        lambda: b"\0" * size,
        lambda: rng.randbytes(size),
        lambda: other,
        lambda: content + content,
        lambda: content.replace(b"\n", b"\r\n"),
        lambda: b"\xef\xbb\xbf" + content,
        lambda: content.decode("latin-1").encode("utf-16"),
        lambda: b"[" * 200_000,
        lambda: b'{"a":' * 200_000,
        lambda: b"9" * 10_000,
        lambda: b"null",
    ]
    return rng.choice(ways)()


def _flipped(rng: random.Random, content: bytes, count: int) -> bytes:
    changed = bytearray(content)
    for _ in range(count if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def damaged_json(rng: random.Random, plain: Any) -> str:
    """Return the text of a JSON value of which one to three places are not what they were."""
    changed = {"it": copy.deepcopy(plain)}
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _change(rng, changed)
    text = json.dumps(changed["it"], ensure_ascii=rng.random() < 0.9, default=str)
    if rng.random() < 0.03:
        text = text.replace('"', '"\\ud83d', 1)
    if rng.random() < 0.03:
        depth = rng.choice((50, 1_000, 100_000))
        text = text.replace("null", "[" * depth + "]" * depth, 1)
    if rng.random() < 0.05:  # a key twice: the last one counts, or nobody knows
        text = text.replace("{", '{"schema": 2, "schema": 99, ', 1)
    return text


def damaged_lines(rng: random.Random, content: bytes) -> bytes:
    """Return lines of JSON or CSV of which one or two are not what or where they were."""
    lines = content.splitlines(keepends=True)
    for _ in range(rng.choice((1, 1, 2))):
        if not lines:
            break
        place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        way = rng.randrange(8)
        if way == 0:
            del lines[place]
        elif way == 1:
            lines.insert(other, lines[place])
        elif way == 2:
            lines[place], lines[other] = lines[other], lines[place]
        elif way == 3:
            lines[place] = damaged_bytes(rng, lines[place])
        elif way == 4:
            lines = lines[:place]
        elif lines[place].lstrip().startswith(b"{"):
            try:
                text = damaged_json(rng, json.loads(lines[place]))
            except (ValueError, RecursionError):  # damaged before
                continue
            lines[place] = text.encode("utf-8", "surrogatepass") + b"\n"
        else:
            lines[place] = damaged_row(rng, lines[place])
    return b"".join(lines)


def damaged_row(rng: random.Random, row: bytes) -> bytes:
    """Return a line of comma-separated cells of which one is not what it was."""
    cells = row.rstrip(b"\r\n").split(b",")
    place = rng.randrange(len(cells))
    word = rng.choice([*NUMBERS, *(each for each in WORDS if isinstance(each, str))])
    ways: list[Callable[[], list[bytes]]] = [
        lambda: [*cells[:place], word.encode("utf-8", "surrogatepass"), *cells[place + 1 :]],
        lambda: [*cells[:place], *cells[place + 1 :]],
        lambda: [*cells[:place], cells[place], *cells[place:]],
        lambda: [*cells[:place], b'"' + cells[place], *cells[place + 1 :]],
        lambda: cells[::-1],
    ]
    return b",".join(rng.choice(ways)()) + b"\n"


def _change(rng: random.Random, root: Any) -> None:
    """Change one place of a JSON value."""
    holder, key = rng.choice(_places(root))
    way = rng.randrange(9)
    if way <= 4:
        holder[key] = _word(rng, holder[key])
    elif way == 5:
        if holder is not root:
            del holder[key]
    elif way == 6 and isinstance(holder, dict):
        holder[f"{key}{rng.choice(('', 's', ' ', '_'))}x"] = holder[key]
    elif way == 7 and isinstance(holder, list):
        holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
    else:
        other, place = rng.choice(_places(root))
        value = copy.deepcopy(other[place])
        holder[key] = value


def _word(rng: random.Random, was: Any) -> Any:
    """Return another value; half the time one of the same kind."""
    if rng.random() < 0.5:
        return copy.deepcopy(rng.choice(WORDS))
    if isinstance(was, bool):
        return not was
    if isinstance(was, (int, float)):
        return rng.choice((-was, was * 10, was + 1, was * 10**9, 0, was / 7))
    if isinstance(was, str):
        if was.replace(".", "", 1).lstrip("-").isdigit():
            return rng.choice((f"-{was}", f"{was}0", f"{was}e3", f" {was}", f"{was}.5", *NUMBERS))
        return rng.choice((was[:-1], was * 2, was.upper(), was.lower(), was[::-1], f"{was}\n"))
    return [] if isinstance(was, dict) else {}


def _places(root: Any) -> list[tuple[Any, Any]]:
    """Return every place of a JSON value, as what holds it and the key there."""
    found: list[tuple[Any, Any]] = []
    left = [root]
    while left:
        here = left.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here))
        for key in keys:
            found.append((here, key))
            if isinstance(here[key], (dict, list)):
                left.append(here[key])
    return found
