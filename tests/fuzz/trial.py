"""One trial: something is damaged, a command is called in this process, and is heard."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Protocol
from unittest.mock import patch

from rebalancer.cli import main

BUG = 70
_TRACEBACK = re.compile(r"Traceback \(most recent|\n  File \"|This is a bug|unexpected \w+Error")


@dataclass(frozen=True)
class Told:
    """What a command answered: its exit code and everything it printed."""

    code: int
    text: str


@dataclass
class Findings:
    """What was wrong in one trial, and what had been done to make it so."""

    what: str = ""
    wrong: list[str] = field(default_factory=list)

    def expect(self, true: bool, words: str) -> None:
        """Remember what should have been."""
        if not true:
            self.wrong.append(words)


class Kind(Protocol):
    """One kind of input that is fuzzed."""

    name: str

    def prepare(self, folder: Path) -> None:
        """Make what every trial begins with, once."""

    def attempt(self, dice: Random, folder: Path, found: Findings) -> None:
        """Damage something as the dice say, in an empty folder, and say what went wrong."""


def call(*words: str) -> Told:
    """Return what a command answers; what it raises is no answer."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        try:
            code = main(list(words))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return Told(code, out.getvalue())


def heard(found: Findings, told: Told, words: str) -> None:
    """No traceback and no bug of ours ever reaches the owner."""
    found.expect(told.code != BUG, f"{words}: exit code 70:\n{told.text[-1500:]}")
    shown = _TRACEBACK.search(told.text)
    found.expect(shown is None, f"{words}: a traceback is shown:\n{told.text[-1500:]}")


def named(found: Findings, told: Told, names: tuple[str, ...], words: str) -> None:
    """Whoever is refused is told which file to mend."""
    known = any(name in told.text for name in names)
    found.expect(known, f"{words}: names no file of {names}:\n{told.text[-1500:]}")


def die(kind: str, seed: int, number: int) -> Random:
    """Return the dice of one trial: the same for the same kind, seed and number."""
    return Random(f"{kind}|{seed}|{number}")


@contextmanager
def apart(folder: Path) -> Iterator[None]:
    """Keep locks to this folder, wait for no disk, and know no password of this machine."""
    mine = {name: word for name, word in os.environ.items() if not name.startswith("REBALANCER_")}
    mine["REBALANCER_LOCKS"] = str(folder / "locks")
    with patch.dict(os.environ, mine, clear=True), patch.object(os, "fsync", lambda _fd: None):
        yield


@dataclass(frozen=True)
class Sent:
    """An order as the venue has it."""

    reference: str
    instrument: str
    quantity: Decimal


def within(orders: list[Sent], allowed: list[Sent]) -> str:
    """Return which order is beyond those of the run that nothing was done to, '' for none."""
    left = list(allowed)
    for each in orders:
        fits = [
            one
            for one in left
            if one.instrument == each.instrument
            and one.quantity * each.quantity > 0
            and abs(one.quantity) >= abs(each.quantity)
        ]
        if not fits:
            return f"{each.quantity} of {each.instrument}; undamaged: {allowed}"
        left.remove(min(fits, key=lambda one: abs(one.quantity)))
    return ""
