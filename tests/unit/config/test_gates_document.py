"""docs/GATES.md says what the tables say."""

from __future__ import annotations

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


def test_every_breaker_is_latched_and_the_owner_can_clear_it() -> None:
    codes = [code for breaker in BREAKERS for code in breaker.codes]
    assert len(codes) == len(set(codes))
    assert all(FLAG_TABLE[code].latched for code in codes)
    assert set(codes) - set(EFFECTS) == set()
