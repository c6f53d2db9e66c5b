"""`rebalancer resolve`: the owner looked an order up and says what became of it."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from rebalancer.cli.changing import locked_books, minute
from rebalancer.cli.opened import books_of, confirmed
from rebalancer.errors import UsageError

if TYPE_CHECKING:
    from rebalancer.config import Config
    from rebalancer.model.orders import ApprovedOrder
    from rebalancer.model.records import Standing
    from rebalancer.store.books import StateFolder

CODE = "unresolved-order"


@dataclass(frozen=True)
class Traded:
    """What the owner says an order traded in all: signed quantity, average price."""

    quantity: Decimal
    price: Decimal


def execute(arguments: Namespace) -> int:
    """Book what became of an unresolved order and let its instrument go."""
    config, books = books_of(arguments.config, dry=False)
    reference = arguments.reference
    _refuse_unknown(reference, books.standing())
    slot, order = _order(config, books, reference)
    told = Traded(Decimal(0), Decimal(0)) if arguments.dead else parse_traded(arguments.filled)
    already = _booked(books, reference)
    check_traded(told, order, already)
    quantity = f"{order.quantity:+f} {order.instrument}"
    print(
        f"{reference}: {quantity}, limit {order.intent.limit:f}; the books have {already:+f} of it"
    )
    missing = told.quantity - already
    does = f"book {missing:+f} at {told.price:f}" if missing else "book nothing more"
    question = f"This will {does} and take the order for ended."
    if not confirmed(config.name, question, arguments):
        return 0
    with locked_books(config) as real:
        _refuse_unknown(reference, real.standing())
        _settle(config, real, slot, order, told)
    print(f"{reference} is settled; {order.instrument} is traded again from the next run on.")
    return 0


def parse_traded(text: str) -> Traded:
    """Return `-40@171.25` as quantity and price. Raises `UsageError`."""
    quantity, at, price = text.partition("@")
    try:
        told = Traded(Decimal(quantity), Decimal(price))
    except InvalidOperation:
        told = None
    if not at or told is None or not (told.quantity.is_finite() and told.price.is_finite()):
        raise UsageError(f"--filled {text!r}: write QUANTITY@PRICE, like -40@171.25")
    return told


def check_traded(told: Traded, order: ApprovedOrder, already: Decimal) -> None:
    """Raise `UsageError` for what the order cannot have traded."""
    quantity = order.quantity
    side = "buy" if quantity > 0 else "sell"
    if told.quantity * quantity < 0:
        raise UsageError(
            f"--filled {told.quantity:+f}: the order is a {side} of {quantity:+f}; "
            "a sale's quantity is negative"
        )
    if abs(told.quantity) > abs(quantity):
        raise UsageError(f"--filled {told.quantity:+f}: the order was for {quantity:+f} only")
    if abs(told.quantity) < abs(already):
        raise UsageError(
            f"the books have {already:+f} of it already, told by the venue; "
            f"--filled {already:+f}@PRICE or more is possible"
        )
    if told.quantity and told.price <= 0 and order.intent.limit > 0:
        raise UsageError(f"--filled: the price {told.price:f} must be positive")


def _refuse_unknown(reference: str, standing: Standing) -> None:
    known = [flag.evidence.partition("|")[0] for flag in standing.latched if flag.code == CODE]
    if reference not in known:
        there = f"; unresolved: {', '.join(known)}" if known else "; no order is"
        raise UsageError(f"{reference!r} is not unresolved{there}")


def _order(config: Config, books: StateFolder, reference: str) -> tuple[datetime, ApprovedOrder]:
    """Return the order as its run journaled it before it went out."""
    from rebalancer.model.codec import from_plain
    from rebalancer.model.orders import ApprovedOrder
    from rebalancer.working.bookkeeping import intents_in, slot_of

    slot = slot_of(reference, config.name)
    plain = None if slot is None else intents_in(books.journal(slot)).get(reference)
    if slot is None or plain is None:
        raise UsageError(
            f"{reference!r}: its run's journal does not have it; see docs/OPERATIONS.md"
        )
    return slot, from_plain(ApprovedOrder, plain, "journal")


def _booked(books: StateFolder, reference: str) -> Decimal:
    from rebalancer.ledger import booked

    fills = (each.fill for each in booked(books.entries()) if not each.busted)
    return sum((fill.quantity for fill in fills if fill.reference == reference), Decimal(0))


def _settle(
    config: Config, books: StateFolder, slot: datetime, order: ApprovedOrder, told: Traded
) -> None:
    """Book what is missing, journal the end, lift the flag: in this order, each idempotent."""
    from rebalancer.ledger import RESOLVED
    from rebalancer.model.codec import to_plain
    from rebalancer.model.orders import Fill, OrderStatus, WorkingOrder
    from rebalancer.model.records import Entry, EntryKind

    at = minute(config)
    missing = told.quantity - _booked(books, order.reference)
    if missing:
        fill = Fill(
            # No periods: the digits after the last one would number a correction.
            exec_id=f"{RESOLVED}{order.reference.replace('.', '-')}",
            reference=order.reference,
            venue_order_id="",
            instrument=order.instrument,
            quantity=missing,
            price=told.price,
            currency=order.intent.currency,
            at=at,
        )
        if not books.book((Entry(EntryKind.FILL, slot, fill, order.intent.reference_price),)):
            raise UsageError(
                f"the books have {told.quantity - missing:+f} of it already, said by hand; only "
                f"--filled {told.quantity - missing:+f}@{told.price:f} is possible"
            )
    filled = told.quantity == order.quantity
    end = WorkingOrder(
        reference=order.reference,
        venue_id="",
        instrument=order.instrument,
        quantity=order.quantity,
        filled=told.quantity,
        limit=order.intent.limit,
        status=OrderStatus.FILLED if filled else OrderStatus.CANCELLED,
        at=at,
        message="settled by hand",
    )
    note = {"kind": "order", "attempt": 0, "order": to_plain(end)}
    books.note(slot, note, durable=True)
    standing = books.standing()
    left = tuple(
        flag
        for flag in standing.latched
        if flag.code != CODE or flag.evidence.partition("|")[0] != order.reference
    )
    books.save_standing(replace(standing, latched=left))
