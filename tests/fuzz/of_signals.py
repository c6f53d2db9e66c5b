"""Signal files, damaged: their sleeve holds, or wants what it may; the other one trades as ever."""

from __future__ import annotations

import csv
import io
import os
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from random import Random

from tests.fuzz.spoil import spoil_bytes, spoil_csv
from tests.fuzz.trial import Findings, Sent, Told, call, heard, within
from tests.portfolios import FIRST, World, copy_world, stamp, stock
from tests.two_sleeves import HAND, OTHER, SECOND, other_wants, two_sleeves

SHARE, CASH, SLACK = Decimal("0.5"), Decimal(100000), Decimal("1.03")


class Signals:
    """The signal file of one of two sleeves, an hour after both have bought."""

    name = "signals"

    def prepare(self, folder: Path) -> None:
        """Let both sleeves buy, and the next hour go without damage."""
        folder.mkdir(exist_ok=True)
        self._world = two_sleeves(folder)
        self._wish(self._world, ("0.5", "0.4"), FIRST)
        assert self._run(self._world, FIRST).code == 0
        self._before = len(self._world.venue()["orders"])
        whole = copy_world(self._world, folder.with_name("whole"))
        self._wish(whole, ("0.2", "0.7"), SECOND)
        assert self._run(whole, SECOND).code == 0
        self._allowed = self._sent(whole, OTHER)

    def attempt(self, dice: Random, folder: Path, found: Findings) -> None:
        """Damage the file, look at it, and run the hour."""
        world = copy_world(self._world, folder)
        self._wish(world, ("0.2", "0.7"), SECOND)
        path = world.state / "signals" / "hand.csv"
        content = path.read_bytes()
        for _ in range(dice.choice((1, 1, 2))):
            content = self._damaged(dice, content)
        found.what = repr(content[:300])
        path.write_bytes(content)
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
        told = self._run(world, SECOND)
        heard(found, told, "run")
        found.expect(told.code in (0, 3), f"exit code {told.code}:\n{told.text[:1500]}")
        beyond = within(self._sent(world, OTHER), self._allowed)
        found.expect(not beyond, f"the other sleeve: {beyond}")
        missing = within(self._allowed, self._sent(world, OTHER))
        found.expect(not missing, f"the other sleeve did not trade: {missing}\n{told.text[:1500]}")
        mine = self._sent(world, HAND)
        if mine and not readable(content):
            found.expect(False, f"traded on a file that nobody can read: {mine}")
        held = world.holdings()
        worth = sum(abs(held.get(stock(s), Decimal(0))) * self._price(world, s) for s in HAND)
        most = SHARE * CASH * SLACK
        found.expect(worth <= most, f"the sleeve holds {worth:.0f} of {most:.0f}")

    def _damaged(self, dice: Random, content: bytes) -> bytes:
        if dice.random() < 0.4:
            return spoil_bytes(dice, content)
        return spoil_csv(dice, content)

    def _wish(self, world: World, hand: tuple[str, str], at: datetime) -> None:
        when = FIRST if at is FIRST else SECOND
        world.wants(dict(zip(HAND, hand, strict=True)), when)
        other_wants(world, ("0.5", "0.4") if when is FIRST else ("0.1", "0.8"), when)

    def _run(self, world: World, at: datetime) -> Told:
        when = FIRST if at is FIRST else SECOND
        return call("run", "--config", str(world.path), "--at", stamp(when))

    def _sent(self, world: World, symbols: tuple[str, ...]) -> list[Sent]:
        return [
            Sent(each["reference"], each["instrument"], Decimal(each["quantity"]))
            for each in world.venue()["orders"][self._before :]
            if each["instrument"].partition(".")[0] in symbols
        ]

    def _price(self, world: World, symbol: str) -> Decimal:
        orders = [o for o in world.venue()["orders"] if o["instrument"] == stock(symbol)]
        return Decimal(orders[-1]["limit"]) if orders else Decimal(0)


def readable(content: bytes) -> bool:
    """Return whether there is any reading of a file as rows of texts with a finite number each."""
    try:
        text = content.decode("utf-8")
        rows = list(csv.reader(io.StringIO(text)))
    except (UnicodeDecodeError, csv.Error):
        return False
    if "\0" in text or len(rows) < 2 or "target" not in rows[0]:
        return False
    column = rows[0].index("target")
    try:
        return all(Decimal(row[column].strip()).is_finite() for row in rows[1:] if row)
    except (InvalidOperation, IndexError):
        return False
