"""`rebalancer version`: what a report of a problem begins with."""

from __future__ import annotations

import json
import platform
from argparse import Namespace
from importlib.metadata import PackageNotFoundError, version

import rebalancer
from rebalancer.cli.tables import show_table

LIBRARIES = (
    "alembic", "exchange_calendars", "ib_async", "ib_insync", "jinja2", "matplotlib", "numpy",
    "pandas", "psycopg2-binary", "pydantic", "python-binance", "rich", "sqlalchemy", "tzdata",
    "yagmail",
)  # fmt: skip


def execute(arguments: Namespace) -> int:
    """Show the versions; a library that is not installed has none."""
    found = versions()
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        show_table(("what", "version"), [(name, text or "-") for name, text in found.items()])
    return 0


def versions() -> dict[str, str | None]:
    """Return program, Python, system and libraries with their versions, None for absent."""
    found: dict[str, str | None] = {
        "rebalancer": rebalancer.__version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    return found | {name: _version(name) for name in LIBRARIES}


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
