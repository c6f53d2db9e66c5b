"""Faults as people write them: a word of the command line, or a TOML or JSON file."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rebalancer.errors import DataError
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.faults import Do, WireFault, WireRate

_TABLES = ("wire", "venue", "seeded")
_NUMBERS = ("nth", "code", "quantity")


@dataclass(frozen=True)
class FaultPlan:
    """What is to go wrong: on the wire, at the venue, and by a seed."""

    wire: tuple[WireFault, ...] = ()
    venue: tuple[Fault, ...] = ()
    rates: tuple[WireRate, ...] = ()
    seed: int = 1

    def with_more(self, other: FaultPlan) -> FaultPlan:
        """Return both; the other's seed counts when it has rates."""
        return FaultPlan(
            self.wire + other.wire,
            self.venue + other.venue,
            self.rates + other.rates,
            other.seed if other.rates else self.seed,
        )


def read_faults(word: str) -> FaultPlan:
    """Return what a word of the command line asks for.

    `on=placeOrder,do=cut,nth=2` is a fault on the wire, `kind=LATE_COMMISSION,seconds=300` one
    at the venue; anything without `=` names a file (.toml or .json) with lists `wire` and
    `venue` of such faults and a table `seeded` (`seed`, and a list `rates`: faults on the wire
    with a `rate` from 0 to 1). Raises `DataError` naming the file, the key and the value.
    """
    if "=" in word:
        pairs = [part.partition("=") for part in word.split(",") if part.strip()]
        plain = {key.strip(): _value(key.strip(), value.strip()) for key, _, value in pairs}
        if "kind" in plain:
            return FaultPlan(venue=(_venue(plain, "--fault"),))
        return FaultPlan(wire=(_wire(plain, "--fault"),))
    return _file(Path(word))


def _file(path: Path) -> FaultPlan:
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
        _known(key, _TABLES, str(path), "table")
    seeded = plain.get("seeded", {})
    for key in seeded:
        _known(key, ("seed", "rates"), f"{path}: seeded", "key")
    return FaultPlan(
        tuple(_wire(each, where) for each, where in _rows(plain, "wire", path)),
        tuple(_venue(each, where) for each, where in _rows(plain, "venue", path)),
        tuple(_rate(each, where) for each, where in _rows(seeded, "rates", path)),
        int(seeded.get("seed", 1)),
    )


def _rows(
    plain: Mapping[str, Any], name: str, path: Path
) -> Sequence[tuple[Mapping[str, Any], str]]:
    rows = plain.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise DataError(f"{path}: {name}: expected a list of tables")
    return [(each, f"{path}: {name}[{place}]") for place, each in enumerate(rows)]


def _rate(plain: Mapping[str, Any], where: str) -> WireRate:
    rest = {key: value for key, value in plain.items() if key != "rate"}
    rate = plain.get("rate")
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise DataError(f"{where}: rate = {rate!r}: expected a number from 0 to 1")
    return WireRate(_wire(rest, where), float(rate))


def _wire(plain: Mapping[str, Any], where: str) -> WireFault:
    values = _checked(plain, WireFault, where)
    for key in ("on", "do"):
        if key not in values:
            raise DataError(f"{where}: {key} is missing")
    _known(values["do"], [each.value for each in Do], where, "do")
    fault = WireFault(**{**values, "do": Do(values["do"])})
    _fits(fault, where)
    return fault


def _fits(fault: WireFault, where: str) -> None:
    """Refuse a fault that could never do anything."""
    # The mishaps know the codec, which takes its time; a spec without a file needs neither.
    from rebalancer.simulators.ib_gateway.occasions import CLIENT, GATEWAY, fits  # noqa: PLC0415

    for name in fault.on.split("|"):
        _known(name, [*CLIENT, *GATEWAY], where, "on")
        if not fits(name, fault.do):
            raise DataError(f"{where}: do = {fault.do.value!r}: {name} cannot suffer that")


def _venue(plain: Mapping[str, Any], where: str) -> Fault:
    values = _checked(plain, Fault, where)
    names = list(FaultKind.__members__)
    if "kind" not in values:
        raise DataError(f"{where}: kind is missing")
    _known(values["kind"], names, where, "kind")
    return Fault(**{**values, "kind": FaultKind[values["kind"]]})


def _checked(plain: Mapping[str, Any], kind: type, where: str) -> dict[str, Any]:
    """Return a table's values when keys and kinds are right."""
    defaults = {each.name: each.default for each in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in plain.items():
        _known(key, list(defaults), where, "key")
        if key == "count" and value in (None, "all"):
            values[key] = None
            continue
        kinds = _kinds(key)
        if type(value) not in kinds:
            raise DataError(f"{where}: {key} = {value!r}: expected {kinds[-1].__name__}")
        values[key] = float(value) if key == "seconds" else value
    for key in ("nth", "count"):
        number = values.get(key)
        if number is not None and number < 1:
            raise DataError(f"{where}: {key} = {number}: occasions are counted from 1")
    if values.get("seconds", 0) < 0:
        raise DataError(f"{where}: seconds = {values['seconds']:g}: cannot be negative")
    return values


def _kinds(key: str) -> tuple[type, ...]:
    if key in (*_NUMBERS, "count"):
        return (int,)
    if key == "seconds":
        return (int, float)
    return (bool,) if key == "with_id" else (str,)


def _value(key: str, text: str) -> Any:
    """Return a word of the command line as a file would have it."""
    if key in (*_NUMBERS, "count") and text.lstrip("-").isdigit():
        return int(text)
    if key == "seconds":
        try:
            return float(text)
        except ValueError:
            return text
    if key == "with_id" and text in ("true", "false"):
        return text == "true"
    return text


def _known(word: object, known: Collection[str], where: str, what: str) -> None:
    if word in known:
        return
    near = difflib.get_close_matches(str(word), list(known), 1)
    hint = f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(sorted(known))}"
    raise DataError(f"{where}: {what} {word!r} is not known{hint}")
