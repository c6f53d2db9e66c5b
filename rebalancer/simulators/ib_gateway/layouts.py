"""What a layout is made of: named fields, blocks that may be there, and repeated groups.

A layout is data. The encoder, the parser and the documentation read the same one. In the
texts of the layouts a word is one field: `name!:kind=default`, with `>=N` or `<N` at its end
when only some versions have it. A name with `!` must be given to the encoder; one without has
its default, else its kind's "unset". `*` names the one value of a plain group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

OLDEST, NEWEST = 157, 178
"""The versions of the wire that the layouts know."""

UNSET_PRICE = "1.7976931348623157E308"
UNSET_INTEGER = 2_147_483_647
UNSET_LONG = 9_223_372_036_854_775_807

KINDS: Mapping[str, str] = {
    "t": "text",
    "i": "whole number; empty or 2147483647 when unset",
    "k": "whole number that must be there",
    "l": "whole number of up to 64 bits; empty or 9223372036854775807 when unset",
    "n": "number; empty when unset",
    "p": "number; the largest double (1.7976931348623157E308) when unset",
    "x": "number, or Infinity; empty when unset",
    "b": "truth: 1 or 0",
    "r": "every text that is left, none too; at the end of a message only",
}
"""What the kinds mean. All kinds of unset are read, whichever of them a kind writes."""

SET, POSITIVE, INFINITE = "set", "positive", "infinite"
_ENDLESS = 10**9


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the wire; versions from `since` to the one before `until` have it."""

    name: str
    kind: str
    default: str | None = None
    required: bool = False
    since: int = 0
    until: int = _ENDLESS


@dataclass(frozen=True, slots=True)
class When:
    """A block that is there when an earlier field says so.

    `test`: "set" (neither empty nor false, a group with members), "positive", "infinite", or
    the values that it may have, with `|` between them.
    """

    field: str
    test: str
    parts: tuple[Part, ...]
    since: int = 0


@dataclass(frozen=True, slots=True)
class Repeat:
    """A count, then a group that many times; a group of the one field `*` is plain values."""

    name: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Fields that depend on the value of a whole number before them in the same group."""

    field: str
    cases: tuple[tuple[int, str, tuple[Part, ...]], ...]
    """For each value its meaning in words and its fields."""


Block = When | Repeat | Choice
Part = Field | Block

_WORD = re.compile(
    r"(?P<name>[A-Za-z0-9]+|\*)(?P<must>!)?(?::(?P<kind>[a-z]))?(?:=(?P<default>[^<>]*))?"
    r"(?:>=(?P<since>\d+)|<(?P<until>\d+))?"
)


@cache
def fields(text: str) -> tuple[Field, ...]:
    """Return the fields that a text describes; raises `ValueError` for a word that is none."""
    found = []
    for word in text.split():
        match = _WORD.fullmatch(word)
        kind = (match["kind"] or "t") if match else ""
        if match is None or kind not in KINDS:
            raise ValueError(f"{word!r} is no field of a layout")
        default = match["default"]
        found.append(
            Field(
                name=match["name"],
                kind=kind,
                default=None if default is None else default.replace("_", " "),
                required=match["must"] is not None,
                since=int(match["since"] or 0),
                until=int(match["until"] or _ENDLESS),
            )
        )
    return tuple(found)


def layout(*parts: str | Part) -> tuple[Part, ...]:
    """Return the parts of a layout, texts taken apart."""
    found: list[Part] = []
    for part in parts:
        found.extend(fields(part) if isinstance(part, str) else (part,))
    return tuple(found)


def repeat(name: str, *parts: str | Part) -> Repeat:
    """Return a counted group."""
    return Repeat(name, layout(*parts))


def when(field: str, test: str, *parts: str | Part, since: int = 0) -> When:
    """Return a block that is there when a field says so."""
    return When(field, test, layout(*parts), since=since)


def at(parts: Sequence[Part], version: int) -> tuple[Part, ...]:
    """Return the parts that one version of the wire has; raises `ValueError` for no version."""
    if not OLDEST <= version <= NEWEST:
        raise ValueError(f"version {version} of the wire is not one of {OLDEST} to {NEWEST}")
    found: list[Part] = []
    for part in parts:
        if isinstance(part, Field):
            if part.since <= version < part.until:
                found.append(part)
        elif isinstance(part, When):
            if version >= part.since:
                found.append(When(part.field, part.test, at(part.parts, version)))
        elif isinstance(part, Repeat):
            found.append(Repeat(part.name, at(part.parts, version)))
        else:
            cases = tuple((value, says, at(inner, version)) for value, says, inner in part.cases)
            found.append(Choice(part.field, cases))
    return tuple(found)


def names(parts: Sequence[Part]) -> Iterator[str]:
    """Yield every name of a layout in any version; of a group its own, not its members'."""
    for part in parts:
        if isinstance(part, Field | Repeat):
            yield part.name
        elif isinstance(part, When):
            yield from names(part.parts)
