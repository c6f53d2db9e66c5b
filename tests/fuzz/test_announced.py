"""Orders that differ from what the journals announced are found wherever they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.binance.hands import BinanceHands
from rebalancer.model.orders import ApprovedOrder
from rebalancer.working.page import RunPage
from tests import exchanges
from tests.exchanges import write_coins
from tests.fuzz.announced import unannounced
from tests.fuzz.lives import EXCHANGE, GATEWAY, Life
from tests.fuzz.trial import apart
from tests.portfolios import QUIET

FOLLOW = """
[execution]
window_seconds = 400
repeg_seconds = 30
taker_after_seconds = 200
worst_price_bps = 300
"""
both = pytest.mark.parametrize("life", [GATEWAY, EXCHANGE], ids=lambda life: life.name)


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[None]:
    """Keep the locks to this test."""
    with apart(tmp_path):
        yield


@both
def test_nothing_is_found_in_hours_in_which_all_was_announced(life: Life, tmp_path: Path) -> None:
    life.lived(tmp_path, 3)
    assert len(life.orders(tmp_path)) >= 7
    assert unannounced(life, tmp_path) == []


@pytest.mark.parametrize("kind", ["PERP", "SPOT"])
def test_nothing_is_found_of_orders_that_are_moved_or_followed_by_others(
    kind: str, tmp_path: Path
) -> None:
    life = Life(
        "exchange",
        exchanges.FIRST,
        lambda folder: write_coins(
            folder,
            name="exchange",
            kind=kind,
            leverage="1",
            planning='order_type = "POST_ONLY"',
            extra=FOLLOW + QUIET,
        ),
        tuple({f"{coin}USDT.{kind}@BINANCE": w for coin in ("BTC", "ETH")} for w in ("0.4", "0.1")),
    )
    life.lived(tmp_path, 2)
    assert unannounced(life, tmp_path) == []
    journals = life.state(tmp_path).glob("runs/*/journal.jsonl")
    text = "".join(path.read_text(encoding="utf-8") for path in journals)
    lines = [json.loads(line) for line in text.splitlines()]
    seen = [line["order"] for line in lines if line.get("kind") == "order"]
    prices = {(each["instrument"], each["limit"]) for each in seen}
    assert len(prices) > 2 * 2, "nothing was moved: the test shows nothing"


@both
def test_orders_that_are_larger_than_announced_are_found(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ApprovedOrder.place
    monkeypatch.setattr(
        ApprovedOrder,
        "place",
        lambda order, at: replace(place(order, at), quantity=order.quantity * 2),
    )
    life.lived(tmp_path, 1)
    found = unannounced(life, tmp_path)
    assert found
    assert all("announced were" in words for words in found)
    assert len(found) == len(life.orders(tmp_path))


@both
def test_orders_without_an_announcement_are_found(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silently(page: RunPage, orders: Sequence[ApprovedOrder]) -> None:
        page.intents |= {order.reference: order for order in orders}

    monkeypatch.setattr(RunPage, "intend", silently)
    life.lived(tmp_path, 1)
    names = [order.reference for order in life.orders(tmp_path)]
    assert names
    assert unannounced(life, tmp_path) == [f"no journal announces order {n}" for n in names]


@both
def test_a_limit_beyond_the_worst_announced_price_is_found(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intend = RunPage.intend

    def narrower(page: RunPage, orders: Sequence[ApprovedOrder]) -> None:
        intend(page, [replace(each, worst_price=each.intent.limit / 2) for each in orders])

    monkeypatch.setattr(RunPage, "intend", narrower)
    life.lived(tmp_path, 1)
    found = unannounced(life, tmp_path)
    bought = [order for order in life.orders(tmp_path) if order.quantity > 0]
    assert len(found) == len(bought) > 0
    assert all("the worst announced is" in words for words in found)


def test_stops_without_an_announcement_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunPage, "intend_stops", lambda *_: None)
    EXCHANGE.lived(tmp_path, 1)
    found = unannounced(EXCHANGE, tmp_path)
    assert len(found) >= 2
    assert all(words.startswith("no journal announces stop exchange.") for words in found)


def test_stops_at_another_price_or_of_another_size_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = BinanceHands.place_stop

    def otherwise(hands: BinanceHands, stop: Any) -> Any:
        if stop.quantity > 0:
            return place(hands, replace(stop, quantity=stop.quantity * 2))
        return place(hands, replace(stop, trigger=stop.limit))

    monkeypatch.setattr(BinanceHands, "place_stop", otherwise)
    EXCHANGE.lived(tmp_path, 1)
    found = unannounced(EXCHANGE, tmp_path)
    assert any("announced were" in words for words in found)
    assert any("waits for" in words for words in found)
