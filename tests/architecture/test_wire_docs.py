"""The documents of the simulated gateway say what it really speaks and suffers."""

from __future__ import annotations

from pathlib import Path

from rebalancer.simulators.binance_server.faults import Do as HttpDo
from rebalancer.simulators.ib_gateway.faults import Do
from rebalancer.simulators.ib_gateway.layouts_document import document

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_of_the_wire_is_that_of_the_tables() -> None:
    written = (DOCS / "TWS_WIRE.md").read_text(encoding="utf-8")
    assert written.rstrip().endswith(document().rstrip()), (
        "python -m rebalancer.simulators.ib_gateway.layouts_document prints it"
    )


def test_every_fault_of_the_wire_is_explained() -> None:
    page = (DOCS / "SIMULATORS.md").read_text(encoding="utf-8")
    table = page.partition("<!-- faults:begin -->")[2].partition("<!-- faults:end -->")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines()[3:] if line]
    explained = {name.strip(" `"): words.strip() for name, words in rows}
    assert set(explained) == {do.value for do in Do}
    assert all(explained.values())


def test_every_fault_of_a_request_is_explained() -> None:
    page = (DOCS / "SIMULATORS.md").read_text(encoding="utf-8")
    begin, end = "<!-- http-faults:begin -->", "<!-- http-faults:end -->"
    table = page.partition(begin)[2].partition(end)[0]
    rows = [line.split("|")[1:3] for line in table.splitlines()[3:] if line]
    explained = {name.strip(" `"): words.strip() for name, words in rows}
    assert set(explained) == {do.value for do in HttpDo}
    assert all(explained.values())
