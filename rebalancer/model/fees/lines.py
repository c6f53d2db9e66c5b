"""One price list: what an order in one kind of instrument costs, exactly and in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeeLine:
    """The fee of one order of `size` units (not negative) worth `notional`, traded so far.

        commission = min(max(per_unit x size + rate x notional, minimum), cap x notional)
        fee        = commission x (1 + pass_through) + extra_per_unit x size
                     + [sell: sell_rate x notional + min(sell_per_unit x size, sell_most)]

    `rate` and `extra_per_unit` are those of the maker or of the taker. `cap` wins over
    `minimum` (an order worth 2 pays at most 0.02 with a cap of 1 %); None: no cap.
    `minimum_units` is a minimum in units of the instrument, valued at the order's average
    price (forex pairs that are not quoted in the minimum's currency). Positive is a cost.
    Amounts are in the instrument's currency. Nothing is rounded.
    """

    per_unit: Decimal = Decimal(0)
    maker_rate: Decimal = Decimal(0)
    taker_rate: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)
    minimum_units: Decimal = Decimal(0)
    cap: Decimal | None = None
    pass_through: Decimal = Decimal(0)
    maker_per_unit: Decimal = Decimal(0)
    taker_per_unit: Decimal = Decimal(0)
    sell_rate: Decimal = Decimal(0)
    sell_per_unit: Decimal = Decimal(0)
    sell_most: Decimal | None = None

    def fee(self, size: Decimal, notional: Decimal, *, sell: bool, maker: bool) -> Decimal:
        """Return the exact fee of an order; zero for a size of zero."""
        if not size:
            return Decimal(0)
        rate, extra = self._by_liquidity(maker)
        least = self.minimum
        if self.minimum_units:
            least = max(least, self.minimum_units * notional / size)
        commission = max(self.per_unit * size + rate * notional, least)
        if self.cap is not None:
            commission = min(commission, self.cap * notional)
        total = commission * (1 + self.pass_through) + extra * size
        if sell:
            activity = self.sell_per_unit * size
            if self.sell_most is not None:
                activity = min(activity, self.sell_most)
            total += self.sell_rate * notional + activity
        return total

    def _by_liquidity(self, maker: bool) -> tuple[Decimal, Decimal]:
        if maker:
            return self.maker_rate, self.maker_per_unit
        return self.taker_rate, self.taker_per_unit


class LineColumns:
    """The same formula for a column of instruments, in float64; see `FeeLine`."""

    def __init__(self, lines: Sequence[FeeLine]) -> None:
        kinds = list(dict.fromkeys(lines))
        place = {line: n for n, line in enumerate(kinds)}
        which = np.fromiter((place[line] for line in lines), np.intp, len(lines))
        self._columns: dict[str, Floats] = {}
        for field in fields(FeeLine):
            values = [getattr(line, field.name) for line in kinds]
            floats = [np.inf if value is None else float(value) for value in values]
            self._columns[field.name] = np.array(floats, np.float64)[which]

    def fee(self, size: Floats, notional: Floats, *, maker: bool) -> Floats:
        """Return the fee of each column: `size` signed, `notional` not negative.

        NaN in, NaN out.
        """
        column = self._columns
        units = np.abs(size)
        side = "maker" if maker else "taker"
        traded = units > 0
        average = np.divide(notional, units, out=np.zeros_like(units), where=traded)
        least = np.maximum(column["minimum"], column["minimum_units"] * average)
        commission = np.maximum(
            column["per_unit"] * units + column[f"{side}_rate"] * notional, least
        )
        capped = np.isfinite(column["cap"])
        most = np.where(capped, column["cap"], 0.0) * notional
        commission = np.where(capped, np.minimum(commission, most), commission)
        activity = np.minimum(column["sell_per_unit"] * units, column["sell_most"])
        sold = np.where(size < 0, column["sell_rate"] * notional + activity, 0.0)
        total = (
            commission * (1.0 + column["pass_through"]) + column[f"{side}_per_unit"] * units + sold
        )
        unknown = np.isnan(units) | np.isnan(notional)
        return np.where(unknown, np.nan, np.where(traded, total, 0.0))
