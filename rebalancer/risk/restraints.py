"""What a plan has to keep to so that it wants nothing that a gate refuses for good.

Planning knows neither limits nor overrides: it is told, and what it wants all the same the gates
refuse as ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.market import MarketSnapshot
from rebalancer.model.orders import OrderIntent
from rebalancer.model.plan import Restraints, Why
from rebalancer.model.universe import Sleeve, Universe
from rebalancer.risk.gates import neutral_sleeves_hit
from rebalancer.risk.largest import largest_order
from rebalancer.risk.parameters import Limits, Override


@dataclass(frozen=True)
class Restraining:
    """What restraints are found from."""

    universe: Universe
    sleeves: Sequence[Sleeve]
    overrides: Mapping[InstrumentId, Override]
    limits: Limits
    account: AccountSnapshot
    market: MarketSnapshot

    def first(self) -> Restraints:
        """Return what the owner's overrides say, before there is a plan.

        Instruments of neutral sleeves are left to `further`: whether the others of such a sleeve
        may trade depends on whether a plan wants to trade these.
        """
        single = [(n, o) for n, o in self.overrides.items() if n not in self._neutral()]
        return Restraints(
            untraded={name: Why.NO_TRADING for name, own in single if own.no_trading},
            reduced=frozenset(name for name, own in single if own.reduce_only),
        )

    def further(self, before: Restraints, orders: Sequence[OrderIntent]) -> Restraints:
        """Return `before` and what the orders of a plan made with it add to it; never less.

        Added are neutral sleeves of which the owner forbids an order (they trade all or nothing;
        but for the way out of what is leaving), and the largest order where a reduction is
        larger. Reductions of neutral sleeves stay whole: a part of one leg is not neutral.
        """
        neutral = self._neutral()
        pieces = {
            order.instrument: largest
            for order in orders
            if order.reducing
            and (order.instrument not in neutral or self.universe[order.instrument].leaving)
            and (largest := self._largest(order)) is not None
            and largest < abs(order.quantity)
        }
        return Restraints(
            untraded={**self._forbidden(orders), **before.untraded},
            reduced=before.reduced,
            largest={**pieces, **before.largest},
        )

    def _neutral(self) -> frozenset[InstrumentId]:
        return frozenset(name for each in self.sleeves if each.neutral for name in each.universe)

    def _largest(self, order: OrderIntent) -> Decimal | None:
        instrument, quote = self.universe[order.instrument], self.market.quotes[order.instrument]
        return largest_order(order, instrument, quote, self.account, self.limits)

    def _forbidden(self, orders: Sequence[OrderIntent]) -> dict[InstrumentId, Why]:
        """Return what the owner's word on these orders keeps as it is, in neutral sleeves too."""
        names = {order.instrument for order in orders if self._forbids(order)}
        while True:
            hit = neutral_sleeves_hit(self.sleeves, names)
            more = {o.instrument for o in orders if o.instrument in hit and not self._way_out(o)}
            if more <= names:
                break
            names |= more
        stay = {name for name in hit if not self.universe[name].leaving} | names
        return {name: self._why(name) for name in sorted(stay)}

    def _forbids(self, order: OrderIntent) -> bool:
        own = self.overrides.get(order.instrument, Override())
        return own.no_trading or (own.reduce_only and not order.reducing)

    def _way_out(self, order: OrderIntent) -> bool:
        return order.reducing and bool(self.universe[order.instrument].leaving)

    def _why(self, name: InstrumentId) -> Why:
        own = self.overrides.get(name, Override())
        return Why.NO_TRADING if own.no_trading else Why.ALL_OR_NOTHING
