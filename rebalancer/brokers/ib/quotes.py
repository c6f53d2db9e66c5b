"""Quotes for many instruments at once: subscribed anew, waited for once, and given back.

Each call has subscriptions of its own, so no answer to an earlier call can be taken for a new
one. The kind of data (live, frozen, delayed) is what the venue says follows, not what was asked
for; a quote about which it says nothing is left out. Sizes are in units: gateways before 10.19
told those of US stocks in hundreds, by which average volumes would be too small, which is the
careful side.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from rebalancer.brokers.ib.pacing import in_time
from rebalancer.brokers.ib.quotes_ticks import (
    DELAYED,
    DELAYED_FROZEN,
    FROZEN,
    LIVE,
    Heard,
    hearing,
)
from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.market import Freshness, MarketSnapshot, Quote

if TYPE_CHECKING:
    from rebalancer.brokers.ib.contracts import Contracts
    from rebalancer.brokers.ib.line import Line

QUIET_SECONDS = 1.0
"""How long we go on waiting for close and volume when nothing new has come."""

AT_ONCE = 1e-6
"""Seconds that a loop may fail to tell from nothing: waiting for less could go on for ever."""

AVERAGE_VOLUME = "165"

_LOG = logging.getLogger("rebalancer.brokers.ib")
_FRESHNESS = {
    LIVE: Freshness.LIVE,
    FROZEN: Freshness.FROZEN,
    DELAYED: Freshness.DELAYED,
    DELAYED_FROZEN: Freshness.FROZEN,
}


def quotes(line: Line, contracts: Contracts, instruments: Sequence[Instrument]) -> MarketSnapshot:
    """Return the quotes of instruments; one that has none is missing from the snapshot.

    Raises `ConnectError` when the wire breaks. Takes at most `quote_seconds` for each batch of
    `market_data_lines` instruments.
    """
    settings = line.settings
    contracts.qualify(instruments)
    wanted: dict[InstrumentId, Any] = {}
    for instrument in instruments:
        try:
            wanted[instrument.id] = contracts.contract(instrument.id)
        except DataError as error:
            _LOG.info("no quote: %s", error)
    found: dict[InstrumentId, Heard] = {}
    for batch in _batches(wanted, settings.market_data_lines):
        seconds = float(settings.quote_seconds)
        found |= line.ask("quotes", partial(_listen, line, batch), seconds + 30.0)
        line.require()
    at = line.passage.now()
    made = {}
    for name in wanted:
        trades = contracts.trades(name, at)
        quote = quote_of(
            name,
            found[name],
            at,
            trades,
            simulated=line.passage.simulated,
            last_trade_seconds=settings.last_trade_seconds,
        )
        if quote is None:
            _LOG.info("%s: no quote: %s", name, reason(found[name]))
        else:
            made[name] = quote
    return MarketSnapshot(at, made)


def _batches(
    wanted: Mapping[InstrumentId, Any], lines: int
) -> Iterator[Mapping[InstrumentId, Any]]:
    names = list(wanted)
    for start in range(0, len(names), lines):
        yield {name: wanted[name] for name in names[start : start + lines]}


async def _listen(line: Line, batch: Mapping[InstrumentId, Any]) -> dict[InstrumentId, Heard]:
    """Subscribe to all of a batch, wait until all is told or time is over, and unsubscribe."""
    client, loop = line.ib.client, asyncio.get_running_loop()
    names = {name: Heard(set()) for name in batch}
    requests: dict[int, Heard] = {}
    news = asyncio.Event()
    seconds = float(line.settings.quote_seconds)
    with hearing(line.ib, requests, line.passage.now, news.set):
        client.reqMarketDataType(line.settings.market_data_type)
        for name, contract in batch.items():
            number = client.getReqId()
            requests[number] = names[name]
            client.reqMktData(number, contract, AVERAGE_VOLUME, False, False, [])
        quiet = QUIET_SECONDS
        if line.passage.simulated:
            # A simulated market does not move by itself: what it has to say has been said.
            await in_time(line.ib.reqCurrentTimeAsync(), seconds)
            quiet, seconds = 0.0, min(seconds, QUIET_SECONDS)
        end = loop.time() + seconds
        known, since = -1, loop.time()
        while client.isConnected() and not all(each.complete for each in names.values()):
            told = sum(len(each.seen) + each.dead for each in names.values())
            if told != known:
                known, since = told, loop.time()
            enough = all(each.priced or each.dead for each in names.values())
            until = min(end, since + quiet) if enough else end
            if until - loop.time() < AT_ONCE:
                break
            news.clear()
            await in_time(news.wait(), until - loop.time())
        for number, heard in requests.items():
            if not heard.dead and client.isConnected():
                client.cancelMktData(number)
    return names


def quote_of(
    name: InstrumentId,
    heard: Heard,
    now: datetime,
    trades: bool | None,
    *,
    simulated: bool,
    last_trade_seconds: float,
) -> Quote | None:
    """Return the quote that a request heard, None when it is worth nothing.

    Its time is that of its last bid or ask; or that of the last trade, when the venue says that
    it is more than `last_trade_seconds` ago: a book that stands still is not believed.
    """
    if heard.dead or heard.data_type is None or heard.price_at is None:
        return None
    if heard.bid is None and heard.ask is None and heard.close is None:
        return None
    kind = heard.data_type
    freshness = _FRESHNESS.get(kind, Freshness.FROZEN)
    if heard.delayed_ticks and freshness is Freshness.LIVE:
        freshness = Freshness.DELAYED
    if simulated and freshness is Freshness.LIVE:
        freshness = Freshness.SYNTHETIC
    at = heard.price_at
    if heard.last_trade is not None and now - heard.last_trade > timedelta(
        seconds=last_trade_seconds
    ):
        at = min(at, heard.last_trade)
    return Quote(
        instrument=name,
        at=at,
        bid=heard.bid,
        ask=heard.ask,
        bid_size=heard.bid_size if heard.bid is not None else None,
        ask_size=heard.ask_size if heard.ask is not None else None,
        close=heard.close,
        freshness=freshness,
        trading=False if heard.halted else trades,
        volume=heard.volume,
        average_volume=heard.average_volume,
    )


def reason(heard: Heard) -> str:
    """Return why a request is worth no quote, for a person."""
    if heard.error is not None:
        code, words = heard.error
        return f"{code} {words}".strip()
    if heard.data_type is None and heard.seen:
        return "the venue did not say whether its data are live"
    return "nothing arrived in time"
