"""What is not needed is not loaded: cron and people start this program often."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.portfolios import read_json

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "aiohttp", "alembic", "binance", "exchange_calendars", "ib_async", "ib_insync", "jinja2",
    "matplotlib", "numpy", "pandas", "psycopg2", "pydantic", "requests", "rich", "sqlalchemy",
    "yagmail",
}  # fmt: skip
IMPORTED = re.compile(r"^import time:.*\|\s+([\w.]+)$", re.MULTILINE)

# An hour as `run.py` runs it, in a process that then tells what it has loaded.
INSPECTED = """
import contextlib, io, json, sys
from rebalancer.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    code = main(sys.argv[1:])
print(json.dumps({"code": code, "loaded": sorted({n.partition(".")[0] for n in sys.modules})}))
"""


def python(
    words: Sequence[str], folder: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_help_loads_no_library() -> None:
    done = python(["-X", "importtime", "run.py", "--help"])
    assert "usage" in done.stdout.lower()
    loaded = {name.partition(".")[0] for name in IMPORTED.findall(done.stderr)}
    assert "rebalancer" in loaded
    assert not loaded & HEAVY


CLIENT = "ib_insync" if find_spec("ib_insync") else "ib_async"


@pytest.mark.parametrize(
    ("transport", "libraries"), [("engine", {"numpy"}), ("socket", {"numpy", CLIENT})]
)
def test_an_ordinary_hour_loads_numpy_its_client_and_no_other_library(
    tmp_path: Path, transport: str, libraries: set[str]
) -> None:
    shutil.copytree(ROOT / "signals", tmp_path / "signals")
    environment = {"REBALANCER_LOCKS": str(tmp_path / "locks"), "PYTHONPATH": str(ROOT)}
    run = ["run", "--at"]
    run_py = str(ROOT / "run.py")
    python([run_py, "init"], tmp_path, environment)
    config = tmp_path / "portfolio.toml"
    text = config.read_text(encoding="utf-8")
    assert 'transport = "socket"' in text
    config.write_text(text.replace('transport = "socket"', f'transport = "{transport}"'))
    # The first hour of the session compiles the calendars, mails and commits.
    python([run_py, *run, "2020-03-06T15:05Z"], tmp_path, environment)
    mails = {path.name for path in (tmp_path / "state" / "main" / "reports").iterdir()}
    assert any(name.startswith("2020-03-06T1505Z") for name in mails)

    # In the second nothing is due but the hour itself: generators, plan, gates, books.
    done = python(["-c", INSPECTED, *run, "2020-03-06T16:05Z"], tmp_path, environment)
    told = json.loads(done.stdout)
    assert told["code"] == 0
    record = read_json(tmp_path / "state/main/runs/2020-03-06T1605Z/record.json")
    assert len(record["lines"]) == 25
    assert record["outcome"] == "finished"
    assert mails == {path.name for path in (tmp_path / "state" / "main" / "reports").iterdir()}
    loaded = set(told["loaded"])
    assert loaded & HEAVY == libraries
    assert not loaded & {"smtplib", "sqlite3", "tarfile"}
    assert transport == "socket" or not loaded & {"ssl", "asyncio"}


def test_the_child_interpreter_of_the_generators_loads_numpy_and_no_other_library() -> None:
    code = "import sys, rebalancer.generators.child; print(*sys.modules)"
    loaded = {name.partition(".")[0] for name in python(["-c", code]).stdout.split()}
    assert loaded & HEAVY == {"numpy"}
