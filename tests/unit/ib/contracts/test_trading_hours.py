"""Trading hours as gateways write them, in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from rebalancer.brokers.ib.trading_hours import parse_hours, zone_of
from rebalancer.errors import DataError


def utc(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_the_new_form_has_the_date_at_both_ends_and_names_closed_days() -> None:
    text = "20261125:0930-20261125:1600;20261126:CLOSED;20261127:0930-20261127:1300"
    hours = parse_hours(text, "US/Eastern")
    # New York is at UTC-5 in November; the day after Thanksgiving closes at 13:00.
    assert hours.sessions == (
        (utc(2026, 11, 25, 14, 30), utc(2026, 11, 25, 21, 0)),
        (utc(2026, 11, 27, 14, 30), utc(2026, 11, 27, 18, 0)),
    )
    assert hours.trades(utc(2026, 11, 26, 15, 0)) is False
    assert hours.trades(utc(2026, 11, 27, 17, 59)) is True
    assert hours.trades(utc(2026, 11, 27, 18, 0)) is False
    assert hours.trades(utc(2026, 11, 28, 15, 0)) is None


def test_the_old_form_has_one_date_and_several_sessions_a_day() -> None:
    hours = parse_hours("20261123:0900-1130,1230-1500;20261124:CLOSED", "JST")
    # Tokyo is at UTC+9 the whole year.
    assert hours.sessions == (
        (utc(2026, 11, 23, 0, 0), utc(2026, 11, 23, 2, 30)),
        (utc(2026, 11, 23, 3, 30), utc(2026, 11, 23, 6, 0)),
    )
    assert hours.trades(utc(2026, 11, 23, 3, 0)) is False
    assert hours.days == {date(2026, 11, 23), date(2026, 11, 24)}


def test_an_old_session_that_begins_after_its_end_began_the_evening_before() -> None:
    hours = parse_hours("20261124:1700-1515,1530-1600", "America/Chicago")
    # Chicago is at UTC-6 in November.
    assert hours.sessions[0] == (utc(2026, 11, 23, 23, 0), utc(2026, 11, 24, 21, 15))


def test_a_session_over_midnight_belongs_to_the_day_on_which_it_ends() -> None:
    hours = parse_hours("20261122:1715-20261123:1700", "US/Eastern")
    assert hours.open_session(date(2026, 11, 23), utc(2026, 11, 23, 21, 59))
    assert not hours.open_session(date(2026, 11, 23), utc(2026, 11, 23, 22, 0))
    assert not hours.open_session(date(2026, 11, 22), utc(2026, 11, 23, 15, 0))


def test_summer_time_begins_between_two_days_of_one_text() -> None:
    text = "20260306:0930-20260306:1600;20260309:0930-20260309:1600"
    opens = [start for start, _end in parse_hours(text, "EST (Eastern Standard Time)").sessions]
    assert opens == [utc(2026, 3, 6, 14, 30), utc(2026, 3, 9, 13, 30)]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("EST", "America/New_York"),
        ("EST5EDT", "America/New_York"),
        ("US/Central", "US/Central"),
        ("GMT (Greenwich Mean Time)", "Europe/London"),
        ("Asia/Hong_Kong", "Asia/Hong_Kong"),
    ],
)
def test_a_zone_is_the_one_of_the_exchange_not_the_fixed_one_of_that_name(
    said: str, meant: str
) -> None:
    assert zone_of(said) == meant


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("20261123:0930", "US/Eastern"),
        ("20261123:0930-20261122:1600", "US/Eastern"),
        ("2026-11-23:0930-1600", "US/Eastern"),
        ("20261123:0930-1600", "Middle/Earth"),
        ("20261123:0930-1600", ""),
    ],
)
def test_what_cannot_be_read_is_said_not_guessed(text: str, zone: str) -> None:
    with pytest.raises(DataError):
        parse_hours(text, zone)


def test_an_empty_text_speaks_of_no_day() -> None:
    hours = parse_hours("", "US/Eastern")
    assert hours.trades(utc(2026, 11, 23, 15, 0)) is None
