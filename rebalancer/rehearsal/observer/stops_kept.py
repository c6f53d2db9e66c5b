"""Whether who had a confirmed stop still has one, unless the position is flat."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.model.instrument import InstrumentId
from rebalancer.simulators.binance_server.algo_kept import AlgoOrder, waiting
from rebalancer.simulators.binance_server.figures import milliseconds
from rebalancer.simulators.books import Account

LEFT = Decimal("0.05")
"""Stops may cover this fraction of a position too little; so much is left when all have fired."""


class StopsKept:
    """Looks at an exchange's own books, again and again; `naked` gets what it must not see."""

    def __init__(self, naked: list[str]) -> None:
        self._naked = naked
        self._covered: dict[InstrumentId, Decimal] = {}
        self._most: dict[InstrumentId, Decimal] = {}
        """The largest a position was since it has stops."""
        self._newest: dict[InstrumentId, int] = {}
        """When its newest stop was placed, in milliseconds."""

    def look(self, account: Account, when: str) -> None:
        """Compare every position with the stops that wait for their trigger now."""
        stops: dict[str, list[AlgoOrder]] = {}
        for each in waiting(account):
            stops.setdefault(f"{each.symbol}.PERP@BINANCE", []).append(each)
        for name, holding in account.holdings.items():
            held = holding.quantity
            if not held:
                self._forget(name)
            elif right := [each for each in stops.get(name, ()) if each.signed * held < 0]:
                self._covered[name] = held
                self._most[name] = max(abs(held), self._most.get(name, Decimal(0)))
                newest = max(each.created for each in right)
                self._newest[name] = max(newest, self._newest.get(name, 0))
            elif self._covered.get(name, 0) * held < 0:
                self._forget(name)  # turned around: nothing was promised for the new side
            elif name in self._covered and not _fired(account, name, held):
                if not (self._spent(account, name) and _stopped_last(account, name)):
                    self._naked.append(f"{name} held {held:f} without a stop {when}")
                self._forget(name)

    def _forget(self, name: InstrumentId) -> None:
        self._covered.pop(name, None)
        self._most.pop(name, None)
        self._newest.pop(name, None)

    def _spent(self, account: Account, name: InstrumentId) -> bool:
        """Return whether no more is held than stops leave that did all they could.

        They cannot know of what another hand added after the newest of them was placed.
        """
        held = account.holdings[name].quantity
        added = sum(
            (
                abs(each.quantity)
                for each in account.executions
                if each.instrument == name
                and each.quantity * held > 0
                and "." not in each.reference  # every reference of ours has some
                and milliseconds(each.at) >= self._newest[name]
            ),
            Decimal(0),
        )
        return abs(held) - added <= LEFT * self._most[name]


def _fired(account: Account, name: InstrumentId, held: Decimal) -> bool:
    """Return whether a stop that fired is still at work as an ordinary order."""
    return any(
        order.instrument == name
        and order.live
        and order.quantity * held < 0
        and _is_stop(order.reference)
        for order in account.orders
    )


def _stopped_last(account: Account, name: InstrumentId) -> bool:
    """Return whether the last execution of an instrument was a stop's."""
    references = [each.reference for each in account.executions if each.instrument == name]
    return bool(references) and _is_stop(references[-1])


def _is_stop(reference: str) -> bool:
    return "p" in "".join(reference.split(".")[1:2])
