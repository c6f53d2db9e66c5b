"""What happens while nobody sends: polled within the weight, told once, never missed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.binance.errors import RequestRefused, Treatment
from rebalancer.errors import BlindError, OutcomeUnknown
from rebalancer.model.orders import Fill, OrderStatus, WorkingOrder
from tests.unit.binance.orders.stand import SLOT, Stand, stand

ORDER, LIST = "GET /fapi/v1/order", "GET /fapi/v1/openOrders"


@pytest.fixture
def usdm(tmp_path: Path) -> Iterator[Stand]:
    with stand(tmp_path) as made:
        yield made


def asked(made: Stand, path: str) -> int:
    """Return how many requests of a kind have reached the exchange."""
    return made.server.counts().get(path, 0)


def test_many_orders_are_read_as_one_list(usdm: Stand) -> None:
    low = usdm.price("bid") - 20
    usdm.hands.submit([usdm.order("1", low) for _ in range(41)])
    before = asked(usdm, LIST)
    assert usdm.venue.book.events() == ()
    assert asked(usdm, LIST) == before + 1
    assert asked(usdm, ORDER) == 0


def test_of_many_orders_only_those_that_left_the_list_are_asked_for(usdm: Stand) -> None:
    low = usdm.price("bid") - 20
    places = [usdm.order("1", low) for _ in range(42)]
    usdm.hands.submit(places)
    exchange = usdm.server.server.exchange
    ended = next(each for each in exchange.account.orders if each.reference == places[7].reference)
    exchange.cancel(ended.id, at_once=True)
    (event,) = usdm.venue.book.events()
    assert isinstance(event, WorkingOrder)
    assert (event.reference, event.status) == (places[7].reference, OrderStatus.CANCELLED)
    assert asked(usdm, ORDER) == 1
    assert usdm.venue.book.events() == ()


def test_a_trade_that_the_list_of_trades_does_not_have_yet_is_told_later(
    usdm: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, late = usdm.venue.line.signed, [True]

    def lagging(method: str, path: str, **words: str) -> Any:
        return [] if path.endswith("userTrades") and late[0] else whole(method, path, **words)

    monkeypatch.setattr(usdm.venue.line, "signed", lagging)
    usdm.hands.submit([usdm.order("2", None)])
    assert usdm.venue.book.events() == ()
    late[0] = False
    (fill,) = usdm.venue.book.events()
    assert isinstance(fill, Fill)
    assert fill.quantity == 2
    assert usdm.venue.book.events() == ()


def test_a_resting_order_that_trades_between_two_readings_is_not_missed(usdm: Stand) -> None:
    usdm.venue.open_orders()
    usdm.hands.submit([usdm.order("1", usdm.price("bid") - Decimal("0.05"))])
    while not usdm.server.server.exchange.account.executions:
        assert usdm.venue.executions(SLOT) == ()
        assert usdm.venue.now() < SLOT + timedelta(hours=8), "the market never came down to it"
        usdm.server.advance(usdm.venue.now() + timedelta(seconds=10))
    assert [fill.quantity for fill in usdm.venue.executions(SLOT)] == [1]


def test_what_cannot_trade_is_not_asked_for_twice_in_a_moment(usdm: Stand) -> None:
    usdm.venue.open_orders()
    usdm.venue.executions(SLOT)
    before = asked(usdm, "GET /fapi/v1/income")
    usdm.venue.executions(SLOT)
    assert asked(usdm, "GET /fapi/v1/income") == before


@pytest.mark.parametrize("path", ["userTrades", "fapi/v1/order"])
def test_trades_that_the_exchange_refuses_to_tell_leave_us_blind(
    usdm: Stand, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    usdm.hands.submit([usdm.order("2", None)])
    usdm.venue.book._trades._references.clear()  # as an earlier run's order: not known by now
    refuse(usdm, monkeypatch, path, Treatment.SYMBOL)
    with pytest.raises(BlindError, match="not told"):
        usdm.venue.executions(SLOT)


def test_a_trade_whose_order_is_gone_is_told_without_a_reference(
    usdm: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    usdm.hands.submit([usdm.order("2", None)])
    usdm.venue.book._trades._references.clear()
    refuse(usdm, monkeypatch, "fapi/v1/order", Treatment.GONE)
    (fill,) = usdm.venue.executions(SLOT)
    assert fill.reference == ""
    assert fill.quantity == 2


def test_a_refused_list_of_all_orders_proves_nothing(
    usdm: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(usdm, monkeypatch, "allOrders", Treatment.REQUEST)
    with pytest.raises(OutcomeUnknown):
        usdm.venue.find(usdm.reference())


def refuse(made: Stand, patch: pytest.MonkeyPatch, path: str, treatment: Treatment) -> None:
    """Let the exchange refuse whatever is asked at paths that end so."""
    whole = made.venue.line.signed

    def answer(method: str, asked_path: str, **words: str) -> Any:
        if asked_path.endswith(path):
            raise RequestRefused(-1, "no", treatment)
        return whole(method, asked_path, **words)

    patch.setattr(made.venue.line, "signed", answer)
