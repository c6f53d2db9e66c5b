"""What the gateway tells of orders, taken off the wire before the library interprets it.

Both libraries keep a status of their own that errors overwrite, turn prices into floats and
drop what they cannot place. So their decoder is listened to, not their events: order status,
executions and commissions as text, open and completed orders as decoded objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rebalancer.model.orders import Fill, OrderStatus, VenueEvent, WorkingOrder

ORDER_STATUS, EXECUTION, COMMISSION = 3, 11, 59


class Ears(Protocol):
    """Who listens; whatever it raises is told to `garbled`, and the library goes on."""

    def on_status(self, fields: Sequence[str]) -> None: ...
    def on_execution(self, fields: Sequence[str]) -> None: ...
    def on_commission(self, fields: Sequence[str]) -> None: ...
    def on_open_order(self, order_id: int, contract: Any, order: Any, state: Any) -> None: ...
    def on_completed_order(self, contract: Any, order: Any, state: Any) -> None: ...
    def on_error(self, request_id: int, code: int, words: str) -> None: ...
    def garbled(self, what: str, error: Exception) -> None: ...


def listen_in(ib: Any, ears: Ears) -> None:
    """Let `ears` hear every message about orders, each before the library does.

    Works with ib_insync and ib_async alike: both decode through `client.decoder.handlers`
    and hand objects to methods of `wrapper`. Called once, before the connection is made.
    """
    handlers = ib.client.decoder.handlers
    for number, hear in (
        (ORDER_STATUS, ears.on_status),
        (EXECUTION, ears.on_execution),
        (COMMISSION, ears.on_commission),
    ):
        handlers[number] = _first(hear, handlers[number], ears, f"message {number}")
    wrapper = ib.wrapper
    wrapper.openOrder = _first(ears.on_open_order, wrapper.openOrder, ears, "an open order")
    wrapper.completedOrder = _first(
        ears.on_completed_order, wrapper.completedOrder, ears, "a completed order"
    )
    ib.errorEvent += _errors(ears)


def _first(
    hear: Callable[..., None], then: Callable[..., Any], ears: Ears, what: str
) -> Callable[..., None]:
    def handle(*message: Any) -> None:
        try:
            hear(*message)
        except Exception as error:
            ears.garbled(what, error)
        then(*message)

    return handle


def _errors(ears: Ears) -> Callable[..., None]:
    def handle(request_id: int, code: int, words: str, *_: object) -> None:
        try:
            ears.on_error(request_id, code, words)
        except Exception as error:
            ears.garbled(f"error {code}", error)

    return handle


class News:
    """What is to be told to the run: in order, each change once.

    Several messages often tell of one change: what was only better explained, or not unknown
    after all, before anybody asked, is told once, as it is in the end.

    Nothing is kept before `begin`: what a connection starts with is no news.
    """

    def __init__(self) -> None:
        self._events: list[VenueEvent] = []
        self._orders: dict[int, tuple[OrderStatus, object, object, str]] = {}
        self._untold: dict[int, WorkingOrder] = {}
        self._fills: dict[str, Fill] = {}
        self._begun = False

    def begin(self) -> None:
        """Take what is known by now as known to the run."""
        self._begun = True
        self.take()

    @property
    def waiting(self) -> bool:
        """Return whether there is something to tell."""
        return bool(self._events)

    def take(self) -> tuple[VenueEvent, ...]:
        """Return what has not been told yet, and forget it."""
        events = tuple(self._events)
        self._events.clear()
        self._untold.clear()
        return events

    def order(self, number: int, order: WorkingOrder, *, quietly: bool = False) -> None:
        """Keep an order's state when something of it changed; `quietly`: it was told already."""
        state = (order.status, order.filled, order.limit, order.message)
        if self._orders.get(number) == state:
            return
        self._orders[number] = state
        if not self._begun or quietly:
            return
        before = self._untold.pop(number, None)
        if before is not None and _is_superseded(before, order):
            self._events.remove(before)
        self._events.append(order)
        self._untold[number] = order

    def fill(self, fill: Fill) -> None:
        """Keep an execution when it is new, or when its commission became known."""
        if self._fills.get(fill.exec_id) == fill:
            return
        self._fills[fill.exec_id] = fill
        if self._begun:
            self._events.append(fill)


def _is_superseded(before: WorkingOrder, now: WorkingOrder) -> bool:
    """Return whether an untold state says nothing that the next one does not."""
    if before.status is OrderStatus.UNKNOWN:
        return True
    same = (before.status, before.filled, before.limit) == (now.status, now.filled, now.limit)
    return same and not (before.message and now.message)
