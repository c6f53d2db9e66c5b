"""Which mails are owed: each kind once per session date, whoever comes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rebalancer.model.records import Standing
from rebalancer.reports.owed import owed_mails, passed_over
from tests.unit.reports.stories import around_the_clock, new_york


def at(day: int, hour: int, minute: int = 5) -> datetime:
    return datetime(2020, 3, day, hour, minute, tzinfo=UTC)


def keys(standing: Standing, now: datetime, *, always: bool = False) -> list[str]:
    table = around_the_clock() if always else new_york()
    return [owed.key for owed in owed_mails(table, standing, now)]


def sent(**due: str) -> Standing:
    return Standing(due={f"mail:{kind}": f"2020-03-{day}" for kind, day in due.items()})


def test_a_session_owes_three_mails_each_from_its_time_on() -> None:
    # New York: 14:30 to 21:00 UTC, half-way at 17:45.
    standing = sent(start="01", middle="01", end="01")
    assert keys(standing, at(2, 14, 29)) == []
    assert keys(standing, at(2, 14, 30)) == ["mail:start:2020-03-02"]
    standing = sent(start="02", middle="01", end="01")
    assert keys(standing, at(2, 17, 44)) == []
    assert keys(standing, at(2, 17, 45)) == ["mail:middle:2020-03-02"]
    standing = sent(start="02", middle="02", end="01")
    assert keys(standing, at(2, 20, 59)) == []
    assert keys(standing, at(2, 21, 0)) == ["mail:end:2020-03-02"]
    assert keys(sent(start="02", middle="02", end="02"), at(2, 23)) == []


def test_a_new_portfolio_owes_the_newest_mail_only() -> None:
    assert keys(Standing(), at(3, 18)) == ["mail:middle:2020-03-03"]
    assert keys(Standing(), at(3, 15)) == ["mail:start:2020-03-03"]


def test_kinds_never_sent_are_owed_from_the_newest_mail_on() -> None:
    assert keys(sent(middle="02"), at(2, 18)) == []
    assert keys(sent(middle="02"), at(2, 22)) == ["mail:end:2020-03-02"]
    assert keys(sent(end="02"), at(3, 15)) == ["mail:start:2020-03-03"]


@pytest.mark.parametrize("hour", [15, 18, 22])
def test_a_new_portfolios_first_mail_stays_owed_when_it_is_lost(hour: int) -> None:
    lost = keys(Standing(), at(3, hour))
    standing = Standing(due=passed_over(new_york(), Standing(), at(3, hour)))
    later = keys(standing, at(3, 23))
    day = "2020-03-03"
    every = [f"mail:start:{day}", f"mail:middle:{day}", f"mail:end:{day}"]
    assert later == every[every.index(lost[0]) :]


def test_who_has_sent_a_mail_passes_none_over() -> None:
    assert passed_over(new_york(), sent(start="02"), at(3, 18)) == {}


def test_after_an_outage_only_the_newest_of_each_kind_is_owed_oldest_first() -> None:
    standing = sent(start="02", middle="01", end="01")
    assert keys(standing, at(4, 15)) == [
        "mail:middle:2020-03-03",
        "mail:end:2020-03-03",
        "mail:start:2020-03-04",
    ]


def test_a_kind_that_the_owner_does_not_want_is_not_owed() -> None:
    standing = sent(start="01", middle="01", end="01")
    owed = owed_mails(new_york(), standing, at(2, 22), ("end",))
    assert [each.kind for each in owed] == ["end"]


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="midnight"):
        owed_mails(new_york(), Standing(), at(2, 22), ("midnight",))


def test_where_the_market_never_closes_a_day_ends_as_the_next_begins() -> None:
    standing = sent(start="02", middle="02", end="01")
    assert keys(standing, at(3, 0), always=True) == [
        "mail:end:2020-03-02",
        "mail:start:2020-03-03",
    ]


def test_two_hours_make_a_mail_late() -> None:
    standing = sent(start="01", middle="01", end="01")
    since = at(2, 14, 30)

    def late(now: datetime) -> bool:
        return owed_mails(new_york(), standing, now, ("start",))[0].late

    assert not late(since + timedelta(hours=2))
    assert late(since + timedelta(hours=2, minutes=1))


def test_the_next_session_makes_a_mail_late_however_soon_it_comes() -> None:
    owed = owed_mails(new_york(), sent(end="01"), at(3, 14, 30), ("end",))
    assert owed[0].late
    nights = owed_mails(around_the_clock(), sent(end="01"), at(3, 0), ("end",))
    assert not nights[0].late


def test_before_the_first_session_nothing_is_owed() -> None:
    assert keys(Standing(), at(1, 12)) == []
