"""Waiting ends, whatever rounding does to the loop's time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.ib.contracts.test_contracts import AAPL
from tests.unit.ib.quotes.test_quotes import Desk


@pytest.mark.timeout(20)
@pytest.mark.parametrize("seconds", [0.1, 1 / 3, 0.7, 1.1, 2.3, 9.7])
def test_a_silent_request_ends_with_its_time(tmp_path: Path, seconds: float) -> None:
    for start in range(40):
        desk = Desk(tmp_path, AAPL)
        desk.line.start = start / 7
        desk.line.settings.quote_seconds = seconds
        assert desk.apple(lambda _request: []) is None
