"""A fed line for each test, closed afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rebalancer.brokers.ib.orders import OrderBook
from tests.unit.ib.orders.wire import FedLine, book_on


@pytest.fixture
def line() -> Iterator[FedLine]:
    line = FedLine()
    yield line
    line.close()


@pytest.fixture
def book(line: FedLine) -> OrderBook:
    return book_on(line)
