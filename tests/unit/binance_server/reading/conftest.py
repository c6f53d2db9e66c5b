"""Two exchanges to ask: one whose prices stand still, and the recorded one."""

from __future__ import annotations

import pytest

from tests.unit.binance_server.reading.recorded import Venue
from tests.unit.binance_server.reading.still import Still


@pytest.fixture
def still() -> Still:
    """Return an exchange whose prices are what the test says."""
    return Still()


@pytest.fixture(scope="module")
def venue() -> Venue:
    """Return the recorded exchange with two positions."""
    found = Venue()
    found.trade("BTCUSDT", "BUY", "0.010")
    found.trade("ETHUSDT", "SELL", "0.100")
    return found
