"""docs/CONFIG.md, made from the dataclasses: `python -m rebalancer.config.document`.

What a key means stands in `keys.txt` beside this file, one line a key; a test holds the lines,
the dataclasses and the document together.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from datetime import datetime
from decimal import Decimal
from enum import Enum
from importlib.resources import files
from typing import Any

from annotated_types import Ge, Gt, Le, MinLen

from rebalancer.config.instruments import InstrumentSettings, TickLevel
from rebalancer.config.load import SECTIONS
from rebalancer.config.values import bare, choices_of, leaf, required, show
from rebalancer.model.universe import Sleeve

TABLES: Mapping[str, tuple[type, ...]] = {
    "portfolio": SECTIONS["portfolio"],
    "account": SECTIONS["account"],
    "sleeve": (Sleeve,),
    "instrument": (InstrumentSettings,),
    "instrument.ticks": (TickLevel,),
    **{name: kinds for name, kinds in SECTIONS.items() if name not in ("portfolio", "account")},
}
"""Every table of the file in the order of the document."""

LISTS = ("sleeve", "instrument", "instrument.ticks")
_NAMES = {Decimal: "number", float: "number", int: "whole number", str: "text", bool: "true, false"}
_UNTOLD = "not set"


def document() -> str:
    """Return the whole page."""
    head, _, tail = _text("head.md").partition("<!-- tables -->\n")
    return head + "".join(_table(name) for name in TABLES) + tail


def keys() -> Iterator[str]:
    """Yield every key of the file, like `risk.max_order_weight`."""
    for name, kinds in TABLES.items():
        for kind in kinds:
            for field in fields(kind):
                yield f"{name}.{field.name}"


def meanings() -> dict[str, str]:
    """Return what each key means, units included, as `keys.txt` says."""
    lines = [line for line in _text("keys.txt").splitlines() if line and not line.startswith("#")]
    return {key: words.strip() for key, _, words in (line.partition(":") for line in lines)}


def _text(name: str) -> str:
    return (files("rebalancer.config") / name).read_text(encoding="utf-8")


def _table(name: str) -> str:
    meaning = meanings()
    brackets = f"[[{name}]]" if name in LISTS else f"[{name}]"
    lines = [f"## `{brackets}`", "", meaning[name], ""]
    lines += ["| Key | What | Default | Range |", "|---|---|---|---|"]
    for kind in TABLES[name]:
        hints = typing.get_type_hints(kind, include_extras=True)
        for field in fields(kind):
            words = meaning[f"{name}.{field.name}"]
            hint = hints[field.name]
            lines.append(f"| `{field.name}` | {words} | {_default(field)} | {_range(hint)} |")
    return "\n".join(lines) + "\n\n"


def _default(field: Field[Any]) -> str:
    if required(field):
        return "**required**"
    value = field.default if field.default_factory is MISSING else field.default_factory()
    if value is None:
        return _UNTOLD
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, tuple):
        value = [each.value if isinstance(each, Enum) else each for each in value]
    if isinstance(value, datetime):
        return f"`{value:%Y-%m-%dT%H:%M:%SZ}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{show(value)}`"


def _range(hint: Any) -> str:
    kind = leaf(hint)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{choice}`" for choice in choices_of(kind))
    name = _NAMES.get(kind, "a time with its zone" if kind is datetime else "anything")
    shape = typing.get_origin(bare(hint))
    if shape is not None:
        name = f"list of {name}" if shape is tuple else f"table of {name}"
    bounds = [words for words in (_bound(each) for each in _metadata(hint)) if words]
    return ", ".join([name, *bounds])


def _metadata(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) is typing.Annotated:
        return typing.get_args(hint)[1:]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(each for kind in typing.get_args(hint) for each in _metadata(kind))
    return ()


def _bound(bound: Any) -> str:
    if isinstance(bound, Gt):
        return f"> {bound.gt}"
    if isinstance(bound, Ge):
        return f"≥ {bound.ge}"
    if isinstance(bound, Le):
        return f"≤ {bound.le}"
    return "not empty" if isinstance(bound, MinLen) else ""


if __name__ == "__main__":
    sys.stdout.write(document())
