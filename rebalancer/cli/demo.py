"""`rebalancer demo`: four hours of a paper portfolio in May 2017, and where to look."""

from __future__ import annotations

import re
import shutil
from argparse import Namespace
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rebalancer.cli.init import example_text
from rebalancer.cli.orders import execute as show_orders
from rebalancer.cli.run import run_one
from rebalancer.config import load
from rebalancer.errors import EXIT_LADDER, UsageError
from rebalancer.model.records import Mode
from rebalancer.store.atomic import Files

NAME = "demo"
MARK = "made by rebalancer demo\n"


@dataclass(frozen=True)
class Scene:
    """One hour of the demonstration: when it is, and what to look at."""

    at: datetime
    title: str
    text: str


START = "2017-05-24T13:30:00Z"
SCENES = (
    Scene(
        datetime(2017, 5, 24, 15, 5, tzinfo=UTC),
        "The first hour",
        "Wednesday, 11:05 in New York. The account holds 100,000 USD and nothing else; the\n"
        "generators say what it should hold, and the difference is ordered.",
    ),
    Scene(
        datetime(2017, 5, 24, 16, 5, tzinfo=UTC),
        "An hour later",
        "Prices have moved a little, every weight is still within its no-trade band:\n"
        "there is nothing to do, and each instrument says why.",
    ),
    Scene(
        datetime(2017, 5, 25, 19, 5, tzinfo=UTC),
        "A price that nobody should trust",
        "Thursday, 15:05. Best Buy stands 18 % above its last close. It had good results that\n"
        "morning, but a program cannot tell that from a bad price: the price collar refuses\n"
        "the order, and an alert says so.",
    ),
    Scene(
        datetime(2017, 5, 25, 20, 25, tzinfo=UTC),
        "After the close",
        "The market closed at 20:00 UTC: nothing is sent, the day's last mail goes out and\n"
        "the session is committed to the database.",
    ),
)


def execute(arguments: Namespace) -> int:
    """Play the scenes in a fresh state folder; return 0 when each did what it is for."""
    root = Path(arguments.folder) if arguments.folder else Path("state")
    folder = _fresh(root / NAME)
    path = _configuration(root)
    codes = []
    for number, scene in enumerate(SCENES, start=1):
        print(f"\n{'=' * 88}\n{number}/{len(SCENES)}  {scene.title}: {scene.at:%Y-%m-%d %H:%M} UTC")
        print(f"{scene.text}\n{'-' * 88}")
        codes.append(run_one(load(path), Mode.PAPER, scene.at, brief=True))
        show_orders(Namespace(config=str(path), slot=None, dry_run=False, json=False))
    _where_to_look(folder, path)
    return max(codes, key=EXIT_LADDER.index)


def _fresh(folder: Path) -> Path:
    """Return an empty folder; what an earlier demonstration left is removed, nothing else is."""
    if folder.exists():
        if not (folder / "DEMO").exists():
            raise UsageError(f"{folder} is not a demonstration's folder; it is left alone")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
    (folder / "DEMO").write_text(MARK, encoding="utf-8")
    return folder


def _configuration(root: Path) -> Path:
    """Write the demonstration's configuration: the example text, named and placed."""
    signals = Path(__file__).resolve().parents[2] / "signals"
    text = example_text(NAME)
    text = text.replace('generator = "signals/', f'generator = "{signals}/')
    text = text.replace('state = "state"', 'state = "."')
    text = re.sub(r"^start = .*$", f"start = {START}", text, flags=re.MULTILINE)
    path = root / f"{NAME}.toml"
    Files().replace(path, text.encode("utf-8"))
    return path


def _where_to_look(folder: Path, path: Path) -> None:
    runs = sorted((folder / "runs").iterdir())
    mails = sorted((folder / "reports").glob("*.html"))
    print(f"\n{'=' * 88}\nWhat these hours left, and where to look:\n")
    for what, where in (
        ("the order file of the first hour", runs[0] / "orders.csv"),
        ("the orders that were refused, and why", runs[2] / "orders.csv"),
        ("every execution", folder / "trades.csv"),
        ("net liquidation, leverage, drawdown", folder / "equity.csv"),
        ("everything one hour knew and did", runs[0] / "record.json"),
        ("the database", folder / "rebalancer.db"),
    ):
        print(f"  {what:<40} {where}")
    for mail in mails:
        print(f"  {'a mail, as it would have been sent':<40} {mail}")
    print(f"\nLook again with:\n  .venv/bin/rebalancer status --config {path}")
    print(f"  .venv/bin/rebalancer orders --config {path}")
