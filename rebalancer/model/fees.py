"""What trading costs: the shape every fee schedule has. (Schedules: to be written.)"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rebalancer.model.instrument import Instrument
from rebalancer.model.money import Money


@dataclass(frozen=True, slots=True)
class OrderSoFar:
    """What an order already traded: |units|, |notional| in its currency, fee already charged."""

    size: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)


class FeeSchedule(Protocol):
    """Fees of one venue and plan. Positive is a cost; rebates are negative."""

    name: str

    def fill_fee(
        self,
        instrument: Instrument,
        quantity: Decimal,
        price: Decimal,
        before: OrderSoFar,
        *,
        maker: bool = False,
    ) -> Money:
        """Return the fee of one execution of an order that already traded `before`.

        The fees of all executions of an order add up to `order_fee` of the whole.
        """

    def order_fee(
        self, instrument: Instrument, quantity: Decimal, price: Decimal, *, maker: bool = False
    ) -> Money:
        """Return the fee of an order that trades `quantity` (signed) at `price`."""

    def estimate(
        self,
        instruments: tuple[Instrument, ...],
        size: npt.NDArray[np.float64],
        price: npt.NDArray[np.float64],
        *,
        maker: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Return `order_fee` of each column, in the instrument's currency; shape (n,).

        `size` is signed units; a size of zero costs zero. NaN in, NaN out.
        """
