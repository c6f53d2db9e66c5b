"""Market data: which kind a client gets, its ticks once, and again as the market moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rebalancer.model.instrument import Instrument
from rebalancer.simulators.ib_gateway.contract_requests import NO_DEFINITION, form_refusal
from rebalancer.simulators.ib_gateway.contracts import Listed
from rebalancer.simulators.ib_gateway.feeds import QuoteFeed
from rebalancer.simulators.ib_gateway.orders_state import plain
from rebalancer.simulators.ib_gateway.ticks import (
    DELAYED,
    DELAYED_FROZEN,
    FROZEN,
    LIVE,
    Tick,
    ticks_of,
)

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway
    from rebalancer.simulators.ib_gateway.session import Session

LINES = 100
"""How many requests for market data may be open at a time, all clients together."""

Refusal = tuple[int, str]

_TYPES = (LIVE, FROZEN, DELAYED, DELAYED_FROZEN)
_LEGAL = frozenset(
    {
        100, 101, 104, 105, 106, 162, 165, 221, 225, 232, 233, 236, 258, 292, 293, 294, 295, 318,
        375, 411, 456, 460, 499, 506, 511, 512, 513, 514, 515, 516, 517, 576, 577, 578, 586, 587,
        588, 595, 614, 619, 620, 623, 645, 662,
    }
)  # fmt: skip
"""The numbers of generic ticks."""

_NOT_SUBSCRIBED = (
    "Requested market data is not subscribed. Check API status by selecting the Account menu then "
    "under Management choose Market Data Subscription Manager and/or availability of delayed data."
)
_DELAYED_INSTEAD = "Requested market data is not subscribed. Displaying delayed market data."
_NOT_EVEN_DELAYED = "Requested market data is not subscribed. Delayed market data is not enabled."


def req_market_data_type(session: Session, values: Mapping[str, Any]) -> None:
    """Choose the kind of data for requests from now on: 1 live, 2 frozen, 3 delayed, 4 both."""
    kind = values["marketDataType"]
    if kind in _TYPES:
        session.feeds.data_type = kind
    else:
        session.error(-1, *invalid("cj", f"Invalid market data type {kind}"))


def req_mkt_data(session: Session, values: Mapping[str, Any]) -> None:
    """Tell a contract's ticks: once (`snapshot`), or from now on."""
    number, gateway = values["reqId"], session.gateway
    once = bool(values["snapshot"] or values["regulatorySnapshot"])
    refusal = _request_refusal(session, values, once=once)
    listed = one_contract(gateway, values) if refusal is None else refusal
    if not isinstance(listed, Listed):
        session.error(number, *listed)
        return
    kind = _kind(session, listed.instrument)
    if kind is None:
        session.error(number, *_no_data(session, listed))
        return
    if kind in (DELAYED, DELAYED_FROZEN):
        session.error(number, 10167, _DELAYED_INSTEAD)
    session.send(
        "tickReqParams",
        reqId=number,
        minTick=plain(min(level.step for level in listed.instrument.rules.price_levels)),
        bboExchange="9c0001" if listed.sec_type == "STK" else "",
        snapshotPermissions=3,
    )
    session.send("marketDataType", reqId=number, marketDataType=kind)
    feed = QuoteFeed(listed.instrument, kind, _generic(values))
    _send_changes(session, number, feed)
    if once:
        session.send("tickSnapshotEnd", reqId=number)
    else:
        session.feeds.quotes[number] = feed


def cancel_mkt_data(session: Session, values: Mapping[str, Any]) -> None:
    """End a request for market data."""
    number = values["reqId"]
    if session.feeds.quotes.pop(number, None) is None:
        session.error(number, 300, f"Can't find EId with tickerId:{number}")


def move(gateway: Gateway) -> None:
    """Tell all who subscribed what moved since they heard last."""
    for feeds in tuple(gateway.feeds.values()):
        for number, feed in tuple(feeds.quotes.items()):
            _send_changes(feeds.session, number, feed)


def one_contract(gateway: Gateway, values: Mapping[str, Any]) -> Listed | Refusal:
    """Return the one contract that a request for data means, or what is wrong with it."""
    refusal = form_refusal(values)
    if refusal is not None:
        return refusal
    if not values["exchange"]:
        return invalid("bO", "Please enter exchange")
    found = gateway.directory.lookup(values)
    if len(found) > 1:
        return 200, f"The contract description specified for {values['symbol']} is ambiguous."
    return found[0] if found else NO_DEFINITION


def invalid(mark: str, cause: str) -> Refusal:
    """Return the error for a request that makes no sense."""
    return 321, f"Error validating request.-'{mark}' : cause - {cause}"


def _request_refusal(session: Session, values: Mapping[str, Any], *, once: bool) -> Refusal | None:
    if values["reqId"] in session.feeds.quotes:
        return 322, "Error processing request.-'bM' : cause - Duplicate ticker id"
    asked = [each.strip() for each in str(values["genericTicks"]).split(",") if each.strip()]
    if once and asked:
        return invalid("bO", "Snapshot market data subscription is not applicable to generic ticks")
    # News and the like have names behind the number: `mdoff`, `292:BZ`.
    heads = {each.partition(":")[0] for each in asked} - {"mdoff"}
    if any(not head.isdigit() or int(head) not in _LEGAL for head in heads):
        return invalid("bO", f"Incorrect generic tick list of {','.join(asked)}")
    open_lines = sum(len(feeds.quotes) for feeds in session.gateway.feeds.values())
    if open_lines >= LINES:
        return 101, "Max number of tickers has been reached"
    return None


def _generic(values: Mapping[str, Any]) -> frozenset[int]:
    heads = (each.partition(":")[0].strip() for each in str(values["genericTicks"]).split(","))
    return frozenset(int(head) for head in heads if head.isdigit())


def _kind(session: Session, instrument: Instrument) -> int | None:
    """Return the kind of data that a client gets, None for none.

    Delayed data are no choice where live ones are subscribed, and frozen ones none while the
    market is open.
    """
    gateway, asked = session.gateway, session.feeds.data_type
    subscribed = gateway.spec.market_data
    closed = gateway.exchange.market.session(instrument, gateway.exchange.now) is None
    if subscribed == "live":
        return FROZEN if closed and asked in (FROZEN, DELAYED_FROZEN) else LIVE
    if subscribed == "frozen":
        return FROZEN
    if subscribed == "delayed" and asked in (DELAYED, DELAYED_FROZEN):
        return DELAYED_FROZEN if closed and asked == DELAYED_FROZEN else DELAYED
    return None


def _no_data(session: Session, listed: Listed) -> Refusal:
    if session.feeds.data_type in (DELAYED, DELAYED_FROZEN):
        return 10168, _NOT_EVEN_DELAYED
    place = listed.primary or listed.exchange
    return 354, f"{_NOT_SUBSCRIBED}{listed.instrument.symbol} {place}/TOP/ALL"


def _send_changes(session: Session, number: int, feed: QuoteFeed) -> None:
    """Send the ticks whose value is another than it was."""
    for tick in ticks_of(session.gateway, feed.instrument, feed.kind, feed.generic):
        value = f"{tick.value} {tick.size}"
        if feed.told.get(tick.number) != value:
            feed.told[tick.number] = value
            _send(session, number, tick)


def _send(session: Session, number: int, tick: Tick) -> None:
    if tick.message == "tickPrice":
        session.send(
            tick.message,
            reqId=number,
            tickType=tick.number,
            price=tick.value,
            size=tick.size,
            attribMask=1 if tick.tradable else 0,
        )
    elif tick.message == "tickSize":
        session.send(tick.message, reqId=number, tickType=tick.number, size=tick.value)
    else:
        session.send(tick.message, reqId=number, tickType=tick.number, value=tick.value)


HANDLERS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "reqMarketDataType": req_market_data_type,
    "reqMktData": req_mkt_data,
    "cancelMktData": cancel_mkt_data,
}
