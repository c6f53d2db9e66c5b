"""Small paper portfolios for tests that run whole hours, and the hand that runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

STOCKS = ("AAPL", "JNJ", "KO", "MSFT", "PG", "WMT")
FIRST = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
"""A Monday, thirty-five minutes after the opening in New York."""


def stock(symbol: str) -> str:
    """Return the identifier of a US stock."""
    return f"{symbol}.STK.USD@IB"


def write_portfolio(
    folder: Path, *, name: str = "demo", symbols: Sequence[str] = STOCKS, extra: str = "", **top: str
) -> Path:
    """Write a paper portfolio whose one sleeve reads a signal file that the test writes.

    `extra` is appended to the text: more tables. `top` replaces values of the main tables.
    """
    universe = ", ".join(f'"{stock(symbol)}"' for symbol in symbols)
    values = {"mode": "paper", "cash": '{ USD = "100000" }'} | top
    text = f"""
[portfolio]
name = "{name}"
mode = "{values['mode']}"
base_currency = "USD"
calendar = "XNYS"
state = "state"

[account]
venue = "simulated"
id = "PAPER-{name}"

[[sleeve]]
name = "hand"
share = "1"
universe = [{universe}]

[risk]
max_order_weight = "0.9"
max_position_weight = "0.95"
allow_unknown_volume = true

[paper]
recording = "us_equities"
seed = 7
start = "2020-03-02T14:30:00Z"
cash = {values['cash']}
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
    import json  # noqa: PLC0415 - tests only

    return json.loads(path.read_text(encoding="utf-8"))
