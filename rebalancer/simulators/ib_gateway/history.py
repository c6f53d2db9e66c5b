"""Historical bars, as clients ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from rebalancer.model.instrument import Kind
from rebalancer.simulators.ib_gateway.contracts import Listed
from rebalancer.simulators.ib_gateway.history_bars import Bar, TooLong, bars_of, first_day
from rebalancer.simulators.ib_gateway.history_pacing import VIOLATION
from rebalancer.simulators.ib_gateway.history_terms import SMALL_SECONDS, Terms, read_terms
from rebalancer.simulators.ib_gateway.hours import zone_of
from rebalancer.simulators.ib_gateway.market_data import one_contract
from rebalancer.simulators.ib_gateway.orders_state import plain
from rebalancer.simulators.ib_gateway.orders_times import stamp

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.session import Session

_SERVICE = "Historical Market Data Service error message:"
_PRICES = frozenset({"TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST"})
_NOT_KNOWN = "-1"
"""Volumes, average prices and counts are not recorded."""


def req_historical_data(session: Session, values: Mapping[str, Any]) -> None:
    """Tell the bars of a contract, all in one message; 162 when there are none."""
    number, gateway = values["reqId"], session.gateway
    terms = read_terms(values, gateway.exchange.now)
    if not isinstance(terms, Terms):
        session.error(number, *terms)
        return
    listed = one_contract(gateway, values)
    if not isinstance(listed, Listed):
        session.error(number, *listed)
        return
    if terms.shown == "SCHEDULE":
        _send_schedule(session, number, terms)
        return
    if _too_fast(session, listed, values, terms):
        session.error(number, *VIOLATION)
        return
    if not _has(listed, terms.shown):
        session.error(number, 162, _no_market_data(listed, terms))
        return
    try:
        bars = bars_of(gateway, listed.instrument, terms)
    except TooLong:
        session.error(number, 162, f"{_SERVICE}Time length exceed max.")
        return
    if not bars:
        session.error(number, 162, _none(listed, terms))
        return
    begins = bars[0].begins if terms.days is not None else terms.end - terms.length
    session.send(
        "historicalData",
        reqId=number,
        start=stamp(begins, session.version),
        end=stamp(terms.end, session.version),
        rows=tuple(_row(session, bar, terms) for bar in bars),
    )


def _send_schedule(session: Session, number: int, terms: Terms) -> None:
    """Tell the sessions instead of bars."""
    calendar = session.gateway.calendar
    zone, shown = zone_of(calendar.calendar)
    first = terms.end - (terms.length if terms.days is None else timedelta(days=terms.days * 2))
    sessions = calendar.between(first.date(), terms.end.date())
    if terms.days is not None:
        sessions = sessions[-terms.days :]
    rows = tuple(
        {
            "start": f"{each.open.astimezone(zone):%Y%m%d-%H:%M:%S}",
            "end": f"{each.close.astimezone(zone):%Y%m%d-%H:%M:%S}",
            "refDate": f"{each.date:%Y%m%d}",
        }
        for each in sessions
    )
    if not rows:
        session.error(number, 162, f"{_SERVICE}No schedule")
        return
    session.send(
        "historicalSchedule",
        reqId=number,
        start=rows[0]["start"],
        end=rows[-1]["end"],
        timeZone=shown,
        rows=rows,
    )


def _row(session: Session, bar: Bar, terms: Terms) -> Mapping[str, Any]:
    if bar.day is not None:
        when = f"{bar.day:%Y%m%d}"
    elif terms.epoch:
        when = str(int(bar.begins.timestamp()))
    else:
        when = stamp(bar.begins, session.version)
    return {
        "date": when,
        "open": plain(bar.open),
        "high": plain(bar.high),
        "low": plain(bar.low),
        "close": plain(bar.close),
        "volume": _NOT_KNOWN,
        "wap": _NOT_KNOWN,
        "count": int(_NOT_KNOWN),
    }


def _too_fast(session: Session, listed: Listed, values: Mapping[str, Any], terms: Terms) -> bool:
    if terms.seconds > SMALL_SECONDS:
        return False
    contract = (listed.con_id, listed.exchange, terms.shown)
    request = (*contract, values["endDateTime"], values["duration"], terms.seconds)
    return session.gateway.history_pacing.violates(
        session.tap.loop.time(), contract, request, 2 if terms.shown == "BID_ASK" else 1
    )


def _has(listed: Listed, shown: str) -> bool:
    """Return whether there is anything to show: no trades of currencies, no volatilities."""
    kind = listed.instrument.kind
    if shown == "ADJUSTED_LAST":
        return kind is Kind.STOCK
    return shown in _PRICES and not (shown == "TRADES" and kind is Kind.FOREX)


def _no_market_data(listed: Listed, terms: Terms) -> str:
    name = f"{listed.instrument.symbol}/{listed.sec_type}@{listed.exchange}"
    return f"{_SERVICE}No historical market data for {name} {terms.shown.title()} {terms.seconds}"


def _none(listed: Listed, terms: Terms) -> str:
    name = f"{listed.local_symbol}@{listed.exchange}"
    return f"{_SERVICE}HMDS query returned no data: {name} {terms.shown.title()}"


def cancel_historical_data(session: Session, values: Mapping[str, Any]) -> None:
    """Say that there is nothing to cancel: every request has its answer at once."""
    number = values["reqId"]
    session.error(number, 366, f"No historical data query found for ticker id:{number}")


def req_head_timestamp(session: Session, values: Mapping[str, Any]) -> None:
    """Tell when the first bar begins."""
    number = values["reqId"]
    listed = one_contract(session.gateway, values)
    if not isinstance(listed, Listed):
        session.error(number, *listed)
        return
    first = None
    if _has(listed, str(values["whatToShow"]).upper()):
        first = first_day(session.gateway, listed.instrument)
    if first is None:
        session.error(number, 162, f"{_SERVICE}No head time stamp")
        return
    text = str(int(first.timestamp()))
    if values["formatDate"] != 2:
        text = f"{first.astimezone(UTC):%Y%m%d-%H:%M:%S}"
    session.send("headTimestamp", reqId=number, headTimestamp=text)


HANDLERS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "reqHistoricalData": req_historical_data,
    "cancelHistoricalData": cancel_historical_data,
    "reqHeadTimestamp": req_head_timestamp,
}
