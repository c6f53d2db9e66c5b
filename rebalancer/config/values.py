"""One table of the file against one dataclass: names, types and ranges, every problem at once."""

from __future__ import annotations

import difflib
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from annotated_types import Ge, Gt, Le, MinLen

from rebalancer.errors import Problem
from rebalancer.model.records import Mode

_LONGEST_VALUE = 80
_SECRET_WORDS = ("pass", "pwd", "secret", "token", "apikey", "credential", "ping", "auth", "dsn")
_SECRET_NAMES = frozenset({"key", "url", "uri"})
_WORDS: Mapping[Any, str] = {
    Decimal: "a number",
    float: "a number",
    int: "a whole number",
    str: "text in quotes",
    bool: "true or false",
    date: "a date like 2020-03-02",
    datetime: "a time with its zone, like 2020-03-02T15:05:00Z",
}
NOT_FOR_FILES = frozenset({Mode.REPLAY})
"""Choices that only programs make."""

_ADDRESS = re.compile(r"(://)\S+")
_NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?", re.ASCII)
_BOUNDS = {
    "greater_than": ("gt", "must be greater than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}


class Problems:
    """Everything that is wrong with one file, in the order in which it was found."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Problem] = []

    def add(self, key: str, value: Any, message: str, hint: str = "") -> None:
        """Note a problem; `value` is what the file says (None: nothing stands there)."""
        shown = "***" if looks_secret(key) and value is not None else show(value)
        self.found.append(Problem(self.file, key, shown, message, hint))

    def __len__(self) -> int:
        """Return how many problems were found."""
        return len(self.found)


def looks_secret(key: str) -> bool:
    """Return whether the value of a key with this name had better not be shown."""
    name = key.rpartition(".")[2].lower()
    parts = frozenset(re.split(r"[^a-z0-9]+", name))
    return any(word in name for word in _SECRET_WORDS) or not parts.isdisjoint(_SECRET_NAMES)


def show(value: Any) -> str:
    """Return a value as the file would have it, in one short line; '' for None.

    Who speaks to whom at an address is left out: a password stands there, or is the address.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str):
        value = _ADDRESS.sub(r"\1***", value)
        text = '"' + value.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key} = {_hidden(key, each)}" for key, each in value.items()) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(show(each) for each in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _hidden(key: str, value: Any) -> str:
    return "***" if looks_secret(str(key)) else show(value)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the hint "did you mean ...?" with the names that look like this one, or ''."""
    by_lower = {each.lower(): each for each in sorted(set(known), reverse=True)}
    near = difflib.get_close_matches(name.lower(), by_lower, n=2, cutoff=0.6)
    return f"did you mean {' or '.join(by_lower[each] for each in near)}?" if near else ""


def unknown_key(
    problems: Problems, key: str, value: Any, known: Sequence[str], elsewhere: str = ""
) -> None:
    """Note a key that nobody knows, with the nearest one that somebody does."""
    name = key.rpartition(".")[2]
    if looks_secret(name):
        hint = "a secret stands in the environment or in secrets.toml, never here"
    elif elsewhere:
        hint = f"it belongs into [{elsewhere}]"
    else:
        hint = nearest(name, known) or f"known: {', '.join(known)}"
    problems.add(key, value, "unknown key", hint)


def read(
    kind: type,
    table: Mapping[str, Any],
    where: str,
    problems: Problems,
    advice: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the values of the fields of `kind` that are right, defaults included.

    A field that is missing or wrong is not in the answer and has its problem noted.
    Unknown keys are the caller's (it knows what else may stand in the table). `advice`
    says what to write for a key that is missing.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    for field in fields(kind):
        key = f"{where}.{field.name}"
        if field.name in table:
            good, value = value_of(hints[field.name], table[field.name], key, problems)
            if good:
                values[field.name] = value
        elif required(field):
            problems.add(key, None, "missing", (advice or {}).get(key, ""))
        elif field.default_factory is not MISSING:
            values[field.name] = field.default_factory()
        else:
            values[field.name] = field.default
    return values


def required(field: Field[Any]) -> bool:
    """Return whether a field has no default."""
    return field.default is MISSING and field.default_factory is MISSING


def value_of(hint: Any, plain: Any, key: str, problems: Problems) -> tuple[bool, Any]:
    """Return whether a value has the type and range of `hint`, and the value in that type."""
    before = len(problems)
    fitted = _fit(hint, plain)
    kind = leaf(hint)
    for place, each in _each(hint, fitted):
        if isinstance(kind, type) and issubclass(kind, Enum) and not isinstance(each, kind):
            choices = choices_of(kind)
            near = nearest(each, choices) if isinstance(each, str) else ""
            problems.add(key + place, each, f"must be one of {', '.join(choices)}", near)
        if isinstance(each, str) and "\0" in each:
            problems.add(key + place, each, "must not have the letter \\u0000 in it")
        if isinstance(each, datetime) and each.tzinfo is None:
            problems.add(key + place, each, f"must be {_WORDS[datetime]}")
    if len(problems) > before:
        return False, None
    if plainly_right(hint, fitted):
        return True, fitted
    return _judged(hint, fitted, plain, key, problems)


def plainly_right(hint: Any, value: Any) -> bool:
    """Return whether a value is beyond doubt of its type and within its range.

    False is no verdict: pydantic judges then. It costs more to load than everything else
    here together, and in an ordinary hour's file nothing is in doubt.
    """
    if typing.get_origin(hint) is typing.Annotated:
        kind, *bounds = typing.get_args(hint)
        return plainly_right(kind, value) and all(_within(bound, value) for bound in bounds)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(plainly_right(kind, value) for kind in typing.get_args(hint))
    if isinstance(hint, typing.NewType):
        return plainly_right(hint.__supertype__, value)
    if typing.get_origin(hint) is tuple:
        each = typing.get_args(hint)[0]
        return type(value) is tuple and all(plainly_right(each, one) for one in value)
    if typing.get_origin(hint) is Mapping:
        each = typing.get_args(hint)[1]
        return type(value) is dict and all(plainly_right(each, one) for one in value.values())
    if type(value) is not hint:
        return False
    return math.isfinite(value) if isinstance(value, (float, Decimal)) else True


def _within(bound: Any, value: Any) -> bool:
    if isinstance(bound, Gt):
        return bool(value > bound.gt)
    if isinstance(bound, Ge):
        return bool(value >= bound.ge)
    if isinstance(bound, Le):
        return bool(value <= bound.le)
    return isinstance(bound, MinLen) and len(value) >= bound.min_length


def _judged(hint: Any, fitted: Any, plain: Any, key: str, problems: Problems) -> tuple[bool, Any]:
    # Loaded only for a value in doubt: see `plainly_right`.
    from pydantic import ConfigDict, TypeAdapter, ValidationError  # noqa: PLC0415

    rules = ConfigDict(allow_inf_nan=False, arbitrary_types_allowed=True)
    try:
        return True, TypeAdapter(hint, config=rules).validate_python(fitted, strict=True)
    except ValidationError as error:
        for wrong in error.errors():
            place = "".join(
                f"[{part}]" if isinstance(part, int) else f".{part}" for part in wrong["loc"]
            )
            problems.add(key + place, _inside(plain, wrong["loc"]), _message(wrong, hint))
        return False, None


def bare(hint: Any) -> Any:
    """Return a hint without its bounds, its name and its None."""
    if typing.get_origin(hint) is typing.Annotated:
        return bare(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return bare(kinds[0])
    if isinstance(hint, typing.NewType):
        return bare(hint.__supertype__)
    return hint


def leaf(hint: Any) -> Any:
    """Return the type of a value, or of each value of a list."""
    shape = bare(hint)
    if typing.get_origin(shape) is tuple:
        return bare(typing.get_args(shape)[0])
    if typing.get_origin(shape) is Mapping:
        return bare(typing.get_args(shape)[1])
    return shape


def choices_of(kind: type[Enum]) -> list[str]:
    """Return what a file may say where one of several words is wanted."""
    return [str(choice.value) for choice in kind if choice not in NOT_FOR_FILES]


def _each(hint: Any, value: Any) -> list[tuple[str, Any]]:
    if typing.get_origin(bare(hint)) is tuple and isinstance(value, tuple):
        return [(f"[{place}]", each) for place, each in enumerate(value)]
    if typing.get_origin(bare(hint)) is Mapping and isinstance(value, dict):
        return [(f".{name}", each) for name, each in value.items()]
    return [("", value)]


def _fit(hint: Any, value: Any) -> Any:
    """Return a value of the file in the type wanted where that loses nothing, else unchanged."""
    shape = bare(hint)
    if typing.get_origin(shape) is tuple and isinstance(value, list):
        return tuple(_fit(typing.get_args(shape)[0], each) for each in value)
    if typing.get_origin(shape) is Mapping and isinstance(value, dict):
        kind = typing.get_args(shape)[1]
        return {key: _fit(kind, each) for key, each in value.items()}
    if shape is Decimal:
        return _decimal(value)
    if shape is datetime:
        return _time(value)
    if shape is float:
        number = _decimal(value)
        return float(number) if isinstance(number, Decimal) else value
    if isinstance(shape, type) and issubclass(shape, Enum):
        known = {choice.value: choice for choice in shape}
        return known.get(value, value) if isinstance(value, (str, int)) else value
    return value


def _decimal(value: Any) -> Any:
    """Return a whole number, or a number in quotes, as the exact decimal it is."""
    if type(value) is int or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        return Decimal(value)
    return value


def _time(value: Any) -> Any:
    """Return a time, in quotes or not, in UTC; one without a zone stays as it is."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    aware = isinstance(value, datetime) and value.tzinfo is not None
    return value.astimezone(UTC) if aware else value


def _inside(plain: Any, loc: tuple[int | str, ...]) -> Any:
    for part in loc:
        if isinstance(part, int) and isinstance(plain, list) and part < len(plain):
            plain = plain[part]
        elif isinstance(plain, dict):
            plain = plain.get(part)
    return plain


def _message(wrong: Mapping[str, Any], hint: Any) -> str:
    kind = wrong["type"]
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{words} {wrong['ctx'][bound]}"
    if kind == "finite_number":
        return "must be a finite number"
    if kind == "too_short":
        return "must not be empty"
    if kind in ("tuple_type", "list_type"):
        return "must be a list, like [...]"
    if kind in ("mapping_type", "dict_type"):
        return "must be a table, like { ... }"
    words = _WORDS.get(leaf(hint), "")
    return f"must be {words}" if words else str(wrong["msg"])
