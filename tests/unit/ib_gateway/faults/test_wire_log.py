"""What the log of the wire shows and counts."""

from __future__ import annotations

import hashlib
from typing import Any

from rebalancer.simulators.ib_gateway.wire_log import WireEntry, WireLog


def entry(**changes: Any) -> WireEntry:
    values = {
        "microseconds": 1_250_000,
        "connection": 2,
        "client_id": 7,
        "heard": True,
        "name": "reqPositions",
        "fields": ("61", "1"),
    }
    return WireEntry(**{**values, **changes})


def test_a_line_says_when_who_which_way_and_what() -> None:
    assert entry().line() == "     1.250000 2/7 -> reqPositions         61,1"
    assert " 2/? <- " in entry(client_id=None, heard=False).line()
    assert entry(note="fault: lose").line().endswith("   ** fault: lose")


def test_long_fields_are_shortened_and_empty_ones_at_the_end_left_out() -> None:
    line = entry(fields=("4", "x" * 100, "", "")).line()
    assert f"4,{'x' * 37}..." in line
    assert not line.endswith(",")
    assert len(entry(fields=("word",) * 1000).line()) < 700


def test_control_characters_never_reach_the_terminal() -> None:
    line = entry(fields=("4", "\x1b[31mred\n")).line()
    assert line.isprintable()
    assert r"\x1b[31mred\n" in line


def test_memory_keeps_the_newest_and_the_digest_knows_all() -> None:
    small, large = WireLog(kept=2), WireLog()
    for number in range(5):
        for log in (small, large):
            log.add(entry(microseconds=number))
    assert [each.microseconds for each in small.entries] == [3, 4]
    assert small.digest() == large.digest()
    assert small.heard["reqPositions"] == 5


def test_the_digest_is_of_time_way_name_note_and_fields() -> None:
    base = WireLog()
    base.add(entry())
    text = b"1250000|2|1|reqPositions||61\x001\n"
    assert base.digest() == hashlib.sha256(text).hexdigest()
    for change in (
        {"microseconds": 1},
        {"connection": 1},
        {"heard": False},
        {"name": "x"},
        {"note": "x"},
        {"fields": ("61", "2")},
    ):
        other = WireLog()
        other.add(entry(**change))
        assert other.digest() != base.digest(), change


def test_each_frame_is_written_as_a_line() -> None:
    written: list[str] = []
    log = WireLog(written.append)
    log.add(entry())
    log.add(entry(heard=False, name="positionEnd", fields=("62", "1")))
    assert [line.endswith("\n") for line in written] == [True, True]
    assert (log.heard["reqPositions"], log.said["positionEnd"]) == (1, 1)
    assert log.names(heard=False) == ["positionEnd"]


def test_times_begin_with_the_first_frame() -> None:
    log = WireLog()
    assert [log.microseconds(at) for at in (500.0, 500.25)] == [0, 250_000]
