"""What a campaign tells people: schedules in words, the table, what stayed empty."""

from __future__ import annotations

from collections import Counter

from rebalancer.rehearsal.campaign import Campaign, Orders
from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.summary import Summary, table
from rebalancer.rehearsal.words import schedule_words
from rebalancer.rehearsal.workers import Result
from rebalancer.simulators.faults.schedule import Happening, Hour, Schedule, Trouble

APPLICABLE = {"disk-full": frozenset({1, 7}), "restart": frozenset({4})}


def test_a_schedule_is_told_hour_by_hour() -> None:
    schedule = Schedule(
        "ib",
        7,
        (
            Hour(60, {"KO.STK.USD@IB": "0.2"}, (Trouble("disk-full", nth=3, count=None),)),
            Hour(2880, {}, (), (Happening("split", "KO.STK.USD@IB", "2"),), dry=True),
            Hour(5, {}, (Trouble("overlap"),), (Happening("halt-file-between"),), command="cancel"),
        ),
        post=True,
    )
    assert list(schedule_words(schedule)) == [
        "seed 7 at ib, with mail and database",
        "  1. 60 minutes later; wanted: KO 0.2",
        "     in it: disk-full number 3, all times",
        "  2. 2 days later, a dry run; wanted: as before",
        "     before it: split (KO.STK.USD@IB 2)",
        "  3. 5 minutes later the owner types `rebalancer cancel`",
        "     before it: halt-file-between",
        "     in it: overlap",
        "  then 2 calm runs",
    ]


def test_the_table_tells_struck_empty_and_impossible_apart() -> None:
    head, full, restart = table({("disk-full", 7): 12}, APPLICABLE)
    assert head.split() == ["step", *map(str, range(1, 14))]
    assert full.split() == ["disk-full", "-", *5 * ["."], "12", *6 * ["."]]
    assert restart.split() == ["restart", *3 * ["."], "-", *9 * ["."]]


def test_empty_cells_and_violations_are_counted() -> None:
    summary = Summary("ib", APPLICABLE)
    hits = Counter({("disk-full", 7): 2})
    summary.add(Result("ib", 1, (), hits, Counter(finished=3), runs=3))
    summary.add(Result("ib", 2, (Violation("every-cent", "x"), Violation("every-cent", "y"))))
    assert summary.empty == (("disk-full", 1), ("restart", 4))
    assert "2 of 3 applicable cells are empty: disk-full in 1, restart in 4" in summary.lines()
    assert summary.failed_seeds == {2}
    plain = summary.plain()
    assert plain["hits"]["disk-full"] == {"7": 2}
    assert [each["seed"] for each in plain["violations"]] == [2, 2]


def test_where_schedules_ended_and_what_was_latched_is_counted() -> None:
    summary = Summary("ib", APPLICABLE)
    summary.add(Result("ib", 1, ending="at the targets", latches=frozenset({"drawdown"})))
    summary.add(Result("ib", 2, ending="stopped by drawdown", latches=frozenset({"drawdown"})))
    summary.add(Result("ib", 3, ending="at the targets"))
    told = list(summary.lines())
    assert "ended 2 at the targets, 1 stopped by drawdown" in told
    assert "latched on the way, in so many schedules: 2 drawdown" in told
    plain = summary.plain()
    assert plain["endings"] == {"at the targets": 2, "stopped by drawdown": 1}
    assert plain["latches"] == {"drawdown": 2}


def test_what_struck_dry_runs_is_counted_apart() -> None:
    summary = Summary("ib", APPLICABLE)
    assert not any("dry runs" in line for line in summary.lines())
    hits = Counter({("disk-full", 7): 5, ("restart", 4): 1})
    dry = Counter({("disk-full", 7): 2, ("restart", 4): 1})
    summary.add(Result("ib", 1, (), hits, dry_hits=dry))
    assert "in dry runs: 3 times, 2 of the faults" in summary.lines()
    assert summary.plain()["dry_hits"] == {"disk-full": {"7": 2}, "restart": {"4": 1}}
    assert summary.hits["disk-full", 7] == 5


def test_each_invariant_is_told_before_it_is_told_again() -> None:
    campaign = Campaign(Orders(("ib",), 3), lambda _venue: None)  # type: ignore[arg-type,return-value]
    summary = campaign.summaries["ib"] = Summary("ib", APPLICABLE)
    cent, halt = Violation("every-cent", "a"), Violation("lock-free", "b")
    for seed, broken in ((3, (cent, cent)), (1, (cent,)), (2, (cent, halt))):
        summary.add(Result("ib", seed, broken))
    told = [(seed, each.invariant) for _, seed, each in campaign.failures()]
    assert told == [(1, "every-cent"), (2, "lock-free"), (2, "every-cent"), (3, "every-cent")]
