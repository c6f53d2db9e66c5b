"""Orders as the real library writes them are read field for field, with every block there is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.brokers.ib.client import library
from rebalancer.simulators.ib_gateway.codec import parse
from tests.unit.ib_gateway.codec.peer import frame_of, versions

_UNSET_DOUBLE, _UNSET_INTEGER = 1.7976931348623157e308, 2**31 - 1

_NOT_SENT = frozenset(
    [
        "clientId",
        "permId",
        "basisPoints",
        "basisPointsType",
        "autoCancelDate",
        "filledQuantity",
        "refFuturesConId",
        "shareholder",
        "imbalanceOnly",
        "routeMarketableToBbo",
        "parentPermId",
    ]
)
"""What an order has that only the gateway says."""

_BLOCKS: Mapping[str, frozenset[str]] = {
    "scalePriceIncrement": frozenset(
        [
            "scalePriceAdjustValue",
            "scalePriceAdjustInterval",
            "scaleProfitOffset",
            "scaleAutoReset",
            "scaleInitPosition",
            "scaleInitFillQty",
            "scaleRandomPercent",
        ]
    ),
    "deltaNeutralOrderType": frozenset(
        [
            "deltaNeutralConId",
            "deltaNeutralSettlingFirm",
            "deltaNeutralClearingAccount",
            "deltaNeutralClearingIntent",
            "deltaNeutralOpenClose",
            "deltaNeutralShortSale",
            "deltaNeutralShortSaleSlot",
            "deltaNeutralDesignatedLocation",
        ]
    ),
    "hedgeType": frozenset({"hedgeParam"}),
    "algoStrategy": frozenset({"algoParams"}),
    "conditions": frozenset({"conditionsIgnoreRth", "conditionsCancelOrder"}),
    "PEG BENCH": frozenset(
        [
            "referenceContractId",
            "peggedChangeAmount",
            "isPeggedChangeAmountDecrease",
            "referenceChangeAmount",
            "referenceExchangeId",
        ]
    ),
    "BAG": frozenset({"orderComboLegs", "smartComboRoutingParams"}),
    "IBKRATS": frozenset({"minTradeQty"}),
    "PEG BEST": frozenset({"minCompeteSize", "competeAgainstBestOffset"}),
    "offsets": frozenset({"midOffsetAtWhole", "midOffsetAtHalf"}),
}
"""What is there only when something else of the order or the contract says so."""

_SINCE = {
    "duration": 158,
    "postToAts": 160,
    "autoCancelParent": 162,
    "advancedErrorOverride": 166,
    "manualOrderTime": 169,
}
_TEXTS = st.text(
    st.characters(exclude_characters="\0\ufffd", exclude_categories=["Cs"]), max_size=5
)
_DOUBLES = st.one_of(st.just(_UNSET_DOUBLE), st.floats(-1e6, 1e6), st.floats(0, 1e-6), st.just(0.0))
_INTEGERS = st.one_of(st.just(_UNSET_INTEGER), st.integers(-(2**31), 2**31 - 1))
_TYPES = ("LMT", "MKT", "VOL", "PEG BENCH", "PEG BEST", "PEG MID", "TRAIL LIMIT")


def _values(default: Any) -> st.SearchStrategy[Any]:
    """Return what a field of a dataclass can be, by its default."""
    if isinstance(default, bool):
        return st.booleans()
    if isinstance(default, int):
        return _INTEGERS
    return _DOUBLES if isinstance(default, float) else _TEXTS


def _filled(kind: Any, **fixed: Any) -> st.SearchStrategy[Any]:
    """Return objects of a dataclass whose plain fields are anything."""
    plain = {
        each.name: _values(each.default)
        for each in dataclasses.fields(kind)
        if each.name not in fixed and isinstance(each.default, bool | int | float | str)
    }
    return st.builds(kind, **plain, **fixed)


def _orders() -> st.SearchStrategy[Any]:
    lib = library()
    tags = st.lists(st.builds(lib.TagValue, _TEXTS, _TEXTS), max_size=3)
    conditions = st.one_of(
        *(
            _filled(kind, condType=st.just(kind.condType))
            for kind in map(lib.order.OrderCondition.createClass, (1, 3, 4, 5, 6, 7))
        )
    )
    legs = st.lists(_filled(lib.order.OrderComboLeg), max_size=3)
    return _filled(
        lib.Order,
        orderType=st.sampled_from(_TYPES),
        algoParams=tags,
        smartComboRoutingParams=tags,
        orderMiscOptions=tags,
        orderComboLegs=legs,
        conditions=st.lists(conditions, max_size=3),
        softDollarTier=st.builds(lib.objects.SoftDollarTier, _TEXTS, _TEXTS),
        competeAgainstBestOffset=st.one_of(_DOUBLES, st.just(math.inf)),
        scalePriceIncrement=st.one_of(_DOUBLES, st.just(0.05)),
    )


def _contracts() -> st.SearchStrategy[Any]:
    lib = library()
    neutral = st.builds(
        lib.contract.DeltaNeutralContract, st.integers(1, 9), st.floats(0, 1), st.floats(0, 9)
    )
    return _filled(
        lib.Contract,
        conId=st.integers(0, 2**31 - 2),
        strike=st.floats(0, 1e6),
        secType=st.sampled_from(("STK", "BAG", "CASH", "OPT")),
        exchange=st.sampled_from(("SMART", "IBKRATS", "")),
        comboLegs=st.lists(_filled(lib.contract.ComboLeg), max_size=3),
        deltaNeutralContract=st.one_of(st.none(), neutral),
    )


def _as_read(value: Any) -> Any:
    """Return what a value that was written is when it is read: unset is None, numbers exact."""
    if value is None or (not isinstance(value, bool | str) and value in _UNSETS):
        return None
    if isinstance(value, float):
        return Decimal("Infinity") if math.isinf(value) else Decimal(str(value))
    return value


_UNSETS = (_UNSET_DOUBLE, _UNSET_INTEGER)


def _not_there(order: Any, contract: Any, version: int) -> frozenset[str]:
    """Return which fields of the order are not in its frame."""
    late = version >= 170
    best, middle = order.orderType == "PEG BEST", order.orderType == "PEG MID"
    there = {
        "scalePriceIncrement": 0 < order.scalePriceIncrement < _UNSET_DOUBLE,
        "deltaNeutralOrderType": bool(order.deltaNeutralOrderType),
        "hedgeType": bool(order.hedgeType),
        "algoStrategy": bool(order.algoStrategy),
        "conditions": bool(order.conditions),
        "PEG BENCH": order.orderType == "PEG BENCH",
        "BAG": contract.secType == "BAG",
        "IBKRATS": late and contract.exchange == "IBKRATS",
        "PEG BEST": late and best,
        "offsets": late and (middle or (best and order.competeAgainstBestOffset == math.inf)),
    }
    missing = {name for block, names in _BLOCKS.items() if not there[block] for name in names}
    missing |= {name for name, since in _SINCE.items() if version < since}
    if version >= 177:
        missing.add("faProfile")
    return frozenset(missing)


def _pairs(tags: Any) -> tuple[dict[str, str], ...]:
    return tuple({"tag": each.tag, "value": each.value} for each in tags)


def _members(things: Any) -> tuple[dict[str, Any], ...]:
    """Return dataclasses as groups are read: conditions and legs."""
    return tuple(
        {
            {"exch": "exchange"}.get(each.name, each.name): _as_read(getattr(thing, each.name))
            for each in dataclasses.fields(thing)
        }
        for thing in things
    )


def _expected_of_order(order: Any) -> dict[str, Any]:
    """Return what is read of an order, by our names."""
    found = {
        each.name: _as_read(getattr(order, each.name))
        for each in dataclasses.fields(order)
        if each.name not in _NOT_SENT and each.name != "softDollarTier"
    }
    options = "".join(f"{each.tag}={each.value};" for each in order.orderMiscOptions)
    return found | {
        "algoParams": _pairs(order.algoParams),
        "smartComboRoutingParams": _pairs(order.smartComboRoutingParams),
        "orderMiscOptions": options,
        "orderComboLegs": _members(order.orderComboLegs),
        "conditions": _members(order.conditions),
        "softDollarTierName": order.softDollarTier.name,
        "softDollarTierValue": order.softDollarTier.val,
    }


def _expected_of_contract(contract: Any) -> dict[str, Any]:
    names = [
        "conId",
        "symbol",
        "secType",
        "lastTradeDateOrContractMonth",
        "strike",
        "right",
        "multiplier",
        "exchange",
        "primaryExchange",
        "currency",
        "localSymbol",
        "tradingClass",
        "secIdType",
        "secId",
    ]
    found = {name: _as_read(getattr(contract, name)) for name in names}
    neutral = contract.deltaNeutralContract
    found["hasDeltaNeutral"] = neutral is not None
    if neutral is not None:
        found["deltaNeutralContractConId"] = neutral.conId
        found["deltaNeutralContractDelta"] = Decimal(str(neutral.delta))
        found["deltaNeutralContractPrice"] = Decimal(str(neutral.price))
    if contract.secType == "BAG":
        found["comboLegs"] = _members(contract.comboLegs)
    return found


@given(_orders(), _contracts(), st.sampled_from(versions()), st.integers(1, 2**31 - 2))
def test_every_field_of_every_order_is_read_as_it_was(
    order: Any, contract: Any, version: int, number: int
) -> None:
    fields = frame_of(version, "placeOrder", number, contract, order)
    missing = _not_there(order, contract, version)
    request = parse(fields, version)
    expected = _expected_of_order(order) | _expected_of_contract(contract)
    expected = {name: value for name, value in expected.items() if name not in missing}
    expected |= {"orderId": number, "sharesAllocation": ""}
    assert request.name == "placeOrder"
    assert dict(request.values) == expected
    # Decimal(1) == 1 == True: what is equal must be of the same kind too.
    assert {name: type(value) for name, value in request.values.items()} == {
        name: type(value) for name, value in expected.items()
    }


@pytest.mark.parametrize(
    ("kind", "exchange", "offset", "late"),
    [
        ("PEG BEST", "SMART", 0.5, {"minCompeteSize", "competeAgainstBestOffset"}),
        (
            *("PEG BEST", "SMART", math.inf),
            {"minCompeteSize", "competeAgainstBestOffset", "midOffsetAtWhole", "midOffsetAtHalf"},
        ),
        ("PEG MID", "SMART", math.inf, {"midOffsetAtWhole", "midOffsetAtHalf"}),
        ("LMT", "IBKRATS", math.inf, {"minTradeQty"}),
        ("PEG MID", "IBKRATS", 0.5, {"minTradeQty", "midOffsetAtWhole", "midOffsetAtHalf"}),
        ("LMT", "SMART", 0.5, set()),
    ],
)
def test_the_offsets_of_pegged_orders_are_read_from_170_on(
    kind: str, exchange: str, offset: float, late: set[str]
) -> None:
    lib = library()
    order = lib.Order(
        action="BUY",
        totalQuantity=1,
        orderType=kind,
        minTradeQty=2,
        minCompeteSize=3,
        competeAgainstBestOffset=offset,
        midOffsetAtWhole=0.25,
        midOffsetAtHalf=0.125,
    )
    values = {
        "minTradeQty": 2,
        "minCompeteSize": 3,
        "competeAgainstBestOffset": Decimal("Infinity") if offset == math.inf else Decimal("0.5"),
        "midOffsetAtWhole": Decimal("0.25"),
        "midOffsetAtHalf": Decimal("0.125"),
    }
    contract = lib.Stock("AAPL", exchange, "USD")
    for version in versions():
        read = parse(frame_of(version, "placeOrder", 1, contract, order), version).values
        there = late if version >= 170 else set()
        assert {name: read[name] for name in values if name in read} == {
            name: values[name] for name in there
        }
