"""The example for cron says what cron needs."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from rebalancer.cli.arguments import parse

ROOT = Path(__file__).resolve().parents[3]
LINES = (ROOT / "crontab.example").read_text(encoding="utf-8").splitlines()
FIELDS = re.compile(r"((?:[\d*,/-]+ ){5})(\S.*)")


def entries(lines: list[str]) -> list[tuple[str, str]]:
    found = (FIELDS.fullmatch(line) for line in lines)
    return [(match[1].strip(), match[2]) for match in found if match]


def test_every_line_is_a_comment_a_setting_or_an_entry() -> None:
    for line in LINES:
        setting = re.fullmatch(r'[A-Z_]+=("[^"]*"|\S*)', line)
        assert not line or line.startswith("#") or setting or FIELDS.fullmatch(line), line


def test_there_are_hourly_and_closing_runs_and_one_line_a_portfolio() -> None:
    runs = [(when, what) for when, what in entries(LINES) if "run.py --config" in what]
    assert [when for when, _ in runs] == ["5 * * * 1-5", "25 21 * * 1-5"]
    commented = entries([line.removeprefix("# ") for line in LINES if line.startswith("# ")])
    assert any("second.toml" in what for _, what in commented)


def test_the_watchdog_has_a_line_of_its_own() -> None:
    (line,) = [(when, what) for when, what in entries(LINES) if "run.py watchdog" in what]
    assert line[0] == "35 * * * *"


def test_every_run_works_from_its_folder_with_its_own_interpreter() -> None:
    for _, what in entries([line.removeprefix("# ") for line in LINES]):
        if "run.py" not in what:
            continue
        change, _, command = what.split(" && ")
        assert change == "cd /path/to/rebalancer"
        words = shlex.split(command.partition(">>")[0])
        assert words[0] == "/path/to/rebalancer/.venv/bin/python"
        assert words[1] == "run.py"
        assert parse(words[2:]).command == ("watchdog" if "watchdog" in what else "run")
        assert what.endswith(">>state/cron.log 2>&1")


def test_what_the_shell_of_an_entry_writes_is_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    for _, what in entries([line.removeprefix("# ") for line in LINES]):
        log = tmp_path / "state" / "cron.log"
        log.unlink(missing_ok=True)
        if "run.py" not in what:  # the line that cuts an open log back
            log.write_text("orders\n")
            log.chmod(0o644)
        here = what.replace("/path/to/rebalancer/.venv/bin/python", "echo")
        here = here.replace("/path/to/rebalancer", str(tmp_path))
        subprocess.run(["/bin/sh", "-c", f"umask 022\n{here}"], check=True, timeout=30)
        assert log.stat().st_size > 0, what
        assert log.stat().st_mode & 0o777 == 0o600, what


def test_no_entry_has_a_percent_sign() -> None:
    assert all("%" not in what for _, what in entries(LINES))
