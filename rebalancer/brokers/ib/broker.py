"""The way to Interactive Brokers: connect, prove that everything was heard, disconnect."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from rebalancer.brokers.ib import errors
from rebalancer.brokers.ib.client import LOG
from rebalancer.brokers.ib.contracts import Contracts
from rebalancer.brokers.ib.efficiency import SmallFiles
from rebalancer.brokers.ib.line import FinalRefusal, Line
from rebalancer.brokers.ib.orders import OrderBook
from rebalancer.brokers.ib.parameters import IbSettings
from rebalancer.brokers.ib.passage import Passage, PassageOf, gateway_time
from rebalancer.brokers.ib.venue import IbVenue
from rebalancer.errors import ConnectError, RebalancerError
from rebalancer.model.sessions import SessionTable
from rebalancer.model.universe import Universe
from rebalancer.ports import Page

READ_ONLY_CLIENT = 1000
"""What a read-only connection adds to the client id: it never fights with a trading one."""

PAPER = ("DU", "DF")
DRAIN_SECONDS = 10.0
"""How long what was sent may take to leave, and the gateway to take it up, before the end."""

BACK_OFF_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class IbBroker:
    """A `ports.Broker` to an account at a gateway, real or simulated.

    `folder` keeps what was learned about contracts and rules; `owners_folder` may have the
    owner's `ib_errors.toml`. `real_money` says that the account may not be a paper one, False
    that it must be. `read_only`: another client id, and nobody can send with it.
    """

    settings: IbSettings
    account: str
    base: str
    universe: Universe
    sessions: SessionTable
    folder: Path
    files: SmallFiles
    passage: PassageOf
    real_money: bool = False
    read_only: bool = False
    owners_folder: Path | None = field(default=None)

    @contextmanager
    def connect(self, page: Page) -> Iterator[IbVenue]:
        """Connect, prove the account and everything in it, and disconnect at the end.

        Raises `ConnectError`, `BlindError`; at the end of the context all that was sent has
        left and was heard of, as far as the wire still allows.
        """
        errors.learn(self.owners_folder)
        with self.passage(page) as passage:
            venue = self._connected(passage, page)
            try:
                passage.ready()
                yield venue
            finally:
                venue.closed = True
                try:
                    _drain(venue)
                finally:
                    venue.line.close()

    # ------------------------------------------------------------------ connecting

    def _connected(self, passage: Passage, page: Page) -> IbVenue:
        """Return a proved connection; of several attempts each begins from nothing."""
        settings = self.settings
        if self.read_only:
            settings = replace(settings, client_id=settings.client_id + READ_ONLY_CLIENT)
        for attempt in count(1):
            with contextlib.ExitStack() as undo:
                line = Line(settings, self.account, passage)
                undo.callback(line.close)
                try:
                    venue = self._proved(line, page)
                except FinalRefusal:
                    raise
                except ConnectError as error:
                    if line.heard.fatal or attempt >= settings.connect_attempts:
                        raise
                    LOG.warning("ib: attempt %d to connect failed: %s", attempt, error)
                    line.pause(BACK_OFF_SECONDS * attempt)
                    continue
                undo.pop_all()
                return venue
        raise AssertionError("unreachable: the last attempt raises")

    def _proved(self, line: Line, page: Page) -> IbVenue:
        """Connect, and hear everything once, each answer to its end."""
        contracts = Contracts(line, self.folder, self.files, self.universe)
        if contracts.dropped:
            page.flag("cache-dropped", contracts.dropped, "file:contracts")
        venue = IbVenue(
            line,
            contracts,
            OrderBook(line, contracts),
            page=page,
            base=self.base,
            sessions=self.sessions,
            folder=self.folder,
            files=self.files,
        )
        venue.read_only = self.read_only
        line.connect(line.settings.request_seconds)
        self._prove_account(line)
        gateway_time(line)  # the gateway's first words about its farms have come with it
        line.require()
        line.require_farms()
        contracts.qualify()
        line.hear_again = venue.hear_everything
        line.hear()
        line.require()
        venue.book.begin()
        return venue

    def _prove_account(self, line: Line) -> None:
        """Raise `FinalRefusal` unless this is the configured account, of the configured sort."""
        shown = line.accounts()
        if self.account not in shown:
            raise FinalRefusal(
                f"the gateway manages {', '.join(shown) or 'no account'}; {self.account} is "
                "configured (log in with the other user, or mend account.id)"
            )
        if line.passage.simulated:
            return
        paper = self.account.upper().startswith(PAPER)
        if paper == self.real_money:
            sort, meant = ("a paper", "live") if paper else ("a live", "paper")
            raise FinalRefusal(f"{self.account} is {sort} account; mode = {meant} is not for it")


def _drain(venue: IbVenue) -> None:
    """Let all that was sent leave, and the gateway answer to it, before the wire is cut.

    A disconnect right after a submit would lose what still waits for its turn. Where the wire
    is broken, or the way to Interactive Brokers is, there is nothing to wait for.
    """
    line, book = venue.line, venue.book
    if line.heard.lost:
        return
    with contextlib.suppress(RebalancerError):
        line.require_wire()
        line.let_leave(DRAIN_SECONDS)
        gateway_time(line, DRAIN_SECONDS)
        if not line.passage.simulated:
            line.wait_for(lambda: not book.unacknowledged(), DRAIN_SECONDS)
