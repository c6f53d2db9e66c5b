"""Layouts made into what writes a message of the gateway: once for each message and version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from rebalancer.simulators.ib_gateway.codec_values import WRITE, unset
from rebalancer.simulators.ib_gateway.layouts import (
    INFINITE,
    POSITIVE,
    SET,
    UNSET_PRICE,
    Block,
    Choice,
    Field,
    Part,
    Repeat,
    When,
    at,
    names,
)
from rebalancer.simulators.ib_gateway.layouts_out import ANSWERS

Texts = dict[str, str]
Groups = dict[str, list[str]]
Step = Callable[[Texts, Groups, list[str]], None]


class Writer:
    """Writes one group of parts: a whole message, or a member of a group in it.

    `title` is what errors call it; `layout` has the parts of every version.
    """

    def __init__(self, title: str, layout: Sequence[Part], version: int) -> None:
        parts = at(layout, version)
        self._title = title
        self._version = version
        self._known = frozenset(names(layout))
        self._layouts = dict(_groups(layout))
        self._fields: dict[str, Field] = {}
        self._groups: dict[str, tuple[Writer, bool]] = {}
        self._order: list[str] = []
        self._learn(parts)
        self._defaults = {name: unset(field) for name, field in self._fields.items()}
        self._empty: Groups = {name: ["0"] for name in self._groups}
        self._required = frozenset(n for n, field in self._fields.items() if field.required)
        self._writers = {name: WRITE[field.kind] for name, field in self._fields.items()}
        self._is_flat = all(isinstance(part, Field) for part in parts)
        self._steps = self._plan(parts)

    def _learn(self, parts: Sequence[Part]) -> None:
        for part in parts:
            if isinstance(part, Field):
                if part.name in self._fields:
                    raise ValueError(f"{self._title} has two fields {part.name}")
                self._fields[part.name] = part
                self._order.append(part.name)
            elif isinstance(part, When):
                self._learn(part.parts)
            elif isinstance(part, Repeat):
                whole = self._layouts[part.name]
                inner = Writer(f"{self._title}.{part.name}", whole, self._version)
                self._groups[part.name] = inner, tuple(names(whole)) == ("*",)
                self._order.append(part.name)
            else:
                self._learn_cases(part)

    def _learn_cases(self, choice: Choice) -> None:
        """Learn the fields of every case: the same name may be in several, of the same kind."""
        for _value, _says, parts in choice.cases:
            for part in parts:
                if not isinstance(part, Field):
                    raise ValueError(f"{self._title} chooses between blocks")
                known = self._fields.setdefault(part.name, part)
                if known != part:
                    raise ValueError(f"{self._title} has two kinds of {part.name}")
        self._known |= self._fields.keys()

    # ------------------------------------------------------------------ writing

    def write(self, values: Mapping[str, Any], out: list[str]) -> None:
        """Append the texts of these values to `out`."""
        texts, groups = self._defaults.copy(), self._empty.copy()
        writers = self._writers
        for name, value in values.items():
            writer = writers.get(name)
            if writer is None:
                self._other(name, value, groups)
            elif value is not None:
                try:
                    texts[name] = writer(value)
                except TypeError:
                    raise TypeError(self._wrong(name, value)) from None
        if missing := self._required - values.keys():
            raise TypeError(f"{self._title} needs {', '.join(sorted(missing))}")
        if self._is_flat:
            out.extend(texts.values())
            return
        for step in self._steps:
            step(texts, groups, out)

    def _other(self, name: str, value: Any, groups: Groups) -> None:
        """Write a group; a name that only other versions have says nothing at this one."""
        found = self._groups.get(name)
        if found is None:
            if name not in self._known:
                raise TypeError(f"{self._title} has no field {name}")
            return
        writer, is_plain = found
        members = value or ()
        if isinstance(members, str | bytes | Mapping):
            raise TypeError(self._wrong(name, value))
        group = groups[name] = [str(len(members))]
        for member in members:
            if isinstance(member, Mapping):
                writer.write(member, group)
            elif is_plain:
                writer.write({"*": member}, group)
            else:
                writer.write(writer.by_place(member), group)

    def by_place(self, member: Sequence[Any]) -> Mapping[str, Any]:
        """Return a group's member that was given by place; raises `TypeError`."""
        if isinstance(member, str) or len(member) != len(self._order):
            raise TypeError(f"{self._title} is {', '.join(self._order)}, not {member!r}")
        return dict(zip(self._order, member, strict=True))

    def _wrong(self, name: str, value: object) -> str:
        kind = self._fields[name].kind if name in self._fields else "group"
        return f"{self._title}.{name} (kind {kind}) cannot be {value!r}"

    # ------------------------------------------------------------------ the plan

    def _plan(self, parts: Sequence[Part]) -> tuple[Step, ...]:
        steps: list[Step] = []
        run: list[str] = []
        for part in parts:
            if isinstance(part, Field):
                run.append(part.name)
                continue
            if run:
                steps.append(_run(run))
                run = []
            steps.append(self._block(part))
        if run:
            steps.append(_run(run))
        return tuple(steps)

    def _block(self, part: Block) -> Step:
        if isinstance(part, Repeat):
            return _group(part.name)
        if isinstance(part, When):
            return self._when(part)
        return self._choice(part)

    def _when(self, part: When) -> Step:
        name, inner = part.field, self._plan(part.parts)
        holds = _group_has_members if name in self._groups else _test(part.test)
        of_groups = name in self._groups

        def step(texts: Texts, groups: Groups, out: list[str]) -> None:
            if holds(groups[name][0] if of_groups else texts[name]):
                for each in inner:
                    each(texts, groups, out)

        return step

    def _choice(self, part: Choice) -> Step:
        name, title = part.field, self._title
        cases = {str(value): self._plan(inner) for value, _says, inner in part.cases}

        def step(texts: Texts, groups: Groups, out: list[str]) -> None:
            chosen = cases.get(texts[name])
            if chosen is None:
                raise TypeError(f"{title}.{name} cannot be {texts[name]!r}")
            for each in chosen:
                each(texts, groups, out)

        return step


def _groups(layout: Sequence[Part]) -> Iterator[tuple[str, Sequence[Part]]]:
    """Yield the groups of a layout with their parts in every version."""
    for part in layout:
        if isinstance(part, Repeat):
            yield part.name, part.parts
        elif isinstance(part, When):
            yield from _groups(part.parts)


def _run(run: Sequence[str]) -> Step:
    order = tuple(run)

    def step(texts: Texts, _groups: Groups, out: list[str]) -> None:
        out.extend([texts[name] for name in order])

    return step


def _group(name: str) -> Step:
    def step(_texts: Texts, groups: Groups, out: list[str]) -> None:
        out.extend(groups[name])

    return step


def _group_has_members(count: str) -> bool:
    return count != "0"


def _test(test: str) -> Callable[[str], bool]:
    """Return the test of a block, for fields as they are written."""
    if test == SET:
        return lambda text: text not in ("", "0")
    if test == POSITIVE:
        return lambda text: text not in ("", UNSET_PRICE) and Decimal(text) > 0
    if test == INFINITE:
        return "Infinity".__eq__
    return frozenset(test.split("|")).__contains__


@cache
def writer(name: str, version: int) -> tuple[str, Writer]:
    """Return a message's number and what writes it at a version; raises `TypeError`."""
    if name not in ANSWERS:
        raise TypeError(f"the gateway has no message {name}")
    number, parts = ANSWERS[name]
    return str(number), Writer(name, parts, version)
