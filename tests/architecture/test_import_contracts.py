"""The import contracts hold, and each of them, broken on purpose, fails alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS: dict[str, str] = {
    contract["name"]: contract["id"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
}
VERDICT = re.compile(r"^(?P<name>.+) (?P<verdict>KEPT|BROKEN)(?: \(.*\))?$", re.MULTILINE)


@dataclass(frozen=True)
class Plant:
    """Lines planted in some modules, and the one contract that must break."""

    breaks: str
    lines: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        module, line = next(reversed(self.lines.items()))
        return f"{self.breaks}: {module}: {line}".rstrip(": ")


def plant(breaks: str, **lines: str) -> Plant:
    """Name modules by keyword: `simulators__new` is the new file simulators/new.py."""
    return Plant(breaks, {name.replace("__", "/"): line for name, line in lines.items()})


PLANTS = [
    plant("layers", rebalancer__planning="import rebalancer.clock"),
    plant("layers", rebalancer__hourly="import rebalancer.brokers"),
    plant("layers", rebalancer__risk="import rebalancer.planning"),
    plant("layers", rebalancer__notify="import rebalancer.generators"),
    plant("layers", rebalancer__stray=""),
    plant("pure-rooms", rebalancer__planning="import time"),
    plant("pure-rooms", rebalancer__ledger="import logging"),
    plant("pure-rooms", rebalancer__execution="from pathlib import Path"),
    plant("pure-rooms", rebalancer__risk="import random"),
    plant("pure-rooms", rebalancer__model="import pandas"),
    plant("pure-rooms", rebalancer__reports="from matplotlib.figure import Figure"),
    plant("adapters", rebalancer__store="import rebalancer.planning"),
    plant("adapters", rebalancer__brokers="import rebalancer.hourly"),
    plant(
        "own-books",
        rebalancer__store__planted="",
        rebalancer__simulators="import rebalancer.store.planted",
    ),
    plant("one-door-ib", rebalancer__store="import ib_insync"),
    plant("one-door-ib", rebalancer__wiring="import ib_async"),
    plant("one-door-binance", rebalancer__notify="from binance.client import Client"),
    plant("one-door-sql", rebalancer__brokers="import sqlalchemy"),
    plant("one-door-calendars", rebalancer__generators="import exchange_calendars"),
    plant("plug-ins", signals__planted="import rebalancer.store"),
    plant("plug-ins", signals__planted="from rebalancer import planning"),
    plant("no-plug-in-names", signals__planted="", rebalancer__wiring="import signals.planted"),
    plant(
        "acyclic",
        rebalancer__model__planted_one="import rebalancer.model.planted_two",
        rebalancer__model__planted_two="import rebalancer.model.planted_one",
    ),
]


def lint(folder: Path) -> tuple[set[str], str]:
    """Run import-linter there; return the ids of the broken contracts and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()",
         "--no-cache", "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    printed = done.stdout + done.stderr
    verdicts = {CONTRACTS[found["name"]]: found["verdict"] for found in VERDICT.finditer(printed)}
    assert set(verdicts) == set(CONTRACTS.values()), printed
    broken = {contract for contract, verdict in verdicts.items() if verdict == "BROKEN"}
    assert done.returncode == bool(broken), printed
    return broken, printed


def copy_sources(folder: Path) -> None:
    """Copy what import-linter reads: the package, the plug-ins, the contracts."""
    for name in ("rebalancer", "signals"):
        for source in (ROOT / name).rglob("*.py"):
            target = folder / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    shutil.copy(ROOT / "pyproject.toml", folder)


def put(folder: Path, module: str, line: str) -> None:
    """Add a line to a module, or to a new file in a room that is a folder."""
    place = folder / module
    path = place / "planted.py" if place.is_dir() else place.with_suffix(".py")
    with path.open("a") as file:
        file.write(f"\n{line}\n")


def test_contracts_hold() -> None:
    broken, printed = lint(ROOT)
    assert not broken, printed


@pytest.mark.parametrize("planted", PLANTS, ids=str)
def test_a_broken_contract_fails_alone(planted: Plant, tmp_path: Path) -> None:
    copy_sources(tmp_path)
    for module, line in planted.lines.items():
        put(tmp_path, module, line)
    broken, printed = lint(tmp_path)
    assert broken == {planted.breaks}, printed


def test_every_contract_is_broken_once() -> None:
    assert {planted.breaks for planted in PLANTS} == set(CONTRACTS.values())
