"""Executions, cash and positions: what the venue's books have is what ours have, to the cent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from rebalancer.model.flags import LatchedFlag
from rebalancer.model.income import IncomeKind
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Fill, execution_revision
from rebalancer.model.records import EntryKind
from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.observer.case import Case
from rebalancer.rehearsal.observer.corrections import corrected_too_late, untold
from rebalancer.simulators.booking import add, pay
from rebalancer.simulators.books import Execution
from rebalancer.simulators.kinds import base_asset, is_pair

LOST, CENTS = "no-lost-fill", "every-cent"
LOCKS = frozenset(
    {"reconciliation-break", "corporate-action", "many-breaks", "unresolved-order", "liquidated"}
)
"""Latched flags that say that a position is not what our books say."""

_BOOKED = frozenset({EntryKind.ADOPTION, EntryKind.ADJUSTMENT})
_ZERO = Decimal(0)


def no_lost_fill(case: Case) -> Iterator[Violation]:
    """Yield executions that do not stand in our books once, as the venue has them now."""
    theirs = {case.family(each): each for each in _seen(case)}
    ours = case.ours.standing
    for family, execution in theirs.items():
        fill = ours.get(family)
        if not execution.quantity:
            if fill is not None and not corrected_too_late(case, execution):
                yield Violation(LOST, f"{execution.id} was taken back; our books still have it")
        elif fill is not None:
            if fill.exec_id == execution.id or not corrected_too_late(case, execution):
                yield from _differs(case, execution, fill)
        elif not _forgotten(case, execution):
            yield Violation(
                LOST,
                f"{execution.id} ({execution.quantity:f} {execution.instrument}, order "
                f"{execution.reference or 'of nobody'}) is not in fills.jsonl",
            )
    known = {case.family(each) for each in case.executions}
    for family in sorted(ours.keys() - known):
        yield Violation(LOST, f"{ours[family].exec_id} is in fills.jsonl and not at the venue")
    yield from _doubled(case)
    yield from _trades_view(case)


def _forgotten(case: Case, execution: Execution) -> bool:
    """Return whether the venue itself told nothing of it any more, and our books say so.

    Then the position was booked as the venue has it, or it is locked; where a split made up for
    the trade to the unit, the money that moved is all there is to say. What others traded before
    our books began is none of theirs: what it left is adopted.
    """
    if _before_our_books(case, execution):
        return True
    told = {flag.subject for flag in _standing_flags(case) if flag.code in LOCKS}
    told |= {str(each.fill.instrument) for each in case.ours.entries if each.kind in _BOOKED}
    flags = (flag.code for record in case.ours.records.values() for flag in record.flags)
    if "unexplained-cash" in flags:
        told |= {str(name) for name, units in case.evidence.moved.items() if units}
    return untold(case, execution, execution.at) and bool({str(execution.instrument), ""} & told)


def _before_our_books(case: Case, execution: Execution) -> bool:
    last = case.ours.last
    began = None if last is None or last.standing is None else last.standing.began
    early = began is not None and execution.at < began
    waits = last is not None and any(flag.code == "not-adopted" for flag in last.flags)
    return (early or waits) and not case.is_ours(execution.reference)


def _seen(case: Case) -> list[Execution]:
    """Return the executions that happened before the last run looked for them the last time."""
    looked = _looked_at(case)
    return [each for each in case.executions if looked is not None and each.at < looked]


def _looked_at(case: Case) -> datetime | None:
    """Return when the last run that was left alone last looked at the account."""
    last = case.ours.last
    if last is None or last.after is None:
        return None
    return last.after.at


def _family(exec_id: str) -> str:
    return execution_revision(exec_id)[0]


def _differs(case: Case, execution: Execution, fill: Fill) -> Iterator[Violation]:
    """Compare an execution with our line about it."""
    pairs = (
        ("instrument", fill.instrument, execution.instrument),
        ("quantity", fill.quantity, execution.quantity),
        ("price", fill.price, execution.price),
    )
    for what, ours, theirs in pairs:
        if ours != theirs:
            yield Violation(LOST, f"{execution.id}: {what} {ours} in our books, {theirs} there")
    if case.is_ours(execution.reference) and fill.reference != execution.reference:
        yield Violation(LOST, f"{execution.id}: {fill.reference or 'no reference'} in our books")
    if fill.commission is None:
        if _was_told(case, execution):
            yield Violation(
                LOST, f"{execution.id}: its commission ({execution.commission:f}) was never booked"
            )
    elif (fill.commission, fill.commission_currency) != (
        execution.commission,
        execution.commission_currency,
    ):
        yield Violation(
            LOST,
            f"{execution.id}: commission {fill.commission:f} {fill.commission_currency} in our "
            f"books, {execution.commission:f} {execution.commission_currency} there",
        )


def _was_told(case: Case, execution: Execution) -> bool:
    """Return whether the venue told a commission before the last run began, and to somebody."""
    began = case.evidence.runs[-1].began
    at = execution.tell_at
    if not execution.told or at is None or at >= began:
        return False
    return not untold(case, execution, at)


def _doubled(case: Case) -> Iterator[Violation]:
    lines = Counter(
        _family(each.fill.exec_id) for each in case.ours.entries if each.kind is EntryKind.FILL
    )
    for family, count in sorted(lines.items()):
        if count > 1:
            yield Violation(LOST, f"{family} stands in fills.jsonl {count} times")


def _trades_view(case: Case) -> Iterator[Violation]:
    """Compare trades.csv with what fills.jsonl adds up to."""
    rows = {row["exec_id"]: row for row in case.ours.trades}
    if len(rows) != len(case.ours.trades):
        yield Violation(LOST, "trades.csv has an execution twice")
    wanted = {fill.exec_id: fill for fill in case.ours.standing.values()}
    for name in sorted(wanted.keys() ^ rows.keys()):
        if name in rows:
            yield Violation(LOST, f"{name} is in trades.csv and does not stand in fills.jsonl")
        elif case.ours.last is not None and _before_the_last_record(case, name):
            yield Violation(LOST, f"{name} is not in trades.csv")
    for name in sorted(wanted.keys() & rows.keys()):
        row, fill = rows[name], wanted[name]
        fee = "" if fill.commission is None else f"{fill.commission:f}"
        told = (
            row["quantity"].lstrip("'"),
            row["price"].lstrip("'"),
            row["commission"].lstrip("'"),
        )
        if [_number(each) for each in told] != [
            _number(each) for each in (f"{fill.quantity:f}", f"{fill.price:f}", fee)
        ]:
            yield Violation(LOST, f"{name}: trades.csv says {told}, fills.jsonl another thing")


def _before_the_last_record(case: Case, exec_id: str) -> bool:
    last = case.ours.last
    counted = case.ours.entries[: last.entries] if last is not None else ()
    return any(each.fill.exec_id == exec_id for each in counted)


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def every_cent(case: Case) -> Iterator[Violation]:
    """Yield where opening cash and our books are not the venue's cash, or its positions."""
    yield from _cash(case)
    yield from _positions(case)
    yield from _venue_adds_up(case)


def _cash(case: Case) -> Iterator[Violation]:
    if _looked_at(case) is None or any(_before_our_books(case, each) for each in case.executions):
        return  # what others' positions brought in before our books began, nobody here counted
    flows, theirs = case.evidence.flows, case.evidence.account.cash
    ours, transfers = _our_cash(case)
    for currency in sorted({*ours, *theirs, *flows}):
        expected = ours.get(currency, _ZERO) + flows.get(currency, _ZERO)
        found = theirs.get(currency, _ZERO)
        if found != expected:
            yield Violation(
                CENTS,
                f"{currency}: opening cash, fills, fees, income and flows make {expected:f}, the "
                f"venue has {found:f} (difference {found - expected:f})",
            )
    for currency in sorted(transfers):
        came = flows.get(currency, _ZERO) - _before_the_books(case, currency)
        if transfers[currency] != came:
            yield Violation(
                CENTS,
                f"{currency}: {transfers[currency]:f} is booked as transfers, {came:f} came",
            )


def _before_the_books(case: Case, currency: str) -> Decimal:
    """Return what came before our books began: that is in what they began with."""
    last = case.ours.last
    began = None if last is None or last.standing is None else last.standing.began
    early = (m for m in case.evidence.moves if began is not None and m.at < began)
    return sum((move.amount for move in early if move.currency == currency), _ZERO)


def _our_cash(case: Case) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return what cash there is by our books, and what they say came from outside.

    What traded after the last look is in it by the venue's word.
    """
    ours, transfers = dict(case.evidence.opening_cash), dict[str, Decimal]()
    for entry in case.ours.entries:
        if entry.kind is EntryKind.INCOME:
            outside = entry.fill.origin == IncomeKind.TRANSFER.value
            amount = -(entry.fill.commission or _ZERO)
            add(transfers if outside else ours, entry.fill.commission_currency, amount)
    for fill in (*_as_the_venue_told(case), *_unknown_to_us(case)):
        _trade(case, ours, fill)
    looked = _looked_at(case)
    for execution in case.executions:
        if looked is not None and execution.at >= looked:
            _trade(case, ours, _as_fill(execution))
    return ours, transfers


def _as_the_venue_told(case: Case) -> list[Fill]:
    """Return our executions; by the venue's word where it never told us of a correction."""
    late = {case.family(e): e for e in case.executions if corrected_too_late(case, e)}
    return [
        _as_fill(late[family]) if family in late else fill
        for family, fill in case.ours.standing.items()
    ]


def _unknown_to_us(case: Case) -> list[Fill]:
    """Return the executions that were booked as an adjustment of the position only."""
    ours = case.ours.standing
    return [
        _as_fill(each) for each in _seen(case) if each.quantity and case.family(each) not in ours
    ]


def _as_fill(execution: Execution) -> Fill:
    return Fill(
        execution.id,
        execution.reference,
        "",
        execution.instrument,
        execution.quantity,
        execution.price,
        execution.currency,
        execution.at,
        execution.commission,
        execution.commission_currency,
    )


def _trade(case: Case, cash: dict[str, Decimal], fill: Fill) -> None:
    """Book what a trade did to cash, by the venue's rules."""
    if fill.instrument in case.evidence.universe:
        pay(cash, case.evidence.universe[fill.instrument], fill.quantity, fill.price)
    else:
        add(cash, fill.currency, -fill.quantity * fill.price)
    fee, currency = fill.commission, fill.commission_currency
    if fee is None:
        theirs = {case.family(each): each for each in case.executions}.get(_family(fill.exec_id))
        if theirs is None:
            return
        fee, currency = theirs.commission, theirs.commission_currency
    add(cash, currency or fill.currency, -fee)


def _positions(case: Case) -> Iterator[Violation]:
    looked = _looked_at(case)
    last = case.ours.last
    if looked is None or last is None or any(f.code == "not-adopted" for f in last.flags):
        return
    locked = {flag.subject for flag in _standing_flags(case) if flag.code in LOCKS}
    held = _our_positions(case)
    for name, theirs in case.holdings().items():
        late = sum(
            (e.quantity for e in case.executions if e.instrument == name and e.at >= looked), _ZERO
        )
        ours = held.get(name, _ZERO)
        if ours + late != theirs and name not in locked and "" not in locked:
            yield Violation(
                CENTS, f"{name}: our books say {ours:f}, the venue has {theirs - late:f}"
            )


def _standing_flags(case: Case) -> tuple[LatchedFlag, ...]:
    last = case.ours.last
    return () if last is None or last.standing is None else last.standing.latched


def _our_positions(case: Case) -> Mapping[InstrumentId, Decimal]:
    """Return what fills.jsonl adds up to, fees in coins included."""
    held: dict[InstrumentId, Decimal] = {}
    coins = {
        base_asset(each): each.id
        for each in case.evidence.universe
        if is_pair(each) and each.id.endswith(".SPOT@BINANCE")
    }
    booked = [each.fill for each in case.ours.entries if each.kind in _BOOKED]
    for fill in (*booked, *case.ours.standing.values()):
        held[fill.instrument] = held.get(fill.instrument, _ZERO) + fill.quantity
        coin = coins.get(fill.commission_currency)
        if coin is not None and fill.commission:
            held[coin] = held.get(coin, _ZERO) - fill.commission
    return held


def _venue_adds_up(case: Case) -> Iterator[Violation]:
    """Yield where the venue's own books do not add up.

    Were they not, nothing else that is compared with them would mean anything.
    """
    account = case.evidence.account
    held = dict(account.carried_positions)
    for execution in account.executions:
        if execution.instrument in case.evidence.universe and not is_pair(
            case.evidence.universe[execution.instrument]
        ):
            held[execution.instrument] = held.get(execution.instrument, _ZERO) + execution.quantity
    for name in sorted({*held, *account.holdings}):
        if name not in case.evidence.universe or name in case.evidence.moved:
            continue
        holding = account.holdings.get(name)
        there = _ZERO if holding is None else holding.quantity
        if not is_pair(case.evidence.universe[name]) and there != held.get(name, _ZERO):
            yield Violation(CENTS, f"{name}: the venue's own books do not add up; not ours to mend")
