"""What one run's record says about each order, each idle instrument and each position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rebalancer.model.flags import RUN, Severity, Step
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.money import Money
from rebalancer.model.orders import (
    Action,
    ApprovedOrder,
    Fill,
    OrderIntent,
    OrderStatus,
    PlanLine,
    RefusedOrder,
    WorkingOrder,
)
from rebalancer.model.records import Mode, RunRecord

NOT_NOW = frozenset({"halt", "session", "restart", "funding"})
"""Gates that find no fault with an order: it is only not the time for it."""


class Fate(StrEnum):
    """What became of a wanted order."""

    FILLED = "filled"
    PART = "partly filled"
    WORKING = "working"
    ENDED = "ended unfilled"
    REFUSED = "refused by a gate"
    REJECTED = "rejected by the venue"
    NOT_SENT = "not sent"
    UNKNOWN = "fate unknown"


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One wanted order and its end.

    `quantity` and `filled` count units without sign; prices are per unit in `currency`.
    `reason` is why it was wanted, `why` what explains its fate. `cost_bps` compares the
    average execution with the decision price, positive = cost; `cost_base` is the same in
    base currency, estimated from the plan's notional. None: nothing executed, or unknown.
    """

    slot: datetime
    instrument: InstrumentId
    action: Action
    quantity: Decimal
    limit: Decimal | None
    order_type: str
    currency: str
    reference: str
    reference_price: Decimal | None
    current_weight: float | None
    target_weight: float | None
    reason: str
    fate: Fate
    why: str
    filled: Decimal = Decimal(0)
    average_price: Decimal | None = None
    cost_bps: Decimal | None = None
    cost_base: Decimal | None = None
    executed_base: Decimal | None = None
    commissions: tuple[Money, ...] = ()
    commissions_pending: int = 0
    gate: str = ""
    """The gate that kept it here, '' when none did."""


@dataclass(frozen=True, slots=True)
class IdleRow:
    """One instrument for which nothing was wanted. `settled`: it already is where it should be."""

    instrument: InstrumentId
    current_quantity: Decimal
    target_quantity: Decimal | None
    current_weight: float | None
    target_weight: float | None
    reason: str
    settled: bool


@dataclass(frozen=True, slots=True)
class PositionRow:
    """One holding against its target. Weights are fractions of sizing capital; None unknown."""

    instrument: InstrumentId
    before: Decimal | None
    now: Decimal | None
    target: Decimal | None
    weight: float | None
    target_weight: float | None
    value_base: Decimal | None
    managed: bool


def order_rows(record: RunRecord) -> tuple[OrderRow, ...]:
    """Return every wanted order of a run, in the order of the plan, with its fate."""
    numbered = [(order.intent.sequence, _approved(record, order)) for order in record.approved]
    numbered += [(order.intent.sequence, _refused(record, order)) for order in record.refused]
    rows = [row for _, row in sorted(numbered, key=lambda pair: (pair[0], pair[1].instrument))]
    gated = [(row.instrument, row.quantity) for row in rows]
    for line in record.lines:
        if line.action is Action.NOTHING:
            continue
        name = (line.instrument, abs(line.quantity))
        if name in gated:
            gated.remove(name)
        else:
            rows.append(_never_gated(record, line))
    return tuple(rows)


def idle_rows(record: RunRecord) -> tuple[IdleRow, ...]:
    """Return every instrument for which the plan wanted nothing, in universe order."""
    return tuple(
        IdleRow(
            line.instrument,
            line.current_quantity,
            line.target_quantity,
            line.current_weight,
            line.target_weight,
            line.reason,
            settled=line.target_quantity == line.current_quantity,
        )
        for line in record.lines
        if line.action is Action.NOTHING
    )


def position_rows(record: RunRecord) -> tuple[PositionRow, ...]:
    """Return holdings and targets by instrument id; what is zero on every side is left out.

    Empty when the account was never seen.
    """
    seen = record.after or record.before
    if seen is None:
        return ()
    lines: dict[InstrumentId, PlanLine] = {line.instrument: line for line in record.lines}
    held = {position.instrument for position in seen.positions}
    rows = (_position(record, lines.get(name), name) for name in sorted(held | set(lines)))
    return tuple(row for row in rows if row.now or row.before or row.target or row.weight)


def latest_fills(records: Iterable[RunRecord]) -> tuple[Fill, ...]:
    """Return the executions of several runs, each once, as the newest run knows it, by time."""
    fills: dict[str, Fill] = {}
    for record in sorted(records, key=lambda each: (each.slot, each.attempt)):
        for fill in record.fills:
            known = fills.get(fill.exec_id)
            if known is None or fill.commission is not None or known.commission is None:
                fills[fill.exec_id] = fill
    return tuple(sorted(fills.values(), key=lambda fill: (fill.at, fill.exec_id)))


def _approved(record: RunRecord, order: ApprovedOrder) -> OrderRow:
    last = next((seen for seen in record.orders if seen.reference == order.reference), None)
    fills = [fill for fill in record.fills if fill.reference == order.reference]
    filled = sum((abs(fill.quantity) for fill in fills), Decimal(0))
    if last is not None:
        filled = max(filled, abs(last.filled))
    fate, why = _fate(record, order, last, filled)
    average = _average(fills)
    bps = _cost_bps(order.intent, average)
    executed = None if not filled else _executed_base(order.intent, filled)
    return replace(
        _wanted(record, order.intent, fate, why),
        reference=order.reference,
        filled=filled,
        average_price=average,
        cost_bps=bps,
        cost_base=None if bps is None or executed is None else executed * bps / 10_000,
        executed_base=executed,
        commissions=tuple(_commissions(fills)),
        commissions_pending=sum(1 for fill in fills if fill.commission is None),
    )


def _refused(record: RunRecord, order: RefusedOrder) -> OrderRow:
    later = order.gate in NOT_NOW
    why = order.reason if later else f"gate {order.gate}: {order.reason}"
    row = _wanted(record, order.intent, Fate.NOT_SENT if later else Fate.REFUSED, why)
    return replace(row, gate=order.gate)


def _wanted(record: RunRecord, intent: OrderIntent, fate: Fate, why: str) -> OrderRow:
    return OrderRow(
        slot=record.slot,
        instrument=intent.instrument,
        action=Action.BUY if intent.quantity > 0 else Action.SELL,
        quantity=abs(intent.quantity),
        limit=intent.limit,
        order_type=f"{intent.order_type.value}, {intent.time_in_force.value}",
        currency=intent.currency,
        reference="",
        reference_price=intent.reference_price,
        current_weight=intent.current_weight,
        target_weight=intent.target_weight,
        reason=intent.reason,
        fate=fate,
        why=why,
    )


def _never_gated(record: RunRecord, line: PlanLine) -> OrderRow:
    kinds = [kind.value for kind in (line.order_type, line.time_in_force) if kind is not None]
    return OrderRow(
        slot=record.slot,
        instrument=line.instrument,
        action=line.action,
        quantity=abs(line.quantity),
        limit=line.limit,
        order_type=", ".join(kinds),
        currency="",
        reference="",
        reference_price=line.reference_price,
        current_weight=line.current_weight,
        target_weight=line.target_weight,
        reason=line.reason,
        fate=Fate.NOT_SENT,
        why=_why_not_sent(record, line.instrument),
    )


def _fate(
    record: RunRecord, order: ApprovedOrder, last: WorkingOrder | None, filled: Decimal
) -> tuple[Fate, str]:
    if filled >= abs(order.quantity):
        return Fate.FILLED, ""
    status = None if last is None else last.status
    stopped = _stopped(record)
    if record.mode is Mode.DRY_RUN and not stopped:
        return Fate.NOT_SENT, "DRY RUN: it passed every gate and would have been sent"
    if last is not None and status is OrderStatus.NOT_SENT:
        return Fate.NOT_SENT, stopped or last.message or _why_not_sent(record, order.instrument)
    if last is None or status is None:
        if filled:
            return Fate.PART, "the venue has not told what became of the rest"
        return Fate.NOT_SENT, _why_not_sent(record, order.instrument)
    if status is OrderStatus.REJECTED:
        return Fate.REJECTED, last.message or "the venue gave no reason"
    if status is OrderStatus.UNKNOWN:
        return Fate.UNKNOWN, "it may or may not be at the venue; it is looked up, never resent"
    if status.terminal:
        words = f"{status.value} before it was filled"
        return (Fate.PART if filled else Fate.ENDED), last.message or words
    return Fate.WORKING, "left at the venue; the next run cancels what is left of it"


def _stopped(record: RunRecord) -> str:
    """Return what ended the sending of orders that had passed every gate, '' when nothing did."""
    for flag in record.flags:
        halts = flag.severity is Severity.HALT and flag.step <= Step.SUBMIT
        if halts or flag.code == "restart-window":
            return flag.message
    return ""


def _why_not_sent(record: RunRecord, instrument: InstrumentId) -> str:
    """Return the flag that kept an order here: the run's HALT, the instrument's own, any."""
    halts = [flag.message for flag in record.flags if flag.severity is Severity.HALT]
    own = [flag.message for flag in record.flags if flag.subject == instrument]
    holds = [
        flag.message
        for flag in record.flags
        if flag.severity is Severity.HOLD and flag.subject == RUN
    ]
    closed = [flag.message for flag in record.flags if flag.code == "session-closed"]
    found = [*halts, *own, *closed, *holds]
    return found[0] if found else "the run ended before it was its turn"


def _average(fills: Sequence[Fill]) -> Decimal | None:
    units = sum((abs(fill.quantity) for fill in fills), Decimal(0))
    if not units:
        return None
    return sum((abs(fill.quantity) * fill.price for fill in fills), Decimal(0)) / units


def _cost_bps(intent: OrderIntent, average: Decimal | None) -> Decimal | None:
    """Return (execution / decision - 1) x side in basis points; None without either price."""
    if average is None or intent.reference_price <= 0:
        return None
    side = 1 if intent.quantity > 0 else -1
    return side * (average / intent.reference_price - 1) * 10_000


def _executed_base(intent: OrderIntent, filled: Decimal) -> Decimal | None:
    """Return the part of the plan's notional that executed, in base currency."""
    notional = Decimal(repr(intent.notional))
    if not notional.is_finite() or not intent.quantity:
        return None
    return notional * filled / abs(intent.quantity)


def _commissions(fills: Sequence[Fill]) -> Iterator[Money]:
    totals: dict[str, Decimal] = {}
    for fill in fills:
        if fill.commission is not None:
            name = fill.commission_currency or fill.currency
            totals[name] = totals.get(name, Decimal(0)) + fill.commission
    for name in sorted(totals):
        yield Money(totals[name], name)


def _position(record: RunRecord, line: PlanLine | None, name: InstrumentId) -> PositionRow:
    after, before = record.after, record.before
    now = None if after is None else after.quantity(name)
    return PositionRow(
        instrument=name,
        before=None if before is None else before.quantity(name),
        now=now,
        target=None if line is None else line.target_quantity,
        weight=_weight(line, now),
        target_weight=None if line is None else line.target_weight,
        value_base=_value_base(record, name),
        managed=name not in record.unmanaged,
    )


def _weight(line: PlanLine | None, now: Decimal | None) -> float | None:
    """Return the weight of the quantity held now, at the prices of the plan."""
    if line is None or now is None:
        return None if line is None else line.current_weight
    if now == 0:
        return 0.0
    if line.current_weight and line.current_quantity:
        return line.current_weight * float(now / line.current_quantity)
    if line.target_weight and line.target_quantity:
        return line.target_weight * float(now / line.target_quantity)
    return None


def _value_base(record: RunRecord, name: InstrumentId) -> Decimal | None:
    seen = record.after or record.before
    if seen is None:
        return None
    for position in seen.positions:
        if position.instrument == name:
            if position.value is None or not seen.rates.knows(position.currency):
                return None
            return position.value * seen.rates.rate(position.currency)
    return Decimal(0)
