"""The way to Binance: connect, prove the account and its settings, disconnect."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from rebalancer.brokers.binance import errors
from rebalancer.brokers.binance.errors import FinalRefusal, RequestRefused
from rebalancer.brokers.binance.info_cache import SmallFiles
from rebalancer.brokers.binance.line import LOG, BinanceLine
from rebalancer.brokers.binance.modes import settle_account_mode, settle_symbol_modes
from rebalancer.brokers.binance.orders import OrderBook
from rebalancer.brokers.binance.parameters import BinanceSettings, Product
from rebalancer.brokers.binance.passage import Passage, PassageOf
from rebalancer.brokers.binance.proof import prove_account
from rebalancer.brokers.binance.reading import Reading
from rebalancer.brokers.binance.venue import BinanceVenue
from rebalancer.brokers.binance.weights import plan_weight
from rebalancer.errors import ConnectError
from rebalancer.model.secret import Secret
from rebalancer.model.universe import Universe
from rebalancer.ports import Page

BACK_OFF_SECONDS = 2.0

MOST_MINUTES = 10
"""In how many of the exchange's minutes a run's calls must fit."""


@dataclass(frozen=True, kw_only=True)
class BinanceBroker:
    """A `ports.Broker` to an account at Binance, real, demo or simulated.

    `account` is the exchange's uid of it. `folder` keeps the exchange's list of symbols between
    runs; `owners_folder` may have the owner's `binance_errors.toml`. `read_only`: nothing that
    writes can leave.
    """

    settings: BinanceSettings
    product: Product
    account: str
    base: str
    universe: Universe
    key: Secret
    secret: Secret
    passage: PassageOf
    folder: Path
    files: SmallFiles
    read_only: bool = False
    owners_folder: Path | None = None

    @contextmanager
    def connect(self, page: Page) -> Iterator[BinanceVenue]:
        """Connect, prove whose account it is and how it is set, and disconnect at the end.

        Raises `ConnectError`, `BlindError`.
        """
        errors.learn(self.owners_folder)
        with self.passage(page) as passage:
            venue = self._connected(passage, page)
            try:
                passage.ready()
                yield venue
            finally:
                venue.closed = True
                LOG.info(
                    "binance: %d calls, weight %d", venue.line.calls, venue.line.throttle.total
                )
                venue.line.close()

    def _connected(self, passage: Passage, page: Page) -> BinanceVenue:
        """Return a proved connection; of several attempts each begins from nothing."""
        for attempt in count(1):
            with contextlib.ExitStack() as undo:
                line = BinanceLine(
                    passage,
                    self.settings,
                    self.product,
                    self.universe,
                    self.key,
                    self.secret,
                    read_only=self.read_only,
                )
                undo.callback(line.close)
                try:
                    venue = self._proved(line, page)
                except FinalRefusal:
                    raise
                except RequestRefused as error:
                    raise FinalRefusal(f"the exchange refuses to be asked: {error}") from error
                except ConnectError as error:
                    if attempt >= self.settings.connect_attempts:
                        raise
                    LOG.warning("binance: attempt %d to connect failed: %s", attempt, error)
                    passage.pause(BACK_OFF_SECONDS * attempt)
                    continue
                undo.pop_all()
                return venue
        raise AssertionError("unreachable: the last attempt raises")

    def _proved(self, line: BinanceLine, page: Page) -> BinanceVenue:
        """Measure the time, prove the account, settle its modes, plan the run's weight."""
        line.measure()
        prove_account(line, self.account, page.flag)
        reading = Reading(line, self.universe, self.folder, self.files)
        reading.info.rows()  # the limits and all symbols are known from here on
        self._plan(line, page)
        multi_assets = False
        if self.product is Product.USDM:
            multi_assets = settle_account_mode(line, self.base)
            settle_symbol_modes(line, page.flag)
        return BinanceVenue(
            line,
            reading,
            OrderBook(line, reading),
            page=page,
            account_id=self.account,
            base=self.base,
            multi_assets=multi_assets,
        )

    def _plan(self, line: BinanceLine, page: Page) -> None:
        """Raise `FinalRefusal` when the run's calls do not fit into the exchange's limits."""
        plan = plan_weight(
            self.product,
            len(self.universe),
            self.settings,
            line.throttle.per_minute(self.product),
        )
        LOG.info("binance: planned %s", plan)
        if plan.minutes > MOST_MINUTES:
            raise FinalRefusal(
                f"this run would ask more than {MOST_MINUTES} minutes allow: {plan}; take a "
                "smaller universe or shorter histories, or raise binance.weight_share"
            )
        if plan.minutes > 1:
            page.flag("weight-large", f"up to {plan.minutes} minutes of limits: {plan}", "")
