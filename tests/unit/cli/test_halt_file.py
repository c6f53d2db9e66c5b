"""`halt` must work when little else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.cli import main

BROKEN = """
[portfolio]
name = "growth"
state = "books"
[risk
max_order_weight = = 3
"""


@pytest.mark.parametrize(("ran", "code"), [(True, 0), (False, 2)])
def test_halt_works_on_a_file_that_is_not_toml_any_more(
    tmp_path: Path, *, ran: bool, code: int
) -> None:
    path = tmp_path / "growth.toml"
    path.write_text(BROKEN, encoding="utf-8")
    if ran:
        (tmp_path / "books" / "growth").mkdir(parents=True)
        (tmp_path / "books" / "growth" / "lock").touch()
    assert main(["halt", "broken", "--config", str(path)]) == code
    assert "broken" in (tmp_path / "books" / "growth" / "HALT").read_text(encoding="utf-8")


def test_halt_says_that_nothing_is_halted_when_it_cannot_tell_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "empty.toml"
    path.write_text("= =", encoding="utf-8")
    assert main(["halt", "--config", str(path)]) == 2
    assert "NOTHING is halted" in capsys.readouterr().err
