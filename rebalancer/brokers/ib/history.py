"""Completed bars of many instruments at once, within the venue's pacing.

Daily bars are asked for split-adjusted (stocks), by trades (futures) or by middle (currency
pairs). The venue names a daily bar by its date; its time here is the close of our session of
that date, so that every instrument's bar stands in the same row. A bar that is still forming
is dropped. An empty answer does not mean that there are no bars: it is asked for once more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from rebalancer.brokers.ib.history_bars import Bar, closed_days, closed_hours, table
from rebalancer.brokers.ib.pacing import Pacing, in_time
from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.panel import Panel
from rebalancer.model.sessions import SessionTable

if TYPE_CHECKING:
    from rebalancer.brokers.ib.contracts import Contracts
    from rebalancer.brokers.ib.line import Line

DAY, HOUR = "day", "hour"
SIZES = (DAY, HOUR)
ATTEMPTS = 2
PACING_SECONDS = 15.0
"""How long to wait before asking again after the venue complained about our pace."""

_LOG = logging.getLogger("rebalancer.brokers.ib")
_SETTING = {DAY: "1 day", HOUR: "1 hour"}
_SECONDS = {DAY: 86_400, HOUR: 3_600}
_SHOW = {Kind.STOCK: "TRADES", Kind.FUTURE: "TRADES", Kind.FOREX: "MIDPOINT"}
_SESSIONS_PER_YEAR = 250
_HOURS_PER_SESSION = 7


@dataclass(frozen=True)
class _Asked:
    """One request: which instrument, how, and how far back."""

    instrument: Instrument
    contract: Any
    show: str
    duration: str
    setting: str
    bar_seconds: int


class _Answer(NamedTuple):
    bars: list[Bar]
    too_fast: bool = False


def bars(
    line: Line,
    contracts: Contracts,
    instruments: Sequence[Instrument],
    since: datetime | None,
    *,
    size: str = DAY,
    sessions: SessionTable,
) -> Panel:
    """Return closes of bars that closed after `since` (None: `history_bars` of them).

    Columns are in the order of `instruments`, NaN where the venue has no bar or no contract.
    `size` is "day" or "hour". Raises `ConnectError` when the wire breaks.
    """
    if size not in SIZES:
        raise DataError(f"bars of size {size!r}: expected one of {', '.join(SIZES)}")
    now, settings = line.passage.now(), line.settings
    contracts.qualify(instruments)
    asked = []
    for instrument in instruments:
        try:
            contract = contracts.contract(instrument.id)
        except DataError as error:
            _LOG.info("no bars: %s", error)
            continue
        show = _SHOW[instrument.kind]
        length = duration(since, now, size, settings.history_bars)
        asked.append(_Asked(instrument, contract, show, length, _SETTING[size], _SECONDS[size]))
    seconds = float(settings.request_seconds) * 2
    rounds = -(-len(asked) // settings.history_requests)
    found: dict[InstrumentId, list[Bar]] = {}
    if asked:
        whole = seconds * ATTEMPTS * rounds + 60.0
        found = line.ask("bars", partial(_ask_all, line, asked, seconds), whole)
        line.require()
    columns = {}
    for instrument in instruments:
        listing = contracts.listing(instrument.id)
        hours = None if listing is None else listing.hours(liquid=True)
        close = closed_days if size == DAY else closed_hours
        columns[instrument.id] = close(found.get(instrument.id, []), hours, sessions, now)
    return table([each.id for each in instruments], columns, since)


def duration(since: datetime | None, now: datetime, size: str, count: int) -> str:
    """Return how far back to ask, in the venue's words: days up to 365, else years.

    A few days more than needed are asked for: closed days count differently at each venue.
    """
    if since is not None:
        days = max((now - since).days, 0) + 2
    elif size == DAY:
        days = -(-count * 365 // _SESSIONS_PER_YEAR) + 7
    else:
        days = -(-count * 365 // (_SESSIONS_PER_YEAR * _HOURS_PER_SESSION)) + 7
    return f"{days} D" if days <= 365 else f"{-(-days // 365)} Y"


async def _ask_all(
    line: Line, asked: Sequence[_Asked], seconds: float
) -> dict[InstrumentId, list[Bar]]:
    """Ask for all, several at a time; what the venue does not answer is missing."""
    pacing = Pacing(line.settings.history_requests)
    found: dict[InstrumentId, list[Bar]] = {}

    async def one(each: _Asked) -> None:
        for _attempt in range(ATTEMPTS):
            await pacing.enter(each.contract.conId, (each.contract.conId, each), each.bar_seconds)
            try:
                answer = await _ask(line, each, seconds)
            finally:
                pacing.leave()
            if answer.bars:
                found[each.instrument.id] = answer.bars
                break
            if answer.too_fast:
                await asyncio.sleep(PACING_SECONDS)
        _LOG.debug("history: %d of %d", len(found), len(asked))

    await asyncio.gather(*(one(each) for each in asked))
    _LOG.info("history: bars of %d of %d instruments arrived", len(found), len(asked))
    return found


async def _ask(line: Line, asked: _Asked, seconds: float) -> _Answer:
    """Return the bars of one request; none for a refusal or silence, which are logged."""
    request = line.ib.reqHistoricalDataAsync(
        asked.contract,
        "",
        asked.duration,
        asked.setting,
        asked.show,
        True,
        2,
        False,
        [],
        seconds,
    )
    try:
        answer = await in_time(request, seconds + 5.0)
    except ConnectionError:
        raise
    except Exception as error:
        code = getattr(error, "code", None)
        if code is None:
            raise
        words = getattr(error, "message", "")
        _LOG.info("%s: no bars (%s %s)", asked.instrument.id, code, words)
        return _Answer([], too_fast="pacing" in str(words).lower())
    return _Answer([Bar(bar.date, float(bar.close)) for bar in answer or ()])
