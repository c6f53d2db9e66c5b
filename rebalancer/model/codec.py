"""Our frozen dataclasses to plain JSON values and back, exactly.

Decimals travel as strings, times as ISO 8601 in UTC with a `Z`, enums by value, mappings
with sorted keys (so that the same value has the same bytes). Reading is strict: an unknown
key, a missing key or a value of the wrong form raises `DataError` naming where it stands; so
does a number that is not finite, but in what a venue told (`AccountSnapshot`).
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache, partial
from math import isfinite
from typing import Any, TypeVar

from rebalancer.errors import DataError
from rebalancer.model.account import AccountSnapshot

T = TypeVar("T")
_LEAVES = frozenset({type(None), bool, int, float, str})


def to_plain(value: Any) -> Any:
    """Return `value` as JSON would hold it. Raises `TypeError` for a type it does not know."""
    kind: type = type(value)
    if kind in _LEAVES:  # most of a record's values: worth being quick
        return value
    return _writer(kind)(value)


@cache
def _writer(kind: type) -> Callable[[Any], Any]:
    """Return how values of a type are written; which rule is theirs is found once."""
    if is_dataclass(kind):
        return partial(_fields_to_plain, tuple(field.name for field in fields(kind)))
    for kinds, write in _RULES:
        if issubclass(kind, kinds):
            return write
    raise TypeError(f"cannot write a {kind.__name__}")


def _fields_to_plain(names: tuple[str, ...], value: Any) -> Any:
    return {name: to_plain(getattr(value, name)) for name in names}


def _decimal_to_plain(value: Decimal) -> Any:
    return f"{value:f}" if value.is_finite() else str(value)


def _time_to_plain(value: datetime) -> Any:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _mapping_to_plain(value: Mapping[Any, Any]) -> Any:
    return {str(key): to_plain(value[key]) for key in sorted(value)}


_RULES: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (Enum, lambda value: value.value),
    ((int, float, str), lambda value: value),
    (Decimal, _decimal_to_plain),
    (datetime, _time_to_plain),
    (date, date.isoformat),
    (timedelta, timedelta.total_seconds),
    (Mapping, _mapping_to_plain),
    ((frozenset, set), lambda value: [to_plain(item) for item in sorted(value)]),
    (Sequence, lambda value: [to_plain(item) for item in value]),
)
"""The first one that fits counts: an enumeration may be text, a time is a date."""


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return `value` as JSON text, ASCII, NaN refused."""
    plain = to_plain(value)
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(plain, indent=indent, separators=separators, allow_nan=False)


def from_plain(kind: type[T], plain: Any, where: str = "") -> T:
    """Return a `kind` from what `to_plain` gave; raises `DataError` naming the place."""
    return typing.cast("T", _read(kind, plain, where or getattr(kind, "__name__", str(kind))))


def from_json(kind: type[T], text: str, where: str = "") -> T:
    """Return a `kind` from JSON text; raises `DataError`."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where or kind.__name__}: not JSON: {error}") from error
    return from_plain(kind, plain, where)


_Reader = Callable[[Any, str], Any]
"""Reads a plain value that stands at a place; raises `DataError` naming the place."""


def _read(kind: Any, plain: Any, where: str) -> Any:
    return _reader(kind)(plain, where)


@cache
def _reader(kind: Any, told: bool = False) -> _Reader:
    """Return how a type is read; asking `typing` is slow and done once for each type.

    `told`: within what a venue told, where a number may be no number.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union or origin is types.UnionType:
        some = tuple(_reader(each, told) for each in inner if each is not type(None))
        return partial(_read_union, some, type(None) in inner)
    if origin is tuple:
        return partial(_read_tuple, _reader(inner[0], told))
    if origin is not None and issubclass(origin, Mapping):
        return partial(_read_mapping, _reader(inner[0], told), _reader(inner[1], told))
    if isinstance(kind, typing.NewType):
        return _reader(kind.__supertype__, told)
    if kind is Any:
        return lambda plain, _where: plain
    if is_dataclass(kind):
        return partial(_read_dataclass, typing.cast("type", kind), told or kind is AccountSnapshot)
    if issubclass(kind, Enum):
        return partial(_read_enum, kind)
    if kind is Decimal and told:
        return _read_told
    return partial(_read_simple, kind)


def _read_told(plain: Any, where: str) -> Decimal:
    """Return a number as a venue told it: NaN and infinities are kept, and judged elsewhere."""
    try:
        return Decimal(plain) if isinstance(plain, str) else _read_simple(Decimal, plain, where)
    except InvalidOperation as error:
        raise DataError(f"{where}: {plain!r} is not a Decimal") from error


def _read_simple(kind: type, plain: Any, where: str) -> Any:
    try:
        if kind in (str, int, bool) and type(plain) is kind:
            return plain
        if kind is Decimal and isinstance(plain, str):
            return _finite(Decimal(plain))
        if kind is datetime and isinstance(plain, str):
            return _utc(plain)
        if kind is date and isinstance(plain, str):
            return date.fromisoformat(plain)
        if kind is timedelta and isinstance(plain, (int, float)):
            return timedelta(seconds=plain)
        if kind is float and isinstance(plain, (int, float)) and not isinstance(plain, bool):
            return _finite(float(plain))
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise DataError(f"{where}: {plain!r} is not a {kind.__name__}") from error
    raise DataError(f"{where}: {plain!r} is not a {kind.__name__}")


def _read_enum(kind: type[Enum], plain: Any, where: str) -> Any:
    try:
        return kind(plain)
    except ValueError as error:
        raise DataError(f"{where}: {plain!r} is not a {kind.__name__}") from error


_Number = TypeVar("_Number", Decimal, float)


def _finite(number: _Number) -> _Number:
    if not isfinite(number):
        raise ValueError("not finite")
    return number


def _utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC)


@cache
def _table(kind: type, told: bool) -> Mapping[str, tuple[_Reader, bool]]:
    """Return how each field of a dataclass is read, and whether it must be there."""
    hints = typing.get_type_hints(kind)
    return {
        field.name: (
            _reader(hints[field.name], told),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(kind)
    }


def _read_dataclass(kind: type, told: bool, plain: Any, where: str) -> Any:
    if not isinstance(plain, dict):
        raise DataError(f"{where}: expected an object for {kind.__name__}")
    table = _table(kind, told)
    unknown = sorted(plain.keys() - table.keys())
    if unknown:
        raise DataError(f"{where}.{unknown[0]}: unknown key")
    values = {}
    for name, (reader, needed) in table.items():
        if name in plain:
            values[name] = reader(plain[name], f"{where}.{name}")
        elif needed:
            raise DataError(f"{where}.{name}: missing")
    try:
        return kind(**values)
    except (ValueError, ArithmeticError) as error:  # a rule of the class itself
        raise DataError(f"{where}: {error}") from error


def _read_union(readers: tuple[_Reader, ...], nothing: bool, plain: Any, where: str) -> Any:
    if plain is None and nothing:
        return None
    error: DataError | None = None
    for reader in readers:
        try:
            return reader(plain, where)
        except DataError as why:
            error = error or why
    raise error or DataError(f"{where}: {plain!r} does not fit")


def _read_tuple(each: _Reader, plain: Any, where: str) -> Any:
    if not isinstance(plain, list):
        raise DataError(f"{where}: expected a list")
    return tuple(each(item, f"{where}[{place}]") for place, item in enumerate(plain))


def _read_mapping(of_key: _Reader, of_value: _Reader, plain: Any, where: str) -> Any:
    if not isinstance(plain, dict):
        raise DataError(f"{where}: expected an object")
    return {
        of_key(key, f"{where} key"): of_value(value, f"{where}.{key}")
        for key, value in plain.items()
    }
