"""What `rebalancer check` says of an account at Interactive Brokers before it connects."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.cli.inspection import check_prices
from tests.unit.cli.test_modes import config


class Told:
    """Findings that remember what they were told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.wrong: list[str] = []

    def ok(self, what: str, words: str) -> None: ...

    def note(self, what: str, words: str) -> None:
        self.notes.append(words)

    def bad(self, what: str, words: str, exit_code: int = 2) -> None:
        self.wrong.append(words)


@pytest.mark.parametrize(("window", "noted"), [("", True), ("23:45-00:10 America/New_York", False)])
def test_a_restart_that_nobody_told_of_is_noted(tmp_path: Path, window: str, noted: bool) -> None:
    known = config(tmp_path, "paper", "ib", "DU123", extra=f'[risk]\nrestart_window = "{window}"\n')
    findings = Told()
    check_prices(known, findings)
    assert any("restart_window is not set" in note for note in findings.notes) is noted


def test_the_owners_error_codes_are_read(tmp_path: Path) -> None:
    known = config(tmp_path, "paper", "ib", "DU123")
    (tmp_path / "ib_errors.toml").write_text('[10349]\nkind = "fatal"\nabout = "order"\n')
    findings = Told()
    check_prices(known, findings)
    assert any("10349.kind = fatal" in words for words in findings.wrong)
