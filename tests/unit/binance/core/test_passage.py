"""The ways to the exchange: its own hosts on this machine's time, a simulated one on its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.passage import HOSTS, LivePassage, at_exchange, at_simulator
from rebalancer.errors import ConnectError
from tests.unit.binance.core.stand import Notes
from tests.unit.binance.core.wire import NOW


@pytest.mark.parametrize("demo", [False, True])
@pytest.mark.parametrize("product", list(Product))
def test_the_way_to_the_exchange_leads_to_its_hosts(product: Product, demo: bool) -> None:
    with at_exchange(product, demo=demo)(Notes()) as passage:
        assert passage.base_url == HOSTS[product, demo]
        assert passage.account_url == HOSTS[Product.SPOT, demo]
        assert ("demo-" in passage.base_url) is demo
        assert not passage.simulated


def test_a_live_passage_has_the_machines_time_and_the_sessions_own_adapters() -> None:
    class Still:
        def now(self) -> Any:
            return NOW

    passage = LivePassage("https://fapi.example", clock=Still())  # type: ignore[arg-type]
    assert passage.now() == NOW
    assert passage.account_url == "https://fapi.example"
    passage.pause(-1)
    passage.pass_time(NOW - timedelta(seconds=5))


def test_an_exchange_that_was_started_is_ended_whatever_happens() -> None:
    ended = []

    class Broken:
        host, port = "127.0.0.1", 1

        def open(self, slot: Any, attempt: int) -> None:
            raise ConnectError("it died")

        def close(self) -> None:
            ended.append(True)

    made: Callable[[], Any] = Broken
    with pytest.raises(ConnectError, match="died"), at_simulator(made)(Notes()):
        pass
    assert ended == [True]
