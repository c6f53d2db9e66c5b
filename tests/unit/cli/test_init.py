"""A first portfolio: private, complete, and never over another one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rebalancer.cli import main
from rebalancer.cli.init import example_text
from rebalancer.config import load
from rebalancer.model.records import Mode

ROOT = Path(__file__).resolve().parents[3]


def init(folder: Path, *more: str) -> int:
    return main(["init", "--folder", str(folder), *more])


def test_it_writes_what_one_can_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new"
    assert init(folder, "--name", "growth") == 0
    config = load(folder / "portfolio.toml", {})
    assert (config.name, config.portfolio.mode) == ("growth", Mode.PAPER)
    assert config.state_folder.is_dir()
    assert {sleeve.generator for sleeve in config.sleeves} == {
        "signals/momentum.py",
        "signals/inverse_volatility.py",
    }
    told = capsys.readouterr().out
    for command in ("check", "run", "orders", "status"):
        assert f"rebalancer {command} --config {folder / 'portfolio.toml'}" in told


def test_what_it_writes_is_the_owners_alone(tmp_path: Path) -> None:
    assert init(tmp_path) == 0
    assert (tmp_path / "portfolio.toml").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "main").stat().st_mode & 0o777 == 0o700


def test_a_state_folder_that_a_checkout_left_open_is_closed_and_that_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o755)
    assert init(tmp_path) == 0
    assert state.stat().st_mode & 0o777 == 0o700
    assert f"Closed {state} to others" in capsys.readouterr().out


def test_a_state_folder_that_its_owner_opened_later_stays_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path) == 0
    (tmp_path / "state").chmod(0o750)
    assert init(tmp_path, "--force", "--name", "other") == 0
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o750
    assert "Closed" not in capsys.readouterr().out


def test_a_folder_that_state_only_leads_to_keeps_its_permissions(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    (tmp_path / "state").symlink_to(elsewhere)
    assert init(tmp_path) == 0
    assert elsewhere.stat().st_mode & 0o777 == 0o755


def test_the_example_is_the_one_source(tmp_path: Path) -> None:
    example = ROOT / "portfolio.example.toml"
    assert example.resolve() == (ROOT / "rebalancer" / "portfolio.example.toml").resolve()
    init(tmp_path)
    assert (tmp_path / "portfolio.toml").read_bytes() == example.read_bytes()
    init(tmp_path / "b", "--name", "b")
    ours = (tmp_path / "b" / "portfolio.toml").read_text().splitlines()
    theirs = example.read_text().splitlines()
    changed = [(a, b) for a, b in zip(theirs, ours, strict=True) if a != b]
    assert changed == [('name = "main"', 'name = "b"')]
    assert example_text() == example.read_text()


def test_it_never_overwrites_unless_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text("mine")
    assert init(tmp_path) == 2
    assert "--force" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert init(tmp_path, "--force") == 0
    assert path.read_text() == example_text()


def test_a_generator_of_the_owner_stays_even_with_force(tmp_path: Path) -> None:
    own = tmp_path / "signals" / "momentum.py"
    own.parent.mkdir()
    own.write_text("mine")
    assert init(tmp_path, "--force") == 0
    assert own.read_text() == "mine"
    assert (tmp_path / "signals" / "inverse_volatility.py").is_file()


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    (tmp_path / "portfolio.toml").symlink_to(target)
    assert init(tmp_path) == 2
    assert not target.exists()


@pytest.mark.parametrize("name", ["much-too-long", "", "a b", "../x", "halt"])
def test_a_name_must_be_a_name(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, "--name", name) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert init(tmp_path / "file" / "below") in (2, 9)
    assert "file" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "state", ignore_errors=True)
