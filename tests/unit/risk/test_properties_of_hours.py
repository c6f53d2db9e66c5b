"""Whatever the hour and the state: nothing goes out when it may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.model.flags import RUN, ErrorFlag, Severity, Step, TradingState
from rebalancer.model.instrument import Kind
from rebalancer.model.sessions import Session
from rebalancer.risk import GateInput, RestartWindow, apply_gates
from rebalancer.risk.run_gates import LETS_REDUCE
from tests.unit.risk.builders import (
    CLOSE,
    OPEN,
    A,
    B,
    a_position,
    a_quote,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
)
from tests.unit.risk.property_cases import at, judged_by, loose, refused_by

HOLDS = an_account(a_position(A, "20"))
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)

either_side = st.sampled_from(["10", "-10"])


def one_trade(draw: st.DrawFn) -> GateInput:
    """Draw a buy, or a sale of half of what is held: reductions are not exempt here."""
    return gate_input([an_intent(A, draw(either_side))], account=HOLDS, limits=loose())


# ---------------------------------------------------------------------------- session


@st.composite
def times_around_a_session(draw: st.DrawFn) -> GateInput:
    after, before = (draw(st.sampled_from([0.0, 0.5, 15.0, 200.0])) for _ in range(2))
    edges = [OPEN, CLOSE, OPEN + timedelta(minutes=after), CLOSE - timedelta(minutes=before)]
    near = st.builds(
        lambda edge, more: edge + more * MICROSECOND,
        st.sampled_from(edges),
        st.sampled_from([-1, 0, 1]),
    )
    anywhere = st.integers(-30, 420).map(lambda minute: OPEN + timedelta(minutes=minute))
    session = Session(OPEN.date(), OPEN, CLOSE, always=not draw(st.integers(0, 3)))
    asked = replace(
        one_trade(draw),
        session=session if draw(st.integers(0, 9)) else None,
        limits=loose(
            order_window_after_open_minutes=after, order_window_before_close_minutes=before
        ),
    )
    return at(asked, draw(st.one_of(near, anywhere)))


@settings(deadline=None, max_examples=200)
@given(times_around_a_session())
def test_nothing_is_approved_outside_the_session_or_in_its_first_and_last_minutes(
    asked: GateInput,
) -> None:
    session, now = asked.session, asked.venue_now
    inside = False
    if session is not None:
        edge = 0 if session.always else 60 * 10**6  # microseconds in a minute
        since, left = (now - session.open) // MICROSECOND, (session.close - now) // MICROSECOND
        inside = (
            since >= asked.limits.order_window_after_open_minutes * edge
            and left > asked.limits.order_window_before_close_minutes * edge
        )
    verdicts = apply_gates(asked)
    word = "the market is closed" if session is None else "is outside the order window"
    assert judged_by(verdicts, "session", word) == (not inside)
    assert bool(verdicts.approved) == inside


# ---------------------------------------------------------------------------- restart

minutes = st.integers(0, 1439)


@st.composite
def times_around_a_restart(draw: st.DrawFn) -> GateInput:
    begin = draw(minutes)
    end = (begin + draw(st.sampled_from([1, 30, 60, 720, 1439]))) % 1440
    zone = draw(st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]))
    clock = draw(st.one_of(minutes, st.sampled_from([begin, begin - 1, end, end - 1]))) % 1440
    day = draw(st.sampled_from([datetime(2026, 1, 5), datetime(2026, 7, 6)]))  # noqa: DTZ001
    there = day.replace(hour=clock // 60, minute=clock % 60, tzinfo=ZoneInfo(zone))
    now = there.astimezone(UTC) + draw(st.integers(0, 59)) * timedelta(seconds=1)
    window = RestartWindow(time(*divmod(begin, 60)), time(*divmod(end, 60)), zone)
    configured = str(window) if draw(st.integers(0, 9)) else ""
    asked = replace(
        one_trade(draw),
        session=Session(now.date(), now - DAY, now + DAY),
        limits=loose(restart_window=configured),
    )
    return at(asked, now)


def minutes_of(clock: str) -> int:
    return 60 * int(clock[:2]) + int(clock[3:5])


@settings(deadline=None)
@given(times_around_a_restart())
def test_nothing_is_approved_while_the_gateway_restarts(asked: GateInput) -> None:
    text, inside = asked.limits.restart_window, False
    if text:
        span, zone = text.split()
        begin, end = (minutes_of(each) for each in span.split("-"))
        clock = minutes_of(f"{asked.venue_now.astimezone(ZoneInfo(zone)):%H:%M}")
        inside = (clock - begin) % 1440 < (end - begin) % 1440
    verdicts = apply_gates(asked)
    assert judged_by(verdicts, "restart", "the gateway restarts in", text) == inside
    assert bool(verdicts.approved) == (not inside)


# ---------------------------------------------------------------------------- funding

MIDNIGHT = datetime(2026, 1, 6, tzinfo=UTC)


@st.composite
def times_around_a_funding_payment(draw: st.DrawFn) -> GateInput:
    """Draw payments every few hours, of which the venue tells the next one only."""
    hours, window = draw(st.sampled_from([1, 2, 4, 8])), draw(st.sampled_from([0, 60, 1800]))
    paid = MIDNIGHT + timedelta(hours=hours * draw(st.integers(0, 24 // hours)))
    offset = draw(
        st.one_of(
            st.integers(-5_400, 5_400).map(lambda second: second * 10**6),
            st.builds(
                lambda edge, more: edge * 10**6 + more,
                st.sampled_from([-window, 0, window]),
                st.sampled_from([-1, 0, 1]),
            ),
        )
    )
    now = paid + offset * MICROSECOND
    gap = timedelta(hours=hours)
    coming = now + (MIDNIGHT - now) % gap
    late = coming == now or not draw(st.integers(0, 3))  # it still tells the one that was
    if late and coming != now:
        coming -= gap
    told = draw(st.sampled_from([coming] * 9 + [None]))
    asked = gate_input(
        [an_intent(A, draw(either_side))],
        account=HOLDS,
        session=Session(now.date(), now - DAY, now + DAY),
        quotes=[a_quote(A, next_funding=told)],
        limits=loose(funding_window_seconds=float(window)),
    )
    return at(asked, now)


@settings(deadline=None, max_examples=200)
@given(times_around_a_funding_payment())
def test_nothing_is_approved_around_a_funding_payment(asked: GateInput) -> None:
    now, told = asked.venue_now, asked.market.quotes[A].next_funding
    window = timedelta(seconds=asked.limits.funding_window_seconds)
    verdicts = apply_gates(asked)
    refused = judged_by(verdicts, "funding", "funding is exchanged at", "nothing is sent")
    assert bool(verdicts.approved) == (not refused)
    if told is None or not window:
        assert not refused
        return
    # What the venue tells is one payment. The one before it was a possible interval earlier.
    possible = [told, *(told - timedelta(hours=hours) for hours in (1, 2, 4, 8))]
    if refused:
        assert any(abs(payment - now) <= window for payment in possible)
    if abs(told - now) <= window:
        assert refused
    just_now = [payment for payment in possible[1:] if timedelta(0) <= now - payment <= window]
    assert refused or not just_now


# ---------------------------------------------------------------------------- venue-hours


@st.composite
def venues_that_are_shut(draw: st.DrawFn) -> GateInput:
    trading = draw(st.sampled_from([True, None, False]))
    return gate_input(
        [an_intent(A, draw(either_side))],
        account=HOLDS,
        quotes=[a_quote(A, trading=trading)],
        limits=loose(),
    )


@settings(deadline=None)
@given(venues_that_are_shut())
def test_nothing_is_approved_while_the_venue_says_that_it_takes_no_orders(
    asked: GateInput,
) -> None:
    shut = asked.market.quotes[A].trading is False
    verdicts = apply_gates(asked)
    assert judged_by(verdicts, "venue-hours", "the venue takes no orders", "closed") == shut
    assert bool(verdicts.approved) == (not shut)


# ---------------------------------------------------------------------------- day-trade

names = st.sampled_from([frozenset({A}), frozenset({A, B}), frozenset({B})])


@st.composite
def sessions_in_which_was_traded(draw: st.DrawFn) -> GateInput:
    least = draw(st.sampled_from([d(0), d(25_000), d(25_000)]))
    account = replace(
        HOLDS,
        net_liquidation=draw(st.sampled_from([d("24999.99"), d(25_000)])),
        day_trades_remaining=draw(st.sampled_from([None, None, 1, 0])),
    )
    return gate_input(
        [an_intent(A, draw(either_side))],
        account=account,
        stocks=[a_stock(A, kind=draw(st.sampled_from([Kind.STOCK] * 3 + [Kind.PERPETUAL])))],
        limits=loose(pattern_day_trader_equity=least),
        bought=draw(names),
        sold=draw(names),
    )


@settings(deadline=None)
@given(sessions_in_which_was_traded())
def test_a_small_account_undoes_no_trade_of_the_session(asked: GateInput) -> None:
    (intent,), account = asked.intents, asked.account
    undone = A in (asked.sold if intent.quantity > 0 else asked.bought)
    small = account.net_liquidation < asked.limits.pattern_day_trader_equity
    wrong = (
        undone
        and (small or account.day_trades_remaining == 0)
        and asked.universe[A].kind is Kind.STOCK
    )
    verdicts = apply_gates(asked)
    word = "allows no more" if account.day_trades_remaining == 0 else "at least 25,000 USD"
    assert judged_by(verdicts, "day-trade", "in this session: a day trade", word) == wrong
    assert bool(verdicts.approved) == (not wrong)


# ---------------------------------------------------------------------------- flags and states

flags = st.lists(
    st.builds(
        lambda code, subject, severity: ErrorFlag(Step.SIGNALS, code, subject, severity, "it was"),
        st.sampled_from(["price-missing", "rate-stale", *LETS_REDUCE]),
        st.sampled_from([A, B, RUN, "currency:USD", "currency:EUR", "sleeve:x"]),
        st.sampled_from([Severity.NOTE, Severity.HOLD, Severity.HOLD, Severity.HALT]),
    ),
    max_size=2,
)


@st.composite
def runs_that_may_not_do_everything(draw: st.DrawFn) -> GateInput:
    """Draw flags and a state for a purchase of A and one of B, and a reduction of A."""
    sells, buys = an_intent(A, "-10"), an_intent(A, "5", sequence=1, part=1)
    return gate_input(
        [sells, buys, an_intent(B, "10", sequence=2)],
        account=HOLDS,
        limits=loose(),
        flags=tuple(draw(flags)),
        state=draw(st.sampled_from([TradingState.ACTIVE] * 4 + list(TradingState))),
    )


def expected(asked: GateInput, sequence: int) -> str:
    """Return which gate refuses an order, '' for none."""
    name, reduces = (B if sequence == 2 else A), sequence == 0
    halted = any(flag.severity is Severity.HALT for flag in asked.flags)
    if halted or asked.state is TradingState.HALTED:
        return "halt"
    for flag in asked.flags:
        about = flag.subject in {name, "currency:USD"} and flag.severity is Severity.HOLD
        if about and not (reduces and flag.code in LETS_REDUCE):
            return "hold"
    stale = any((f.code, f.subject) == ("rate-stale", "currency:USD") for f in asked.flags)
    whole = any(f.severity is Severity.HOLD and f.subject == RUN for f in asked.flags)
    less = asked.state is TradingState.REDUCING or stale or whole
    return "reducing" if less and not reduces else ""


@settings(deadline=None)
@given(runs_that_may_not_do_everything())
def test_flags_and_states_refuse_what_they_are_about_and_nothing_else(asked: GateInput) -> None:
    verdicts = apply_gates(asked)
    by_gate = {gate: refused_by(verdicts, gate) for gate in ("halt", "hold", "reducing")}
    told = {each.intent.sequence: gate for gate, all_of in by_gate.items() for each in all_of}
    assert all(told.get(n, "") == expected(asked, n) for n in range(3))
    assert len(verdicts.approved) + len(told) == len(asked.intents)
    assert all(
        any(flag.message in each.reason for flag in asked.flags) or "trading state" in each.reason
        for refused in by_gate.values()
        for each in refused
    )
