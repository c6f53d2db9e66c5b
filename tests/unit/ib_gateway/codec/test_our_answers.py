"""What else we write is read by the real library as it was meant, at every version."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from rebalancer.simulators.ib_gateway.codec import encode
from rebalancer.simulators.ib_gateway.layouts_out import ANSWERS
from tests.unit.ib_gateway.codec.peer import heard_from, newest, versions

_P7 = {
    "conId": 265598,
    "symbol": "AAPL",
    "secType": "STK",
    "expiry": "20301220",
    "strike": Decimal("12.5"),
    "right": "C",
    "multiplier": "100",
    "currency": "USD",
    "localSymbol": "AAPL L",
    "tradingClass": "NMS",
}
_CONTRACT = {
    **{name: value for name, value in _P7.items() if name not in ("expiry", "strike")},
    "lastTradeDateOrContractMonth": "20301220",
    "strike": 12.5,
}
_TICK = {"reqId": 5, "tickType": 4}
_BAR = {
    "date": "20261120",
    "open": "1.5",
    "high": "2.5",
    "low": "0.5",
    "close": "2.125",
    "volume": "7.5",
    "wap": "1.25",
    "count": 3,
}
_BAR_READ = {
    "date": "20261120",
    "open": 1.5,
    "high": 2.5,
    "low": 0.5,
    "close": 2.125,
    "volume": 7.5,
    "average": 1.25,
    "barCount": 3,
}

Case = tuple[Mapping[str, Any], str, Sequence[Any]]
"""The values, the call that the library makes of them, its arguments (mappings: attributes)."""

_CASES: Mapping[str, Case] = {
    "tickPrice": ({**_TICK, "price": "1.5", "size": 3}, "priceSizeTick", (5, 4, 1.5, 3.0)),
    "tickSize": ({**_TICK, "size": 3}, "tickSize", (5, 4, 3.0)),
    "tickGeneric": ({**_TICK, "value": "0.5"}, "tickGeneric", (5, 4, 0.5)),
    "tickString": ({**_TICK, "value": "x"}, "tickString", (5, 4, "x")),
    "tickSnapshotEnd": ({"reqId": 5}, "tickSnapshotEnd", (5,)),
    "marketDataType": ({"reqId": 5, "marketDataType": 3}, "marketDataType", (5, 3)),
    "tickReqParams": (
        {"reqId": 5, "minTick": "0.01", "bboExchange": "9c", "snapshotPermissions": 3},
        "tickReqParams",
        (5, 0.01, "9c", 3),
    ),
    "orderStatus": (
        {
            **{"orderId": 5, "status": "Submitted", "filled": 1, "remaining": 2},
            **{"avgFillPrice": "1.5", "permId": 2**40, "parentId": 4, "lastFillPrice": "1.25"},
            **{"clientId": 7, "whyHeld": "locate", "mktCapPrice": "9.5"},
        },
        "orderStatus",
        (5, "Submitted", 1.0, 2.0, 1.5, 2**40, 4, 1.25, 7, "locate", 9.5),
    ),
    "accountValue": (
        {"key": "SMA", "value": "1.00", "currency": "USD", "account": "DU1"},
        "updateAccountValue",
        ("SMA", "1.00", "USD", "DU1"),
    ),
    "portfolioValue": (
        {
            **_P7,
            **{"primaryExchange": "NASDAQ", "position": -3, "marketPrice": "1.5"},
            **{"marketValue": "-4.5", "avgCost": "1.25", "unrealizedPNL": "-0.75"},
            **{"realizedPNL": 2, "account": "DU1"},
        },
        "updatePortfolio",
        ({**_CONTRACT, "primaryExchange": "NASDAQ"}, -3.0, 1.5, -4.5, 1.25, -0.75, 2.0, "DU1"),
    ),
    "updateTime": ({"time": "10:05"}, "updateAccountTime", ("10:05",)),
    "accountDownloadEnd": ({"account": "DU1"}, "accountDownloadEnd", ("DU1",)),
    "position": (
        {**_P7, "exchange": "X", "account": "DU1", "position": "-1.5", "avgCost": 4},
        "position",
        ("DU1", {**_CONTRACT, "exchange": "X"}, -1.5, 4.0),
    ),
    "positionEnd": ({}, "positionEnd", ()),
    "positionMulti": (
        {**_P7, "reqId": 5, "account": "DU1", "position": 1, "avgCost": 4, "modelCode": "m"},
        "positionMulti",
        (5, "DU1", "m", _CONTRACT, 1.0, 4.0),
    ),
    "positionMultiEnd": ({"reqId": 5}, "positionMultiEnd", (5,)),
    "accountSummary": (
        {"reqId": 5, "account": "DU1", "tag": "SMA", "value": "1", "currency": "USD"},
        "accountSummary",
        (5, "DU1", "SMA", "1", "USD"),
    ),
    "accountSummaryEnd": ({"reqId": 5}, "accountSummaryEnd", (5,)),
    "accountUpdateMulti": (
        {"reqId": 5, "account": "DU1", "key": "SMA", "value": "1", "currency": "USD"},
        "accountUpdateMulti",
        (5, "DU1", "", "SMA", "1", "USD"),
    ),
    "accountUpdateMultiEnd": ({"reqId": 5}, "accountUpdateMultiEnd", (5,)),
    "pnl": (
        {"reqId": 5, "dailyPnL": 1, "unrealizedPnL": 2, "realizedPnL": 3},
        "pnl",
        (5, 1.0, 2.0, 3.0),
    ),
    "pnlSingle": (
        {"reqId": 5, "position": 9, "dailyPnL": 1, "unrealizedPnL": 2, "realizedPnL": 3}
        | {"value": "4.5"},
        "pnlSingle",
        (5, 9.0, 1.0, 2.0, 3.0, 4.5),
    ),
    "contractDetailsEnd": ({"reqId": 5}, "contractDetailsEnd", (5,)),
    "openOrderEnd": ({}, "openOrderEnd", ()),
    "execDetailsEnd": ({"reqId": 5}, "execDetailsEnd", (5,)),
    "completedOrdersEnd": ({}, "completedOrdersEnd", ()),
    "commissionReport": (
        {"execId": "a.01", "commission": "1.05", "currency": "USD", "realizedPNL": "-2.5"},
        "commissionReport",
        (
            {"execId": "a.01", "commission": 1.05, "currency": "USD", "realizedPNL": -2.5}
            | {"yield_": 1.7976931348623157e308, "yieldRedemptionDate": 0},
        ),
    ),
    "secDefOptParams": (
        {"reqId": 5, "exchange": "SMART", "underConId": 4, "tradingClass": "A"}
        | {"multiplier": "100", "expirations": ("1", "2"), "strikes": (1, "2.5")},
        "securityDefinitionOptionParameter",
        (5, "SMART", "4", "A", "100", ["1", "2"], [1.0, 2.5]),
    ),
    "secDefOptParamsEnd": ({"reqId": 5}, "securityDefinitionOptionParameterEnd", (5,)),
    "marketRule": (
        {"marketRuleId": 26, "increments": ((0, "0.01"), (1, "0.05"))},
        "marketRule",
        (26, [{"lowEdge": 0.0, "increment": 0.01}, {"lowEdge": 1.0, "increment": 0.05}]),
    ),
    "headTimestamp": ({"reqId": 5, "headTimestamp": "1"}, "headTimestamp", (5, "1")),
    "histogramData": (
        {"reqId": 5, "rows": (("1.5", 3),)},
        "histogramData",
        (5, [{"price": 1.5, "count": 3}]),
    ),
    "historicalDataUpdate": ({"reqId": 5, **_BAR}, "historicalDataUpdate", (5, _BAR_READ)),
    "historicalSchedule": (
        {"reqId": 5, "start": "a", "end": "b", "timeZone": "z", "rows": (("c", "d", "e"),)},
        "historicalSchedule",
        (5, "a", "b", "z", [{"startDateTime": "c", "endDateTime": "d", "refDate": "e"}]),
    ),
    "nextValidId": ({"orderId": 5}, "nextValidId", (5,)),
    "managedAccounts": ({"accounts": "DU1,DU2"}, "managedAccounts", ("DU1,DU2",)),
    "receiveFA": ({"faDataType": 1, "xml": "<x/>"}, "receiveFA", (1, "<x/>")),
    "scannerParameters": ({"xml": "<x/>"}, "scannerParameters", ("<x/>",)),
    "currentTime": ({"time": 1_790_000_000}, "currentTime", (1_790_000_000,)),
    "displayGroupList": ({"reqId": 5, "groups": "1|2"}, "displayGroupList", (5, "1|2")),
    "softDollarTiers": (
        {"reqId": 5, "rows": (("n", "v", "d"),)},
        "softDollarTiers",
        (5, [{"name": "n", "val": "v", "displayName": "d"}]),
    ),
    "familyCodes": (
        {"rows": ({"account": "DU1"},)},
        "familyCodes",
        ([{"accountID": "DU1", "familyCodeStr": ""}],),
    ),
    "mktDepthExchanges": (
        {"rows": (("X", "STK", "", "Deep2", 2),)},
        "mktDepthExchanges",
        ([{"exchange": "X", "secType": "STK", "serviceDataType": "Deep2", "aggGroup": 2}],),
    ),
    "smartComponents": (
        {"reqId": 5, "rows": ((3, "X", "x"),)},
        "smartComponents",
        (5, [{"bitNumber": 3, "exchange": "X", "exchangeLetter": "x"}]),
    ),
    "newsProviders": (
        {"rows": (("BZ", "Benzinga"),)},
        "newsProviders",
        ([{"code": "BZ", "name": "Benzinga"}],),
    ),
    "historicalNewsEnd": ({"reqId": 5, "hasMore": True}, "historicalNewsEnd", (5, True)),
    "replaceFAEnd": ({"reqId": 5, "text": "x"}, "replaceFAEnd", (5, "x")),
    "userInfo": ({"reqId": 5, "whiteBrandingId": "w"}, "userInfo", (5, "w")),
}
_OWN_TESTS = frozenset(
    {
        *("openOrder", "completedOrder"),  # test_our_orders
        *("errMsg", "execDetails", "contractDetails", "historicalData", "symbolSamples"),
    }
)


def shown(thing: Any, like: Any) -> Any:
    """Return a thing of the library's as it is compared with `like`."""
    if isinstance(like, Mapping):
        if hasattr(thing, "_asdict"):
            return {name: value for name, value in thing._asdict().items() if name in like}
        assert dataclasses.is_dataclass(thing)
        return {name: getattr(thing, name) for name in like}
    if isinstance(like, list):
        assert len(thing) == len(like)
        return [shown(each, wanted) for each, wanted in zip(thing, like, strict=True)]
    return thing


@pytest.mark.parametrize("name", _CASES)
def test_an_answer_is_read_as_it_was_meant(name: str) -> None:
    values, call, arguments = _CASES[name]
    for version in versions():
        ((heard, found),) = heard_from(version, encode(name, version, **values))
        assert heard == call
        pairs = zip(found, arguments, strict=True)
        assert [shown(each, like) for each, like in pairs] == list(arguments)


def test_every_answer_has_a_case() -> None:
    assert _CASES.keys() | _OWN_TESTS == ANSWERS.keys()


def test_errors_have_the_json_of_a_refusal_from_166_on() -> None:
    values = {"id": 7, "code": 201, "text": "Order rejected", "advancedOrderRejectJson": "{}"}
    for version in versions():
        ((name, found),) = heard_from(version, encode("errMsg", version, **values))
        assert (name, *found) == ("error", 7, 201, "Order rejected", "{}" * (version >= 166))


def test_an_execution_is_read_field_for_field() -> None:
    values = {
        **_P7,
        **{"reqId": -1, "orderId": 7, "exchange": "ISLAND", "execId": "a.01", "account": "DU1"},
        **{"time": "20261120 10:05:00 US/Eastern", "execExchange": "ARCA", "side": "BOT"},
        **{"shares": "3.5", "price": "1.5", "permId": 2**40, "clientId": 9, "liquidation": 1},
        **{"cumQty": "4.5", "avgPrice": "1.25", "orderRef": "r1", "evRule": "e", "evMultiplier": 2},
        **{"modelCode": "m", "lastLiquidity": 2, "pendingPriceRevision": True},
    }
    expected = {
        **{"orderId": 7, "execId": "a.01", "acctNumber": "DU1", "exchange": "ARCA"},
        **{"side": "BOT", "shares": 3.5, "price": 1.5, "permId": 2**40, "clientId": 9},
        **{"liquidation": 1, "cumQty": 4.5, "avgPrice": 1.25, "orderRef": "r1", "evRule": "e"},
        **{"evMultiplier": 2.0, "modelCode": "m", "lastLiquidity": 2},
        "time": datetime(2026, 11, 20, 10, 5, tzinfo=ZoneInfo("America/New_York")),
    }
    for version in versions():
        ((name, found),) = heard_from(version, encode("execDetails", version, **values))
        number, contract, execution = found
        assert (name, number) == ("execDetails", -1)
        wanted = {**_CONTRACT, "exchange": "ISLAND"}
        assert shown(contract, wanted) == wanted
        assert shown(execution, expected) == expected
        if version >= 178:
            assert execution.pendingPriceRevision is True


_DETAILS: Mapping[str, Any] = {
    **{"reqId": 5, "symbol": "ES", "secType": "FUT", "lastTradeDate": "20261218-08:30"},
    **{"exchange": "CME", "currency": "USD", "localSymbol": "ESZ6", "marketName": "M"},
    **{"tradingClass": "ES", "conId": 8, "minTick": "0.25", "multiplier": "50"},
    **{"orderTypes": "LMT,MKT", "validExchanges": "CME", "priceMagnifier": 2, "underConId": 3},
    **{"longName": "E-mini caf\\u00e9", "primaryExchange": "P", "contractMonth": "202612"},
    **{"industry": "I", "category": "C", "subcategory": "S", "timeZoneId": "US/Central"},
    **{"tradingHours": "th", "liquidHours": "lh", "evRule": "e", "evMultiplier": 6},
    **{"secIdList": (("ISIN", "X"),), "aggGroup": 4, "underSymbol": "ES", "underSecType": "IND"},
    **{"marketRuleIds": "67", "realExpirationDate": "20261218", "stockType": "t"},
    **{"minSize": 1, "sizeIncrement": 2, "suggestedSizeIncrement": 3},
}


def test_contract_details_are_read_field_for_field() -> None:
    moved = ("reqId", "lastTradeDate", "longName", "secIdList")
    of_contract = "symbol secType exchange currency localSymbol tradingClass conId multiplier"
    numbers = {"minTick": 0.25}
    for version in versions():
        ((name, found),) = heard_from(version, encode("contractDetails", version, **_DETAILS))
        number, details = found
        assert (name, number) == ("contractDetails", 5)
        assert details.contract.lastTradeDateOrContractMonth == "20261218"
        assert details.longName == "E-mini café"
        assert [(each.tag, each.value) for each in details.secIdList] == [("ISIN", "X")]
        for field, value in {**_DETAILS, **numbers}.items():
            if field in moved or (field.endswith(("Size", "Increment")) and version < 164):
                continue
            where = (
                details.contract if field in (*of_contract.split(), "primaryExchange") else details
            )
            assert getattr(where, field) == value, field
        if version == 163:
            assert details.suggestedSizeIncrement == 3


def test_bars_are_read_one_by_one_with_their_end() -> None:
    values = {"reqId": 5, "start": "a", "end": "b", "rows": (_BAR, {**_BAR, "close": "2.25"})}
    for version in versions():
        first, second, end = heard_from(version, encode("historicalData", version, **values))
        assert first[0] == second[0] == "historicalData"
        assert shown(first[1][1], _BAR_READ) == _BAR_READ
        assert second[1][1].close == 2.25
        assert end == ("historicalDataEnd", (5, "a", "b"))


def test_symbols_are_read_with_their_derivatives() -> None:
    row = {"conId": 4, "symbol": "AAPL", "secType": "STK", "primaryExchange": "NASDAQ"}
    more = {
        "currency": "USD",
        "derivatives": ("CFD", "OPT"),
        "description": "Apple",
        "issuerId": "e",
    }
    for version in versions():
        fields = encode("symbolSamples", version, reqId=5, rows=({**row, **more},) * 2)
        ((_name, (number, samples)),) = heard_from(version, fields)
        assert number == 5
        assert len(samples) == 2
        for each in samples:
            assert shown(each.contract, row) == row
            assert each.derivativeSecTypes == ["CFD", "OPT"]
            assert each.contract.description == ("Apple" if version >= 176 else "")


def test_a_price_of_nothing_arrives_as_the_client_can_take_it() -> None:
    fields = encode("tickPrice", newest(), reqId=5, tickType=2, price=-1, size=0, attribMask=1)
    assert heard_from(newest(), fields) == [("priceSizeTick", (5, 2, -1.0, 0.0))]
