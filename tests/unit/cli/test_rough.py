"""A portfolio's file that is broken still tells what can be read of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.cli.panic_words import span
from rebalancer.cli.rough import read_roughly, tables_of
from tests.portfolios import write_portfolio

GOOD = """
[portfolio]
name = "demo" # ours
mode = "paper"
state = "here"
interval_minutes = 30
calendar = "XNYS"

[mail]
host = "mail.example.com"
sender = "bot@example.com"
recipients = [
  "a@example.com", # the first
  "b@example.com",
]
"""


@pytest.mark.parametrize("broken", ["", "[risk\n", "x = = 1\n", '[risk]\na = "\n', "\x00\n", "]\n"])
def test_portfolio_and_mail_are_read_whatever_stands_beside_them(tmp_path, broken) -> None:  # type: ignore[no-untyped-def]
    for text in (GOOD + broken, broken + GOOD):
        path = tmp_path / "p.toml"
        path.write_text(text, encoding="utf-8")
        rough = read_roughly(path)
        assert (rough.name, rough.interval_minutes, rough.calendar) == ("demo", 30.0, "XNYS")
        assert rough.folder == tmp_path / "here" / "demo"
        assert rough.smtp is not None
        assert rough.smtp.host == "mail.example.com"
        assert rough.smtp.recipients == ("a@example.com", "b@example.com")


def test_a_whole_file_is_read_like_any_other(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rough = read_roughly(write_portfolio(tmp_path))
    assert (rough.name, rough.smtp, rough.mode) == ("demo", None, "paper")


def test_wrong_values_fall_back_and_never_raise(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "p.toml"
    path.write_text(
        '[portfolio]\nname = "../../etc"\nstate = 7\ninterval_minutes = "often"\n'
        "[mail]\nhost = 1\nsender = []\n",
        encoding="utf-8",
    )
    rough = read_roughly(path)
    assert (rough.name, rough.folder, rough.smtp) == (None, None, None)
    assert rough.interval_minutes == 60


@given(st.text(max_size=300))
def test_no_text_raises(text: str) -> None:
    tables_of(text)
    tables_of(GOOD + text)


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400), ("26h", 93600), ("1.5d", 129600)])
def test_spans_of_time(text: str, seconds: float) -> None:
    assert span(text) == seconds


@pytest.mark.parametrize("text", ["", "26", "h", "-1h", "0h", "1w", "1 h", "infh"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="write a time like"):
        span(text)
