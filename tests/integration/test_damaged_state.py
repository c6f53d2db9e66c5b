"""Every file of a state folder is damaged in turn: what is truth ends the run, caches do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rebalancer.model.records import Outcome
from rebalancer.store.books import slot_name
from tests.integration.hours import SECOND, SYMBOLS, THIRD, TURNED, WANTED, run
from tests.portfolios import FIRST, HOUR, World, codes, copy_world, make_world

FOURTH = THIRD + HOUR
pytestmark = pytest.mark.usefixtures("quick")

LAST, FIRST_RUN = f"runs/{slot_name(SECOND)}", f"runs/{slot_name(FIRST)}"
TRUTH = ("breakers.json", "fills.jsonl", "equity.csv", f"{LAST}/record.json",
         f"{LAST}/journal.jsonl")  # fmt: skip
"""What the next run cannot do without."""

WITHOUT_VERSION = ("equity.csv",)

GARBAGE = b'\x00\xffnot what it was\n{"\n'


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a portfolio after two hours; its first mail and its first commit are behind it."""
    world = make_world(tmp_path_factory.mktemp("lived"), symbols=SYMBOLS)
    for at in (FIRST, SECOND):
        world.wants(WANTED, at)
        assert world.hour(at).exit_code == 0
    return world


@pytest.fixture
def world(lived: World, tmp_path: Path) -> World:
    made = copy_world(lived, tmp_path / "state-of-a-day")
    made.wants(TURNED, THIRD)
    return made


def names(world: World) -> set[str]:
    """Return every file of the state folder, without the venue's own books."""
    found = (path.relative_to(world.state) for path in world.state.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if path.parts[0] != "paper"}


def torn(content: bytes) -> bytes:
    """Return the first half, not at the end of a line."""
    half = content[: len(content) // 2]
    return half[:-1] if half.endswith(b"\n") else half


def sent(world: World) -> int:
    """Return how many orders the venue ever saw."""
    return len(world.venue()["orders"])


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize("how", ["garbage", "empty", "newer"])
def test_without_the_truth_nothing_is_sent_and_the_file_is_named(
    world: World, capsys: pytest.CaptureFixture[str], name: str, how: str
) -> None:
    if how == "newer" and name in WITHOUT_VERSION:
        pytest.skip("a file of columns has no number")
    path, before = world.state / name, sent(world)
    content = path.read_bytes()
    lines = content.split(b"\n")
    damaged = {
        "garbage": b"\n".join([*lines[:2], GARBAGE, *lines[2:]]),
        "empty": b"",
        "newer": content.replace(b'"schema": 2', b'"schema": 99').replace(
            b'"schema":2', b'"schema":99'
        ),
    }[how]
    assert damaged != content
    path.write_bytes(damaged)
    assert run(world, THIRD) == 9
    said = capsys.readouterr()
    told = said.out + said.err
    assert sent(world) == before
    assert Path(name).name in told
    assert ("Upgrade" if how == "newer" else "docs/STATE.md") in told
    # Put back, the portfolio goes on as if nothing had been.
    path.write_bytes(content)
    world.wants(TURNED, FOURTH)
    assert run(world, FOURTH) == 0, capsys.readouterr()
    assert sent(world) > before


@pytest.mark.parametrize("how", ["garbage", "torn", "empty"])
def test_everything_else_may_be_damaged_and_the_run_goes_on(
    lived: World, tmp_path: Path, how: str
) -> None:
    others = sorted(names(lived) - set(TRUTH))
    assert {"committed", "trades.csv", f"{FIRST_RUN}/journal.jsonl"} <= set(others)
    for number, name in enumerate(others):
        world = copy_world(lived, tmp_path / f"{number}")
        world.wants(TURNED, THIRD)
        path = world.state / name
        content = path.read_bytes()
        path.write_bytes({"garbage": GARBAGE, "torn": torn(content), "empty": b""}[how])
        if name.startswith("signals/"):
            continue  # written anew by `wants`; tests/integration/test_bad_input.py has those
        record = world.hour(THIRD)
        assert record.outcome is Outcome.FINISHED, (name, record.flags)
        assert record.fills, name


@pytest.mark.parametrize("full", [False, True])
def test_a_folder_in_a_files_place_ends_the_run_before_it_sends_or_does_not_matter(
    lived: World, tmp_path: Path, full: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(sorted(names(lived))):
        world = copy_world(lived, tmp_path / f"{number}")
        world.wants(TURNED, THIRD)
        path, before = world.state / name, sent(world)
        path.unlink()
        path.mkdir()
        if full:
            (path / "inner").write_text("x", encoding="utf-8")
        code = run(world, THIRD)
        told = capsys.readouterr()
        assert code == 0 or sent(world) == before, (name, code, told)
        assert code in (0, 9), (name, told)
        assert code == 0 or path.name in told.out + told.err, name


def test_a_torn_end_of_what_is_appended_to_is_cut_off(lived: World, tmp_path: Path) -> None:
    appended = ("fills.jsonl", "equity.csv", f"{LAST}/journal.jsonl", f"{LAST}/log.jsonl")
    for number, name in enumerate(appended):
        world = copy_world(lived, tmp_path / f"{number}")
        world.wants(TURNED, THIRD)
        path = world.state / name
        if not path.exists():
            continue
        whole = path.read_bytes()
        path.write_bytes(whole + whole.split(b"\n")[-2][:-7])
        record = world.hour(THIRD)
        assert record.exit_code == 0, name
        assert path.read_bytes().startswith(whole), name
        for line in world.fill_lines():
            assert line["kind"]


def test_damaged_bars_are_put_aside_and_told(world: World) -> None:
    path = world.state / "candles" / "bars.npz"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(GARBAGE)
    record = world.hour(THIRD)
    assert record.exit_code == 0
    assert "cache-dropped" in codes(record)
    told = next(flag.message for flag in record.flags if flag.code == "cache-dropped")
    assert "bars.npz is damaged" in told


def test_a_version_stands_in_every_file_of_json(lived: World) -> None:
    for name in sorted(names(lived)):
        content = (lived.state / name).read_text(encoding="utf-8", errors="replace")
        if name.endswith(".json") and not name.startswith("calendars"):
            assert json.loads(content)["schema"], name
        if name.endswith(".jsonl") and not name.endswith("log.jsonl"):
            assert json.loads(content.partition("\n")[0])["schema"], name
