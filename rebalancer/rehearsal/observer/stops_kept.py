"""Whether who had a confirmed stop still has one, unless the position is flat."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.model.instrument import InstrumentId
from rebalancer.simulators.binance_server.algo_kept import waiting
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

    def look(self, account: Account, when: str) -> None:
        """Compare every position with the stops that wait for their trigger now."""
        stops: dict[str, list[Decimal]] = {}
        for each in waiting(account):
            stops.setdefault(f"{each.symbol}.PERP@BINANCE", []).append(each.signed)
        for name, holding in account.holdings.items():
            held = holding.quantity
            if not held:
                self._forget(name)
            elif any(quantity * held < 0 for quantity in stops.get(name, ())):
                self._covered[name] = held
                self._most[name] = max(abs(held), self._most.get(name, Decimal(0)))
            elif self._covered.get(name, 0) * held < 0:
                self._forget(name)  # turned around: nothing was promised for the new side
            elif name in self._covered and not _fired(account, name, held):
                if not (abs(held) <= LEFT * self._most[name] and _stopped_last(account, name)):
                    self._naked.append(f"{name} held {held:f} without a stop {when}")
                self._forget(name)

    def _forget(self, name: InstrumentId) -> None:
        self._covered.pop(name, None)
        self._most.pop(name, None)


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
