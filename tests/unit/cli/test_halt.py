"""Stopping must work when nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.cli import main

BROKEN = '[portfolio]\nname = "test"\nmode = "nonsense"\n[rsik]\n'


def ran(folder: Path, trace: str = "heartbeat") -> Path:
    """Leave in a portfolio's folder what a run leaves there."""
    folder.mkdir(parents=True)
    (folder / trace).touch()
    return folder


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
    ran(tmp_path / "state" / "test")
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


# ------------------------------------------------------------------ where no run looks


@pytest.mark.parametrize("trace", ["breakers.json", "heartbeat", "lock"])
@pytest.mark.parametrize("below", [True, False])
def test_a_folder_in_which_a_run_has_been_is_halted(
    tmp_path: Path, trace: str, *, below: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ran(tmp_path / "state" / "test", trace)
    assert main(["halt", "--state", str(folder.parent if below else folder)]) == 0
    told = capsys.readouterr().out
    assert "no run sends an order until `rebalancer resume" in told
    assert ("resume halt-file:all`" in told) == below


def test_what_to_do_next_is_told_for_the_same_portfolio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(tmp_path / "state" / "test")
    for name in ("portfolio.toml", "growth 2.toml"):
        (tmp_path / name).write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    assert main(["halt", "--config", "growth 2.toml"]) == 0
    told = capsys.readouterr().out
    assert "until `rebalancer resume --config 'growth 2.toml'`" in told
    assert "`rebalancer cancel --config 'growth 2.toml'`" in told
    assert main(["halt"]) == 0
    assert "--config" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["other", "test/dry"])
def test_a_folder_in_which_no_run_looks_is_no_all_clear(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(tmp_path / "state" / "test")
    ran(tmp_path / "state" / "test" / "dry")
    folder = tmp_path / "state" / name
    folder.mkdir(exist_ok=True)
    assert main(["halt", "--state", str(folder)]) == 2
    told = capsys.readouterr()
    assert "NO RUN HAS EVER BEEN THERE" in told.err
    assert "no run sends" not in told.out + told.err
    assert (folder / "HALT").exists()  # written all the same
    if name == "other":
        assert f"Runs have been in {tmp_path / 'state' / 'test'}" in told.err


def test_a_portfolio_that_never_ran_is_halted_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(tmp_path / "state" / "real")
    path = tmp_path / "portfolio.toml"
    path.write_text(BROKEN.replace('"test"', '"reall"'), encoding="utf-8")
    assert main(["halt", "--config", str(path)]) == 0
    told = capsys.readouterr().out
    assert "NO RUN HAS BEEN HERE YET" in told
    assert f"Runs have been in {tmp_path / 'state' / 'real'}: none of these is halted" in told
    assert "no run sends" not in told


def test_a_link_that_leads_nowhere_halts_and_is_not_called_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ran(tmp_path / "state" / "test")
    (folder / "HALT").symlink_to(tmp_path / "nowhere")
    assert main(["halt", "--state", str(folder)]) == 0
    told = capsys.readouterr()
    assert "its reason could not be written" in told.out
    assert "NOTHING is halted" not in told.out + told.err
