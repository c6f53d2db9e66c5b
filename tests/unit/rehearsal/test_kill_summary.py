"""What a campaign of kills tells people, and programs."""

from __future__ import annotations

from rebalancer.rehearsal.evidence import Violation
from rebalancer.rehearsal.kills import KillSummary
from rebalancer.rehearsal.kills.summary import KillResult


def summary() -> KillSummary:
    """Return four kills asked for, five struck with three seeds."""
    made = KillSummary("ib", 4)
    made.add(KillResult("ib", 1, (("placeOrder", "before"), ("tick", "after")),
                        outcomes=("exit 0", "killed too")))  # fmt: skip
    made.add(KillResult("ib", 2, (("placeOrder", "after"),) * 3, outcomes=("exit 0", "exit 5"),
                        met=(6,)))  # fmt: skip
    made.add(KillResult("ib", 3, violations=(Violation("crash", "it crashed", 1),), state="/x"))
    return made


def test_the_ends_of_runs_are_told_in_words() -> None:
    told = "\n".join(summary().lines())
    asked = "ib: 5 processes killed (4 asked for; a seed that was begun is played on) with 3 seeds"
    assert told.startswith(asked)
    after = "2 finished, 1 left an outcome unresolved (exit code 5), 1 was killed too"
    assert f"  of the runs after a kill: {after}\n" in told
    assert "  of the runs that began beside one at work: 1 left at once (exit code 6)\n" in told
    few = KillSummary("ib", 4)
    few.add(KillResult("ib", 1, (("placeOrder", "before"),)))
    told = "\n".join(few.lines())
    assert told.startswith("ib: 1 process killed with 1 seed (0 without a kill)")
    assert "of the runs after a kill: there were none" in told


def test_programs_get_the_same_numbers() -> None:
    plain = summary().plain()
    assert (plain["asked_for"], plain["killed"], plain["seeds"]) == (4, 5, 3)
    assert plain["kills"][0] == {"at": "placeOrder", "side": "after", "count": 3}
    assert plain["runs_after_a_kill"] == {"exit 0": 2, "exit 5": 1, "killed too": 1}
    assert [each["seed"] for each in plain["violations"]] == [3]
