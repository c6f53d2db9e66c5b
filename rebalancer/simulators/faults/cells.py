"""The faults there are, and the steps of the hour that each can strike: read from `cells.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

STEPS = range(1, 14)
"""The thirteen steps; what happens between two runs strikes the first."""

KINDS = (
    "kill-port",
    "kill-file",
    "kill-message",
    "port",
    "file",
    "read",
    "wire",
    "engine",
    "mail",
    "database",
    "between",
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a fault can strike at one venue, and with what.

    `steps` are its cells. `at` are occasions that draws choose from ("" any that it can
    strike), and so are `codes` and `seconds`.
    """

    steps: frozenset[int]
    at: tuple[str, ...] = ("",)
    codes: tuple[int, ...] = (0,)
    seconds: tuple[float, ...] = (0.0,)


@dataclass(frozen=True, kw_only=True)
class FaultRow:
    """A fault: `reference` names its rows among F1 to F23, `kind` who injects it."""

    name: str
    meaning: str
    reference: str
    kind: str
    ib: Place | None = None
    binance: Place | None = None

    def at(self, venue: str) -> Place | None:
        """Return where it strikes at a venue, None: nowhere."""
        return self.ib if venue == "ib" else self.binance


@cache
def faults() -> Mapping[str, FaultRow]:
    """Return every fault by its name, in the file's order."""
    return {row["name"]: _row(row) for row in _document()["fault"]}


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Why something is not injected in process, and the tests (node ids) that have it."""

    why: str
    tests: tuple[str, ...]


@cache
def left_out() -> Mapping[str, LeftOut]:
    """Return what cannot be injected in process by its reference."""
    rows = _document()["left_out"]
    return {row["what"]: LeftOut(why=row["why"], tests=tuple(row["tests"])) for row in rows}


def cells(venue: str) -> Mapping[str, frozenset[int]]:
    """Return the steps that each fault can strike at a venue ("ib", "binance")."""
    places = ((name, row.at(venue)) for name, row in faults().items())
    return {name: place.steps for name, place in places if place is not None}


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("cells.toml").read_text("utf-8"))


def _row(row: Mapping[str, Any]) -> FaultRow:
    if row["kind"] not in KINDS:
        raise ValueError(f"cells.toml: {row['name']}: kind = {row['kind']!r} is not known")
    places = {venue: _place(row[venue]) for venue in ("ib", "binance") if venue in row}
    return FaultRow(
        name=row["name"],
        meaning=row["meaning"],
        reference=row["reference"],
        kind=row["kind"],
        ib=places.get("ib"),
        binance=places.get("binance"),
    )


def _place(plain: Mapping[str, Any]) -> Place:
    return Place(
        steps=frozenset(plain["steps"]),
        at=tuple(plain.get("at", ("",))),
        codes=tuple(plain.get("codes", (0,))),
        seconds=tuple(float(each) for each in plain.get("seconds", (0.0,))),
    )
