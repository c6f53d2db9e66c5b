"""Whether who had a confirmed stop still has one, unless the position is flat."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.model.instrument import InstrumentId
from rebalancer.simulators.binance_server.algo_kept import waiting
from rebalancer.simulators.books import Account


class StopsKept:
    """Looks at an exchange's own books, again and again; `naked` gets what it must not see."""

    def __init__(self, naked: list[str]) -> None:
        self._naked = naked
        self._covered: dict[InstrumentId, Decimal] = {}

    def look(self, account: Account, when: str) -> None:
        """Compare every position with the stops that wait for their trigger now."""
        stops: dict[str, list[Decimal]] = {}
        for each in waiting(account):
            stops.setdefault(f"{each.symbol}.PERP@BINANCE", []).append(each.signed)
        for name, holding in account.holdings.items():
            held = holding.quantity
            if not held:
                self._covered.pop(name, None)
            elif any(quantity * held < 0 for quantity in stops.get(name, ())):
                self._covered[name] = held
            elif self._covered.get(name, 0) * held < 0:
                self._covered.pop(name)  # turned around: nothing was promised for the new side
            elif name in self._covered and not _fired(account, name, held):
                self._naked.append(f"{name} held {held:f} without a stop {when}")
                self._covered.pop(name)


def _fired(account: Account, name: InstrumentId, held: Decimal) -> bool:
    """Return whether a stop that fired is still at work as an ordinary order."""
    return any(
        order.instrument == name
        and order.live
        and order.quantity * held < 0
        and "p" in "".join(order.reference.split(".")[1:2])
        for order in account.orders
    )
