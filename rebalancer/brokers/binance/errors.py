"""What the exchange's error codes mean: our own table, by product, and the errors made of it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from rebalancer.brokers.binance.parameters import Product
from rebalancer.errors import ConfigError, ConnectError, Problem, RebalancerError, VenueRejected

TABLE = Path(__file__).with_name("errors.toml")
OWNERS_FILE = "binance_errors.toml"


class Treatment(StrEnum):
    """What a code does to what was asked; `errors.toml` explains the words."""

    SUCCESS = "success"
    UNKNOWN = "unknown"
    AGAIN = "again"
    LIMIT = "limit"
    TIME = "time"
    STOP = "stop"
    RESTRICTED = "restricted"
    REQUEST = "request"
    RULES = "rules"
    SYMBOL = "symbol"
    GONE = "gone"
    THERE = "there"
    MARGIN = "margin"
    REDUCING = "reducing"
    PRICE = "price"
    MAKER = "maker"
    SIZE = "size"
    TRIGGER = "trigger"
    BUSY = "busy"
    MODE = "mode"
    UNLISTED = "unlisted"


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """One code of one product: what it does, in words, and what the owner should do.

    `texts`: where the exchange uses one code for many things, the words that tell them apart.
    """

    code: int
    treatment: Treatment
    meaning: str
    advice: str = ""
    texts: Mapping[str, Treatment] = field(default_factory=dict)

    def of(self, message: str) -> Treatment:
        """Return what an answer with this code and message does."""
        lower = message.lower()
        return next((t for words, t in self.texts.items() if words in lower), self.treatment)


class RequestRefused(VenueRejected):
    """The exchange said no, and that is certain: what was asked for did not happen."""

    def __init__(self, code: int, message: str, treatment: str = Treatment.UNLISTED) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.treatment = code, message, Treatment(treatment)


class FinalRefusal(ConnectError):
    """The connection is refused for a reason that no further attempt would mend."""


class WriteForbidden(RebalancerError):
    """Something was about to write through a connection that only reads: a bug of ours."""


Codes = Mapping[tuple[Product, int], ErrorMeaning]

_KEYS = ("does", "meaning", "advice", "texts")
_owners: dict[tuple[Product, int], ErrorMeaning] = {}


@cache
def table() -> Codes:
    """Return the codes of `errors.toml`, by product and code."""
    return read_table(TABLE)


def meaning(product: Product, code: int) -> ErrorMeaning:
    """Return what a code means there; one that nobody has listed is UNLISTED."""
    found = _owners.get((product, code)) or table().get((product, code))
    return found or ErrorMeaning(
        code,
        Treatment.UNLISTED,
        "a code that is not in the table",
        f"look it up, and add it to {OWNERS_FILE}",
    )


def treatment(product: Product, code: int, message: str) -> Treatment:
    """Return what an answer does."""
    return meaning(product, code).of(message)


def learn(folder: Path | None) -> None:
    """Take over the owner's own codes from `binance_errors.toml` in a folder, if it is there.

    They add to the table, or stand in the place of its own, until the next call. Raises
    `ConfigError` naming the file, the code and the key that is wrong.
    """
    _owners.clear()
    path = None if folder is None else folder / OWNERS_FILE
    if path is not None and path.is_file():
        _owners.update(read_table(path))


def read_table(path: Path) -> dict[tuple[Product, int], ErrorMeaning]:
    """Return the codes of a file; raises `ConfigError` with everything that is wrong with it."""
    problems: list[Problem] = []
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([Problem(str(path), "file", "", f"cannot be read: {error}")]) from error
    found: dict[tuple[Product, int], ErrorMeaning] = {}
    for name, entries in document.items():
        if name not in list(Product) or not isinstance(entries, dict):
            words = f"must be a table of one of {', '.join(Product)}"
            problems.append(Problem(str(path), name, "", words, "write [usdm.-2019]"))
            continue
        for code, entry in entries.items():
            read = _entry(path, f"{name}.{code}", entry, problems)
            if read is not None:
                found[Product(name), read.code] = read
    if problems:
        raise ConfigError(problems)
    return found


def _entry(path: Path, name: str, entry: Any, problems: list[Problem]) -> ErrorMeaning | None:
    before = len(problems)

    def wrong(key: str, value: object, why: str, hint: str = "") -> None:
        shown = "" if value is None else str(value)
        problems.append(Problem(str(path), f"{name}{key}", shown, why, hint))

    code = name.partition(".")[2]
    if not (code.isascii() and code.removeprefix("-").isdigit()):
        wrong("", None, "is not an error code", "write [usdm.-2019]")
    if not isinstance(entry, dict):
        wrong("", entry, "must be a table", f"write [{name}]")
        return None
    for key in sorted(entry.keys() - set(_KEYS)):
        wrong(f".{key}", entry[key], "unknown key", f"known: {', '.join(_KEYS)}")
    known = [each for each in Treatment if each is not Treatment.UNLISTED]
    if entry.get("does") not in known:
        wrong(".does", entry.get("does"), "missing or not known", f"one of {', '.join(known)}")
    words = {key: entry.get(key, "") for key in ("meaning", "advice")}
    for key in (key for key, value in words.items() if not isinstance(value, str)):
        wrong(f".{key}", words[key], "must be text")
    if not words["meaning"]:
        wrong(".meaning", None, "missing", "say in a few words what the code says")
    texts = entry.get("texts", {})
    if not isinstance(texts, dict) or any(value not in known for value in texts.values()):
        wrong(".texts", texts, "must say for words what they do", f"one of {', '.join(known)}")
    if len(problems) > before:
        return None
    by_text = {text.lower(): Treatment(value) for text, value in texts.items()}
    return ErrorMeaning(int(code), Treatment(entry["does"]), **words, texts=by_text)
