"""Every flag in sentences: what it is, what was not done, what ends it."""

from __future__ import annotations

import pytest

from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import ErrorFlag, FlagKind, Step
from rebalancer.reports.explain import ENDS, explain, what_clears

WHEN = "It ends by itself when"
SENTENCES = {
    "halt-file": "It ends when the file is removed. By hand: look into it, then "
    "`rebalancer resume`.",
    "data-poor": f"{WHEN} enough is usable again. By hand: look into it, then `rebalancer resume`.",
    "margin-thin": f"{WHEN} enough is left again. By hand: look into it, then `rebalancer resume`.",
    "book-loss": f"{WHEN} its window has passed. By hand: look into it, then `rebalancer resume`.",
    "unresolved-order": f"{WHEN} the venue proves what became of the order. By hand: look into "
    "it, then `rebalancer resolve`.",
    "not-adopted": "It ends when you adopt the positions. By hand: look into it, then "
    "`rebalancer adopt`.",
    "run-died": "It is about this one run; nothing is locked.",
    "clock-skew": "It ends by itself with the next run in which it is not so.",
}


@pytest.mark.parametrize("kind", FLAG_TABLE.values(), ids=FLAG_TABLE)
def test_the_end_of_every_flag_is_a_sentence_of_its_own(kind: FlagKind) -> None:
    assert kind.clears in ENDS, "write the sentence: a cell of the table is none"
    told = explain(ErrorFlag(Step.SUBMIT, kind.code, "", kind.severity, "so it is")).to_do
    assert ENDS[kind.clears] in told
    assert told.endswith(".")


@pytest.mark.parametrize(("code", "sentence"), SENTENCES.items())
def test_what_ends_a_flag_reads_as_english(code: str, sentence: str) -> None:
    assert what_clears(code) == sentence


def test_no_sentence_is_left_of_a_flag_that_is_gone() -> None:
    assert set(ENDS) == {kind.clears for kind in FLAG_TABLE.values()}


def test_a_halt_file_is_told_with_where_it_lies() -> None:
    halt = FLAG_TABLE["halt-file"]
    told = explain(ErrorFlag(Step.SUBMIT, halt.code, "", halt.severity, "a HALT file: flattening"))
    assert "The file is HALT in the portfolio's state folder" in told.to_do
