"""Weights, order counts, 429 and 418."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rebalancer.simulators.binance_server.call import ApiError
from rebalancer.simulators.binance_server.limits import BANS, PATIENCE, Limits
from rebalancer.simulators.binance_server.server import BinanceServer
from tests.binance_servers import call, request, server

NOON = datetime(2025, 3, 20, 12, 0, 10, tzinfo=UTC)


def refusal(limits: Limits, weight: int, at: datetime, product: str = "usdm") -> ApiError | None:
    try:
        limits.require_welcome(at)
        limits.take(product, weight, at)
    except ApiError as error:
        return error
    return None


@pytest.mark.parametrize(("product", "most"), [("usdm", 2400), ("spot", 6000)])
def test_a_minute_takes_so_much_weight_and_no_more(product: str, most: int) -> None:
    limits = Limits()
    assert refusal(limits, most, NOON, product) is None
    error = refusal(limits, 1, NOON, product)
    assert error is not None
    assert (error.code, error.status) == (-1003, 429)
    assert error.headers == {"Retry-After": "50"}, "at 10 s of the minute, 50 are left"
    assert refusal(limits, 1, NOON + timedelta(seconds=50), product) is None, "the next minute"


def test_the_products_are_weighed_apart() -> None:
    limits = Limits()
    assert refusal(limits, 2400, NOON, "usdm") is None
    assert refusal(limits, 1, NOON, "spot") is None


def test_who_goes_on_after_429_is_banned_and_longer_each_time() -> None:
    limits = Limits()
    limits.take("usdm", 2400, NOON)
    answers = [refusal(limits, 1, NOON) for _ in range(PATIENCE + 1)]
    assert [error.status for error in answers if error] == [429] * PATIENCE + [418]
    banned = answers[-1]
    assert banned is not None
    assert banned.headers["Retry-After"] == "120"  # two minutes
    assert str(round((NOON + BANS[0]).timestamp() * 1000)) in banned.message
    later = refusal(limits, 0, NOON + timedelta(seconds=119), "spot")
    assert later is not None
    assert later.status == 418, "the address is banned, whatever it asks"
    again = NOON + BANS[0]
    assert refusal(limits, 2400, again) is None
    for _ in range(PATIENCE):
        refusal(limits, 1, again)
    second = refusal(limits, 1, again)
    assert second is not None
    assert second.headers["Retry-After"] == "600"


def test_orders_are_counted_in_their_windows() -> None:
    limits = Limits()
    for _ in range(300):
        limits.take_orders("usdm", 1, NOON)
    with pytest.raises(ApiError, match="300 orders per 10 SECOND") as raised:
        limits.take_orders("usdm", 1, NOON)
    assert (raised.value.code, raised.value.status) == (-1015, 429)
    assert raised.value.headers == {"Retry-After": "10"}
    for window in range(1, 4):
        for _ in range(300):
            limits.take_orders("usdm", 1, NOON + timedelta(seconds=10 * window))
    with pytest.raises(ApiError, match="1200 orders per 1 MINUTE"):
        limits.take_orders("usdm", 1, NOON + timedelta(seconds=40))
    assert limits.weights()["usdm-orders-1M-peak"] == 1200


def test_a_batch_counts_five_in_ten_seconds_and_one_in_a_minute() -> None:
    limits = Limits()
    limits.take_orders("usdm", 5, NOON)
    assert limits.order_counts("usdm", NOON) == {"10S": 5, "1M": 1}


def buy(venue: BinanceServer, path: str, **more: str) -> dict[str, str]:
    wanted = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", **more}
    answer = venue.handle(request(venue, "POST", path, True, **wanted))
    assert answer.status == 200, answer.body
    return {name: value for name, value in answer.headers.items() if name.startswith("X-MBX")}


def test_an_order_of_a_perpetual_weighs_nothing_and_is_counted() -> None:
    venue = server()
    headers = buy(venue, "/fapi/v1/order")
    assert headers == {
        "X-MBX-USED-WEIGHT-1M": "0",
        "X-MBX-ORDER-COUNT-10S": "1",
        "X-MBX-ORDER-COUNT-1M": "1",
    }


def test_only_spot_orders_that_have_not_traded_stay_on_the_count() -> None:
    venue = server()
    filled = buy(venue, "/api/v3/order")
    assert filled["X-MBX-ORDER-COUNT-10S"] == "0"
    assert filled["X-MBX-USED-WEIGHT-1M"] == "0", "the weight of 1 is given back"
    resting = {"type": "LIMIT", "price": "80000", "timeInForce": "GTC"}
    assert buy(venue, "/api/v3/order", **resting)["X-MBX-ORDER-COUNT-10S"] == "1"
    assert buy(venue, "/api/v3/order", **resting)["X-MBX-ORDER-COUNT-1D"] == "2"


def test_a_refused_spot_order_weighs_one() -> None:
    venue = server()
    with pytest.raises(ApiError):
        call(venue, "POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET")
    assert venue.limits.weights()["spot"] == 1


def test_every_answer_tells_the_weight_and_only_orders_the_count() -> None:
    venue = server()
    for used in ("1", "2"):
        answer = venue.handle(request(venue, "GET", "/fapi/v1/time", sign=False))
        assert answer.headers["X-MBX-USED-WEIGHT-1M"] == used
        assert not any("ORDER" in name for name in answer.headers)
    spot = venue.handle(request(venue, "GET", "/api/v3/time", sign=False))
    assert spot.headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_a_refused_signature_was_weighed_all_the_same() -> None:
    venue = server()
    bad = request(venue, "GET", "/fapi/v3/account")
    answer = venue.handle(type(bad)("GET", bad.path, bad.query + "0", "", bad.headers))
    assert answer.status == 400
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "5"


def test_429_and_418_come_over_the_wire() -> None:
    venue = server(latency_seconds=0.0)
    seen = []
    for _ in range(60 + PATIENCE + 2):
        answer = venue.handle(request(venue, "GET", "/fapi/v1/openOrders"))
        seen.append(answer.status)
        if answer.status != 200:
            assert int(answer.headers["Retry-After"]) > 0
    # All open orders weigh 40: 2400 / 40 = 60 requests fit.
    assert seen == [200] * 60 + [429] * PATIENCE + [418] * 2
    venue.let_pass(timedelta(seconds=120))
    assert call(venue, "GET", "/fapi/v1/openOrders") == []
