"""Small paper portfolios for tests that run whole hours, and the hand that runs them."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rebalancer.brokers.paper import PaperBroker
from rebalancer.config import Config, load
from rebalancer.hourly import hour
from rebalancer.model.records import Mode, RunRecord, Standing
from rebalancer.ports import Desk
from rebalancer.simulators.faults import Fault, FaultScript
from rebalancer.store.atomic import Files
from rebalancer.store.books import StateFolder, slot_name
from rebalancer.wiring import desk_for, sessions_for

STOCKS = ("AAPL", "JNJ", "KO", "MSFT", "PG", "WMT")
FIRST = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
"""A Monday, thirty-five minutes after the opening in New York."""

HOUR = timedelta(hours=1)
QUIET = "\n[mail]\nsession_mails = []\n\n[database]\ncommit_after_close_minutes = 1440\n"
"""No session mails, and no commit within the day: what a test of something else needs."""

_CALENDARS: dict[str, bytes] = {}


def stock(symbol: str) -> str:
    """Return the identifier of a US stock."""
    return f"{symbol}.STK.USD@IB"


def write_portfolio(
    folder: Path,
    *,
    name: str = "demo",
    symbols: Sequence[str] = STOCKS,
    extra: str = "",
    **top: str,
) -> Path:
    """Write a paper portfolio whose one sleeve reads a signal file that the test writes.

    `extra` is appended to the text: more tables. `top` replaces values of the main tables;
    `risk` and `paper` are more lines of those tables. Unless `risk` says otherwise a session may
    trade twice what there is: most tests turn a book over more than once.
    """
    universe = ", ".join(f'"{stock(symbol)}"' for symbol in symbols)
    values = {
        "mode": "paper",
        "cash": '{ USD = "100000" }',
        "share": "1",
        "generator": "",
        "risk": "",
        "paper": "",
        "transport": "engine",
    } | top
    turnover = "max_turnover_per_session"
    if turnover not in values["risk"]:
        values["risk"] = f"{turnover} = 2\n{values['risk']}"
    text = f"""
[portfolio]
name = "{name}"
mode = "{values["mode"]}"
base_currency = "USD"
calendar = "XNYS"
state = "state"

[account]
venue = "simulated"
id = "PAPER-{name}"

[[sleeve]]
name = "hand"
share = "{values["share"]}"
universe = [{universe}]
{values["generator"]}

[risk]
max_order_weight = "0.9"
max_position_weight = "0.95"
allow_unknown_volume = true
{values["risk"]}

[paper]
transport = "{values["transport"]}"
recording = "us_equities"
seed = 7
start = "2020-03-02T14:30:00Z"
cash = {values["cash"]}
{values["paper"]}
"""
    path = folder / f"{name}.toml"
    path.write_text(text + extra, encoding="utf-8")
    return path


def write_signal(
    folder: Path,
    weights: Mapping[str, str],
    at: datetime,
    *,
    name: str = "hand",
    portfolio: str = "demo",
    **columns: str,
) -> Path:
    """Write a sleeve's signal file as another program would."""
    values = {
        "unit": "weight",
        "leverage": "1",
        "as_of": stamp(at - timedelta(minutes=5)),
        "valid_until": stamp(at + timedelta(hours=24)),
        "coverage": "complete",
    } | columns
    head = "instrument,target,unit,leverage,as_of,valid_until,coverage"
    rows = [
        ",".join((instrument, target, *values.values())) for instrument, target in weights.items()
    ]
    path = folder / "state" / portfolio / "signals" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((head, *rows)) + "\n", encoding="utf-8")
    # A file that changed a moment ago is read twice, with a pause; ours has been there a while.
    os.utime(path, (path.stat().st_mtime - 60,) * 2)
    return path


def stamp(at: datetime) -> str:
    """Return a time as signal files and commands write it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def equal(symbols: Sequence[str] = STOCKS, total: str = "0.9") -> dict[str, str]:
    """Return equal weights that add up to `total`."""
    each = f"{float(total) / len(symbols):.6f}"
    return {stock(symbol): each for symbol in symbols}


def read_json(path: Path) -> Any:
    """Return what a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class World:
    """One paper portfolio in a folder of its own, and what its runs left there."""

    folder: Path
    name: str = "demo"

    @property
    def path(self) -> Path:
        """Return its configuration file."""
        return self.folder / f"{self.name}.toml"

    @property
    def state(self) -> Path:
        """Return its state folder."""
        return self.folder / "state" / self.name

    @property
    def reports(self) -> Path:
        """Return the folder in which its mails are files."""
        return self.state / "reports"

    def config(self) -> Config:
        """Return its configuration, read again."""
        return load(self.path)

    def books(self) -> StateFolder:
        """Return its books, read again."""
        return StateFolder(self.state, Files())

    def record(self, at: datetime) -> RunRecord | None:
        """Return the record of a slot."""
        return self.books().record(at)

    def last(self) -> RunRecord:
        """Return the newest record."""
        record = self.books().last_record()
        assert record is not None
        return record

    def standing(self) -> Standing:
        """Return what is remembered."""
        return self.books().standing()

    def run_folder(self, at: datetime) -> Path:
        """Return the folder of a slot."""
        return self.state / "runs" / slot_name(at)

    def wants(self, weights: Mapping[str, str], at: datetime, **columns: str) -> None:
        """Let the owner's program want these weights, by symbol."""
        named = {stock(symbol): weight for symbol, weight in weights.items()}
        write_signal(self.folder, named, at, portfolio=self.name, **columns)

    # ------------------------------------------------------------------ running

    def desk(
        self,
        at: datetime,
        *,
        mode: Mode = Mode.PAPER,
        faults: Sequence[Fault] = (),
        late: Callable[[], bool] = lambda: False,
        files: Files | None = None,
    ) -> Desk:
        """Return the real desk, with faults at its venue."""
        desk = desk_for(self.config(), mode=mode, at=at, late=late, files=files)
        broker = desk.broker
        assert isinstance(broker, PaperBroker)
        return replace(desk, broker=replace(broker, faults=FaultScript(tuple(faults))))

    def hour(self, at: datetime, **how: Any) -> RunRecord:
        """Run one hour at a desk made by `desk`."""
        return hour(self.desk(at, **how), at)

    # ------------------------------------------------------------------ what is there

    def venue(self) -> Any:
        """Return the simulated venue's own books, as they lie on the disk."""
        return read_json(self.state / "paper" / "books.json")

    def change_venue(self, change: Callable[[Any], None]) -> None:
        """Change the simulated venue's books behind everybody's back."""
        books = self.venue()
        change(books)
        path = self.state / "paper" / "books.json"
        path.write_text(json.dumps(books), encoding="utf-8")

    def holdings(self) -> dict[str, Decimal]:
        """Return what the venue says is held."""
        held = self.venue()["holdings"].items()
        return {name: Decimal(h["quantity"]) for name, h in held if Decimal(h["quantity"])}

    def references(self) -> Counter[str]:
        """Return how often each order reference is in the venue's books."""
        return Counter(order["reference"] for order in self.venue()["orders"])

    def rows(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a CSV file of the state folder, [] when there is none."""
        path = self.state / name
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(line for line in file if not line.startswith("#")))

    def fill_lines(self) -> list[Any]:
        """Return the lines of `fills.jsonl` below the header, as they lie on the disk."""
        path = self.state / "fills.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]

    def journal(self, at: datetime) -> list[Any]:
        """Return the whole lines of a slot's journal below the header."""
        text = (self.run_folder(at) / "journal.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n")].splitlines()[1:]]

    def alert(self, at: datetime) -> str:
        """Return the words of a run's alerts, without their line ends; '' when it sent none."""
        paths = sorted(self.reports.glob(f"{slot_name(at)}-alert*.txt"))
        return " ".join(" ".join(path.read_text(encoding="utf-8").split()) for path in paths)

    def mails(self) -> list[str]:
        """Return the names of the mails that were written."""
        return sorted(path.stem for path in self.reports.glob("*.txt"))


def make_world(folder: Path, *, name: str = "demo", **portfolio: Any) -> World:
    """Return a new portfolio in a folder, with calendars that were compiled once a process."""
    write_portfolio(folder, name=name, **portfolio)
    world = World(folder, name)
    calendars = folder / "state" / "calendars"
    if not _CALENDARS:
        sessions_for(world.config(), FIRST)
        _CALENDARS.update({path.name: path.read_bytes() for path in calendars.iterdir()})
    calendars.mkdir(parents=True, exist_ok=True)
    for file, content in _CALENDARS.items():
        (calendars / file).write_bytes(content)
    return world


def copy_world(world: World, folder: Path) -> World:
    """Return a copy of a portfolio and of everything its runs left."""
    shutil.copytree(world.folder, folder, dirs_exist_ok=True)
    return World(folder, world.name)


def codes(record: RunRecord) -> set[str]:
    """Return the codes of a run's flags."""
    return {flag.code for flag in record.flags}
