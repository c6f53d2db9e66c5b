"""Stopping must work when nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.cli import main

BROKEN = '[portfolio]\nname = "test"\nmode = "nonsense"\n[rsik]\n'


def test_it_says_when_who_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text(BROKEN)
    assert main(["halt", "results", "tonight", "--config", str(path)]) == 0
    halt = tmp_path / "state" / "test" / "HALT"
    stamp, _, words = halt.read_text().partition(" ")
    assert stamp.endswith("Z")
    assert words.partition(": ")[2] == "results tonight\n"
    assert str(halt) in capsys.readouterr().out


def test_a_second_reason_is_added(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    for reason in ("first", "second"):
        assert main(["halt", reason, "--state", str(tmp_path / "state")]) == 0
    lines = (tmp_path / "state" / "HALT").read_text().splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["first", "second"]


def test_all_stops_every_portfolio(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text(BROKEN)
    assert main(["halt", "--all", "--config", str(path)]) == 0
    assert "no reason given" in (tmp_path / "state" / "HALT").read_text()


@pytest.mark.parametrize("text", ["not toml [", "[portfolio]\n", '[portfolio]\nname = "../../x"\n'])
def test_a_file_that_does_not_name_the_folder_is_said_so(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text(text)
    assert main(["halt", "--config", str(path)]) == 2
    assert "--state" in capsys.readouterr().err


def test_a_state_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert main(["halt", "--state", str(tmp_path / "stat")]) == 2
    assert not (tmp_path / "stat").exists()


def test_a_halt_that_could_not_be_written_shouts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    path = tmp_path / "portfolio.toml"
    path.write_text(BROKEN)
    assert main(["halt", "--config", str(path)]) == 9
    assert "NOTHING is halted" in capsys.readouterr().err
