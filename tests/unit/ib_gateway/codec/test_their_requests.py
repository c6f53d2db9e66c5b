"""Every request that the real library can send is read to its last field, at every version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.brokers.ib.client import library
from rebalancer.simulators.ib_gateway.codec import parse
from rebalancer.simulators.ib_gateway.layouts_in import REQUESTS
from tests.unit.ib_gateway.codec.peer import frame_of, newest, versions

_C12 = {
    "conId": 265598,
    "symbol": "AAPL",
    "secType": "STK",
    "lastTradeDateOrContractMonth": "20301220",
    "strike": Decimal("12.5"),
    "right": "C",
    "multiplier": "100",
    "exchange": "SMART",
    "primaryExchange": "NASDAQ",
    "currency": "USD",
    "localSymbol": "AAPL L",
    "tradingClass": "NMS",
}
_C11 = {name: value for name, value in _C12.items() if name != "primaryExchange"}
_LEGS = (
    {"conId": 1, "ratio": 2, "action": "BUY", "exchange": "SMART"},
    {"conId": 3, "ratio": 1, "action": "SELL", "exchange": "CBOE"},
)


def _contract(**more: Any) -> Any:
    return library().Contract(**{**_C12, "strike": 12.5, **more})


def _bag() -> Any:
    legs = [library().contract.ComboLeg(**each) for each in _LEGS]
    return _contract(secType="BAG", comboLegs=legs)


def _neutral() -> Any:
    lib = library()
    return _contract(deltaNeutralContract=lib.contract.DeltaNeutralContract(9, 0.5, 1.25))


def _tags() -> list[Any]:
    return [library().TagValue("a", "1"), library().TagValue("b", "2")]


_FILTER = {
    "clientId": 4,
    "acctCode": "DU1",
    "time": "20261120 10:00:00",
    "symbol": "AAPL",
    "secType": "STK",
    "exchange": "SMART",
    "side": "BUY",
}
_SCANNER = {
    "numberOfRows": 20,
    "instrument": "STK",
    "locationCode": "STK.US",
    "scanCode": "TOP",
    "abovePrice": 1.5,
    "aboveVolume": 100,
    "couponRateBelow": 2.5,
    "excludeConvertible": True,
    "moodyRatingAbove": "A",
    "maturityDateBelow": "20301220",
    "stockTypeFilter": "ALL",
}


def _wsh() -> Any:
    data = library().objects.WshEventData
    return data(conId=5, filter="f", fillWatchlist=True, startDate="a", endDate="b", totalLimit=9)


Case = tuple[str, Callable[[], tuple[Any, ...]], Mapping[str, Any]]
"""The client's method, its arguments, and what is read."""

_CASES: Mapping[str, Case] = {
    "reqMktData": (
        "reqMktData",
        lambda: (5, _contract(), "233", True, False, _tags()),
        {"reqId": 5, **_C12, "genericTicks": "233", "snapshot": True, "regulatorySnapshot": False}
        | {"hasDeltaNeutral": False, "options": "a=1;b=2;"},
    ),
    "reqMktData of legs": (
        "reqMktData",
        lambda: (5, _bag(), "", False, True, []),
        {"comboLegs": _LEGS, "genericTicks": "", "regulatorySnapshot": True, "options": ""},
    ),
    "reqMktData hedged": (
        "reqMktData",
        lambda: (5, _neutral(), "", False, True, []),
        {
            "hasDeltaNeutral": True,
            "deltaNeutralContractConId": 9,
            "deltaNeutralContractDelta": Decimal("0.5"),
            "deltaNeutralContractPrice": Decimal("1.25"),
        },
    ),
    "cancelMktData": ("cancelMktData", lambda: (5,), {"reqId": 5, "version": 2}),
    "cancelOrder": ("cancelOrder", lambda: (5,), {"orderId": 5}),
    "reqOpenOrders": ("reqOpenOrders", tuple, {}),
    "reqAccountUpdates": (
        "reqAccountUpdates",
        lambda: (True, "DU1"),
        {"subscribe": True, "acctCode": "DU1"},
    ),
    "reqExecutions": (
        "reqExecutions",
        lambda: (5, library().ExecutionFilter(**_FILTER)),
        {"reqId": 5, **_FILTER},
    ),
    "reqIds": ("reqIds", lambda: (1,), {"numIds": 1}),
    "reqContractDetails": (
        "reqContractDetails",
        lambda: (5, _contract(secIdType="ISIN", secId="X", includeExpired=True)),
        {"reqId": 5, **_C12, "secIdType": "ISIN", "secId": "X", "includeExpired": True},
    ),
    "reqMktDepth": (
        "reqMktDepth",
        lambda: (5, _contract(), 10, True, _tags()),
        {**_C12, "numRows": 10, "isSmartDepth": True, "options": "a=1;b=2;"},
    ),
    "cancelMktDepth": ("cancelMktDepth", lambda: (5, True), {"reqId": 5, "isSmartDepth": True}),
    "reqNewsBulletins": ("reqNewsBulletins", lambda: (True,), {"allMsgs": True}),
    "cancelNewsBulletins": ("cancelNewsBulletins", tuple, {}),
    "setServerLogLevel": ("setServerLogLevel", lambda: (3,), {"logLevel": 3}),
    "reqAutoOpenOrders": ("reqAutoOpenOrders", lambda: (True,), {"autoBind": True}),
    "reqAllOpenOrders": ("reqAllOpenOrders", tuple, {}),
    "reqManagedAccts": ("reqManagedAccts", tuple, {}),
    "requestFA": ("requestFA", lambda: (1,), {"faDataType": 1}),
    "replaceFA": (
        "replaceFA",
        lambda: (5, 1, "<x/>"),
        {"reqId": 5, "faDataType": 1, "xml": "<x/>"},
    ),
    "reqHistoricalData": (
        "reqHistoricalData",
        lambda: (5, _contract(), "e", "2 D", "1 day", "TRADES", True, 2, False, _tags()),
        {"reqId": 5, **_C12, "includeExpired": False, "endDateTime": "e", "barSize": "1 day"}
        | {"useRTH": True, "whatToShow": "TRADES", "formatDate": 2, "keepUpToDate": False}
        | {"duration": "2 D"}
        | {"chartOptions": "a=1;b=2;"},
    ),
    "reqHistoricalData of legs": (
        "reqHistoricalData",
        lambda: (5, _bag(), "", "2 D", "1 day", "TRADES", False, 2, True, []),
        {"comboLegs": _LEGS, "useRTH": False, "keepUpToDate": True, "chartOptions": ""},
    ),
    "exerciseOptions": (
        "exerciseOptions",
        lambda: (5, _contract(), 1, 2, "DU1", 0),
        {**_C11, "exerciseAction": 1, "exerciseQuantity": 2, "account": "DU1", "override": 0},
    ),
    "reqScannerSubscription": (
        "reqScannerSubscription",
        lambda: (5, library().ScannerSubscription(**_SCANNER), _tags(), []),
        {**_SCANNER, "reqId": 5, "abovePrice": Decimal("1.5"), "couponRateBelow": Decimal("2.5")}
        | {"filterOptions": "", "options": "a=1;b=2;", "belowPrice": None},
    ),
    "cancelScannerSubscription": ("cancelScannerSubscription", lambda: (5,), {"reqId": 5}),
    "reqScannerParameters": ("reqScannerParameters", tuple, {}),
    "cancelHistoricalData": ("cancelHistoricalData", lambda: (5,), {"reqId": 5}),
    "reqCurrentTime": ("reqCurrentTime", tuple, {}),
    "reqRealTimeBars": (
        "reqRealTimeBars",
        lambda: (5, _contract(), 5, "MIDPOINT", True, []),
        {**_C12, "barSize": 5, "whatToShow": "MIDPOINT", "useRTH": True, "options": ""},
    ),
    "cancelRealTimeBars": ("cancelRealTimeBars", lambda: (5,), {"reqId": 5}),
    "reqFundamentalData": (
        "reqFundamentalData",
        lambda: (5, _contract(), "ReportSnapshot", _tags()),
        {"symbol": "AAPL", "primaryExchange": "NASDAQ", "reportType": "ReportSnapshot"}
        | {"localSymbol": "AAPL L", "optionsCount": 2, "options": "a=1;b=2;"},
    ),
    "cancelFundamentalData": ("cancelFundamentalData", lambda: (5,), {"reqId": 5}),
    "calculateImpliedVolatility": (
        "calculateImpliedVolatility",
        lambda: (5, _contract(), 1.5, 2.5, []),
        {**_C12, "optionPrice": Decimal("1.5"), "underPrice": Decimal("2.5"), "options": ("0", "")},
    ),
    "calculateOptionPrice": (
        "calculateOptionPrice",
        lambda: (5, _contract(), 0.5, 2.5, []),
        {**_C12, "volatility": Decimal("0.5"), "underPrice": Decimal("2.5"), "options": ("0", "")},
    ),
    "cancelCalculateImpliedVolatility": (
        "cancelCalculateImpliedVolatility",
        lambda: (5,),
        {"reqId": 5},
    ),
    "cancelCalculateOptionPrice": ("cancelCalculateOptionPrice", lambda: (5,), {"reqId": 5}),
    "reqGlobalCancel": ("reqGlobalCancel", tuple, {}),
    "reqMarketDataType": ("reqMarketDataType", lambda: (3,), {"marketDataType": 3}),
    "reqPositions": ("reqPositions", tuple, {}),
    "reqAccountSummary": (
        "reqAccountSummary",
        lambda: (5, "All", "a,b"),
        {"reqId": 5, "group": "All", "tags": "a,b"},
    ),
    "cancelAccountSummary": ("cancelAccountSummary", lambda: (5,), {"reqId": 5}),
    "cancelPositions": ("cancelPositions", tuple, {}),
    "verifyRequest": (
        "verifyRequest",
        lambda: ("a", "b"),
        {"apiName": "a", "apiVersion": "b"},
    ),
    "verifyMessage": ("verifyMessage", lambda: ("a",), {"apiData": "a"}),
    "queryDisplayGroups": ("queryDisplayGroups", lambda: (5,), {"reqId": 5}),
    "subscribeToGroupEvents": ("subscribeToGroupEvents", lambda: (5, 6), {"groupId": 6}),
    "updateDisplayGroup": ("updateDisplayGroup", lambda: (5, "8"), {"contractInfo": "8"}),
    "unsubscribeFromGroupEvents": ("unsubscribeFromGroupEvents", lambda: (5,), {"reqId": 5}),
    "startApi": ("startApi", tuple, {"clientId": -1, "optCapab": "", "version": 2}),
    "verifyAndAuthRequest": (
        "verifyAndAuthRequest",
        lambda: ("a", "b", "c"),
        {"apiName": "a", "apiVersion": "b", "opaqueIsvKey": "c"},
    ),
    "verifyAndAuthMessage": (
        "verifyAndAuthMessage",
        lambda: ("a", "b"),
        {"apiData": "a", "xyzResponse": "b"},
    ),
    "reqPositionsMulti": (
        "reqPositionsMulti",
        lambda: (5, "DU1", "m"),
        {"reqId": 5, "account": "DU1", "modelCode": "m"},
    ),
    "cancelPositionsMulti": ("cancelPositionsMulti", lambda: (5,), {"reqId": 5}),
    "reqAccountUpdatesMulti": (
        "reqAccountUpdatesMulti",
        lambda: (5, "DU1", "m", True),
        {"reqId": 5, "account": "DU1", "modelCode": "m", "ledgerAndNLV": True},
    ),
    "cancelAccountUpdatesMulti": ("cancelAccountUpdatesMulti", lambda: (5,), {"reqId": 5}),
    "reqSecDefOptParams": (
        "reqSecDefOptParams",
        lambda: (5, "AAPL", "x", "STK", 265598),
        {"underlyingSymbol": "AAPL", "futFopExchange": "x", "underlyingConId": 265598},
    ),
    "reqSoftDollarTiers": ("reqSoftDollarTiers", lambda: (5,), {"reqId": 5}),
    "reqFamilyCodes": ("reqFamilyCodes", tuple, {}),
    "reqMatchingSymbols": ("reqMatchingSymbols", lambda: (5, "é"), {"reqId": 5, "pattern": "é"}),
    "reqMktDepthExchanges": ("reqMktDepthExchanges", tuple, {}),
    "reqSmartComponents": ("reqSmartComponents", lambda: (5, "9c"), {"bboExchange": "9c"}),
    "reqNewsArticle": (
        "reqNewsArticle",
        lambda: (5, "BZ", "a", []),
        {"providerCode": "BZ", "articleId": "a", "options": ""},
    ),
    "reqNewsProviders": ("reqNewsProviders", tuple, {}),
    "reqHistoricalNews": (
        "reqHistoricalNews",
        lambda: (5, 8, "BZ", "s", "e", 10, []),
        {"conId": 8, "providerCodes": "BZ", "startDateTime": "s", "endDateTime": "e"}
        | {"totalResults": 10, "options": ""},
    ),
    "reqHeadTimestamp": (
        "reqHeadTimeStamp",
        lambda: (5, _contract(), "TRADES", True, 2),
        {**_C12, "includeExpired": False, "useRTH": True, "whatToShow": "TRADES", "formatDate": 2},
    ),
    "reqHistogramData": (
        "reqHistogramData",
        lambda: (5, _contract(), True, "3 days"),
        {**_C12, "includeExpired": False, "useRTH": True, "timePeriod": "3 days"},
    ),
    "cancelHistogramData": ("cancelHistogramData", lambda: (5,), {"reqId": 5}),
    "cancelHeadTimestamp": ("cancelHeadTimeStamp", lambda: (5,), {"reqId": 5}),
    "reqMarketRule": ("reqMarketRule", lambda: (26,), {"marketRuleId": 26}),
    "reqPnL": ("reqPnL", lambda: (5, "DU1", "m"), {"account": "DU1", "modelCode": "m"}),
    "cancelPnL": ("cancelPnL", lambda: (5,), {"reqId": 5}),
    "reqPnLSingle": ("reqPnLSingle", lambda: (5, "DU1", "m", 8), {"conId": 8, "account": "DU1"}),
    "cancelPnLSingle": ("cancelPnLSingle", lambda: (5,), {"reqId": 5}),
    "reqHistoricalTicks": (
        "reqHistoricalTicks",
        lambda: (5, _contract(), "s", "e", 9, "TRADES", True, False, []),
        {
            **_C12,
            "includeExpired": False,
            "startDateTime": "s",
            "endDateTime": "e",
            "numberOfTicks": 9,
        }
        | {"whatToShow": "TRADES", "useRTH": True, "ignoreSize": False, "options": ""},
    ),
    "reqTickByTickData": (
        "reqTickByTickData",
        lambda: (5, _contract(), "Last", 9, True),
        {**_C12, "tickType": "Last", "numberOfTicks": 9, "ignoreSize": True},
    ),
    "cancelTickByTickData": ("cancelTickByTickData", lambda: (5,), {"reqId": 5}),
    "reqCompletedOrders": ("reqCompletedOrders", lambda: (True,), {"apiOnly": True}),
    "reqWshMetaData": ("reqWshMetaData", lambda: (5,), {"reqId": 5}),
    "cancelWshMetaData": ("cancelWshMetaData", lambda: (5,), {"reqId": 5}),
    "reqWshEventData": ("reqWshEventData", lambda: (5, _wsh()), {"reqId": 5, "conId": 5}),
    "cancelWshEventData": ("cancelWshEventData", lambda: (5,), {"reqId": 5}),
    "reqUserInfo": ("reqUserInfo", lambda: (5,), {"reqId": 5}),
}


@pytest.mark.parametrize("case", _CASES)
def test_a_request_is_read_as_it_was_meant(case: str) -> None:
    method, arguments, expected = _CASES[case]
    for version in versions():
        request = parse(frame_of(version, method, *arguments()), version)
        assert request.name == case.split(maxsplit=1)[0]
        found = {name: request.values[name] for name in expected}
        assert found == expected
        assert {name: type(value) for name, value in found.items()} == {
            name: type(value) for name, value in expected.items()
        }


def test_every_request_that_is_known_has_a_case() -> None:
    known = {name for name, _parts in REQUESTS.values()} - {"placeOrder"}
    assert {case.split()[0] for case in _CASES} == known


def test_every_method_of_the_client_that_sends_something_has_a_case() -> None:
    client = library().client.Client
    methods = {
        name
        for name, value in vars(client).items()
        if callable(value)
        and name.startswith(("req", "cancel", "calc", "verify", "query", "subscribe", "unsub"))
        and name != "reqId"
    }
    assert methods <= {method for method, _arguments, _expected in _CASES.values()}


def test_late_fields_are_read_from_their_version_on() -> None:
    details = frame_of(newest(), "reqContractDetails", 5, _contract())
    assert parse(details, newest()).values["issuerId"] == ""
    assert "issuerId" not in parse(details[:-1], 175).values
    assert parse(("4", "1", "5", "20261120-10:00:00"), 169).values == {
        "version": 1,
        "orderId": 5,
        "manualCancelOrderTime": "20261120-10:00:00",
    }
    assert parse(("4", "1", "5"), 168).values == {"version": 1, "orderId": 5}
    events = parse(frame_of(newest(), "reqWshEventData", 5, _wsh()), newest()).values
    assert (events["filter"], events["fillWatchlist"], events["totalLimit"]) == ("f", True, 9)
    assert "filter" not in parse(frame_of(170, "reqWshEventData", 5, _wsh()), 170).values


def test_options_without_their_number_are_read_too() -> None:
    counted = frame_of(newest(), "calculateOptionPrice", 5, _contract(), 0.5, 2.5, [])
    for fields, options in ((counted, ("0", "")), ((*counted[:-2], ""), ("",)), (counted[:-2], ())):
        assert parse(fields, newest()).values["options"] == options
