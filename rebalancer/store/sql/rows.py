"""One session date as rows: table name -> rows, made from records and the books."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from rebalancer.model.orders import Action, PlanLine
from rebalancer.model.records import EquityPoint, RunRecord, TradeRecord

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Day:
    """What the books say of one session date."""

    session: date
    records: Sequence[RunRecord]
    trades: Sequence[TradeRecord]
    equity: Sequence[EquityPoint]


def day_rows(day: Day, portfolio: str) -> dict[str, list[Row]]:
    """Return the rows of a session date by table."""
    tables = {
        "runs": _runs(day.records),
        "orders": (row for record in day.records for row in _orders(record)),
        "trades": (asdict(trade) for trade in day.trades),
        "positions": _positions(day.records),
        "equity": ({**asdict(point), "state": point.state.value} for point in day.equity),
        "flags": (row for record in day.records for row in _flags(record)),
    }
    common = {"portfolio": portfolio, "session": day.session}
    return {name: [{**row, **common} for row in rows] for name, rows in tables.items()}


def _runs(records: Iterable[RunRecord]) -> Iterable[Row]:
    for record in records:
        account = record.after or record.before
        yield {
            "slot": record.slot,
            "attempt": record.attempt,
            "mode": record.mode.value,
            "outcome": record.outcome.value,
            "exit_code": record.exit_code,
            "reached": record.reached,
            "net_liquidation": None if account is None else account.net_liquidation,
            "wanted": sum(1 for line in record.lines if line.action is not Action.NOTHING),
            "approved": len(record.approved),
            "refused": len(record.refused),
            "fills": len(record.fills),
            "flags": len(record.flags),
        }


def _orders(record: RunRecord) -> Iterable[Row]:
    """Yield the lines that want a trade, each with what became of it."""
    for number, line in enumerate(record.lines):
        if line.action is Action.NOTHING:
            continue
        yield {
            "slot": record.slot,
            "line": number,
            "instrument": line.instrument,
            "action": line.action.value,
            "quantity": line.quantity,
            "limit_price": line.limit,
            "reference_price": line.reference_price,
            "current_quantity": line.current_quantity,
            "target_quantity": line.target_quantity,
            "current_weight": line.current_weight,
            "target_weight": line.target_weight,
            "reason": line.reason,
            **_fate(record, line),
        }


def _fate(record: RunRecord, line: PlanLine) -> Row:
    """Return reference, status and refusal of a line; None where there is none.

    A line and its order have instrument and size in common (a reversal has two lines).
    """
    key = line.instrument, abs(line.quantity)
    approved = [o for o in record.approved if (o.instrument, abs(o.quantity)) == key]
    refused = [r for r in record.refused if (r.intent.instrument, abs(r.intent.quantity)) == key]
    reference = approved[0].reference if approved else None
    last = [order for order in record.orders if order.reference == reference]
    return {
        "reference": reference,
        "status": last[-1].status.value if last else None,
        "filled": last[-1].filled if last else None,
        "refused_by": refused[0].gate if refused else None,
        "refusal": refused[0].reason if refused else None,
    }


def _positions(records: Sequence[RunRecord]) -> Iterable[Row]:
    """Yield the holdings that the day's last run saw."""
    seen = [(record, record.after or record.before) for record in records]
    known = [(record, account) for record, account in seen if account is not None]
    if not known:
        return
    record, account = known[-1]
    for held in account.positions:
        yield {
            "instrument": held.instrument,
            "at": account.at,
            "quantity": held.quantity,
            "currency": held.currency,
            "price": held.price,
            "value": held.value,
            "average_cost": held.average_cost,
            "unmanaged": held.instrument in record.unmanaged,
        }


def _flags(record: RunRecord) -> Iterable[Row]:
    for number, flag in enumerate(record.flags):
        yield {
            "slot": record.slot,
            "line": number,
            "step": int(flag.step),
            "code": flag.code,
            "subject": flag.subject,
            "severity": flag.severity.value,
            "message": flag.message,
        }
