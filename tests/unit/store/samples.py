"""Small true-to-life values for the tests of the store: one instrument, one run an hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.flags import ErrorFlag, Severity, Step, TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.money import FxRates
from rebalancer.model.orders import Action, Fill, OrderType, PlanLine, TimeInForce
from rebalancer.model.records import (
    SCHEMA,
    Entry,
    EntryKind,
    EquityPoint,
    Mode,
    Outcome,
    RunRecord,
    Standing,
    TradeRecord,
)
from rebalancer.store.atomic import Files
from rebalancer.store.books import StateFolder

APPLE = InstrumentId("AAPL.STK.USD@IB")
SLOT = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
"""A Monday."""
HOUR = timedelta(hours=1)


def fill(name: str, at: datetime = SLOT, quantity: str = "10", fee: str | None = "1.005") -> Fill:
    """Return an execution at 300.10."""
    return Fill(
        exec_id=name,
        reference="demo.2003021505r1.AAAAAAAA.1",
        venue_order_id="7",
        instrument=APPLE,
        quantity=Decimal(quantity),
        price=Decimal("300.10"),
        currency="USD",
        at=at + timedelta(minutes=1),
        commission=None if fee is None else Decimal(fee),
        commission_currency="" if fee is None else "USD",
    )


def entry(name: str, slot: datetime = SLOT, kind: EntryKind = EntryKind.FILL) -> Entry:
    """Return a line of `fills.jsonl`."""
    return Entry(kind, slot, fill(name, slot), Decimal("300.05"))


def trade(name: str, slot: datetime = SLOT, commission: str | None = "1.005") -> TradeRecord:
    """Return the row of `trades.csv` for `fill(name)`."""
    return TradeRecord(
        exec_id=name,
        at=slot + timedelta(minutes=1),
        slot=slot,
        instrument=APPLE,
        side="BUY",
        quantity=Decimal(10),
        price=Decimal("300.10"),
        currency="USD",
        commission=None if commission is None else Decimal(commission),
        commission_currency="" if commission is None else "USD",
        reference="demo.2003021505r1.AAAAAAAA.1",
        decision_price=Decimal("300.05"),
    )


def trades_of(entries: tuple[Entry, ...]) -> tuple[TradeRecord, ...]:
    """Return one row per FILL line: what the ledger does, without corrections."""
    return tuple(trade(e.fill.exec_id, e.slot) for e in entries if e.kind is EntryKind.FILL)


def point(slot: datetime = SLOT, worth: str = "100000.123456789012345678") -> EquityPoint:
    """Return a row of `equity.csv`; its worth has more digits than a float holds."""
    return EquityPoint(
        slot=slot,
        session=slot.date(),
        net_liquidation=Decimal(worth),
        cash_base=Decimal("97000"),
        gross_leverage=Decimal("0.03"),
        net_leverage=Decimal("0.03"),
        profit_since_last=Decimal("-0.5"),
        profit_since_start=Decimal("12.25"),
        drawdown=Decimal("0"),
        orders=1,
        fills=1,
        turnover=Decimal("3001.00"),
        state=TradingState.ACTIVE,
    )


def account(at: datetime = SLOT) -> AccountSnapshot:
    """Return an account with ten Apple shares and cash."""
    return AccountSnapshot(
        account="PAPER",
        at=at,
        net_liquidation=Decimal("100000.5"),
        cash={"USD": Decimal("97000")},
        rates=FxRates("USD", {}),
        positions=(
            Position(APPLE, Decimal(10), "USD", Decimal("300.05"), Decimal("3000.50"), None),
        ),
    )


def line(action: Action = Action.BUY, reason: str = "outside its band") -> PlanLine:
    """Return a row of the order file."""
    return PlanLine(
        instrument=APPLE,
        action=action,
        quantity=Decimal(10),
        limit=Decimal("300.10"),
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        reference_price=Decimal("300.05"),
        reference_age_seconds=0,
        current_quantity=Decimal(0),
        target_quantity=Decimal(10),
        current_weight=-0.0000001,
        target_weight=1 / 33,
        reason=reason,
    )


def record(slot: datetime = SLOT, entries: int = 0, **changes: object) -> RunRecord:
    """Return a finished run's record."""
    made = RunRecord(
        schema=SCHEMA,
        portfolio="demo",
        slot=slot,
        attempt=1,
        mode=Mode.PAPER,
        session=slot.date(),
        outcome=Outcome.FINISHED,
        exit_code=0,
        reached=9,
        now=slot,
        after=account(slot),
        lines=(line(),),
        flags=(ErrorFlag(Step.SUBMIT, "dry-run", "", Severity.NOTE, "it's a note"),),
        entries=entries,
        equity=point(slot),
        standing=Standing(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def run(books: StateFolder, slot: datetime = SLOT, name: str = "E1") -> None:
    """Leave what one run leaves, in the order in which a run does it."""
    books.note(slot, {"kind": "begin", "attempt": 1}, durable=True)
    books.save_orders(slot, [line()], label="paper")
    books.note(slot, {"kind": "intents", "orders": []}, durable=True)
    books.book([entry(name, slot)])
    books.save_standing(replace(books.standing(), failed_runs=0, high_water_mark=Decimal(100)))
    entries = books.entries()
    books.save_record(record(slot, len(entries)), {"pid": 1}, trades_of(entries))
    books.note(slot, {"kind": "end", "attempt": 1}, durable=True)


def folder(path: Path, files: Files | None = None) -> StateFolder:
    """Return a portfolio's books below a test's folder."""
    return StateFolder(path / "state" / "demo", files or Files())


MONDAY = date(2020, 3, 2)
