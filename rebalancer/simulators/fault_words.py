"""Faults as people write them: a word of the command line, or a TOML or JSON file.

What is common to all simulated venues; each knows its own faults on the wire.
"""

from __future__ import annotations

import difflib
import json
import tomllib
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any

from rebalancer.errors import DataError
from rebalancer.simulators.faults import Fault, FaultKind

_TABLES = ("wire", "venue", "seeded")

Row = tuple[Mapping[str, Any], str]
"""A fault's table, and where it stands."""


@dataclass(frozen=True)
class FaultTables:
    """What a word or a file says: faults on the wire, at the venue, and drawn by a seed."""

    wire: Sequence[Row] = ()
    venue: Sequence[Row] = ()
    rates: Sequence[Row] = ()
    seed: int = 1


def fault_tables(word: str) -> FaultTables:
    """Return what a word of the command line asks for.

    `key=value,key=value` is one fault, at the venue when it has a `kind`, else on the wire;
    anything without `=` names a file (.toml or .json) with lists `wire` and `venue` of such
    faults and a table `seeded` (`seed`, and a list `rates`: faults on the wire with a `rate`
    from 0 to 1). Raises `DataError` naming the file, the key and the value.
    """
    if "=" not in word:
        return _file(Path(word))
    pairs = [part.partition("=") for part in word.split(",") if part.strip()]
    plain = {key.strip(): _Said(value.strip()) for key, _, value in pairs}
    row = (plain, "--fault")
    return FaultTables(venue=[row]) if "kind" in plain else FaultTables(wire=[row])


def checked(plain: Mapping[str, Any], kind: type, where: str) -> dict[str, Any]:
    """Return a table's values for a fault of a kind (a dataclass) when keys and types are right.

    Words (`do`, `kind`) stay text. Raises `DataError`.
    """
    hints = typing.get_type_hints(kind)
    names = [each.name for each in fields(kind)]
    values: dict[str, Any] = {}
    for key, value in plain.items():
        require_known(key, names, where, "key")
        if key == "count" and value in (None, "all"):
            values[key] = None
            continue
        types = _types(hints[key])
        read = value.read(types[-1]) if isinstance(value, _Said) else value
        if type(read) not in types:
            raise DataError(f"{where}: {key} = {read!r}: expected {types[-1].__name__}")
        values[key] = float(read) if float in types else read
    for key in ("nth", "count"):
        number = values.get(key)
        if number is not None and number < 1:
            raise DataError(f"{where}: {key} = {number}: occasions are counted from 1")
    for key in ("seconds", "lasts"):
        if values.get(key, 0) < 0:
            raise DataError(f"{where}: {key} = {values[key]:g}: cannot be negative")
    return values


def venue_fault(plain: Mapping[str, Any], where: str) -> Fault:
    """Return a fault of the engine; raises `DataError`."""
    values = checked(plain, Fault, where)
    if "kind" not in values:
        raise DataError(f"{where}: kind is missing")
    require_known(values["kind"], list(FaultKind.__members__), where, "kind")
    return Fault(**{**values, "kind": FaultKind[values["kind"]]})


def rate_of(plain: Mapping[str, Any], where: str) -> tuple[Mapping[str, Any], float]:
    """Return a table without its `rate`, and that; raises `DataError`."""
    rest = {key: value for key, value in plain.items() if key != "rate"}
    rate = plain.get("rate")
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise DataError(f"{where}: rate = {rate!r}: expected a number from 0 to 1")
    return rest, float(rate)


def require_known(word: object, known: Collection[str], where: str, what: str) -> None:
    """Raise `DataError` for a word that is not among the known ones, naming the nearest."""
    if word in known:
        return
    near = difflib.get_close_matches(str(word), list(known), 1)
    hint = f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(sorted(known))}"
    raise DataError(f"{where}: {what} {str(word)!r} is not known{hint}")


class _Said(str):
    """A value as it was typed, its type not yet known."""

    def read(self, wanted: type) -> Any:
        """Return it as the type that is wanted, as text when it cannot be read as one."""
        text = str(self)
        if wanted is bool and text in ("true", "false"):
            return text == "true"
        if wanted in (int, float):
            try:
                return wanted(text)
            except ValueError:
                return text
        return text


def _types(hint: Any) -> tuple[type, ...]:
    """Return the types that a field takes, the one to ask for last."""
    found = [each for each in typing.get_args(hint) or (hint,) if each is not NoneType]
    wanted = found[0]
    if wanted is float:
        return (int, float)
    return (wanted,) if wanted in (int, bool) else (str,)


def _file(path: Path) -> FaultTables:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise DataError(f"--fault {path}: cannot read it: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"--fault {path}: not UTF-8") from error
    try:
        plain = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise DataError(f"--fault {path}: {error}") from error
    if not isinstance(plain, dict):
        raise DataError(f"--fault {path}: expected the tables {', '.join(_TABLES)}")
    for key in plain:
        require_known(key, _TABLES, str(path), "table")
    seeded = plain.get("seeded", {})
    for key in seeded:
        require_known(key, ("seed", "rates"), f"{path}: seeded", "key")
    return FaultTables(
        _rows(plain, "wire", path),
        _rows(plain, "venue", path),
        _rows(seeded, "rates", path),
        int(seeded.get("seed", 1)),
    )


def _rows(plain: Mapping[str, Any], name: str, path: Path) -> Sequence[Row]:
    rows = plain.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise DataError(f"{path}: {name}: expected a list of tables")
    return [(each, f"{path}: {name}[{place}]") for place, each in enumerate(rows)]
