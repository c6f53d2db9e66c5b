"""The account's own settings, its owner and its key: checked always, changed only when asked to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import requests

from rebalancer.brokers.binance.errors import FinalRefusal
from rebalancer.brokers.binance.line import BinanceLine
from rebalancer.brokers.binance.modes import settle_account_mode, settle_symbol_modes
from rebalancer.brokers.binance.parameters import MarginType, Product
from rebalancer.brokers.binance.proof import prove_account
from rebalancer.errors import BlindError
from tests.unit.binance.core.accounts import SPOT, Flags, spot_answer
from tests.unit.binance.core.wire import Answer, Wire, line_on, pair, perp, refused

CONFIG, SYMBOLS = "GET /fapi/v1/accountConfig", "GET /fapi/v1/symbolConfig"
ASSETS = "POST /fapi/v1/multiAssetsMargin"
MARGIN, LEVERAGE = "POST /fapi/v1/marginType", "POST /fapi/v1/leverage"
KEY = "GET /sapi/v1/account/apiRestrictions"
DONE = {"code": 200, "msg": "success"}
GOOD_KEY = {
    "ipRestrict": True,
    "enableWithdrawals": False,
    "enableFutures": True,
    "enableSpotAndMarginTrading": True,
}


def mode_wire(*, hedge: bool = False, multi: bool = False, trades: bool = True) -> Wire:
    wire = Wire()
    wire.replies = {
        CONFIG: {"dualSidePosition": hedge, "multiAssetsMargin": multi, "canTrade": trades},
        SYMBOLS: [
            {"symbol": "BTCUSDT", "marginType": "CROSSED", "leverage": 20},
            {"symbol": "ETHUSDT", "marginType": "ISOLATED", "leverage": 2},
            {"symbol": "XRPUSDT", "marginType": "CROSSED", "leverage": 1},
        ],
        ASSETS: DONE,
        MARGIN: DONE,
        LEVERAGE: {"symbol": "BTCUSDT", "leverage": 5, "maxNotionalValue": "1"},
    }
    return wire


def mode_line(wire: Wire, **changes: Any) -> BinanceLine:
    return line_on(wire, perp("BTCUSDT"), perp("ETHUSDT"), **changes)


def test_a_one_way_account_in_single_asset_mode_is_as_it_should_be() -> None:
    wire = mode_wire()
    assert settle_account_mode(mode_line(wire), "USDT") is False
    assert wire.names() == [CONFIG]


def test_hedge_mode_is_refused_with_the_way_out() -> None:
    with pytest.raises(FinalRefusal, match="one-way mode at the exchange"):
        settle_account_mode(mode_line(mode_wire(hedge=True)), "USDT")


def test_an_account_that_may_not_trade_is_refused_but_not_in_a_dry_run() -> None:
    wire = mode_wire(trades=False)
    with pytest.raises(FinalRefusal, match="not trade"):
        settle_account_mode(mode_line(wire), "USDT")
    assert settle_account_mode(mode_line(wire, read_only=True), "USDT") is False


@pytest.mark.parametrize(("multi", "base"), [(True, "USDT"), (False, "USD")])
def test_a_base_currency_that_does_not_fit_the_mode_is_refused(multi: bool, base: str) -> None:
    with pytest.raises(FinalRefusal, match="base_currency"):
        settle_account_mode(mode_line(mode_wire(multi=multi)), base)


def test_a_perpetual_with_another_margin_asset_is_refused_in_single_asset_mode() -> None:
    line = line_on(mode_wire(), perp("BTCUSDC", "USDC"))
    with pytest.raises(FinalRefusal, match=r"BTCUSDC\.PERP@BINANCE"):
        settle_account_mode(line, "USDT")
    line = line_on(mode_wire(multi=True), perp("BTCUSDC", "USDC"))
    assert settle_account_mode(line, "USD") is True


def test_the_asset_mode_is_set_where_it_is_configured_and_differs() -> None:
    wire = mode_wire()
    assert settle_account_mode(mode_line(wire, multi_assets=True), "USD") is True
    assert wire.names() == [CONFIG, ASSETS]
    assert wire.heard[1].parameters["multiAssetsMargin"] == "true"


@pytest.mark.parametrize(("configured", "is_so"), [(None, False), (False, False), (True, True)])
def test_the_asset_mode_is_left_alone_otherwise(configured: bool | None, is_so: bool) -> None:
    wire = mode_wire(multi=is_so)
    settle_account_mode(mode_line(wire, multi_assets=configured), "USD" if is_so else "USDT")
    assert wire.names() == [CONFIG]


def test_no_need_to_change_is_success() -> None:
    wire = mode_wire()
    wire.replies[ASSETS] = refused(-4171, "Adjusted asset mode is currently set.")
    assert settle_account_mode(mode_line(wire, multi_assets=True), "USD") is True
    wire.replies[MARGIN] = refused(-4046, "No need to change margin type.")
    flags = Flags()
    (_, second) = settle_symbol_modes(mode_line(wire, margin_type=MarginType.CROSSED), flags)
    assert second.margin_type == "CROSSED"
    assert flags.raised == []


def test_an_asset_mode_that_cannot_be_set_ends_it_with_the_exchanges_words() -> None:
    wire = mode_wire()
    wire.replies[ASSETS] = refused(-4170, "Unable to adjust with open orders.")
    with pytest.raises(FinalRefusal, match="Unable to adjust with open orders"):
        settle_account_mode(mode_line(wire, multi_assets=True), "USD")
    wire.replies[ASSETS] = Answer(error=requests.ReadTimeout)
    with pytest.raises(BlindError):
        settle_account_mode(mode_line(wire, multi_assets=True), "USD")


def test_nothing_configured_changes_nothing() -> None:
    wire = mode_wire()
    found = settle_symbol_modes(mode_line(wire), Flags())
    assert [(m.symbol, m.margin_type, m.leverage) for m in found] == [
        ("BTCUSDT", "CROSSED", 20),
        ("ETHUSDT", "ISOLATED", 2),
    ]
    assert wire.names() == [SYMBOLS]


def test_margin_type_and_leverage_are_set_only_where_they_differ() -> None:
    wire = mode_wire()
    line = mode_line(wire, margin_type=MarginType.CROSSED, leverage=20)
    found = settle_symbol_modes(line, Flags())
    assert wire.names() == [SYMBOLS, MARGIN, LEVERAGE]
    assert wire.heard[1].parameters["symbol"] == wire.heard[2].parameters["symbol"] == "ETHUSDT"
    assert wire.heard[1].parameters["marginType"] == "CROSSED"
    assert wire.heard[2].parameters["leverage"] == "20"
    assert {(m.margin_type, m.leverage) for m in found} == {("CROSSED", 20)}


def test_a_dry_run_sets_nothing() -> None:
    wire, flags = mode_wire(), Flags()
    line = mode_line(
        wire, margin_type=MarginType.ISOLATED, leverage=3, multi_assets=True, read_only=True
    )
    assert settle_account_mode(line, "USDT") is False
    settle_symbol_modes(line, flags)
    assert wire.names() == [CONFIG, SYMBOLS]
    assert flags.raised == []


@pytest.mark.parametrize("code", [-4047, -4048, -4028, -4161, -4202])
def test_what_cannot_be_set_holds_its_instrument(code: int) -> None:
    wire, flags = mode_wire(), Flags()
    wire.replies[MARGIN] = wire.replies[LEVERAGE] = refused(code, "It cannot be.")
    line = mode_line(wire, margin_type=MarginType.CROSSED, leverage=20)
    found = settle_symbol_modes(line, flags)
    assert [(c, s) for c, _, s in flags.raised] == [("mode-kept", perp("ETHUSDT").id)] * 2
    assert "It cannot be." in flags.words("mode-kept")
    assert (found[1].margin_type, found[1].leverage) == ("ISOLATED", 2)


def test_a_setting_that_may_or_may_not_have_happened_holds_its_instrument_too() -> None:
    wire, flags = mode_wire(), Flags()
    wire.replies[LEVERAGE] = Answer(error=requests.ReadTimeout)
    settle_symbol_modes(mode_line(wire, leverage=5), flags)
    assert flags.codes == ["mode-kept", "mode-kept"]
    assert wire.names() == [SYMBOLS, LEVERAGE, LEVERAGE]


def test_a_leverage_below_what_is_planned_with_is_told() -> None:
    flags = Flags()
    settle_symbol_modes(mode_line(mode_wire(), leverage_needed=Decimal(3)), flags)
    assert flags.codes == ["leverage-low"]
    assert "ETHUSDT 2" in flags.words("leverage-low")
    assert "BTCUSDT" not in flags.words("leverage-low")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (CONFIG, {}),
        (CONFIG, []),
        (CONFIG, {"dualSidePosition": "false", "multiAssetsMargin": False, "canTrade": True}),
        (SYMBOLS, {}),
        (SYMBOLS, [{"symbol": "BTCUSDT", "marginType": "CROSSED"}]),
    ],
)
def test_settings_that_are_not_told_are_not_taken_for_good(name: str, body: Any) -> None:
    wire = mode_wire()
    wire.replies[name] = Answer(body)
    line = mode_line(wire)
    with pytest.raises(BlindError):
        settle_account_mode(line, "USDT")
        settle_symbol_modes(line, Flags())


# ---------------------------------------------------------------------- account and key


def proof_wire(uid: int = 700, **key: Any) -> Wire:
    wire = Wire("https://fapi.example", "https://api.example")
    wire.replies = {SPOT: spot_answer(uid), KEY: GOOD_KEY | key}
    return wire


def test_the_configured_account_with_a_modest_key_is_taken_without_a_word() -> None:
    wire, flags = proof_wire(), Flags()
    prove_account(line_on(wire), "700", flags)
    assert wire.names() == [SPOT, KEY]
    assert flags.raised == []


def test_another_account_is_refused_with_both_numbers() -> None:
    with pytest.raises(FinalRefusal, match="belongs to account 701; 700 is configured"):
        prove_account(line_on(proof_wire(701)), "700", Flags())


def test_an_account_that_is_told_as_text_is_compared_as_text() -> None:
    wire = proof_wire()
    wire.replies[SPOT] = {**spot_answer(), "uid": "DU999"}
    with pytest.raises(FinalRefusal, match="belongs to account DU999; 700 is configured"):
        prove_account(line_on(wire), "700", Flags())


@pytest.mark.parametrize("uid", [None, "", 7.5, True])
def test_an_account_that_is_not_told_is_not_proved(uid: Any) -> None:
    wire = proof_wire()
    wire.replies[SPOT] = {**spot_answer(), "uid": uid}
    with pytest.raises(BlindError, match="uid"):
        prove_account(line_on(wire), "700", Flags())


def test_a_key_that_may_withdraw_or_works_from_everywhere_is_told_of() -> None:
    flags = Flags()
    prove_account(line_on(proof_wire(enableWithdrawals=True, ipRestrict=False)), "700", flags)
    assert flags.codes == ["key-permissions"]
    assert "may withdraw" in flags.words("key-permissions")
    assert "every address" in flags.words("key-permissions")


@pytest.mark.parametrize(
    ("product", "permission", "words"),
    [
        (Product.USDM, "enableFutures", "futures"),
        (Product.SPOT, "enableSpotAndMarginTrading", "spot"),
    ],
)
def test_a_key_that_may_not_trade_is_refused_but_not_in_a_dry_run(
    product: Product, permission: str, words: str
) -> None:
    wire = proof_wire(**{permission: False})
    of = perp() if product is Product.USDM else pair()
    with pytest.raises(FinalRefusal, match=words):
        prove_account(line_on(wire, of, product=product), "700", Flags())
    prove_account(line_on(wire, of, product=product, read_only=True), "700", Flags())


@pytest.mark.parametrize("answer", [refused(-1002), Answer(b"<html></html>", 404), Answer([])])
def test_permissions_that_are_not_told_are_not_needed(answer: Answer) -> None:
    wire, flags = proof_wire(), Flags()
    wire.replies[KEY] = answer
    prove_account(line_on(wire), "700", flags)
    assert flags.raised == []


def test_a_ban_at_that_question_ends_it_all_the_same() -> None:
    wire = proof_wire()
    wire.replies[KEY] = Answer({"code": -1003, "msg": "banned"}, 418)
    with pytest.raises(FinalRefusal, match="banned"):
        prove_account(line_on(wire), "700", Flags())


def test_the_demo_is_not_asked_for_permissions_that_it_does_not_tell() -> None:
    wire = proof_wire()
    prove_account(line_on(wire, demo=True), "700", Flags())
    assert wire.names() == [SPOT]


def test_a_wrong_key_says_what_to_check() -> None:
    wire = proof_wire()
    wire.replies[SPOT] = refused(-2015, "Invalid API-key, IP, or permissions for action.", 401)
    with pytest.raises(FinalRefusal, match="check binance_api_key"):
        prove_account(line_on(wire), "700", Flags())


def test_a_spot_account_that_may_not_trade_is_refused() -> None:
    wire = proof_wire()
    wire.replies[SPOT] = spot_answer() | {"canTrade": False}
    with pytest.raises(FinalRefusal, match="not trade"):
        prove_account(line_on(wire, pair(), product=Product.SPOT), "700", Flags())
