"""What a campaign of kills tells people, and programs."""

from __future__ import annotations

from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.kills import KillSummary
from rebalancer.rehearsal.kills.summary import KillResult


def summary() -> KillSummary:
    """Return four seeds asked for: five processes killed in two of three."""
    made = KillSummary("ib", 4)
    made.add(KillResult("ib", 1, (("placeOrder", "before"), ("tick", "after")),
                        outcomes=("exit 0", "killed too")))  # fmt: skip
    made.add(KillResult("ib", 2, (("placeOrder", "after"),) * 3, outcomes=("exit 0", "exit 5"),
                        met=(6,)))  # fmt: skip
    made.add(KillResult("ib", 3, violations=(Violation("crash", "it crashed", 1),), state="/x"))
    return made


def test_the_ends_of_runs_are_told_in_words() -> None:
    told = "\n".join(summary().lines())
    asked = "ib: 5 processes killed in 2 seeds (of 3: in 1 the run had fewer messages)"
    assert told.startswith(asked)
    after = "2 finished, 1 left an outcome unresolved (exit code 5), 1 was killed too"
    assert f"  of the runs after a kill: {after}\n" in told
    assert "  of the runs that began beside one at work: 1 left at once (exit code 6)\n" in told
    few = KillSummary("ib", 4)
    few.add(KillResult("ib", 1, (("placeOrder", "before"),)))
    told = "\n".join(few.lines())
    assert told.startswith("ib: 1 process killed in 1 seed (of 1: in 0 the run had fewer messages)")
    assert "of the runs after a kill: there were none" in told


def test_seeds_with_a_kill_are_what_was_asked_for_not_killed_processes() -> None:
    made = summary()
    assert (made.count, made.struck, made.left) == (5, 2, 2)
    made.add(KillResult("ib", 4, (("tick", "lost"),)))
    made.add(KillResult("ib", 5, (("tick", "after"),)))
    assert (made.struck, made.left) == (4, 0)


def test_programs_get_the_same_numbers() -> None:
    plain = summary().plain()
    assert plain["seeds_with_a_kill"] == 2
    assert (plain["asked_for"], plain["killed"], plain["seeds"]) == (4, 5, 3)
    assert plain["kills"][0] == {"at": "placeOrder", "side": "after", "count": 3}
    assert plain["runs_after_a_kill"] == {"exit 0": 2, "exit 5": 1, "killed too": 1}
    assert [each["seed"] for each in plain["violations"]] == [3]
