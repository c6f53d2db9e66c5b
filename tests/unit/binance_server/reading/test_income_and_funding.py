"""The income list, and the money that comes and goes without a trade."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from rebalancer.simulators.binance_server.figures import milliseconds
from rebalancer.simulators.binance_server.income_rows import IncomeRow, book_income
from tests.unit.binance_server.reading.still import Still

PATH = "/fapi/v1/income"
HOUR = timedelta(hours=1)


def test_funding_is_paid_by_longs_at_its_recorded_time(still: Still) -> None:
    still.cash(USDT="10000")
    still.marks(BTCUSDT="82000", ETHUSDT="1900")
    still.hold("BTCUSDT", "0.5", "80000")
    still.hold("ETHUSDT", "-10", "2000")
    due = still.now + HOUR + timedelta(milliseconds=7)
    still.funding("BTCUSDT", (due, "0.0001"))
    still.funding("ETHUSDT", (due + timedelta(milliseconds=2), "0.0002"))
    still.advance(still.now + 2 * HOUR)
    # longs pay 41,000 * 0.0001 = 4.10; shorts get 19,000 * 0.0002 = 3.80
    assert still.wallet("USDT") == Decimal("9999.70")
    first, second = still.ask("GET", PATH)
    assert first == {
        "symbol": "BTCUSDT",
        "incomeType": "FUNDING_FEE",
        "income": "-4.10000000",
        "asset": "USDT",
        "info": "FUNDING_FEE",
        "time": milliseconds(due),
        "tranId": first["tranId"],
        "tradeId": "",
    }
    assert (second["symbol"], second["income"]) == ("ETHUSDT", "3.80000000")
    assert second["time"] == first["time"] + 2
    assert second["tranId"] > first["tranId"]


def test_a_negative_rate_is_paid_by_shorts(still: Still) -> None:
    still.cash(USDT="10000")
    still.marks(ETHUSDT="1900")
    still.hold("ETHUSDT", "-10", "2000")
    still.funding("ETHUSDT", (still.now + HOUR, "-0.0002"))
    still.advance(still.now + 2 * HOUR)
    assert still.wallet("USDT") == Decimal("9996.20")


def test_what_is_not_held_at_the_time_pays_nothing(still: Still) -> None:
    still.cash(USDT="10000")
    still.marks(BTCUSDT="82000")
    still.funding("BTCUSDT", (still.now + HOUR, "0.0001"))
    still.advance(still.now + 2 * HOUR)
    still.hold("BTCUSDT", "0.5", "80000")
    still.advance(still.now + HOUR)
    assert still.wallet("USDT") == 10_000
    assert still.ask("GET", PATH) == []


def test_funding_is_paid_once_although_the_exchange_starts_again(still: Still) -> None:
    still.cash(USDT="10000")
    still.marks(BTCUSDT="82000")
    still.hold("BTCUSDT", "0.5", "80000")
    still.funding("BTCUSDT", (still.now + HOUR, "0.0001"))
    still.advance(still.now + HOUR)
    again = still.reopened()
    again.advance(again.now + HOUR)
    assert again.wallet("USDT") == Decimal("9995.90")
    assert len(again.ask("GET", PATH)) == 1


def test_without_times_the_list_is_the_last_seven_days(still: Still) -> None:
    account = still.account
    for days in (91, 8, 6, 1):
        at = still.now - timedelta(days=days)
        book_income(account, IncomeRow("TRANSFER", "USDT", Decimal(days), at))
    assert [row["income"][:2] for row in still.ask("GET", PATH)] == ["6.", "1."]
    start = str(milliseconds(still.now - timedelta(days=10)))
    assert len(still.ask("GET", PATH, startTime=start)) == 3
    assert len(still.ask("GET", PATH, startTime="1")) == 3, "older than three months is gone"
    assert len(still.ask("GET", PATH, endTime=start)) == 0


def test_pages_follow_each_other_without_a_gap(still: Still) -> None:
    rows = [
        IncomeRow("COMMISSION", "USDT", Decimal(-n), still.now - HOUR, "BTCUSDT", str(n), str(n))
        for n in range(1, 8)
    ]
    book_income(still.account, *rows)
    pages = [still.ask("GET", PATH, limit="3", page=str(n)) for n in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    numbers = [row["tradeId"] for page in pages for row in page]
    assert numbers == [str(n) for n in range(1, 8)]
    assert len({row["tranId"] for page in pages for row in page}) == 7


def test_the_list_narrows_to_a_symbol_and_a_type(still: Still) -> None:
    at = still.now - HOUR
    book_income(
        still.account,
        IncomeRow("FUNDING_FEE", "USDT", Decimal(1), at, "BTCUSDT"),
        IncomeRow("FUNDING_FEE", "USDT", Decimal(2), at, "ETHUSDT"),
        IncomeRow("SPECIAL_FUNDING_FEE", "USDT", Decimal(3), at, "BTCUSDT"),
    )
    assert len(still.ask("GET", PATH, symbol="BTCUSDT")) == 2
    (row,) = still.ask("GET", PATH, incomeType="SPECIAL_FUNDING_FEE")
    assert row["income"] == "3.00000000"
    assert still.refused("GET", PATH, incomeType="LUCK") == -1130
    assert still.refused("GET", PATH, startTime="2", endTime="1") == -1023


def test_a_trade_books_its_commission_and_its_profit_once(still: Still) -> None:
    still.cash(USDT="10000")
    still.marks(BTCUSDT="82000")
    still.buy("BTCUSDT", "0.1")
    still.marks(BTCUSDT="83000")
    still.buy("BTCUSDT", "-0.1")
    rows = still.ask("GET", PATH)
    assert rows == still.ask("GET", PATH)
    kinds = [row["incomeType"] for row in rows]
    assert sorted(kinds) == ["COMMISSION", "COMMISSION", "REALIZED_PNL"]
    paid = sum(Decimal(row["income"]) for row in rows)
    assert still.wallet("USDT") == 10_000 + paid
    profit = next(row for row in rows if row["incomeType"] == "REALIZED_PNL")
    assert profit["tradeId"] == "2"


def test_scripted_transfers_happen_at_their_times(still: Still) -> None:
    still.transfers((still.now + HOUR, "USDT", "2500"), (still.now + 2 * HOUR, "USDT", "-500"))
    still.cash(USDT="10000")
    still.advance(still.now + HOUR)
    assert still.wallet("USDT") == 12_500
    still.advance(still.now + 2 * HOUR)
    assert still.wallet("USDT") == 12_000
    rows = still.ask("GET", PATH, incomeType="TRANSFER")
    assert [row["income"] for row in rows] == ["2500.00000000", "-500.00000000"]
    assert [row["symbol"] for row in rows] == ["", ""]
    (came,) = still.ask("GET", "/sapi/v1/capital/deposit/hisrec")
    (went,) = still.ask("GET", "/sapi/v1/capital/withdraw/history")
    assert (came["amount"], came["coin"], came["status"]) == ("2500", "USDT", 1)
    assert (went["amount"], went["status"]) == ("500", 6)
