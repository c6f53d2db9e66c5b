"""Portfolios that have lived an hour, and what a run that nobody disturbs sends in the next."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from rebalancer.cli import main
from tests.portfolios import FIRST, HOUR, QUIET, World, copy_world, make_world, stamp

SYMBOLS = ("AAPL", "JNJ", "KO", "MSFT")
WANTED = {"AAPL": "0.3", "JNJ": "0.3", "KO": "0.3"}
TURNED = {"AAPL": "0.1", "JNJ": "0.1", "KO": "0.3", "MSFT": "0.4"}
SECOND = FIRST + HOUR
EVER = {"valid_until": "2020-12-31T00:00:00Z"}


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and everything that it printed."""

    code: int
    out: str
    err: str


@contextlib.contextmanager
def surroundings() -> Iterator[Path]:
    """Give an empty folder on a memory file system, with account locks of its own."""
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=where))
    before, fsync = os.environ.get("REBALANCER_LOCKS"), os.fsync
    os.environ["REBALANCER_LOCKS"] = str(folder / "locks")
    os.fsync = lambda fd: None
    try:
        yield folder
    finally:
        os.fsync = fsync
        if before is None:
            del os.environ["REBALANCER_LOCKS"]
        else:
            os.environ["REBALANCER_LOCKS"] = before
        shutil.rmtree(folder, ignore_errors=True)


def command(*words: str) -> Ended:
    """Run a command in this process and judge what every command must keep to."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    ended = Ended(code, out.getvalue(), err.getvalue())
    judge(ended)
    return ended


def judge(ended: Ended) -> None:
    """Hold an ending to being no bug, and no traceback to anybody's eyes."""
    assert ended.code != 70, ended.err
    for text in (ended.out, ended.err):
        assert "Traceback" not in text and "This is a bug" not in text, text
    assert ended.code in (0, 2, 3, 4, 5, 6, 7, 8, 9), ended.code
    if ended.code in (2, 9):
        assert ended.err or ended.out, "it ended without a word"


@cache
def lived() -> World:
    """Return a portfolio after one hour with all its mails, in a folder of this process."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-base-"))
    _REMOVED_AT_EXIT.append(folder)
    world = make_world(folder, symbols=SYMBOLS, extra=QUIET)
    world.wants(WANTED, FIRST, **EVER)
    assert world.hour(FIRST).exit_code == 0
    world.wants(TURNED, SECOND, **EVER)
    return world


@cache
def undisturbed() -> Mapping[str, Decimal]:
    """Return what the second hour orders when nothing is damaged, signed, by instrument."""
    with surroundings() as folder:
        world = copy_world(lived(), folder)
        before = len(world.venue()["orders"])
        assert command("run", "-c", str(world.path), "--at", stamp(SECOND)).code == 0
        sent = sent_since(world.venue(), before)
    assert len(sent) >= 3
    return sent


def sent_since(venue: Any, before: int) -> Mapping[str, Decimal]:
    """Return what was ordered since, signed and summed, by instrument."""
    sums: dict[str, Decimal] = {}
    for order in venue["orders"][before:]:
        name = order["instrument"]
        sums[name] = sums.get(name, Decimal()) + Decimal(order["quantity"])
    return sums


def judge_orders(sent: Mapping[str, Decimal], allowed: Mapping[str, Decimal]) -> None:
    """Hold orders to being among those that an undisturbed run sends, and none larger."""
    for name, quantity in sent.items():
        most = allowed.get(name, Decimal())
        assert quantity * most >= 0 and abs(quantity) <= abs(most), (
            f"{name}: {quantity} was ordered; undisturbed it is {most}"
        )


_REMOVED_AT_EXIT: list[Path] = []


def clean_up(folders: Sequence[Path] = ()) -> None:
    """Remove what was made for the whole process."""
    for folder in (*_REMOVED_AT_EXIT, *folders):
        shutil.rmtree(folder, ignore_errors=True)
