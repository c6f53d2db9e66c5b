"""Recorded closes, and the prices invented between them."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.sessions import PackedSessions, SessionTable
from rebalancer.simulators.market import RecordedMarket
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.path import DayPath
from rebalancer.simulators.recording import RECORDINGS, recording

OPEN = datetime(2020, 3, 2, 14, 30, tzinfo=UTC)
CLOSE = datetime(2020, 3, 2, 21, 0, tzinfo=UTC)
STOCKS = "AAPL AMD BAC BBY CVX GE HD JNJ JPM KO LLY MRK MSFT PEP PFE PG RRC UNH WMT XOM"
ETFS = "MTUM QUAL SIZE USMV VLUE"


def table() -> SessionTable:
    recorded = recording("us_equities")
    closes = [seconds // 60 for seconds in recorded.closed.tolist()]
    opens = [close - 390 for close in closes]
    return SessionTable("XNYS", PackedSessions(recorded.days.tolist(), opens, closes))


def market(**settings: Any) -> RecordedMarket:
    chosen = PaperSettings(seed=7, **settings)
    return RecordedMarket(recording("us_equities"), table(), chosen, "USD")


def stock(symbol: str, currency: str = "USD") -> Instrument:
    identifier = InstrumentId(f"{symbol}.STK.{currency}@IB")
    return Instrument(identifier, Kind.STOCK, symbol, currency, "XNYS")


AAPL = stock("AAPL")


def test_the_recording_has_25_symbols_and_no_hole() -> None:
    recorded = recording("us_equities")
    assert sorted(recorded.symbols) == sorted(f"{STOCKS} {ETFS}".split())
    # Sessions of the New York Stock Exchange from 2015-01-02 to 2022-12-28: 252 a year in 2015,
    # 2016, 2018, 2019 and 2021, 251 in 2017, 253 in 2020, 251 less the last two in 2022.
    assert recorded.closes.shape == (252 * 5 + 251 + 253 + 249 - 1, 25)
    assert not np.isnan(recorded.closes).any()
    assert (recorded.closes > 0).all()
    assert (np.diff(recorded.days) > 0).all()
    assert recorded.last_day == date(2022, 12, 28)


def test_closes_are_read_exactly() -> None:
    recorded = recording("us_equities")
    row = recorded.row(date(2020, 3, 2))
    assert row is not None
    assert recorded.close(row, "AAPL") == Decimal("73.145")
    assert recorded.row(date(2020, 3, 1)) is None


def test_the_recorded_time_of_the_close_follows_new_york() -> None:
    recorded = recording("us_equities")

    def close(day: date) -> str:
        row = recorded.row(day)
        assert row is not None
        return f"{datetime.fromtimestamp(int(recorded.closed[row]), UTC):%H:%M}"

    assert close(date(2020, 3, 6)) == "21:00"  # 16:00, five hours behind
    assert close(date(2020, 3, 9)) == "20:00"  # summer time has begun
    assert close(date(2020, 11, 27)) == "18:00"  # the day after Thanksgiving ends at 13:00


def test_the_recording_comes_with_its_origin_and_licence() -> None:
    folder = RECORDINGS / "us_equities"
    readme = (folder / "README.md").read_text()
    licence = (folder / "LICENSE.txt").read_text()
    assert "skfolio 1.12.2" in readme
    assert "Hugo Delatte" in readme
    assert licence.startswith("BSD 3-Clause License\n\nCopyright (c) 2023-2026 The skfolio dev")


def test_an_unknown_recording_is_named_with_those_there_are() -> None:
    with pytest.raises(DataError, match=r"paper\.recording = 'moon'.*us_equities"):
        recording("moon")


def test_before_the_opening_the_price_is_the_last_close() -> None:
    for at in (OPEN - timedelta(hours=3), OPEN - timedelta(days=1), OPEN):
        touch = market().touch(AAPL, at)
        assert touch is not None
        # The close of 2020-02-28, 66.915, is 66.92 on the tick; a tick to either side.
        assert (touch.bid, touch.ask) == (Decimal("66.91"), Decimal("66.93"))


def test_the_path_runs_to_the_days_close() -> None:
    path = DayPath((7, "AAPL", date(2020, 3, 2)), 66_915_000, 73_145_000, 390)
    assert path.at(0) == 66_915_000
    assert path.at(390) == 73_145_000
    steps = [abs(path.at(minute + 1) - path.at(minute)) for minute in range(390)]
    assert max(steps) < 66_915_000 // 100, "no minute moves by more than one per cent"
    assert len(set(steps)) > 300
    assert market().mark(AAPL, CLOSE) == Decimal("73.15")


def test_the_path_is_the_same_in_whatever_order_it_is_asked() -> None:
    key = (7, "KO", date(2020, 3, 2))
    forward, backward = DayPath(key, 10**7, 10**7, 390), DayPath(key, 10**7, 10**7, 390)
    there = [forward.at(minute) for minute in range(391)]
    back = [backward.at(minute) for minute in range(390, -1, -1)]
    assert there == back[::-1]
    others = [DayPath((seed, "KO", key[2]), 10**7, 10**7, 390).at(195) for seed in range(5)]
    assert len(set(others)) == 5


def test_the_path_is_the_same_on_every_machine() -> None:
    path = DayPath((7, "AAPL", date(2020, 3, 2)), 66_915_000, 73_145_000, 390)
    # By hand from the rule: the middle of the line is (66,915,000 + 73,145,000) / 2 =
    # 70,030,000; the width 0.4 % of 66,915,000 = 267,660; the draw of minute 195 is bytes
    # 585 and 586 of SHAKE-128("7|AAPL|2020-03-02"), less 32768.
    noise = hashlib.shake_128(b"7|AAPL|2020-03-02").digest(3 * 391)
    draw = noise[585] * 256 + noise[586] - 32_768
    assert path.at(195) == 70_030_000 + 267_660 * draw // 32_768


def test_spread_and_depth_are_the_settings() -> None:
    wide = market(spread_bps=Decimal(100), depth=Decimal(1000))
    touch = wide.touch(AAPL, OPEN)
    assert touch is not None
    # 66.92 x 1 % / 2 = 0.3346 to either side, outwards to the cent.
    assert (touch.bid, touch.ask) == (Decimal("66.58"), Decimal("67.26"))
    depths = set()
    for minute in range(390):
        found = wide.touch(AAPL, OPEN + timedelta(minutes=minute))
        assert found is not None
        assert found.depth is not None
        depths.add(found.depth)
    assert min(depths) >= 500
    assert max(depths) <= 1490
    assert len(depths) > 50


def test_a_day_without_a_row_is_a_closed_venue() -> None:
    holiday = datetime(2022, 12, 29, 15, 0, tzinfo=UTC)
    days = [(date(2022, 12, day) - date(1970, 1, 1)).days for day in (27, 28, 29)]
    sessions = SessionTable(
        "XNYS",
        PackedSessions(days, [d * 1440 + 870 for d in days], [d * 1440 + 1260 for d in days]),
    )
    here = RecordedMarket(recording("us_equities"), sessions, PaperSettings(), "USD")
    quote = here.quote(AAPL, holiday)
    assert quote is not None
    assert quote.trading is False
    assert quote.close == Decimal("125.674")
    assert here.ended(holiday)
    assert here.ended(datetime(2022, 12, 28, 21, 0, tzinfo=UTC))
    assert not here.ended(datetime(2022, 12, 28, 20, 59, tzinfo=UTC))


def test_bars_older_than_the_calendar_have_their_recorded_times() -> None:
    days = [(date(2020, 3, 2) - date(1970, 1, 1)).days]
    sessions = SessionTable(
        "XNYS", PackedSessions(days, [days[0] * 1440 + 870], [days[0] * 1440 + 1200])
    )
    here = RecordedMarket(recording("us_equities"), sessions, PaperSettings(), "USD")
    panel = here.bars([AAPL], None, CLOSE)
    assert panel.last_time() == CLOSE - timedelta(hours=1), "the calendar has the last word"
    assert datetime.fromtimestamp(int(panel.times[-2]), UTC) == datetime(
        2020, 2, 28, 21, tzinfo=UTC
    )
    assert len(panel) > 1000


def test_another_currency_or_kind_is_not_in_the_recording() -> None:
    assert market().quote(stock("AAPL", "EUR"), OPEN) is None
    assert market().mark(stock("NOPE"), OPEN) is None


def test_currency_pairs_have_the_constant_rates() -> None:
    rules = TradingRules(price_levels=(PriceLevel(Decimal(0), Decimal("0.00005")),))
    pair = Instrument(InstrumentId("EUR.GBP.FX@IB"), Kind.FOREX, "EUR", "GBP", "24/5", rules)
    rates = {"EUR": Decimal("1.10"), "GBP": Decimal("1.30")}
    here = market(fx=rates)
    assert here.mark(pair, OPEN) == Decimal("0.84615")  # 1.10 / 1.30 = 0.846153
    assert market(fx={"EUR": Decimal("1.10")}).mark(pair, OPEN) is None
