"""The documentation shows the faults that there are."""

from __future__ import annotations

from pathlib import Path

from rebalancer.simulators.faults.cells import faults
from rebalancer.simulators.faults.document import document

PAGE = Path(__file__).resolve().parents[4] / "docs" / "SIMULATORS.md"


def test_the_page_has_the_table_of_faults() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = text.partition("<!-- cells:begin -->")[2].partition("<!-- cells:end -->")[0]
    assert shown.strip() == document(), "python -m rebalancer.simulators.faults.document prints it"


def test_every_fault_has_a_row_and_its_steps_are_read_easily() -> None:
    rows = document().splitlines()
    for name in faults():
        assert any(row.startswith(f"| `{name}` |") for row in rows)
    assert any(row.endswith("| 1-13 | 1-13 |") for row in rows)
    assert any(row.endswith("| - |") for row in rows)
