"""The heartbeat: when runs begin, how they end, and what older programs wrote."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rebalancer.errors import NewerState, StateError
from rebalancer.model.heartbeat import Heartbeat
from rebalancer.store.atomic import Files
from rebalancer.store.heartbeat import HEARTBEAT, Pulse, read_heartbeat, write_heartbeat

AT = datetime(2026, 11, 20, 15, 5, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def beat(folder: Path) -> Heartbeat:
    found = read_heartbeat(Files(), folder)
    assert found is not None
    return found


def test_where_no_run_was_there_is_none(tmp_path: Path) -> None:
    assert read_heartbeat(Files(), tmp_path) is None


def test_it_says_when_a_run_began_and_how_the_last_one_ended(tmp_path: Path) -> None:
    pulse = Pulse(Files(), tmp_path)
    pulse.begin(AT)
    assert beat(tmp_path) == Heartbeat(AT)
    pulse.end(AT + MINUTE, "finished", 0)
    good = Heartbeat(AT, AT + MINUTE, "finished", 0, AT + MINUTE)
    assert beat(tmp_path) == good


def test_a_run_that_fails_leaves_the_last_good_one_standing(tmp_path: Path) -> None:
    first, second = Pulse(Files(), tmp_path), Pulse(Files(), tmp_path)
    first.begin(AT)
    first.end(AT + MINUTE, "idle", 0)
    second.begin(AT + HOUR)
    assert beat(tmp_path) == Heartbeat(AT + HOUR, AT + MINUTE, "idle", 0, AT + MINUTE)
    second.end(AT + HOUR + MINUTE, "failed", 4)
    assert beat(tmp_path) == Heartbeat(AT + HOUR, AT + HOUR + MINUTE, "failed", 4, AT + MINUTE)


@pytest.mark.parametrize(("code", "good"), [(0, True), (3, True), (4, False), (5, False),
                                            (8, False), (9, False), (70, False)])  # fmt: skip
def test_a_run_that_stood_still_on_purpose_is_a_good_one(
    tmp_path: Path, code: int, good: bool
) -> None:
    pulse = Pulse(Files(), tmp_path)
    pulse.begin(AT)
    pulse.end(AT + MINUTE, "whatever", code)
    assert (beat(tmp_path).good is not None) == good


def test_what_an_older_program_wrote_is_read(tmp_path: Path) -> None:
    (tmp_path / HEARTBEAT).write_text('{"schema":1,"at":"2026-11-20T15:05:00Z"}\n')
    assert beat(tmp_path) == Heartbeat(AT)
    Pulse(Files(), tmp_path).begin(AT + HOUR)
    assert beat(tmp_path).at == AT + HOUR


def test_a_damaged_one_does_not_keep_a_run_from_beginning(tmp_path: Path) -> None:
    (tmp_path / HEARTBEAT).write_text('{"schema":1,"at":"yester')
    with pytest.raises(StateError, match="damaged"):
        read_heartbeat(Files(), tmp_path)
    Pulse(Files(), tmp_path).begin(AT)
    assert beat(tmp_path) == Heartbeat(AT)


def test_one_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / HEARTBEAT).write_text('{"schema":99,"at":"2026-11-20T15:05:00Z","new":1}')
    with pytest.raises(NewerState):
        Pulse(Files(), tmp_path).begin(AT)
    assert json.loads((tmp_path / HEARTBEAT).read_text())["new"] == 1


def test_the_end_of_a_run_is_no_trouble_when_the_disk_is(tmp_path: Path) -> None:
    pulse = Pulse(Files(), tmp_path / "state")
    pulse.begin(AT)
    (tmp_path / "state" / HEARTBEAT).unlink()
    (tmp_path / "state").rmdir()
    (tmp_path / "state").write_text("a file stands where the folder was")
    pulse.end(AT, "finished", 0)


def test_what_did_not_begin_does_not_end(tmp_path: Path) -> None:
    Pulse(Files(), tmp_path).end(AT, "finished", 0)
    assert read_heartbeat(Files(), tmp_path) is None


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_heartbeat(Files(), tmp_path, Heartbeat(AT))
    assert (tmp_path / HEARTBEAT).stat().st_mode & 0o777 == 0o600
