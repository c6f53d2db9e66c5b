"""What is told of accounts without being asked again: after trades, and as prices move."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from rebalancer.model.instrument import InstrumentId, Kind
from rebalancer.simulators.ib_gateway.account import (
    held_in,
    send_account,
    send_position,
    send_position_multi,
    send_profit,
    send_summary,
    send_values_multi,
)
from rebalancer.simulators.news import News, TradeNews

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.feeds import Feeds
    from rebalancer.simulators.ib_gateway.gateway import Gateway

EVERY = timedelta(minutes=3)
"""How often values that moved with prices alone are told again."""


def tell(gateway: Gateway, news: Sequence[News]) -> None:
    """Tell what trades changed: positions and values at once, to all who subscribed."""
    traded = _traded(gateway, news)
    for feeds in tuple(gateway.feeds.values()):
        if news and traded:
            _after_trades(feeds, traded)
        _from_time_to_time(feeds)


def _traded(gateway: Gateway, news: Sequence[News]) -> tuple[InstrumentId, ...]:
    """Return the instruments of new executions; currency pairs have no position."""
    found = {
        each.execution.instrument
        for each in news
        if isinstance(each, TradeNews) and not each.execution.told
    }
    instruments = gateway.exchange.instruments
    return tuple(sorted(each for each in found if instruments[each].kind is not Kind.FOREX))


def _after_trades(feeds: Feeds, traded: Sequence[InstrumentId]) -> None:
    session = feeds.session
    own = session.gateway.exchange.account.account
    if feeds.positions:
        for identifier in traded:
            send_position(session, identifier)
    for number, feed in feeds.positions_multi.items():
        for identifier in traded:
            send_position_multi(session, number, feed, identifier)
    if feeds.account is not None and feeds.account.account == own:
        send_account(session, traded)
    for number, feed in feeds.values_multi.items():
        send_values_multi(session, number, feed)
    for number in feeds.profits:
        send_profit(session, number)


def _from_time_to_time(feeds: Feeds) -> None:
    """Tell what prices changed, every few minutes of simulated time."""
    session, feed = feeds.session, feeds.account
    now = session.gateway.exchange.now
    if feeds.told_at is not None and now - feeds.told_at < EVERY:
        return
    if feeds.told_at is not None:
        if feed is not None:
            send_account(session, held_in(session.gateway, feed.account))
        for number, multi in feeds.values_multi.items():
            send_values_multi(session, number, multi)
        for number, summary in feeds.summaries.items():
            send_summary(session, number, summary)
        for number in feeds.profits:
            send_profit(session, number)
    feeds.told_at = now
