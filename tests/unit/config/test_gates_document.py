"""docs/GATES.md says what the tables say."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from rebalancer.config.gates_document import document
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.risk import BREAKERS, GATES, JOINT_GATES, Limits
from rebalancer.risk.clearing import EFFECTS

ROOT = Path(__file__).resolve().parents[3]
ELSEWHERE = {
    "margin_previews": "the venue's margin preview",
    "unexplained_cash": "step 4, cash",
    "heal_weight": "step 4, gaps between the books and the venue",
    "account_max_age_seconds": "step 4, the account itself",
}
"""Keys of [risk] that no row of the tables reads."""


def test_the_page_is_the_one_that_the_program_makes() -> None:
    page = (ROOT / "docs" / "GATES.md").read_text(encoding="utf-8")
    assert page == document(), "python -m rebalancer.config.gates_document > docs/GATES.md"


def test_every_gate_says_what_it_does() -> None:
    assert all((gate.check.__doc__ or "").startswith("Refuse ") for gate in GATES)
    assert all((gate.check.__doc__ or "").startswith("Refuse ") for gate in JOINT_GATES)


def test_every_limit_is_in_a_table_and_every_key_of_a_table_is_a_limit() -> None:
    keys = {each.name for each in fields(Limits)}
    rows = [gate.limits for gate in GATES] + [gate.limits for gate in JOINT_GATES]
    told = {name for row in rows + [each.limits for each in BREAKERS] for name in row}
    assert told - keys == set()
    assert keys - told == set(ELSEWHERE)


def test_every_name_that_a_refusal_bears_has_a_row() -> None:
    """Names are found where the sources make a refusal: a pair of name and reason."""
    pair = re.compile(r"""[ (]\("([a-z-]+)", |RefusedOrder\([\w.]+, "([a-z-]+)\"""")
    folders = ("risk", "working")
    sources = [path for each in folders for path in (ROOT / "rebalancer" / each).rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in sources]
    makers = "".join(text for text in texts if "RefusedOrder(" in text)
    found = {"".join(names) for names in pair.findall(makers)} - {"order"}  # a plural's pair
    page = document().partition("## One instrument")[0]
    assert {"fee", "reversal", "neutral", "margin-preview", "time", "halt"} <= found
    assert {name for name in found if f"\n| `{name}` |" not in page} == set()


def test_what_bounds_a_gate_stands_in_its_row_with_the_default_that_holds() -> None:
    row = {line.split("`")[1]: line for line in document().splitlines() if line.startswith("| `")}
    for key in ("funding` (refuse)", "borrow_limit` (0)", "cash_reserve` (0.01)"):
        assert f"`planning.{key}" in row["cash"]
    limits = Limits()
    assert f"times that of a session, {limits.orders_of_days})" in row["orders"]
    assert f"times that of a session, {limits.turnover_of_days.normalize():f})" in row["turnover"]


def test_every_breaker_is_latched_and_the_owner_can_clear_it() -> None:
    codes = [code for breaker in BREAKERS for code in breaker.codes]
    assert len(codes) == len(set(codes))
    assert all(FLAG_TABLE[code].latched for code in codes)
    assert set(codes) - set(EFFECTS) == set()
