"""A state folder holds the books of one account: another account is refused before anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rebalancer.cli import main
from tests.portfolios import FIRST, HOUR, QUIET, World, make_world, stamp, stock


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path, symbols=("AAPL", "KO"), extra=QUIET)
    world.wants({stock("AAPL"): "0.4"}, FIRST, valid_until="2020-12-31T00:00:00Z")
    assert world.hour(FIRST).exit_code == 0
    return world


def to_another_account(world: World) -> None:
    text = world.path.read_text(encoding="utf-8")
    world.path.write_text(text.replace('id = "PAPER-demo"', 'id = "PAPER-other"'), encoding="utf-8")


def everything(world: World) -> dict[str, bytes]:
    """Return what is in the state folder, without the words that a failing run leaves."""
    return {
        path.relative_to(world.state).as_posix(): path.read_bytes()
        for path in sorted(world.state.rglob("*"))
        if path.is_file()
        and path.name not in ("lock", "heartbeat", "failures.told")
        and not {"outbox", "reports"} & {*path.relative_to(world.state).parts}
    }


def test_the_books_know_their_account_from_the_first_connection(world: World) -> None:
    assert world.standing().account == "simulated PAPER-demo"


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--at", stamp(FIRST + HOUR)],
        ["flatten", "--send", "--yes"],
        ["cancel", "--yes"],
        ["resume", "--yes"],
        ["adopt", "--yes"],
        ["status"],
    ],
    ids=lambda words: words[0],
)
def test_another_account_is_refused_and_nothing_changes(
    world: World, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(world)
    to_another_account(world)
    assert main([*words, "-c", str(world.path)]) == 9
    said = " ".join("".join(capsys.readouterr()).split())
    assert "of simulated PAPER-demo, and the configuration trades simulated PAPER-other" in said
    assert "another [portfolio] name or state folder" in said
    assert everything(world) == before


def test_check_says_it_before_a_run_does(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(world.path)]) == 0
    to_another_account(world)
    assert main(["check", str(world.path)]) == 9
    assert "BAD" in (said := capsys.readouterr().out)
    assert "the books in this state folder are of simulated PAPER-demo" in " ".join(said.split())


def test_who_never_connected_has_no_account_yet(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=("AAPL", "KO"), extra=QUIET)
    assert world.standing().account == ""
    to_another_account(world)
    world.wants({stock("AAPL"): "0.4"}, FIRST)
    assert world.hour(FIRST).exit_code == 0
    assert world.standing().account == "simulated PAPER-other"


def test_books_of_an_older_version_learn_their_account_in_the_next_run(world: World) -> None:
    path = world.state / "breakers.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    del plain["account"]
    path.write_text(json.dumps(plain), encoding="utf-8")
    assert world.hour(FIRST + HOUR).exit_code == 0
    assert world.standing().account == "simulated PAPER-demo"
