"""What trading costs at the simulated exchange, whose products have different prices."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from rebalancer.model.fees import FeeSchedule, OrderSoFar, fee_schedule
from rebalancer.model.instrument import Instrument, Kind
from rebalancer.model.money import Money

BOTH = "binance"
"""The schedule that has spot's prices for pairs and the futures' for perpetuals."""


class FeesOfBoth:
    """A `FeeSchedule` by kind of instrument."""

    name = BOTH

    def __init__(self) -> None:
        self._spot, self._usdm = fee_schedule("binance-spot"), fee_schedule("binance-usdm")

    def fill_fee(
        self,
        instrument: Instrument,
        quantity: Decimal,
        price: Decimal,
        before: OrderSoFar,
        *,
        maker: bool = False,
    ) -> Money:
        """Return the fee of one execution of an order that already traded `before`."""
        return self._of(instrument).fill_fee(instrument, quantity, price, before, maker=maker)

    def order_fee(
        self, instrument: Instrument, quantity: Decimal, price: Decimal, *, maker: bool = False
    ) -> Money:
        """Return the fee of a whole order at one price."""
        return self._of(instrument).order_fee(instrument, quantity, price, maker=maker)

    def estimate(
        self,
        instruments: tuple[Instrument, ...],
        size: npt.NDArray[np.float64],
        price: npt.NDArray[np.float64],
        *,
        maker: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Return the fee of each column (shape (n,))."""
        spot = np.array([each.kind is Kind.SPOT for each in instruments], dtype=bool)
        of_spot = self._spot.estimate(instruments, size, price, maker=maker)
        return np.where(spot, of_spot, self._usdm.estimate(instruments, size, price, maker=maker))

    def _of(self, instrument: Instrument) -> FeeSchedule:
        return self._spot if instrument.kind is Kind.SPOT else self._usdm


def fees_of(name: str, prices: Mapping[str, Decimal]) -> FeeSchedule:
    """Return a schedule by name with some of its prices replaced; "binance" has both products.

    Raises `DataError` for a name or price that there is not.
    """
    return FeesOfBoth() if name == BOTH and not prices else fee_schedule(name, **prices)
