"""`[[sleeve]]`: one part of the portfolio, its instruments and its generator's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from rebalancer.config.instruments import read_universe
from rebalancer.config.values import Problems, read, unknown_key
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.universe import Sleeve

_OURS = ("universe", "parameters")


def read_sleeve(
    table: Mapping[str, Any],
    place: int,
    aliases: Mapping[str, InstrumentId],
    problems: Problems,
) -> dict[str, Any]:
    """Return the good values of one sleeve, its instruments by their full names."""
    where = f"sleeve[{place}]"
    known = tuple(field.name for field in fields(Sleeve))
    for key, value in table.items():
        if key not in known:
            unknown_key(problems, f"{where}.{key}", value, known)
    # The two fields that are read here are given something harmless to be found right.
    rest = {key: value for key, value in table.items() if key not in _OURS}
    values = read(Sleeve, rest | {"universe": ["-"]}, where, problems)
    del values["universe"]
    if "universe" in table:
        key = f"{where}.universe"
        values["universe"] = read_universe(table["universe"], key, aliases, problems)
    else:
        problems.add(f"{where}.universe", None, "missing", "a list of instruments")
    if "parameters" in table:
        key = f"{where}.parameters"
        values["parameters"] = _parameters(table["parameters"], key, problems)
    return values


def _parameters(table: Any, key: str, problems: Problems) -> dict[str, Any]:
    if not isinstance(table, dict):
        problems.add(key, table, "must be a table")
        return {}
    return {name: _plain(each, f"{key}.{name}", problems) for name, each in table.items()}


def _plain(value: Any, key: str, problems: Problems) -> Any:
    """Return a generator's parameter as JSON has it: its arithmetic is its own."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            problems.add(key, value, "must be a finite number")
        return float(value)
    if isinstance(value, (datetime, date, time)):
        problems.add(key, value, "a generator's parameters are not dates", "use text")
    if isinstance(value, dict):
        return {name: _plain(each, f"{key}.{name}", problems) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, f"{key}[{place}]", problems) for place, each in enumerate(value)]
    return value
