"""From wanted changes to orders: closed and opened parts, smallest sizes, budgets, sequence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

import numpy as np

from rebalancer.model.fees import FeeSchedule
from rebalancer.model.plan import Why, price_of
from rebalancer.planning.columns import LARGEST, Bools, Floats, Ints
from rebalancer.planning.funding import Purse, Wants, within_cash, within_turnover
from rebalancer.planning.live import LiveColumns
from rebalancer.planning.parameters import PlanParameters
from rebalancer.planning.prices import limit_prices
from rebalancer.planning.restraints import RestraintColumns, pieces
from rebalancer.planning.sizing import NEAR


@dataclass(frozen=True, eq=False)
class Orders:
    """Wanted orders in the sequence in which they go; columns of shape (m,).

    `quantity` signed in size units, `limit` in price units; `reducing` orders are wave 0;
    `part` is 1 for the opening order of a reversal. `notional` at the reference and `fee` at
    the limit are in base currency. `cut` is the `Why` for which less than wished is ordered
    (0: the whole).
    """

    row: Ints
    quantity: Ints
    limit: Ints
    reducing: Bools
    part: Ints
    notional: Floats
    fee: Floats
    cut: Ints


@dataclass(frozen=True, eq=False)
class Bounds:
    """What bounds a run's orders: `reduce_only`, turnover left in base currency, the purse.

    `restraints` are those of single instruments.
    """

    parameters: PlanParameters
    purse: Purse
    turnover_left: float | None
    reduce_only: bool
    restraints: RestraintColumns


def make_orders(
    live: LiveColumns, change: Ints, step: Ints, bounds: Bounds, fees: FeeSchedule
) -> tuple[Orders, Ints]:
    """Return the orders for a column of wanted changes, and what was refused.

    The second answer has shape (n,): the `Why` for which a row's change, or a part of it (a
    reversal's opening), became no order; 0 where nothing was refused. Fees are the taker's.
    """
    refused = np.zeros(len(change), np.int64)
    close, opened = _parts(live.held, change, step)
    opened = _allowed(live, opened, bounds, refused)
    row = np.concatenate([np.flatnonzero(close), np.flatnonzero(opened)])
    reducing = np.arange(len(row)) < np.count_nonzero(close)
    quantity = np.concatenate([close[close != 0], opened[opened != 0]])
    lot = step[row]
    most = live.rules.max_size[row] // lot * lot
    cut = np.where(np.abs(quantity) > most, Why.TOO_LARGE, 0)
    size = np.minimum(np.abs(quantity), most)
    quantity = np.sign(quantity) * size
    limit = limit_prices(
        live, row, quantity > 0, bounds.parameters.limit_style, bounds.parameters.limit_offset_bps
    )
    least_size = live.rules.min_size[row]
    table = _Table(row, quantity, limit, reducing, least_size)
    piece = _pieces(live, table, lot, bounds)
    cut, rest = np.where(piece < size, Why.IN_PIECES, cut), row[piece < size]
    size, quantity = piece, np.sign(quantity) * piece
    emptied = reducing & (np.abs(live.held[row] + quantity) < lot) & live.rules.exempt[row]
    least = np.where(emptied, 0, _least(live, row, limit, bounds.parameters))
    small = np.where(size < least_size, Why.DUST_SIZE, np.where(size < least, Why.DUST_NOTIONAL, 0))
    _note(refused, row, small)
    keep = (small == 0) & (reducing | ~np.isin(row, rest))
    table = _Table(row, quantity, limit, reducing, np.maximum(least, least_size))
    orders = _budgeted(live, table.only(keep), cut[keep], step, bounds, fees, refused)
    return orders, refused


@dataclass(frozen=True, eq=False)
class _Table:
    row: Ints
    quantity: Ints
    limit: Ints
    reducing: Bools
    least: Ints

    def only(self, keep: Bools | Ints) -> _Table:
        """Return some of the rows."""
        return _Table(
            self.row[keep], self.quantity[keep], self.limit[keep], self.reducing[keep],
            self.least[keep],
        )  # fmt: skip


def _pieces(live: LiveColumns, table: _Table, lot: Ints, bounds: Bounds) -> Ints:
    """Return the sizes that go out in this run: of large reductions the first piece.

    What is too small to be an order stays whole; a gate says why it does not go.
    """
    size = np.abs(table.quantity)
    largest = bounds.restraints.largest[table.row]
    if not np.any(table.reducing & (size > largest)):
        return size
    piece = pieces(size, largest, lot)
    least = np.maximum(_least(live, table.row, table.limit, bounds.parameters), table.least)
    return np.where(table.reducing & (piece >= np.maximum(least, 1)), piece, size)


def _parts(held: Ints, change: Ints, step: Ints) -> tuple[Ints, Ints]:
    """Return the part of each change that reduces the holding, and the part that opens."""
    against = np.sign(held) * np.sign(change) < 0
    whole = np.abs(held) // step * step
    close = np.where(against, np.sign(change) * np.minimum(np.abs(change), whole), 0)
    return close, change - close


def _allowed(live: LiveColumns, opened: Ints, bounds: Bounds, refused: Ints) -> Ints:
    """Return the opening parts that may be; the others leave their reason in `refused`."""
    wanted = opened != 0
    shorts = wanted & (opened < 0)
    barred = shorts if not bounds.parameters.allow_short else shorts & ~live.rules.shortable
    refused[barred] = Why.SHORT_REFUSED
    old = wanted & live.rate_stale & ~barred
    refused[old] = Why.RATE_STALE
    owner = wanted & bounds.restraints.reduced
    refused[owner] = Why.ONLY_REDUCED
    out = barred | old | owner
    if bounds.reduce_only:
        refused[wanted & ~out] = Why.REDUCE_ONLY
        out = wanted
    return np.where(out, 0, opened)


def _note(refused: Ints, row: Ints, why: Ints) -> None:
    """Keep the reason of orders that are dropped; a row's closing part speaks last."""
    dropped = np.flatnonzero(why)[::-1]
    refused[row[dropped]] = why[dropped]


def _unit_value(live: LiveColumns, row: Ints, limit: Ints) -> Floats:
    """Return settlement units per size unit at a limit; zero or above."""
    rules = live.rules
    price = np.abs(limit) / rules.price_unit[row]
    return np.asarray(price * rules.worth[row] / rules.size_unit[row], np.float64)


def _least(live: LiveColumns, row: Ints, limit: Ints, parameters: PlanParameters) -> Ints:
    """Return the smallest size whose value at its limit reaches both minimum notionals."""
    owner = float(parameters.min_order_notional) / live.fx[row]
    need = np.maximum(live.rules.min_notional[row], owner)
    value = _unit_value(live, row, limit)
    sizes = np.divide(need, value, out=np.full(len(row), float(LARGEST)), where=value > 0)
    sizes = np.minimum(np.where(need > 0, sizes, 0.0), float(LARGEST))
    least = np.ceil(sizes).astype(np.int64)
    near = np.abs(sizes - np.rint(sizes)) <= NEAR * np.maximum(1.0, sizes)
    for place in np.flatnonzero(near & (need > 0) & (sizes < LARGEST)).tolist():
        least[place] = _exact_least(live, int(row[place]), int(limit[place]), parameters)
    return least


def _exact_least(live: LiveColumns, row: int, limit: int, parameters: PlanParameters) -> int:
    rules, instrument = live.rules, live.rules.universe.instruments[row]
    rate = live.rates[int(rules.currency[row])]
    owner = Fraction(parameters.min_order_notional) / Fraction(rate or 1)
    need = max(Fraction(instrument.rules.min_notional), owner)
    price = Fraction(price_of(abs(limit), int(rules.price_digits[row])))
    worth = Fraction(instrument.multiplier) / Fraction(instrument.magnifier)
    sizes: Fraction = need / (price * worth) * Fraction(10 ** int(rules.size_digits[row]))
    return ceil(sizes)


def _fees(live: LiveColumns, table: _Table, size: Ints, fees: FeeSchedule) -> Floats:
    """Return each order's fee in its currency, estimated in columns as a taker."""
    rules = live.rules
    answer = np.zeros(len(size))
    for part in (table.reducing, ~table.reducing):
        row = table.row[part]
        sizes, prices = np.zeros(len(live.held)), np.zeros(len(live.held))
        sizes[row] = (np.sign(table.quantity) * size)[part] / rules.size_unit[row]
        prices[row] = table.limit[part] / rules.price_unit[row]
        if len(row):
            answer[part] = fees.estimate(rules.universe.instruments, sizes, prices)[row]
    return answer


def _budgeted(
    live: LiveColumns, table: _Table, cut: Ints, step: Ints, bounds: Bounds, fees: FeeSchedule,
    refused: Ints,
) -> Orders:  # fmt: skip
    """Return the orders that turnover and cash allow, numbered in sequence."""
    each = np.abs(live.exposure[table.row])
    first = np.lexsort((table.row, -(np.abs(table.quantity) * each), ~table.reducing))
    table, cut, each = table.only(first), cut[first], each[first]
    size = np.abs(table.quantity)
    wants = Wants(
        row=table.row,
        sign=np.sign(table.quantity),
        size=size,
        lot=step[table.row],
        least=table.least,
        limit=table.limit,
        reducing=table.reducing,
        crossed=_crossed(live, table, size),
        notional=each,
        fee=_fees(live, table, size, fees),
    )
    turned = within_turnover(wants, bounds.turnover_left)
    if turned is not size:
        crossed, fee = _crossed(live, table, turned), _fees(live, table, turned, fees)
        wants = replace(wants, crossed=crossed, fee=fee)
    final = within_cash(wants, turned, bounds.purse, live, fees)
    gone = np.where(turned == 0, Why.TURNOVER, np.where(final == 0, Why.NOT_FUNDED, 0))
    _note(refused, table.row, gone)
    cut = np.where(turned < size, Why.TURNOVER, cut)
    cut = np.where(final < turned, Why.NOT_FUNDED, cut)
    fee = wants.fee if final is turned else _fees(live, table, final, fees)
    return _sequence(live, table, final, fee, cut)


def _crossed(live: LiveColumns, table: _Table, size: Ints) -> Ints:
    """Return how much of each opening order only takes back what is left of a holding."""
    left = np.abs(live.held)
    left[table.row[table.reducing]] -= size[table.reducing]
    against = ~table.reducing & (np.sign(live.held[table.row]) * table.quantity < 0)
    return np.where(against, np.minimum(left[table.row], size), 0)


def _sequence(live: LiveColumns, table: _Table, final: Ints, fee: Floats, cut: Ints) -> Orders:
    """Put what is left in order: reductions first, then larger notional first, then id."""
    left = final > 0
    notional = np.asarray(final * np.abs(live.exposure[table.row]), np.float64)
    order = np.lexsort((table.row, -notional, ~table.reducing))
    order = order[left[order]]
    row, reducing = table.row[order], table.reducing[order]
    closes = np.zeros(len(live.held), np.bool_)
    closes[row[reducing]] = True
    return Orders(
        row=row,
        quantity=(np.sign(table.quantity) * final)[order],
        limit=table.limit[order],
        reducing=reducing,
        part=np.where(~reducing & closes[row], 1, 0),
        notional=notional[order],
        fee=(fee * live.fx[table.row])[order],
        cut=cut[order],
    )
