"""The table of the exchange's error codes: every code of the documentation, by product."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.brokers.binance import errors
from rebalancer.brokers.binance.parameters import Product
from rebalancer.errors import ConfigError, OutcomeUnknown
from tests.unit.binance.core.wire import Answer, Wire, line_on, pair, refused

T = errors.Treatment

USDM: dict[int, T] = {
    -1000: T.UNKNOWN, -1001: T.AGAIN, -1003: T.LIMIT, -1006: T.UNKNOWN, -1007: T.UNKNOWN,
    -1008: T.AGAIN, -1015: T.LIMIT, -1021: T.TIME, -5028: T.TIME, -1022: T.STOP,
    -1102: T.REQUEST, -1106: T.REQUEST, -1130: T.REQUEST, -1111: T.RULES, -4014: T.RULES,
    -4023: T.RULES, -1116: T.REQUEST, -1117: T.REQUEST, -1121: T.SYMBOL, -2011: T.GONE,
    -2013: T.GONE, -2014: T.STOP, -2015: T.STOP, -2018: T.MARGIN, -2019: T.MARGIN,
    -2021: T.TRIGGER, -4142: T.TRIGGER, -2022: T.REDUCING, -4118: T.REDUCING, -2025: T.SIZE,
    -4045: T.SIZE, -2027: T.MARGIN, -2028: T.MARGIN, -4003: T.SIZE, -4004: T.SIZE, -4005: T.SIZE,
    -4013: T.PRICE, -4016: T.PRICE, -4024: T.PRICE, -4131: T.PRICE, -4015: T.REQUEST,
    -4028: T.MODE, -4046: T.SUCCESS, -4059: T.SUCCESS, -4171: T.SUCCESS, -4047: T.MODE,
    -4048: T.MODE, -4067: T.MODE, -4068: T.MODE, -4531: T.MODE, -4061: T.MODE,
    -4088: T.RESTRICTED, -4400: T.RESTRICTED, -4401: T.RESTRICTED, -4192: T.RESTRICTED,
    -4109: T.STOP, -4116: T.THERE, -4115: T.THERE, -4117: T.BUSY, -4120: T.REQUEST,
    -4137: T.REDUCING, -4138: T.REDUCING, -4140: T.SYMBOL, -4141: T.SYMBOL, -4161: T.MODE,
    -4164: T.SIZE, -4166: T.REQUEST, -4183: T.TRIGGER, -4184: T.TRIGGER, -4210: T.TRIGGER,
    -4211: T.TRIGGER, **dict.fromkeys(range(-4209, -4201), T.MODE), -5021: T.PRICE,
    -5022: T.MAKER, -5024: T.BUSY, -5025: T.GONE, -5026: T.SIZE, -5027: T.BUSY,
}  # fmt: skip
"""What the documentation's codes of USDⓈ-M do, from its error page and users' reports."""

SPOT: dict[tuple[int, str], T] = {
    (-1013, "Filter failure: NOTIONAL"): T.SIZE,
    (-1013, "Filter failure: LOT_SIZE"): T.RULES,
    (-1013, "Filter failure: PRICE_FILTER"): T.RULES,
    (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"): T.PRICE,
    (-2010, "Account has insufficient balance for requested action."): T.MARGIN,
    (-2010, "Duplicate order sent."): T.THERE,
    (-2010, "Order would immediately match and take."): T.MAKER,
    (-2010, "Market is closed."): T.SYMBOL,
    (-2010, "Something else."): T.SIZE,
    (-1003, "Too much request weight used"): T.LIMIT,
    (-1021, "Timestamp for this request is outside of the recvWindow."): T.TIME,
    (-2011, "Unknown order sent."): T.GONE,
    (-2013, "Order does not exist."): T.GONE,
    (-2015, "Invalid API-key, IP, or permissions for action."): T.STOP,
}


@pytest.mark.parametrize("code", USDM)
def test_a_code_of_perpetuals_does_what_the_table_says_all_the_way_through_the_client(
    code: int,
) -> None:
    assert errors.treatment(Product.USDM, code, "No.") is USDM[code]
    wire = Wire()
    wire.replies["POST /fapi/v1/order"] = refused(code, "No.")
    line = line_on(wire)
    if USDM[code] is T.UNKNOWN:
        with pytest.raises(OutcomeUnknown):
            line.signed("POST", "/fapi/v1/order")
        return
    with pytest.raises(errors.RequestRefused, match=r"No\.") as refusal:
        line.signed("POST", "/fapi/v1/order")
    assert (refusal.value.code, refusal.value.treatment) == (code, USDM[code])


@pytest.mark.parametrize(("code", "words"), SPOT)
def test_a_code_of_spot_is_told_apart_by_its_words(code: int, words: str) -> None:
    wire = Wire()
    wire.replies["POST /api/v3/order"] = refused(code, words)
    wire.replies["GET /api/v3/time"] = Answer({"serverTime": 1_767_625_500_000})
    with pytest.raises(errors.RequestRefused) as refusal:
        line_on(wire, pair(), product=Product.SPOT).signed("POST", "/api/v3/order")
    assert refusal.value.treatment is SPOT[code, words]


@pytest.mark.parametrize("code", [-4045, -4046, -4059, -5022, -4116])
def test_codes_of_perpetuals_mean_nothing_on_spot(code: int) -> None:
    assert errors.treatment(Product.SPOT, code, "") is T.UNLISTED


def test_success_and_unknown_are_few_and_chosen() -> None:
    found = {does: sorted(c for (_, c), m in errors.table().items() if m.treatment is does)
             for does in (T.SUCCESS, T.TIME)}  # fmt: skip
    assert found == {T.SUCCESS: [-4171, -4059, -4046], T.TIME: [-5028, -1021, -1021]}
    unknown = {(p, c) for (p, c), m in errors.table().items() if m.treatment is T.UNKNOWN}
    codes = {-1000, -1006, -1007}
    assert unknown == {(p, c) for p in Product for c in codes} | {(Product.SPOT, -2021)}


def test_every_word_of_the_tables_head_is_a_treatment_and_the_other_way_round() -> None:
    head = errors.TABLE.read_text("utf-8").split("[", 1)[0]
    explained = {line.split()[1] for line in head.splitlines() if line.startswith("#       ")}
    explained.add("success")
    assert explained == {each.value for each in T} - {"unlisted"}


def test_the_owner_may_add_and_change_codes_until_the_next_run(tmp_path: Path) -> None:
    (tmp_path / errors.OWNERS_FILE).write_text(
        '[usdm.-9999]\ndoes = "stop"\nmeaning = "new"\nadvice = "look"\n'
        '[usdm.-2010]\ndoes = "margin"\nmeaning = "mine"\ntexts = { "Post Only" = "maker" }\n',
        encoding="utf-8",
    )
    errors.learn(tmp_path)
    try:
        assert errors.meaning(Product.USDM, -9999).advice == "look"
        assert errors.treatment(Product.USDM, -2010, "x") is T.MARGIN
        assert errors.treatment(Product.USDM, -2010, "a post only order") is T.MAKER
        assert errors.treatment(Product.SPOT, -9999, "") is T.UNLISTED
    finally:
        errors.learn(None)
    assert errors.treatment(Product.USDM, -9999, "") is T.UNLISTED


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[usdm.-1]\nmeaning = 'x'\n", "usdm.-1.does"),
        ("[usdm.-1]\ndoes = 'nonsense'\nmeaning = 'x'\n", "usdm.-1.does"),
        ("[usdm.-1]\ndoes = 'unlisted'\nmeaning = 'x'\n", "usdm.-1.does"),
        ("[usdm.-1]\ndoes = 'stop'\n", "usdm.-1.meaning"),
        ("[usdm.-1]\ndoes = 'stop'\nmeaning = 7\n", "usdm.-1.meaning"),
        ("[usdm.-1]\ndoes = 'stop'\nmeaning = 'x'\nkind = 'y'\n", "usdm.-1.kind"),
        ("[usdm.-1]\ndoes = 'stop'\nmeaning = 'x'\ntexts = { a = 'b' }\n", "usdm.-1.texts"),
        ("[usdm.one]\ndoes = 'stop'\nmeaning = 'x'\n", "usdm.one"),
        ("[coinm.-1]\ndoes = 'stop'\nmeaning = 'x'\n", "coinm"),
        ("usdm = 7\n", "usdm"),
        ("[usdm]\n-1 = 7\n", "usdm.-1"),
        ("not toml", "file"),
    ],
)
def test_a_bad_file_is_refused_with_file_and_key(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / errors.OWNERS_FILE
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        errors.learn(tmp_path)
    errors.learn(None)
    assert key in {problem.key for problem in caught.value.problems}
    assert {problem.file for problem in caught.value.problems} == {str(path)}
