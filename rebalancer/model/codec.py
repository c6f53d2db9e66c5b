"""Our frozen dataclasses to plain JSON values and back, exactly.

Decimals travel as strings, times as ISO 8601 in UTC with a `Z`, enums by value, mappings
with sorted keys (so that the same value has the same bytes). Reading is strict: an unknown
key, a missing key or a value of the wrong form raises `DataError` naming where it stands.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from rebalancer.errors import DataError

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Return `value` as JSON would hold it. Raises `TypeError` for a type it does not know."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() else str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(value[key]) for key in sorted(value)}
    if isinstance(value, (Sequence, frozenset, set)):
        items = sorted(value) if isinstance(value, (frozenset, set)) else value
        return [to_plain(item) for item in items]
    raise TypeError(f"cannot write a {type(value).__name__}")


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
    except json.JSONDecodeError as error:
        raise DataError(f"{where or kind.__name__}: not JSON: {error}") from error
    return from_plain(kind, plain, where)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _read(kind: Any, plain: Any, where: str) -> Any:  # noqa: C901, PLR0912 - one arm a type
    origin = typing.get_origin(kind)
    if origin is typing.Union or origin is types.UnionType:
        return _read_union(typing.get_args(kind), plain, where)
    if origin is tuple:
        return _read_tuple(typing.get_args(kind), plain, where)
    if origin is not None and issubclass(origin, Mapping):
        return _read_mapping(typing.get_args(kind), plain, where)
    if isinstance(kind, typing.NewType):
        return _read(kind.__supertype__, plain, where)
    if kind is Any:
        return plain
    try:
        if is_dataclass(kind):
            return _read_dataclass(typing.cast("type", kind), plain, where)
        if issubclass(kind, Enum):
            return kind(plain)
        if kind is Decimal and isinstance(plain, str):
            return Decimal(plain)
        if kind is datetime and isinstance(plain, str):
            return _utc(plain)
        if kind is date and isinstance(plain, str):
            return date.fromisoformat(plain)
        if kind is timedelta and isinstance(plain, (int, float)):
            return timedelta(seconds=plain)
        if kind is float and isinstance(plain, (int, float)) and not isinstance(plain, bool):
            return float(plain)
        if kind in (int, str, bool) and type(plain) is kind:
            return plain
    except (ValueError, InvalidOperation) as error:
        raise DataError(f"{where}: {plain!r} is not a {kind.__name__}") from error
    raise DataError(f"{where}: {plain!r} is not a {getattr(kind, '__name__', kind)}")


def _utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC)


def _read_dataclass(kind: type, plain: Any, where: str) -> Any:
    if not isinstance(plain, dict):
        raise DataError(f"{where}: expected an object for {kind.__name__}")
    hints = _hints(kind)
    known = {field.name: field for field in fields(kind)}
    unknown = sorted(set(plain) - set(known))
    if unknown:
        raise DataError(f"{where}.{unknown[0]}: unknown key")
    values = {}
    for name, field in known.items():
        if name in plain:
            values[name] = _read(hints[name], plain[name], f"{where}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise DataError(f"{where}.{name}: missing")
    return kind(**values)


def _read_union(kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
    if plain is None and type(None) in kinds:
        return None
    error: DataError | None = None
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return _read(kind, plain, where)
        except DataError as why:
            error = error or why
    raise error or DataError(f"{where}: {plain!r} does not fit")


def _read_tuple(kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
    if not isinstance(plain, list):
        raise DataError(f"{where}: expected a list")
    each = kinds[0]
    return tuple(_read(each, item, f"{where}[{place}]") for place, item in enumerate(plain))


def _read_mapping(kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
    if not isinstance(plain, dict):
        raise DataError(f"{where}: expected an object")
    of_key, of_value = kinds
    return {
        _read(of_key, key, f"{where} key"): _read(of_value, value, f"{where}.{key}")
        for key, value in plain.items()
    }
