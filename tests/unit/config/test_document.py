"""docs/CONFIG.md says what the program does."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.config.document import TABLES, document, keys, meanings

ROOT = Path(__file__).resolve().parents[3]


def test_every_key_has_its_meaning_and_every_meaning_its_key() -> None:
    told = set(meanings())
    assert {*keys(), *TABLES} - told == set()
    assert told - {*keys(), *TABLES} == set()
    assert all(meanings().values())


def test_the_page_is_the_one_that_the_program_makes() -> None:
    page = (ROOT / "docs" / "CONFIG.md").read_text(encoding="utf-8")
    assert page == document(), "python -m rebalancer.config.document > docs/CONFIG.md"


def test_the_page_has_every_key_with_default_and_range() -> None:
    page = document()
    assert "| `max_order_weight` | the largest order | `0.25` | number, > 0, ≤ 10 |" in page
    assert "| `mode` | how to run, see above | **required** | `live`, `dry-run`, `paper` |" in page
    assert page.count("\n| `") == len(list(keys()))


@pytest.mark.parametrize("name", ["portfolio.example.toml", "portfolio.binance.example.toml"])
def test_the_example_shows_only_what_it_says_it_shows(name: str) -> None:
    """Each commented key of the example is a key: whoever takes the # away gets no error."""
    known = set(keys())
    table = ""
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        code = line.removeprefix("# ")
        if code.startswith("["):
            table = code.strip("[]").split("]")[0]
            continue
        name, equals, _ = code.partition(" = ")
        if equals and name.isidentifier() and table != "aliases" and "parameters" not in table:
            assert f"{table}.{name}" in known, line
