"""The command line's words: what they mean, and that asking costs nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from rebalancer.cli.arguments import COMMANDS, parse

ROOT = Path(__file__).resolve().parents[3]
NAMES = [command.name for command in COMMANDS]


def test_without_a_command_it_runs() -> None:
    assert parse([]).command == "run"
    arguments = parse(["--config", "a.toml", "--config", "b.toml", "--dry-run"])
    assert (arguments.command, arguments.config) == ("run", ["a.toml", "b.toml"])
    assert arguments.dry_run and not arguments.paper


def test_dry_run_and_paper_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["run", "--dry-run", "--paper"])
    assert ended.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_nothing_makes_a_run_live(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["run", "--live"])
    assert ended.value.code == 2


def test_options_are_not_guessed_from_their_beginning() -> None:
    with pytest.raises(SystemExit):
        parse(["run", "--dry"])


def test_a_span_in_seconds_is_refused_with_the_units_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse(["watchdog", "--older-than", "1s"])
    assert "seconds are not known" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_every_command_teaches(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([name, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    paragraph = text.partition("\n\n")[2].partition("\n\n")[0]
    assert len(paragraph) > 50
    assert f"rebalancer {name}" in text.partition("examples:")[2] or name == "run"


def test_every_example_can_be_typed() -> None:
    for command in COMMANDS:
        for line in command.examples.strip().splitlines():
            typed = re.split(r"\s{2,}", line.strip())[0]
            words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', typed)][1:]
            assert parse(words).command == command.name, line


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_its_module(name: str) -> None:
    assert callable(import_module(f"rebalancer.cli.{name}").execute)


def test_the_list_of_commands_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in NAMES)
    for code in ("0 finished", "2 usage", "3 halted", "4 cannot", "5 an", "6 another", "7 another",
                 "8 out", "9 state", "70 a bug"):  # fmt: skip
        assert code in text


def test_help_imports_the_words_only() -> None:
    code = (
        "import sys\nfrom rebalancer.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('rebalancer')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == str(
        [
            "rebalancer",
            "rebalancer.cli",
            "rebalancer.cli.arguments",
            "rebalancer.cli.bars_words",
            "rebalancer.cli.discreet",
            "rebalancer.cli.panic_words",
            "rebalancer.cli.rehearse_words",
            "rebalancer.cli.simulate_words",
            "rebalancer.errors",
        ]
    )
