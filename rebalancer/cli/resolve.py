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
PRICE_STEP = Decimal("0.00000001")


@dataclass(frozen=True)
class Traded:
    """What an order traded in all: signed quantity, average price (of nothing: zero)."""

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
        f"{reference}: {quantity}, limit {order.intent.limit:f}; "
        f"the books have {already.quantity:+f} of it"
    )
    missing = told.quantity - already.quantity
    price = missing_price(told, already) if missing else None
    does = "book nothing more" if price is None else f"book {missing:+f} at {price:f}"
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


def check_traded(told: Traded, order: ApprovedOrder, already: Traded) -> None:
    """Raise `UsageError` for what the order cannot have traded, `already` being booked of it."""
    quantity = order.quantity
    side = "buy" if quantity > 0 else "sell"
    if told.quantity * quantity < 0:
        raise UsageError(
            f"--filled {told.quantity:+f}: the order is a {side} of {quantity:+f}; "
            "a sale's quantity is negative"
        )
    if abs(told.quantity) > abs(quantity):
        raise UsageError(f"--filled {told.quantity:+f}: the order was for {quantity:+f} only")
    if abs(told.quantity) < abs(already.quantity):
        raise UsageError(
            f"the books have {already.quantity:+f} of it already, told by the venue; "
            f"--filled {already.quantity:+f}@PRICE or more is possible"
        )
    if told.quantity:
        _check_price(told.price, order)


def _check_price(price: Decimal, order: ApprovedOrder) -> None:
    """Raise `UsageError` for a price at which the order cannot have traded: no command mends it."""
    from rebalancer.model.orders import OrderType

    limit, worst = order.intent.limit, order.worst_price
    if price <= 0 < limit:
        raise UsageError(f"--filled: the price {price:f} must be positive")
    beyond = price > worst if order.quantity > 0 else price < worst
    if beyond and order.intent.order_type is not OrderType.MARKET:
        most = "most" if order.quantity > 0 else "least"
        raise UsageError(f"--filled: {price:f} cannot be: the order was for {worst:f} at {most}")
    if limit > 0 and not limit / 2 <= price <= limit * 2:
        raise UsageError(f"--filled: {price:f} is far from the limit {limit:f}: a slipped point?")


def missing_price(told: Traded, already: Traded) -> Decimal:
    """Return the average price of what the books lack of an order. Raises `UsageError`."""
    worth = told.quantity * told.price - already.quantity * already.price
    price = (worth / (told.quantity - already.quantity)).quantize(PRICE_STEP).normalize()
    if price <= 0 < told.price:
        raise UsageError(
            f"--filled: {told.price:f} cannot be the average of all of it: "
            f"{already.quantity:+f} at {already.price:f} are booked"
        )
    return price


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


def _booked(books: StateFolder, reference: str) -> Traded:
    from rebalancer.ledger import booked

    fills = [e.fill for e in booked(books.entries()) if e.fill.reference == reference]
    quantity = sum((fill.quantity for fill in fills), Decimal(0))
    worth = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
    return Traded(quantity, worth / quantity if quantity else Decimal(0))


def _settle(
    config: Config, books: StateFolder, slot: datetime, order: ApprovedOrder, told: Traded
) -> None:
    """Book what is missing, journal the end, lift the flag: in this order, each idempotent."""
    from rebalancer.ledger import RESOLVED
    from rebalancer.model.codec import to_plain
    from rebalancer.model.orders import Fill, OrderStatus, WorkingOrder
    from rebalancer.model.records import Entry, EntryKind

    at = minute(config)
    already = _booked(books, order.reference)
    missing = told.quantity - already.quantity
    if missing:
        fill = Fill(
            # No periods: the digits after the last one would number a correction.
            exec_id=f"{RESOLVED}{order.reference.replace('.', '-')}",
            reference=order.reference,
            venue_order_id="",
            instrument=order.instrument,
            quantity=missing,
            price=missing_price(told, already),
            currency=order.intent.currency,
            at=at,
        )
        if not books.book((Entry(EntryKind.FILL, slot, fill, order.intent.reference_price),)):
            raise UsageError(
                f"the books have {already.quantity:+f} of it already, said by hand; only "
                f"--filled {already.quantity:+f}@{already.price:f} is possible"
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
