"""Cash that our own trades explain, and cash that they do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from rebalancer.errors import DataError
from rebalancer.ledger.entries import change
from rebalancer.ledger.positions import in_kind
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.income import IncomeKind
from rebalancer.model.instrument import InstrumentId, Kind, split_instrument_id
from rebalancer.model.orders import LATE, Fill
from rebalancer.model.records import Entry, EntryKind
from rebalancer.model.universe import Universe

PENDING_FEE = Decimal("0.005")
"""While a commission is unknown, this fraction of the traded notional may be missing."""

SETTLEMENT = Decimal("0.05")
"""So much of a future's value it may have gained or lost in cash between two runs."""

_NO_CASH = frozenset({EntryKind.ADOPTION, EntryKind.ADJUSTMENT})
_MARGINED = frozenset({Kind.FUTURE, Kind.PERPETUAL})


def cash_effects(entries: Iterable[Entry], universe: Universe) -> Mapping[str, Decimal]:
    """Return what lines of the books did to cash, by currency (positive came in).

    A currency exchange moves two currencies; futures and perpetuals move only their fees
    here (their gains are income of the venue's, which has lines of its own). Unknown
    commissions count nothing, nor do fees that a spot market took in coins: those are holdings,
    nor what happened apart from the account's cash.
    """
    cash: dict[str, Decimal] = {}
    for entry in entries:
        if (entry.kind in _NO_CASH and entry.fill.origin != LATE) or _apart(entry):
            continue
        out, into = change(entry)
        for fill, sign in ((out, -1), (into, 1)):
            if fill is not None:
                for currency, amount in _moved(fill, universe):
                    cash[currency] = cash.get(currency, Decimal(0)) + sign * amount
    return {currency: cash[currency] for currency in sorted(cash)}


def unexplained_cash(
    accepted: Mapping[str, Decimal],
    entries_since: Sequence[Entry],
    account: AccountSnapshot,
    universe: Universe,
    *,
    tolerance: Decimal = Decimal("0.01"),
) -> Mapping[str, Decimal]:
    """Return the cash that moved since `accepted` and that no trade of ours explains.

    By currency, positive came in; without what is within `tolerance`. While commissions are
    unknown, 0.5 % of what was traded may be missing; one that was told after its trade had
    been accepted may have been charged before or since. Futures settle in cash without a line
    of the venue's: up to 5 % of those held now or traded since explain themselves. `accepted`
    empty: nothing is known to compare with, so nothing is unexplained; nor is an amount that is
    not a finite number (step 4 says so of the account itself).
    """
    if not accepted:
        return {}
    effects = cash_effects(entries_since, universe)
    pending, told = _pending(entries_since, universe), _told_since(entries_since)
    settled = _settled(entries_since, account, universe)
    found = {}
    for currency in sorted({*accepted, *account.cash, *effects}):
        expected = accepted.get(currency, Decimal(0)) + effects.get(currency, Decimal(0))
        amount = account.cash.get(currency, Decimal(0)) - expected
        if not amount.is_finite():
            continue
        fees = told.get(currency, Decimal(0))
        least = min(fees, Decimal(0)) - pending.get(currency, Decimal(0))
        most = max(fees, Decimal(0)) + tolerance
        gain = settled.get(currency, Decimal(0))
        if abs(amount) > tolerance and not least - gain <= amount <= most + gain:
            found[currency] = amount
    return found


def _apart(entry: Entry) -> bool:
    return entry.kind is EntryKind.INCOME and entry.fill.origin == IncomeKind.APART.value


def _moved(fill: Fill, universe: Universe) -> list[tuple[str, Decimal]]:
    moves = []
    kind, symbol = _kind(fill.instrument, universe)
    if kind not in _MARGINED:
        moves.append((fill.currency, -fill.quantity * fill.price * _unit(fill, universe)))
    if kind is Kind.FOREX:
        moves.append((symbol, fill.quantity))
    if fill.commission is not None and not in_kind(fill):
        moves.append((fill.commission_currency or fill.currency, -fill.commission))
    return moves


def _pending(entries: Sequence[Entry], universe: Universe) -> Mapping[str, Decimal]:
    told = {entry.fill.exec_id for entry in entries if entry.fill.commission is not None}
    waiting: dict[str, Decimal] = {}
    for entry in entries:
        fill = entry.fill
        if entry.kind in _NO_CASH or fill.exec_id in told:
            continue
        notional = abs(fill.quantity * fill.price) * _unit(fill, universe)
        waiting[fill.currency] = waiting.get(fill.currency, Decimal(0)) + notional * PENDING_FEE
    return waiting


def _settled(
    entries: Sequence[Entry], account: AccountSnapshot, universe: Universe
) -> Mapping[str, Decimal]:
    """Return by currency what futures may have gained or lost in cash, not negative."""
    settled: dict[str, Decimal] = {}
    for held in account.positions:
        value = held.value
        if value is None or not value.is_finite():
            continue
        if _kind(held.instrument, universe)[0] is Kind.FUTURE:
            gain = abs(value) * SETTLEMENT
            settled[held.currency] = settled.get(held.currency, Decimal(0)) + gain
    for entry in entries:
        fill = entry.fill
        if entry.kind is EntryKind.FILL and _kind(fill.instrument, universe)[0] is Kind.FUTURE:
            gain = abs(fill.quantity * fill.price) * _unit(fill, universe) * SETTLEMENT
            settled[fill.currency] = settled.get(fill.currency, Decimal(0)) + gain
    return settled


def _told_since(entries: Sequence[Entry]) -> Mapping[str, Decimal]:
    """Return the commissions told for trades that were booked before these lines."""
    traded = {entry.fill.exec_id for entry in entries if entry.kind is EntryKind.FILL}
    fees: dict[str, Decimal] = {}
    for entry in entries:
        fill = entry.fill
        if entry.kind is EntryKind.COMMISSION and fill.exec_id not in traded and fill.commission:
            currency = fill.commission_currency or fill.currency
            fees[currency] = fees.get(currency, Decimal(0)) + fill.commission
    return fees


def _unit(fill: Fill, universe: Universe) -> Decimal:
    if fill.instrument not in universe:
        return Decimal(1)
    instrument = universe[fill.instrument]
    return instrument.multiplier / instrument.magnifier


def _kind(identifier: InstrumentId, universe: Universe) -> tuple[Kind | None, str]:
    if identifier in universe:
        return universe[identifier].kind, universe[identifier].symbol
    try:
        symbol, kind, _, _ = split_instrument_id(identifier)
    except DataError:
        return None, ""
    return kind, symbol
