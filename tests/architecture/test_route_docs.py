"""The page of the simulated exchange's routes says what it really answers."""

from __future__ import annotations

from pathlib import Path

from rebalancer.simulators.binance_server.routes import ROUTES
from rebalancer.simulators.binance_server.routes_document import document

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_of_the_routes_is_that_of_the_table() -> None:
    written = (DOCS / "BINANCE_ROUTES.md").read_text(encoding="utf-8")
    assert written.rstrip().endswith(document().rstrip()), (
        "python -m rebalancer.simulators.binance_server.routes_document prints it"
    )


def test_every_route_is_on_the_page_and_says_what_it_does() -> None:
    rows = [line for line in document().splitlines() if line.startswith("| `")]
    assert len(rows) == len(ROUTES)
    assert all(line.split(" | ")[-1].strip(" |") for line in rows)
