"""`rebalancer demo`: a few hours of a paper portfolio, and where to look."""

from __future__ import annotations

import re
import shutil
from argparse import Namespace
from pathlib import Path

from rebalancer.cli.demo_scenes import DEMOS, Demo
from rebalancer.cli.init import example_text
from rebalancer.cli.orders import execute as show_orders
from rebalancer.cli.run import run_one
from rebalancer.config import load
from rebalancer.errors import EXIT_LADDER, UsageError
from rebalancer.model.records import Mode
from rebalancer.store.atomic import Files

MARK = "made by rebalancer demo\n"


def execute(arguments: Namespace) -> int:
    """Play the scenes in a fresh state folder; return 0 when each did what it is for."""
    demo = DEMOS[arguments.venue]
    root = Path(arguments.folder) if arguments.folder else Path("state")
    folder = _fresh(root / demo.name)
    path = _configuration(root, demo)
    codes = []
    count = len(demo.scenes)
    for number, scene in enumerate(demo.scenes, start=1):
        print(f"\n{'=' * 88}\n{number}/{count}  {scene.title}: {scene.at:%Y-%m-%d %H:%M} UTC")
        print(f"{scene.text}\n{'-' * 88}")
        codes.append(run_one(load(path), Mode.PAPER, scene.at, brief=True))
        show_orders(Namespace(config=str(path), slot=None, dry_run=False, json=False))
    _where_to_look(folder, path, demo)
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


def _configuration(root: Path, demo: Demo) -> Path:
    """Write the demonstration's configuration: the example text, named and placed."""
    signals = Path(__file__).resolve().parents[2] / "signals"
    text = example_text(demo.name, demo.venue)
    text = text.replace('generator = "signals/', f'generator = "{signals}/')
    text = text.replace('state = "state"', 'state = "."')
    text = re.sub(r"^start = .*$", f"start = {demo.start}", text, flags=re.MULTILINE)
    path = root / f"{demo.name}.toml"
    Files().replace(path, text.encode("utf-8"))
    return path


def _fates(folder: Path, run: Path) -> Path:
    """Return the orders of a run with what became of them, as its mail has them."""
    found = sorted((folder / "reports").glob(f"{run.name}-*-orders.csv"))
    return found[0] if found else run / "orders.csv"


def _where_to_look(folder: Path, path: Path, demo: Demo) -> None:
    runs = sorted((folder / "runs").iterdir())
    mails = sorted((folder / "reports").glob("*.html"))
    print(f"\n{'=' * 88}\nWhat these hours left, and where to look:\n")
    for what, where in (
        ("the order file of the first hour", runs[0] / "orders.csv"),
        (demo.words, _fates(folder, runs[demo.told - 1])),
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
