"""State folders that older programs left: read, migrated with a copy kept, and gone on with.

`tests/state/*.json` holds folders of version 1, file by file, as the programs at the end of
issues 2, 3 and 4 left them: two hours, an order left working, a run that was killed in step 8
and a mail that waits; at Binance two hours with stops and funding.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.hourly import hour
from rebalancer.model.records import SCHEMA, Mode, Outcome
from rebalancer.notify.outbox import Outbox
from rebalancer.store.atomic import Files
from rebalancer.store.books import StateFolder
from tests.exchanges import FIRST as THURSDAY
from tests.exchanges import Exchanges, perpetual
from tests.integration.hours import tree
from tests.portfolios import FIRST, HOUR, World, codes, copy_world, make_world, write_signal

pytestmark = pytest.mark.usefixtures("quick")

KEPT = Path(__file__).parents[1] / "state"
STOCKS = ("issue2", "issue3", "issue4")
NEXT = FIRST + 3 * HOUR


def unpack(name: str, folder: Path) -> Path:
    """Write a kept state folder, and the configuration beside it, as they were."""
    for path, lines in json.loads((KEPT / f"{name}.json").read_text(encoding="utf-8")).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(lines), encoding="utf-8")
    return folder


def old_world(name: str, folder: Path) -> World:
    """Return a portfolio whose folder an older program left, with compiled calendars."""
    folder.mkdir(exist_ok=True)
    make_world(folder, symbols=("AAPL", "JNJ", "KO"))
    world = World(unpack(name, folder))
    text = world.path.read_text(encoding="utf-8")
    if "transport" not in text:  # there was only one way to the simulated venue then
        world.path.write_text(text.replace("[paper]", '[paper]\ntransport = "engine"'))
    world.wants({"AAPL": "0.2", "JNJ": "0.2", "KO": "0.2"}, NEXT)
    return world


def versions(state: Path) -> dict[str, int]:
    """Return the version of every file of ours that says one; copies apart."""
    found = {}
    for path in sorted(state.rglob("*.json*")):
        name = path.relative_to(state)
        if name.parts[0] in ("paper", "outbox", "dry") or "schema" in path.suffix:
            continue
        text = path.read_text(encoding="utf-8")
        head = text.partition("\n")[0] if path.suffix == ".jsonl" else text
        if path.name != "log.jsonl":
            found[name.as_posix()] = json.loads(head)["schema"]
    return found


@pytest.mark.parametrize("name", STOCKS)
def test_an_older_folder_is_read_migrated_and_gone_on_with(name: str, tmp_path: Path) -> None:
    world = old_world(name, tmp_path)
    assert set(versions(world.state).values()) == {1}
    old = {
        path: (world.state / path).read_bytes()
        for path in ("breakers.json", "fills.jsonl", "runs/2020-03-02T1705Z/journal.jsonl")
    }
    fills = len(world.fill_lines())
    record = world.hour(NEXT)
    assert record.outcome is Outcome.FINISHED, record.flags
    assert record.exit_code == 0, record.flags
    assert {"run-died", "run-repaired", "fills-while-away"} <= codes(record)
    assert not codes(record) & {"reconciliation-break", "unexplained-cash", "unresolved-order"}
    assert dict(record.positions_expected) == world.holdings()
    assert len(world.fill_lines()) > fills
    for path, content in old.items():
        assert (world.state / f"{path}.schema1").read_bytes() == content, path
        assert versions(world.state)[path] == SCHEMA
    standing = world.standing()
    assert standing.began == FIRST
    assert standing.executions_read is not None
    assert all(count == 1 for count in world.references().values())
    # The mail that waited is still there, whoever sends it.
    waiting = Outbox(world.state / "outbox", Files()).waiting()
    assert [each.mail.subject for each in waiting] == ["a mail that waits"]
    later = world.hour(NEXT + HOUR)
    assert later.exit_code == 0, later.flags
    assert len(world.books().records(FIRST.date())) == 5


@pytest.mark.parametrize("name", STOCKS)
def test_who_only_looks_changes_nothing(name: str, tmp_path: Path) -> None:
    world = old_world(name, tmp_path)
    before = tree(world)
    books = StateFolder(world.state, Files()).for_reading()
    assert books.standing().schema == SCHEMA
    assert books.entries()
    assert books.last_record() is not None
    assert world.hour(NEXT, mode=Mode.DRY_RUN).exit_code == 0
    assert tree(world) == before


class Killed(BaseException):
    """The process is gone."""


class Counting(Files):
    """A disk on which the process is killed at the n-th write, before it, or after it."""

    def __init__(self, at: int = -1, *, after: bool = False) -> None:
        self.writes: list[str] = []
        self._at, self._after = at, after

    def replace(self, path: Path, content: bytes) -> None:
        self._count(path, lambda: super(Counting, self).replace(path, content))

    def append(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        self._count(path, lambda: super(Counting, self).append(path, content, durable=durable))

    def _count(self, path: Path, write: Callable[[], None]) -> None:
        self.writes.append(path.name)
        if len(self.writes) - 1 == self._at:
            if self._after:
                write()
            raise Killed(path)
        write()


@pytest.mark.parametrize("after", [False, True])
def test_a_migration_that_is_killed_at_any_write_is_done_again(tmp_path: Path, after: bool) -> None:
    pristine = old_world("issue4", tmp_path / "pristine")
    whole = copy_world(pristine, tmp_path / "whole")
    files = Counting()
    assert hour(whole.desk(NEXT, files=files), NEXT).exit_code == 0
    migrating = [n for n, name in enumerate(files.writes) if ".schema1" in name]
    assert len(migrating) >= 4  # breakers, fills, a record, journals
    expected = dict(whole.books().last_record().positions_expected)  # type: ignore[union-attr]
    # Each copy, and the file that is written just after it.
    for place in sorted({each + more for each in migrating for more in (0, 1)}):
        world = copy_world(pristine, tmp_path / f"{place}")
        with pytest.raises(Killed):
            hour(world.desk(NEXT, files=Counting(place, after=after)), NEXT)
        record = world.hour(NEXT + HOUR)
        assert record.exit_code == 0, (files.writes[place], record.flags)
        assert dict(record.positions_expected) == world.holdings()
        assert all(count == 1 for count in world.references().values())
        for path in ("breakers.json", "fills.jsonl"):
            copy = world.state / f"{path}.schema1"
            assert copy.read_bytes() == (pristine.state / path).read_bytes(), path
            assert not list(world.state.glob(f"{path}.schema1-*"))
    assert expected


def test_a_folder_of_binance_is_gone_on_with(tmp_path: Path) -> None:
    unpack("issue4-binance", tmp_path)
    world = Exchanges(tmp_path / "coins.toml")
    before = StateFolder(world.folder, Files()).for_reading().standing()
    assert before.executions_read == before.accepted_at
    at = THURSDAY + 2 * HOUR
    wanted = {perpetual("BTC"): "0.3", perpetual("ETH"): "-0.3"}
    write_signal(tmp_path, wanted, at, portfolio="coins")
    record = world.hour(at)
    assert record.exit_code == 0, record.flags
    assert not {flag.code for flag in record.flags} & {"reconciliation-break", "unexplained-cash"}
    assert record.after is not None
    held = {p.instrument: p.quantity for p in record.after.positions if p.quantity}
    assert dict(record.positions_expected) == held
    assert record.stops
    assert (world.folder / "breakers.json.schema1").exists()
    assert min(held.values()) < Decimal(0)


def test_a_copy_that_another_upgrade_left_stays_beside_the_new_one(tmp_path: Path) -> None:
    world = old_world("issue4", tmp_path)
    other = b'{"schema": 1, "state": "HALTED"}\n'
    (world.state / "breakers.json.schema1").write_bytes(other)
    ours = (world.state / "breakers.json").read_bytes()
    assert world.hour(NEXT).exit_code == 0
    assert (world.state / "breakers.json.schema1").read_bytes() == other
    assert (world.state / "breakers.json.schema1-2").read_bytes() == ours
