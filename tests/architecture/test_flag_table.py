"""The flag table is what the program raises, what the tests try and what the runbook explains.

Run as a program, this file writes the table into docs/OPERATIONS.md.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from rebalancer import errors
from rebalancer.errors import RebalancerError
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import Severity
from rebalancer.reports.watchdog import FAILED, TO_DO

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rebalancer"
RUNBOOK = ROOT / "docs" / "OPERATIONS.md"

BEGIN, END = "<!-- flag-table:begin -->", "<!-- flag-table:end -->"
# What a runbook's paragraph about a flag must answer, in this order.
QUESTIONS = ("What happened.", "What it did and did not do.", "Look at", "Go on.")

CODE = re.compile(r"[a-z]+(?:-[a-z]+)*")
RAISES_A_FLAG = re.compile(r"flag|latch", re.IGNORECASE)
# Exit codes of runs that may end without a record, and so without a flag.
WITHOUT_RECORD = frozenset({4, 8, 9, 70})
# Rooms that only talk about flags; what stands there proves that nothing raises them.
TALKERS = ("rebalancer/reports/", "rebalancer/cli/")
# The same word for another thing: a mode, a column, a key of the lock's file.
HOMONYMS = {
    ("dry-run", "rebalancer/model/records.py"),
    ("dry-run", "rebalancer/store/csv_log.py"),
    ("drawdown", "rebalancer/store/csv_log.py"),
    ("deadline", "rebalancer/store/lock.py"),
}
# Codes that nothing raises yet, and codes that no test names yet. To be kept empty.
NOT_RAISED_YET: frozenset[str] = frozenset()
NOT_TESTED_YET: frozenset[str] = frozenset()


def shown_table() -> str:
    """Return the flag table as it stands in the runbook, in Markdown."""
    head = (
        "| Code | Severity | About | Latched | Means | Ends by itself with | Ends by hand with |",
        "|---|---|---|---|---|---|---|",
    )
    rows = (
        f"| {_name(kind.code, kind.severity)} | {kind.severity.value} | {kind.scope} "
        f"| {'yes' if kind.latched else 'no'} | {kind.meaning} | {kind.clears} "
        f"| {f'`{kind.command}`' if kind.command else '-'} |"
        for kind in FLAG_TABLE.values()
    )
    return "\n".join((*head, *rows))


def _name(code: str, severity: Severity) -> str:
    """Return a code, linked to its paragraph where it has one."""
    return f"`{code}`" if severity is Severity.NOTE else f"[`{code}`](#{code})"


def runbook() -> str:
    """Return the runbook's text."""
    return RUNBOOK.read_text(encoding="utf-8")


def paragraphs() -> dict[str, str]:
    """Return the runbook's paragraph of each code, by code."""
    pieces = re.split(r"^#{1,6} (.+)$", runbook(), flags=re.MULTILINE)[1:]
    return {
        title: text
        for title, text in zip(pieces[::2], pieces[1::2], strict=True)
        if CODE.fullmatch(title)
    }


@cache
def literals(path: Path) -> tuple[str, ...]:
    """Return the texts of a file that are values; docstrings are not."""
    module = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    texts = {
        id(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return tuple(
        node.value
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts
    )


def raised_in(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the codes that a file hands to something that raises flags, with their lines.

    That is whatever has "flag" or "latch" in its name, an argument `raises` or `code`, and
    what `FLAG_TABLE` is asked for.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if not isinstance(node, ast.Call | ast.Subscript):
            continue
        handed: list[ast.expr] = []
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            handed += [each.value for each in node.keywords if each.arg in ("raises", "code")]
            if RAISES_A_FLAG.search(name):
                handed += node.args
        elif ast.unparse(node.value) == "FLAG_TABLE":
            handed.append(node.slice)
        for argument in handed:
            for text in _plain_texts(argument):
                if CODE.fullmatch(text):
                    yield text, node.lineno


def _plain_texts(expression: ast.expr) -> Iterator[str]:
    """Yield the texts an argument may be: itself, or either side of a choice."""
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        yield expression.value
    elif isinstance(expression, ast.IfExp):
        yield from _plain_texts(expression.body)
        yield from _plain_texts(expression.orelse)


def sources() -> list[Path]:
    """Return the package's files but the table itself."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "flag_table.py")


def short(path: Path) -> str:
    """Name a file from the root of the checkout."""
    return path.relative_to(ROOT).as_posix()


def test_the_runbook_shows_the_flag_table() -> None:
    text = runbook()
    assert text.count(BEGIN) == text.count(END) == 1
    shown = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == shown_table(), "python tests/architecture/test_flag_table.py writes it"


def test_every_grave_flag_has_its_paragraph() -> None:
    grave = {code for code, kind in FLAG_TABLE.items() if kind.severity is not Severity.NOTE}
    assert set(paragraphs()) == grave | set(TO_DO)


def test_the_watchdogs_table_leads_to_a_paragraph_of_each_trouble() -> None:
    told = {
        text
        for text in literals(PACKAGE / "reports" / "watchdog.py")
        if re.fullmatch(r"[a-z]+-[a-z]+", text)
    }
    assert set(TO_DO) == told | {FAILED}, "a trouble without advice, or advice for none"
    table = runbook().partition("\n| Trouble |")[2].partition("\n\n")[0]
    assert set(re.findall(r"\[`([a-z-]+)`\]\(#\1\)", table)) == set(TO_DO)


def test_every_paragraph_answers_the_four_questions() -> None:
    silent = {
        code: missing
        for code, text in paragraphs().items()
        if (missing := [question for question in QUESTIONS if f"**{question}" not in text])
    }
    assert silent == {}


def failures() -> dict[str, str]:
    """Return the runbook's paragraphs about runs without a record, by title."""
    pieces = re.split(r"^#{1,6} (.+)$", runbook(), flags=re.MULTILINE)[1:]
    found = dict(zip(pieces[::2], pieces[1::2], strict=True))
    return {title: text for title, text in found.items() if title.startswith("Exit code ")}


def test_every_failure_that_leaves_no_record_has_its_paragraph() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    missing = [
        each.__name__
        for each in kinds
        if issubclass(each, RebalancerError) and each.exit_code in WITHOUT_RECORD
        if not any(
            title.startswith(f"Exit code {each.exit_code}:") and f"`{each.__name__}`" in text
            for title, text in failures().items()
        )
    ]
    assert missing == []
    silent = {
        title: gaps
        for title, text in failures().items()
        if (gaps := [question for question in QUESTIONS if f"**{question}" not in text])
    }
    assert silent == {}


def test_the_table_of_exit_codes_leads_to_the_paragraphs_of_runs_without_a_record() -> None:
    table = runbook().partition("<!-- exit-codes:begin -->")[2].partition("<!-- exit-codes:end")[0]
    linked = set(re.findall(r"\(#(exit-code-[\w-]+)\)", table))
    assert linked
    assert linked == {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in failures()}


def test_every_paragraph_names_the_command_that_ends_it() -> None:
    unnamed = {
        code: kind.command
        for code, kind in FLAG_TABLE.items()
        if kind.command and kind.command not in paragraphs().get(code, "")
    }
    assert unnamed == {}


def test_what_is_raised_is_in_the_table() -> None:
    unknown = [
        f"{short(path)}:{line}: {code}"
        for path in sources()
        for code, line in raised_in(path)
        if code not in FLAG_TABLE
    ]
    assert not unknown, "\n".join(unknown)


def test_the_table_holds_nothing_that_is_never_raised() -> None:
    raised = {code for path in sources() for code, _ in raised_in(path)}
    raised |= {
        text
        for path in sources()
        if not short(path).startswith(TALKERS)
        for text in literals(path)
        if (text, short(path)) not in HOMONYMS
    }
    assert sorted(set(FLAG_TABLE) - raised) == sorted(NOT_RAISED_YET)


def test_every_flag_is_named_by_a_test() -> None:
    own = {Path(__file__).resolve(), ROOT / "tests/architecture/test_docs.py"}
    named = set()
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.resolve() in own:
            continue
        for text in literals(path):
            named |= {code for code in FLAG_TABLE if _names(text, code)}
    unnamed = sorted(set(FLAG_TABLE) - named)
    assert unnamed == sorted(NOT_TESTED_YET), " ".join(unnamed)


def _names(text: str, code: str) -> bool:
    """Return whether a text of a test names a flag; a plain English word must stand alone."""
    if "-" not in code or code == "dry-run":
        return text == code
    return re.search(rf"(?<![\w-]){code}(?![\w-])", text) is not None


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('page.flag("some-code", f"{x} was odd", "AAPL")', ["some-code"]),
        ('flags.append(_flag("one-code", "a message"))', ["one-code"]),
        ('page.flag_quietly("a-b" if late else "c-d", words)', ["a-b", "c-d"]),
        ('Gate("venue-hours", check, raises="e-f")', ["e-f"]),
        ('latches.latch("g-h", RUN, message, "1")', ["g-h"]),
        ('severity = FLAG_TABLE["i-j"].severity', ["i-j"]),
        ('print("k-l")', []),
    ],
)
def test_raised_codes_are_found_in_sources(source: str, found: list[str], tmp_path: Path) -> None:
    path = tmp_path / "source.py"
    path.write_text(source, encoding="utf-8")
    assert [code for code, _ in raised_in(path)] == found


def write_table() -> None:
    """Put the flag table into the runbook."""
    before, _, rest = runbook().partition(BEGIN)
    after = rest.partition(END)[2]
    text = f"{before}{BEGIN}\n{shown_table()}\n{END}{after}"
    RUNBOOK.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_table()
