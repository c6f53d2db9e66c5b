"""What happens while time passes: funding at its recorded times, symbols that come and go."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.simulators.binance_server.call import ApiError
from rebalancer.simulators.binance_server.figures import milliseconds, time_of
from rebalancer.simulators.binance_server.symbols import SymbolChange, delisted, halted
from tests.binance_servers import START
from tests.unit.binance_server.reading.recorded import Venue

HOUR = timedelta(hours=1)
INFO = "/fapi/v1/exchangeInfo"


def symbol(venue: Venue, name: str) -> dict[str, object] | None:
    """Return what exchangeInfo says of a perpetual, None when it says nothing."""
    rows = venue.ask("GET", INFO)["symbols"]
    return next((row for row in rows if row["symbol"] == name), None)


def test_recorded_funding_moves_the_wallet_by_quantity_times_mark_times_rate() -> None:
    venue = Venue()
    venue.trade("BTCUSDT", "BUY", "0.050")
    venue.trade("ETHUSDT", "SELL", "1.000")
    before = Decimal(venue.ask("GET", "/fapi/v3/account")["totalWalletBalance"])
    venue.advance(START + HOUR)
    rows = venue.ask("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")
    assert {row["symbol"] for row in rows} == {"BTCUSDT", "ETHUSDT"}
    for row, quantity in zip(
        sorted(rows, key=lambda row: str(row["symbol"])), ("0.05", "-1"), strict=True
    ):
        words = {"symbol": row["symbol"], "startTime": str(row["time"]), "limit": "1"}
        (told,) = venue.ask("GET", "/fapi/v1/fundingRate", **words)
        assert told["fundingTime"] == row["time"]
        paid = -Decimal(quantity) * Decimal(told["markPrice"]) * Decimal(told["fundingRate"])
        assert Decimal(row["income"]) == pytest.approx(paid, abs=Decimal("0.00000001"))
    after = Decimal(venue.ask("GET", "/fapi/v3/account")["totalWalletBalance"])
    assert after - before == sum(Decimal(row["income"]) for row in rows)
    # the recording is some milliseconds off the whole hour at times, never more than ten
    assert all(abs(row["time"] - milliseconds(START + 55 * HOUR / 60)) <= 10 for row in rows)


def test_the_same_amounts_come_from_the_account_the_balances_and_the_positions() -> None:
    venue = Venue()
    venue.trade("BTCUSDT", "BUY", "0.050")
    venue.trade("SOLUSDT", "SELL", "10")
    venue.advance(START + 10 * HOUR)
    account = venue.ask("GET", "/fapi/v3/account")
    positions = venue.ask("GET", "/fapi/v3/positionRisk")
    (usdt,) = [r for r in venue.ask("GET", "/fapi/v3/balance") if r["asset"] == "USDT"]
    assert usdt["balance"] == account["totalWalletBalance"]
    for total, part in (
        ("totalUnrealizedProfit", "unRealizedProfit"),
        ("totalInitialMargin", "initialMargin"),
        ("totalMaintMargin", "maintMargin"),
    ):
        assert Decimal(account[total]) == sum(Decimal(row[part]) for row in positions)
    engine = venue.server.exchange.worth()
    assert Decimal(account["totalMarginBalance"]) == pytest.approx(engine.net_liquidation)
    assert Decimal(account["totalInitialMargin"]) == pytest.approx(engine.initial)
    assert Decimal(account["totalMaintMargin"]) == pytest.approx(engine.maintenance)


def test_a_symbol_listed_yesterday_has_candles_since_then_only() -> None:
    yesterday = START - timedelta(days=1)
    venue = Venue(changes=(SymbolChange(at=yesterday, symbol="SOLUSDT", listed=True),))
    found = symbol(venue, "SOLUSDT")
    assert found is not None and found["onboardDate"] == milliseconds(yesterday)
    words = {"symbol": "SOLUSDT", "interval": "1h"}
    rows = venue.ask("GET", "/fapi/v1/klines", **words, limit="499")
    assert len(rows) == 25
    assert time_of(rows[0][0]) == yesterday.replace(minute=0)
    first = str(milliseconds(START - timedelta(days=10)))
    assert venue.ask("GET", "/fapi/v1/klines", **words, startTime=first) == rows


def test_a_symbol_is_not_known_before_it_is_listed() -> None:
    venue = Venue(changes=(SymbolChange(at=START + HOUR, symbol="SOLUSDT", listed=True),))
    assert symbol(venue, "SOLUSDT") is None
    with pytest.raises(ApiError) as refused:
        venue.ask("GET", "/fapi/v1/ticker/bookTicker", symbol="SOLUSDT")
    assert refused.value.code == -1121
    venue.advance(START + 2 * HOUR)
    assert symbol(venue, "SOLUSDT") is not None


def test_a_delisting_is_announced_by_its_delivery_date_and_ends_the_symbol() -> None:
    end = START + 5 * HOUR
    venue = Venue(changes=delisted("SOLUSDT", START - HOUR, end))
    found = symbol(venue, "SOLUSDT")
    assert found is not None
    assert (found["deliveryDate"], found["status"]) == (milliseconds(end), "TRADING")
    venue.advance(end + HOUR)
    found = symbol(venue, "SOLUSDT")
    assert found is None or found["status"] != "TRADING"


def test_a_halted_symbol_says_so_and_has_no_prices_to_trade_at() -> None:
    venue = Venue(changes=halted("SOLUSDT", START - HOUR, START + HOUR))
    found = symbol(venue, "SOLUSDT")
    assert found is not None and found["status"] == "BREAK"
    row = venue.ask("GET", "/fapi/v1/ticker/bookTicker", symbol="SOLUSDT")
    assert Decimal(row["bidPrice"]) == 0
    mark = venue.ask("GET", "/fapi/v1/premiumIndex", symbol="SOLUSDT")
    assert Decimal(mark["markPrice"]) > 0, "what is held is still worth something"
    venue.advance(START + 2 * HOUR)
    row = venue.ask("GET", "/fapi/v1/ticker/bookTicker", symbol="SOLUSDT")
    assert Decimal(row["bidPrice"]) > 0


def test_a_filter_that_changes_is_told_from_then_on() -> None:
    change = SymbolChange(at=START + HOUR, symbol="SOLUSDT", tick=Decimal("0.1000"))
    venue = Venue(changes=(change,))
    before = symbol(venue, "SOLUSDT")
    venue.advance(START + 2 * HOUR)
    after = symbol(venue, "SOLUSDT")
    assert before is not None and after is not None
    assert before["filters"] != after["filters"]


def test_a_largest_position_is_a_tenth_filter_of_spot() -> None:
    change = SymbolChange(
        at=START - HOUR, symbol="SOLUSDT", product="spot", max_position=Decimal(50)
    )
    venue = Venue(changes=(change,))
    (row,) = venue.ask("GET", "/api/v3/exchangeInfo", symbol="SOLUSDT")["symbols"]
    assert len(row["filters"]) == 10
    assert row["filters"][-1] == {"filterType": "MAX_POSITION", "maxPosition": "50.00000000"}


def test_the_key_may_trade_and_may_not_withdraw(venue: Venue) -> None:
    rights = venue.ask("GET", "/sapi/v1/account/apiRestrictions")
    assert rights["enableFutures"] and rights["enableSpotAndMarginTrading"]
    assert rights["ipRestrict"]
    assert not rights["enableWithdrawals"]
    assert venue.ask("GET", "/dapi/v1/exchangeInfo")["symbols"] == []
    assert venue.ask("GET", "/sapi/v1/margin/allPairs") == []
