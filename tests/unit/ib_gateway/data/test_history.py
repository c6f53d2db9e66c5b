"""Historical bars: by day and within it, in every form of answer, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.simulators.ib_gateway.gateway import Gateway
from rebalancer.simulators.ib_gateway.history_pacing import HistoryPacing
from rebalancer.simulators.ib_gateway.standalone import other_instruments
from rebalancer.simulators.ib_gateway.wire_log import WireEntry
from tests.unit.ib_gateway.clients import SLOT, connected, library, local
from tests.unit.ib_gateway.trading.scene import AAPL
from tests.unit.ib_gateway.wire import Caller, contract, errors, gateway_of, pass_wire_seconds

CLOSED = SLOT.replace(hour=21, minute=30)
DAILY = ("1 day", "3 D", "TRADES")


def started(gateway: Gateway) -> Caller:
    """Return a connection that has said who it is."""
    caller = Caller(gateway)
    caller.start()
    return caller


def ask(
    caller: Caller,
    size: str,
    duration: str,
    show: str,
    *,
    asked: tuple[object, ...] = contract(),
    end: str = "",
    form: int = 1,
    live: int = 0,
) -> list[WireEntry]:
    """Ask for bars; return what is answered."""
    return caller.say(20, 5, *asked, 0, end, size, duration, 1, show, form, live, "")


def rows(entries: list[WireEntry]) -> list[tuple[str, ...]]:
    """Return date and prices of the bars of an answer."""
    assert [e.name for e in entries] == ["historicalData"], entries
    fields = entries[0].fields
    assert len(fields) == 5 + 8 * int(fields[4])
    return [tuple(fields[at : at + 8]) for at in range(5, len(fields), 8)]


def test_daily_closes_are_the_recorded_ones_and_the_open_session_is_forming() -> None:
    with gateway_of() as gateway:
        found = rows(ask(started(gateway), *DAILY))
        mark = gateway.exchange.market.mark(gateway.exchange.instruments[AAPL], SLOT)
    assert [row[0] for row in found] == ["20200227", "20200228", "20200302"]
    assert [row[4] for row in found[:2]] == ["66.954", "66.915"]
    assert Decimal(found[2][4]) == mark
    # A day opens where the one before closed; volume, average and count are not known.
    assert found[1][1] == "66.954"
    assert found[0][5:] == ("-1", "-1", "-1")


def test_after_the_close_the_day_is_complete() -> None:
    with gateway_of() as gateway:
        gateway.exchange.play_to(CLOSED)
        caller = started(gateway)
        assert rows(ask(caller, *DAILY))[-1][:5:4] == ("20200302", "73.145")
        assert rows(ask(caller, "1 day", "3 D", "ADJUSTED_LAST")) == rows(ask(caller, *DAILY))


@pytest.mark.parametrize(
    ("duration", "first", "count"),
    [
        ("1 D", "20200302", 1),
        # 41 sessions of 2020 (21 + 19 + 1), 252 of 2019, and the last 7 of 2018.
        ("300 D", "20181220", 300),
        # Weeks, months and years are of all days, back from this minute of the 2nd.
        ("1 W", "20200225", 5),
        ("1 M", "20200203", 20),
        ("2 Y", "20180305", 502),
        ("172800 S", "20200302", 1),
    ],
)
def test_durations(duration: str, first: str, count: int) -> None:
    with gateway_of() as gateway:
        found = rows(ask(started(gateway), "1 day", duration, "TRADES"))
    assert (found[0][0], len(found)) == (first, count)


def test_an_end_in_the_past_ends_the_bars_there() -> None:
    with gateway_of() as gateway:
        caller = started(gateway)
        ends = ("20200226 17:00:00 US/Eastern", "20200226-22:00:00", "20200226 17:00:00")
        for end in ends:
            assert rows(ask(caller, *DAILY, end=end))[-1][0] == "20200226"
        during = rows(ask(caller, *DAILY, end="20200226 12:00:00 US/Eastern"))
        assert during[-1][0] == "20200226"
        assert during[-1][4] != rows(ask(caller, *DAILY, end=ends[0]))[-1][4]


def test_hourly_bars_are_cut_at_full_hours_and_end_with_the_session() -> None:
    with gateway_of() as gateway:
        gateway.exchange.play_to(CLOSED)
        found = rows(ask(started(gateway), "1 hour", "1 D", "TRADES"))
        share, market = gateway.exchange.instruments[AAPL], gateway.exchange.market
        ten = market.mark(share, datetime(2020, 3, 2, 15, 0, tzinfo=UTC))
    assert [row[0] for row in found] == [
        f"20200302 {clock} US/Eastern"
        for clock in ("09:30:00", *(f"{hour:02d}:00:00" for hour in range(10, 16)))
    ]
    # A bar ends where the next begins, and the last one with the close (73.145, to the cent).
    assert Decimal(found[0][4]) == Decimal(found[1][1]) == ten
    assert found[-1][4] == "73.15"
    for _when, opened, high, low, close, *_rest in found:
        prices = [Decimal(each) for each in (low, opened, close, high)]
        assert prices[0] == min(prices)
        assert prices[-1] == max(prices)


def test_times_are_in_the_form_that_is_asked_for() -> None:
    with gateway_of() as gateway:
        caller, old = started(gateway), Caller(gateway, "v157..173")
        old.start(2)
        epoch = rows(ask(caller, "1 hour", "1 D", "TRADES", form=2))
        assert epoch[0][0] == str(int(datetime(2020, 3, 2, 14, 30, tzinfo=UTC).timestamp()))
        assert rows(ask(caller, *DAILY, form=2))[-1][0] == "20200302"
        assert rows(ask(old, "1 hour", "1 D", "TRADES"))[0][0] == "20200302  09:30:00"


def test_a_bar_of_an_open_hour_ends_now() -> None:
    with gateway_of() as gateway:
        found = rows(ask(started(gateway), "1 hour", "1 D", "TRADES"))
        mark = gateway.exchange.market.mark(gateway.exchange.instruments[AAPL], SLOT)
    assert [row[0][9:17] for row in found] == ["09:30:00", "10:00:00"]
    assert Decimal(found[-1][4]) == mark


@pytest.mark.parametrize(
    ("size", "count"),
    [("1 min", 390), ("15 mins", 26), ("30 mins", 13), ("2 hours", 4), ("30 secs", 780)],
)
def test_other_sizes_within_a_day(size: str, count: int) -> None:
    with gateway_of() as gateway:
        gateway.exchange.play_to(CLOSED)
        assert len(rows(ask(started(gateway), size, "1 D", "MIDPOINT"))) == count


def test_weeks_and_months_are_days_put_together() -> None:
    with gateway_of() as gateway:
        gateway.exchange.play_to(CLOSED)
        caller = started(gateway)
        days = rows(ask(caller, "1 day", "2 M", "TRADES"))
        weeks = rows(ask(caller, "1 week", "2 M", "TRADES"))
        months = rows(ask(caller, "1 month", "2 M", "TRADES"))
    assert [row[0] for row in months] == ["20200103", "20200203", "20200302"]
    assert weeks[-1][0] == "20200302"
    last_week = [row for row in days if "20200224" <= row[0] <= "20200228"]
    assert (weeks[-2][1], weeks[-2][4]) == (last_week[0][1], last_week[-1][4])
    assert Decimal(weeks[-2][2]) == max(Decimal(row[2]) for row in last_week)


def test_bid_and_ask_surround_the_middle() -> None:
    with gateway_of() as gateway:
        caller = started(gateway)
        middle, bid, ask_row, both = (
            rows(ask(caller, "1 day", "2 D", show))[0]
            for show in ("MIDPOINT", "BID", "ASK", "BID_ASK")
        )
    assert Decimal(bid[4]) < Decimal(middle[4]) < Decimal(ask_row[4])
    # Bid and ask together: average bid, highest ask, lowest bid, average ask.
    assert (both[1], both[2], both[3], both[4]) == (bid[4], ask_row[2], bid[3], ask_row[4])


def test_currencies_have_middles_only_and_futures_are_not_adjusted() -> None:
    with gateway_of(instruments=other_instruments(SLOT)) as gateway:
        caller = started(gateway)
        pair = contract("EUR", "CASH", exchange="IDEALPRO")
        future = contract("ES", "FUT", exchange="CME")
        assert rows(ask(caller, "1 day", "5 D", "MIDPOINT", asked=pair))[-1][4] == "1.1"
        assert errors(ask(caller, *DAILY, asked=pair)) == [(5, 162)]
        assert len(rows(ask(caller, *DAILY, asked=future))) == 3
        assert errors(ask(caller, "1 day", "3 D", "ADJUSTED_LAST", asked=future)) == [(5, 162)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"size": "1 fortnight"}, 321),
        ({"size": "1day"}, 321),
        ({"duration": "400 D"}, 321),
        ({"duration": "0 D"}, 321),
        ({"duration": "two days"}, 321),
        ({"show": "LAST"}, 321),
        ({"show": "HISTORICAL_VOLATILITY"}, 162),
        ({"form": 3}, 321),
        ({"live": 1}, 321),
        ({"end": "yesterday"}, 10314),
        ({"end": "20200228 16:00:00 US/Eastern", "show": "ADJUSTED_LAST"}, 321),
        ({"end": "19010101-00:00:00"}, 162),
        ({"asked": contract("NOPE")}, 200),
        ({"asked": contract(exchange="")}, 321),
        ({"size": "1 secs", "duration": "30 D"}, 162),
    ],
)
def test_what_cannot_be_answered_is_refused(changes: dict[str, Any], code: int) -> None:
    asked = {"size": "1 day", "duration": "3 D", "show": "TRADES"} | changes
    with gateway_of() as gateway:
        assert errors(ask(started(gateway), **asked)) == [(5, code)]


def test_small_bars_have_a_pace_of_their_own() -> None:
    with gateway_of() as gateway:
        caller = started(gateway)
        rows(ask(caller, "30 secs", "60 S", "TRADES"))
        said = ask(caller, "30 secs", "60 S", "TRADES")
        assert errors(said) == [(5, 162)]
        assert "pacing violation" in said[0].fields[4]
        rows(ask(caller, "1 min", "60 S", "TRADES"))
        rows(ask(caller, "1 min", "60 S", "TRADES"))
        pass_wire_seconds(gateway, 16.0)
        rows(ask(caller, "30 secs", "60 S", "TRADES"))


def test_the_limits_of_small_bars() -> None:
    pacing = HistoryPacing()
    assert not pacing.violates(0.0, "A", "a1", 1)
    assert pacing.violates(14.9, "A", "a1", 1)
    assert not pacing.violates(30.0, "A", "a1", 1)
    five = [pacing.violates(100.0, "B", f"b{n}", 1) for n in range(5)]
    assert five == [False] * 5
    assert pacing.violates(101.9, "B", "b5", 1)
    many = HistoryPacing()
    assert not any(many.violates(n * 9.0, f"C{n}", f"c{n}", 1) for n in range(60))
    assert many.violates(540.0, "D", "d", 1)
    assert not many.violates(1_200.0, "E", "e", 2)


def test_nothing_is_left_to_cancel_and_the_first_day_is_told() -> None:
    with gateway_of() as gateway:
        caller = started(gateway)
        assert errors(caller.say(25, 1, 5)) == [(5, 366)]
        head = caller.say(87, 6, *contract(), 0, 1, "TRADES", 1)
        assert head[0].fields[:2] == ("88", "6")
        assert errors(caller.say(87, 7, *contract("NOPE"), 0, 1, "TRADES", 1)) == [(7, 200)]


def test_the_schedule_is_the_calendars() -> None:
    with gateway_of() as gateway:
        said = ask(started(gateway), "1 day", "2 D", "SCHEDULE")
    assert said[0].fields == (
        "106", "5", "20200228-09:30:00", "20200302-16:00:00", "US/Eastern", "2",
        "20200228-09:30:00", "20200228-16:00:00", "20200228",
        "20200302-09:30:00", "20200302-16:00:00", "20200302",
    )  # fmt: skip


def test_the_real_client_reads_days_and_hours() -> None:
    with connected(local()) as ib:
        share = library().Stock("KO", "SMART", "USD")
        ib.qualifyContracts(share)
        days = ib.reqHistoricalData(share, "", "1 Y", "1 day", "ADJUSTED_LAST", True, 1)
        hours = ib.reqHistoricalData(share, "", "5 D", "1 hour", "TRADES", True, 2)
        first = ib.reqHeadTimeStamp(share, "TRADES", True, 2)
    assert 250 <= len(days) <= 253
    assert days[-1].date.isoformat() == "2020-03-02"
    assert hours[-1].date == datetime(2020, 3, 2, 15, 0, tzinfo=UTC)
    assert len(hours) == 4 * 7 + 2
    assert first < SLOT - timedelta(days=365)
