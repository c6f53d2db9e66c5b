"""Where the exchange is, and how its time passes: by itself, or on request at a simulated one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from rebalancer.brokers.binance.parameters import Product
from rebalancer.clock import SystemClock
from rebalancer.ports import Page

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.control import Control

HOSTS = {
    (Product.SPOT, False): "https://api.binance.com",
    (Product.SPOT, True): "https://demo-api.binance.com",
    (Product.USDM, False): "https://fapi.binance.com",
    (Product.USDM, True): "https://demo-fapi.binance.com",
}
"""The exchange's own hosts, by product and whether it is the demo."""

POLL_SECONDS = 1.0
"""How often is looked whether something happened, where time passes by itself."""


class Passage(Protocol):
    """Where the exchange is, and how its time passes.

    `base_url` is the product's own host, `account_url` that of spot: only there is told whose
    account it is and what a key may do.
    """

    base_url: str
    account_url: str
    simulated: bool

    def now(self) -> datetime:
        """Return the time here: this machine's, or the simulated one."""

    def pause(self, seconds: float) -> None:
        """Let time pass."""

    def pass_time(self, until: datetime) -> None:
        """Let time pass to `until`, or to where it is worth a look whether something happened."""

    def mount(self, session: Any) -> None:
        """Let a `requests` session reach the exchange."""

    def ready(self) -> None:
        """Take note that the connection is made and proved."""


PassageOf = Callable[[Page], AbstractContextManager[Passage]]


class LivePassage:
    """The real exchange, or its demo: time is this machine's."""

    simulated = False

    def __init__(
        self, base_url: str, account_url: str = "", clock: SystemClock | None = None
    ) -> None:
        self.base_url, self.account_url = base_url, account_url or base_url
        self._clock = clock or SystemClock()

    def now(self) -> datetime:
        """Return this machine's time."""
        return self._clock.now()

    def pause(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(max(seconds, 0.0))

    def pass_time(self, until: datetime) -> None:
        """Sleep a little, to `until` at most."""
        self.pause(min((until - self.now()).total_seconds(), POLL_SECONDS))

    def mount(self, session: Any) -> None:
        """Nothing: the session's own adapters reach it."""

    def ready(self) -> None:
        """Nothing: a real exchange needs no telling."""


class SteppedPassage:
    """A simulated exchange: its time moves when it is told to, and with every call."""

    simulated = True

    def __init__(self, control: Control) -> None:
        self.control = control
        self.base_url = self.account_url = f"http://{control.host}:{control.port}"

    def now(self) -> datetime:
        """Return the simulated time."""
        return self.control.now()

    def pause(self, seconds: float) -> None:
        """Let simulated time pass."""
        until = self.now() + timedelta(seconds=max(seconds, 0.0))
        while self.now() < until:
            self.control.advance(until)

    def pass_time(self, until: datetime) -> None:
        """Let simulated time pass to `until`, or to the first instant that has news."""
        if until > self.now():
            self.control.advance(until)

    def mount(self, session: Any) -> None:
        """Let the session reach an exchange in this process; a socket needs nothing."""
        self.control.mount(session)

    def ready(self) -> None:
        """Let the faults of single calls strike from now on."""
        self.control.arm()


def at_exchange(product: Product, *, demo: bool) -> PassageOf:
    """Return the way to the real exchange, or to its demo."""

    @contextmanager
    def passage(_page: Page) -> Iterator[Passage]:
        yield LivePassage(HOSTS[product, demo], HOSTS[Product.SPOT, demo])

    return passage


def at_simulator(start: Callable[[], Control]) -> PassageOf:
    """Return the way to a simulated exchange that is started for each run and ended with it.

    The exchange plays up to the page's slot before anybody connects.
    """

    @contextmanager
    def passage(page: Page) -> Iterator[Passage]:
        control = start()
        try:
            control.open(page.slot, page.attempt)
            yield SteppedPassage(control)
        finally:
            control.close()

    return passage
