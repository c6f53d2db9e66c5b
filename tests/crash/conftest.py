"""The process that is killed, and a portfolio in the middle of its day for it to be killed in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.hourly import hour
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.store.lazy_database import NoDatabase
from tests.portfolios import FIRST, World, copy_world, make_world, stamp, stock

CHILD = Path(__file__).with_name("child.py")
ROOT = Path(__file__).parents[2]

MONDAY = FIRST
EARLY = datetime(2020, 3, 3, 14, 50, tzinfo=UTC)
CRASH = datetime(2020, 3, 3, 15, 5, tzinfo=UTC)
"""Tuesday: an order of 14:50 still works, the mail of the start and Monday's commit are owed,
and the targets have changed."""
NEXT = datetime(2020, 3, 3, 16, 5, tzinfo=UTC)
AFTER = datetime(2020, 3, 3, 17, 5, tzinfo=UTC)
LATER = datetime(2020, 3, 3, 18, 5, tzinfo=UTC)
CLOSED = datetime(2020, 3, 3, 21, 25, tzinfo=UTC)
"""Twenty-five minutes after the close: Tuesday's commit is owed."""

SYMBOLS = ("AAPL", "JNJ", "KO", "MSFT", "PG")
BEFORE = {"AAPL": "0.20", "JNJ": "0.30", "MSFT": "0.30"}
EARLIER = {"AAPL": "0.20", "JNJ": "0.30", "KO": "0.10", "MSFT": "0.30"}
WANTED = {"AAPL": "0.40", "JNJ": "0.10", "KO": "0.10", "PG": "0.30"}
"""Against `EARLIER`: one bought more, one sold less, one bought that still worked, one sold
out, one new. Each trades once."""


@dataclass
class Hangman:
    """Runs commands of the portfolio in processes of their own, some of which do not survive."""

    process: subprocess.Popen[str]
    folder: Path
    runs: int = field(default=0)

    def run(self, world: World, at: datetime, *options: str, **trouble: Any) -> int:
        """Run one hour; return the exit code, negative for a signal. `said` has its words."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        words = ["run", "--config", str(world.path), "--at", stamp(at), *options]
        locks = world.folder / "locks"
        order = {"words": words, "trouble": trouble, "locks": str(locks)}
        self.process.stdin.write(json.dumps(order | {"out": str(self.folder / "out")}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.said: str = answer["out"]
        return int(answer["code"])

    def must(self, world: World, *times: datetime) -> None:
        """Run hours that must finish."""
        for at in times:
            assert self.run(world, at) == 0, self.said


@pytest.fixture(scope="session")
def hangman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hangman]:
    process = subprocess.Popen(
        [sys.executable, str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    with process:
        yield Hangman(process, tmp_path_factory.mktemp("hangman"))
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="session")
def morning(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a portfolio on Tuesday at 15:00: built on Monday, an order of 14:50 still works."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        world = make_world(tmp_path_factory.mktemp("morning"), symbols=SYMBOLS)
        world.wants(BEFORE, MONDAY)
        quiet(world, MONDAY)
        world.wants(EARLIER, EARLY)
        quiet(world, EARLY, Fault(FaultKind.NO_FILL, subject=stock("KO"), count=None))
        world.wants(WANTED, CRASH)
    assert [o["status"] for o in world.venue()["orders"]] == ["filled"] * 3 + ["working"]
    return world


def quiet(world: World, at: datetime, *faults: Fault) -> None:
    """Run an hour that sends no session mail and commits nothing, so that both stay owed."""
    desk = replace(world.desk(at, faults=faults), session_mails=(), database=NoDatabase())
    record = hour(desk, at)
    assert record.exit_code == 0, record.flags
    standing = world.standing()
    due = {name: day for name, day in standing.due.items() if name != "commit"}
    world.books().save_standing(replace(standing, due=due))


@pytest.fixture
def world(morning: World, tmp_path: Path) -> World:
    return copy_world(morning, tmp_path)


# ------------------------------------------------------------------ what must be true afterwards


def venue_executions(world: World) -> dict[str, tuple[str, Decimal, Decimal]]:
    """Return the executions in the venue's own books: id -> instrument, quantity, price."""
    return {
        each["id"]: (each["instrument"], Decimal(each["quantity"]), Decimal(each["price"]))
        for each in world.venue()["executions"]
    }


def prove_rows(world: World) -> None:
    """Prove that each execution is in `fills.jsonl` and `trades.csv` once, each run in equity."""
    there = venue_executions(world)
    lines = [line for line in world.fill_lines() if line["kind"] == "fill"]
    booked = {
        line["fill"]["exec_id"]: (
            line["fill"]["instrument"],
            Decimal(line["fill"]["quantity"]),
            Decimal(line["fill"]["price"]),
        )
        for line in lines
    }
    assert len(lines) == len(booked)
    assert booked == there
    rows = world.rows("trades.csv")
    traded = {
        row["exec_id"]: (row["instrument"], Decimal(row["quantity"]), Decimal(row["price"]))
        for row in rows
    }
    assert len(rows) == len(traded)
    assert traded == there
    fees = {each["id"]: Decimal(each["commission"]) for each in world.venue()["executions"]}
    assert {row["exec_id"]: Decimal(row["commission"]) for row in rows} == fees
    slots = [row["slot"] for row in world.rows("equity.csv")]
    assert slots == sorted(set(slots))


def prove_orders(world: World) -> None:
    """Prove that no order is at the venue twice, and each stood in a journal before."""
    references = world.references()
    assert set(references.values()) == {1}
    assert world.venue()["duplicate_references"] == 0
    intended = {
        order["reference"]
        for folder in (world.state / "runs").iterdir()
        for line in world.journal(datetime.strptime(folder.name + "+0000", "%Y-%m-%dT%H%MZ%z"))
        if line["kind"] == "intents"
        for order in line["orders"]
    }
    assert set(references) <= intended


def traded_since(world: World, at: datetime) -> dict[str, int]:
    """Return how many orders of each instrument, placed since then, have traded anything."""
    count: dict[str, int] = {}
    for order in world.venue()["orders"]:
        if datetime.fromisoformat(order["placed_at"]) >= at and Decimal(order["filled"]):
            count[order["instrument"]] = count.get(order["instrument"], 0) + 1
    return count


def prove_targets(world: World, wanted: dict[str, str] = WANTED) -> None:
    """Prove that the account holds what is wanted, by the venue's numbers, and the books agree."""
    last = world.last()
    assert last.after is not None
    worth = last.after.net_liquidation
    weights: dict[str, Decimal] = {
        p.instrument: (p.value or Decimal(0)) / worth for p in last.after.positions if p.quantity
    }
    assert set(weights) == {stock(symbol) for symbol in wanted}
    for symbol, weight in wanted.items():
        # The no-trade band is a tenth of the target's weight (`planning.band_relative`).
        assert abs(weights[stock(symbol)] - Decimal(weight)) <= Decimal(weight) / 10
    assert dict(last.positions_expected) == world.holdings()
    assert not last.standing or not last.standing.latched


def prove_database(world: World, slots: Sequence[datetime], *, day: datetime | None = None) -> None:
    """Prove that the database has each trade and each recorded run once, of a day or of all."""
    import sqlite3

    with closing(sqlite3.connect(world.state / "rebalancer.db")) as database:
        trades = [row[0] for row in database.execute("SELECT exec_id FROM trades")]
        runs = [str(row[0]) for row in database.execute("SELECT slot FROM runs")]
    there = venue_executions(world)
    wanted = [name for name in there if day is None or name.startswith(f"{day:%Y%m%d}")]
    assert sorted(trades) == sorted(wanted)
    assert sorted(runs) == sorted(stamp(slot) for slot in slots)
