"""The files that people open in a spreadsheet: trades, equity, orders.

A header row is the version of its file. Times are UTC, amounts exact, unknown is an empty
cell; text that a spreadsheet would take for a formula gets a quote in front.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from io import StringIO
from itertools import pairwise
from pathlib import Path

from rebalancer.errors import NewerState, StateError
from rebalancer.model.flags import TradingState
from rebalancer.model.orders import PlanLine
from rebalancer.model.records import EquityPoint, TradeRecord
from rebalancer.model.words import cell

EQUITY = tuple(field.name for field in fields(EquityPoint))
TRADES = (
    "exec_id", "at", "slot", "instrument", "side", "quantity", "price", "currency",
    "commission", "commission_currency", "reference", "decision_price",
)  # fmt: skip
ORDERS = (
    "instrument", "action", "quantity", "limit_price", "order_type", "time_in_force",
    "reference_price", "reference_age_seconds", "current_quantity", "target_quantity",
    "current_weight", "target_weight", "reason", "mode",
)  # fmt: skip

_WEIGHT_DIGITS = 6


def trades_csv(trades: Iterable[TradeRecord]) -> bytes:
    """Return `trades.csv`: one row per execution; a commission is empty until it is known."""
    rows = (
        (
            row.exec_id, row.at, row.slot, row.instrument, row.side, row.quantity, row.price,
            row.currency, row.commission, row.commission_currency, row.reference,
            row.decision_price,
        )
        for row in trades
    )  # fmt: skip
    return _table(TRADES, rows)


def orders_csv(lines: Iterable[PlanLine], mode: str) -> bytes:
    """Return `orders.csv`: one row per plan line; weights are fractions with six decimals.

    `mode` stands in every row: "dry-run" marks an order file of which nothing was sent.
    """
    rows = (
        (
            row.instrument, row.action, row.quantity, row.limit, row.order_type,
            row.time_in_force, row.reference_price, row.reference_age_seconds,
            row.current_quantity, row.target_quantity, row.current_weight, row.target_weight,
            row.reason, mode,
        )
        for row in lines
    )  # fmt: skip
    return _table(ORDERS, rows)


def equity_csv(points: Iterable[EquityPoint]) -> bytes:
    """Return `equity.csv`: one row per run."""
    return _table(EQUITY, ((getattr(row, name) for name in EQUITY) for row in points))


def equity_row(point: EquityPoint) -> bytes:
    """Return the line that adds a run to `equity.csv`."""
    return equity_csv((point,)).partition(b"\n")[2]


def read_equity(content: bytes, path: Path) -> tuple[EquityPoint, ...]:
    """Return the rows of `equity.csv`; the torn end of a write that never returned is left out.

    Raises `NewerState` for columns this program does not know, `StateError` naming a line
    that is damaged or out of order.
    """
    whole = content[: content.rfind(b"\n") + 1]
    try:
        rows = list(csv.reader(StringIO(whole.decode("ascii"), newline="")))
    except (ValueError, csv.Error) as error:
        raise StateError(f"{path} is damaged ({error}); see docs/STATE.md") from error
    header = tuple(rows[0]) if rows else ()
    if header != EQUITY:
        newer = set(header) > set(EQUITY)
        kind = NewerState if newer else StateError
        raise kind(f"{path}: its columns are not those of this version; see docs/STATE.md")
    points = tuple(_point(row, path, number) for number, row in enumerate(rows[1:], 2))
    for number, (one, two) in enumerate(pairwise(points), 3):
        if one.slot >= two.slot:
            raise StateError(f"{path} line {number} is out of order; see docs/STATE.md")
    return points


def _point(row: Sequence[str], path: Path, number: int) -> EquityPoint:
    try:
        cells = dict(zip(EQUITY, row, strict=True))
        return EquityPoint(
            slot=datetime.fromisoformat(cells["slot"]).astimezone(UTC),
            session=date.fromisoformat(cells["session"]),
            net_liquidation=Decimal(cells["net_liquidation"]),
            cash_base=Decimal(cells["cash_base"]),
            gross_leverage=Decimal(cells["gross_leverage"]),
            net_leverage=Decimal(cells["net_leverage"]),
            profit_since_last=Decimal(cells["profit_since_last"]),
            profit_since_start=Decimal(cells["profit_since_start"]),
            drawdown=Decimal(cells["drawdown"]),
            orders=int(cells["orders"]),
            fills=int(cells["fills"]),
            turnover=Decimal(cells["turnover"]),
            state=TradingState(cells["state"]),
        )
    except (ValueError, InvalidOperation) as error:
        raise StateError(f"{path} line {number} is damaged ({error}); see docs/STATE.md") from error


def _table(header: Sequence[str], rows: Iterable[Iterable[object]]) -> bytes:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode("utf-8")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, float):
        rounded = round(value, _WEIGHT_DIGITS) + 0.0  # no "-0.000000"
        return f"{rounded:.{_WEIGHT_DIGITS}f}"
    if isinstance(value, int):
        return str(value)
    return cell(str(value))
