"""The layouts as tables for people: every message, field by field, in Markdown."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rebalancer.simulators.ib_gateway.codec_values import unset
from rebalancer.simulators.ib_gateway.layouts import (
    INFINITE,
    KINDS,
    NEWEST,
    OLDEST,
    POSITIVE,
    SET,
    UNSET_PRICE,
    Field,
    Part,
    Repeat,
    When,
)
from rebalancer.simulators.ib_gateway.layouts_in import REQUESTS
from rebalancer.simulators.ib_gateway.layouts_out import ANSWERS

_KIND_WORDS = {
    "t": "text",
    "i": "integer",
    "k": "integer",
    "l": "long",
    "n": "number",
    "p": "price",
    "x": "number",
    "b": "bool",
    "r": "all texts that are left",
}
_TESTS = {SET: "is set", POSITIVE: "is above 0", INFINITE: "is Infinity"}
_INDENT = "&nbsp;&nbsp;"


def document() -> str:
    """Return Markdown with the fields of every message, both ways; the same text every time.

    Messages that are a plain list of fields share a table; the others have one of their own.
    """
    lines = [
        f"Server versions {OLDEST} to {NEWEST}. A frame is its length in four bytes (big-endian), "
        "then texts that each end with a NUL; the first is the message's number.",
        "",
        "| kind | on the wire |",
        "| --- | --- |",
        *(f"| {word} | {meaning} |" for word, meaning in _kinds()),
        "",
        "A field without a kind is text.",
        "",
        "### What clients say",
        "",
        *_messages(
            [(number, name, parts) for number, (name, parts) in sorted(REQUESTS.items())],
            heard=True,
        ),
        "### What the gateway says",
        "",
        *_messages(
            [(number, name, parts) for name, (number, parts) in ANSWERS.items()], heard=False
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _messages(messages: Sequence[tuple[int, str, Sequence[Part]]], *, heard: bool) -> Iterator[str]:
    yield "| number | message | fields after the number |"
    yield "| --- | --- | --- |"
    large = []
    for number, name, parts in messages:
        if _is_plain(parts):
            yield f"| {number} | {name} | {', '.join(map(_short, parts)) or 'none'} |"
        else:
            yield f"| {number} | {name} | below |"
            large.append((number, name, parts))
    yield ""
    for number, name, parts in large:
        yield from _message(number, name, parts, heard=heard)


def _is_plain(parts: Sequence[Part]) -> bool:
    return all(
        isinstance(part, Field)
        or (isinstance(part, Repeat) and all(isinstance(each, Field) for each in part.parts))
        for part in parts
    )


def _short(part: Part) -> str:
    """Return a field or a flat group in a few words."""
    if isinstance(part, Repeat):
        inner = ", ".join(_short(each) for each in part.parts)
        return f"number of {part.name}, for each ({inner})"
    if not isinstance(part, Field):
        raise TypeError(f"{part!r} has no short form")
    if part.name == "version" and part.default is not None and not _versions(part):
        return part.default
    name = "value" if part.name == "*" else part.name
    kind = "" if part.kind == "t" else _KIND_WORDS[part.kind]
    about = ", ".join(each for each in (kind, _versions(part)) if each)
    return f"{name} ({about})" if about else name


def _kinds() -> Iterator[tuple[str, str]]:
    yield "text", KINDS["t"]
    yield "integer", KINDS["i"]
    yield "long", KINDS["l"]
    yield "number", f"{KINDS['n']}; `Infinity` (`Infinite` is read too) where it has a meaning"
    yield "price", KINDS["p"]
    yield "bool", KINDS["b"]


def _message(number: int, name: str, parts: Sequence[Part], *, heard: bool) -> Iterator[str]:
    yield f"#### {name} ({number})"
    yield ""
    yield f"| field | kind | {'must be there' if heard else 'if not given'} | versions |"
    yield "| --- | --- | --- | --- |"
    yield from _rows(parts, 0, heard=heard)
    yield ""


def _rows(parts: Sequence[Part], depth: int, *, heard: bool) -> Iterator[str]:
    indent = _INDENT * depth
    for part in parts:
        if isinstance(part, Field):
            name = "(value)" if part.name == "*" else part.name
            third = _needed(part) if heard else _default(part)
            yield f"| {indent}{name} | {_KIND_WORDS[part.kind]} | {third} | {_versions(part)} |"
        elif isinstance(part, When):
            since = f"from {part.since}" if part.since else ""
            yield f"| {indent}*if {part.field} {_test(part)}:* | | | {since} |"
            yield from _rows(part.parts, depth + 1, heard=heard)
        elif isinstance(part, Repeat):
            yield f"| {indent}*number of {part.name}, then for each:* | integer | | |"
            yield from _rows(part.parts, depth + 1, heard=heard)
        else:
            for value, says, inner in part.cases:
                yield f"| {indent}*if {part.field} is {value} ({says}):* | | | |"
                yield from _rows(inner, depth + 1, heard=heard)


def _test(part: When) -> str:
    return _TESTS.get(part.test) or f"is {part.test.replace('|', ' or ')}"


def _needed(field: Field) -> str:
    if field.name == "version" and field.default is not None:
        return f"clients send {field.default}"
    return "yes" if field.kind == "k" else ""


def _default(field: Field) -> str:
    if field.required:
        return "is always given"
    text = unset(field)
    if text == UNSET_PRICE:
        return "unset"
    return f"`{text}`" if text else "empty"


def _versions(field: Field) -> str:
    since, until = field.since or 0, field.until
    if since > OLDEST and until <= NEWEST:
        return f"{since} to {until - 1}"
    if since > OLDEST:
        return f"from {since}"
    return f"to {until - 1}" if until <= NEWEST else ""


if __name__ == "__main__":
    print(document())


if __name__ == "__main__":
    sys.stdout.write(document())
