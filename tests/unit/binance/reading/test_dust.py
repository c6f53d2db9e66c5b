"""Holdings that no ordinary order can sell are told, each once a run."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.brokers.binance.dust import note_dust
from rebalancer.brokers.binance.parameters import Product
from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.instrument import Instrument
from rebalancer.model.money import FxRates
from tests.unit.binance.reading.exchange import (
    NOW,
    Exchange,
    Flags,
    info,
    pair,
    perp,
    reading,
    spot_row,
    usdm_row,
)


def listed(folder: Path, instrument: Instrument, product: Product) -> Instrument:
    usdm = product is Product.USDM
    path = "/fapi/v1/exchangeInfo" if usdm else "/api/v3/exchangeInfo"
    row = usdm_row() if usdm else spot_row()
    exchange = Exchange(product, answers={path: info(row)})
    return reading(exchange, folder, instrument).listed([instrument], Flags())[0]


def flags(instrument: Instrument, quantity: str, price: str | None) -> Flags:
    size, at = Decimal(quantity), None if price is None else Decimal(price)
    position = Position(
        instrument.id, size, "USDT", at, None if at is None else size * at, Decimal(1)
    )
    account = AccountSnapshot(
        "1", NOW, Decimal(1000), {"USDT": Decimal(1000)}, FxRates("USDT", {}), (position,)
    )
    heard = Flags()
    note_dust(account, [instrument], heard)
    assert set(heard.codes) <= set(FLAG_TABLE)
    return heard


@pytest.mark.parametrize(("quantity", "price"), [("0.001", "99999"), ("-0.001", "50000")])
def test_a_perpetual_worth_too_little_can_be_closed_by_reducing(
    tmp_path: Path, quantity: str, price: str
) -> None:
    heard = flags(listed(tmp_path, perp(), Product.USDM), quantity, price)
    assert heard.codes == ["dust"]
    assert "the smallest order is worth 100; a reduce-only order can close it" in heard.heard[0][1]


def test_a_holding_that_can_be_sold_is_no_dust(tmp_path: Path) -> None:
    instrument = listed(tmp_path, perp(), Product.USDM)
    assert flags(instrument, "0.001", "100000").codes == []
    assert flags(instrument, "0", "1").codes == []


def test_what_fees_left_of_a_spot_holding_is_left(tmp_path: Path) -> None:
    heard = flags(listed(tmp_path, pair(), Product.SPOT), "0.000009", "60000")
    assert "the smallest order is 0.00001000; it is left as it is" in heard.heard[0][1]


def test_a_holding_whose_price_is_unknown_is_judged_by_its_size(tmp_path: Path) -> None:
    instrument = listed(tmp_path, pair(), Product.SPOT)
    assert flags(instrument, "0.5", None).codes == []
    assert flags(instrument, "0.000009", None).codes == ["dust"]


def test_dust_is_told_once_a_connection(tmp_path: Path) -> None:
    instrument = listed(tmp_path, perp(), Product.USDM)
    account = AccountSnapshot(
        "1", NOW, Decimal(1000), {}, FxRates("USDT", {}),
        (Position(instrument.id, Decimal("0.001"), "USDT", Decimal(9), Decimal("0.009")),),
    )  # fmt: skip
    connection, heard = reading(Exchange(), tmp_path, instrument), Flags()
    connection.note_dust(account, [instrument], heard)
    connection.note_dust(account, [instrument], heard)
    assert heard.codes == ["dust"]


def test_others_holdings_are_not_looked_at(tmp_path: Path) -> None:
    instrument = listed(tmp_path, perp(), Product.USDM)
    other = perp("ETHUSDT")
    position = Position(other.id, Decimal("0.0001"), "USDT")
    account = AccountSnapshot(
        "1", NOW, Decimal(1000), {"USDT": Decimal(1000)}, FxRates("USDT", {}), (position,)
    )
    heard = Flags()
    note_dust(account, [instrument], heard)
    assert heard.codes == []
