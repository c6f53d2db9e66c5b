"""The gateway's restart window."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rebalancer.errors import DataError
from rebalancer.risk import Limits, parse_restart_window


@pytest.mark.parametrize(
    ("hour", "minute", "inside"),
    [(4, 44, False), (4, 45, True), (5, 44, True), (5, 45, False), (23, 45, False)],
)
def test_a_window_over_midnight_is_on_its_zones_clocks(
    hour: int, minute: int, inside: bool
) -> None:
    window = parse_restart_window("23:45-00:45 America/New_York")
    assert window is not None
    # in January New York is UTC - 5
    assert window.contains(datetime(2026, 1, 6, hour, minute, tzinfo=UTC)) is inside


def test_a_window_moves_with_summer_time() -> None:
    window = parse_restart_window("23:45-00:45 America/New_York")
    assert window is not None
    assert window.contains(datetime(2026, 7, 6, 3, 50, tzinfo=UTC))
    assert str(window) == "23:45-00:45 America/New_York"


def test_no_window_is_none() -> None:
    assert parse_restart_window("") is None


@pytest.mark.parametrize(
    "text",
    ["23:45", "23:45-24:45 UTC", "25:00-26:00 UTC", "1:00-2:00 UTC", "01:00-02:00",
     "01:00-02:00 Mars/Base", "01:00-01:00 UTC", "01:00-02:00 ../etc/passwd"],
)  # fmt: skip
def test_a_window_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"window|begins"):
        parse_restart_window(text)
    with pytest.raises(ValueError, match="restart_window"):
        Limits(restart_window=text)
