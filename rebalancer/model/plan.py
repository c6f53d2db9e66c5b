"""A rebalance before it is checked: columns for everybody, objects for orders only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from rebalancer.model.flags import ErrorFlag
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Action, OrderIntent, PlanLine, Skip
from rebalancer.model.records import BandCost

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Why(IntEnum):
    """Why an instrument ends as it does: the reason code of a plan's columns."""

    ORDER = 0
    AT_TARGET = 1
    INSIDE_BAND = 2
    ROUNDS_TO_HELD = 3
    NO_SLEEVE = 10
    NO_SIGNAL = 11
    NOT_COVERED = 12
    NO_CAPITAL = 13
    KEPT = 14
    LEAVING = 15
    NOT_NAMED = 16
    NO_TRADING = 17
    ALL_OR_NOTHING = 18
    NO_QUOTE = 20
    ONE_SIDED = 21
    CROSSED = 22
    NOT_POSITIVE = 23
    DELAYED = 24
    NO_RATE = 25
    OUT_OF_RANGE = 26
    DUST_SIZE = 30
    DUST_NOTIONAL = 31
    TURNOVER = 32
    NOT_FUNDED = 33
    SHORT_REFUSED = 34
    REDUCE_ONLY = 35
    RATE_STALE = 36
    TOO_LARGE = 37
    ONLY_REDUCED = 38
    IN_PIECES = 39

    @property
    def code(self) -> str:
        """Return the short name that `Skip.code` carries; a test and a mail can rely on it."""
        return _SAID[self][0]

    @property
    def sentence(self) -> str:
        """Return what a person reads."""
        return _SAID[self][1]


UNCHANGED = frozenset({Why.AT_TARGET, Why.INSIDE_BAND, Why.ROUNDS_TO_HELD})
"""The reasons of instruments that are where they should be."""

UNTRADED = frozenset({Why.NO_TRADING, Why.ALL_OR_NOTHING})
"""The reasons of instruments that the owner keeps as they are, whatever is wanted of them."""

_PRICE = "price-missing"
_SAID: Mapping[Why, tuple[str, str]] = {
    Why.ORDER: ("order", "an order is wanted"),
    Why.AT_TARGET: ("at-target", "at its target"),
    Why.INSIDE_BAND: ("inside-band", "inside its no-trade band"),
    Why.ROUNDS_TO_HELD: ("rounds-to-held", "the nearest whole lot is what is held"),
    Why.NO_SLEEVE: ("no-sleeve", "held: no sleeve has it in its universe"),
    Why.NO_SIGNAL: ("no-signal", "held: a sleeve has neither a valid signal nor remembered lots"),
    Why.NOT_COVERED: ("not-covered", "held: a partial signal leaves it out, nothing is remembered"),
    Why.KEPT: ("kept", "held: no sleeve that has it gave a signal for it"),
    Why.LEAVING: ("leaving", "it is given up: nothing is opened in it any more"),
    Why.NOT_NAMED: ("not-named", "held: the command does not name it"),
    Why.NO_TRADING: ("no-trading", "held: the configuration says no_trading for it"),
    Why.ALL_OR_NOTHING: (
        "all-or-nothing",
        "held: its sleeve trades all or nothing, and the configuration keeps a part of it",
    ),
    Why.NO_CAPITAL: ("no-capital", "held: there is no capital to size with"),
    Why.NO_QUOTE: (_PRICE, "held: no quote"),
    Why.ONE_SIDED: (_PRICE, "held: the quote has one side only, or none"),
    Why.CROSSED: (_PRICE, "held: the quote is crossed (bid above ask)"),
    Why.NOT_POSITIVE: (_PRICE, "held: the quoted price is zero or negative"),
    Why.DELAYED: (_PRICE, "held: the quote is delayed or frozen"),
    Why.NO_RATE: ("rate-missing", "held: no rate from its currency to the base currency"),
    Why.OUT_OF_RANGE: ("out-of-range", "held: a number is too large for exact arithmetic"),
    Why.DUST_SIZE: ("dust", "too small: less than the smallest order"),
    Why.DUST_NOTIONAL: ("dust", "too small: worth less than the smallest order"),
    Why.TURNOVER: ("turnover", "cut off: the session's turnover budget is used up"),
    Why.NOT_FUNDED: ("not-funded", "not funded: too little cash above the reserve"),
    Why.SHORT_REFUSED: ("short-refused", "short positions are not allowed in it"),
    Why.REDUCE_ONLY: ("reduce-only", "only reductions are planned in this run"),
    Why.TOO_LARGE: ("too-large", "cut to the venue's largest order"),
    Why.ONLY_REDUCED: (
        "only-reduced",
        "the configuration says reduce_only for it: nothing is opened in it",
    ),
    Why.IN_PIECES: (
        "in-pieces",
        "cut to what the limits let through in one order; the rest follows in the next runs",
    ),
    Why.RATE_STALE: ("rate-stale", "no buys: its currency's rate is too old"),
}


@dataclass(frozen=True)
class Restraints:
    """What a plan keeps to in single instruments, as values; the gates stay behind it.

    `untraded`: held as they are, with the reason (one of `UNTRADED`). `reduced`: nothing is opened
    in them. `largest`: how many units (no sign) one reduction may have; what is more is cut.
    """

    untraded: Mapping[InstrumentId, Why] = field(default_factory=dict)
    reduced: frozenset[InstrumentId] = frozenset()
    largest: Mapping[InstrumentId, Decimal] = field(default_factory=dict)


FREE = Restraints()


@dataclass(frozen=True, eq=False)
class PlanColumns:
    """What a plan says of every instrument, in universe order; each column has shape (n,).

    Sizes (`held`, `target`, `delta`) are integers of 10^-size_digits units, prices
    (`reference`, the middle; `limit`) integers of 10^-price_digits in the instrument's
    currency; all are signed. `known`: there are usable prices and a rate (else `reference` is
    0 and means nothing); `targeted`: `target` is known. Weights are fractions of sizing
    capital, NaN where not known. `age` is the quote's in seconds, -1 without a quote. `delta`,
    `limit` and `sequence` (the first order's, -1 none) are those of the orders; `why` holds
    `Why` codes.
    """

    ids: tuple[InstrumentId, ...]
    size_digits: Ints
    price_digits: Ints
    held: Ints
    target: Ints
    targeted: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]
    reference: Ints
    age: Ints
    current_weight: Floats
    target_weight: Floats
    delta: Ints
    limit: Ints
    sequence: Ints
    why: Ints


@dataclass(frozen=True, eq=False)
class Plan:
    """What is wanted for every instrument of the universe.

    orders + skips + unchanged = the universe (a reversal has two orders of one instrument).
    `capital` is sizing capital in base currency. `sleeve_lots` are the targets of the sleeves
    that had a signal, in units, to be remembered for the runs in which they have none.
    `columns` has one row per instrument; None in a plan that was made by hand of orders alone.
    """

    at: datetime
    net_liquidation: Decimal
    capital: Decimal
    orders: tuple[OrderIntent, ...]
    flags: tuple[ErrorFlag, ...] = ()
    band_costs: tuple[BandCost, ...] = ()
    sleeve_lots: Mapping[str, Mapping[InstrumentId, Decimal]] = field(default_factory=dict)
    columns: PlanColumns | None = None

    def lines(self) -> tuple[PlanLine, ...]:
        """Return one row per instrument and order, in universe order.

        A row's quantity is not negative: `action` says its side. Numbers that are not known
        are None.
        """
        orders: dict[InstrumentId, list[OrderIntent]] = {}
        for order in self.orders:
            orders.setdefault(order.instrument, []).append(order)
        if self.columns is None:
            wanted = sorted(self.orders, key=lambda order: (order.instrument, order.part))
            return tuple(_wanted(order, self.at) for order in wanted)
        lines: list[PlanLine] = []
        for row, name in enumerate(self.columns.ids):
            own = orders.get(name)
            if own:
                lines.extend(_wanted(o, self.at) for o in sorted(own, key=lambda o: o.part))
            else:
                lines.append(_idle(self.columns, row))
        return tuple(lines)

    def skips(self) -> tuple[Skip, ...]:
        """Return why nothing is wanted, for each instrument that is held back or left out."""
        if self.columns is None:
            return ()
        skipped = (
            (name, Why(why))
            for name, why in zip(self.columns.ids, self.columns.why.tolist(), strict=True)
        )
        return tuple(
            Skip(name, why.code, why.sentence)
            for name, why in skipped
            if why is not Why.ORDER and why not in UNCHANGED
        )

    def unchanged(self) -> tuple[InstrumentId, ...]:
        """Return the instruments that are where they should be, in universe order."""
        if self.columns is None:
            return ()
        rows = np.flatnonzero(np.isin(self.columns.why, [int(why) for why in UNCHANGED]))
        return tuple(self.columns.ids[row] for row in rows.tolist())


def units(integer: int, digits: int) -> Decimal:
    """Return an integer of a column as the exact number it stands for."""
    return Decimal(integer).scaleb(-digits)


def price_of(integer: int, digits: int) -> Decimal:
    """Return a price column's integer exactly, without the digit that only middles need."""
    if digits > 0 and integer % 10 == 0:
        return units(integer // 10, digits - 1)
    return units(integer, digits)


def _wanted(order: OrderIntent, at: datetime) -> PlanLine:
    return PlanLine(
        instrument=order.instrument,
        action=Action.BUY if order.quantity > 0 else Action.SELL,
        quantity=abs(order.quantity),
        limit=order.limit,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        reference_price=order.reference_price,
        reference_age_seconds=int((at - order.reference_at).total_seconds()),
        current_quantity=order.current_quantity,
        target_quantity=order.target_quantity,
        current_weight=order.current_weight,
        target_weight=order.target_weight,
        reason=order.reason,
    )


def _idle(columns: PlanColumns, row: int) -> PlanLine:
    digits, current = int(columns.size_digits[row]), float(columns.current_weight[row])
    known, targeted = bool(columns.known[row]), bool(columns.targeted[row])
    target, age = float(columns.target_weight[row]), int(columns.age[row])
    price = price_of(int(columns.reference[row]), int(columns.price_digits[row])) if known else None
    return PlanLine(
        instrument=columns.ids[row],
        action=Action.NOTHING,
        quantity=Decimal(0),
        limit=None,
        order_type=None,
        time_in_force=None,
        reference_price=price,
        reference_age_seconds=None if age < 0 else age,
        current_quantity=units(int(columns.held[row]), digits),
        target_quantity=units(int(columns.target[row]), digits) if targeted else None,
        current_weight=None if np.isnan(current) else current,
        target_weight=None if np.isnan(target) else target,
        reason=Why(int(columns.why[row])).sentence,
    )
