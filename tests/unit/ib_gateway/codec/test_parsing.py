"""Reading requests: every field has a name and a kind, none is left, nonsense is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.brokers.ib.client import library
from rebalancer.simulators.ib_gateway.codec import Request, parse
from rebalancer.simulators.ib_gateway.frames import WireError
from rebalancer.simulators.ib_gateway.layouts import NEWEST, OLDEST
from rebalancer.simulators.ib_gateway.layouts_in import REQUESTS
from tests.unit.ib_gateway.codec.peer import frame_of, newest

_C12 = ("265598", "AAPL", "STK", "", "0.0", "", "", "SMART", "", "USD", "", "")


def refused(fields: tuple[str, ...], version: int = 176) -> WireError:
    """Return how a message is refused; fails when it is not."""
    with pytest.raises(WireError) as caught:
        parse(fields, version)
    return caught.value


def order_frame(**changes: object) -> list[str]:
    """Return a placeOrder as the library writes it."""
    lib = library()
    order = lib.LimitOrder("BUY", 10, 189.54, **changes)
    return list(frame_of(newest(), "placeOrder", 17, lib.Stock("AAPL", "SMART", "USD"), order))


def test_values_are_named_and_of_their_kinds() -> None:
    request = parse(("20", "5", *_C12, "0", "", "1 day", "2 D", "1", "TRADES", "2", "0", ""), 176)
    assert request.name == "reqHistoricalData"
    assert request.values["reqId"] == 5
    assert request.values["strike"] == Decimal(0)
    assert request.values["useRTH"] is True
    assert request.values["keepUpToDate"] is False
    assert request.values["duration"] == "2 D"


@pytest.mark.parametrize(
    "text", ["", "1.7976931348623157E308", "1.7976931348623157e+308", "9223372036854775807"]
)
def test_unset_numbers_are_none(text: str) -> None:
    fields = order_frame()
    fields[fields.index("189.54")] = text
    assert parse(fields, newest()).values["lmtPrice"] is None


@pytest.mark.parametrize("text", ["", "2147483647", "9223372036854775807"])
def test_unset_whole_numbers_are_none(text: str) -> None:
    fields = order_frame(displaySize=31)
    fields[fields.index("31")] = text
    assert parse(fields, newest()).values["displaySize"] is None


@pytest.mark.parametrize(("text", "value"), [("1e-05", "0.00001"), ("1E2", "100"), (".5", "0.5")])
def test_numbers_with_an_exponent_are_exact(text: str, value: str) -> None:
    fields = order_frame()
    fields[fields.index("189.54")] = text
    assert parse(fields, newest()).values["lmtPrice"] == Decimal(value)


@pytest.mark.parametrize(
    "text", ["x", "nan", "1_0", "0x10", " 1", "Infinity", "1e9999", "1e-9999", "٣", "9" * 500]
)
def test_a_price_that_is_no_number_is_refused_by_its_name(text: str) -> None:
    fields = order_frame()
    fields[fields.index("189.54")] = text
    error = refused(tuple(fields), newest())
    assert (error.code, error.request_id) == (320, 17)
    assert error.text.startswith("Error reading request. lmtPrice of placeOrder is ")


@pytest.mark.parametrize("text", ["1.0", "x", "2147483648", "-2147483649", "1" * 30, "1 "])
def test_a_whole_number_that_is_none_is_refused_by_its_name(text: str) -> None:
    error = refused(("20", "5", *_C12, "0", "", "1 day", "2 D", "1", "TRADES", text, "0", ""))
    assert (error.code, error.request_id) == (320, 5)
    assert "formatDate of reqHistoricalData" in error.text


def test_a_truth_is_one_or_zero() -> None:
    error = refused(("99", "2"))
    assert "apiOnly of reqCompletedOrders" in error.text


@pytest.mark.parametrize("text", ["", "2147483647", "x"])
def test_a_request_without_its_id_is_refused(text: str) -> None:
    error = refused(("62", "1", text, "All", "NetLiquidation"))
    assert (error.code, error.request_id) == (320, -1)
    assert "reqId of reqAccountSummary" in error.text


def test_a_field_too_many_is_refused() -> None:
    error = refused(("62", "1", "9", "All", "NetLiquidation", "more", ""))
    assert (error.code, error.request_id) == (320, 9)
    assert "2 fields are left over in reqAccountSummary" in error.text


def test_a_message_that_ends_early_is_refused_with_the_field_that_is_missing() -> None:
    error = refused(("62", "1", "9", "All"))
    assert (error.code, error.request_id) == (320, 9)
    assert "reqAccountSummary ends before tags" in error.text


def test_every_shortened_order_is_refused_with_its_id() -> None:
    whole = order_frame(algoStrategy="Adaptive", algoParams=[library().TagValue("a", "b")])
    for length in range(2, len(whole)):
        error = refused(tuple(whole[:length]), newest())
        assert (error.code, error.request_id) == (320, 17)


def test_bytes_that_are_no_text_are_refused_with_the_id_of_the_request() -> None:
    error = refused(("81", "5", "AAP\ufffd"))
    assert (error.code, error.request_id) == (320, 5)


@pytest.mark.parametrize("number", ["", "0", "26", "60", "105", "x", "-1", "1.0", "٣", "9" * 5000])
def test_a_message_that_no_gateway_knows_is_505(number: str) -> None:
    error = refused((number, "1"))
    assert (error.code, error.request_id) == (505, -1)
    assert len(error.text) < 80


def test_a_frame_without_fields_is_505() -> None:
    assert refused(()).code == 505


@pytest.mark.parametrize("count", ["-1", "99999999", "3", "x"])
def test_a_group_that_is_said_to_be_larger_than_the_message_is_refused(count: str) -> None:
    fields = order_frame(algoStrategy="Adaptive", algoParams=[library().TagValue("a", "b")])
    fields[fields.index("Adaptive") + 1] = count
    error = refused(tuple(fields), newest())
    assert (error.code, error.request_id) == (320, 17)


def test_a_condition_of_a_kind_that_is_not_known_is_refused() -> None:
    lib = library()
    fields = order_frame(conditions=[lib.order.TimeCondition(condType=2, time="20301231")])
    error = refused(tuple(fields), newest())
    assert (error.code, error.request_id) == (320, 17)
    assert "condType of placeOrder is 2" in error.text


def test_versions_that_are_not_spoken_are_a_mistake_of_the_caller() -> None:
    for version in (OLDEST - 1, NEWEST + 1):
        with pytest.raises(ValueError, match="version"):
            parse(("49", "1"), version)


_NUMBERS = st.one_of(
    st.sampled_from([str(number) for number in REQUESTS]), st.text(max_size=4), st.just("3")
)
_WORDS = st.one_of(
    st.sampled_from(
        ["", "0", "1", "-1", "2", "BAG", "3.5", "2147483647", "1e400", "Infinite", "nan", "\ufffd"]
    ),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=8),
)


@given(_NUMBERS, st.lists(_WORDS, max_size=140), st.integers(OLDEST, NEWEST))
def test_nonsense_is_read_or_refused_and_nothing_else(
    number: str, words: list[str], version: int
) -> None:
    try:
        found = parse((number, *words), version)
    except WireError as error:
        assert error.code in (320, 505)
        assert -(2**31) <= error.request_id < 2**31
    else:
        assert isinstance(found, Request)


@given(st.data())
def test_an_order_with_one_field_of_nonsense_is_read_or_refused_as_that_order(
    data: st.DataObject,
) -> None:
    fields = order_frame()
    place = data.draw(st.integers(2, len(fields) - 1))
    fields[place] = data.draw(_WORDS)
    try:
        parse(fields, newest())
    except WireError as error:
        assert (error.code, error.request_id) == (320, 17)
