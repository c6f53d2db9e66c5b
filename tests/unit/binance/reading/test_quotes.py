"""Quotes by symbol, with the exchange's own times, marks and volumes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.binance.errors import RequestRefused
from rebalancer.brokers.binance.parameters import Product
from rebalancer.errors import BlindError
from rebalancer.model.market import Freshness, Quote
from rebalancer.model.universe import BarSize
from tests.unit.binance.reading.exchange import (
    NOW,
    Exchange,
    candle,
    info,
    kline_server,
    ms,
    pair,
    perp,
    reading,
    recorded,
    spot_row,
    usdm_row,
)

BOOK, MARK, INFO = "/fapi/v1/ticker/bookTicker", "/fapi/v1/premiumIndex", "/fapi/v1/exchangeInfo"
DAY, SPOT_DAY = "/fapi/v1/ticker/24hr", "/api/v3/ticker/24hr"


def book(symbol: str = "BTCUSDT", bid: str = "99.5", ask: str = "100.5", **more: Any) -> Any:
    return {
        "symbol": symbol,
        "bidPrice": bid,
        "bidQty": "3",
        "askPrice": ask,
        "askQty": "4",
        "time": ms(NOW) - 1234,
    } | more


def mark(symbol: str = "BTCUSDT", price: str = "100.25", **more: Any) -> Any:
    return {"symbol": symbol, "markPrice": price, "nextFundingTime": 0, "time": ms(NOW)} | more


def by_symbol(*rows: Any) -> Any:
    def answer(asked: Any) -> Any:
        if "symbol" in asked:
            return next(row for row in rows if row["symbol"] == asked["symbol"])
        return list(rows)

    return answer


def exchange(books: list[Any], marks: list[Any], *, symbols: tuple[str, ...] = ()) -> Exchange:
    names = symbols or tuple(row["symbol"] for row in books)
    return Exchange(
        answers={
            BOOK: by_symbol(*books),
            MARK: by_symbol(*marks),
            INFO: info(*(usdm_row(name) for name in names)),
            DAY: by_symbol(*({"symbol": name, "volume": "5000"} for name in names)),
        }
    )


def quote(folder: Path, books: Any, marks: Any) -> Quote | None:
    found = exchange([books], [marks])
    asked = perp(books["symbol"])
    return reading(found, folder, asked).market([asked]).quotes.get(asked.id)


def test_a_quote_has_both_sides_the_mark_and_its_own_time(tmp_path: Path) -> None:
    assert quote(tmp_path, book(), mark()) == Quote(
        instrument=perp().id,
        at=NOW - timedelta(seconds=1.234),
        bid=Decimal("99.5"),
        ask=Decimal("100.5"),
        bid_size=Decimal(3),
        ask_size=Decimal(4),
        close=Decimal("100.25"),
        freshness=Freshness.LIVE,
        trading=True,
        average_volume=Decimal(5000),
        next_funding=None,
    )


def test_symbols_are_never_told_by_their_place(tmp_path: Path) -> None:
    books = recorded("usdm_book_ticker")
    marks = [mark(row["symbol"], "1") for row in books]
    asked = [perp("BNBUSDT"), perp("ETHUSDT"), perp("BTCUSDT")]
    prices = []
    for order in (1, -1):
        found = exchange(books[::order], marks)
        quotes = reading(found, tmp_path, *asked).market(asked).quotes
        prices.append([quotes[each.id].bid for each in asked])
    assert prices[0] == prices[1] == [Decimal("31.608"), Decimal("377.63"), Decimal("11495.46")]


def test_a_simulated_exchange_says_so(tmp_path: Path) -> None:
    found = exchange([book()], [mark()])
    found.passage.simulated = True
    read = reading(found, tmp_path, perp())
    assert read.market([perp()]).quotes[perp().id].freshness is Freshness.SYNTHETIC


@pytest.mark.parametrize("nothing", ["", "0", "0.00000000"])
def test_a_side_without_a_price_is_unknown(tmp_path: Path, nothing: str) -> None:
    found = quote(tmp_path, book(bid=nothing), mark())
    assert found is not None
    assert (found.bid, found.bid_size, found.ask) == (None, None, Decimal("100.5"))
    assert quote(tmp_path, book(bid=nothing, ask=nothing), mark()) is None


def test_a_symbol_that_is_not_in_the_answer_has_no_quote(tmp_path: Path) -> None:
    names = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
    found = exchange([book()], [mark()], symbols=names)
    asked = [perp(name) for name in names]
    assert list(reading(found, tmp_path, *asked).market(asked).quotes) == [perp().id]


def test_a_crossed_quote_stays_crossed_for_the_gate(tmp_path: Path) -> None:
    found = quote(tmp_path, book(bid="101", ask="100"), mark())
    assert found is not None
    assert (found.bid, found.ask) == (Decimal(101), Decimal(100))


@pytest.mark.parametrize("rubbish", ["NaN", "1E25", "-1E19", "9" * 5000, "1E+9999999", "x"])
def test_a_price_that_is_no_number_is_blindness(tmp_path: Path, rubbish: str) -> None:
    with pytest.raises(BlindError):
        quote(tmp_path, book(bid=rubbish), mark())


def test_a_symbol_that_comes_twice_is_blindness(tmp_path: Path) -> None:
    names = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
    found = exchange([book(), book()], [mark()], symbols=names)
    asked = [perp(name) for name in names]
    with pytest.raises(BlindError, match="twice"):
        reading(found, tmp_path, *asked).market(asked)


@pytest.mark.parametrize("jitter", [-10, 0, 3, 10])
def test_the_next_funding_time_is_on_the_minute(tmp_path: Path, jitter: int) -> None:
    at = datetime(2026, 1, 5, 16, tzinfo=UTC)
    found = quote(tmp_path, book(), mark(nextFundingTime=ms(at) + jitter))
    assert found is not None
    assert found.next_funding == at


def test_the_recorded_mark_and_funding_time_are_read(tmp_path: Path) -> None:
    row = recorded("usdm_premium_index")[0]
    found = quote(tmp_path, book(), row)
    assert found is not None
    assert found.close == Decimal("26780.82240476")
    assert found.next_funding == datetime(2023, 6, 20, 8, tzinfo=UTC)  # 1687248000 s


def test_a_mark_that_is_missing_is_unknown(tmp_path: Path) -> None:
    found = quote(tmp_path, book(), mark(price=""))
    assert found is not None
    assert found.close is None


def test_a_symbol_that_does_not_trade_is_told_as_such(tmp_path: Path) -> None:
    found = exchange([book()], [mark()])
    found.answers[INFO] = info(usdm_row(status="SETTLING"))
    assert not reading(found, tmp_path, perp()).market([perp()]).quotes[perp().id].trading


def test_one_question_does_for_all_and_two_symbols_are_asked_for_one_by_one(
    tmp_path: Path,
) -> None:
    names = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
    found = exchange([book(n) for n in names], [mark(n) for n in names])
    asked = [perp(name) for name in names]
    read = reading(found, tmp_path, *asked)
    read.market(asked)
    assert (found.count(BOOK), found.count(MARK)) == (1, 1)  # weights 5 and 10
    found.passage.now += timedelta(seconds=5)
    read.market(asked[:2])
    assert (found.count(BOOK), found.count(MARK)) == (3, 1)  # 2 each; marks of 5 s ago do
    found.passage.now += timedelta(seconds=25)
    read.market(asked[:2])
    assert (found.count(BOOK), found.count(MARK)) == (5, 3)


def test_no_instruments_are_no_question(tmp_path: Path) -> None:
    found = exchange([book()], [mark()])
    assert reading(found, tmp_path, perp()).market([]).quotes == {}
    assert found.asked == []


# ------------------------------------------------------------------------------------- volume


def test_the_volume_of_a_day_comes_from_candles_that_were_read_anyway(tmp_path: Path) -> None:
    start = NOW.replace(minute=0) - timedelta(hours=48)
    rows = [candle(start + n * timedelta(hours=1), "1", f"{n}") for n in range(48)]
    found = exchange([book()], [mark()])
    found.answers["/fapi/v1/klines"] = kline_server({"BTCUSDT": rows})
    read = reading(found, tmp_path, perp())
    read.bars([perp()], start, BarSize.HOUR)
    # Two whole days: (0 + ... + 47) / 2 = 564.
    assert read.market([perp()]).quotes[perp().id].average_volume == 564
    assert found.count(DAY) == 0


def test_volumes_are_asked_for_once_a_connection(tmp_path: Path) -> None:
    names = [f"X{n}USDT" for n in range(60)]
    found = exchange([book(n) for n in names], [mark(n) for n in names])
    asked = [perp(name) for name in names]
    read = reading(found, tmp_path, *asked)
    read.market(asked)
    read.market(asked)
    assert found.count(DAY) == 1


# --------------------------------------------------------------------------------------- spot


def tickers(asked: Any) -> Any:
    rows = {row["symbol"]: row for row in recorded("spot_ticker_24hr")}
    return [rows[name] for name in json.loads(asked["symbols"])]


def test_a_spot_quote_has_the_price_a_day_before_and_the_exchanges_time(tmp_path: Path) -> None:
    answers = {"/api/v3/exchangeInfo": info(spot_row()), SPOT_DAY: tickers}
    found = Exchange(Product.SPOT, answers=answers)
    quotes = reading(found, tmp_path, pair()).market([pair()]).quotes
    told = quotes[pair().id]
    assert (told.bid, told.ask) == (Decimal("69624.00"), Decimal("69624.01"))
    assert told.close == Decimal("72292.68")
    assert told.at == NOW
    assert told.average_volume == Decimal("33278.39129000")
    assert told.next_funding is None


def test_a_spot_pair_that_is_not_listed_spoils_nobody_elses_quote(tmp_path: Path) -> None:
    answers = {"/api/v3/exchangeInfo": info(spot_row()), SPOT_DAY: tickers}
    found = Exchange(Product.SPOT, answers=answers)
    asked = [pair(), pair("NOPEUSDT")]
    assert list(reading(found, tmp_path, *asked).market(asked).quotes) == [pair().id]


def test_a_pair_that_the_exchange_refuses_spoils_nobody_elses_quote(tmp_path: Path) -> None:
    def one_by_one(asked: Any) -> Any:
        if asked.get("symbol") == "BTCUSDT":
            return recorded("spot_ticker_24hr")[0]
        raise RequestRefused(-1121, "Invalid symbol.", "gone")

    answers = {"/api/v3/exchangeInfo": info(spot_row(), spot_row("OLDUSDT")), SPOT_DAY: one_by_one}
    found = Exchange(Product.SPOT, answers=answers)
    asked = [pair("OLDUSDT"), pair()]
    assert list(reading(found, tmp_path, *asked).market(asked).quotes) == [pair().id]


def test_a_perpetual_that_the_exchange_refuses_spoils_nobody_elses_quote(tmp_path: Path) -> None:
    found = exchange([book(), book("OLDUSDT")], [mark(), mark("OLDUSDT")])
    for path in (BOOK, MARK, DAY):
        found.answers[path] = refusing("OLDUSDT", found.answers[path])
    asked = [perp("OLDUSDT"), perp()]
    assert list(reading(found, tmp_path, *asked).market(asked).quotes) == [perp().id]


def refusing(symbol: str, answer: Any) -> Any:
    def answered(asked: Any) -> Any:
        if asked.get("symbol") == symbol:
            raise RequestRefused(-1121, "Invalid symbol.", "gone")
        return answer(asked)

    return answered
