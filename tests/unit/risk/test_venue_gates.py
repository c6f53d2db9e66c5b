"""What the venue would refuse is refused here, with its numbers; and nothing around funding."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.account import Position
from rebalancer.model.flags import Severity
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import Quote
from rebalancer.model.orders import OrderStatus, WorkingOrder
from rebalancer.model.rules import PriceBand, PriceLevel, TradingRules
from rebalancer.model.sessions import Session
from rebalancer.risk import Verdicts, apply_gates
from tests.unit.risk.builders import SESSION, an_account, an_intent, d, gate_input, some_limits

NAME = InstrumentId("BTCUSDT.PERP@BINANCE")
EIGHT = datetime(2026, 1, 5, 8, tzinfo=UTC)
RULES = TradingRules((PriceLevel(d(0), d("0.1")),), d("0.001"), d("0.001"), d("0.001"))
ALL_DAY = Session(SESSION.date, EIGHT - timedelta(hours=8), EIGHT + timedelta(hours=16))


def judged(
    quantity: str = "1",
    limit: str = "100",
    *,
    rules: TradingRules = RULES,
    now: datetime = EIGHT + timedelta(minutes=5),
    funding: datetime | None = EIGHT + timedelta(hours=8),
    held: str = "0",
    kind: Kind = Kind.PERPETUAL,
    **more: Any,
) -> Verdicts:
    perp = Instrument(NAME, kind, "BTCUSDT", "USDT", "24/7", rules)
    quote = Quote(
        NAME, now, d("99.9"), d("100.1"), close=d(100), trading=True,
        average_volume=d(10**9), next_funding=funding,
    )  # fmt: skip
    position = Position(NAME, d(held), "USDT", d(100), d(held) * 100, d(100))
    account = replace(
        an_account(cash={"USDT": "100000"}, rates={"USDT": "1"}),
        positions=(position,) if d(held) else (),
    )
    intent = replace(
        an_intent(NAME, quantity, limit), currency="USDT", reference_price=d(100),
        reference_at=now,
    )  # fmt: skip
    limits = some_limits(allow_short=True)
    given = gate_input([intent], account=account, quotes=[quote], stocks=[perp], limits=limits)
    changed = replace(given, venue_now=now, session=ALL_DAY, **more)
    return apply_gates(changed)


def why(verdicts: Verdicts) -> tuple[str, str]:
    (refused,) = verdicts.refused
    return refused.gate, refused.reason


@pytest.mark.parametrize("seconds", [-60, -1, 0, 1, 60])
def test_nothing_is_sent_around_a_funding_time(seconds: int) -> None:
    coming = EIGHT if seconds <= 0 else EIGHT + timedelta(hours=8)
    verdicts = judged(now=EIGHT + timedelta(seconds=seconds), funding=coming)
    gate, reason = why(verdicts)
    assert gate == "funding"
    assert "08:00 UTC" in reason
    (flag,) = verdicts.flags
    assert (flag.code, flag.subject, flag.severity) == ("funding-window", "", Severity.NOTE)


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_second_more_and_it_is_sent(seconds: int) -> None:
    coming = EIGHT if seconds <= 0 else EIGHT + timedelta(hours=8)
    assert judged(now=EIGHT + timedelta(seconds=seconds), funding=coming).approved


def test_an_hour_that_is_no_funding_time_is_an_ordinary_one() -> None:
    # three hours before the next payment nothing was paid
    assert judged(now=EIGHT + timedelta(seconds=10), funding=EIGHT + timedelta(hours=3)).approved
    assert judged(now=EIGHT, funding=None).approved


def test_the_window_is_the_owners() -> None:
    now = EIGHT - timedelta(seconds=30)
    for seconds, approved in ((0.0, 1), (29.0, 1), (30.0, 0)):
        limits = some_limits(allow_short=True, funding_window_seconds=seconds)
        assert len(judged(now=now, funding=EIGHT, limits=limits).approved) == approved


def test_the_worst_price_stays_inside_the_band() -> None:
    # 50 bps of 100 would be 100.5; the venue takes up to 100.2
    tight = replace(RULES, buy_band=PriceBand(high=d("1.0025")))
    approved = judged("1", "100", rules=tight, worst_price_bps=d(50)).approved
    assert approved[0].worst_price == d("100.2")
    assert judged("1", "100.3", rules=tight).refused[0].gate == "venue-band"


def working(quantity: str) -> WorkingOrder:
    return WorkingOrder("x", "1", NAME, d(quantity), Decimal(0), d(100), OrderStatus.WORKING, EIGHT)


def test_one_order_more_than_the_venue_takes_is_refused() -> None:
    few = replace(RULES, max_orders=1)
    assert why(judged("1", "100", rules=few, others=(working("1"),)))[0] == "venue-orders"
    assert judged("1", "100", rules=few).approved


def test_the_hour_that_has_just_begun_is_told_to_the_microsecond() -> None:
    # 08:00 was a funding time if the next is eight hours after it, not after 08:00:10.5.
    now = EIGHT + timedelta(seconds=10, microseconds=500_000)
    assert why(judged(now=now, funding=EIGHT + timedelta(hours=8))) == (
        "funding", "funding is exchanged at 08:00 UTC; nothing is sent 60 s around it"
    )  # fmt: skip
