"""The account's amounts against arithmetic done by hand. Prices stand still here.

0.5 BTC bought at 80,000, now 82,000, at 20 times: worth 41,000, profit 0.5 * 2,000 = 1,000,
initial margin 41,000 / 20 = 2,050, maintenance 41,000 * 0.4 % = 164.
10 ETH sold at 2,000, now 1,900, at 10 times: worth -19,000, profit 10 * 100 = 1,000, initial
margin 1,900, maintenance 19,000 * 0.4 % = 76.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from tests.unit.binance_server.reading.still import Still


@pytest.fixture
def held(still: Still) -> Still:
    still.cash(USDT="10000")
    still.marks(BTCUSDT="82000", ETHUSDT="1900", BNBUSDT="600")
    still.hold("BTCUSDT", "0.5", "80000")
    still.hold("ETHUSDT", "-10", "2000")
    still.ask("POST", "/fapi/v1/leverage", symbol="ETHUSDT", leverage="10")
    return still


def test_cross_margin_adds_up(held: Still) -> None:
    account = held.ask("GET", "/fapi/v3/account")
    totals = {key: text for key, text in account.items() if isinstance(text, str)}
    assert totals == {
        "totalInitialMargin": "3950.00000000",  # 2,050 + 1,900
        "totalMaintMargin": "240.00000000",  # 164 + 76
        "totalWalletBalance": "10000.00000000",
        "totalUnrealizedProfit": "2000.00000000",
        "totalMarginBalance": "12000.00000000",
        "totalPositionInitialMargin": "3950.00000000",
        "totalOpenOrderInitialMargin": "0.00000000",
        "totalCrossWalletBalance": "10000.00000000",
        "totalCrossUnPnl": "2000.00000000",
        "availableBalance": "8050.00000000",  # 12,000 - 3,950
        "maxWithdrawAmount": "8050.00000000",
    }


def test_both_versions_of_the_account_and_the_balances_say_the_same(held: Still) -> None:
    second, third = (held.ask("GET", f"/fapi/v{n}/account") for n in (2, 3))
    assert all(second[key] == text for key, text in third.items() if isinstance(text, str))
    usdt = next(row for row in second["assets"] if row["asset"] == "USDT")
    assert usdt["walletBalance"] == "10000.00000000"
    assert usdt["marginBalance"] == "12000.00000000"
    for version in (2, 3):
        rows = held.ask("GET", f"/fapi/v{version}/balance")
        row = next(row for row in rows if row["asset"] == "USDT")
        assert row["balance"] == usdt["walletBalance"]
        assert row["crossUnPnl"] == "2000.00000000"
        assert row["availableBalance"] == "8050.00000000"


def test_a_position_of_version_three_is_complete(held: Still) -> None:
    bitcoin, ether = held.ask("GET", "/fapi/v3/positionRisk")
    assert (bitcoin["symbol"], ether["symbol"]) == ("BTCUSDT", "ETHUSDT")
    assert bitcoin["positionAmt"] == "0.500"
    assert bitcoin["entryPrice"] == "80000"
    assert bitcoin["markPrice"] == "82000.00000000"
    assert bitcoin["notional"] == "41000.00000000"
    assert bitcoin["unRealizedProfit"] == "1000.00000000"
    assert bitcoin["initialMargin"] == "2050.00000000"
    assert bitcoin["maintMargin"] == "164.00000000"
    assert bitcoin["openOrderInitialMargin"] == "0"
    assert ether["positionAmt"] == "-10.000"
    assert ether["notional"] == "-19000.00000000"
    assert ether["unRealizedProfit"] == "1000.00000000"


def test_the_liquidation_price_is_where_the_margin_balance_meets_the_maintenance(
    held: Still,
) -> None:
    bitcoin, ether = held.ask("GET", "/fapi/v3/positionRisk")
    # 12,000 + 0.5 (p - 82,000) = 76 + 0.5 p * 0.004  =>  0.498 p = 29,076
    assert Decimal(bitcoin["liquidationPrice"]) == pytest.approx(Decimal(29_076) / Decimal("0.498"))
    # 12,000 - 10 (p - 1,900) = 164 + 10 p * 0.004  =>  10.04 p = 30,836
    assert Decimal(ether["liquidationPrice"]) == pytest.approx(Decimal(30_836) / Decimal("10.04"))


def test_version_two_lists_every_symbol_and_version_three_only_what_is_open(held: Still) -> None:
    listed = held.ask("GET", "/fapi/v1/symbolConfig")
    assert len(held.ask("GET", "/fapi/v2/positionRisk")) == len(listed)
    assert len(held.ask("GET", "/fapi/v2/account")["positions"]) == len(listed)
    assert len(held.ask("GET", "/fapi/v3/positionRisk")) == 2
    held.rest("BNBUSDT", "1", "550")
    rows = held.ask("GET", "/fapi/v3/positionRisk")
    found = next(row for row in rows if row["symbol"] == "BNBUSDT")
    assert (found["positionAmt"], found["bidNotional"]) == ("0.00", "550.00000000")


def test_an_order_needs_margin_only_for_what_it_makes_larger(held: Still) -> None:
    held.rest("BTCUSDT", "-1", "83000")
    account = held.ask("GET", "/fapi/v3/account")
    # sold out and over: |41,000 - 83,000| / 20 = 2,100, that is 50 more than the position's
    assert account["totalOpenOrderInitialMargin"] == "50.00000000"
    assert account["totalPositionInitialMargin"] == "3950.00000000"
    assert account["availableBalance"] == "8000.00000000"


def test_a_reduce_only_order_needs_none(held: Still) -> None:
    held.rest("BTCUSDT", "-1", "83000", reduce_only=True)
    account = held.ask("GET", "/fapi/v3/account")
    assert account["totalOpenOrderInitialMargin"] == "0.00000000"


def test_multi_assets_mode_counts_everything_in_dollars_after_the_haircut(held: Still) -> None:
    held.cash(USDT="10000", BTC="0.1", BNB="10")
    held.ask("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    account = held.ask("GET", "/fapi/v3/account")
    # 10,000 + 0.1 * 82,000 * 0.95 + 10 * 600 * 0.95 = 10,000 + 7,790 + 5,700
    assert account["totalWalletBalance"] == "23490.00000000"
    assert account["totalMarginBalance"] == "25490.00000000"
    assert account["availableBalance"] == "21540.00000000"  # 25,490 - 3,950
    index = held.ask("GET", "/fapi/v1/assetIndex", symbol="BTCUSD")
    assert (index["index"], index["bidRate"]) == ("82000.00000000", "77900.00000000")
    bitcoin = next(row for row in account["assets"] if row["asset"] == "BTC")
    assert bitcoin["walletBalance"] == "0.10000000"


def test_what_is_owed_in_multi_assets_mode_counts_at_the_ask_rate(held: Still) -> None:
    held.cash(USDT="10000", BNB="-1")
    held.ask("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    account = held.ask("GET", "/fapi/v3/account")
    assert account["totalWalletBalance"] == "9370.00000000"  # 10,000 - 600 * 1.05


def test_single_asset_mode_counts_dollars_only(held: Still) -> None:
    held.cash(USDT="10000", BTC="0.1")
    assert held.ask("GET", "/fapi/v3/account")["totalWalletBalance"] == "10000.00000000"


def test_an_isolated_position_stands_on_its_own_wallet(still: Still) -> None:
    still.cash(USDT="10000")
    still.marks(BTCUSDT="82000", ETHUSDT="1900")
    still.ask("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    still.hold("BTCUSDT", "0.5", "80000")
    account = still.ask("GET", "/fapi/v3/account")
    # the wallet apart is the margin at entry, 0.5 * 80,000 / 20 = 2,000
    assert account["totalCrossWalletBalance"] == "8000.00000000"
    assert account["totalCrossUnPnl"] == "0.00000000"
    assert account["totalMarginBalance"] == "11000.00000000"
    assert account["availableBalance"] == "8000.00000000"
    (row,) = still.ask("GET", "/fapi/v3/positionRisk")
    assert (row["isolatedWallet"], row["isolatedMargin"]) == ("2000.00000000", "3000.00000000")


def test_maintenance_is_continuous_over_the_brackets() -> None:
    from rebalancer.simulators.binance_server.brackets import brackets_of, maintenance

    for symbol in ("BTCUSDT", "SOLUSDT"):
        rows = brackets_of(symbol)
        for below, above in pairwise(rows):
            assert below.cap == above.floor
            edge = Decimal(below.cap)
            assert maintenance(symbol, edge) == edge * above.ratio - above.deducted
            assert above.leverage < below.leverage
            assert above.deducted == int(above.deducted)
        assert all(row.ratio < Decimal(1) / row.leverage for row in rows)
    # 50,000 * 0.65 % + 50,000 * 1 % = 325 + 500
    assert maintenance("SOLUSDT", Decimal(100_000)) == 825


def test_spot_locks_what_resting_orders_may_take(still: Still) -> None:
    still.cash(USDT="10000", BTC="0.4")
    still.marks(BTCUSDT="82000")
    still.rest("BTCUSDT", "0.1", "80000", product="spot")
    still.rest("BTCUSDT", "-0.15", "85000", product="spot")
    account = still.ask("GET", "/api/v3/account", omitZeroBalances="true")
    assert {row["asset"]: (row["free"], row["locked"]) for row in account["balances"]} == {
        "BTC": ("0.25000000", "0.15000000"),
        "USDT": ("2000.00000000", "8000.00000000"),
    }
    assert account["uid"] == 700700700
    assert account["commissionRates"]["taker"] == "0.00050000"
