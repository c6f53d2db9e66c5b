"""Orders that follow others on spot: they count as orders, and not as new wishes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import ApprovedOrder
from rebalancer.model.records import RunRecord
from tests.exchanges import FIRST, Exchanges, write_coins
from tests.portfolios import QUIET, write_signal

COINS = ("BTC", "ETH", "SOL", "XRP", "ADA", "LTC")
EAGER = """
[execution]
window_seconds = 500
repeg_seconds = 10
worst_price_bps = 300
"""


def spot(folder: Path, risk: str = "") -> Exchanges:
    """Return a portfolio whose orders rest away from the market and follow it often."""
    return Exchanges(
        write_coins(
            folder,
            coins=COINS,
            kind="SPOT",
            leverage="1",
            planning='order_type = "POST_ONLY"\nlimit_offset_bps = -20',
            risk=risk,
            extra=EAGER + QUIET,
        )
    )


def hour(exchanges: Exchanges, number: int, weight: str) -> RunRecord:
    """Run one hour in which every coin is wanted at one weight."""
    at = FIRST + timedelta(hours=number)
    wanted = {f"{coin}USDT.SPOT@BINANCE": weight for coin in COINS}
    write_signal(exchanges.path.parent, wanted, at, portfolio="coins")
    return exchanges.hour(at)


def first_of(record: RunRecord) -> dict[InstrumentId, ApprovedOrder]:
    """Return the first order of each instrument."""
    return {order.instrument: order for order in reversed(record.approved)}


def test_orders_that_follow_make_no_plan_larger_than_it_was(tmp_path: Path) -> None:
    record = hour(spot(tmp_path), 0, "0.05")
    first = first_of(record)
    assert len(record.approved) > len(first), "nothing followed: the test shows nothing"
    assert record.before is not None
    assert record.standing is not None
    wanted = sum(Decimal(str(order.intent.notional)) for order in first.values())
    (remembered,) = record.standing.wanted_turnover.values()
    assert abs(remembered - wanted / record.before.net_liquidation) < Decimal("0.00001")


def test_nothing_follows_beyond_the_orders_of_a_run(tmp_path: Path) -> None:
    record = hour(spot(tmp_path, "max_orders_per_run = 8"), 0, "0.05")
    assert len(record.orders) == 8
    flags = [flag for flag in record.flags if flag.code == "order-refused"]
    assert flags
    assert all("the open rest of" in each.message for each in flags)
    assert all("it is order 9 of this run; the limit is 8" in each.message for each in flags)
    assert all(order.status.terminal for order in record.orders)  # nothing is left resting
    assert record.standing is not None
    assert record.standing.orders_in_session == 8


def test_a_session_whose_orders_are_used_up_lets_the_portfolio_out(tmp_path: Path) -> None:
    exchanges = spot(tmp_path, "max_orders_per_session = 20\nmax_orders_per_run = 30")
    hour(exchanges, 0, "0.05")
    record = hour(exchanges, 1, "0.15")
    assert record.standing is not None
    assert record.standing.orders_in_session == 20
    out = hour(exchanges, 2, "0")
    assert out.refused == ()
    assert {order.instrument for order in out.approved} == set(first_of(out))
    assert all(order.quantity < 0 for order in out.approved)
    assert out.standing is not None
    assert 20 < out.standing.orders_in_session <= 30
    # Not for ever: a runaway has an end.
    last = hour(exchanges, 3, "0.1")
    assert {each.gate for each in last.refused} == {"orders"}
