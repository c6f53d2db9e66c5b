"""CSV attachments that a spreadsheet can open without running anything."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Fill
from rebalancer.model.records import Attachment, RunRecord
from rebalancer.model.words import cell
from rebalancer.reports.rows import OrderRow

TRADES = (
    "exec_id", "at", "instrument", "side", "quantity", "price", "currency", "commission",
    "commission_currency", "reference", "decision_price",
)  # fmt: skip
ORDERS = (
    "slot", "instrument", "action", "quantity", "limit", "order_type", "reference_price",
    "current_weight", "target_weight", "reason", "fate", "why", "filled", "average_price",
    "cost_bps", "reference",
)  # fmt: skip


def trades_csv(fills: Sequence[Fill], decisions: Mapping[str, Decimal]) -> Attachment:
    """Return one row per execution; a commission that is not billed yet is empty, never zero.

    `decisions` has the decision price of an order reference.
    """
    rows = [
        (
            fill.exec_id, fill.at, fill.instrument, "BUY" if fill.quantity > 0 else "SELL",
            abs(fill.quantity), fill.price, fill.currency, fill.commission,
            fill.commission_currency, fill.reference, decisions.get(fill.reference),
        )
        for fill in fills
    ]  # fmt: skip
    return _attachment("trades.csv", TRADES, rows)


def orders_csv(rows: Sequence[OrderRow], records: Sequence[RunRecord]) -> Attachment:
    """Return one row per wanted order, then one per instrument that was left alone and why."""
    wanted = [
        (
            row.slot, row.instrument, row.action.value, row.quantity, row.limit, row.order_type,
            row.reference_price, row.current_weight, row.target_weight, row.reason,
            row.fate.value, row.why, row.filled, row.average_price,
            None if row.cost_bps is None else round(row.cost_bps, 4), row.reference,
        )
        for row in rows
    ]  # fmt: skip
    named: set[tuple[datetime, InstrumentId]] = {(row.slot, row.instrument) for row in rows}
    idle = [
        (
            record.slot, line.instrument, line.action.value, line.quantity, line.limit, "",
            line.reference_price, line.current_weight, line.target_weight, line.reason,
            "", "", None, None, None, "",
        )
        for record in records
        for line in record.lines
        if (record.slot, line.instrument) not in named
    ]  # fmt: skip
    return _attachment("orders.csv", ORDERS, [*wanted, *idle])


def _attachment(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Attachment:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return Attachment(name, out.getvalue().encode("utf-8"), "text/csv")


def _cell(value: object) -> str:
    """Return a cell; text that a spreadsheet would take for a formula gets a quote in front."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (int, float)):
        return repr(value)
    return cell(str(value))
