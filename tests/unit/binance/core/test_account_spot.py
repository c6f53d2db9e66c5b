"""A spot account: what is owned at price, and what is left out."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.binance.account_spot import snapshot
from rebalancer.brokers.binance.info_cache import ExchangeInfo
from rebalancer.brokers.binance.parameters import Product
from rebalancer.errors import BlindError
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.instrument import Instrument
from rebalancer.risk.account import check_account
from rebalancer.risk.parameters import Limits
from rebalancer.store.atomic import Files
from tests.unit.binance.core.accounts import ORDERS, PRICES, SPOT, Flags, exact, spot_answer
from tests.unit.binance.core.wire import Answer, Wire, line_on, pair

PAIRS = (pair("BTCUSDT"), pair("ETHUSDT"))
LISTED = {"BTCUSDT": ("BTC", "USDT"), "ETHUSDT": ("ETH", "USDT"), "BTCUSDC": ("BTC", "USDC")}


def spot_wire(*, orders: Any = (), prices: dict[str, str] | None = None, **owned: Any) -> Wire:
    wire = Wire("https://api.example")
    wire.replies = {
        SPOT: spot_answer(**owned),
        ORDERS: list(orders),
        PRICES: [
            {"symbol": name, "price": price}
            for name, price in (prices or {"BTCUSDT": "50000", "ETHUSDT": "3000"}).items()
        ],
        "GET /api/v3/exchangeInfo": {
            "symbols": [
                {"symbol": name, "baseAsset": base, "quoteAsset": quote, "status": "TRADING"}
                for name, (base, quote) in LISTED.items()
            ]
        },
    }
    return wire


def read(
    wire: Wire,
    folder: Path,
    flags: Flags | None = None,
    instruments: tuple[Instrument, ...] = PAIRS,
) -> AccountSnapshot:
    line = line_on(wire, *instruments, product=Product.SPOT)
    info = ExchangeInfo(line, folder, Files(), (each.symbol for each in instruments))
    return snapshot(line, info, "700", "USDT", flags or Flags())


def test_free_and_locked_count_at_price(tmp_path: Path) -> None:
    """0.3 BTC x 50000 + 1000 USDT = 16000."""
    order = {
        "symbol": "BTCUSDT", "side": "SELL", "origQty": "0.1", "executedQty": "0",
        "price": "60000", "orderListId": -1,
    }  # fmt: skip
    wire = spot_wire(orders=[order], BTC=("0.2", "0.1"), USDT=("1000", "0"), ETH=("0", "0"))
    flags = Flags()
    found = read(wire, tmp_path, flags)
    assert found.net_liquidation == 16000
    assert found.cash == {"USDT": Decimal(1000)}
    (position,) = found.positions
    assert position.instrument == pair("BTCUSDT").id
    assert (position.quantity, position.price, position.value) == exact("0.3", 50000, 15000)
    assert flags.raised == []
    assert not check_account(found, Limits(), None, now=found.at)


def test_what_can_be_priced_and_is_in_no_pair_is_unmanaged(tmp_path: Path) -> None:
    prices = {"BTCUSDT": "50000", "ETHUSDT": "3000", "BNBUSDT": "600", "USDTTRY": "40"}
    wire = spot_wire(prices=prices, USDT=("1000", "0"), BNB=("2", "0"), TRY=("400", "0"))
    found = read(wire, tmp_path)
    assert {p.instrument: p.value for p in found.positions} == {
        "BNBUSDT.SPOT@BINANCE": 1200,
        "TRYUSDT.SPOT@BINANCE": 10,
    }
    assert found.net_liquidation == 2210
    assert not check_account(found, Limits(), None, now=found.at)


def test_what_cannot_be_priced_and_crumbs_are_left_out_with_a_note(tmp_path: Path) -> None:
    prices = {"BTCUSDT": "50000", "DOGEUSDT": "0.1"}
    wire = spot_wire(prices=prices, USDT=("1000", "0"), LDUSDT=("5", "0"), DOGE=("9", "0"))
    flags = Flags()
    found = read(wire, tmp_path, flags)
    assert found.positions == ()
    assert found.net_liquidation == 1000
    assert flags.codes == ["other-assets", "other-assets"]
    assert "no price in USDT, left out: 5 LDUSDT" in flags.raised[0][1]
    assert "worth less than 1 USDT, left out: 9 DOGE" in flags.raised[1][1]


def test_a_pair_without_a_price_is_unknown_and_nothing_is_sent(tmp_path: Path) -> None:
    wire = spot_wire(prices={"ETHUSDT": "3000"}, USDT=("1000", "0"), BTC=("1", "0"))
    found = read(wire, tmp_path)
    assert found.positions[0].value is None
    assert [f.code for f in check_account(found, Limits(), None, now=found.at)] == [
        "net-liquidation-unproved"
    ]


def test_two_pairs_of_one_asset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BlindError, match="both buy BTC"):
        read(spot_wire(BTC=("1", "0")), tmp_path, None, (pair("BTCUSDT"), pair("BTCUSDC", "USDC")))


def test_a_second_currency_is_cash_at_its_rate(tmp_path: Path) -> None:
    """0.1 BTC at 50010 USDC = 5001, and 100 USDC, at 0.999: 5095.899 USDT."""
    prices = {"BTCUSDC": "50010", "USDCUSDT": "0.999", "BTCUSDT": "1"}
    wire = spot_wire(prices=prices, BTC=("0.1", "0"), USDC=("100", "0"))
    found = read(wire, tmp_path, None, (pair("BTCUSDC", "USDC"),))
    assert found.cash == {"USDC": Decimal(100)}
    assert found.net_liquidation == Decimal("5095.899")
    assert not check_account(found, Limits(), None, now=found.at)


def test_an_account_that_changes_between_two_looks_is_looked_at_again(tmp_path: Path) -> None:
    wire, flags = spot_wire(), Flags()
    first = Answer(spot_answer(USDT=("1000", "0")))
    last = Answer(spot_answer(USDT=("400", "0"), BTC=("0.01", "0")))
    wire.replies[SPOT] = [first, last]
    found = read(wire, tmp_path, flags)
    assert found.cash == {"USDT": Decimal(400)}
    assert flags.raised == []
    assert wire.names().count(SPOT) == 4


def test_an_account_that_never_stands_still_stops_the_run(tmp_path: Path) -> None:
    wire, flags = spot_wire(), Flags()
    wire.replies[SPOT] = [Answer(spot_answer(USDT=(str(n), "0"))) for n in range(1, 9)]
    read(wire, tmp_path, flags)
    assert flags.codes == ["balances-disagree"]


@pytest.mark.parametrize(
    ("side", "code", "subject"),
    [
        ("SELL", "sources-disagree", pair("BTCUSDT").id),
        ("BUY", "balances-disagree", ""),
    ],
)
def test_open_orders_that_hold_back_more_than_is_locked_are_a_disagreement(
    tmp_path: Path, side: str, code: str, subject: str
) -> None:
    order = {
        "symbol": "BTCUSDT", "side": side, "origQty": "0.2", "executedQty": "0.1",
        "price": "50000", "orderListId": -1,
    }  # fmt: skip
    wire = spot_wire(orders=[order], USDT=("9000", "1000"), BTC=("1", "0.05"))
    flags = Flags()
    read(wire, tmp_path, flags)
    assert [(c, s) for c, _, s in flags.raised] == [(code, subject)]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"balances": None},
        {"balances": [{"asset": "BTC", "free": "1"}]},
        {"balances": [{"asset": "BTC", "free": "x", "locked": "0"}]},
        {"balances": [{"asset": "BTC", "free": "1", "locked": "0"}] * 2},
    ],
)
def test_an_answer_that_is_not_complete_is_never_an_empty_account(
    tmp_path: Path, body: Any
) -> None:
    wire = spot_wire()
    wire.replies[SPOT] = Answer(body)
    with pytest.raises(BlindError):
        read(wire, tmp_path)
