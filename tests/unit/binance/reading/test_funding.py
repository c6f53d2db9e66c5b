"""Funding rates by full hour, one plus the rate, within the shared limit of requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rebalancer.brokers.binance.errors import RequestRefused
from rebalancer.brokers.binance.funding import Funding
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.reading import Reading
from rebalancer.errors import BlindError
from tests.unit.binance.reading.exchange import NOW, Exchange, ms, pair, perp, reading, recorded

PATH = "/fapi/v1/fundingRate"
EIGHT = timedelta(hours=8)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def row(symbol: str, at: datetime, rate: str = "0.0001", jitter: int = 0, **more: Any) -> Any:
    return {"symbol": symbol, "fundingTime": ms(at) + jitter, "fundingRate": rate} | more


def server(rows: list[Any], most: int = 1000) -> Any:
    """Return an answer as documented: ascending, from startTime on, `limit` of them."""

    def answer(asked: Mapping[str, str]) -> Any:
        known = [r for r in rows if asked.get("symbol", r["symbol"]) == r["symbol"]]
        if not known:
            raise RequestRefused(-1121, "Invalid symbol.", "gone")
        limit = min(int(asked["limit"]), most)
        start, end = int(asked.get("startTime", 0)), int(asked.get("endTime", 10**15))
        found = sorted((r for r in known if start <= r["fundingTime"] <= end),
                       key=lambda r: r["fundingTime"])  # fmt: skip
        return found[:limit] if "startTime" in asked else found[-limit:]

    return answer


def read(folder: Path, rows: list[Any], *symbols: str) -> tuple[Reading, Exchange]:
    found = Exchange(answers={PATH: server(rows)})
    return reading(found, folder, *(perp(symbol) for symbol in symbols)), found


def test_rates_of_the_recorded_exchange_stand_on_the_hour(tmp_path: Path) -> None:
    rows = [each for each in recorded("usdm_funding") if each["symbol"] == "BTCUSDT"]
    assert any(each["fundingTime"] % 3_600_000 for each in rows)
    panel = read(tmp_path, rows, "BTCUSDT")[0].funding([perp()], None)
    assert panel.times.tolist() == [each["fundingTime"] // 1000 // 60 * 60 for each in rows]
    # The first recorded rate is -0.00022270: shorts pay, 1 - 0.0002227.
    assert panel.values[0, 0] == pytest.approx(0.9997773, abs=1e-15)


@pytest.mark.parametrize("jitter", [-10, -1, 0, 1, 14])
def test_a_settlement_that_misses_the_hour_belongs_to_it(tmp_path: Path, jitter: int) -> None:
    panel = read(tmp_path, [row("BTCUSDT", FIRST, jitter=jitter)], "BTCUSDT")[0].funding(
        [perp()], None
    )
    assert panel.times.tolist() == [int(FIRST.timestamp())]


def test_hours_of_different_intervals_stand_in_one_table(tmp_path: Path) -> None:
    rows = [row("BTCUSDT", FIRST), row("BTCUSDT", FIRST + EIGHT, "-0.0002"),
            row("ETHUSDT", FIRST, "0.0003", 7), row("ETHUSDT", FIRST + EIGHT / 2)]  # fmt: skip
    asked = [perp("ETHUSDT"), perp("BTCUSDT")]
    panel = read(tmp_path, rows, "BTCUSDT", "ETHUSDT")[0].funding(asked, None)
    assert panel.instruments == ("ETHUSDT.PERP@BINANCE", "BTCUSDT.PERP@BINANCE")
    assert len(panel) == 3
    assert np.isnan(panel.values).tolist() == [[False, False], [False, True], [True, False]]
    assert panel.values[2, 1] == pytest.approx(0.9998)


def test_only_what_was_settled_after_since_is_told(tmp_path: Path) -> None:
    rows = [row("BTCUSDT", FIRST + n * EIGHT, jitter=5) for n in range(4)]
    panel = read(tmp_path, rows, "BTCUSDT")[0].funding([perp()], FIRST + EIGHT)
    assert panel.times.tolist() == [int((FIRST + n * EIGHT).timestamp()) for n in (2, 3)]


def test_a_special_rate_is_no_part_of_the_history(tmp_path: Path) -> None:
    rows = [
        row("BTCUSDT", FIRST, rateType="Regular"),
        row("BTCUSDT", FIRST, "0.01", rateType="Special"),
    ]
    panel = read(tmp_path, rows, "BTCUSDT")[0].funding([perp()], None)
    assert panel.values.tolist() == [[1.0001]]


def test_two_rates_of_one_hour_are_blindness(tmp_path: Path) -> None:
    rows = [row("BTCUSDT", FIRST), row("BTCUSDT", FIRST, "0.5", 3)]
    with pytest.raises(BlindError, match="two rates"):
        read(tmp_path, rows, "BTCUSDT")[0].funding([perp()], None)


def test_a_settlement_far_from_any_hour_is_left_out(tmp_path: Path) -> None:
    odd = row("BTCUSDT", FIRST + timedelta(minutes=20))
    assert len(read(tmp_path, [odd], "BTCUSDT")[0].funding([perp()], None)) == 0


def test_many_symbols_are_one_question_when_only_the_last_hours_are_wanted(
    tmp_path: Path,
) -> None:
    names = [f"X{n}USDT" for n in range(500)]
    rows = [row(name, FIRST + k * EIGHT, jitter=n % 10) for k in range(3)
            for n, name in enumerate([*names, "OTHERUSDT"])]  # fmt: skip
    found, asked = read(tmp_path, rows, *names)
    panel = found.funding([perp(name) for name in names], FIRST)
    assert panel.values.shape == (2, 500)
    assert not np.isnan(panel.values).any()
    # 1503 rows from FIRST on: two pages of a thousand.
    assert asked.count(PATH) == 2


def test_a_page_that_ends_within_a_millisecond_loses_nothing() -> None:
    names = [f"X{n}USDT" for n in range(6)]
    rows = [row(name, FIRST + k * EIGHT) for k in range(1, 4) for name in names]
    # Pages of ten rows end in the middle of six that have the same time.
    found = Funding(Exchange(answers={PATH: server(rows, 10)}), 10)
    panel = found.funding([perp(name) for name in names], FIRST)
    assert panel.values.shape == (3, 6)
    assert (panel.values == 1.0001).all()


def test_one_symbols_long_history_comes_in_pages(tmp_path: Path) -> None:
    rows = [row("BTCUSDT", FIRST - n * EIGHT) for n in range(2500)]
    found, asked = read(tmp_path, rows, "BTCUSDT")
    assert len(found.funding([perp()], FIRST - 2499 * EIGHT)) == 2499
    assert asked.count(PATH) == 3


def test_a_page_of_one_moment_only_is_blindness(tmp_path: Path) -> None:
    names = [f"X{n}USDT" for n in range(1001)]
    rows = [row(name, FIRST + EIGHT) for name in names]
    found, _ = read(tmp_path, rows, *names)
    with pytest.raises(BlindError, match="one moment"):
        found.funding([perp(name) for name in names], FIRST + EIGHT - timedelta(hours=1))


def test_a_first_history_of_five_hundred_waits_for_the_shared_limit(tmp_path: Path) -> None:
    names = [f"X{n}USDT" for n in range(500)]
    found, asked = read(tmp_path, [row(name, FIRST) for name in names], *names)
    panel = found.funding([perp(name) for name in names], None)
    assert panel.values.shape == (1, 500)
    # 450 requests at once, then the five minutes are waited for: no time passes by itself here.
    assert asked.passage.waited == [300.0]
    assert asked.now() == NOW + timedelta(minutes=5)


def test_a_symbol_without_funding_is_empty_and_others_are_not(tmp_path: Path) -> None:
    found, _ = read(tmp_path, [row("BTCUSDT", FIRST)], "BTCUSDT", "GONEUSDT")
    panel = found.funding([perp(), perp("GONEUSDT")], None)
    assert np.isnan(panel.values).tolist() == [[False, True]]


def test_a_null_answer_is_no_settlement(tmp_path: Path) -> None:
    # The recorded exchange answers null for a time without settlements.
    found = Exchange(answers={PATH: None})
    assert len(reading(found, tmp_path, perp()).funding([perp()], FIRST)) == 0


def test_spot_pays_no_funding(tmp_path: Path) -> None:
    found = Exchange(Product.SPOT)
    panel = reading(found, tmp_path, pair()).funding([pair()], None)
    assert (len(panel), panel.instruments, found.asked) == (0, (pair().id,), [])
