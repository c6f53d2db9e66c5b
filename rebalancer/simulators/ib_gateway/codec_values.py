"""Single values of the wire, by their kinds: what clients write is read, ours is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from rebalancer.simulators.ib_gateway.layouts import (
    UNSET_INTEGER,
    UNSET_LONG,
    UNSET_PRICE,
    Field,
)

_REMEMBERED = 4096
_LONGEST_NUMBER = 400
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_LARGEST_DOUBLE = Decimal("1.7976931348623157E308")
# The libraries of the venue have an unset decimal of their own: the largest of 128 bits.
_LARGEST_DECIMAL = Decimal(2**127 - 1)
_UNSET_NUMBERS = frozenset({_LARGEST_DOUBLE, _LARGEST_DECIMAL, Decimal(UNSET_LONG)})
_INFINITE = frozenset({"Infinity", "Infinite", "inf"})
INFINITY = Decimal("Infinity")
_TRUTHS = {"1": True, "0": False, "": False, "true": True, "false": False}

# ---------------------------------------------------------------------------- reading


@lru_cache(_REMEMBERED)
def _integer(text: str) -> int | None:
    if not text:
        return None
    found = _long(text)
    if found in (UNSET_INTEGER, UNSET_LONG):
        return None
    if not -UNSET_INTEGER - 1 <= found < UNSET_INTEGER:
        raise ValueError(text)
    return found


@lru_cache(_REMEMBERED)
def _long_or_none(text: str) -> int | None:
    if not text:
        return None
    found = _long(text)
    if not -UNSET_LONG - 1 <= found <= UNSET_LONG:
        raise ValueError(text)
    return None if found in (UNSET_INTEGER, UNSET_LONG) else found


def _long(text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise ValueError(text)
    return int(text)


@lru_cache(_REMEMBERED)
def _key(text: str) -> int:
    found = _integer(text)
    if found is None:
        raise ValueError(text)
    return found


@lru_cache(_REMEMBERED)
def _number(text: str) -> Decimal | None:
    if not text:
        return None
    if len(text) > _LONGEST_NUMBER or _NUMBER.fullmatch(text) is None:
        raise ValueError(text)
    found = Decimal(text)
    return None if found in _UNSET_NUMBERS else found


@lru_cache(_REMEMBERED)
def _number_or_infinity(text: str) -> Decimal | None:
    return INFINITY if text in _INFINITE else _number(text)


def _truth(text: str) -> bool:
    found = _TRUTHS.get(text)
    if found is None:
        raise ValueError(text)
    return found


READ: Mapping[str, Callable[[str], Any]] = {
    "i": _integer,
    "k": _key,
    "l": _long_or_none,
    "n": _number,
    "p": _number,
    "x": _number_or_infinity,
    "b": _truth,
}
"""How the kinds are read, text apart. Each raises `ValueError` for what it cannot read."""

# ---------------------------------------------------------------------------- writing


def unset(field: Field) -> str:
    """Return how a field is written that nobody gave: its default, or unset as its kind is."""
    if field.default is not None:
        return field.default
    if field.kind == "p":
        return UNSET_PRICE
    return "0" if field.kind == "b" else ""


def _write_text(value: object) -> str:
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        raise TypeError
    return _write_number(value)


def _write_integer(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if not -UNSET_LONG - 1 <= value <= UNSET_LONG:
            raise TypeError
        return str(int(value))
    if isinstance(value, str) and (not value or _INTEGER.fullmatch(value)):
        return value
    raise TypeError


def _write_number(value: object) -> str:
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str) and (
        not value or value == UNSET_PRICE or _PLAIN.fullmatch(value) is not None
    ):
        return value
    raise TypeError


def _write_number_or_infinity(value: object) -> str:
    if isinstance(value, Decimal) and value == INFINITY:
        # Every client reads this word; the other spelling only those that write it.
        return "Infinity"
    return _write_number(value)


def _write_truth(value: object) -> str:
    if isinstance(value, bool | int | str):
        if value in (True, "1"):
            return "1"
        if value in (False, "0"):
            return "0"
    raise TypeError


WRITE: Mapping[str, Callable[[object], str]] = {
    "t": _write_text,
    "i": _write_integer,
    "k": _write_integer,
    "l": _write_integer,
    "n": _write_number,
    "p": _write_number,
    "x": _write_number_or_infinity,
    "b": _write_truth,
}
"""How the kinds are written. Each raises `TypeError` for a value of another kind."""
