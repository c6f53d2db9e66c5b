"""Our books against the venue's account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.breaks import Break, CorporateAction
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Fill
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
    jump = close / quote
    if max(jump, 1 / jump) < 1 + SMALLEST_PRICE_JUMP:
        return None
    return _ratio(jump, PRICE_TOLERANCE)


def corporate_actions(
    expected: Mapping[InstrumentId, Decimal],
    account: AccountSnapshot,
    universe: Universe,
    contracts: Mapping[InstrumentId, str],
    prices: Mapping[InstrumentId, tuple[Decimal, Decimal]] | None = None,
    marks: Mapping[InstrumentId, Decimal] | None = None,
) -> tuple[CorporateAction, ...]:
    """Return what looks like a corporate action in the universe, in id order.

    `contracts` has the venue's identities as last accepted and `marks` its prices; `prices`
    the last close and the current price where both are known. The closes of the past are
    divided by a split too, perhaps hours before the position is: then only the accepted
    price tells that something happened.
    """
    held = {position.instrument: position for position in account.positions}
    found = []
    for name in universe.ids:
        position = held.get(name)
        quantity = position.quantity if position else Decimal(0)
        close, quote = (prices or {}).get(name, (None, None))
        ratio = looks_like_split(expected.get(name, Decimal(0)), quantity, close, quote)
        late = None if ratio else _ahead(expected, position, (marks or {}).get(name))
        if ratio is not None:
            found.append(CorporateAction(name, _words(ratio, expected, name, quantity), ratio))
        elif late is not None:
            found.append(late)
        elif position is not None and _renamed(contracts.get(name, ""), position):
            was, now = contracts[name], position.contract
            reason = f"the venue's contract for it changed from {was} to {now}"
            found.append(CorporateAction(name, reason, f"{was}>{now}"))
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
) -> tuple[Entry, ...]:
    """Return the lines that make the books agree with the venue where the owner says so.

    `prices` is used for what the account does not hold any more. Raises `DataError` when no
    price is known.
    """
    wanted = {each.instrument: each.expected for each in breaks}
    named = Universe([universe[name] for name in sorted(wanted)])
    return _bookings(EntryKind.ADJUSTMENT, "adjust", account, named, wanted, slot, prices)


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


def _ahead(
    expected: Mapping[InstrumentId, Decimal], position: Position | None, mark: Decimal | None
) -> CorporateAction | None:
    """Return the split that an unchanged position's price has gone through ahead of it."""
    if position is None or not position.quantity or position.price is None:
        return None
    name, held = position.instrument, position.quantity
    ratio = looks_like_split(held, held, mark, position.price)
    if ratio is None or expected.get(name, Decimal(0)) != held:
        return None
    reason = (
        f"its price went from {mark:f} to {position.price:f} as in a split {ratio}, and the "
        f"position is {held:f} as before"
    )
    return CorporateAction(name, reason, ratio)


def _renamed(before: str, position: Position) -> bool:
    return bool(before and position.contract and position.quantity and before != position.contract)


def _words(
    ratio: str,
    expected: Mapping[InstrumentId, Decimal],
    name: InstrumentId,
    quantity: Decimal,
) -> str:
    was = expected.get(name, Decimal(0))
    if was != quantity:
        return f"the books say {was:f} and the venue {quantity:f}, like a split {ratio}"
    return f"its price jumped against the last close like a split {ratio}"
