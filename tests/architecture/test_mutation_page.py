"""docs/MUTATION.md and the lists of survivors say the same; what was not tried again is kept."""

from __future__ import annotations

from tools.mutation.report import PAGE, WANTED, counted, listed, made_again

ROOT = PAGE.resolve().parent.parent


def test_the_page_is_what_its_own_counts_and_the_lists_of_survivors_make() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert made_again(page) == page


def test_nine_of_ten_mutants_of_each_module_are_killed_and_each_survivor_has_its_reason() -> None:
    counts = counted((ROOT / PAGE).read_text(encoding="utf-8"))
    assert {file.partition("/")[0] for file in counts} == {"planning", "risk"}
    assert [file for file, (killed, total) in counts.items() if killed < WANTED * total] == []
    assert [key for key, reason in listed() if not reason] == []
