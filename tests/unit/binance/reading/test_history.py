"""Closed bars only, real gaps, pages that weigh least."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rebalancer.brokers.binance.candles import Candle, pages, span
from rebalancer.brokers.binance.history import last_of_days
from rebalancer.brokers.binance.parameters import BinanceSettings, Product
from rebalancer.brokers.binance.reading import Reading
from rebalancer.errors import BlindError
from rebalancer.model.panel import Panel
from rebalancer.model.universe import BarSize
from tests.unit.binance.reading.exchange import (
    NOW,
    Clock,
    Exchange,
    candle,
    kline_server,
    ms,
    pair,
    perp,
    reading,
    recorded,
    weight,
)

KLINES, SPOT_KLINES = "/fapi/v1/klines", "/api/v3/klines"
HOUR = timedelta(hours=1)
THIS_HOUR = NOW.replace(minute=0)


def hours(count: int, end: datetime = THIS_HOUR, *, forming: bool = True) -> list[list[Any]]:
    """Return hourly klines up to `end` whose close is their number, and the one after it."""
    start = end - count * HOUR
    return [candle(start + n * HOUR, f"{100 + n}") for n in range(count + forming)]


def exchange(
    klines: Mapping[str, list[list[Any]]],
    now: datetime = NOW,
    *,
    days: int = 0,
    wanted: int = 10,
    product: Product = Product.USDM,
) -> Exchange:
    path = KLINES if product is Product.USDM else SPOT_KLINES
    settings = BinanceSettings(history_days=days, history_hours=wanted)
    return Exchange(product, settings, Clock(now), {path: kline_server(klines)})


def read(found: Exchange, folder: Path, *symbols: str) -> Reading:
    return reading(found, folder, *(perp(symbol) for symbol in symbols))


def times(panel: Panel) -> list[datetime]:
    return [datetime.fromtimestamp(int(at), UTC) for at in panel.times]


def test_hourly_closes_carry_the_hour_at_which_they_closed(tmp_path: Path) -> None:
    found = exchange({"BTCUSDT": hours(10)}, wanted=3)
    panel = read(found, tmp_path, "BTCUSDT").bars([perp()], None, BarSize.HOUR)
    assert times(panel) == [THIS_HOUR - 2 * HOUR, THIS_HOUR - HOUR, THIS_HOUR]
    assert panel.values[:, 0].tolist() == [107.0, 108.0, 109.0]


def test_the_bar_that_is_forming_is_never_told(tmp_path: Path) -> None:
    found = exchange({"BTCUSDT": hours(10)}, NOW.replace(minute=59, second=59))
    panel = read(found, tmp_path, "BTCUSDT").bars([perp()], None, BarSize.HOUR)
    assert times(panel)[-1] == THIS_HOUR


def test_only_bars_that_closed_after_since_are_told(tmp_path: Path) -> None:
    since = THIS_HOUR - 4 * HOUR
    found = exchange({"BTCUSDT": hours(40)})
    bars = read(found, tmp_path, "BTCUSDT").bars
    assert times(bars([perp()], since, BarSize.HOUR))[0] == since + HOUR
    earlier = since - timedelta(seconds=1)
    assert times(bars([perp()], earlier, BarSize.HOUR))[0] == since


def test_nothing_is_asked_when_no_bar_has_closed_since(tmp_path: Path) -> None:
    found = exchange({"BTCUSDT": hours(40)})
    panel = read(found, tmp_path, "BTCUSDT").bars([perp()], THIS_HOUR, BarSize.HOUR)
    assert (len(panel), found.asked) == (0, [])


@pytest.mark.parametrize(("seconds", "newest"), [(0, 0), (9, 0), (10, 1), (60, 1)])
def test_a_bar_without_a_later_one_is_final_after_ten_seconds(
    tmp_path: Path, seconds: int, newest: int
) -> None:
    found = exchange(
        {"BTCUSDT": hours(5, forming=False)}, THIS_HOUR + timedelta(seconds=seconds), wanted=3
    )
    panel = read(found, tmp_path, "BTCUSDT").bars([perp()], None, BarSize.HOUR)
    assert times(panel)[-1] == THIS_HOUR - HOUR + newest * HOUR


def test_a_bar_is_final_at_once_when_the_next_one_is_there(tmp_path: Path) -> None:
    found = exchange({"BTCUSDT": hours(5)}, THIS_HOUR, wanted=3)
    panel = read(found, tmp_path, "BTCUSDT").bars([perp()], None, BarSize.HOUR)
    assert times(panel)[-1] == THIS_HOUR


def test_an_unsettled_bar_is_asked_for_again_later(tmp_path: Path) -> None:
    rows = hours(30, forming=False)
    found = exchange({"BTCUSDT": rows}, THIS_HOUR + timedelta(seconds=1), wanted=3)
    bars = read(found, tmp_path, "BTCUSDT").bars
    assert times(bars([perp()], None, BarSize.HOUR))[-1] == THIS_HOUR - HOUR
    rows.append(candle(THIS_HOUR, "1"))
    assert times(bars([perp()], None, BarSize.HOUR))[-1] == THIS_HOUR


def test_the_outage_of_2020_06_28_stays_a_gap(tmp_path: Path) -> None:
    rows = recorded("spot_klines_1h_outage_2020_06_28")
    now = datetime(2020, 6, 28, 12, 1, tzinfo=UTC)
    found = exchange({"BTCUSDT": rows}, now, wanted=24, product=Product.SPOT)
    panel = reading(found, tmp_path, pair()).bars([pair()], None, BarSize.HOUR)
    assert len(panel) == 24
    closes = zip(times(panel), panel.values[:, 0].tolist(), strict=True)
    lost = [at for at, close in closes if math.isnan(close)]
    # The exchange has no candles that begin at 02:00, 03:00 and 04:00 of that day.
    assert lost == [datetime(2020, 6, 28, hour, tzinfo=UTC) for hour in (3, 4, 5)]
    assert panel.values[-1, 0] == float(rows[-1][4])


def test_a_symbol_listed_yesterday_gives_what_there_is(tmp_path: Path) -> None:
    found = exchange({"BTCUSDT": hours(40), "NEWUSDT": hours(5)}, wanted=30)
    panel = read(found, tmp_path, "BTCUSDT", "NEWUSDT").bars(
        [perp(), perp("NEWUSDT")], None, BarSize.HOUR
    )
    assert panel.values.shape == (30, 2)
    assert np.isnan(panel.values[:25, 1]).all()
    assert not np.isnan(panel.values[25:, 1]).any()


def test_a_symbol_that_is_gone_is_a_column_without_bars(tmp_path: Path) -> None:
    found = exchange({"BTCUSDT": hours(40)})
    panel = read(found, tmp_path, "BTCUSDT", "GONEUSDT").bars(
        [perp("GONEUSDT"), perp()], None, BarSize.HOUR
    )
    assert panel.instruments == ("GONEUSDT.PERP@BINANCE", "BTCUSDT.PERP@BINANCE")
    assert np.isnan(panel.values[:, 0]).all()
    assert not np.isnan(panel.values[:, 1]).any()


def test_a_price_of_zero_is_no_bar(tmp_path: Path) -> None:
    rows = hours(10)
    rows[-3] = candle(THIS_HOUR - 2 * HOUR, "0.00")
    panel = read(exchange({"BTCUSDT": rows}, wanted=3), tmp_path, "BTCUSDT").bars(
        [perp()], None, BarSize.HOUR
    )
    assert np.isnan(panel.values[1, 0])
    assert panel.values[2, 0] == 109.0


def test_the_recorded_daily_candles_close_at_midnight(tmp_path: Path) -> None:
    rows = recorded("usdm_klines_1d_2023_01_01")
    found = exchange({"BTCUSDT": rows}, datetime(2023, 1, 8, tzinfo=UTC), days=7, wanted=0)
    panel = read(found, tmp_path, "BTCUSDT").bars([perp()], None)
    assert times(panel)[0] == datetime(2023, 1, 2, tzinfo=UTC)
    assert panel.values[:, 0].tolist() == [float(row[4]) for row in rows]
    assert panel.values[0, 0] == 16610.30


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: "<html>",
        lambda rows: [["x", *rows[0][1:]], *rows[1:]],
        lambda rows: [rows[0][:5]],
        lambda rows: rows[::-1],
        lambda rows: [rows[0], *rows],
        lambda rows: [7],
        lambda rows: [[rows[0][0] + 1, *rows[0][1:]]],
        lambda rows: [[*rows[0][:4], "abc", *rows[0][5:]]],
    ],
)
def test_candles_that_make_no_sense_are_blindness(tmp_path: Path, spoil: Any) -> None:
    found = exchange({})
    found.answers[KLINES] = lambda _: spoil(hours(10))
    with pytest.raises(BlindError):
        read(found, tmp_path, "BTCUSDT").bars([perp()], None, BarSize.HOUR)


# ------------------------------------------------------------------------------------- weight


@pytest.mark.parametrize(
    ("count", "least"),
    # From the exchange's table: below 100 weighs 1, below 500 weighs 2, up to 1000 weighs 5.
    [(1, 1), (99, 1), (100, 2), (499, 2), (500, 3), (598, 3), (599, 4), (998, 4), (1500, 7)],
)
def test_a_history_is_asked_for_in_pages_that_weigh_least(
    tmp_path: Path, count: int, least: int
) -> None:
    found = exchange({"BTCUSDT": hours(2000)}, wanted=count)
    panel = read(found, tmp_path, "BTCUSDT").bars([perp()], None, BarSize.HOUR)
    assert len(panel) == count
    assert weight(found.asked) == least


def test_pages_lie_next_to_each_other_whatever_the_second() -> None:
    for seconds in (0, 5, 9, 10, 3000):
        now = THIS_HOUR + timedelta(seconds=seconds)
        start, end = span(None, now, BarSize.HOUR, 1203)
        found = list(pages(start, end, now, BarSize.HOUR, Product.USDM))
        assert [page.end for page in found[1:]] == [page.start for page in found[:-1]]
        assert (found[-1].start, found[0].end) == (start, end)
        assert max(page.limit for page in found) <= 499


def test_five_hundred_perpetuals_weigh_1000_cold_and_500_warm(tmp_path: Path) -> None:
    symbols = [f"X{n}USDT" for n in range(500)]
    rows = hours(499)
    asked = [perp(symbol) for symbol in symbols]
    cold = exchange({symbol: rows for symbol in symbols}, wanted=499)
    bars = read(cold, tmp_path, *symbols).bars
    # A portfolio of hourly sleeves: the daily bars that the books want come of the same candles.
    assert len(bars(asked, None, BarSize.DAY)) == 1
    assert len(bars(asked, None, BarSize.HOUR)) == 499
    assert weight(cold.asked) == 1000

    warm = exchange({symbol: rows for symbol in symbols}, wanted=499)
    since = THIS_HOUR - 5 * HOUR - timedelta(seconds=1)
    panel = read(warm, tmp_path, *symbols).bars(asked, since, BarSize.HOUR)
    assert panel.values.shape == (6, 500)
    assert weight(warm.asked) == 500


def test_days_and_hours_after_midnight_are_one_request(tmp_path: Path) -> None:
    midnight = NOW.replace(hour=0, minute=5)
    hour = midnight.replace(minute=0)
    found = exchange({"BTCUSDT": hours(200, hour)}, midnight, wanted=150)
    bars = read(found, tmp_path, "BTCUSDT").bars
    days = bars([perp()], hour - timedelta(days=2), BarSize.DAY)
    assert times(days) == [hour - timedelta(days=1), hour]
    # The 200 closes count up to 299 at midnight; a day before it is 24 less.
    assert days.values[:, 0].tolist() == [275.0, 299.0]
    assert len(bars([perp()], hour - 5 * HOUR, BarSize.HOUR)) == 5
    assert len(found.asked) == 1


def test_a_day_whose_last_hour_is_not_there_yet_is_not_told(tmp_path: Path) -> None:
    day = datetime(2026, 1, 5, tzinfo=UTC)
    rows = hours(47, day - HOUR, forming=False)
    found = exchange({"BTCUSDT": rows}, day + timedelta(minutes=5), wanted=48)
    panel = read(found, tmp_path, "BTCUSDT").bars([perp()], day - timedelta(days=2))
    assert times(panel) == [day - timedelta(days=1)]


def test_the_close_of_a_day_with_a_gap_is_that_of_its_newest_hour() -> None:
    day = 86_400
    made = [Candle(day - 7200, 1.0, Decimal(1)), Candle(day + 3600, 2.0, Decimal(1))]
    assert last_of_days(made, 2 * day) == {day: 1.0}


def test_longer_daily_histories_than_hourly_ones_are_asked_for_as_days(tmp_path: Path) -> None:
    rows = [candle(NOW.replace(hour=0, minute=0) - timedelta(days=n), "5", hours=24)
            for n in range(60, 0, -1)]  # fmt: skip
    found = exchange({"BTCUSDT": rows}, days=50, wanted=30)
    assert len(read(found, tmp_path, "BTCUSDT").bars([perp()], None)) == 50
    assert found.asked[0][1]["interval"] == "1d"
    assert weight(found.asked) == 1


def test_a_spot_page_has_a_thousand_candles(tmp_path: Path) -> None:
    found = exchange({"BTCUSDT": hours(1500)}, wanted=1200, product=Product.SPOT)
    panel = reading(found, tmp_path, pair()).bars([pair()], None, BarSize.HOUR)
    assert len(panel) == 1200
    assert [int(asked["limit"]) for _, asked in found.asked] == [1000, 200]


def test_the_last_page_is_not_asked_for_when_the_one_before_was_empty(tmp_path: Path) -> None:
    found = exchange({"NEWUSDT": hours(5)}, wanted=1996)
    read(found, tmp_path, "NEWUSDT").bars([perp("NEWUSDT")], None, BarSize.HOUR)
    assert len(found.asked) == 2


def test_times_go_out_as_whole_milliseconds(tmp_path: Path) -> None:
    found = exchange({"BTCUSDT": hours(10)}, wanted=30)
    read(found, tmp_path, "BTCUSDT").bars([perp()], None, BarSize.HOUR)
    assert found.asked == [
        (
            KLINES,
            {
                "symbol": "BTCUSDT",
                "interval": "1h",
                "startTime": str(ms(THIS_HOUR - 30 * HOUR)),
                "endTime": str(ms(THIS_HOUR) - 1),
                "limit": "30",
            },
        )
    ]


def test_more_hours_than_were_read_are_asked_for(tmp_path: Path) -> None:
    found = exchange({"BTCUSDT": hours(200)}, wanted=150)
    bars = read(found, tmp_path, "BTCUSDT").bars
    assert len(bars([perp()], THIS_HOUR - 5 * HOUR, BarSize.HOUR)) == 5
    assert len(bars([perp()], THIS_HOUR - 100 * HOUR, BarSize.HOUR)) == 100
    found.passage.now += HOUR
    rows = hours(201, THIS_HOUR + HOUR)
    found.answers[KLINES] = kline_server({"BTCUSDT": rows})
    assert times(bars([perp()], THIS_HOUR, BarSize.HOUR)) == [THIS_HOUR + HOUR]


def test_a_symbol_whose_last_hours_do_not_exist_is_asked_for_once(tmp_path: Path) -> None:
    found = exchange({"BTCUSDT": hours(30, THIS_HOUR - 3 * HOUR, forming=False)}, wanted=20)
    bars = read(found, tmp_path, "BTCUSDT").bars
    for _ in range(2):
        panel = bars([perp()], THIS_HOUR - 6 * HOUR, BarSize.HOUR)
        assert times(panel)[-1] == THIS_HOUR - 3 * HOUR
    assert len(found.asked) == 1


def test_a_few_hours_are_asked_for_with_a_days_volume(tmp_path: Path) -> None:
    found = exchange({"BTCUSDT": hours(200)}, wanted=150)
    connection = read(found, tmp_path, "BTCUSDT")
    connection.bars([perp()], THIS_HOUR - 5 * HOUR, BarSize.HOUR)
    assert connection.volumes.of(["BTCUSDT"]) == {"BTCUSDT": 240}  # 24 hours of 10
    assert len(found.asked) == 1
