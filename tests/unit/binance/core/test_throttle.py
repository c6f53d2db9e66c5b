"""The pace of calls: never above what the exchange allows, and hardly below."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.binance import weights
from rebalancer.brokers.binance.parameters import BinanceSettings, Product
from rebalancer.brokers.binance.throttle import Throttle
from rebalancer.brokers.binance.weights import is_listed, orders_of, plan_weight, weight_of
from tests.unit.binance.core.wire import NOW, Answer, Heard, Wire, line_on

ADAPTER = Path(weights.__file__).parent


def orders_sent(count: int, seconds_each: float) -> Wire:
    """Return a wire over which so many orders have gone as fast as the line lets them."""
    wire = Wire()
    wire.replies["POST /fapi/v1/order"] = lambda _: Answer({}, seconds=seconds_each)
    line = line_on(wire)
    for _ in range(count):
        line.signed("POST", "/fapi/v1/order", symbol="BTCUSDT")
    return wire


def most_within(wire: Wire, seconds: float) -> int:
    """Return the most requests in any window of so many seconds, wherever it begins."""
    times = [each.at for each in wire.heard]
    span = timedelta(seconds=seconds)
    return max(sum(1 for t in times if start <= t < start + span) for start in times)


def test_orders_go_out_at_95_percent_of_the_allowed_rate_at_least_and_never_above() -> None:
    """300 in ten seconds are allowed: 95 % of it are 285 in every full window."""
    wire = orders_sent(900, 0.002)
    assert 285 <= most_within(wire, 10) <= 300
    took = (wire.heard[-1].at - wire.heard[0].at).total_seconds()
    assert took <= 900 / 285 * 10


def test_the_minutes_limit_of_orders_holds_too() -> None:
    """1200 a minute: the 1177th waits for the next one, 95 % are 1140."""
    wire = orders_sent(1400, 0.002)
    assert 1140 <= most_within(wire, 60) <= 1200
    assert most_within(wire, 10) <= 300


def test_slow_answers_are_made_up_for_by_nothing_but_their_own_time() -> None:
    wire = orders_sent(50, 0.1)
    assert wire.paused == []


def test_orders_that_others_sent_are_counted_by_the_header() -> None:
    wire = Wire()
    wire.replies["POST /fapi/v1/order"] = Answer({}, headers={"X-MBX-ORDER-COUNT-10S": "290"})
    line = line_on(wire)
    for _ in range(5):
        line.signed("POST", "/fapi/v1/order")
    # 290 were told after the first: four more make 294, 98 % of 300; the sixth must wait.
    assert wire.paused == []
    line.signed("POST", "/fapi/v1/order")
    assert wire.time == NOW + timedelta(seconds=10)


def test_weight_is_kept_below_our_share_of_the_minute() -> None:
    """80 % of 2400 are 1920: 384 calls of weight 5, then the next minute is waited for."""
    wire = Wire()
    wire.replies["GET /fapi/v3/account"] = {}
    line = line_on(wire)
    for _ in range(385):
        line.signed("GET", "/fapi/v3/account")
    minutes = Counter(each.at.replace(second=0, microsecond=0) for each in wire.heard)
    assert list(minutes.values()) == [384, 1]
    assert wire.heard[-1].at == NOW + timedelta(seconds=60, milliseconds=50)


def test_what_others_used_from_this_address_is_told_by_the_header_and_believed() -> None:
    wire = Wire()
    wire.replies["GET /fapi/v3/account"] = Answer({}, headers={"x-mbx-used-weight-1m": "1918"})
    line = line_on(wire)
    line.signed("GET", "/fapi/v3/account")
    line.signed("GET", "/fapi/v3/account")
    assert wire.time == NOW + timedelta(seconds=60, milliseconds=50)


@pytest.mark.parametrize("count", ["9" * 5000, "\u00b2", "1e3", "-5", " ", "many"])
def test_a_count_that_is_none_costs_no_answer(count: str) -> None:
    """An order may rest on the answer: whatever stands in a header, it is read."""
    throttle = Throttle(0.8)
    headers = {"X-MBX-USED-WEIGHT-1M": count, "X-MBX-ORDER-COUNT-10S": count}
    throttle.take(Product.USDM, 1, 1, NOW)
    throttle.heard(Product.USDM, headers, NOW)
    assert throttle.wait(Product.USDM, 1, 1, NOW) == 0


def test_a_header_below_our_own_count_gives_weight_back() -> None:
    wire = Wire()
    wire.replies["GET /fapi/v3/account"] = Answer({}, headers={"X-MBX-USED-WEIGHT-1M": "5"})
    line = line_on(wire)
    for _ in range(500):
        line.signed("GET", "/fapi/v3/account")
    assert wire.paused == []


def test_an_answer_from_over_the_minutes_end_does_not_fill_the_new_minute() -> None:
    wire = Wire()
    wire.time = NOW + timedelta(seconds=59.9)
    used = {"X-MBX-USED-WEIGHT-1M": "1919"}
    wire.replies["GET /fapi/v3/account"] = Answer({}, headers=used, seconds=0.2)
    line = line_on(wire)
    line.signed("GET", "/fapi/v3/account")
    wire.replies["GET /fapi/v3/account"] = {}
    line.signed("GET", "/fapi/v3/account")
    assert wire.paused == []


def test_an_order_answered_over_the_windows_end_does_not_fill_the_new_window() -> None:
    wire = Wire()
    wire.time = NOW + timedelta(seconds=9.9)
    used = {"X-MBX-ORDER-COUNT-10S": "294"}
    wire.replies["POST /fapi/v1/order"] = Answer({}, headers=used, seconds=0.2)
    line = line_on(wire)
    line.signed("POST", "/fapi/v1/order")
    line.signed("POST", "/fapi/v1/order")
    assert wire.paused == []


def test_the_limits_are_those_of_the_exchanges_list() -> None:
    wire = Wire()
    told = [
        ("REQUEST_WEIGHT", "MINUTE", 1, 6000),
        ("ORDERS", "SECOND", 10, 50),
        ("ORDERS", "MINUTE", 1, "many"),
        ("RAW_REQUESTS", "MINUTE", 5, 9),
    ]
    names = ("rateLimitType", "interval", "intervalNum", "limit")
    wire.replies["GET /fapi/v1/exchangeInfo"] = {
        "rateLimits": [*(dict(zip(names, each, strict=True)) for each in told), "rubbish"],
        "symbols": [],
    }  # fmt: skip
    line = line_on(wire)
    line.get("/fapi/v1/exchangeInfo")
    assert line.throttle.per_minute(Product.USDM) == 4800
    assert line.throttle.order_limit(Product.USDM, 10) == 49
    assert line.throttle.order_limit(Product.USDM, 60) == 1176
    assert line.throttle.per_minute(Product.SPOT) == 4800


def test_questions_about_funding_have_a_window_of_their_own() -> None:
    wire = Wire()
    wire.replies["GET /fapi/v1/fundingRate"] = []
    line = line_on(wire)
    for _ in range(501):
        line.get("/fapi/v1/fundingRate", symbol="BTCUSDT")
    assert 475 <= most_within(wire, 300) <= 500


def test_a_call_heavier_than_the_whole_share_leaves_when_nothing_else_was_used() -> None:
    throttle = Throttle(0.01)
    assert throttle.wait(Product.USDM, 40, 0, NOW) == 0
    throttle.take(Product.USDM, 40, 0, NOW)
    assert throttle.wait(Product.USDM, 40, 0, NOW) > 0


@pytest.mark.parametrize(
    ("call", "asked", "weight"),
    [
        ("GET /fapi/v1/klines", {"limit": "99"}, 1),
        ("GET /fapi/v1/klines", {"limit": "100"}, 2),
        ("GET /fapi/v1/klines", {"limit": "499"}, 2),
        ("GET /fapi/v1/klines", {"limit": "500"}, 5),
        ("GET /fapi/v1/klines", {}, 5),
        ("GET /fapi/v1/klines", {"limit": "1500"}, 10),
        ("GET /fapi/v1/openOrders", {}, 40),
        ("GET /fapi/v1/openOrders", {"symbol": "BTCUSDT"}, 1),
        ("GET /fapi/v1/ticker/bookTicker", {}, 5),
        ("GET /fapi/v1/premiumIndex", {}, 10),
        ("GET /fapi/v1/income", {}, 30),
        ("GET /fapi/v1/userTrades", {"symbol": "BTCUSDT"}, 5),
        ("POST /fapi/v1/order", {}, 0),
        ("GET /api/v3/klines", {"limit": "1000"}, 2),
        ("GET /api/v3/openOrders", {}, 80),
        ("GET /api/v3/openOrders", {"symbol": "BTCUSDT"}, 6),
        ("GET /api/v3/ticker/24hr", {"symbols": '["A","B"]'}, 2),
        ("GET /api/v3/ticker/24hr", {"symbols": ",".join("A" * 21)}, 40),
        ("GET /api/v3/ticker/24hr", {}, 80),
        ("GET /api/v3/myTrades", {"symbol": "BTCUSDT"}, 20),
        ("GET /api/v3/myTrades", {"symbol": "BTCUSDT", "orderId": "7"}, 5),
        ("GET /api/v3/account", {}, 20),
    ],
)
def test_a_call_weighs_what_the_documentation_says(
    call: str, asked: dict[str, str], weight: int
) -> None:
    method, path = call.split()
    assert weight_of(method, path, asked) == weight


def test_the_table_has_every_path_that_the_adapter_knows() -> None:
    found = set()
    for file in ADAPTER.glob("*.py"):
        if file.name != "weights.py":
            found |= set(
                re.findall(r'"(/(?:api|fapi|sapi)/v\d/[A-Za-z0-9/]+)"', file.read_text("utf-8"))
            )
    assert len(found) > 20
    methods = ("GET", "POST", "PUT", "DELETE")
    unlisted = {p for p in found if not any(is_listed(m, p) for m in methods)}
    assert unlisted == {"/fapi/v1/funding"} & found


def test_the_table_agrees_with_what_the_simulated_exchange_charges() -> None:
    from rebalancer.simulators.binance_server.routes import ROUTES

    for name, route in ROUTES.items():
        method, path = name.split()
        if is_listed(method, path) and isinstance(route.weight, int):
            assert weight_of(method, path, {"limit": "1000"}) == route.weight, name
        if route.orders and is_listed(method, path):
            assert orders_of(method, path) == route.orders, name


def settings(**changes: Any) -> BinanceSettings:
    return BinanceSettings(**changes)


def test_a_runs_weight_is_planned_from_its_universe_and_histories() -> None:
    """500 perpetuals, 499 hours: 2 each are 1000; everything else is a few hundred."""
    plan = plan_weight(Product.USDM, 500, settings(history_hours=499, history_days=20), 1920)
    assert plan.parts["history"] == 1000
    assert plan.total < 1920
    assert plan.minutes == 1
    assert "history 1000" in str(plan)


def test_a_run_that_needs_several_minutes_says_so() -> None:
    plan = plan_weight(Product.USDM, 500, settings(history_days=1500), 1920)
    assert plan.parts["history"] == 4 * 2 * 500
    assert plan.minutes == -(-plan.total // 1920) > 1


def test_setting_leverage_and_margin_type_of_every_symbol_is_planned_for() -> None:
    few = plan_weight(Product.USDM, 500, settings(), 1920).total
    assert plan_weight(Product.USDM, 500, settings(leverage=3), 1920).total == few + 1000


def test_calls_of_one_product_do_not_use_up_the_others_weight() -> None:
    wire = Wire("https://fapi.example", "https://api.example")

    def answer(_heard: Heard) -> Answer:
        return Answer({}, headers={"X-MBX-USED-WEIGHT-1M": "5990"})

    wire.replies["GET /api/v3/account"] = answer
    wire.replies["GET /fapi/v3/account"] = {}
    line = line_on(wire)
    line.signed("GET", "/api/v3/account")
    line.signed("GET", "/fapi/v3/account")
    assert wire.paused == []
    line.signed("GET", "/api/v3/account")
    assert wire.paused


@pytest.mark.parametrize("hours", [-1, 1])
def test_waits_are_not_longer_or_shorter_because_the_exchanges_clock_leapt(hours: int) -> None:
    wire = Wire()
    wire.replies["POST /fapi/v1/order"] = Answer({})
    line = line_on(wire)
    line.measure()
    line.throttle.hold(line.now() + timedelta(seconds=2))
    for _ in range(300):
        line.throttle.take(Product.USDM, 0, 1, line.now())
    wire.ahead = timedelta(hours=hours)
    line.measure()
    line.signed("POST", "/fapi/v1/order", symbol="BTCUSDT")
    # To the end of what was asked for, then of the window of 300 orders in ten seconds.
    assert wire.paused == [2.0, 8.0]
