"""A venue that lives on when its clients die, and the kills that it carries out."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rebalancer.errors import ConnectError, UsageError
from rebalancer.simulators.killing import Executioner, Sentence, Side
from rebalancer.simulators.living import LivingVenue
from rebalancer.simulators.outliving import live_on

AT = datetime(2017, 3, 1, 15, 5, tzinfo=UTC)


class Served:
    """A venue that knows one order and refuses every other (`child_end.Served`)."""

    async def start(self) -> int:
        return 4711

    async def obey(self, order: Mapping[str, Any]) -> Any:
        if order["do"] != "look":
            raise UsageError(f"cannot {order['do']!r}")
        return {"now": AT.isoformat(), "orders": [1, 2]}

    def stop(self) -> None:
        """Let nobody go: there is nobody."""

    def save(self) -> None:
        raise AssertionError("nobody asked for that")


def serve(path: str) -> int:
    """Be a venue until told to end; return the exit code."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    return asyncio.run(live_on(Served(), listener))


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Path]:
    """Return the control socket of a venue in a process of its own."""
    path = tmp_path / "control"
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, __file__, str(path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield path
        process.kill()


def test_one_client_after_the_other_steers_it(control: Path) -> None:
    for _ in range(3):
        client = LivingVenue(control)
        assert client.port == 4711
        assert client.look() == (AT, (1, 2))
        client.close()


def test_a_client_that_dies_in_the_middle_of_an_order_leaves_it_alive(control: Path) -> None:
    whole = json.dumps({"do": "look"}).encode() + b"\n"
    for sent in (b"", whole[:5], whole, whole * 3 + whole[:1]):
        dying = socket.socket(socket.AF_UNIX)
        dying.connect(str(control))
        dying.sendall(sent)
        dying.close()  # the answer finds nobody
    with closing(LivingVenue(control)) as client:
        assert client.look() == (AT, (1, 2))


def test_an_order_it_does_not_know_is_told_and_ends_nothing(control: Path) -> None:
    with closing(LivingVenue(control)) as client:
        with pytest.raises(UsageError, match="cannot 'spare'"):
            client.spare()
        assert client.look() == (AT, (1, 2))


def test_who_is_ended_is_gone(control: Path) -> None:
    client = LivingVenue(control)
    client.end()
    with pytest.raises(ConnectError, match="is gone"):
        client.look()


# ---------------------------------------------------------------------- who is killed, and when


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("side", "acted_upon"), [(Side.LOST, False), (Side.BEFORE, True), (Side.AFTER, True)]
)
def test_a_client_is_killed_once_at_its_nth_message(
    victim: subprocess.Popen[bytes], side: Side, acted_upon: bool
) -> None:
    hangman = Executioner()
    hangman.before("earlier")
    hangman.pass_sentence(Sentence(pid=victim.pid, nth=2, side=side))
    assert hangman.before("one")
    hangman.after("one")
    assert victim.poll() is None
    assert hangman.before("two") is acted_upon
    assert hangman.struck == ("" if side is Side.AFTER else "two")
    if side is Side.AFTER:
        assert victim.poll() is None
        hangman.after("two")
    assert victim.wait(20) == -signal.SIGKILL
    assert hangman.heard() == {"names": ["one", "two"], "struck": "two"}
    assert hangman.before("two again")
    hangman.after("two again")


def test_nobody_is_killed_after_a_pardon(victim: subprocess.Popen[bytes]) -> None:
    hangman = Executioner()
    hangman.pass_sentence(Sentence(pid=victim.pid, nth=1, side=Side.BEFORE))
    hangman.forget()
    assert hangman.before("one")
    assert victim.poll() is None


def test_a_process_that_has_ended_is_not_struck(victim: subprocess.Popen[bytes]) -> None:
    hangman = Executioner()
    hangman.pass_sentence(Sentence(pid=victim.pid, nth=1, side=Side.BEFORE))
    victim.kill()
    victim.wait()
    hangman.before("one")
    assert hangman.struck == ""


def test_a_kill_may_come_a_while_after_the_answer(victim: subprocess.Popen[bytes]) -> None:
    hangman = Executioner()

    async def play() -> None:
        hangman.pass_sentence(Sentence(pid=victim.pid, nth=1, side=Side.AFTER, later_seconds=0.01))
        hangman.before("one")
        hangman.after("one")
        assert hangman.struck == ""
        while not hangman.struck:
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(play(), 20))
    assert victim.wait(20) == -signal.SIGKILL


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1]))
