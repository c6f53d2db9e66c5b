"""What the owner is told when something goes wrong."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from rebalancer.cli import main, version
from rebalancer.cli.tables import plain_table
from rebalancer.errors import ConfigError, LockBusy, Problem, RebalancerError

ROOT = Path(__file__).resolve().parents[3]


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def execute(_: Namespace) -> int:
        raise error

    monkeypatch.setattr(version, "execute", execute)


def test_an_error_of_ours_is_a_message_with_advice_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, LockBusy("the portfolio is locked"))
    assert main(["version"]) == 6
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"rebalancer version: the portfolio is locked\n{LockBusy.advice}\n"


def test_problems_of_a_file_are_told_one_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [
        Problem("a.toml", "risk.x", "1", "unknown key"),
        Problem("b.toml", "y", "", "missing"),
    ]
    failing(monkeypatch, ConfigError(problems))
    assert main(["version"]) == 2
    assert capsys.readouterr().err == (
        "2 problems:\n  a.toml: risk.x = 1: unknown key\n  b.toml: y: missing\n"
        f"{ConfigError.advice}\n"
    )


def test_a_bug_is_one_line_and_a_private_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir()
    failing(monkeypatch, ZeroDivisionError("by\nzero"))
    assert main(["version"]) == 70
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "rebalancer version: unexpected ZeroDivisionError: by zero"
    (log,) = (tmp_path / "state").glob("*.traceback.log")
    assert lines[1].endswith(str(log.relative_to(tmp_path)))
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    assert len(lines) == 2


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, ZeroDivisionError("by zero"))
    assert main(["version", "--debug"]) == 70
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith("ZeroDivisionError: by zero\n")


def test_an_interrupt_is_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert main(["version"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_went_away_is_no_error() -> None:
    command = f"sleep 0.2; {sys.executable} run.py version --json; echo $? >&2"
    done = subprocess.run(
        ["sh", "-c", f"({command}) | true"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "0"


def test_every_error_of_ours_has_advice_and_a_code_of_its_own() -> None:
    def all_of(kind: type[RebalancerError]) -> list[type[RebalancerError]]:
        return [kind, *(each for below in kind.__subclasses__() for each in all_of(below))]

    for kind in all_of(RebalancerError):
        assert kind.advice, kind
        assert kind.exit_code in {2, 3, 4, 5, 6, 7, 8, 9, 70}, kind


def test_tables_are_aligned() -> None:
    rows = [("AAPL", "1.5"), ("a long name", "12.25")]
    assert plain_table(("what", "price"), rows, right=(1,)).splitlines() == [
        "what         price",
        "AAPL           1.5",
        "a long name  12.25",
    ]


def test_an_empty_table_has_its_head() -> None:
    assert plain_table(("what",), []) == "what"


def test_versions_name_every_library_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    import json
    import re
    import tomllib

    assert main(["version", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=; ]", line)[0] for line in project["dependencies"]}
    assert names - {"annotated-types"} <= set(told)
    assert told["rebalancer"] == project["version"]
    assert told["numpy"]
