"""Configurations, damaged: all problems told with their keys, or a run within what they say."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random

from rebalancer.config import Config, VenueName, load
from rebalancer.config.document import keys
from rebalancer.errors import ConfigError
from rebalancer.simulators.parameters import Transport
from tests.fuzz.spoil import spoil_bytes, spoil_toml
from tests.fuzz.trial import Findings, call, heard, named
from tests.portfolios import stamp, write_signal

ROOT = Path(__file__).resolve().parents[2]
KEYS = tuple(sorted(keys()))
SLACK = Decimal("1.05")
MOST_WORDS = 3000
"""Letters of one problem: nobody reads more."""


@dataclass(frozen=True)
class Example:
    """One of the example files, when its paper account may run, and what its sleeves want."""

    file: str
    transport: str
    at: datetime
    wants: dict[str, dict[str, str]]

    def text(self, whole: bool = False) -> str:
        """Return it without comments and generators: signal files are written by hand.

        `whole`: with the keys that stand there as comments, some of which cannot be together.
        """
        text = (ROOT / self.file).read_text(encoding="utf-8")
        if whole:
            text = re.sub(r"(?m)^# (?=[a-z_]+ = |\[)", "", text)
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        text = "\n".join(line for line in lines if not line.startswith("generator =")) + "\n"
        text = re.sub(r"(?ms)^\[sleeve\.parameters\]\n.*?(?=^\[)", "", text)
        return text.replace('transport = "socket"', f'transport = "{self.transport}"')


EXAMPLES = (
    Example(
        "portfolio.example.toml",
        "engine",
        datetime(2020, 3, 2, 15, 5, tzinfo=UTC),
        {
            "momentum": {"AAPL.STK.USD@IB": "0.3", "KO.STK.USD@IB": "0.3"},
            "calm": {"MTUM.STK.USD@IB": "0.5"},
        },
    ),
    Example(
        "portfolio.binance.example.toml",
        "memory",
        datetime(2025, 3, 20, 15, 5, tzinfo=UTC),
        {"neutral": {"BTCUSDT.PERP@BINANCE": "0.3", "ETHUSDT.PERP@BINANCE": "-0.3"}},
    ),
)


class Configuration:
    """Both example files."""

    name = "configs"

    def prepare(self, folder: Path) -> None:
        """Run both once without damage; keep their compiled calendars."""
        self._calendars = folder / "calendars"
        for example in EXAMPLES:
            place = folder / example.transport
            place.mkdir(parents=True)
            (place / "portfolio.toml").write_text(example.text(), encoding="utf-8")
            self._wish(example, place, "main")
            told = call("run", "-c", str(place / "portfolio.toml"), "--at", stamp(example.at))
            assert told.code == 0, told.text
            assert self._orders(place / "state" / "main"), told.text
            if (place / "state" / "calendars").is_dir():  # 24/7 needs none
                shutil.copytree(place / "state" / "calendars", self._calendars)

    def attempt(self, dice: Random, folder: Path, found: Findings) -> None:
        """Damage one of them, read it, and run it when nothing beyond this folder is touched."""
        example = dice.choice((*EXAMPLES, EXAMPLES[0]))
        path = folder / "inner" / "portfolio.toml"
        path.parent.mkdir()
        content = example.text(dice.random() < 0.2).encode()
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            if dice.random() < 0.3:
                content = spoil_bytes(dice, content)
            else:
                text = content.decode("utf-8", "replace")
                content = spoil_toml(dice, text, KEYS).encode("utf-8", "surrogatepass")
        path.write_bytes(content)
        found.what = example.file + changed(example.text(), content)
        shutil.copytree(self._calendars, path.parent / "state" / "calendars")
        try:
            config = load(path, {})
        except ConfigError as error:
            clear(error, path, found)
            self._refused(path, found)
            return
        if not confined(config, folder):
            return
        heard(found, call("check", str(path)), "check")
        self._wish(example, path.parent, config.name, config.portfolio.state)
        told = call("run", "--config", str(path), "--at", stamp(example.at))
        heard(found, told, "run")
        self._judge(config, found)
        heard(found, call("status", "--config", str(path)), "status")

    def _refused(self, path: Path, found: Findings) -> None:
        for word in ("run", "status", "watchdog"):
            told = call(word, "--config", str(path))
            heard(found, told, word)
            if word != "watchdog":
                found.expect(told.code == 2, f"{word}: exit code {told.code}:\n{told.text}")
                named(found, told, ("portfolio.toml", "--config"), word)
        left = list(path.parent.rglob("books.json"))
        found.expect(not left, "a venue was opened for a configuration that is refused")

    def _judge(self, config: Config, found: Findings) -> None:
        cash = config.paper.cash
        if set(cash) != {config.portfolio.base_currency} or config.paper.positions:
            return
        worth = next(iter(cash.values())) * SLACK
        total = Decimal(0)
        for instrument, quantity, limit in self._orders(config.state_folder):
            size = abs(quantity * limit)
            total += size
            most = worth * Decimal(str(config.risk.max_order_weight))
            found.expect(size <= most, f"an order of {size} in {instrument}; allowed {most}")
        most = worth * Decimal(str(config.risk.max_gross_leverage))
        found.expect(total <= most, f"{total} was ordered; allowed {most}")

    def _orders(self, state: Path) -> list[tuple[str, Decimal, Decimal]]:
        path = state / "paper" / "books.json"
        try:
            orders = json.loads(path.read_text(encoding="utf-8"))["orders"]
        except OSError:  # nothing was ever kept there, as where its name is too long for the disk
            return []
        return [
            (each["instrument"], Decimal(each["quantity"]), Decimal(each["limit"]))
            for each in orders
            if each["limit"] is not None and not each["reduce_only"]
        ]

    def _wish(self, example: Example, folder: Path, name: str, state: str = "state") -> None:
        for sleeve, weights in example.wants.items():
            if state == "state":
                write_signal(folder, weights, example.at, name=sleeve, portfolio=name)


def clear(error: ConfigError, path: Path, found: Findings) -> None:
    """Hold each problem to its file, its key, and words that can be shown and read."""
    found.expect(bool(error.problems), "refused without a problem")
    for problem in error.problems:
        words = str(problem)
        where = problem.file == str(path) and bool(problem.key and problem.message)
        found.expect(where, f"a problem without its place: {words[:500]}")
        shown = len(words) < MOST_WORDS and all(letter.isprintable() for letter in words)
        found.expect(shown, f"a problem that cannot be read: {words[:500]!a}")


def confined(config: Config, folder: Path) -> bool:
    """Return whether a run would touch nothing but this folder, and take no process or socket."""
    return (
        config.account.venue is VenueName.SIMULATED
        and config.paper.transport is not Transport.SOCKET
        and config.smtp is None
        and config.passwords.ping is None
        and not config.database.url
        and not any(sleeve.generator for sleeve in config.sleeves)
        and config.state_folder.resolve().is_relative_to(folder.resolve())
    )


def changed(before: str, after: bytes) -> str:
    """Return the lines that are new, in short."""
    known = set(before.splitlines())
    lines = after.decode("utf-8", "replace").splitlines()
    return ": " + " | ".join(line[:80] for line in lines if line not in known)[:600]
