"""What stands between the real desk and the world in a rehearsal, and tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from rebalancer.model.orders import OrderType
from rebalancer.ports import Broker, Desk, Hands, Page, Venue
from rebalancer.rehearsal.observer.watch import Watch
from rebalancer.simulators.faults.injection import Injector


class Connections:
    """A `ports.Broker` whose venues and hands go through an injector and a watch."""

    def __init__(
        self,
        inner: Broker,
        hands: Callable[[Venue], Hands],
        injector: Injector,
        watch: Watch,
    ) -> None:
        self._inner, self._hands = inner, hands
        self._injector, self._watch = injector, watch
        self._venue: Venue | None = None

    def connect(self, page: Page) -> AbstractContextManager[Venue]:
        """Connect to the venue that outlives its clients."""
        return self._connected(page)

    @contextmanager
    def _connected(self, page: Page) -> Iterator[Venue]:
        with self._injector.passage(self._inner.connect(page), "broker") as venue:
            self._venue = venue
            yield self._injector.port(venue, "venue")

    def hands(self, _venue: Venue) -> Hands:
        """Return hands for the venue that is connected."""
        venue = self._venue
        assert venue is not None, "hands before a connection"  # noqa: S101 - the hour's order
        inner = self._injector.port(self._hands(venue), "hands")
        hands: Hands = self._watch.hands(inner, venue)
        return hands


class Stepped:
    """`ports.Books` that tell an injector in which step the run is."""

    def __init__(self, inner: Any, injector: Injector, say: Callable[[str], None]) -> None:
        self._inner, self._injector, self._say = inner, injector, say

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def note(self, slot: datetime, line: Any, *, durable: bool) -> None:
        """Append a line to the journal; a step is known from its line on."""
        if line["kind"] == "step":
            self._injector.step = int(line["step"])
            self._say(f"  step {line['step']}")
        elif line["kind"] == "flag":
            self._say(f"    flag {line['flag']['code']}: {line['flag']['message']}")
        self._inner.note(slot, line, durable=durable)


def following(desk: Desk) -> Desk:
    """Return a desk whose orders rest (post-only, where the venue knows it), follow, then take."""
    rests = OrderType.POST_ONLY if desk.universe.ids[0].endswith("@BINANCE") else OrderType.LIMIT
    return replace(
        desk,
        planning=replace(desk.planning, order_type=rests),
        working=replace(
            desk.working, window_seconds=120.0, repeg_seconds=30.0, taker_after_seconds=75.0
        ),
    )
