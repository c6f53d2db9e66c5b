"""Portfolios that have lived for some hours: what is damaged, and the hour after."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rebalancer.store.books import slot_name
from tests import exchanges
from tests.exchanges import perpetual, write_coins
from tests.fuzz.trial import Sent, Told, call
from tests.portfolios import FIRST, HOUR, QUIET, make_world, stamp, stock, write_signal

MOST_MINUTES = 20
"""The deadline of a run: more venue time than that no run may take."""


@dataclass(frozen=True)
class Life:
    """A portfolio, what is wanted of it in each hour, and when its first hour is."""

    name: str
    first: datetime
    make: Callable[[Path], object]
    wants: tuple[Mapping[str, str], ...]

    def state(self, folder: Path) -> Path:
        """Return its state folder."""
        return folder / "state" / self.name

    def config(self, folder: Path) -> str:
        """Return its configuration file."""
        return str(folder / f"{self.name}.toml")

    def last_run(self, folder: Path, hour: int) -> Path:
        """Return the folder of the run of an hour."""
        return self.state(folder) / "runs" / slot_name(self.at(hour))

    def at(self, hour: int) -> datetime:
        """Return the time of an hour; the first is 0."""
        return self.first + hour * HOUR

    def wish(self, folder: Path, hour: int) -> None:
        """Write the signal file of an hour."""
        weights = self.wants[hour % len(self.wants)]
        write_signal(folder, weights, self.at(hour), portfolio=self.name)

    def hour(self, folder: Path, hour: int, *, wish: bool = True) -> Told:
        """Let the command line run an hour."""
        if wish:
            self.wish(folder, hour)
        return call("run", "--config", self.config(folder), "--at", stamp(self.at(hour)))

    def lived(self, folder: Path, hours: int) -> None:
        """Make the portfolio and let it run so many hours."""
        folder.mkdir(parents=True, exist_ok=True)
        self.make(folder)
        for hour in range(hours):
            told = self.hour(folder, hour)
            assert told.code == 0, told.text

    def copy(self, old: Path, new: Path) -> None:
        """Copy everything of it."""
        shutil.copytree(old, new, dirs_exist_ok=True)

    # ------------------------------------------------------------------ what is there

    def venue(self, folder: Path) -> Any:
        """Return the venue's own books."""
        return json.loads(self._books(folder).read_text(encoding="utf-8"))

    def has_venue(self, folder: Path) -> bool:
        """Return whether the venue is still there: its books went with a whole folder."""
        return self._books(folder).exists()

    def _books(self, folder: Path) -> Path:
        return self.state(folder) / "paper" / "books.json"

    def orders(self, folder: Path) -> list[Sent]:
        """Return every order that the venue ever saw."""
        return [
            Sent(each["reference"], each["instrument"], Decimal(each["quantity"]))
            for each in self.venue(folder)["orders"]
        ]

    def holdings(self, folder: Path) -> dict[str, Decimal]:
        """Return what the venue says is held."""
        held = self.venue(folder)["holdings"].items()
        return {name: Decimal(each["quantity"]) for name, each in held}


def _stocks(name: str, transport: str) -> Life:
    return Life(
        name,
        FIRST,
        lambda folder: make_world(
            folder, name=name, symbols=("AAPL", "JNJ", "KO", "MSFT"), transport=transport
        ),
        (
            {stock("AAPL"): "0.3", stock("JNJ"): "0.3", stock("KO"): "0.3"},
            {stock("AAPL"): "0.3", stock("JNJ"): "0.25", stock("KO"): "0.2", stock("MSFT"): "0.2"},
            {stock("AAPL"): "0.1", stock("JNJ"): "0.1", stock("KO"): "0.3", stock("MSFT"): "0.4"},
        ),
    )


def _coins(name: str) -> Life:
    return Life(
        name,
        exchanges.FIRST,
        lambda folder: write_coins(
            folder, name=name, extra=QUIET + "\n[protect]\nenabled = true\n"
        ),
        (
            {perpetual("BTC"): "0.5", perpetual("ETH"): "-0.4"},
            {perpetual("BTC"): "0.3", perpetual("ETH"): "-0.2", perpetual("SOL"): "0.3"},
            {perpetual("BTC"): "-0.2", perpetual("ETH"): "0.3", perpetual("SOL"): "0.6"},
        ),
    )


ENGINE = _stocks("engine", "engine")
GATEWAY = _stocks("gateway", "memory")
EXCHANGE = _coins("exchange")
