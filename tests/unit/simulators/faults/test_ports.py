"""Ports suffer what waits for their operations; after a kill nothing happens any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rebalancer.errors import ConnectError, Interrupted
from rebalancer.simulators.faults.hours import Trouble
from rebalancer.simulators.faults.injection import ACTS, RAISED
from rebalancer.simulators.faults.killed import Killed
from tests.unit.simulators.faults.rigs import rig


class Desk:
    """A port that remembers what it was asked for."""

    name = "desk"

    def __init__(self) -> None:
        self.done: list[str] = []

    def write(self, word: str, *, loud: bool = False) -> str:
        """Remember a word and hand it back."""
        self.done.append(word)
        return word.upper() if loud else word

    def fail(self) -> None:
        """Raise what a broken line raises."""
        raise ConnectError("the line is dead")

    def now(self) -> int:
        """Return the time."""
        return 12


def test_a_port_without_troubles_is_as_it_was() -> None:
    desk = Desk()
    port = rig().injector.port(desk, "desk")
    assert (port.write("a", loud=True), port.name, port.now()) == ("A", "desk", 12)
    with pytest.raises(ConnectError):
        port.fail()
    assert desk.done == ["a"]


def test_a_kill_before_an_operation_leaves_it_undone() -> None:
    desk = Desk()
    made = rig(Trouble("kill-port-before", at="desk.write", nth=2))
    port = made.injector.port(desk, "desk")
    port.write("a")
    with pytest.raises(Killed, match=r"desk\.write in step 7"):
        port.write("b")
    assert desk.done == ["a"]
    assert made.injector.dead
    assert made.hits == {("kill-port-before", 7): 1}


def test_a_kill_after_an_operation_leaves_it_done_and_its_answer_unheard() -> None:
    desk = Desk()
    made = rig(Trouble("kill-port-after", at="desk.write"))
    with pytest.raises(Killed):
        made.injector.port(desk, "desk").write("a")
    assert desk.done == ["a"]
    assert made.hits == {("kill-port-after", 7): 1}


def test_after_a_kill_every_operation_of_every_port_raises_and_does_nothing() -> None:
    desk, other = Desk(), Desk()
    made = rig(Trouble("kill-port-before", at="desk.write"))
    port, rest = made.injector.port(desk, "desk"), made.injector.port(other, "rest")
    for do in (port.write, port.write, rest.write):
        with pytest.raises(Killed):
            do("a")
    assert (desk.done, other.done) == ([], [])
    assert sum(made.hits.values()) == 1


def test_what_a_cut_wire_raises_in_a_dead_process_is_not_heard() -> None:
    made = rig()
    desk = Desk()
    port = made.injector.port(desk, "desk")

    def killed_inside() -> None:
        made.injector.dead = True
        raise ConnectError("the line is dead")

    desk.fail = killed_inside  # type: ignore[method-assign]
    with pytest.raises(Killed):
        port.fail()


def test_a_kill_is_caught_by_no_ordinary_handler() -> None:
    made = rig(Trouble("kill-port-before"))
    port = made.injector.port(Desk(), "desk")
    with pytest.raises(Killed):
        try:
            port.write("a")
        except Exception:  # pragma: no cover - what must not happen
            pytest.fail("a kill was caught")


@pytest.mark.parametrize(
    ("fault", "kind"), [("memory-error", MemoryError), ("interrupted", Interrupted)]
)
def test_a_port_raises_what_its_trouble_says_instead_of_acting(fault: str, kind: type) -> None:
    assert fault in RAISED
    desk = Desk()
    made = rig(Trouble(fault, at="desk.write"))
    with pytest.raises(kind) as caught:
        made.injector.port(desk, "desk").write("a")
    assert desk.done == []
    assert made.injector.raised(caught.value)
    assert not made.injector.raised(ValueError("somebody else's"))


def test_an_error_that_a_made_up_one_caused_is_known_too() -> None:
    made = rig(Trouble("memory-error"))
    port = made.injector.port(Desk(), "desk")
    with pytest.raises(RuntimeError) as caught:
        try:
            port.write("a")
        except MemoryError as error:
            raise RuntimeError("there was no memory") from error
    assert made.injector.raised(caught.value)


@pytest.mark.parametrize("fault", ACTS)
def test_what_happens_beside_the_run_happens_just_before_the_port_acts(fault: str) -> None:
    desk = Desk()
    trouble = Trouble(fault, at="desk.write", seconds=30.0)
    made = rig(trouble)
    seen: list[Any] = []
    made.injector.acts[fault] = lambda given: seen.append((given, list(desk.done)))
    made.injector.port(desk, "desk").write("a")
    assert seen == [(trouble, [])]
    assert desk.done == ["a"]
    assert made.hits == {(fault, 7): 1}


def test_what_nobody_can_bring_about_is_not_counted() -> None:
    made = rig(Trouble("overlap"))
    made.injector.port(Desk(), "desk").write("a")
    assert not made.hits


def test_what_comes_before_the_first_step_counts_for_it() -> None:
    made = rig(Trouble("memory-error", step=1), step=0)
    with pytest.raises(MemoryError):
        made.injector.port(Desk(), "desk").write("a")
    assert made.hits == {("memory-error", 1): 1}


@contextmanager
def _line(told: list[str]) -> Iterator[str]:
    told.append("connected")
    try:
        yield "venue"
    finally:
        told.append("disconnected")


def test_a_dead_process_s_line_is_cut_whatever_killed_it() -> None:
    told: list[str] = []
    made = rig(Trouble("kill-port-before", at="desk.write"))
    port = made.injector.port(Desk(), "desk")
    with pytest.raises(Killed), made.injector.passage(_line(told), "broker") as venue:
        assert venue == "venue"
        port.write("a")
    assert told == ["connected", "disconnected"]


@pytest.mark.parametrize("fault", ["kill-port-before", "kill-port-after"])
def test_a_line_is_cut_when_the_process_dies_as_it_is_made(fault: str) -> None:
    told: list[str] = []
    made = rig(Trouble(fault, at="broker.enter"), step=1)
    with pytest.raises(Killed), made.injector.passage(_line(told), "broker"):
        told.append("never here")
    assert told == ([] if fault == "kill-port-before" else ["connected", "disconnected"])


def test_a_kill_can_strike_as_the_line_is_left() -> None:
    told: list[str] = []
    made = rig(Trouble("kill-port-after", at="broker.exit"), step=13)
    with pytest.raises(Killed), made.injector.passage(_line(told), "broker"):
        pass
    assert told == ["connected", "disconnected"]
    assert made.hits == {("kill-port-after", 13): 1}


@pytest.mark.parametrize("fault", ["kill-port-before", "memory-error", "interrupted"])
def test_a_line_is_cut_whatever_strikes_as_it_is_left(fault: str) -> None:
    told: list[str] = []
    made = rig(Trouble(fault, at="broker.exit"), step=13)
    with (
        pytest.raises((Killed, MemoryError, Interrupted)),
        made.injector.passage(_line(told), "broker"),
    ):
        pass
    assert told == ["connected", "disconnected"]
    assert made.hits == {(fault, 13): 1}


def test_an_error_leaves_a_passage_as_it_came() -> None:
    told: list[str] = []
    with pytest.raises(ConnectError), rig().injector.passage(_line(told), "broker"):
        raise ConnectError("the line is dead")
    assert told == ["connected", "disconnected"]


# ------------------------------------------------------------------ a venue's hearing


def test_a_process_dies_with_its_message_or_after_it_was_acted_upon() -> None:
    before = rig(Trouble("kill-message-before", nth=2))
    assert before.injector.before("reqPositions")
    before.injector.after("reqPositions")
    with pytest.raises(Killed):
        before.injector.before("placeOrder")
    assert not before.injector.before("reqPositions")  # nothing of a dead one is acted upon

    after = rig(Trouble("kill-message-after", at="placeOrder"))
    assert after.injector.before("reqPositions")
    after.injector.after("reqPositions")
    assert after.injector.before("placeOrder")
    with pytest.raises(Killed):
        after.injector.after("placeOrder")
    assert after.hits == {("kill-message-after", 7): 1}
