"""Asking the gateway for orders and executions: complete answers or none.

Quantity truth is the executions, life truth the list of open orders (asked for anew, timed, with
its end marker).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from rebalancer.brokers.ib.contracts import Contracts
from rebalancer.brokers.ib.known import KnownOrder
from rebalancer.brokers.ib.line import Line
from rebalancer.brokers.ib.lookup import look_up
from rebalancer.brokers.ib.register import Register
from rebalancer.errors import BlindError
from rebalancer.model.orders import Fill, WorkingOrder


def is_read_only(words: str) -> bool:
    """Return whether an error's words say that the gateway's API is set to read-only."""
    return "read-only" in words.lower()


class OrderBook(Register):
    """Orders and executions of one connection. Made before the library connects."""

    def __init__(self, line: Line, contracts: Contracts) -> None:
        super().__init__(line, contracts)
        self._answers_overdue = False

    def open_orders(self) -> tuple[WorkingOrder, ...]:
        """Return every order of the account that is not terminal, whoever sent it.

        Asked for anew; raises `BlindError` when the list or its end does not arrive in time.
        """
        now = self.now()
        return tuple(order.as_event(now) for order in self.list_open())

    def list_open(self) -> tuple[KnownOrder, ...]:
        """Return what the gateway lists as open now."""
        for order in self.orders:
            order.listed = False
        self.listing = []
        try:
            self.complete("the open orders", self.line.ib.reqAllOpenOrdersAsync)
            listed = self.listing
        finally:
            self.listing = None
        for order in listed:
            order.listed = True
            self._name(order)
            self._tell(order)
        return tuple(order for order in listed if not order.status.terminal)

    def list_completed(self) -> None:
        """Hear the gateway's list of completed orders, to its end."""
        self.complete(
            "the completed orders", lambda: self.line.ib.reqCompletedOrdersAsync(apiOnly=False)
        )

    def list_executions(self) -> None:
        """Hear every execution of the account that the gateway still has, to its end."""
        wanted = self.line.lib.ExecutionFilter(acctCode=self.line.account)
        self.complete("the executions", lambda: self.line.ib.reqExecutionsAsync(wanted))

    def executions(self, since: datetime) -> tuple[Fill, ...]:
        """Return the account's executions at or after `since` that the gateway has, oldest first.

        The gateway has those of today. Each has its commission if that was told, corrections
        come beside what they correct. The wire's times have whole seconds, so `since` has too.
        """
        self.list_executions()
        begin = since.replace(microsecond=0)
        found = [heard.fill for heard in self.heard.values() if heard.fill.at >= begin]
        return tuple(sorted(found, key=lambda fill: (fill.at, fill.exec_id)))

    def find(self, reference: str) -> tuple[WorkingOrder, ...]:
        """Return the orders with this reference, ended ones too; empty is proof of absence.

        Raises `OutcomeUnknown` when the gateway did not answer completely.
        """
        return look_up(self, reference)

    def complete(self, what: str, ask: Callable[[], Awaitable[Any]]) -> None:
        """Ask for a list; afterwards all of it was heard. Raises `BlindError` when it was not.

        After an answer that did not end in time a late end could pass for the next one's: then
        a question that is answered in its turn goes first.
        """
        self.require()
        if self._answers_overdue:
            self.line.ask("the gateway's time", self.line.ib.reqCurrentTimeAsync)
            self._answers_overdue = False
        said = len(self.line.heard.errors)
        try:
            self.line.ask(what, ask)
        except BlindError as error:
            self._answers_overdue = True
            words = [words for _, _, words in self.line.heard.errors[said:] if is_read_only(words)]
            if words:
                raise BlindError(
                    f"{what} are out of reach: {words[0]} (IB Gateway: Configure, API, Settings, "
                    "Read-Only API)"
                ) from error
            raise
        self.require()

    def require(self) -> None:
        """Raise `ConnectError` when the line is broken, or said what nobody can read."""
        self.line.require()
        if self.garbage:
            raise BlindError(f"the gateway sent what cannot be read: {self.garbage}")
