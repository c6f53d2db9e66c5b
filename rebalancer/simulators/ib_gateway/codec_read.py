"""Layouts made into what reads a message of a client: once for each message and version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from rebalancer.simulators.ib_gateway.codec_values import READ
from rebalancer.simulators.ib_gateway.layouts import (
    INFINITE,
    POSITIVE,
    SET,
    Block,
    Choice,
    Field,
    Part,
    Repeat,
    When,
    at,
)
from rebalancer.simulators.ib_gateway.layouts_in import REQUESTS

MOST = 10_000
"""The most members of one group that are read."""

_SHOWN = 40
_READ_COUNT = READ["i"]


class Unreadable(ValueError):
    """A message that cannot be read; the words say which field of it."""


class Cursor:
    """The fields of one message, and how far they are read."""

    __slots__ = ("fields", "name", "place")

    def __init__(self, name: str, fields: Sequence[str]) -> None:
        self.name = name
        self.fields = fields
        self.place = 1


Step = Callable[[Cursor, dict[str, Any]], None]


@cache
def reader(number: int, version: int) -> tuple[str, Step]:
    """Return a message's name and what reads its fields at a version, as `READS` numbers it."""
    name, parts = REQUESTS[number]
    return name, _steps(at(parts, version))


def _steps(parts: Sequence[Part]) -> Step:
    """Return what reads parts one after the other; fields side by side are read as one run."""
    steps: list[Step] = []
    run: list[Field] = []
    for part in parts:
        if isinstance(part, Field) and part.kind != "r":
            run.append(part)
            continue
        if run:
            steps.append(_run(run))
            run = []
        steps.append(_rest(part.name) if isinstance(part, Field) else _block(part))
    if run:
        steps.append(_run(run))
    if len(steps) == 1:
        return steps[0]
    order = tuple(steps)

    def all_of_them(cursor: Cursor, values: dict[str, Any]) -> None:
        for step in order:
            step(cursor, values)

    return all_of_them


def _block(part: Block) -> Step:
    if isinstance(part, Repeat):
        return _group(part)
    if isinstance(part, When):
        return _when(part)
    return _choice(part)


def _run(fields: Sequence[Field]) -> Step:
    names = tuple(field.name for field in fields)
    readers = tuple((field.name, READ[field.kind]) for field in fields if field.kind != "t")
    size = len(names)

    def step(cursor: Cursor, values: dict[str, Any]) -> None:
        start = cursor.place
        cursor.place = start + size
        texts = cursor.fields[start : start + size]
        values.update(zip(names, texts, strict=False))
        if len(texts) < size:
            raise Unreadable(f"{cursor.name} ends before {names[len(texts)]}")
        name = ""
        try:
            for name, read in readers:
                values[name] = read(values[name])
        except ValueError as error:
            shown = values[name][:_SHOWN]
            raise Unreadable(f"{name} of {cursor.name} is {shown!r}") from error

    return step


def _rest(name: str) -> Step:
    def step(cursor: Cursor, values: dict[str, Any]) -> None:
        values[name] = tuple(cursor.fields[cursor.place :])
        cursor.place = len(cursor.fields)

    return step


def _group(part: Repeat) -> Step:
    name, read_member = part.name, _steps(part.parts)
    plain = tuple(each.name for each in part.parts if isinstance(each, Field)) == ("*",)

    def step(cursor: Cursor, values: dict[str, Any]) -> None:
        place = cursor.place
        left = len(cursor.fields) - place - 1
        if left < 0:
            raise Unreadable(f"{cursor.name} ends before the number of {name}")
        text = cursor.fields[place]
        try:
            count = _READ_COUNT(text) or 0
        except ValueError as error:
            raise Unreadable(
                f"the number of {name} of {cursor.name} is {text[:_SHOWN]!r}"
            ) from error
        if not 0 <= count <= min(MOST, left):
            raise Unreadable(f"{cursor.name} ends before its {count} {name}")
        cursor.place = place + 1
        members = []
        for _ in range(count):
            member: dict[str, Any] = {}
            read_member(cursor, member)
            members.append(member["*"] if plain else member)
        values[name] = tuple(members)

    return step


def _when(part: When) -> Step:
    name, holds, inner = part.field, _test(part.test), _steps(part.parts)

    def step(cursor: Cursor, values: dict[str, Any]) -> None:
        if holds(values[name]):
            inner(cursor, values)

    return step


def _test(test: str) -> Callable[[Any], bool]:
    """Return the test of a block, for values as they are read (unset: None)."""
    if test == SET:
        return bool
    if test == POSITIVE:
        return lambda value: value is not None and value > 0
    if test == INFINITE:
        return lambda value: value is not None and bool(value.is_infinite())
    return frozenset(test.split("|")).__contains__


def _choice(part: Choice) -> Step:
    name = part.field
    cases: Mapping[int, Step] = {value: _steps(parts) for value, _says, parts in part.cases}

    def step(cursor: Cursor, values: dict[str, Any]) -> None:
        chosen = cases.get(values[name])
        if chosen is None:
            raise Unreadable(f"{name} of {cursor.name} is {values[name]}")
        chosen(cursor, values)

    return step
