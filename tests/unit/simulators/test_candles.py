"""Recorded hours, the prices invented within them, and candles of every length."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.errors import DataError, UsageError
from rebalancer.model.instrument import Instrument, Kind
from rebalancer.simulators.candle_path import MINUTES, HourPath
from rebalancer.simulators.candle_recording import EPOCH, HOUR, UNIT, HourRow, LikeHours
from rebalancer.simulators.candles import (
    INTERVALS,
    CandleMarket,
    candle_recording,
    candle_recordings,
)
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.recording import RECORDINGS, recording
from tests.unit.simulators.worlds import AT, BTC, ETH, GAP, SPOT, instrument, market

D = Decimal
COINS = "ADA BCH BNB BTC ETH LINK LTC SOL XRP"
MINUTE = timedelta(minutes=1)


def test_the_perpetuals_are_nine_on_one_grid_without_a_hole() -> None:
    recorded = candle_recording("binance_perps_2025")
    assert sorted(recorded.hours) == [f"{coin}USDT" for coin in COINS.split()]
    assert recorded.start == datetime(2025, 3, 6, 11, tzinfo=UTC)
    assert recorded.end == datetime(2025, 4, 5, 10, tzinfo=UTC)
    for hours in recorded.hours.values():
        # 29 days and 23 hours
        assert hours.last - hours.first + 1 == 29 * 24 + 23
        rows = [hours.row(hour) for hour in range(hours.first, hours.last + 1)]
        assert all(row and row.low <= min(row.open, row.close) for row in rows)
        assert all(row and row.high >= max(row.open, row.close) for row in rows)


def test_a_candle_is_read_exactly() -> None:
    hours = candle_recording("binance_perps_2025").hours["BNBUSDT"]
    row = hours.row(hours.first)
    assert row is not None
    assert row[:4] == (60_210_000_000, 60_426_000_000, 60_164_000_000, 60_360_000_000)
    assert row.volume == 1_232_170_000_000
    # (602.10 + 604.26 + 601.64 + 603.60) / 4 x 12,321.70
    assert row.turnover == int(D("602.90") * D("12321.70") * UNIT)
    assert hours.grid == UNIT // 100


def test_funding_keeps_the_milliseconds_by_which_the_exchange_is_late() -> None:
    paid = market().funding("BTCUSDT")
    assert paid[0] == (datetime(2025, 3, 6, 16, tzinfo=UTC), D("0.00006818"))
    assert paid[2][0] == datetime(2025, 3, 7, 8, 0, 0, 1000, tzinfo=UTC)
    assert all(at.hour % 8 == 0 and at.minute == at.second == 0 for at, _ in paid)
    # Three a day for 29 days and 23 hours, the first at 16:00 of the first day.
    assert len(paid) == 90
    assert market().next_funding(BTC, AT) == next(at for at, _ in paid if at > AT)
    assert market().next_funding(SPOT, AT) is None


def test_the_recordings_have_fingerprints() -> None:
    """Who changes them changes every simulated hour: on purpose, then here too."""
    found = {
        path.relative_to(RECORDINGS).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(RECORDINGS.glob("binance_*/*.gz"))
    }
    assert found == {
        "binance_perps_2025/candles.csv.gz": "d32072dc438b5d34",
        "binance_perps_2025/funding.csv.gz": "667fdc94af759b5d",
        "binance_spot_2020/candles.csv.gz": "24f690880b249658",
    }


def test_recordings_are_known_by_name_and_kind() -> None:
    assert candle_recordings() == ("binance_perps_2025", "binance_spot_2020")
    with pytest.raises(DataError, match="known: binance_perps_2025, binance_spot_2020"):
        candle_recording("us_equities")
    with pytest.raises(DataError, match="known: us_equities"):
        recording("binance_spot_2020")
    for name in candle_recordings():
        assert {"LICENSE.txt", "README.md"} <= {p.name for p in (RECORDINGS / name).iterdir()}


rows = st.tuples(
    st.integers(1, 10**6), st.integers(0, 500), st.integers(0, 500), st.integers(0, 1000)
).map(
    lambda d: HourRow(
        (d[0] + d[1]) * 1000,
        (d[0] + max(d[1], d[2]) + d[3] % 7) * 1000,
        d[0] * 1000,
        (d[0] + d[2]) * 1000,
        d[3] * 977,
        d[3] * 98_317,
        d[3],
    )
)


@settings(max_examples=150, deadline=None)
@given(row=rows, seed=st.integers(0, 5), hour=st.integers(0, 10**6))
def test_a_path_visits_open_both_extremes_and_close_and_never_leaves_them(
    row: HourRow, seed: int, hour: int
) -> None:
    path = HourPath((seed, "BTCUSDT", hour), row, 1000)
    points = path.points
    assert len(points) == MINUTES + 1
    assert (points[0], points[-1]) == (row.open, row.close)
    assert (min(points), max(points)) == (row.low, row.high)
    assert all(price % 1000 == 0 for price in points)
    first, second = (row.low, row.high) if row.close >= row.open else (row.high, row.low)
    assert first in points[:31]
    assert second in points[30:]
    assert points == HourPath((seed, "BTCUSDT", hour), row, 1000).points
    parts = [(path.volume(m, m + 1), path.turnover(m, m + 1), path.trades(m, m + 1))
             for m in range(MINUTES)]  # fmt: skip
    sums = tuple(sum(each) for each in zip(*parts, strict=True))
    assert sums == (row.volume, row.turnover, row.trades)


def test_a_path_is_the_same_on_every_machine() -> None:
    hours = candle_recording("binance_perps_2025").hours["BTCUSDT"]
    number = (AT - EPOCH) // HOUR
    row = hours.row(number)
    assert row is not None
    points = HourPath((7, "BTCUSDT", number), row, hours.grid).points
    digest = hashlib.sha256(",".join(map(str, points)).encode()).hexdigest()
    assert digest[:16] == "062e9c1f40975f82"
    other = HourPath((8, "BTCUSDT", number), row, hours.grid).points
    assert other != points


@settings(max_examples=60, deadline=None)
@given(minute=st.integers(0, 29 * 24 * 60), of=st.sampled_from([BTC, ETH, SPOT]))
def test_touches_lie_inside_the_hour_a_tick_apart_and_on_the_grid(
    minute: int, of: Instrument
) -> None:
    here = market()
    at = here.start + minute * MINUTE
    touch, price, span = here.touch(of, at), here.mark(of, at), here.range(of, at)
    assert touch is not None
    assert price is not None
    assert span is not None
    tick = of.rules.price_step(price)
    assert touch.bid % tick == touch.ask % tick == 0
    assert touch.bid < touch.ask
    assert span[0] - tick <= touch.bid
    assert touch.ask <= span[1] + tick
    assert touch.bid <= price <= touch.ask
    assert span[0] <= price <= span[1]
    assert touch.depth is not None
    assert touch.depth > 0
    assert touch.depth % of.rules.limit_step == 0


def test_a_limit_inside_the_hour_is_reached_and_one_outside_never() -> None:
    """The low is bid and the high is asked for in some minute, a tick beyond in none."""
    here, hour = market(), AT.replace(minute=0)
    touches = [here.touch(BTC, hour + minute * MINUTE) for minute in range(60)]
    span = here.range(BTC, AT)
    assert span == (D("84520"), D("86174.2"))
    assert min(each.bid for each in touches if each) == span[0]
    assert max(each.ask for each in touches if each) == span[1]


def test_depth_is_a_twentieth_of_the_volume_unless_the_owner_says_less() -> None:
    shown = market().touch(BTC, AT)
    hours = candle_recording("binance_perps_2025").hours["BTCUSDT"]
    row = hours.row((AT - EPOCH) // HOUR)
    assert row is not None
    path = HourPath((7, "BTCUSDT", (AT - EPOCH) // HOUR), row, hours.grid)
    assert shown is not None
    assert shown.depth is not None
    assert shown.depth == (D(path.volume(5, 6)) / UNIT / 20).quantize(D("0.001"), "ROUND_FLOOR")
    less = market(depth=D("0.5")).touch(BTC, AT)
    assert less is not None
    assert less.depth == D("0.5")


def test_minutes_make_the_hour_and_hours_make_the_day() -> None:
    here, hour = market(), AT.replace(hour=14, minute=0)
    (whole,) = here.candles("BTCUSDT", "1h", hour, None, 1, now=AT)
    for interval, count in (("1m", 60), ("5m", 12), ("15m", 4), ("30m", 2)):
        found = here.candles("BTCUSDT", interval, hour, hour + HOUR - MINUTE, 60, now=AT)
        assert len(found) == count
        assert found[0].open == whole.open
        assert found[-1].close == whole.close
        assert max(each.high for each in found) == whole.high
        assert min(each.low for each in found) == whole.low
        assert sum(each.volume for each in found) == whole.volume
        assert sum(each.turnover for each in found) == whole.turnover
        assert [each.ends for each in found[:-1]] == [each.opens for each in found[1:]]
    day = AT.replace(day=19, hour=0, minute=0)
    (whole,) = here.candles("BTCUSDT", "1d", day, day, 1, now=AT)
    for interval, count in (("1h", 24), ("2h", 12), ("4h", 6), ("6h", 4), ("8h", 3), ("12h", 2)):
        found = here.candles("BTCUSDT", interval, day, day + timedelta(hours=23), 24, now=AT)
        assert len(found) == count
        assert (found[0].open, found[-1].close) == (whole.open, whole.close)
        assert max(each.high for each in found) == whole.high
        assert sum(each.volume for each in found) == whole.volume


def test_the_last_candle_is_unfinished() -> None:
    here = market()
    for interval in INTERVALS:
        last = here.candles("BTCUSDT", interval, None, None, 1, now=AT)[-1]
        assert last.opens <= AT < last.ends
        assert last.close == here.mark(BTC, AT)
        assert last.low <= last.close <= last.high
    minute = here.candles("BTCUSDT", "1m", None, None, 1, now=AT)[-1]
    assert minute.volume == 0, "it has just begun"
    later = here.candles("BTCUSDT", "1h", None, None, 1, now=AT + timedelta(minutes=20))[-1]
    now = here.candles("BTCUSDT", "1h", None, None, 1, now=AT)[-1]
    assert now.volume < later.volume
    assert now.opens == later.opens
    assert here.candles("BTCUSDT", "1w", None, None, 1, now=AT)[-1].opens.weekday() == 0
    assert here.candles("BTCUSDT", "1M", None, None, 1, now=AT)[-1].opens.day == 1


def test_with_a_start_the_first_candles_come_and_without_the_last() -> None:
    here, start = market(), AT.replace(day=10, hour=0, minute=0)
    found = here.candles("ETHUSDT", "1h", start, None, 3, now=AT)
    assert [each.opens for each in found] == [start, start + HOUR, start + 2 * HOUR]
    found = here.candles("ETHUSDT", "1h", None, start, 3, now=AT)
    assert [each.opens for each in found] == [start - 2 * HOUR, start - HOUR, start]
    found = here.candles("ETHUSDT", "1h", start + MINUTE, start + HOUR, 3, now=AT)
    assert [each.opens for each in found] == [start + HOUR], "candles open at or after the start"
    before = here.start - timedelta(days=3)
    assert here.candles("ETHUSDT", "1h", before, None, 2, now=AT)[0].opens == here.start
    assert here.candles("ETHUSDT", "1h", None, before, 2, now=AT) == []
    assert here.candles("ETHUSDT", "1h", AT + HOUR, None, 2, now=AT) == []
    assert here.candles("NOPEUSDT", "1h", None, None, 2, now=AT) == []
    after = here.end + timedelta(days=2)
    assert here.candles("ETHUSDT", "1h", None, None, 1, now=after)[0].ends == here.end


def test_the_hours_of_the_outage_are_missing_and_nothing_trades_in_them() -> None:
    here, back = market("binance_spot_2020"), GAP + 3 * HOUR
    opens = [each.opens for each in here.candles("BTCUSDT", "1h", GAP - HOUR, None, 3, now=AT)]
    assert opens == [GAP - HOUR, back, back + HOUR]
    minutes = here.candles("BTCUSDT", "1m", GAP - MINUTE, None, 2, now=AT)
    assert [each.opens for each in minutes] == [GAP - MINUTE, back]
    (day,) = here.candles("BTCUSDT", "1d", GAP.replace(hour=0), None, 1, now=AT)
    hours = here.candles("BTCUSDT", "1h", GAP.replace(hour=0), day.ends - MINUTE, 24, now=AT)
    assert len(hours) == 21
    assert sum(each.volume for each in hours) == day.volume
    assert here.candles("BTCUSDT", "1h", GAP, GAP + 2 * HOUR, 5, now=AT) == []
    inside = GAP + timedelta(minutes=90)
    assert here.session(SPOT, inside) is None
    assert here.touch(SPOT, inside) is None
    assert here.status(SPOT, inside) == "BREAK"
    assert here.mark(SPOT, inside) == D("8971.8"), "the last price before it"
    following = here.next_session(SPOT, inside)
    assert following is not None
    assert following.open == back
    assert here.session(SPOT, GAP - MINUTE) is not None
    assert here.session(SPOT, back) is not None
    quote = here.quote(SPOT, inside)
    assert quote is not None
    assert (quote.bid, quote.trading) == (None, False)
    last = here.candles("BTCUSDT", "1h", None, None, 1, now=inside)[-1]
    assert last.ends == GAP, "there is no current candle in an outage"


def test_trades_and_turnover_that_were_recorded_are_kept() -> None:
    here = market("binance_spot_2020")
    first = here.candles("BTCUSDT", "1h", here.start, None, 1, now=AT)[0]
    assert first.trades == 34_467
    assert first.turnover == D("27174569.16633405")


def test_a_shift_moves_every_time_and_no_price() -> None:
    days = timedelta(days=500)
    here = market()
    known = {each.id: each for each in (BTC, ETH)}
    chosen = PaperSettings(seed=7, start=AT)
    there = CandleMarket(candle_recording(here.name), known, chosen, "USDT", shift=days)
    assert there.touch(BTC, AT + days) == here.touch(BTC, AT)
    assert there.start == here.start + days
    assert there.end == here.end + days
    assert [at - days for at, _ in there.funding("BTCUSDT")] == [
        at for at, _ in here.funding("BTCUSDT")
    ]
    ours = here.candles("BTCUSDT", "4h", None, None, 5, now=AT)
    theirs = there.candles("BTCUSDT", "4h", None, None, 5, now=AT + days)
    assert [each[2:] for each in theirs] == [each[2:] for each in ours]
    assert [each.opens - days for each in theirs] == [each.opens for each in ours]
    with pytest.raises(UsageError, match="whole hours"):
        CandleMarket(candle_recording(here.name), known, chosen, "USDT", shift=MINUTE)


def test_the_shift_to_a_time_is_whole_days_into_the_recording() -> None:
    recorded = candle_recording("binance_perps_2025")
    now = datetime(2027, 1, 31, 23, 59, 30, tzinfo=UTC)
    shift = recorded.shift_to(now)
    assert shift % timedelta(days=1) == timedelta(0)
    assert recorded.start + shift < now < recorded.end + shift
    # 60 % of 29 days 23 hours are 17.97 days; whole days leave less than one more.
    assert timedelta(days=17) < now - (recorded.start + shift) < timedelta(days=19)


def test_instruments_that_were_not_recorded_have_no_price() -> None:
    here = market()
    doge = instrument("DOGEUSDT")
    assert here.mark(doge, AT) is None
    assert here.session(doge, AT) is None
    assert market("binance_spot_2020").mark(BTC, GAP) is None, "spot only"
    assert here.mark(BTC, here.start - MINUTE) is None
    assert here.mark(BTC, here.end + HOUR) == here.mark(BTC, here.end), "the last one stands"
    assert here.ended(here.end)
    assert not here.ended(here.end - MINUTE)
    assert {each.id for each in here.listed()} == {BTC.id, ETH.id, SPOT.id}
    assert market("binance_spot_2020").listed() == (SPOT,)


def test_daily_closes_are_those_of_whole_days() -> None:
    panel = market().bars([BTC, instrument("DOGEUSDT")], None, AT)
    # From the half day of 6 March to 19 March.
    assert len(panel) == 14
    assert panel.last_time() == datetime(2025, 3, 20, tzinfo=UTC)
    assert panel.values[-1, 0] == 86809.8
    assert np.isnan(panel.values[:, 1]).all()
    assert len(market().bars([BTC], datetime(2025, 3, 18, tzinfo=UTC), AT)) == 2
    assert market().sessions_since(BTC, AT - timedelta(days=2), AT) == 2


def test_a_made_up_symbol_has_anothers_hours_at_its_own_prices() -> None:
    like = candle_recording("binance_perps_2025").hours["BTCUSDT"]
    made = LikeHours("XUSDT", like, power=-6, grid=UNIT // 100_000, turn=48)
    row, model = made.row(like.first), like.row(like.first + 48)
    assert row is not None
    assert model is not None
    assert row.turnover == model.turnover
    assert row.volume == model.volume * 10**6
    assert all(price % 1000 == 0 for price in row[:4])
    assert abs(row.open - model.open // 10**6) <= 500, "rounded to the grid"
    assert made.row(like.last + 1) is None
    assert made.row(like.last) is not None, "what falls out at the end comes in again"


def test_spot_has_the_perpetuals_prices_where_none_were_recorded() -> None:
    here = market()
    assert SPOT.kind is Kind.SPOT
    assert here.mark(SPOT, AT) == here.mark(BTC, AT)
