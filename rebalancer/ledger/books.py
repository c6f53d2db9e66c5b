"""Our books against the venue's account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.ledger.positions import Holding, traded
from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.breaks import Break, CorporateAction
from rebalancer.model.instrument import InstrumentId, Kind
from rebalancer.model.orders import SPLIT, Fill
from rebalancer.model.records import Entry, EntryKind
from rebalancer.model.universe import Universe

SPLITS: tuple[tuple[int, int], ...] = (
    (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (10, 1), (15, 1), (20, 1), (25, 1),
    (30, 1), (50, 1), (100, 1), (3, 2), (4, 3), (5, 2), (5, 4), (6, 5),
)  # fmt: skip
"""New units for old ones; each is also looked for the other way round (1:10)."""

QUANTITY_TOLERANCE = Decimal("0.005")
"""A quantity has a split's shape within this fraction: cash may come for the last fraction."""

PRICE_TOLERANCE = Decimal("0.04")
"""A price has a split's shape within this fraction: it moved on the day as well."""

SMALLEST_PRICE_JUMP = Decimal("0.33")
"""A price ratio nearer to 1 than 3:2 is an ordinary day, not a split."""

SPLIT_KINDS = frozenset({Kind.STOCK})
"""Of these a price alone tells a split; a coin with other units comes as another instrument."""


def compare_books(
    expected: Mapping[InstrumentId, Decimal], account: AccountSnapshot, universe: Universe
) -> tuple[Break, ...]:
    """Return each instrument of the universe on which books and venue disagree, in id order.

    Instruments outside the universe are unmanaged: never traded, only listed, not compared.
    """
    found = {position.instrument: position.quantity for position in account.positions}
    zero = Decimal(0)
    return tuple(
        Break(name, expected.get(name, zero), found.get(name, zero))
        for name in universe.ids
        if expected.get(name, zero) != found.get(name, zero)
    )


def unmanaged(account: AccountSnapshot, universe: Universe) -> tuple[InstrumentId, ...]:
    """Return what is held outside the universe, in id order."""
    return tuple(
        sorted(
            position.instrument
            for position in account.positions
            if position.quantity and position.instrument not in universe
        )
    )


def looks_like_split(
    expected: Decimal,
    found: Decimal,
    close: Decimal | None = None,
    quote: Decimal | None = None,
) -> str | None:
    """Return the simple ratio ("2:1" = two new for one old) that a change has, or None.

    Looks at quantities when they differ and at the last close against the quote when both
    are known; a price alone must be off by a third at least.
    """
    if expected and expected != found and found / expected > 0:
        ratio = _ratio(found / expected, QUANTITY_TOLERANCE)
        if ratio is not None:
            return ratio
    if close is None or quote is None or close <= 0 or quote <= 0:
        return None
    if _run_through(close, quote):
        return None
    return _ratio(close / quote, PRICE_TOLERANCE)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One instrument in the books and in the account; no price where none can tell a split."""

    name: InstrumentId
    expected: Decimal
    position: Position | None
    contract: str
    splits: bool
    close: Decimal | None = None
    mark: Decimal | None = None

    @property
    def quantity(self) -> Decimal:
        return self.position.quantity if self.position else Decimal(0)

    @property
    def price(self) -> Decimal | None:
        return self.position.price if self.position and self.splits else None


def corporate_actions(
    expected: Mapping[InstrumentId, Decimal],
    account: AccountSnapshot,
    universe: Universe,
    contracts: Mapping[InstrumentId, str],
    prices: Mapping[InstrumentId, tuple[Decimal, Decimal]] | None = None,
    marks: Mapping[InstrumentId, Decimal] | None = None,
    doubts: Mapping[InstrumentId, str] | None = None,
) -> tuple[CorporateAction, ...]:
    """Return what looks like a corporate action in the universe, in id order.

    `contracts` has the venue's identities as last accepted and `marks` its prices; `prices`
    the last close and the current price where both are known. The closes of the past are
    divided by a split too, perhaps hours before the position is: then only the accepted
    price tells that something happened. `doubts` has the evidence of what was seen earlier and
    is not settled: that ends when prices are known and run through, not when one drifts off
    the simple ratio.
    """
    held = {position.instrument: position for position in account.positions}
    found = []
    for name in universe.ids:
        splits = universe[name].kind in SPLIT_KINDS
        close, _ = (prices or {}).get(name, (None, None))
        seen = _Seen(
            name,
            expected.get(name, Decimal(0)),
            held.get(name),
            contracts.get(name, ""),
            splits,
            close if splits else None,
            (marks or {}).get(name) if splits else None,
        )
        act = _by_ratio(seen) or _ahead(seen) or _renamed(seen)
        if name in (doubts or {}):
            act = _unsettled(seen, (doubts or {})[name], act)
        if act is not None:
            found.append(act)
    return tuple(found)


def adoption(
    account: AccountSnapshot,
    universe: Universe,
    expected: Mapping[InstrumentId, Decimal],
    slot: datetime,
) -> tuple[Entry, ...]:
    """Return the lines that book what an account already holds (the command `adopt`).

    Raises `DataError` for a holding without average cost and price.
    """
    return _bookings(EntryKind.ADOPTION, "adopt", account, universe, expected, slot, {})


def adjustments(
    breaks: Sequence[Break],
    account: AccountSnapshot,
    universe: Universe,
    slot: datetime,
    prices: Mapping[InstrumentId, Decimal],
    split: Mapping[InstrumentId, Decimal] | None = None,
) -> tuple[Entry, ...]:
    """Return the lines that make the books agree with the venue where the owner says so.

    `prices` is used for what the account does not hold any more. `split` has our average cost
    of what went through a corporate action, as far as is known: of shares, only units change
    then, unless what the venue says of their cost fits a trade better. Raises `DataError` when no
    price is known.
    """
    wanted = {each.instrument: each.expected for each in breaks}
    named = Universe([universe[name] for name in sorted(wanted)])
    lines = _bookings(EntryKind.ADJUSTMENT, "adjust", account, named, wanted, slot, prices)
    held = {position.instrument: position for position in account.positions}
    before = {name: Holding(wanted[name], cost) for name, cost in (split or {}).items()
              if name in wanted and universe[name].kind in SPLIT_KINDS}  # fmt: skip
    return tuple(
        replace(line, fill=replace(line.fill, origin=SPLIT))
        if (name := line.fill.instrument) in before and _was_split(before[name], held.get(name))
        else line
        for line in lines
    )


def _was_split(before: Holding, position: Position | None) -> bool:
    """Return whether a holding has other units, by the venue's own average cost if it tells it.

    After a trade that cost is another one; someone who sells the half by hand leaves a position
    with the shape of a split.
    """
    if position is None or before.quantity * position.quantity <= 0:
        return False
    cost = position.average_cost
    if cost is None:
        return True
    change = position.quantity - before.quantity
    price = cost if position.price is None else position.price
    by_trade = traded(before, change, price).average_cost
    by_split = before.quantity * before.average_cost / position.quantity
    return abs(cost - by_split) <= abs(cost - by_trade)


def _bookings(
    kind: EntryKind,
    word: str,
    account: AccountSnapshot,
    universe: Universe,
    expected: Mapping[InstrumentId, Decimal],
    slot: datetime,
    prices: Mapping[InstrumentId, Decimal],
) -> tuple[Entry, ...]:
    held = {position.instrument: position for position in account.positions}
    lines = []
    for broken in compare_books(expected, account, universe):
        name = broken.instrument
        fill = Fill(
            exec_id=f"{word}:{slot:%Y-%m-%dT%H%MZ}:{name}",
            reference="",
            venue_order_id="",
            instrument=name,
            quantity=broken.found - broken.expected,
            price=_price(name, held.get(name), prices),
            currency=universe[name].currency,
            at=account.at,
        )
        lines.append(Entry(kind, slot, fill))
    return tuple(lines)


def _price(
    name: InstrumentId, position: Position | None, prices: Mapping[InstrumentId, Decimal]
) -> Decimal:
    cost = position.average_cost if position else None
    mark = position.price if position else None
    price = next((known for known in (cost, mark, prices.get(name)) if known is not None), None)
    if price is None:
        raise DataError(f"{name}: neither its average cost nor a price is known; it is not booked")
    return price


def _ratio(number: Decimal, tolerance: Decimal) -> str | None:
    best: tuple[Decimal, str] | None = None
    for new, old in SPLITS:
        for up, down in ((new, old), (old, new)):
            off = abs(number * down / up - 1)
            if off <= tolerance and (best is None or off < best[0]):
                best = (off, f"{up}:{down}")
    return best[1] if best else None


def _by_ratio(seen: _Seen) -> CorporateAction | None:
    """Return the split that a quantity has gone through, or a price since the last close."""
    was, now = seen.expected, seen.quantity
    ratio = looks_like_split(was, now, seen.close, seen.price)
    if ratio is None:
        return None
    words = f"the books say {was:f} and the venue {now:f}, like a split {ratio}"
    if was == now:
        words = f"its price jumped against the last close like a split {ratio}"
    return CorporateAction(seen.name, words, ratio)


def _ahead(seen: _Seen) -> CorporateAction | None:
    """Return the split that an unchanged position's price has gone through ahead of it."""
    held, mark, price = seen.quantity, seen.mark, seen.price
    if not held or seen.expected != held or mark is None or price is None:
        return None
    ratio = looks_like_split(held, held, mark, price)
    if ratio is None:
        return None
    reason = (
        f"its price went from {mark:f} to {price:f} as in a split {ratio}, and the "
        f"position is {held:f} as before"
    )
    return CorporateAction(seen.name, reason, ratio)


def _renamed(seen: _Seen) -> CorporateAction | None:
    was, now = seen.contract, seen.position.contract if seen.position else ""
    if not was or not now or not seen.quantity or was == now:
        return None
    reason = f"the venue's contract for it changed from {was} to {now}"
    return CorporateAction(seen.name, reason, f"{was}>{now}")


def _unsettled(seen: _Seen, doubt: str, act: CorporateAction | None) -> CorporateAction | None:
    """Return what is left of an earlier doubt: `act` if that is its end or a new one, else it.

    A quantity that changed otherwise than the price (a trade by hand) settles nothing.
    """
    changed, followed = seen.expected != seen.quantity, _followed(seen)
    if act is None or (changed and not followed):
        reason = _still_open(seen, doubt)
        if reason:
            act = CorporateAction(seen.name, reason, doubt)
    return act if act is None else replace(act, followed=followed)


def _still_open(seen: _Seen, doubt: str) -> str:
    """Return why a doubt is not settled, in words; '' when nothing stands against its end."""
    if seen.position is None or not seen.quantity:
        return ""
    before = f"what was seen before ({doubt or 'a split'}) is not settled: "
    if ">" in doubt and not seen.position.contract:
        return f"{before}the venue does not tell its contract"
    if not seen.splits:
        return ""
    price = seen.price
    if price is None:
        return f"{before}its price is not known"
    for reference in (seen.mark, seen.close):
        if reference is not None and not _run_through(reference, price):
            return f"{before}its price went from {reference:f} to {price:f}"
    return ""


def _followed(seen: _Seen) -> bool:
    """Return whether a changed position is worth what it was: it followed its price."""
    if seen.expected == seen.quantity or seen.mark is None or seen.price is None:
        return False
    return _run_through(seen.expected * seen.mark, seen.quantity * seen.price)


def _run_through(before: Decimal, now: Decimal) -> bool:
    """Return whether two amounts of one sign are no further apart than on an ordinary day."""
    if before * now <= 0:
        return False
    return max(now / before, before / now) < 1 + SMALLEST_PRICE_JUMP
