"""Schedules come from their seed alone, and some thousand of them come by every cell."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.model.codec import from_json, to_json
from rebalancer.simulators.faults.cells import cells, faults
from rebalancer.simulators.faults.schedule import (
    _BLIND,
    _REST,
    Dice,
    Hour,
    Schedule,
    Trouble,
    draw,
    draw_trouble,
    with_companions,
)

INSTRUMENTS = {
    "ib": ("JNJ.STK.USD@IB", "KO.STK.USD@IB", "MSFT.STK.USD@IB"),
    "binance": ("BTCUSDT.PERP@BINANCE", "ETHUSDT.PERP@BINANCE"),
}
VENUES = tuple(INSTRUMENTS)
MANY = 2000


def drawn(venue: str, seeds: range) -> list[Schedule]:
    """Return the schedules of some seeds."""
    return [draw(venue, seed, INSTRUMENTS[venue]) for seed in seeds]


def runs(schedule: Schedule) -> list[Hour]:
    """Return the hours that are runs: what the owner does by hand is drawn by other rules."""
    return [hour for hour in schedule.hours if not hour.command]


@given(venue=st.sampled_from(VENUES), seed=st.integers(0, 10**9))
@settings(max_examples=60)
def test_a_schedule_is_the_same_every_time_and_survives_its_text(venue: str, seed: int) -> None:
    schedule = draw(venue, seed, INSTRUMENTS[venue])
    assert draw(venue, seed, INSTRUMENTS[venue]) == schedule
    assert from_json(Schedule, to_json(schedule)) == schedule
    assert (schedule.venue, schedule.seed, schedule.calm) == (venue, seed, 2)


@given(venue=st.sampled_from(VENUES), seed=st.integers(0, 10**9))
@settings(max_examples=100)
def test_every_trouble_can_strike_where_it_waits(venue: str, seed: int) -> None:
    schedule = draw(venue, seed, INSTRUMENTS[venue])
    for hour in runs(schedule):
        drawn_ones = [each for each in hour.troubles if each not in (_REST, _BLIND)]
        assert len(drawn_ones) <= 3
        for trouble in hour.troubles:
            place = faults()[trouble.fault].at(venue)
            assert place is not None
            assert trouble.step in place.steps
            assert trouble.nth >= 1
        for happening in hour.happenings:
            row = faults()[happening.what]
            assert row.kind == "between"
            assert row.at(venue) is not None
    assert any(hour.troubles for hour in schedule.hours)
    assert schedule.hours[0].wanted
    assert not schedule.hours[0].again
    assert not schedule.hours[0].happenings


@pytest.mark.parametrize("venue", VENUES)
def test_two_thousand_schedules_come_by_every_cell(venue: str) -> None:
    seen: Counter[tuple[str, int]] = Counter()
    between: Counter[str] = Counter()
    for schedule in drawn(venue, range(MANY)):
        for hour in schedule.hours:
            seen.update((each.fault, each.step) for each in hour.troubles)
            between.update(each.what for each in hour.happenings)
    wanted = {(name, step) for name, steps in cells(venue).items() for step in steps}
    of_runs = {cell for cell in wanted if faults()[cell[0]].kind != "between"}
    assert of_runs <= set(seen)
    assert {name for name, _ in wanted - of_runs} == set(between)


@pytest.mark.parametrize("venue", VENUES)
def test_any_seven_hundred_seeds_in_a_row_come_by_every_cell_of_a_run(venue: str) -> None:
    for start in (1, 123_456):
        seen = {
            (each.fault, each.step)
            for schedule in drawn(venue, range(start, start + 700))
            for hour in schedule.hours
            for each in hour.troubles
            if each.nth == 1 and not hour.dry
        }
        kinds = {name: row.kind for name, row in faults().items()}
        for name, steps in cells(venue).items():
            if kinds[name] != "between":
                assert {(name, step) for step in steps} <= seen


@pytest.mark.parametrize("venue", VENUES)
def test_everything_that_is_to_be_mixed_in_is(venue: str) -> None:
    schedules = drawn(venue, range(500))
    hours = [hour for schedule in schedules for hour in schedule.hours]
    pairs = [pair for s in schedules for pair in zip(s.hours, s.hours[1:], strict=False)]

    def kills(hour: object) -> bool:
        return any(each.fault.startswith("kill-") for each in hour.troubles)  # type: ignore[attr-defined]

    assert any(hour.dry and hour.troubles for hour in hours)
    assert any(len(hour.troubles) > 1 for hour in hours)
    assert any(hour.minutes == 1440 for hour in hours)
    assert any(kills(one) and kills(two) for one, two in pairs)
    assert any(kills(one) and two.again for one, two in pairs)
    assert any(not hour.wanted for hour in hours)
    assert any(not hour.troubles for hour in hours)
    assert [s.seed for s in schedules if s.post] == list(range(0, 500, 10))
    assert {s.protect for s in schedules} == ({False} if venue == "ib" else {False, True})


def test_a_cancel_finds_an_order_that_rests_from_the_run_before() -> None:
    cancel = Trouble("cancel-lost", step=2)
    alone = with_companions([Hour(60, {"A": "0.1"}, (cancel,), again=True)])
    assert [hour.troubles for hour in alone] == [(_REST,), (cancel,)]
    assert not alone[1].again
    after = with_companions([Hour(60, {}, dry=True), Hour(60, {}, (cancel,))])
    assert [hour.troubles for hour in after] == [(_REST,), (cancel,)]
    assert not after[0].dry


def test_a_cancel_in_the_window_finds_an_order_that_rests_in_it() -> None:
    cancel = Trouble("cancel-lost", step=7)
    (hour,) = with_companions([Hour(60, {"A": "0.1"}, (cancel,), dry=True)])
    assert hour.troubles == (cancel, _REST)
    assert not hour.dry


def test_an_alert_finds_something_that_is_the_matter() -> None:
    (hour,) = with_companions([Hour(60, {}, (Trouble("mail-cut", step=10),))])
    assert _BLIND in hour.troubles


def test_a_lie_about_positions_finds_some_that_are_held() -> None:
    lie = Trouble("positions-empty", step=4)
    hours = with_companions([Hour(60, {"A": "0.1"}, (lie,))])
    assert [hour.troubles for hour in hours] == [(), (lie,)]


def test_quotes_of_the_window_find_orders_that_rest_and_follow() -> None:
    stale = Trouble("quote-stale", step=7)
    (hour,) = with_companions([Hour(60, {"A": "0.1"}, (stale,))])
    assert hour.troubles == (stale, _REST)
    for venue in VENUES:
        for schedule in drawn(venue, range(500)):
            planned = [each for hour in schedule.hours for each in hour.troubles]
            if any(each.fault.startswith("quote-") and each.step == 7 for each in planned):
                assert schedule.follow


@pytest.mark.parametrize("venue", VENUES)
def test_everything_that_happens_between_runs_has_its_turn(venue: str) -> None:
    names = [row.name for row in faults().values() if row.kind == "between" and row.at(venue)]
    for start in (0, 98_760):
        seeds = range(start, start + 10 * len(names))
        last = [schedule.hours[-1].happenings[:1] for schedule in drawn(venue, seeds)]
        turns = [each.what for number, (each, *_) in enumerate(last[5::10]) if number >= 0]
        assert sorted(turns) == sorted(names)


def test_each_log_is_torn() -> None:
    torn = {
        each.subject
        for schedule in drawn("ib", range(MANY))
        for hour in schedule.hours
        for each in hour.happenings
        if each.what == "file-torn"
    }
    assert torn == {"fills.jsonl", "journal.jsonl"}


@pytest.mark.parametrize("venue", VENUES)
def test_now_and_then_what_has_its_turn_strikes_a_dry_run_first(venue: str) -> None:
    schedules = drawn(venue, range(500))
    pairs = [pair for s in schedules for pair in zip(s.hours, s.hours[1:], strict=False)]
    dry = [
        one for one, two in pairs if one.dry and one.troubles and one.troubles[0] in two.troubles
    ]
    assert 20 < len(dry) < 80
    for hour in dry:
        assert faults()[hour.troubles[0].fault].kind not in ("mail", "database", "engine")


def test_a_commit_finds_a_session_that_has_ended() -> None:
    down = Trouble("database-down", step=12)
    hours = with_companions([Hour(60, {"A": "0.1"}, (down,), dry=True, again=True)])
    assert [hour.troubles for hour in hours] == [(), (down,)]
    assert (hours[1].minutes, hours[1].dry, hours[1].again) == (1440, False, False)


@pytest.mark.parametrize("venue", VENUES)
def test_orders_follow_and_stops_wait_where_a_trouble_is_about_them(venue: str) -> None:
    for schedule in drawn(venue, range(500)):
        cells_ = {(each.fault, each.step) for hour in runs(schedule) for each in hour.troubles}
        if any(name.startswith(("cancel-", "replace-")) and step == 7 for name, step in cells_):
            assert schedule.follow
        if any(name.startswith("stop-") for name, _ in cells_):
            assert schedule.protect


def test_a_trouble_is_not_drawn_where_it_cannot_be() -> None:
    with pytest.raises(ValueError, match="cannot strike"):
        draw_trouble(Dice("x"), "binance", ("restart", 1), INSTRUMENTS["binance"])


def test_dice_use_nothing_that_another_python_may_change() -> None:
    # random.Random(text) and .random() are promised to stay; the digits are those of 3.11.
    dice = Dice("ib|1")
    words = "".join(dice.pick("abcdefghijklmnopqrstuvwxyz") for _ in range(20))
    assert words == "wdlwsubyghijlfpirsir"
