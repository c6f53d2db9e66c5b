"""Passwords come from the environment or a private file, and are never seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rebalancer.config import load
from rebalancer.errors import ConfigError, Problem
from rebalancer.model.secret import masked
from tests.unit.config.test_load import GOOD, write

HUSH = "hush-hush"


def refused(path: Path, environment: dict[str, str] | None = None) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(path, environment or {})
    assert HUSH not in str(caught.value)
    assert HUSH not in repr(caught.value.problems)
    return list(caught.value.problems)


def secrets(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secrets.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def smtp(path: Path, environment: dict[str, str]) -> str | None:
    secret = load(path, environment).passwords.smtp
    return None if secret is None else secret.reveal()


def test_the_nearest_place_wins(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace('"test"', '"my-fund"'))
    places = {
        "REBALANCER_MY_FUND_SMTP_PASSWORD": "own variable",
        "REBALANCER_SMTP_PASSWORD": "variable",
    }
    assert smtp(path, {}) is None
    secrets(tmp_path, 'smtp_password = "hush-file"\n')
    assert smtp(path, {}) == "hush-file"
    secrets(tmp_path, 'smtp_password = "hush-file"\n["my-fund"]\nsmtp_password = "hush-own"\n')
    assert smtp(path, {}) == "hush-own"
    assert smtp(path, {"REBALANCER_SMTP_PASSWORD": "variable"}) == "variable"
    assert smtp(path, places) == "own variable"


def test_a_secret_has_no_face(tmp_path: Path) -> None:
    config = load(write(tmp_path), {"REBALANCER_SMTP_PASSWORD": HUSH})
    assert HUSH not in repr(config)
    assert HUSH not in str(config)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_a_file_that_others_can_use_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, mode: int
) -> None:
    path = write(tmp_path)
    file = secrets(tmp_path, f'smtp_password = "{HUSH}"\n', mode)
    (problem,) = refused(path)
    assert problem.file == str(file)
    assert problem.hint == f"chmod 600 {file}"
    assert problem.value == f'"{mode:04o}"'


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_file_is_fine(tmp_path: Path, mode: int) -> None:
    secrets(tmp_path, f'smtp_password = "{HUSH}"\n', mode)
    assert smtp(write(tmp_path), {}) == HUSH


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    file = secrets(tmp_path, f'smtp_password = "{HUSH}"\n')
    os.chown(file, 12345, -1)
    (problem,) = refused(write(tmp_path))
    assert "another user" in problem.message


@pytest.mark.parametrize(
    "text",
    [f'smtp_pasword = "{HUSH}"', f"smtp_password = {HUSH}", f'[test]\nother = "{HUSH}"'],
)
def test_a_broken_secrets_file_is_told_without_what_is_in_it(tmp_path: Path, text: str) -> None:
    secrets(tmp_path, text + "\n")
    (problem,) = refused(write(tmp_path))
    assert problem.file.endswith("secrets.toml")


@pytest.mark.parametrize("key", ["password", "smtp_password", "api_secret"])
def test_a_password_in_the_portfolios_file_is_refused_and_hidden(tmp_path: Path, key: str) -> None:
    (problem,) = refused(write(tmp_path, GOOD + f'[mail]\n{key} = "{HUSH}"\n'))
    assert problem.value == "***"
    assert "secrets.toml" in problem.hint


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{HUSH}@host/db",
        f"postgresql://host/db?user=me&password={HUSH}",
        f"mysql://me:{HUSH}@host/db",
        f"postgresql://me:{HUSH}@host:port/db",
    ],
)
def test_a_database_url_with_a_password_is_refused_and_hidden(tmp_path: Path, url: str) -> None:
    found = refused(write(tmp_path, GOOD + f'[database]\nurl = "{url}"\n'))
    assert {problem.key for problem in found} == {"database.url"}


@pytest.mark.parametrize("url", ["", "sqlite:///some.db", "postgresql://me@host:5432/db"])
def test_a_database_url_without_one_is_fine(tmp_path: Path, url: str) -> None:
    config = load(
        write(tmp_path, GOOD + f'[database]\nurl = "{url}"\n'),
        {"REBALANCER_DATABASE_PASSWORD": HUSH},
    )
    assert config.database.url == url
    assert config.passwords.database is not None


@pytest.mark.parametrize("key", ["smtp_password", "database_password", "binance_api_secret"])
@pytest.mark.parametrize("text", ["x", "4q8z"])
def test_a_secret_too_short_to_be_masked_is_refused(tmp_path: Path, key: str, text: str) -> None:
    # A text of less than five letters stays readable wherever it stands (`model.secret`).
    (problem,) = refused(write(tmp_path), {f"REBALANCER_{key.upper()}": text})
    assert (problem.key, problem.value) == (key, "")
    assert "has less than 5 letters" in problem.message
    assert text not in str(problem).removeprefix(problem.file)


def test_five_letters_are_enough_to_be_masked(tmp_path: Path) -> None:
    assert smtp(write(tmp_path), {"REBALANCER_SMTP_PASSWORD": "4q8zj"}) == "4q8zj"
    assert masked("it was 4q8zj, he said") == "it was ***, he said"
