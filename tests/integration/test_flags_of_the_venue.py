"""What the venue's clock and its history can be guilty of, and what a run does about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from rebalancer.cli.inspection import check_clock
from rebalancer.cli.opened import LookPage
from rebalancer.hourly import hour
from rebalancer.model.flags import Severity
from rebalancer.model.panel import Panel
from rebalancer.model.records import RunRecord
from rebalancer.simulators.faults import Fault, FaultKind
from tests.portfolios import FIRST, QUIET, World, equal, make_world, stock

GENERATOR = """
def generate(context):
    from rebalancer.model.signals import TargetWeights
    share = 0.9 / len(context.universe)
    return TargetWeights({name: share for name in context.universe})
"""


def test_a_clock_that_is_off_sends_nothing_and_says_by_how_much(tmp_path: Path) -> None:
    world = make_world(tmp_path, extra=QUIET)
    world.wants({name.partition(".")[0]: share for name, share in equal().items()}, FIRST)
    skewed = Fault(FaultKind.CLOCK_SKEW, count=None, seconds=12.5)
    record = world.hour(FIRST, faults=[skewed])
    assert [flag.severity for flag in record.flags if flag.code == "clock-skew"] == [Severity.HALT]
    assert "12.5 s" in next(f.message for f in record.flags if f.code == "clock-skew")
    assert record.exit_code == 3
    assert world.venue()["orders"] == []


class Told:
    """Findings of `check` that remember what they were told."""

    def __init__(self) -> None:
        self.right: list[str] = []
        self.wrong: list[str] = []

    def ok(self, what: str, words: str) -> None:
        self.right.append(f"{what}: {words}")

    def note(self, what: str, words: str) -> None: ...

    def bad(self, what: str, words: str, exit_code: int = 2) -> None:
        self.wrong.append(f"{what}: {words}")


def test_check_looks_at_the_clock_with_the_limit_of_a_run(tmp_path: Path) -> None:
    world = make_world(tmp_path, extra=QUIET)
    for seconds, wrong in ((4.9, ""), (12.5, "12.5 s"), (212_112_903.8, "2,455.0 days")):
        skewed = Fault(FaultKind.CLOCK_SKEW, count=None, seconds=seconds)
        told = Told()
        with world.desk(FIRST, faults=[skewed]).broker.connect(LookPage(FIRST)) as venue:
            check_clock(venue, world.config().risk, told)
        assert (told.right == []) is bool(wrong)
        if wrong:  # 212,112,903.8 s / 86,400 s = 2,455.0 days
            words = f"clock: our clock and the venue's differ by {wrong}; the limit is 5 s"
            assert told.wrong[0].startswith(words)
            assert "timedatectl" in told.wrong[0]


def test_a_clock_within_the_limit_is_no_reason_to_stop(tmp_path: Path) -> None:
    world = make_world(tmp_path, extra=QUIET)
    world.wants({"AAPL": "0.5"}, FIRST)
    record = world.hour(FIRST, faults=[Fault(FaultKind.CLOCK_SKEW, count=None, seconds=4.9)])
    assert record.exit_code == 0
    assert record.fills


class ForgetfulCandles:
    """A store of bars whose newest rows lack one instrument."""

    def __init__(self, panel: Panel, column: int, rows: slice) -> None:
        values = panel.values.copy()
        values[rows, column] = np.nan
        self._panel = Panel(panel.instruments, panel.times.copy(), values)

    def panel(self, instruments: object) -> Panel:
        return self._panel

    def add(self, panel: Panel) -> None:
        """Forget it: the venue has no more than what is here."""
        self.asked = panel.instruments

    def replace(self, panel: Panel) -> None:
        self.asked = panel.instruments


def hour_with_history(world: World, rows: slice) -> RunRecord:
    """Run the second hour of a world while its stored bars lack AAPL in some rows."""
    world.hour(FIRST)
    at = FIRST + timedelta(hours=1)
    desk = world.desk(at)
    full = desk.candles.panel(desk.universe.ids)
    column = full.instruments.index(desk.universe.ids[0])
    return hour(replace(desk, candles=ForgetfulCandles(full, column, rows)), at)


def a_world_with_a_generator(tmp_path: Path) -> World:
    (tmp_path / "even.py").write_text(GENERATOR, encoding="utf-8")
    return make_world(
        tmp_path, symbols=("AAPL", "JNJ"), generator='generator = "even.py"', extra=QUIET
    )


def flagged(record: RunRecord, code: str) -> list[str]:
    return [flag.subject for flag in record.flags if flag.code == code]


def test_an_instrument_whose_newest_bar_is_missing_is_held(tmp_path: Path) -> None:
    record = hour_with_history(a_world_with_a_generator(tmp_path), slice(-1, None))
    assert flagged(record, "history-stale") == [stock("AAPL")]


def test_an_instrument_with_a_gap_in_its_history_is_held(tmp_path: Path) -> None:
    record = hour_with_history(a_world_with_a_generator(tmp_path), slice(-40, -38))
    assert flagged(record, "history-gap") == [stock("AAPL")]
    held = [flag.severity for flag in record.flags if flag.code == "history-gap"]
    assert held == [Severity.HOLD]


def test_a_newly_configured_instrument_gets_its_whole_history_at_once(tmp_path: Path) -> None:
    world = a_world_with_a_generator(tmp_path)
    world.hour(FIRST)
    text = world.path.read_text(encoding="utf-8")
    world.path.write_text(text.replace(f'"{stock("JNJ")}"', f'"{stock("JNJ")}", "{stock("PG")}"'))
    record = world.hour(FIRST + timedelta(hours=1))
    assert flagged(record, "history-gap") == flagged(record, "history-stale") == []
    assert stock("PG") in {fill.instrument for fill in record.fills}
