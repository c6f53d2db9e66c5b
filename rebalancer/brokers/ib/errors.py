"""What the gateway's error codes mean: our own table, never the library's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from rebalancer.errors import ConfigError, Problem

TABLE = Path(__file__).with_name("errors.toml")
OWNERS_FILE = "ib_errors.toml"
NOTICES = range(2100, 2200)
"""Codes that never say more than something worth knowing; those listed in the table apart."""


class ErrorKind(StrEnum):
    """What a code does to a run; `errors.toml` explains the words."""

    INFORMATION = "information"
    WAIT = "wait"
    DATA = "data"
    HOLD = "hold"
    REJECTED = "rejected"
    HALT = "halt"
    UNKNOWN = "unknown"


class About(StrEnum):
    """What a code is about."""

    ORDER = "order"
    REQUEST = "request"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """One code: what it does, what it is about, in words, and what the owner should do."""

    code: int
    kind: ErrorKind
    about: About
    meaning: str
    advice: str = ""


_KEYS = ("kind", "about", "meaning", "advice")
_owners: dict[int, ErrorMeaning] = {}


@cache
def table() -> Mapping[int, ErrorMeaning]:
    """Return the codes of `errors.toml`."""
    return read_table(TABLE)


def meaning(code: int) -> ErrorMeaning:
    """Return what a code means; one that nobody has listed is UNKNOWN, a notice INFORMATION."""
    found = _owners.get(code) or table().get(code)
    if found is not None:
        return found
    if code in NOTICES:
        return ErrorMeaning(code, ErrorKind.INFORMATION, About.CONNECTION, "a notice")
    return ErrorMeaning(
        code,
        ErrorKind.UNKNOWN,
        About.ORDER,
        "a code that is not in the table",
        f"look it up, and add it to {OWNERS_FILE}",
    )


def is_known(code: int) -> bool:
    """Return whether somebody has said what a code means."""
    return meaning(code).kind is not ErrorKind.UNKNOWN


def is_refusal(code: int) -> bool:
    """Return whether an order with this code was refused, and nothing of it lives."""
    return meaning(code).kind is ErrorKind.REJECTED


def learn(folder: Path | None) -> None:
    """Take over the owner's own codes from `ib_errors.toml` in a folder, if it is there.

    They add to the table, or stand in the place of its own, until the next call. Raises
    `ConfigError` naming the file, the code and the key that is wrong.
    """
    _owners.clear()
    path = None if folder is None else folder / OWNERS_FILE
    if path is not None and path.is_file():
        _owners.update(read_table(path))


def read_table(path: Path) -> dict[int, ErrorMeaning]:
    """Return the codes of a file; raises `ConfigError` with everything that is wrong with it."""
    problems: list[Problem] = []
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([Problem(str(path), "file", "", f"cannot be read: {error}")]) from error
    found = {}
    for name, entry in document.items():
        read = _entry(path, name, entry, problems)
        if read is not None:
            found[read.code] = read
    if problems:
        raise ConfigError(problems)
    return found


def _entry(path: Path, name: str, entry: object, problems: list[Problem]) -> ErrorMeaning | None:
    def wrong(key: str, value: object, why: str, hint: str = "") -> None:
        problems.append(Problem(str(path), key, "" if value is None else str(value), why, hint))

    before = len(problems)
    if not (name.isascii() and name.isdigit()):
        wrong(name, None, "is not an error code", "write [10349]")
    if not isinstance(entry, dict):
        wrong(name, entry, "must be a table", f"write [{name}]")
        return None
    for key in sorted(entry.keys() - set(_KEYS)):
        wrong(f"{name}.{key}", entry[key], "unknown key", f"known: {', '.join(_KEYS)}")
    for key, kinds in (("kind", ErrorKind), ("about", About)):
        value = entry.get(key)
        if value not in list(kinds):
            wrong(f"{name}.{key}", value, "missing or not known", f"one of {', '.join(kinds)}")
    texts = {key: entry.get(key, "") for key in ("meaning", "advice")}
    for key in (key for key in texts if not isinstance(texts[key], str)):
        wrong(f"{name}.{key}", texts[key], "must be text")
    if not texts["meaning"]:
        wrong(f"{name}.meaning", None, "missing", "say in a few words what the code says")
    if len(problems) > before:
        return None
    return ErrorMeaning(int(name), ErrorKind(entry["kind"]), About(entry["about"]), **texts)
