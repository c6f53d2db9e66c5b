"""Holdings too small to be sold by an ordinary order: told, and whether they can be closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.instrument import Instrument

DUST = "dust"

Flag = Callable[[str, str, str], None]


def note_dust(account: AccountSnapshot, instruments: Sequence[Instrument], flag: Flag) -> None:
    """Flag each holding below the smallest size or notional of its instrument.

    On USDⓈ-M a reduce-only order closes it all the same; on spot it is left.
    """
    known = {each.id: each for each in instruments}
    for position in account.positions:
        instrument = known.get(position.instrument)
        why = "" if instrument is None else too_small(position, instrument)
        if instrument is not None and why:
            exempt = instrument.rules.reduce_only_exempt
            ends = "a reduce-only order can close it" if exempt else "it is left as it is"
            flag(DUST, f"{instrument.id}: {position.quantity:f} held, {why}; {ends}", instrument.id)


def too_small(position: Position, instrument: Instrument) -> str:
    """Return why a holding cannot be sold by an ordinary order, '' when it can."""
    rules, size = instrument.rules, abs(position.quantity)
    if not size:
        return ""
    sellable = size // rules.limit_step * rules.limit_step
    if sellable < rules.min_size or not sellable:
        return f"the smallest order is {rules.min_size:f}"
    value = _value(position)
    if value is not None and value < rules.min_notional:
        return (
            f"worth {value:.2f} {instrument.currency}; the smallest order is worth "
            f"{rules.min_notional:f}"
        )
    return ""


def _value(position: Position) -> Decimal | None:
    """Return what a holding is worth at the venue's mark, None when it does not say."""
    if position.value is not None:
        return abs(position.value)
    return None if position.price is None else abs(position.quantity) * position.price
