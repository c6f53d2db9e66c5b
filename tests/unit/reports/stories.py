"""A small portfolio's runs, made by hand, for the tests of the reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.flags import ErrorFlag, Severity, Step, TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.money import FxRate, FxRates
from rebalancer.model.orders import (
    Action,
    ApprovedOrder,
    Fill,
    OrderIntent,
    OrderStatus,
    OrderType,
    PlanLine,
    RefusedOrder,
    TimeInForce,
    WorkingOrder,
    order_reference,
)
from rebalancer.model.records import EquityPoint, Mode, Outcome, RunRecord, Standing
from rebalancer.model.sessions import Session, SessionTable, every_day
from rebalancer.reports.rows import order_rows

D = Decimal
APPLE = InstrumentId("AAPL.STK.USD@IB")
COKE = InstrumentId("KO.STK.USD@IB")
SAP = InstrumentId("SAP.STK.EUR@IB")
DAY = date(2020, 3, 2)
SLOT = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def new_york(days: int = 3) -> SessionTable:
    """Return sessions from 14:30 to 21:00 UTC, from Monday 2020-03-02 on."""
    return SessionTable("XNYS", [_session(DAY + timedelta(days=n)) for n in range(days)])


def around_the_clock() -> SessionTable:
    """Return the sessions of a venue that never closes."""
    return SessionTable("24/7", every_day(DAY, DAY + timedelta(days=3)))


def _session(day: date) -> Session:
    start = datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)
    return Session(day, start, start + timedelta(hours=6, minutes=30))


def account(quantities: dict[InstrumentId, tuple[str, str]], worth: str, **more: Any) -> Any:
    """Return a snapshot; `quantities` maps an instrument to units and value in its currency."""
    positions = tuple(
        Position(name, D(units), name.split(".")[2].partition("@")[0], value=D(value))
        for name, (units, value) in sorted(quantities.items())
    )
    rates = FxRates("USD", {"EUR": FxRate(D("1.10"), SLOT)})
    cash = more.pop("cash", {"USD": D("5000"), "EUR": D("-20")})
    return AccountSnapshot("DU123", SLOT, D(worth), cash, rates, positions, **more)


def intent(
    instrument: InstrumentId, quantity: str, reference: str, *, sequence: int = 0
) -> OrderIntent:
    """Return a wanted trade at five cents through its reference price."""
    signed = D(quantity)
    side = 1 if signed > 0 else -1
    return OrderIntent(
        instrument=instrument,
        quantity=signed,
        limit=D(reference) + side * D("0.05"),
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        currency="EUR" if ".EUR@" in instrument else "USD",
        reference_price=D(reference),
        reference_at=SLOT,
        current_quantity=D(100),
        target_quantity=D(100) + signed,
        current_weight=0.05,
        target_weight=0.10,
        notional=float(abs(signed) * D(reference)),
        fee=1.0,
        reducing=False,
        wave=0,
        sequence=sequence,
        reason="outside its band by 3.00 %",
    )


def approved(wanted: OrderIntent, slot: datetime = SLOT) -> ApprovedOrder:
    """Return the order as the gates let it through."""
    reference = order_reference("demo", slot, 1, wanted.instrument, wanted.sequence)
    return ApprovedOrder(reference, wanted, wanted.limit, slot + HOUR, reduce_only=False)


def line(wanted: OrderIntent, **changes: Any) -> PlanLine:
    """Return the row of the order file for a wanted trade."""
    plain = PlanLine(
        instrument=wanted.instrument,
        action=Action.BUY if wanted.quantity > 0 else Action.SELL,
        quantity=abs(wanted.quantity),
        limit=wanted.limit,
        order_type=wanted.order_type,
        time_in_force=wanted.time_in_force,
        reference_price=wanted.reference_price,
        reference_age_seconds=1,
        current_quantity=wanted.current_quantity,
        target_quantity=wanted.target_quantity,
        current_weight=wanted.current_weight,
        target_weight=wanted.target_weight,
        reason=wanted.reason,
    )
    return replace(plain, **changes)


def idle(instrument: InstrumentId, reason: str, target: str | None = "0.10") -> PlanLine:
    """Return the row of an instrument for which nothing is wanted; target None: not known."""
    return PlanLine(
        instrument=instrument,
        action=Action.NOTHING,
        quantity=D(0),
        limit=None,
        order_type=None,
        time_in_force=None,
        reference_price=D(30),
        reference_age_seconds=1,
        current_quantity=D(100),
        target_quantity=None if target is None else D(1000) * D(target),
        current_weight=0.08,
        target_weight=None if target is None else float(target),
        reason=reason,
    )


def fill(order: ApprovedOrder, number: int, quantity: str, price: str, fee: str | None) -> Fill:
    """Return one execution of an order; `fee` None: not billed yet."""
    return Fill(
        exec_id=f"{order.reference}.{number}",
        reference=order.reference,
        venue_order_id="7",
        instrument=order.instrument,
        quantity=D(quantity),
        price=D(price),
        currency=order.intent.currency,
        at=SLOT + timedelta(minutes=number),
        commission=None if fee is None else D(fee),
        commission_currency="" if fee is None else "USD",
    )


def working(order: ApprovedOrder, filled: str, status: OrderStatus, **more: Any) -> WorkingOrder:
    """Return the venue's last word on an order."""
    return WorkingOrder(
        order.reference,
        "7",
        order.instrument,
        order.quantity,
        D(filled),
        order.intent.limit,
        status,
        SLOT,
        **more,
    )


def flag(
    code: str, severity: str, subject: str = "", message: str = "", step: int = 7
) -> ErrorFlag:
    """Return a flag."""
    return ErrorFlag(Step(step), code, subject, Severity(severity), message or f"{code} happened")


def record(**changes: Any) -> RunRecord:
    """Return a finished run that did nothing, changed by `changes`."""
    plain = RunRecord(
        schema=1,
        portfolio="demo",
        slot=SLOT,
        attempt=1,
        mode=Mode.LIVE,
        session=DAY,
        outcome=Outcome.FINISHED,
        exit_code=0,
        reached=9,
        now=SLOT,
        before=account({APPLE: ("100", "5000")}, "100000"),
        after=account({APPLE: ("100", "5000")}, "100100"),
    )
    return replace(plain, **changes)


def busy(**changes: Any) -> RunRecord:
    """Return a run with a filled buy, a partly filled sell, a refusal and an idle instrument.

    The buy of 100 AAPL decided at 50.00 executed 60 at 50.02 and 40 at 50.04, that is
    5002.80 / 100 = 50.028 on average: +5.6 bps, 2.80 USD. The sell of 50 KO decided at 40.00
    executed 20 at 39.98: +5 bps, 0.40 USD.
    """
    buy = approved(intent(APPLE, "100", "50"))
    sell = approved(intent(COKE, "-50", "40", sequence=1))
    no = intent(SAP, "10", "100", sequence=2)
    refused = RefusedOrder(no, "max_order_weight", "30.00 % of net liquidation, at most 25.00 %")
    plain = record(
        lines=(line(buy.intent), line(sell.intent), line(no)),
        approved=(buy, sell),
        refused=(refused,),
        orders=(
            working(buy, "100", OrderStatus.FILLED),
            working(sell, "-20", OrderStatus.WORKING),
        ),
        fills=(
            fill(buy, 1, "60", "50.02", "0.60"),
            fill(buy, 2, "40", "50.04", None),
            fill(sell, 3, "-20", "39.98", "1.00"),
        ),
        flags=(
            flag("order-refused", "HOLD", SAP, f"{SAP}: order larger than allowed"),
            flag("commission-late", "NOTE", message="1 executions are still without commission"),
        ),
        after=account({APPLE: ("200", "10006"), COKE: ("80", "3198.4")}, "100100"),
        equity=point(SLOT, "100100"),
        standing=Standing(start_net_liquidation=D(100000)),
    )
    return replace(plain, **changes)


def point(slot: datetime, worth: str, **changes: Any) -> EquityPoint:
    """Return a row of the equity file; the portfolio began with 100,000."""
    plain = EquityPoint(
        slot=slot,
        session=slot.date(),
        net_liquidation=D(worth),
        cash_base=D(5000),
        gross_leverage=D("0.95"),
        net_leverage=D("0.9"),
        profit_since_last=D(10),
        profit_since_start=D(worth) - D(100000),
        drawdown=max(D(0), (D(101000) - D(worth)) / D(101000)),
        orders=1,
        fills=1,
        turnover=D(100),
        state=TradingState.ACTIVE,
    )
    return replace(plain, **changes)


def order_rows_with(**changes: Any) -> Any:
    """Return the row of a refused order, changed by `changes`."""
    return replace(order_rows(busy())[2], **changes)
