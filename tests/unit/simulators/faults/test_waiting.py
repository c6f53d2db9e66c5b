"""A trouble strikes at its own occasions, and at no other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.simulators.faults.hours import Trouble
from rebalancer.simulators.faults.waiting import Waiting


@given(
    nth=st.integers(1, 8),
    count=st.one_of(st.none(), st.integers(1, 5)),
    occasions=st.integers(0, 30),
)
def test_it_strikes_from_the_nth_occasion_on_as_often_as_it_says(
    nth: int, count: int | None, occasions: int
) -> None:
    waiting = Waiting(Trouble("disk-error", nth=nth, count=count))
    struck = [n for n in range(1, occasions + 1) if waiting.due(("append a",), 7)]
    last = occasions if count is None else min(occasions, nth + count - 1)
    assert struck == list(range(nth, last + 1))


def test_occasions_of_other_steps_are_not_counted() -> None:
    waiting = Waiting(Trouble("disk-error", nth=2, step=7))
    assert [waiting.due(("append a",), step) for step in (6, 7, 8, 7, 7)] == [
        False,
        False,
        False,
        True,
        False,
    ]


def test_occasions_of_other_names_are_not_counted() -> None:
    waiting = Waiting(Trouble("kill-file-torn", at="append journal.jsonl:* | replace *.json"))
    assert not waiting.due(("append fills.jsonl:fill",), 7)
    assert waiting.due(("append journal.jsonl:intents",), 7)
    again = Waiting(Trouble("kill-file-torn", at="append journal.jsonl:* | replace *.json"))
    assert again.due(("replace breakers.json",), 9)


def test_any_of_several_names_of_an_occasion_will_do() -> None:
    waiting = Waiting(Trouble("order-lost", at="placeOrder:new"))
    assert waiting.due(("placeOrder", "placeOrder:new"), 7)


def test_an_occasion_without_a_name_is_none() -> None:
    assert not Waiting(Trouble("order-lost")).due((), 7)
