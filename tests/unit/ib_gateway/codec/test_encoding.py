"""Writing answers: each value as its kind is written, defaults for the rest, nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rebalancer.simulators.ib_gateway.codec import encode
from rebalancer.simulators.ib_gateway.layouts import NEWEST, OLDEST
from rebalancer.simulators.ib_gateway.layouts_out import ANSWERS
from tests.unit.ib_gateway.codec.peer import PLAIN_ORDER, plain_completed

_TICK = {"reqId": 5, "tickType": 1}
_CONDITION = {"condType": 1, "isMore": True, "price": Decimal("1.5"), "conId": 4, "exchange": "X"}


def test_the_number_comes_first_and_defaults_fill_what_is_not_given() -> None:
    assert encode("tickPrice", 176, **_TICK, price=Decimal("1.50")) == (
        *("1", "6", "5", "1", "1.50"),
        *("0", "0"),
    )


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("1E+5"), "100000"),
        (Decimal("-0.10"), "-0.10"),
        (3, "3"),
        ("0.25", "0.25"),
        (None, ""),
        ("1.7976931348623157E308", "1.7976931348623157E308"),
    ],
)
def test_numbers_are_written_plainly(price: Any, text: str) -> None:
    assert encode("tickPrice", 176, **_TICK, price=price)[4] == text


@pytest.mark.parametrize(
    "price", [1.5, True, Decimal("NaN"), Decimal("Infinity"), "1e5", "x", "1,5", b"1", object()]
)
def test_what_is_no_exact_number_is_refused(price: Any) -> None:
    with pytest.raises(TypeError, match=r"tickPrice\.price"):
        encode("tickPrice", 176, **_TICK, price=price)


@pytest.mark.parametrize("number", [1.0, True, Decimal(1), "x", "1.0", 2**63])
def test_what_is_no_whole_number_is_refused(number: Any) -> None:
    with pytest.raises(TypeError, match=r"nextValidId\.orderId"):
        encode("nextValidId", 176, orderId=number)


@pytest.mark.parametrize(("truth", "text"), [(True, "1"), (False, "0"), (1, "1"), ("0", "0")])
def test_truths_are_one_and_zero(truth: Any, text: str) -> None:
    fields = encode("openOrder", 176, **PLAIN_ORDER, outsideRth=truth)
    plain = encode("openOrder", 176, **PLAIN_ORDER)
    assert fields[26] == text
    assert (fields[:26], fields[27:]) == (plain[:26], plain[27:])


@pytest.mark.parametrize("truth", ["yes", 2, 1.0, Decimal(1), ""])
def test_other_truths_are_refused(truth: Any) -> None:
    with pytest.raises(TypeError, match=r"openOrder\.outsideRth"):
        encode("openOrder", 176, **PLAIN_ORDER, outsideRth=truth)


@pytest.mark.parametrize("text", [True, 1.5, b"x", ()])
def test_what_is_no_text_is_refused(text: Any) -> None:
    with pytest.raises(TypeError, match=r"managedAccounts\.accounts"):
        encode("managedAccounts", 176, accounts=text)


def test_unset_is_written_as_the_field_has_it() -> None:
    fields = encode("commissionReport", 176, execId="a", commission=None, currency="USD")
    largest = "1.7976931348623157E308"
    assert fields == ("59", "1", "a", "", "USD", largest, largest, "")


def test_an_infinite_offset_is_written_so_that_every_client_can_read_it() -> None:
    fields = encode("openOrder", 176, **PLAIN_ORDER, competeAgainstBestOffset=Decimal("Infinity"))
    assert fields[-3] == "Infinity"


def test_a_name_that_no_version_has_is_refused() -> None:
    with pytest.raises(TypeError, match="tickPrice has no field bid"):
        encode("tickPrice", 176, **_TICK, price=1, bid=2)


def test_a_name_of_another_version_is_left_out() -> None:
    given = {**PLAIN_ORDER, "duration": 5, "faProfile": "x"}
    assert encode("openOrder", 157, **given)[-1] == "0"
    assert "x" in encode("openOrder", 157, **given)
    assert "x" not in encode("openOrder", 178, **given)


def test_what_must_be_given_must_be_given() -> None:
    with pytest.raises(TypeError, match="tickPrice needs price, tickType"):
        encode("tickPrice", 176, reqId=5)


def test_a_message_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="no message tickVolume"):
        encode("tickVolume", 176)


def test_groups_are_mappings_rows_or_plain_values() -> None:
    rule = encode(
        "marketRule",
        176,
        marketRuleId=26,
        increments=({"lowEdge": 0, "increment": "0.01"}, (Decimal(1), Decimal("0.05"))),
    )
    assert rule == ("93", "26", "2", "0", "0.01", "1", "0.05")
    chain = encode(
        "secDefOptParams",
        176,
        reqId=3,
        exchange="SMART",
        underConId=265598,
        tradingClass="AAPL",
        multiplier="100",
        expirations=("20261218",),
        strikes=(Decimal(180), "185"),
    )
    assert chain[6:] == ("1", "20261218", "2", "180", "185")


def test_groups_within_groups_have_their_own_count() -> None:
    row = {
        "conId": 1,
        "symbol": "A",
        "secType": "STK",
        "primaryExchange": "NYSE",
        "currency": "USD",
        "derivatives": ("CFD", "OPT"),
        "description": "Agilent",
    }
    old = encode("symbolSamples", 175, reqId=3, rows=(row,))
    new = encode("symbolSamples", 176, reqId=3, rows=(row, {**row, "derivatives": ()}))
    assert old == ("79", "3", "1", "1", "A", "STK", "NYSE", "USD", "2", "CFD", "OPT")
    assert new == ("79", "3", "2", *old[3:], "Agilent", "", *old[3:8], "0", "Agilent", "")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (({"lowEdge": 0},), r"marketRule\.increments needs increment"),
        (({"lowEdge": 0, "increment": 1, "x": 1},), r"marketRule\.increments has no field x"),
        (((1, 2, 3),), r"marketRule\.increments is lowEdge, increment, not"),
        (({"lowEdge": 0.5, "increment": 1},), r"marketRule\.increments\.lowEdge"),
        ("12", r"marketRule\.increments"),
        ({"lowEdge": 0}, r"marketRule\.increments"),
    ],
)
def test_a_member_of_a_group_is_as_strict(rows: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        encode("marketRule", 176, marketRuleId=26, increments=rows)


def test_blocks_are_there_when_their_field_says_so() -> None:
    plain = len(encode("openOrder", 176, **PLAIN_ORDER))
    for more, count in (
        ({"deltaNeutralOrderType": ""}, -8),
        ({"scalePriceIncrement": "0.05"}, 7),
        ({"scalePriceIncrement": "0"}, 0),
        ({"scalePriceIncrement": "1.7976931348623157E308"}, 0),
        ({"hedgeType": "D"}, 1),
        ({"hasDeltaNeutral": True}, 3),
        ({"algoStrategy": "Twap"}, 1),
        ({"orderType": "PEG BENCH"}, 5),
        ({"conditions": (_CONDITION,)}, 1 + 6 + 2),
        ({"comboLegs": ({"conId": 1, "ratio": 1},) * 2, "orderComboLegs": ((1,), (2,))}, 18),
        ({"smartComboRoutingParams": (("NonGuaranteed", "1"),)}, 2),
    ):
        assert len(encode("openOrder", 176, **{**PLAIN_ORDER, **more})) == plain + count, more


def test_a_condition_of_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match=r"conditions\.condType cannot be '2'"):
        encode("openOrder", 176, **PLAIN_ORDER, conditions=({"condType": 2},))


def test_only_known_versions_are_written() -> None:
    for version in (OLDEST - 1, NEWEST + 1):
        with pytest.raises(ValueError, match="version"):
            encode("currentTime", version, time=1)


def test_numbers_of_messages_are_unique_and_sorted() -> None:
    numbers = [number for number, _parts in ANSWERS.values()]
    assert numbers == sorted(set(numbers))


def test_the_same_values_are_the_same_fields_whatever_their_order() -> None:
    values = plain_completed(algoStrategy="Twap", algoParams=(("a", "b"),))
    backwards = dict(reversed(values.items()))
    assert encode("completedOrder", 176, **values) == encode("completedOrder", 176, **backwards)
