"""A paper portfolio of two sleeves: what harms one must leave the other alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from rebalancer.model.records import RunRecord
from tests.portfolios import FIRST, HOUR, QUIET, World, make_world, stock, write_signal

HAND, OTHER = ("AAPL", "JNJ"), ("KO", "WMT")
SECOND = FIRST + HOUR
OTHER_SLEEVE = """
[[sleeve]]
name = "other"
share = "0.5"
universe = ["KO.STK.USD@IB", "WMT.STK.USD@IB"]
"""


def two_sleeves(folder: Path, **portfolio: Any) -> World:
    """Return a portfolio of two sleeves with half of the money each."""
    settings: dict[str, Any] = {"symbols": HAND, "share": "0.5", "extra": OTHER_SLEEVE + QUIET}
    return make_world(folder, **(settings | portfolio))


def other_wants(world: World, weights: tuple[str, str], at: datetime) -> None:
    """Let the other sleeve want these weights of its two stocks."""
    named = dict(zip((stock(symbol) for symbol in OTHER), weights, strict=True))
    write_signal(world.folder, named, at, name="other")


def traded_since(world: World, before: int) -> set[str]:
    """Return the symbols of the orders that reached the venue after its first `before`."""
    return {str(o["instrument"]).partition(".")[0] for o in world.venue()["orders"][before:]}


def message(record: RunRecord, code: str) -> str:
    """Return what the record says of a flag."""
    return next(flag.message for flag in record.flags if flag.code == code)
