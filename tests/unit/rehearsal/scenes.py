"""A schedule that went well, made by hand; each test spoils one thing of it.

Three runs of a portfolio of two stocks. The first buys 100 of A at 10.00 for a commission of
1.00 out of 50,000; the two calm ones after it find everything where it should be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rebalancer.ledger import trade_records
from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.codec import to_json, to_plain
from rebalancer.model.flags import ErrorFlag, LatchedFlag, Severity, Step
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.money import FxRates
from rebalancer.model.orders import (
    Action,
    ApprovedOrder,
    Fill,
    OrderIntent,
    OrderStatus,
    OrderType,
    PlanLine,
    TimeInForce,
    WorkingOrder,
    order_reference,
)
from rebalancer.model.records import (
    Entry,
    EntryKind,
    Mode,
    Outcome,
    RunRecord,
    Standing,
)
from rebalancer.model.sessions import SessionTable
from rebalancer.model.universe import Universe
from rebalancer.rehearsal.evidence import Arrival, Evidence, Move, RunEvidence, Violation
from rebalancer.rehearsal.observer import judge
from rebalancer.risk.parameters import Limits
from rebalancer.simulators.books import Account, Execution, Holding, Order
from rebalancer.simulators.faults.schedule import Hour, Schedule
from rebalancer.store.books import slot_name
from rebalancer.store.csv_log import trades_csv

FIRST = datetime(2026, 1, 5, 15, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
SLOTS = (FIRST, FIRST + HOUR, FIRST + 2 * HOUR)
A, B = InstrumentId("A.STK.USD@IB"), InstrumentId("B.STK.USD@IB")
REFERENCE = order_reference("books", FIRST, 1, A, 0)
EXECUTION = "0000e0d5.000001a4.01.01"
AT_TARGET = "at its target"


def d(text: str | int) -> Decimal:
    """Return a decimal."""
    return Decimal(text)


def stock(name: InstrumentId) -> Instrument:
    """Return a stock in USD."""
    return Instrument(name, Kind.STOCK, name.partition(".")[0], "USD", "XNYS")


class Scene:
    """The parts of a case; `judged` writes the files and asks the judge."""

    def __init__(self) -> None:
        self.venue = "ib"
        self.post = False
        self.sessions: SessionTable | None = None
        self.hours: tuple[Hour, ...] = (Hour(minutes=60, wanted={A: "0.02"}),)
        self.account = an_account()
        self.opening = {"USD": d(50_000)}
        self.flows: dict[str, Decimal] = {}
        self.moves: tuple[Move, ...] = ()
        self.moved: dict[InstrumentId, Decimal] = {}
        self.entries = [Entry(EntryKind.FILL, FIRST, a_fill(), d("10.01"))]
        self.trades: list[Fill] | None = None
        self.journals: dict[datetime, list[dict[str, Any]]] = {
            slot: [
                {"kind": "begin", "attempt": 1, "mode": "paper"},
                {"kind": "step", "attempt": 1, "step": 1},
                *(_sent() if slot == FIRST else ()),
                {"kind": "end", "attempt": 1},
            ]
            for slot in SLOTS
        }
        self.records = {slot: a_record(slot) for slot in SLOTS}
        self.runs = [a_run(slot) for slot in SLOTS]

    def add_order(self, reference: str, name: InstrumentId = A, **changes: Any) -> Order:
        """Let the venue have one more order, working, of 10."""
        order = an_order(
            id=len(self.account.orders) + 1,
            reference=reference,
            instrument=name,
            quantity=d(10),
            filled=d(0),
            status=OrderStatus.WORKING,
            ended_at=None,
        )
        for field, value in changes.items():
            setattr(order, field, value)
        self.account.orders = (*self.account.orders, order)
        return order

    def add_trade(
        self, reference: str, quantity: str, name: InstrumentId = A, **changes: Any
    ) -> None:
        """Let the venue have one more trade at 10.00 for 1.00, and no line of ours about it."""
        execution = an_execution(
            id=f"0000e0d5.00000{len(self.account.executions) + 1:03d}.01.01",
            reference=reference,
            instrument=name,
            quantity=d(quantity),
        )
        for field, value in changes.items():
            setattr(execution, field, value)
        self.account.executions = (*self.account.executions, execution)
        holding = self.account.holdings.setdefault(name, Holding())
        holding.quantity += execution.quantity
        self.account.cash["USD"] -= execution.quantity * execution.price + execution.commission

    def note(self, slot: datetime, before: str, **line: Any) -> None:
        """Put a line into a journal before the first line of that kind."""
        lines = self.journals[slot]
        place = next(n for n, each in enumerate(lines) if each["kind"] == before)
        lines.insert(place, {"attempt": 1, **line})

    def flag(
        self,
        slot: datetime,
        code: str,
        severity: Severity,
        subject: str = "",
        step: Step = Step.NET_LIQUIDATION,
        before: str = "intents",
    ) -> None:
        """Raise a flag in a run: in its journal before a line of that kind, and in its record."""
        flag = ErrorFlag(step, code, subject, severity, "a test")
        self.note(slot, before, kind="flag", flag=to_plain(flag))
        self.change(slot, flags=(*self.records[slot].flags, flag))

    def latch(self, slot: datetime, code: str, severity: Severity, subject: str = "") -> None:
        """Let a record remember a latched flag."""
        standing = self.records[slot].standing or Standing()
        flag = LatchedFlag(code, subject, severity, "a test", slot)
        self.change(slot, standing=replace(standing, latched=(*standing.latched, flag)))

    def change(self, slot: datetime, **changes: Any) -> None:
        """Change a record, and what the run returned."""
        self.records[slot] = replace(self.records[slot], **changes)
        for run in self.runs:
            if run.slot == slot and run.record is not None:
                run.record, run.exit_code = self.records[slot], self.records[slot].exit_code

    def judged(self, state: Path) -> tuple[Violation, ...]:
        """Write what the runs left, and judge it."""
        self._write(state)
        return judge(self.evidence(state))

    def evidence(self, state: Path) -> Evidence:
        """Return what there is to be judged."""
        return Evidence(
            schedule=Schedule(self.venue, 1, self.hours, post=self.post),
            venue=self.venue,
            portfolio="books",
            universe=Universe([stock(A), stock(B)]),
            limits=Limits(),
            account=self.account,
            opening_cash=self.opening,
            runs=self.runs,
            state=state,
            flows=self.flows,
            moves=self.moves,
            moved=self.moved,
            sessions=self.sessions,
            session_mails=() if self.sessions is None else ("start",),
        )

    def broken(self, state: Path) -> set[str]:
        """Return the names of the invariants that do not hold."""
        return {violation.invariant for violation in self.judged(state)}

    def _write(self, state: Path) -> None:
        for slot, lines in self.journals.items():
            folder = state / "runs" / slot_name(slot)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "journal.jsonl").write_text(_jsonl(lines), encoding="ascii")
        for slot, record in self.records.items():
            folder = state / "runs" / slot_name(slot)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "record.json").write_text(to_json(record), encoding="ascii")
        (state / "fills.jsonl").write_text(_jsonl(self.entries), encoding="ascii")
        rows = trade_records(self.entries)
        if self.trades is not None:
            rows = trade_records([Entry(EntryKind.FILL, FIRST, each) for each in self.trades])
        (state / "trades.csv").write_bytes(trades_csv(rows))


def _jsonl(lines: Any) -> str:
    return "\n".join(['{"schema":1}', *(to_json(line) for line in lines), ""])


def _sent() -> list[dict[str, Any]]:
    return [
        {"kind": "intents", "attempt": 1, "orders": [to_plain(an_approved())]},
        {"kind": "sent", "attempt": 1, "references": [REFERENCE]},
        {"kind": "order", "attempt": 1, "order": to_plain(a_working(OrderStatus.FILLED))},
    ]


def an_approved(
    reference: str = REFERENCE, name: InstrumentId = A, **changes: Any
) -> ApprovedOrder:
    """Return the approval to buy 100 at 10.00, never above 10.10."""
    intent = OrderIntent(
        instrument=name,
        quantity=d(100),
        limit=d("10.00"),
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        currency="USD",
        reference_price=d("10.01"),
        reference_at=FIRST,
        current_quantity=d(0),
        target_quantity=d(100),
        current_weight=0.0,
        target_weight=0.02,
        notional=1000.0,
        fee=1.0,
        reducing=False,
        wave=0,
        sequence=0,
        reason="an order is wanted",
    )
    terms: dict[str, Any] = {
        "worst_price": d("10.10"),
        "deadline": FIRST + HOUR,
        "reduce_only": False,
    }
    own = {key: changes.pop(key) for key in tuple(changes) if key in terms}
    return ApprovedOrder(reference, replace(intent, **changes), **(terms | own))


def a_working(status: OrderStatus, reference: str = REFERENCE, **changes: Any) -> WorkingOrder:
    """Return what the venue said of the order."""
    order = WorkingOrder(reference, "1", A, d(100), d(100), d("10.00"), status, FIRST + 5 * SECOND)
    return replace(order, **changes)


def a_fill(**changes: Any) -> Fill:
    """Return our line about the execution."""
    fill = Fill(
        EXECUTION,
        REFERENCE,
        "1",
        A,
        d(100),
        d("10.00"),
        "USD",
        FIRST + 5 * SECOND,
        d("1.00"),
        "USD",
    )
    return replace(fill, **changes)


def an_order(**changes: Any) -> Order:
    """Return the order in the venue's books."""
    values: Mapping[str, Any] = {
        "id": 1,
        "reference": REFERENCE,
        "instrument": A,
        "quantity": d(100),
        "limit": d("10.00"),
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.DAY,
        "reduce_only": False,
        "placed_at": FIRST + 2 * SECOND,
        "status": OrderStatus.FILLED,
        "filled": d(100),
        "ended_at": FIRST + 5 * SECOND,
    }
    return Order(**(dict(values) | changes))


def an_execution(**changes: Any) -> Execution:
    """Return the execution in the venue's books."""
    values: Mapping[str, Any] = {
        "id": EXECUTION,
        "order": 1,
        "reference": REFERENCE,
        "instrument": A,
        "quantity": d(100),
        "price": d("10.00"),
        "currency": "USD",
        "at": FIRST + 5 * SECOND,
        "liquidity": "taker",
        "commission": d("1.00"),
        "commission_currency": "USD",
        "tell_at": FIRST + 6 * SECOND,
        "told": True,
    }
    return Execution(**(dict(values) | changes))


def an_account() -> Account:
    """Return the venue's books: 50,000 - 100 x 10.00 - 1.00 = 48,999."""
    return Account(
        schema=1,
        account="DU1",
        base="USD",
        seed=1,
        now=SLOTS[-1] + timedelta(minutes=5),
        cash={"USD": d(48_999)},
        carried_cash={"USD": d(50_000)},
        holdings={A: Holding(d(100), d("10.00"))},
        orders=(an_order(),),
        executions=(an_execution(),),
    )


def a_record(slot: datetime) -> RunRecord:
    """Return a run's record; the first bought, the others left everything alone."""
    bought = slot == FIRST
    held = d(100)
    after = AccountSnapshot(
        "DU1",
        slot + timedelta(minutes=4),
        d(49_999),
        {"USD": d(48_999)},
        FxRates("USD", {}),
        (Position(A, held, "USD", d(10), d(1000), d(10)),),
    )
    line = PlanLine(
        instrument=A,
        action=Action.BUY if bought else Action.NOTHING,
        quantity=held if bought else d(0),
        limit=d("10.00") if bought else None,
        order_type=None,
        time_in_force=None,
        reference_price=d("10.00"),
        reference_age_seconds=0,
        current_quantity=d(0) if bought else held,
        target_quantity=held,
        current_weight=0.0,
        target_weight=0.02,
        reason="an order is wanted" if bought else AT_TARGET,
    )
    idle = replace(
        line,
        instrument=B,
        action=Action.NOTHING,
        quantity=d(0),
        current_quantity=d(0),
        target_quantity=d(0),
        reason=AT_TARGET,
    )
    return RunRecord(
        schema=1,
        portfolio="books",
        slot=slot,
        attempt=1,
        mode=Mode.PAPER,
        session=slot.date(),
        outcome=Outcome.FINISHED,
        exit_code=0,
        reached=13,
        now=slot + timedelta(minutes=4),
        after=after,
        lines=(line, idle),
        approved=(an_approved(),) if bought else (),
        orders=(a_working(OrderStatus.FILLED),) if bought else (),
        fills=(a_fill(),) if bought else (),
        entries=1,
        standing=Standing(),
    )


def a_run(slot: datetime) -> RunEvidence:
    """Return what a driver saw of a run."""
    bought = slot == FIRST
    record = a_record(slot)
    return RunEvidence(
        slot=slot,
        attempt=1,
        began=slot,
        ended=slot + timedelta(minutes=5),
        record=record,
        exit_code=0,
        orders_before=() if bought else (1,),
        orders_after=(1,),
        frames=Counter({"placeOrder": 1} if bought else {}),
        arrivals=(an_arrival(),) if bought else (),
        hour=0 if bought else None,
    )


def an_arrival(**changes: Any) -> Arrival:
    """Return the order's message as the venue heard it."""
    arrival = Arrival(
        at=FIRST + 2 * SECOND,
        message="placeOrder",
        verb="new",
        reference=REFERENCE,
        instrument=A,
        quantity=d(100),
        limit=d("10.00"),
        journaled=True,
        held=d(0),
    )
    return replace(arrival, **changes)
