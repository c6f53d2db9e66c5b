"""Amounts and rates; a missing rate raises, nothing is ever converted at 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.errors import UnknownRate


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in one currency."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class FxRate:
    """Base-currency units for one unit of a currency, and when it was read."""

    rate: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class FxRates:
    """Rates into the account's base currency; the base itself is 1 by definition."""

    base: str
    rates: Mapping[str, FxRate]

    def rate(self, currency: str) -> Decimal:
        """Return base units per unit of `currency`.

        Raises `UnknownRate` when it is not known or not positive.
        """
        if currency == self.base:
            return Decimal(1)
        known = self.rates.get(currency)
        if known is None or not known.rate.is_finite() or known.rate <= 0:
            raise UnknownRate(f"no rate from {currency} to {self.base}")
        return known.rate

    def knows(self, currency: str) -> bool:
        """Return whether `rate` would answer."""
        try:
            self.rate(currency)
        except UnknownRate:
            return False
        return True

    def to_base(self, money: Money) -> Decimal:
        """Return the amount in the base currency; raises `UnknownRate`."""
        return money.amount * self.rate(money.currency)
