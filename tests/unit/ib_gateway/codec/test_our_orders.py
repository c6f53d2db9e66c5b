"""Orders as we write them are read by the real library field for field, with every block."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.simulators.ib_gateway.codec import encode
from rebalancer.simulators.ib_gateway.layouts import Field, Part, Repeat, When
from rebalancer.simulators.ib_gateway.layouts_orders import COMPLETED_ORDER, OPEN_ORDER
from tests.unit.ib_gateway.codec.peer import default_of, heard_from, versions

# The gateway's codec takes a text "0" for none, as it does numbers; nothing is called so.
_TEXTS = st.text(
    st.characters(exclude_characters="\0\ufffd", exclude_categories=["Cs"]), max_size=5
).filter(lambda text: text != "0")
_INTEGERS = st.integers(0, 2**31 - 2)
_NUMBERS = st.decimals(0, 10**6, places=4).map(lambda number: number.normalize() + 0)
_BY_KIND = {
    "t": _TEXTS,
    "i": _INTEGERS,
    "k": _INTEGERS,
    "l": st.integers(0, 2**63 - 2),
    "n": _NUMBERS,
    "p": _NUMBERS,
    "x": st.one_of(_NUMBERS, st.just(Decimal("Infinity"))),
    "b": st.booleans(),
}
_CONTRACT = frozenset(
    {
        *("conId", "symbol", "secType", "strike", "right", "multiplier", "exchange", "currency"),
        *("localSymbol", "tradingClass", "comboLegsDescrip"),
    }
)
_CALLED = {
    "expiry": "lastTradeDateOrContractMonth",
    "trailStopPriceAgain": "trailStopPrice",
    "account": "account",
}
_NOT_READ = frozenset({"sharesAllocation", "hasDeltaNeutral", "trailStopPrice"})
"""What the library leaves out, or reads a second time further on."""

_CHOSEN = {
    "orderType": ("LMT", "MKT", "PEG BENCH", "VOL"),
    "deltaNeutralOrderType": ("None", "LMT", ""),
}
_CONDITIONS = st.one_of(
    st.fixed_dictionaries(
        {"condType": st.just(1), "isMore": st.booleans(), "price": _NUMBERS}
    ).flatmap(
        lambda it: st.fixed_dictionaries({"conId": _INTEGERS, "exchange": _TEXTS}).map(
            lambda more: {**it, **more, "conjunction": "o", "triggerMethod": 4}
        )
    ),
    st.builds(lambda t: {"condType": 3, "conjunction": "a", "isMore": True, "time": t}, _TEXTS),
    st.builds(
        lambda p: {"condType": 4, "conjunction": "a", "isMore": False, "percent": p}, _INTEGERS
    ),
    st.builds(
        lambda a, b: {"condType": 5, "conjunction": "o", "secType": a, "exchange": b, "symbol": a},
        _TEXTS,
        _TEXTS,
    ),
    st.builds(
        lambda v, c: (
            {"condType": 6, "conjunction": "a", "isMore": True, "volume": v, "conId": c}
            | {"exchange": "SMART"}
        ),
        _INTEGERS,
        _INTEGERS,
    ),
    st.builds(
        lambda p, c: (
            {"condType": 7, "conjunction": "a", "isMore": False, "changePercent": p}
            | {"conId": c, "exchange": "IBIS"}
        ),
        _NUMBERS,
        _INTEGERS,
    ),
)
_LEGS = st.fixed_dictionaries(
    {
        "conId": _INTEGERS,
        "ratio": _INTEGERS,
        "action": _TEXTS,
        "exchange": _TEXTS,
        "openClose": _INTEGERS,
        "shortSaleSlot": _INTEGERS,
        "designatedLocation": _TEXTS,
        "exemptCode": _INTEGERS,
    }
)
_TAGS = st.fixed_dictionaries({"tag": _TEXTS, "value": _TEXTS})
_GROUPS = {
    "comboLegs": _LEGS,
    "orderComboLegs": st.fixed_dictionaries({"price": _NUMBERS}),
    "smartComboRoutingParams": _TAGS,
    "algoParams": _TAGS,
    "conditions": _CONDITIONS,
}


def _all_fields(parts: Sequence[Part]) -> Iterator[Field]:
    for part in parts:
        if isinstance(part, Field):
            yield part
        elif isinstance(part, When):
            yield from _all_fields(part.parts)


def _orders(parts: Sequence[Part]) -> st.SearchStrategy[dict[str, Any]]:
    """Return values for every field of a layout, and for its groups."""
    drawn: dict[str, st.SearchStrategy[Any]] = {
        field.name: st.sampled_from(_CHOSEN[field.name])
        if field.name in _CHOSEN
        else _BY_KIND[field.kind]
        if field.required
        else st.one_of(st.none(), _BY_KIND[field.kind])
        for field in _all_fields(parts)
    }
    groups = {name: st.lists(each, max_size=3) for name, each in _GROUPS.items()}
    return st.fixed_dictionaries({**drawn, **groups})


def _there(parts: Sequence[Part], values: dict[str, Any], version: int) -> Iterator[Field]:
    """Yield the fields that a frame has, blocks decided as the protocol says."""
    for part in parts:
        if isinstance(part, Field):
            if part.since <= version < part.until:
                yield part
        elif isinstance(part, When) and _is_there(part, values):
            yield from _there(part.parts, values, version)
        else:
            assert isinstance(part, When | Repeat)


def _is_there(part: When, values: dict[str, Any]) -> bool:
    value = values[part.field]
    if part.field == "deltaNeutralOrderType":
        return value is None or value != ""
    if part.field == "orderType":
        return bool(value == "PEG BENCH")
    if part.test == "positive":
        return value is not None and value > 0
    return bool(value)


def _as_the_library_has_it(thing: Any, name: str, field: Field, value: Any) -> Any:
    """Return a value of ours as the library shows it: by the type of its own default."""
    default = default_of(thing, name)
    if value is None:
        text = field.default or ""
        if field.kind == "p":
            text = "1.7976931348623157E308"
    else:
        text = {True: "1", False: "0"}[value] if isinstance(value, bool) else format(value)
    if name == "scalePriceIncrement" and not float(text or 0):
        return default  # the library takes a step of nothing for none
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        return bool(int(text)) if text else default
    if isinstance(default, int):
        return int(text) if text else default
    return float(text) if text else default


def _check(
    parts: Sequence[Part],
    values: dict[str, Any],
    version: int,
    heard: tuple[Any, Any, Any],
) -> None:
    contract, order, state = heard
    states = {each.name for each in dataclasses.fields(state)}
    for field in _there(parts, values, version):
        value = values[field.name]
        name = _CALLED.get(field.name, field.name)
        if field.name in _NOT_READ:
            continue
        if field.name.startswith("deltaNeutralContract"):
            neutral = contract.deltaNeutralContract
            part = field.name.removeprefix("deltaNeutralContract")
            assert getattr(neutral, part[0].lower() + part[1:]) == float(value or 0)
            continue
        if field.name.startswith("softDollarTier"):
            tier = {"Name": "name", "Value": "val", "DisplayName": "displayName"}
            shown = getattr(order.softDollarTier, tier[field.name.removeprefix("softDollarTier")])
            assert shown == (value or "")
            continue
        thing = contract if field.name in _CONTRACT or field.name == "expiry" else order
        if name in states and field.name not in ("filledQuantity",):
            thing = state
        shown = getattr(thing, name)
        assert shown == _as_the_library_has_it(thing, name, field, value), field.name
    _check_groups(values, contract, order)


def _check_groups(values: dict[str, Any], contract: Any, order: Any) -> None:
    legs = [dataclasses.asdict(leg) for leg in contract.comboLegs]
    assert legs == values["comboLegs"]
    assert [Decimal(str(leg.price)) for leg in order.orderComboLegs] == [
        Decimal(str(float(each["price"]))) for each in values["orderComboLegs"]
    ]
    assert _tags(order.smartComboRoutingParams) == values["smartComboRoutingParams"]
    assert _tags(order.algoParams) == (values["algoParams"] if values["algoStrategy"] else [])
    shown = [
        {
            {"exch": "exchange"}.get(key, key): Decimal(str(value))
            if isinstance(value, float)
            else value
            for key, value in dataclasses.asdict(each).items()
        }
        for each in order.conditions
    ]
    assert shown == values["conditions"]


def _tags(found: Any) -> list[dict[str, str]]:
    return [{"tag": each.tag, "value": each.value} for each in found]


@given(_orders(OPEN_ORDER), st.sampled_from(versions()))
def test_every_field_of_an_open_order_is_read_as_it_was(
    values: dict[str, Any], version: int
) -> None:
    ((name, heard),) = heard_from(version, encode("openOrder", version, **values))
    assert (name, heard[0]) == ("openOrder", values["orderId"])
    _check(OPEN_ORDER, values, version, heard[1:])


@given(_orders(COMPLETED_ORDER), st.sampled_from(versions()))
def test_every_field_of_a_completed_order_is_read_as_it_was(
    values: dict[str, Any], version: int
) -> None:
    ((name, heard),) = heard_from(version, encode("completedOrder", version, **values))
    assert name == "completedOrder"
    _check(COMPLETED_ORDER, values, version, (heard[0], heard[1], heard[2]))
