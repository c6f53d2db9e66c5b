"""Remembered lots of the sleeves, kept in proportion to the holdings that they are part of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import ROUND_UP, Decimal, localcontext

from rebalancer.ledger import splits
from rebalancer.model.instrument import InstrumentId
from rebalancer.ports import Books

Lots = Mapping[str, Mapping[InstrumentId, Decimal]]


def wanted_lots(before: Lots, wanted: Lots, doubtful: Collection[str]) -> Lots:
    """Return what each sleeve wants now, and wanted `before` where it has no signal.

    Nobody knows in which units a plan counts what may be going through a split: there a sleeve's
    lots stay as they were, unless it wants none.
    """
    found = dict(before)
    for sleeve, lots in wanted.items():
        kept = before.get(sleeve, {})
        found[sleeve] = {
            name: kept[name] if name in doubtful and size else size
            for name, size in lots.items()
            if name in kept or name not in doubtful or not size
        }
    return found


def scaled_lots(lots: Lots, moves: Mapping[InstrumentId, tuple[Decimal, Decimal]]) -> Lots:
    """Return every sleeve's lots by its part of what became of holdings: from what to what."""
    return {
        sleeve: {
            name: _scaled(size, *moves[name]) if name in moves else size
            for name, size in each.items()
        }
        for sleeve, each in lots.items()
    }


def split_lots(lots: Lots, books: Books, counted: int) -> Lots:
    """Return the lots after the splits that were booked since so many lines were `counted`."""
    for name, before, after in splits(books.entries(), counted):
        lots = scaled_lots(lots, {name: (before, after)})
    return lots


def _scaled(size: Decimal, before: Decimal, after: Decimal) -> Decimal:
    """Return lots of a holding in proportion to what became of it, never less than that."""
    if before == after or not before:
        return size
    if after * before <= 0:
        return Decimal(0)
    with localcontext() as context:
        context.rounding = ROUND_UP
        return size * after / before
