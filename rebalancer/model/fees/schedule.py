"""The shape every fee schedule has, and the one way they are all computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rebalancer.model.fees.lines import FeeLine, LineColumns
from rebalancer.model.instrument import Instrument
from rebalancer.model.money import Money

_DIGITS = 60


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


class LineSchedule:
    """A schedule that has one `FeeLine` for each instrument.

    Fees are exact: products of Decimals, never rounded to cents (venues round as they
    please; their own commission replaces ours when it arrives). The fee of an execution is
    the fee of all that the order has traded with it, less what was charged before, so a
    minimum is charged once and the executions add up to `order_fee` exactly. An order whose
    executions are partly maker and partly taker is charged as its last execution says.
    """

    def __init__(self, name: str, line_of: Callable[[Instrument], FeeLine]) -> None:
        self.name = name
        self._line_of = line_of
        self._compiled: tuple[tuple[Instrument, ...], LineColumns, _Floats] | None = None

    def __repr__(self) -> str:
        """Return the schedule's name as a constructor would show it."""
        return f"LineSchedule({self.name!r})"

    def fill_fee(
        self,
        instrument: Instrument,
        quantity: Decimal,
        price: Decimal,
        before: OrderSoFar,
        *,
        maker: bool = False,
    ) -> Money:
        """Return the fee of one execution, given what its order traded before."""
        with localcontext(prec=_DIGITS):
            size = before.size + abs(quantity)
            notional = before.notional + _notional(instrument, quantity, price)
            line = self._line_of(instrument)
            whole = line.fee(size, notional, sell=quantity < 0, maker=maker)
            return Money(whole - before.fee, instrument.currency)

    def order_fee(
        self, instrument: Instrument, quantity: Decimal, price: Decimal, *, maker: bool = False
    ) -> Money:
        """Return the fee of a whole order at one price."""
        return self.fill_fee(instrument, quantity, price, OrderSoFar(), maker=maker)

    def estimate(
        self,
        instruments: tuple[Instrument, ...],
        size: npt.NDArray[np.float64],
        price: npt.NDArray[np.float64],
        *,
        maker: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Return the fee of each column (shape (n,)); within 1e-9 of `order_fee`, relatively."""
        columns, factor = self._columns(instruments)
        return columns.fee(size, np.abs(size) * np.abs(price) * factor, maker=maker)

    def _columns(self, instruments: tuple[Instrument, ...]) -> tuple[LineColumns, _Floats]:
        # The tuple of a universe is the same object hour after hour of a replay: compile it once.
        if self._compiled is None or self._compiled[0] is not instruments:
            lines = LineColumns([self._line_of(instrument) for instrument in instruments])
            factor = np.array([float(i.multiplier / i.magnifier) for i in instruments], np.float64)
            self._compiled = (instruments, lines, factor)
        return self._compiled[1], self._compiled[2]


_Floats = npt.NDArray[np.float64]


def _notional(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    return abs(quantity * price) * instrument.multiplier / instrument.magnifier
