"""A price for futures, which no recording here has: that of a recorded fund, many times.

Nothing about it is real but that it moves; docs/SIMULATORS.md says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

import numpy as np

from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import Quote
from rebalancer.model.panel import Panel
from rebalancer.model.sessions import Session
from rebalancer.simulators.market import Market, Touch

FUTURES: Mapping[str, tuple[str, Decimal]] = {
    "ES": ("QUAL", Decimal(32)),
    "MES": ("QUAL", Decimal(32)),
    "NQ": ("MTUM", Decimal(70)),
    "MNQ": ("MTUM", Decimal(70)),
}
"""A future's symbol, the fund whose price it follows, and how many of it one point is."""


class MarketWithFutures:
    """A `Market` that also prices `FUTURES`, during the sessions of the market `inside`."""

    def __init__(self, inside: Market, spread_bps: Decimal) -> None:
        self.inside = inside
        self.spread_bps = spread_bps
        self.name = inside.name

    def listed(self) -> tuple[Instrument, ...]:
        """Return the instruments that have prices of their own here."""
        return self.inside.listed()

    def session(self, instrument: Instrument, at: datetime) -> Session | None:
        """Return the session in which the instrument trades at `at`, None when it does not."""
        return self.inside.session(self._followed(instrument) or instrument, at)

    def next_session(self, instrument: Instrument, at: datetime) -> Session | None:
        """Return the first session that opens after `at`."""
        return self.inside.next_session(self._followed(instrument) or instrument, at)

    def mark(self, instrument: Instrument, at: datetime) -> Decimal | None:
        """Return the price at which a position is valued, on the future's tick."""
        followed = self._followed(instrument)
        if followed is None:
            return self.inside.mark(instrument, at)
        price = self.inside.mark(followed, at)
        return None if price is None else _scaled(instrument, price)

    def touch(self, instrument: Instrument, at: datetime) -> Touch | None:
        """Return bid and ask around the middle, a tick from it at least."""
        followed = self._followed(instrument)
        if followed is None:
            return self.inside.touch(instrument, at)
        middle, depth = self.mark(instrument, at), self.inside.touch(followed, at)
        if middle is None or depth is None:
            return None
        tick = instrument.rules.price_step(middle)
        half = max(middle * self.spread_bps / 20_000, tick)
        bid = ((middle - half) / tick).to_integral_value(ROUND_FLOOR) * tick
        ask = ((middle + half) / tick).to_integral_value(ROUND_CEILING) * tick
        return Touch(max(bid, tick), ask, depth.depth)

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        """Return the touch with everything a reader of the market is told."""
        followed = self._followed(instrument)
        if followed is None:
            return self.inside.quote(instrument, at)
        touch, quote = self.touch(instrument, at), self.inside.quote(followed, at)
        if touch is None or quote is None:
            return None
        close = None if quote.close is None else _scaled(instrument, quote.close)
        return replace(quote, instrument=instrument.id, bid=touch.bid, ask=touch.ask, close=close)

    def bars(
        self, instruments: Sequence[Instrument], since: datetime | None, now: datetime
    ) -> Panel:
        """Return closes of sessions that are over."""
        followed = [self._followed(each) for each in instruments]
        panel = self.inside.bars(
            [there or each for there, each in zip(followed, instruments, strict=True)], since, now
        )
        factors = [
            1.0 if there is None else float(FUTURES[each.symbol][1])
            for there, each in zip(followed, instruments, strict=True)
        ]
        ids: tuple[InstrumentId, ...] = tuple(each.id for each in instruments)
        return Panel(ids, panel.times, panel.values * np.array(factors, np.float64))

    def sessions_since(self, instrument: Instrument, then: datetime, now: datetime) -> int:
        """Return how many sessions opened after `then` and not after `now`."""
        return self.inside.sessions_since(self._followed(instrument) or instrument, then, now)

    def ended(self, at: datetime) -> bool:
        """Return whether there are no more prices after `at`."""
        return self.inside.ended(at)

    def _followed(self, instrument: Instrument) -> Instrument | None:
        if instrument.kind is not Kind.FUTURE or instrument.symbol not in FUTURES:
            return None
        symbol = FUTURES[instrument.symbol][0]
        return next((each for each in self.inside.listed() if each.symbol == symbol), None)


def _scaled(instrument: Instrument, price: Decimal) -> Decimal:
    whole = price * FUTURES[instrument.symbol][1]
    tick = instrument.rules.price_step(whole)
    return (whole / tick).to_integral_value(ROUND_HALF_UP) * tick
