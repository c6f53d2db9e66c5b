"""Which symbols may be traded, by which rules, and which the exchange closes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.binance.parameters import Product
from rebalancer.errors import BlindError
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.instrument import Instrument
from rebalancer.model.rules import TradingRules
from tests.unit.binance.reading.exchange import (
    NOW,
    Exchange,
    Flags,
    info,
    ms,
    pair,
    perp,
    reading,
    recorded,
    spot_row,
    usdm_row,
)

USDM_INFO, SPOT_INFO = "/fapi/v1/exchangeInfo", "/api/v3/exchangeInfo"


def listed(
    folder: Path, instrument: Instrument, *rows: dict[str, Any], product: Product = Product.USDM
) -> tuple[Instrument, Flags]:
    path = USDM_INFO if product is Product.USDM else SPOT_INFO
    exchange = Exchange(product, answers={path: info(*rows)})
    flags = Flags()
    (found,) = reading(exchange, folder, instrument).listed([instrument], flags)
    assert set(flags.codes) <= set(FLAG_TABLE)
    return found, flags


def test_a_perpetual_gets_the_exchanges_rules(tmp_path: Path) -> None:
    found, flags = listed(tmp_path, perp(multiplier=Decimal(100)), usdm_row())
    assert found.rules.price_step(Decimal(60000)) == Decimal("0.1")
    assert found.multiplier == found.magnifier == 1
    assert (found.leaving, flags.heard) == ("", [])


def test_all_come_back_in_the_order_asked_for_and_by_symbol(tmp_path: Path) -> None:
    rows = recorded("usdm_exchange_info")["symbols"]
    exchange = Exchange(answers={USDM_INFO: {"symbols": rows[::-1]}})
    asked = [perp("XRPUSDT"), perp("BTCUSDT"), perp("BNBUSDT")]
    found = reading(exchange, tmp_path, *asked).listed(asked, Flags())
    assert [each.id for each in found] == [each.id for each in asked]
    steps = ["0.1", "0.001", "0.01"]
    assert [each.rules.limit_step for each in found] == [Decimal(step) for step in steps]
    assert exchange.count(USDM_INFO) == 1


def test_a_symbol_the_exchange_does_not_list_is_unknown_and_stays_as_it_was(tmp_path: Path) -> None:
    gone = perp("GONEUSDT")
    found, flags = listed(tmp_path, gone, usdm_row())
    assert found is gone
    assert flags.codes == ["instrument-unknown"]
    assert flags.heard[0][2] == gone.id


def test_a_symbol_that_vanished_since_the_last_run_says_so(tmp_path: Path) -> None:
    instrument = perp("GONEUSDT")
    listed(tmp_path, instrument, usdm_row("GONEUSDT"))
    _, flags = listed(tmp_path, instrument, usdm_row())
    assert "it was listed at an earlier run" in flags.heard[0][1]


def test_a_symbol_in_another_currency_is_not_the_instrument(tmp_path: Path) -> None:
    _, flags = listed(tmp_path, perp(currency="USDC"), usdm_row())
    assert flags.codes == ["instrument-unknown"]
    assert "in USDT, not in USDC" in flags.heard[0][1]


def test_a_symbol_settled_in_another_asset_is_not_the_instrument(tmp_path: Path) -> None:
    _, flags = listed(tmp_path, perp(), usdm_row(marginAsset="BNB"))
    assert "settled in BNB" in flags.heard[0][1]


@pytest.mark.parametrize("kind", ["TRADIFI_PERPETUAL", "CURRENT_QUARTER"])
def test_only_perpetuals_are_traded_unless_the_owner_asks(tmp_path: Path, kind: str) -> None:
    row = usdm_row(contractType=kind)
    found, flags = listed(tmp_path, perp(), row)
    assert (flags.codes, found.rules) == (["instrument-unknown"], TradingRules())
    asked, flags = listed(tmp_path, perp(exchange=kind), row)
    assert flags.codes == []
    assert asked.rules.limit_step == Decimal("0.001")


def test_a_delisting_names_its_time_and_leaves_the_rules(tmp_path: Path) -> None:
    at = NOW + timedelta(days=2)
    found, flags = listed(tmp_path, perp(), usdm_row(deliveryDate=ms(at)))
    assert found.leaving == "the exchange delists it at 2026-01-07 15:05 UTC"
    assert found.rules.limit_step == Decimal("0.001")
    assert flags.codes == []


@pytest.mark.parametrize(
    "status", ["SETTLING", "PRE_SETTLE", "DELIVERING", "DELIVERED", "PRE_DELIVERING", "CLOSE",
               "BREAK", "", None],
)  # fmt: skip
def test_a_perpetual_that_is_not_trading_is_left(tmp_path: Path, status: str | None) -> None:
    found, _ = listed(tmp_path, perp(), usdm_row(status=status))
    assert found.leaving == f"its status is {status}, not TRADING"


def test_a_perpetual_without_a_delivery_date_is_left(tmp_path: Path) -> None:
    row = usdm_row()
    del row["deliveryDate"]
    found, _ = listed(tmp_path, perp(), row)
    assert "a time it does not tell" in found.leaving


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "PENDING_TRADING", "contractType": ""},
        {"onboardDate": ms(NOW + timedelta(hours=1))},
    ],
)
def test_a_perpetual_that_has_not_traded_yet_is_held_and_not_left(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    found, flags = listed(tmp_path, perp(), usdm_row(**changes))
    assert found.leaving == ""
    assert flags.codes == ["not-trading"]
    assert "does not trade yet" in flags.heard[0][1]


def test_a_perpetual_listed_yesterday_is_like_any_other(tmp_path: Path) -> None:
    found, flags = listed(tmp_path, perp(), usdm_row(onboardDate=ms(NOW - timedelta(days=1))))
    assert (found.leaving, flags.heard) == ("", [])


@pytest.mark.parametrize("status", ["BREAK", "HALT", "CANCEL_ONLY", "END_OF_DAY"])
def test_a_spot_pair_that_is_not_trading_is_held(tmp_path: Path, status: str) -> None:
    found, flags = listed(tmp_path, pair(), spot_row(status=status), product=Product.SPOT)
    assert flags.codes == ["not-trading"]
    assert found.leaving == ""


def test_a_pair_without_spot_trading_is_held(tmp_path: Path) -> None:
    row = spot_row(isSpotTradingAllowed=False)
    _, flags = listed(tmp_path, pair(), row, product=Product.SPOT)
    assert flags.codes == ["not-trading"]


def test_spot_cannot_be_sold_short(tmp_path: Path) -> None:
    found, _ = listed(tmp_path, pair(), spot_row(), product=Product.SPOT)
    assert not found.shortable


def test_the_other_products_instrument_is_unknown(tmp_path: Path) -> None:
    _, flags = listed(tmp_path, pair(), usdm_row())
    assert flags.codes == ["instrument-unknown"]


def test_rules_that_cannot_be_read_hold_their_instrument_alone(tmp_path: Path) -> None:
    rows = [usdm_row(filters=[]), usdm_row("ETHUSDT")]
    exchange = Exchange(answers={USDM_INFO: info(*rows)})
    asked, flags = [perp(), perp("ETHUSDT")], Flags()
    found = reading(exchange, tmp_path, *asked).listed(asked, flags)
    assert [(code, name) for code, _, name in flags.heard] == [
        ("instrument-unknown", "BTCUSDT.PERP@BINANCE")
    ]
    assert found[1].rules.limit_step == Decimal("0.001")


def test_rules_that_changed_since_the_last_run_are_told(tmp_path: Path) -> None:
    listed(tmp_path, perp(), usdm_row())
    row = usdm_row()
    tick = {"filterType": "PRICE_FILTER", "tickSize": "0.01", "minPrice": "0", "maxPrice": "0"}
    row["filters"] = [tick, *row["filters"][1:]]
    found, flags = listed(tmp_path, perp(), row)
    assert flags.codes == ["rules-differ"]
    assert "tick 0.10 became 0.01" in flags.heard[0][1]
    assert found.rules.price_step(Decimal(1)) == Decimal("0.01")
    _, flags = listed(tmp_path, perp(), row)
    assert flags.codes == []


def test_a_rule_that_nobody_knows_is_told_and_the_symbol_traded(tmp_path: Path) -> None:
    row = usdm_row()
    row["filters"] = [*row["filters"], {"filterType": "MOON_PHASE"}]
    found, flags = listed(tmp_path, perp(), row)
    assert flags.codes == ["rule-unknown"]
    assert found.rules.limit_step == Decimal("0.001")


def test_the_owners_smaller_largest_size_stands(tmp_path: Path) -> None:
    mine = perp(rules=replace(TradingRules(), max_size=Decimal(5)))
    found, _ = listed(tmp_path, mine, usdm_row())
    assert found.rules.max_size == 5


# ------------------------------------------------------------------------------ the list itself


def test_the_list_is_asked_for_by_every_connection_whatever_is_kept(tmp_path: Path) -> None:
    for _ in range(2):
        exchange = Exchange(answers={USDM_INFO: info(usdm_row())})
        read = reading(exchange, tmp_path, perp())
        read.listed([perp()], Flags())
        read.listed([perp()], Flags())
        assert exchange.count(USDM_INFO) == 1


def test_a_list_that_cannot_be_read_is_not_replaced_by_the_kept_one(tmp_path: Path) -> None:
    listed(tmp_path, perp(), usdm_row())

    def broken(_: object) -> object:
        raise BlindError("no answer")

    read = reading(Exchange(answers={USDM_INFO: broken}), tmp_path, perp())
    with pytest.raises(BlindError):
        read.listed([perp()], Flags())
    kept = read.info.assets("BTCUSDT")
    assert kept is not None
    assert (kept.base, kept.quote) == ("BTC", "USDT")


@pytest.mark.parametrize("answer", [[], "<html>", {"symbols": None}, {"symbols": []},
                                    {"symbols": [{"status": "TRADING"}]},
                                    {"symbols": [usdm_row(), usdm_row()]}])  # fmt: skip
def test_a_list_that_makes_no_sense_is_blindness(tmp_path: Path, answer: object) -> None:
    read = reading(Exchange(answers={USDM_INFO: answer}), tmp_path, perp())
    with pytest.raises(BlindError):
        read.listed([perp()], Flags())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": 9}', b"\xff"])
def test_a_damaged_kept_list_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "exchange_info.json").write_bytes(content)
    _, flags = listed(tmp_path, perp(), usdm_row())
    assert flags.codes == ([] if b"schema" in content else ["cache-dropped"])


def test_a_kept_list_grows_old(tmp_path: Path) -> None:
    listed(tmp_path, perp(), usdm_row())
    exchange = Exchange(answers={USDM_INFO: info(usdm_row())})
    exchange.passage.now = NOW + timedelta(days=8)
    assert reading(exchange, tmp_path, perp()).info.kept() == {}


def test_few_spot_pairs_are_asked_for_by_name(tmp_path: Path) -> None:
    answers = {SPOT_INFO: info(spot_row(), spot_row("ETHBTC"))}
    exchange = Exchange(Product.SPOT, answers=answers)
    reading(exchange, tmp_path, pair()).listed([pair()], Flags())
    assert exchange.asked == [(SPOT_INFO, {"symbols": '["BTCUSDT"]'})]


def test_an_unknown_spot_pair_among_them_is_found_in_the_whole_list(tmp_path: Path) -> None:
    exchange = Exchange(Product.SPOT, answers={SPOT_INFO: info(spot_row(), spot_row("ETHBTC"))})
    asked, flags = [pair(), pair("NOPEUSDT")], Flags()
    found = reading(exchange, tmp_path, *asked).listed(asked, flags)
    assert [(code, name) for code, _, name in flags.heard] == [
        ("instrument-unknown", "NOPEUSDT.SPOT@BINANCE")
    ]
    assert found[0].rules.price_step(Decimal(1)) == Decimal("0.01")
    assert exchange.count(SPOT_INFO) == 2


def test_a_refresh_asks_again_in_the_same_connection(tmp_path: Path) -> None:
    exchange = Exchange(answers={USDM_INFO: info(usdm_row())})
    read = reading(exchange, tmp_path, perp())
    read.info.rows()
    read.info.refresh()
    assert exchange.count(USDM_INFO) == 2
