"""Account settings: what changes, what is refused, and with which code."""

from __future__ import annotations

import pytest

from tests.unit.binance_server.reading.still import Still


def test_the_position_mode_changes_and_the_same_again_is_4059(still: Still) -> None:
    path = "/fapi/v1/positionSide/dual"
    assert still.ask("GET", path) == {"dualSidePosition": False}
    assert still.ask("POST", path, dualSidePosition="true") == {"code": 200, "msg": "success"}
    assert still.ask("GET", path) == {"dualSidePosition": True}
    assert still.ask("GET", "/fapi/v1/accountConfig")["dualSidePosition"] is True
    assert still.refused("POST", path, dualSidePosition="TRUE") == -4059


def test_the_position_mode_stays_with_an_open_order_or_a_position(still: Still) -> None:
    still.marks(BTCUSDT="82000")
    still.rest("BTCUSDT", "0.1", "80000")
    path = "/fapi/v1/positionSide/dual"
    assert still.refused("POST", path, dualSidePosition="true") == -4067
    still.clear_orders()
    still.hold("BTCUSDT", "0.1", "80000")
    assert still.refused("POST", path, dualSidePosition="true") == -4068
    assert still.refused("POST", path, dualSidePosition="perhaps") == -1102
    assert still.refused("POST", path) == -1102


def test_the_asset_mode_changes_and_the_same_again_is_4171(still: Still) -> None:
    path = "/fapi/v1/multiAssetsMargin"
    assert still.refused("POST", path, multiAssetsMargin="false") == -4171
    assert still.ask("POST", path, multiAssetsMargin="true")["code"] == 200
    assert still.ask("GET", path) == {"multiAssetsMargin": True}
    assert still.ask("GET", "/fapi/v2/account")["multiAssetsMargin"] is True
    still.marks(BTCUSDT="82000")
    still.rest("BTCUSDT", "0.1", "80000")
    assert still.refused("POST", path, multiAssetsMargin="false") == -4170


def test_multi_assets_and_isolated_margin_exclude_each_other(still: Still) -> None:
    margin, assets = "/fapi/v1/marginType", "/fapi/v1/multiAssetsMargin"
    still.ask("POST", margin, symbol="BTCUSDT", marginType="ISOLATED")
    assert still.refused("POST", assets, multiAssetsMargin="true") == -4167
    still.ask("POST", margin, symbol="BTCUSDT", marginType="CROSSED")
    still.ask("POST", assets, multiAssetsMargin="true")
    assert still.refused("POST", margin, symbol="BTCUSDT", marginType="ISOLATED") == -4168


def test_the_margin_type_changes_and_the_same_again_is_4046(still: Still) -> None:
    path = "/fapi/v1/marginType"
    assert still.refused("POST", path, symbol="BTCUSDT", marginType="CROSSED") == -4046
    still.ask("POST", path, symbol="BTCUSDT", marginType="ISOLATED")
    (row,) = still.ask("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")
    assert row == {
        "symbol": "BTCUSDT",
        "marginType": "ISOLATED",
        "isAutoAddMargin": False,
        "leverage": 20,
        "maxNotionalValue": "40000000",
    }
    other = still.ask("GET", "/fapi/v1/symbolConfig", symbol="ETHUSDT")
    assert other[0]["marginType"] == "CROSSED"
    assert still.refused("POST", path, symbol="BTCUSDT", marginType="HALF") == -1130
    assert still.refused("POST", path, symbol="NONSENSE", marginType="CROSSED") == -1121


def test_the_margin_type_stays_with_an_order_or_a_position_of_the_symbol(still: Still) -> None:
    still.marks(BTCUSDT="82000", ETHUSDT="1900")
    path = "/fapi/v1/marginType"
    still.rest("BTCUSDT", "0.1", "80000")
    assert still.refused("POST", path, symbol="BTCUSDT", marginType="ISOLATED") == -4047
    still.clear_orders()
    still.hold("BTCUSDT", "0.1", "80000")
    assert still.refused("POST", path, symbol="BTCUSDT", marginType="ISOLATED") == -4048
    assert still.ask("POST", path, symbol="ETHUSDT", marginType="ISOLATED")["code"] == 200


@pytest.mark.parametrize(("wanted", "code"), [("0", -4028), ("126", -4028), ("x", -1102)])
def test_a_leverage_that_does_not_exist_is_refused(still: Still, wanted: str, code: int) -> None:
    assert still.refused("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=wanted) == code


def test_a_leverage_is_kept_and_says_how_much_it_allows(still: Still) -> None:
    answer = still.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="5")
    assert answer == {"leverage": 5, "maxNotionalValue": "200000000", "symbol": "BTCUSDT"}
    rows = still.ask("GET", "/fapi/v1/symbolConfig")
    assert {row["symbol"]: row["leverage"] for row in rows}["BTCUSDT"] == 5
    position = still.ask("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")[0]
    assert (position["leverage"], position["maxNotionalValue"]) == ("5", "200000000")


def test_what_is_held_must_fit_into_the_bracket_of_the_leverage(still: Still) -> None:
    still.marks(BTCUSDT="82000")
    still.hold("BTCUSDT", "5", "80000")
    # 410,000 is beyond the first bracket (300,000 at 125 times), within the second
    ask = {"symbol": "BTCUSDT"}
    assert still.refused("POST", "/fapi/v1/leverage", **ask, leverage="125") == -2027
    assert still.ask("POST", "/fapi/v1/leverage", **ask, leverage="100")["leverage"] == 100


def test_an_isolated_position_does_not_let_leverage_down(still: Still) -> None:
    still.marks(BTCUSDT="82000")
    still.ask("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    still.hold("BTCUSDT", "0.1", "80000")
    ask = {"symbol": "BTCUSDT"}
    assert still.refused("POST", "/fapi/v1/leverage", **ask, leverage="10") == -4161
    assert still.ask("POST", "/fapi/v1/leverage", **ask, leverage="25")["leverage"] == 25


def test_settings_are_in_the_books_and_survive_a_new_start(still: Still) -> None:
    still.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="7")
    still.ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    again = still.reopened()
    assert again.ask("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")[0]["leverage"] == 7
    assert again.ask("GET", "/fapi/v1/positionSide/dual") == {"dualSidePosition": True}


def test_the_brackets_begin_at_nothing_and_their_leverage_falls(still: Still) -> None:
    (row,) = still.ask("GET", "/fapi/v1/leverageBracket", symbol="BTCUSDT")
    first, second = row["brackets"][:2]
    assert first == {
        "bracket": 1,
        "initialLeverage": 125,
        "notionalCap": 300_000,
        "notionalFloor": 0,
        "maintMarginRatio": 0.004,
        "cum": 0,
    }
    assert second["notionalFloor"] == 300_000
    assert second["cum"] == 300  # 300,000 * (0.5 % - 0.4 %)
    assert len(still.ask("GET", "/fapi/v1/leverageBracket")) > 1
