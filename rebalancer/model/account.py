"""What an account holds, as one venue said at one time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.money import FxRates


@dataclass(frozen=True, slots=True)
class Position:
    """A holding. `quantity` is signed (short negative), in units of the instrument.

    `price` and `value` are the venue's mark in the instrument's currency (`value` carries
    multiplier, magnifier and sign); `average_cost` is per unit. None is unknown, never zero.
    """

    instrument: InstrumentId
    quantity: Decimal
    currency: str
    price: Decimal | None = None
    value: Decimal | None = None
    average_cost: Decimal | None = None
    contract: str = ""
    """The venue's own identity of the thing (IB: conId); a change hints at a corporate action."""
    liquidation_price: Decimal | None = None
    """The mark at which the venue closes it by itself; None: never, or it does not say."""


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """Everything an account is worth and holds, at `at`.

    `net_liquidation` and `gross_position_value` are in `rates.base`; `cash` maps a currency
    to its balance (negative = borrowed); `settled_cash` is what a cash account may spend
    (None: the venue does not tell them apart). `buying_power` and `excess_liquidity` are in
    base currency, None where the venue gives none. `day_trades_remaining` is how many more
    round trips within a session the venue allows (None: it sets no limit, or does not say).
    `positions` is complete: an instrument that is not in it is held at zero.
    """

    account: str
    at: datetime
    net_liquidation: Decimal
    cash: Mapping[str, Decimal]
    rates: FxRates
    positions: tuple[Position, ...]
    gross_position_value: Decimal | None = None
    settled_cash: Mapping[str, Decimal] | None = None
    accrued: Mapping[str, Decimal] = field(default_factory=dict)
    buying_power: Decimal | None = None
    excess_liquidity: Decimal | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    day_trades_remaining: int | None = None
    leverage: Decimal | None = None
    """Gross position value by net liquidation, as the venue says."""
    cushion: Decimal | None = None
    """Excess liquidity by net liquidation, as the venue says: 0.05 is close to liquidation."""
    margined: bool = False
    """It is a margin account: without excess liquidity and initial margin nothing is opened."""

    @property
    def margin_unknown(self) -> tuple[str, ...]:
        """Return what a margin account does not tell of its margin; what is no number, anywhere."""
        told = {
            "excess liquidity": self.excess_liquidity,
            "initial margin": self.initial_margin,
        }
        return tuple(
            what
            for what, amount in told.items()
            if (amount is None and self.margined) or (amount is not None and not amount.is_finite())
        )

    def quantity(self, instrument: InstrumentId) -> Decimal:
        """Return the signed holding; zero when the complete list does not have it."""
        for position in self.positions:
            if position.instrument == instrument:
                return position.quantity
        return Decimal(0)
