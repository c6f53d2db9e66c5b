"""A USDⓈ-M account from two sources: what it is worth, and what happens when they disagree."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.brokers.binance.account_usdm import snapshot
from rebalancer.errors import BlindError, ConnectError
from rebalancer.model.account import AccountSnapshot
from rebalancer.risk.account import check_account
from rebalancer.risk.parameters import Limits
from tests.unit.binance.core.accounts import (
    ACCOUNT,
    BALANCE,
    RISK,
    Flags,
    Held,
    Perpetuals,
    exact,
)
from tests.unit.binance.core.wire import Answer, Wire, line_on, perp

LONG = Held("BTCUSDT", "0.010", "50000", "52000", liquidation="31000.5")
SHORT = Held("ETHUSDT", "-2", "3000", "3100")
BOTH = Perpetuals(held=(LONG, SHORT))


def read(
    wire: Wire, flags: Flags | None = None, *, base: str = "USDT", multi: bool = False
) -> AccountSnapshot:
    line = line_on(wire, perp("BTCUSDT"), perp("ETHUSDT"))
    return snapshot(line, "700", base, flags or Flags(), multi_assets=multi)


def proved(found: AccountSnapshot) -> bool:
    return not check_account(found, Limits(), None, now=found.at)


def test_an_account_is_its_wallet_and_the_profit_of_its_positions() -> None:
    """0.01 x 2000 = 20 and -2 x 100 = -200: 1000 + 20 - 200 = 820; gross 520 + 6200 = 6720."""
    flags = Flags()
    found = read(BOTH.on(Wire()), flags)
    assert found.net_liquidation == 820
    assert found.cash == {"USDT": Decimal(1000)}
    assert found.gross_position_value == 6720
    assert (found.initial_margin, found.maintenance_margin) == exact(50, 20)
    assert found.excess_liquidity == 800
    assert found.leverage == Decimal(6720) / 820
    assert found.cushion == Decimal(800) / 820
    assert flags.raised == []
    assert proved(found)


def test_a_position_has_mark_notional_entry_and_liquidation_price() -> None:
    found = {each.instrument: each for each in read(BOTH.on(Wire())).positions}
    long, short = found[perp("BTCUSDT").id], found[perp("ETHUSDT").id]
    assert (long.quantity, long.price, long.value) == exact("0.010", 52000, 520)
    assert (long.average_cost, long.currency) == (Decimal(50000), "USDT")
    assert (long.liquidation_price, short.liquidation_price) == (Decimal("31000.5"), None)
    assert (short.quantity, short.value) == exact(-2, -6200)


def test_an_empty_account_is_told_to_be_empty() -> None:
    found = read(Perpetuals(maintenance="0").on(Wire()))
    assert found.positions == ()
    assert found.net_liquidation == 1000
    assert str(found.leverage) == "0"
    assert proved(found)


def test_rows_of_nothing_are_no_positions() -> None:
    nothing = Held("XRPUSDT", "0.0", "0.0", "0.5")
    assert read(replace(BOTH, held=(*BOTH.held, nothing)).on(Wire())).quantity(perp().id)
    none = replace(BOTH, held=(nothing,), maintenance="0")
    assert len(read(none.on(Wire())).positions) == 0


def test_a_position_outside_the_universe_is_there_under_a_name_of_its_own() -> None:
    stranger = Held("XRPUSDT", "10", "0.5", "0.6")
    found = read(Perpetuals(held=(stranger,)).on(Wire()))
    assert [each.instrument for each in found.positions] == ["XRPUSDT.PERP@BINANCE"]
    assert proved(found)


def test_sources_that_agree_at_the_second_look_are_believed_without_a_word() -> None:
    wire, flags = BOTH.on(Wire()), Flags()
    before = Perpetuals(held=(replace(LONG, quantity="0.005"), SHORT))
    wire.replies[ACCOUNT] = [Answer(before.account()), Answer(BOTH.account())]
    found = read(wire, flags)
    assert found.quantity(perp().id) == Decimal("0.010")
    assert flags.raised == []
    assert wire.names() == [ACCOUNT, RISK, BALANCE] * 2
    assert wire.paused


def test_of_two_that_go_on_to_disagree_the_newer_counts_and_a_fill_explains_it() -> None:
    wire, flags = BOTH.on(Wire()), Flags()
    older = replace(BOTH, held=(replace(LONG, quantity="0.005", updated=900), SHORT))
    wire.replies[ACCOUNT] = older.account()
    assert read(wire, flags).quantity(perp().id) == Decimal("0.010")
    assert flags.raised == []
    assert wire.names() == [ACCOUNT, RISK, BALANCE] * 3


def test_a_source_read_later_that_is_older_is_a_disagreement() -> None:
    wire, flags = BOTH.on(Wire()), Flags()
    newer = replace(BOTH, held=(replace(LONG, quantity="0.005", updated=1100), SHORT))
    wire.replies[ACCOUNT] = newer.account()
    found = read(wire, flags)
    assert found.quantity(perp().id) == Decimal("0.005")
    assert flags.raised == [
        (
            "sources-disagree",
            "BTCUSDT: the account says 0.005, position risk 0.010",
            perp("BTCUSDT").id,
        )
    ]
    position = next(each for each in found.positions if each.instrument == perp().id)
    # The account tells notional and profit only: 0.005 x 52000 = 260, of which 10 are profit.
    assert (position.price, position.value, position.average_cost) == exact(52000, 260, 50000)


def test_two_that_claim_the_same_time_and_disagree_are_flagged() -> None:
    wire, flags = BOTH.on(Wire()), Flags()
    wire.replies[ACCOUNT] = replace(BOTH, held=(replace(LONG, quantity="1"), SHORT)).account()
    read(wire, flags)
    assert flags.codes == ["sources-disagree"]


@pytest.mark.parametrize("lost", [ACCOUNT, RISK])
def test_a_position_that_one_source_does_not_have_is_kept_and_flagged(lost: str) -> None:
    wire, flags = BOTH.on(Wire()), Flags()
    only = Perpetuals(held=(SHORT,))
    wire.replies[lost] = only.account() if lost == ACCOUNT else only.risk()
    found = read(wire, flags)
    assert found.quantity(perp().id) == Decimal("0.010")
    assert flags.codes == ["sources-disagree"]


def test_profits_of_positions_lost_by_both_are_found_out_by_the_proof() -> None:
    """The total says 820, wallet and the positions told say 1000."""
    empty = replace(BOTH, held=(), total="820")
    assert not proved(read(empty.on(Wire())))


def test_positions_lost_by_both_are_not_an_empty_account() -> None:
    """Nothing was gained or lost, so the total adds up; the maintenance margin gives it away."""
    wire = replace(BOTH, held=(), total="1000", maintenance="20").on(Wire())
    with pytest.raises(BlindError, match=r"no positions came, and yet .* maintenance margin is 20"):
        read(wire)
    assert wire.names() == [ACCOUNT, RISK, BALANCE] * 3


def test_positions_that_come_at_the_second_look_are_believed() -> None:
    wire, flags = BOTH.on(Wire()), Flags()
    empty = replace(BOTH, held=(), total="1000", maintenance="20")
    wire.replies[ACCOUNT] = [Answer(empty.account()), Answer(BOTH.account())]
    wire.replies[RISK] = [Answer(empty.risk()), Answer(BOTH.risk())]
    assert len(read(wire, flags).positions) == 2
    assert flags.raised == []


@pytest.mark.parametrize(("needs", "believed"), [("17", True), ("15.2", True), ("14.2", False)])
def test_one_position_lost_or_old_in_both_lists_does_not_need_enough_margin(
    needs: str, believed: bool
) -> None:
    """3 + 17 = 20 and 3 + 15.2 = 18.2 are not 5 % (1) off 19; 3 + 14.2 = 17.2 is 1.8 off."""
    wire = replace(BOTH, maintenance="19", needs=("3", needs)).on(Wire())
    if believed:
        assert len(read(wire).positions) == 2
    else:
        with pytest.raises(BlindError, match=r"need 17.2 .* the account says 19"):
            read(wire)


def test_margin_of_another_asset_than_the_totals_proves_nothing() -> None:
    """In single-asset mode the total is of USDT alone: BTCUSDC's 500 are no part of the 20."""
    usdc = Held("BTCUSDC", "1", "50000", "50100", asset="USDC")
    found = Perpetuals(held=(LONG, usdc), needs=("20", "500"))
    assert len(read(found.on(Wire())).positions) == 1


def test_balances_that_go_on_to_disagree_stop_the_run() -> None:
    wire, flags = BOTH.on(Wire()), Flags()
    wire.replies[BALANCE] = Perpetuals(wallets={"USDT": "900"}).balances()
    found = read(wire, flags)
    assert flags.codes == ["balances-disagree"]
    assert "USDT 1000 and 900" in flags.words("balances-disagree")
    assert not proved(found)


def test_other_wallets_are_no_part_of_the_value_and_are_told_of() -> None:
    wire, flags = Wire(), Flags()
    usdc = Held("BTCUSDC", "1", "50000", "50100", asset="USDC")
    Perpetuals(wallets={"USDT": "1000", "USDC": "77"}, held=(LONG, usdc)).on(wire)
    wire.replies["GET /fapi/v2/ticker/price"] = {"symbol": "USDCUSDT", "price": "0.9998"}
    found = read(wire, flags)
    assert found.cash == {"USDT": Decimal(1000)}
    assert [each.instrument for each in found.positions] == [perp("BTCUSDT").id]
    assert flags.codes == ["other-assets"]
    assert "77 USDC, BTCUSDC in USDC" in flags.words("other-assets")
    assert found.rates.rate("USDC") == Decimal("0.9998")
    assert proved(found)


def test_multi_assets_mode_counts_everything_in_dollars_after_the_haircut() -> None:
    """1000 USDT x 0.9990 + 0.1 BTC x 50000 x 0.95 = 999 + 4750 = 5749, and 20 x 0.999 profit."""
    wire, flags = Wire(), Flags()
    value = "5768.98"
    Perpetuals(wallets={"USDT": "1000", "BTC": "0.1"}, held=(LONG,), total=value).on(wire)
    wire.replies["GET /fapi/v1/assetIndex"] = [
        {"symbol": "USDTUSD", "index": "0.999", "bidRate": "0.999", "askRate": "0.9995"},
        {"symbol": "BTCUSD", "index": "50000", "bidRate": "47500", "askRate": "52500"},
    ]
    found = read(wire, flags, base="USD", multi=True)
    assert found.cash == {"BTC": Decimal("0.1"), "USDT": Decimal(1000)}
    assert found.rates.rate("BTC") == 47500
    assert flags.codes == ["haircut"]
    assert "BTC 5.00% (250.00 USD)" in flags.words("haircut")
    assert "USDT" not in flags.words("haircut")
    assert proved(found)


def test_a_total_that_adds_up_at_index_prices_is_proved_at_those() -> None:
    """1000 + 0.1 x 50000 = 6000: no haircut has been taken off."""
    wire, flags = Wire(), Flags()
    Perpetuals(wallets={"USDT": "1000", "BTC": "0.1"}, total="6000").on(wire)
    wire.replies["GET /fapi/v1/assetIndex"] = [
        {"symbol": "USDTUSD", "index": "1", "bidRate": "1", "askRate": "1"},
        {"symbol": "BTCUSD", "index": "50000", "bidRate": "47500", "askRate": "52500"},
    ]
    found = read(wire, flags, base="USD", multi=True)
    assert found.rates.rate("BTC") == 50000
    assert flags.codes == ["haircut"]
    assert proved(found)


def test_what_is_owed_counts_at_its_ask_rate() -> None:
    wire = Wire()
    Perpetuals(wallets={"USDT": "-100", "BTC": "0.1"}, total="4649.95").on(wire)
    wire.replies["GET /fapi/v1/assetIndex"] = [
        {"symbol": "USDTUSD", "index": "1", "bidRate": "0.999", "askRate": "1.0005"},
        {"symbol": "BTCUSD", "index": "50000", "bidRate": "47500", "askRate": "52500"},
    ]
    found = read(wire, base="USD", multi=True)
    assert found.rates.rate("USDT") == Decimal("1.0005")
    assert proved(found)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (ACCOUNT, []),
        (ACCOUNT, {}),
        (ACCOUNT, BOTH.account() | {"totalMarginBalance": "NaN"}),
        (ACCOUNT, BOTH.account() | {"positions": None}),
        (ACCOUNT, BOTH.account() | {"assets": [{"asset": "USDT"}]}),
        (RISK, {}),
        (RISK, [{**BOTH.risk()[0], "positionAmt": None}]),
        (RISK, [{**BOTH.risk()[0], "markPrice": ""}]),
        (RISK, [{**BOTH.risk()[0], "positionSide": "LONG"}]),
        (RISK, [BOTH.risk()[0], BOTH.risk()[0]]),
        (RISK, [{"positionAmt": "1"}]),
        (BALANCE, {"USDT": "1"}),
        (BALANCE, [BOTH.balances()[0], BOTH.balances()[0]]),
    ],
)
def test_an_answer_that_is_not_complete_is_never_an_empty_account(name: str, body: Any) -> None:
    wire = BOTH.on(Wire())
    wire.replies[name] = Answer(body)
    with pytest.raises(BlindError):
        read(wire)


@pytest.mark.parametrize("name", [ACCOUNT, RISK, BALANCE])
def test_an_account_that_is_not_answered_raises(name: str) -> None:
    wire = BOTH.on(Wire())
    wire.replies[name] = Answer(b"", 502)
    with pytest.raises(ConnectError):
        read(wire)
