"""The venues that the suite runs against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.brokers.binance_rig import binance_memory_rig, binance_socket_rig
from tests.contract.brokers.ib_rig import ib_memory_rig, ib_socket_rig
from tests.contract.brokers.observer import books_add_up
from tests.contract.brokers.rig import Rig, paper_rig

RIGS: dict[str, Callable[[Path], Rig]] = {
    "binance-memory": binance_memory_rig,
    "binance-socket": binance_socket_rig,
    "ib-memory": ib_memory_rig,
    "ib-socket": ib_socket_rig,
    "paper": paper_rig,
}


@pytest.fixture(params=sorted(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return RIGS[request.param](tmp_path)


@pytest.fixture
def adds_up() -> Callable[[Path], None]:
    """Return a check that the books in a folder add up."""
    return books_add_up
