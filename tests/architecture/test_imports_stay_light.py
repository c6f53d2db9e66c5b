"""Asking for help costs no library: cron and people start this program often."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "aiohttp", "alembic", "binance", "exchange_calendars", "ib_async", "ib_insync", "jinja2",
    "matplotlib", "numpy", "pandas", "psycopg2", "pydantic", "requests", "rich", "sqlalchemy",
    "yagmail",
}  # fmt: skip
IMPORTED = re.compile(r"^import time:.*\|\s+([\w.]+)$", re.MULTILINE)


def test_help_loads_no_library() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "run.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
    loaded = {name.partition(".")[0] for name in IMPORTED.findall(done.stderr)}
    assert "rebalancer" in loaded
    assert not loaded & HEAVY
