"""What a line of a run's journal must be, so that whoever finishes a run can trust it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rebalancer.errors import DataError
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.codec import from_plain
from rebalancer.model.flags import ErrorFlag
from rebalancer.model.orders import ApprovedOrder, Fill, WorkingOrder
from rebalancer.model.records import Mode
from rebalancer.model.stops import PlaceStop

FACTS: Mapping[str, tuple[str, Any]] = {
    "account": ("account", AccountSnapshot),
    "begin": ("mode", Mode),
    "fill": ("fill", Fill),
    "flag": ("flag", ErrorFlag),
    "intents": ("orders", tuple[ApprovedOrder, ...]),
    "order": ("order", WorkingOrder),
    "step": ("step", int),
    "stops": ("stops", tuple[PlaceStop, ...]),
}
"""What a line of each kind tells that a later run reads: under which key, and its type."""

COUNTED = frozenset({"begin", "end", "step"})
"""Kinds whose lines cannot be without the number of their attempt."""


def trouble_of(line: Mapping[str, Any]) -> str:
    """Return what is wrong with a line, '' for nothing. Kinds that nobody reads are free."""
    kind, attempt = line.get("kind"), line.get("attempt")
    if not isinstance(kind, str):
        return f"its kind is {kind!r}"
    if ("attempt" in line or kind in COUNTED) and type(attempt) is not int:
        return f"its attempt is {attempt!r}"
    if kind not in FACTS:
        return ""
    key, type_ = FACTS[kind]
    if key not in line:
        if kind == "begin":
            return ""  # the mode is then that of who finishes the run
        return f"{kind} without {key}"
    try:
        from_plain(type_, line[key], key)
    except DataError as error:
        return str(error)
    return ""
