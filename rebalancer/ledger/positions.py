"""What the books say is held, and what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from rebalancer.ledger.entries import Booked, booked, change
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import SPLIT, Fill
from rebalancer.model.records import Entry, EntryKind, RunRecord, TradeRecord

_SPOT = ".SPOT@BINANCE"
HOLDINGS = frozenset({EntryKind.ADOPTION, EntryKind.ADJUSTMENT})


@dataclass(frozen=True, slots=True)
class Holding:
    """A position and its history at average cost.

    `quantity` signed units; `average_cost` per unit in the currency of its fills (zero when
    flat); `realised` = price gains of what was closed, `commission` = what is known of the
    fees (positive cost, each in its own currency); `unknown_fees` executions still without.
    `realised` is per price point: times multiplier / magnifier it is money.
    """

    quantity: Decimal = Decimal(0)
    average_cost: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    commission: Mapping[str, Decimal] = field(default_factory=dict)
    unknown_fees: int = 0


def positions(
    entries: Iterable[Entry], start: Mapping[InstrumentId, Decimal] | None = None
) -> Mapping[InstrumentId, Decimal]:
    """Return signed holdings after `entries`, from `start` (default: nothing held).

    In id order, without zeros. Any later part of the file will do: each line knows what it
    replaces. A spot market may take its fee in what was bought (or in its own coin): that is
    a holding of that coin's pair, and gets smaller. Raises `DataError` for a correction that
    does not.
    """
    held = dict(start or {})
    for entry in entries:
        out, into = change(entry)
        for fill, sign in ((out, -1), (into, 1)):
            if fill is None:
                continue
            for name, quantity in ((fill.instrument, fill.quantity), *_fee_in_kind(fill)):
                held[name] = held.get(name, Decimal(0)) + sign * quantity
    return {name: held[name] for name in sorted(held) if held[name]}


def _fee_in_kind(fill: Fill) -> tuple[tuple[InstrumentId, Decimal], ...]:
    """Return the holding that a spot market's fee made smaller, and by how much (negative)."""
    asset = fill.commission_currency
    if not fill.commission or not in_kind(fill):
        return ()
    return ((InstrumentId(f"{asset}{fill.currency}{_SPOT}"), -fill.commission),)


def in_kind(fill: Fill) -> bool:
    """Return whether a fee was taken from a coin, not from the money that is paid with."""
    asset = fill.commission_currency
    return fill.instrument.endswith(_SPOT) and asset not in ("", fill.currency)


def expected_positions(
    record: RunRecord | None, entries_since: Iterable[Entry]
) -> Mapping[InstrumentId, Decimal]:
    """Return what should be held: the last record's books and the lines booked since.

    `record` None: a new portfolio, which holds what its lines say.
    """
    return positions(entries_since, None if record is None else record.positions_expected)


def trade_records(entries: Iterable[Entry]) -> tuple[TradeRecord, ...]:
    """Return one row per execution as it stands after corrections, in the order of booking.

    `quantity` is signed like everywhere; `commission` None until the venue told it. Adopted
    and adjusted holdings are not trades.
    """
    rows = []
    for each in booked(entries):
        if each.kind in HOLDINGS:
            continue
        fill = each.fill
        rows.append(
            TradeRecord(
                exec_id=fill.exec_id,
                at=fill.at,
                slot=each.slot,
                instrument=fill.instrument,
                side="BUY" if fill.quantity > 0 else "SELL",
                quantity=fill.quantity,
                price=fill.price,
                currency=fill.currency,
                commission=fill.commission,
                commission_currency=fill.commission_currency,
                reference=fill.reference,
                decision_price=each.decision_price,
            )
        )
    return tuple(rows)


def average_cost(entries: Sequence[Entry]) -> Mapping[InstrumentId, Holding]:
    """Return holdings at average cost and what was realised, by instrument in id order.

    An order that turns a position around closes it at its price and opens anew there.
    Flat instruments stay, for their realised gains.
    """
    found: dict[InstrumentId, Holding] = {}
    for each in booked(entries):
        fill = each.fill
        held = held_after(found.get(fill.instrument, Holding()), each)
        if each.kind not in HOLDINGS:
            held = _charged(held, fill.commission, fill.commission_currency or fill.currency)
        found[fill.instrument] = held
    return {name: found[name] for name in sorted(found)}


def held_after(held: Holding, line: Booked) -> Holding:
    """Return a holding after what was booked; a split keeps what it cost in all."""
    fill = line.fill
    left = held.quantity + fill.quantity
    if not is_split(line) or held.quantity * left <= 0:
        return traded(held, fill.quantity, fill.price)
    cost = held.quantity * held.average_cost
    return replace(held, quantity=left, average_cost=cost / left)


def is_split(line: Booked | Entry) -> bool:
    """Return whether a line books other units of the same worth."""
    return line.kind is EntryKind.ADJUSTMENT and line.fill.origin == SPLIT


def splits(
    entries: Sequence[Entry], start: int
) -> tuple[tuple[InstrumentId, Decimal, Decimal], ...]:
    """Return what the splits among the lines from `start` on made of which holding of what."""
    found = []
    for number, entry in enumerate(entries[start:], start):
        if is_split(entry):
            name = entry.fill.instrument
            before = positions(entries[:number]).get(name, Decimal(0))
            found.append((name, before, before + entry.fill.quantity))
    return tuple(found)


def traded(held: Holding, quantity: Decimal, price: Decimal) -> Holding:
    """Return a holding after a trade: what it closes is realised, what it opens costs its price."""
    after = held.quantity + quantity
    if held.quantity * quantity >= 0:  # opens or adds
        cost = held.quantity * held.average_cost + quantity * price
        return replace(held, quantity=after, average_cost=cost / after if after else Decimal(0))
    closed = min(abs(quantity), abs(held.quantity)).copy_sign(held.quantity)
    gain = closed * (price - held.average_cost)
    turned = held.quantity * after < 0
    left = price if turned else (held.average_cost if after else Decimal(0))
    return replace(held, quantity=after, average_cost=left, realised=held.realised + gain)


def _charged(held: Holding, commission: Decimal | None, currency: str) -> Holding:
    if commission is None:
        return replace(held, unknown_fees=held.unknown_fees + 1)
    fees = dict(held.commission)
    fees[currency] = fees.get(currency, Decimal(0)) + commission
    return replace(held, commission=fees)
