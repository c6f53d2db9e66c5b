"""The simulated gateway: what outlives a connection, and who hears of what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.model.sessions import SessionTable
from rebalancer.simulators.exchange import Exchange
from rebalancer.simulators.ib_gateway import account_pushes, market_data, trading
from rebalancer.simulators.ib_gateway.contracts import Directory
from rebalancer.simulators.ib_gateway.faults import WireFaults
from rebalancer.simulators.ib_gateway.feeds import Feeds
from rebalancer.simulators.ib_gateway.history_pacing import HistoryPacing
from rebalancer.simulators.ib_gateway.orders_state import TradingState
from rebalancer.simulators.ib_gateway.session import Session
from rebalancer.simulators.ib_gateway.tap import Wire
from rebalancer.simulators.ib_gateway.wire_log import WireLog
from rebalancer.simulators.killing import Hearing
from rebalancer.simulators.news import News

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.spec import GatewaySpec

__all__ = ["Gateway", "Wire"]


class Gateway:
    """One gateway over one engine.

    `loop` is set by the transport before the first connection. `sessions` are the connections
    by number, `feeds` what each of them has subscribed to; `violations` counts how often a
    client sent too many messages in one second. `calendar` has the market's sessions,
    `equity_kept` the equity at the last midnight, once it is known. `hearing` is asked and told
    of each message of a client.
    """

    def __init__(
        self, exchange: Exchange, spec: GatewaySpec, faults: WireFaults, log: WireLog
    ) -> None:
        self.exchange = exchange
        self.spec = spec
        self.faults = faults
        self.log = log
        self.loop: asyncio.AbstractEventLoop | None = None
        self.directory = Directory(exchange.instruments)
        self.calendar = SessionTable(spec.calendar, spec.sessions)
        self.sessions: dict[int, Session] = {}
        self.feeds: dict[int, Feeds] = {}
        self.history_pacing = HistoryPacing()
        self.equity_kept: tuple[tuple[datetime, int], Decimal] | None = None
        self.violations = 0
        self.hearing: Hearing | None = None
        self.trading = TradingState()
        self._connections = 0
        trading.prepare(self)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Return every account that the login may see, the traded one first."""
        own = self.exchange.account.account
        return (own, *(each for each in self.spec.other_accounts if each != own))

    def attach(self, wire: Wire) -> Session:
        """Take a new connection."""
        self._connections += 1
        session = Session(self, wire, self._connections)
        self.sessions[session.number] = session
        self.feeds[session.number] = session.feeds
        return session

    def detach(self, session: Session) -> None:
        """Forget a connection that has ended."""
        self.sessions.pop(session.number, None)
        self.feeds.pop(session.number, None)

    def advance(self, until: datetime) -> bool:
        """Let the engine's time pass to `until`, or to the first instant that has news.

        Returns whether there was any; everybody has been told then.
        """
        news = self.exchange.advance(until)
        self.tell(news)
        market_data.move(self)
        return bool(news)

    def tell(self, news: Sequence[News]) -> None:
        """Tell the clients what happened: to their orders, then to the account."""
        trading.tell(self, news)
        account_pushes.tell(self, news)

    def restart(self, *, roll_back_ids: bool) -> None:
        """Restart as every night: all connections break, the account is as it was.

        `roll_back_ids`: the next order ids are those of the morning again.
        """
        for session in tuple(self.sessions.values()):
            session.close()
        trading.restarted(self, roll_back_ids=roll_back_ids)
