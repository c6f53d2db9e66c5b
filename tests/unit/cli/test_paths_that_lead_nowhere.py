"""Paths that no file system follows, and folders that are closed, are told and never a bug."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rebalancer.cli import main
from rebalancer.cli.rough import read_roughly
from rebalancer.config import load
from rebalancer.errors import ConfigError
from tests.portfolios import write_portfolio

ROOT = Path(__file__).resolve().parents[3]
NOBODYS = ("~nosuchuser/x", "a\\u0000b")
"""The home of a user whom nobody knows, and a name that no disk takes; as TOML has them."""
TOO_LONG = "a" * 300
"""No file system of ours takes a name of more than 255 letters."""
WITHOUT_POWERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Root without the right to look into everything: to it a closed folder is closed, too."""


def portfolio(folder: Path, state: str) -> Path:
    """Return a good portfolio but for the folder of its state."""
    path = write_portfolio(folder)
    text = path.read_text(encoding="utf-8").replace('state = "state"', f'state = "{state}"')
    path.write_text(text, encoding="utf-8")
    return path


def closed_to(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody to whom closed folders are closed."""
    before: tuple[str, ...] = ()
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may look into everything")
        before = WITHOUT_POWERS
    return subprocess.run(
        [*before, sys.executable, str(ROOT / "run.py"), *words],
        cwd=folder,
        env=os.environ | {"REBALANCER_LOCKS": str(folder / "locks"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """Return a portfolio whose state root cannot be searched."""
    path = portfolio(tmp_path, "root")
    (tmp_path / "root" / "demo").mkdir(parents=True)
    (tmp_path / "root").chmod(0)
    return path


@pytest.mark.parametrize("state", NOBODYS)
@pytest.mark.parametrize("word", ["run", "status", "check"])
def test_a_state_folder_that_nobody_can_find_is_a_problem_of_the_file(
    tmp_path: Path, state: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = portfolio(tmp_path, state)
    assert main([word, "-c", str(path)]) == 2
    said = capsys.readouterr()
    assert "portfolio.state" in said.out + said.err
    assert "Traceback" not in said.err


def test_a_circle_of_links_is_a_problem_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    path = portfolio(tmp_path, "one")
    if sys.version_info >= (3, 13):
        load(path, {})  # it follows links as far as they lead, and the run finds no folder
        return
    with pytest.raises(ConfigError, match=r"portfolio\.state"):
        load(path, {})


@pytest.mark.parametrize("text", [*NOBODYS, TOO_LONG])
def test_a_plug_in_and_authorities_that_nobody_can_find_are_problems_too(
    tmp_path: Path, text: str
) -> None:
    path = write_portfolio(tmp_path)
    lines = path.read_text(encoding="utf-8")
    lines = lines.replace("[[sleeve]]", f'[[sleeve]]\ngenerator = "{text}.py"')
    lines += '\n[mail]\nhost = "localhost"\nsender = "a@example.com"\n'
    lines += f'recipients = ["a@example.com"]\ncafile = "{text}"\n'
    path.write_text(lines, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    keys = [problem.key for problem in caught.value.problems]
    assert keys.count("mail.cafile") == keys.count("sleeve[0].generator") == 1


@pytest.mark.parametrize("state", NOBODYS)
def test_read_roughly_such_a_file_has_no_folder(tmp_path: Path, state: str) -> None:
    rough = read_roughly(portfolio(tmp_path, state))
    assert (rough.name, rough.root, rough.folder) == ("demo", None, None)


# ------------------------------------------------------------------ the watchdog


@pytest.mark.parametrize("state", [*NOBODYS, TOO_LONG])
def test_the_watchdog_says_that_such_a_folder_cannot_be_read(
    tmp_path: Path, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watchdog", "-c", str(portfolio(tmp_path, state))]) == 4
    said = capsys.readouterr()
    assert "demo: state-unreadable: " in said.out
    assert "demo: no mail about state-unreadable: " in said.err


def test_the_watchdog_says_that_a_closed_folder_cannot_be_read(closed: Path) -> None:
    done = closed_to(closed.parent, "watchdog", "-c", str(closed))
    assert done.returncode == 4, done.stderr
    folder = closed.parent / "root" / "demo"
    assert f"demo: state-unreadable: {folder}: it cannot be looked at: Permission" in done.stdout
    assert "a bug" not in done.stderr


# ------------------------------------------------------------------ halt


@pytest.mark.parametrize("words", [("-c", "demo.toml"), ("--state", "root/demo"), ("--all",)])
def test_a_halt_in_a_closed_folder_names_it_and_says_that_nothing_is_halted(
    closed: Path, words: tuple[str, ...]
) -> None:
    more = ("-c", closed.name) if words == ("--all",) else ()
    named = [closed.name if word == "demo.toml" else word for word in words]
    done = closed_to(closed.parent, "halt", *named, *more)
    assert done.returncode in (2, 9), done.stderr
    assert "root" in done.stderr
    assert "NOTHING is halted" in done.stderr


@pytest.mark.parametrize("state", [*NOBODYS, TOO_LONG])
def test_a_halt_in_a_folder_that_nobody_can_find_says_so(
    tmp_path: Path, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["halt", "-c", str(portfolio(tmp_path, state))]) in (2, 9)
    assert "NOTHING is halted" in capsys.readouterr().err
    if "\\" not in state:
        assert main(["halt", "--state", state]) == 2
        assert "NOTHING is halted" in capsys.readouterr().err
