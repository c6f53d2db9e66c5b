"""What the owner does by hand is drawn apart: nothing else that a seed draws depends on it."""

from __future__ import annotations

from collections import Counter

import pytest

from rebalancer.model.codec import from_json, to_json
from rebalancer.simulators.faults import by_hand
from rebalancer.simulators.faults.cells import faults
from rebalancer.simulators.faults.hours import CANCEL, FLATTEN, Hour, Schedule
from rebalancer.simulators.faults.schedule import draw

INSTRUMENTS = {
    "ib": ("JNJ.STK.USD@IB", "KO.STK.USD@IB", "MSFT.STK.USD@IB"),
    "binance": ("BTCUSDT.PERP@BINANCE", "ETHUSDT.PERP@BINANCE"),
}
VENUES = tuple(INSTRUMENTS)
SEEDS = range(2400)


def _drawn(venue: str) -> list[Schedule]:
    return [draw(venue, seed, INSTRUMENTS[venue]) for seed in SEEDS]


def _place(schedule: Schedule) -> int | None:
    """Return the place of the command, None when there is none."""
    places = [n for n, hour in enumerate(schedule.hours) if hour.command]
    assert len(places) <= 1
    return places[0] if places else None


def _commands(venue: str) -> list[tuple[Schedule, Hour]]:
    found = ((schedule, _place(schedule)) for schedule in _drawn(venue))
    return [(schedule, schedule.hours[n]) for schedule, n in found if n is not None]


@pytest.mark.parametrize("venue", VENUES)
def test_one_schedule_in_twelve_has_a_command_and_two_in_three_are_sales(venue: str) -> None:
    found = Counter(hour.command for _, hour in _commands(venue))
    assert 0.07 < found.total() / len(SEEDS) < 0.1
    assert set(found) == {CANCEL, FLATTEN}
    assert 0.55 < found[FLATTEN] / found.total() < 0.78


@pytest.mark.parametrize("venue", VENUES)
def test_all_else_that_a_seed_draws_is_what_it_is_without_the_command(
    venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = _drawn(venue)
    monkeypatch.setattr(by_hand, "SHARE", 0.0)
    for one, plain in zip(drawn, _drawn(venue), strict=True):
        place = _place(one)
        assert _place(plain) is None
        assert (one.post, one.protect, one.follow) == (plain.post, plain.protect, plain.follow)
        if place is None:
            assert one == plain
            continue
        more = len(one.hours) - len(plain.hours)
        assert more in (1, 2)  # mostly a run that leaves something to the command comes before it
        first = place + 1 - more
        assert first > 0
        assert one.hours[:first] + one.hours[place + 1 :] == plain.hours


@pytest.mark.parametrize("venue", VENUES)
def test_a_command_is_never_dry_nor_again_and_parts_no_hours_that_belong_together(
    venue: str,
) -> None:
    for schedule, hour in _commands(venue):
        place = schedule.hours.index(hour)
        assert place > 0
        assert not hour.dry
        assert not hour.again
        assert 5 <= hour.minutes <= 60
        assert {each.what for each in hour.happenings} <= {"halt-file-between"}
        for after in schedule.hours[place + 1 : place + 2]:
            assert not after.again
            cells = {(each.fault, each.step) for each in after.troubles}
            assert not any(name.startswith("cancel-") and step == 2 for name, step in cells)
            assert not any(name.startswith(("positions-", "account-")) for name, _ in cells)


@pytest.mark.parametrize("venue", VENUES)
def test_what_strikes_a_command_can_strike_its_steps(venue: str) -> None:
    seen: Counter[tuple[str, str, int]] = Counter()
    for schedule, hour in _commands(venue):
        assert 1 <= len(hour.troubles) <= 3
        for trouble in hour.troubles:
            place = faults()[trouble.fault].at(venue)
            assert place is not None
            assert trouble.step in by_hand.STEPS
            lies = (trouble.fault, trouble.step) in {(name, 7) for name in by_hand.LIES}
            assert trouble.step in place.steps or (lies and hour.command == FLATTEN)
            assert schedule.protect or not trouble.fault.startswith("stop-")
            seen[hour.command, trouble.fault, trouble.step] += 1
    assert all(seen[FLATTEN, name, 7] >= 5 for name in by_hand.LIES)
    assert sum(seen[FLATTEN, name, 7] for name in ("answer-lost", "answer-late")) >= 5
    for command in (CANCEL, FLATTEN):
        assert {step for each, _, step in seen if each == command} == by_hand.STEPS
    assert any(hour.happenings for _, hour in _commands(venue))
    assert {s.follow for s, _ in _commands(venue)} == {True, False}
    assert {s.protect for s, _ in _commands(venue)} == ({False} if venue == "ib" else {False, True})


def test_a_schedule_file_of_before_there_were_commands_is_read() -> None:
    schedule = Schedule("ib", 3, (Hour(60, {"A": "0.1"}),))
    text = to_json(schedule)
    assert from_json(Schedule, text.replace(',"command":""', "")) == schedule
    assert '"command"' in text
