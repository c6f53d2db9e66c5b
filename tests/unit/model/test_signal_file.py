"""A signal file says exactly what docs/SIGNALS.md says, or nothing at all."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.signal_file import (
    StaleSignal,
    format_signal,
    parse_signal,
    signal_file_name,
    signal_of,
)
from rebalancer.model.signals import Coverage, Signal, TargetWeights, Unit
from rebalancer.model.universe import Sleeve

NOW = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
A, B = InstrumentId("AAA.STK.USD@IB"), InstrumentId("BBB.STK.USD@IB")
SLEEVE = Sleeve("core", (A, B), Decimal(1), leverage_max=Decimal(2), stale_after_seconds=3600.0)
HEADER = "instrument,target,unit,leverage,as_of,valid_until,coverage\n"
TAIL = "weight,1.5,2020-03-02T15:00:00Z,2020-03-02T16:00:00Z,complete"
GOOD = f"{HEADER}{A},0.5,{TAIL}\n{B},-0.25,{TAIL}\n"


def parse(text: str) -> Signal:
    return parse_signal(text, SLEEVE, NOW)


def test_a_file_is_read() -> None:
    assert parse(GOOD) == Signal(
        sleeve="core",
        targets={A: Decimal("0.5"), B: Decimal("-0.25")},
        unit=Unit.WEIGHT,
        leverage=Decimal("1.5"),
        as_of=datetime(2020, 3, 2, 15, tzinfo=UTC),
        valid_until=datetime(2020, 3, 2, 16, tzinfo=UTC),
        coverage=Coverage.COMPLETE,
    )


HARMLESS = {
    "CRLF": GOOD.replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + GOOD,
    "blanks": GOOD.replace(",", " , "),
    "quotes": GOOD.replace("weight", '"weight"'),
    "pandas times": GOOD.replace("T15:00:00Z", " 15:00:00+00:00"),
    "times elsewhere": GOOD.replace("T15:00:00Z", "T10:00:00-05:00"),
    "fractions of seconds": GOOD.replace("T15:00:00Z", "T15:00:00.000000000Z"),
    "exponents": GOOD.replace(",0.5,", ",5e-1,"),
    "another order of columns": "target,instrument,unit,leverage,as_of,valid_until,coverage\n"
    f"0.5,{A},{TAIL}\n-.25,{B},{TAIL}\n",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_what_means_the_same_is_read_the_same(text: str) -> None:
    assert parse(text) == parse(GOOD)


def test_flat_is_the_single_row_cash() -> None:
    assert parse(f"{HEADER}CASH,1,{TAIL}\n").targets == {}


def test_generator_and_fingerprint_are_kept() -> None:
    text = f"{HEADER.strip()},generator,fingerprint\n{A},0.5,{TAIL},momentum,0123456789ab\n"
    assert (parse(text).generator, parse(text).fingerprint) == ("momentum", "0123456789ab")


def test_lots_are_units_with_leverage_one() -> None:
    text = GOOD.replace("weight,1.5", "lots,1").replace(",0.5,", ",1200,")
    assert parse(text).targets == {A: Decimal(1200), B: Decimal("-0.25")}
    assert parse(text).unit is Unit.LOTS


WRONG = {
    "empty": ("", "it is empty"),
    "only a mark": ("\ufeff\n", "it is empty"),
    "no rows": (HEADER, "no rows; flat is the one row CASH,1"),
    "cut off": (GOOD[:-1], "its last line has no end"),
    "cut off earlier": (GOOD[:-9] + "\n", "line 3, column coverage: '' differs"),
    "cut off in a row": (f"{HEADER}{A},0.5,weight\n", "line 2: 3 values for 7 columns"),
    "an empty line": (GOOD.replace(f"\n{B}", f"\n\n{B}"), "line 3 is empty"),
    "one value more": (GOOD.replace("complete\n", "complete,x\n", 1), "line 2: 8 values"),
    "a nul": (GOOD.replace("AAA", "A\0A"), "line 2 has a character that cannot be printed"),
    "an open quote": (GOOD.replace(A, f'"{A}'), "line 2: "),
    "no header": (GOOD.removeprefix(HEADER), f"line 1: unknown column '{A}'"),
    "a column missing": (GOOD.replace(",leverage", "", 1), "line 1: column leverage is missing"),
    "a column twice": (GOOD.replace("unit,", "target,", 1), "column target is there twice"),
    "an unknown column": (GOOD.replace("unit,", "units,", 1), "unknown column 'units'"),
    "an instrument twice": (
        GOOD.replace(B, A), f"line 3, column instrument: '{A}' is in line 2 already",
    ),
    "an unknown instrument": (
        GOOD.replace("BBB", "ZZZ"), "line 3, column instrument: 'ZZZ.STK.USD@IB' is not in",
    ),
    "no instrument": (GOOD.replace(A, ""), "line 2, column instrument: '' is not in"),
    "NaN": (GOOD.replace("-0.25", "nan"), "line 3, column target: 'nan' is not finite"),
    "infinity": (GOOD.replace("-0.25", "-inf"), "column target: '-inf' is not finite"),
    "no number": (GOOD.replace("-0.25", ""), "line 3, column target: '' is not a number"),
    "a word": (GOOD.replace("-0.25", "much"), "column target: 'much' is not a number"),
    "a comma": (GOOD.replace("-0.25", '"0,25"'), "column target: '0,25' is not a number"),
    "underscores": (GOOD.replace("-0.25", "0.2_5"), "column target: '0.2_5' is not a number"),
    "other digits": (GOOD.replace("-0.25", "\u0661"), "is not a number"),
    "percent": (GOOD.replace("-0.25", "25%"), "column target: '25%' is not a number"),
    "a huge exponent": (GOOD.replace("-0.25", "1e999999"), "is not a number"),
    "an unknown unit": (GOOD.replace("weight", "percent"), "'percent' is not one of weight, lots"),
    "two units": (GOOD.replace("weight", "lots", 1), "line 3, column unit: 'weight' differs"),
    "two leverages": (GOOD.replace("1.5", "1", 1), "line 3, column leverage: '1.5' differs"),
    "two times": (GOOD.replace("15:00", "15:01", 1), "line 3, column as_of"),
    "two ends": (GOOD.replace("16:00", "16:01", 1), "line 3, column valid_until"),
    "two coverages": (GOOD.replace("complete", "partial", 1), "line 3, column coverage"),
    "no leverage": (GOOD.replace("1.5", "0"), "leverage 0 is not positive"),
    "a negative leverage": (GOOD.replace("1.5", "-1"), "leverage -1 is not positive"),
    "NaN leverage": (GOOD.replace("1.5", "NaN"), "line 2, column leverage: 'NaN' is not finite"),
    # 0.5 + 0.25 = 0.75; 0.75 x 2.7 = 2.025 > 2
    "over the limit": (GOOD.replace("1.5", "2.7"), "add up to 0.75 (without signs) x leverage 2.7"),
    "a naive time": (
        GOOD.replace("15:00:00Z", "15:00:00"), "column as_of: '2020-03-02T15:00:00' has no zone",
    ),
    "no time": (GOOD.replace("2020-03-02T15:00:00Z", "now"), "column as_of: 'now' is not a time"),
    "no such day": (GOOD.replace("2020-03-02T15", "2020-02-30T15"), "column as_of"),
    "a time before time": (
        GOOD.replace("2020-03-02T15:00:00Z", "0001-01-01T00:00:00+10:00"), "column as_of",
    ),
    "of the future": (
        GOOD.replace("15:00:00Z", "15:05:06Z"), "as_of 2020-03-02T15:05:06Z is after now",
    ),
    "ends before": (GOOD.replace("16:00:00Z", "15:00:00Z"), "is not after as_of"),
    "an odd coverage": (GOOD.replace("complete", "most"), "'most' is not one of complete, partial"),
    "cash and more": (GOOD.replace(A, "CASH").replace(",0.5,", ",1,"), "CASH' stands alone"),
    "half cash": (f"{HEADER}CASH,0.5,{TAIL}\n", "line 2, column instrument: 'CASH' stands alone"),
    "flat, but held": (
        f"{HEADER}CASH,1,{TAIL}\n".replace("complete", "partial"), "flat needs coverage complete",
    ),
    "lots with leverage": (GOOD.replace("weight", "lots"), "targets in lots need leverage 1"),
    "too many lots": (
        GOOD.replace("weight,1.5", "lots,1").replace(",0.5,", ",9007199254740992,"),
        "out of range",
    ),
    "too long": (GOOD + f"{B},0,{TAIL}\n" * 14_000, "longer than 1048576 bytes"),
    "a long value": (GOOD.replace("weight", "w" * 300), "..."),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(DataError) as raised:
        parse(text)
    assert expected in str(raised.value)
    assert not isinstance(raised.value, StaleSignal)
    assert len(str(raised.value)) < 500


def test_the_limit_itself_is_allowed() -> None:
    # (0.5 + 0.25) x 2.666666666666 = 1.9999999999995 <= 2
    assert parse(GOOD.replace("1.5", "2.666666666666")).leverage == Decimal("2.666666666666")


def test_rounded_weights_may_exceed_the_limit_by_their_rounding() -> None:
    names = tuple(InstrumentId(f"{letter * 3}.STK.USD@IB") for letter in "ABCDEF")
    six = Sleeve("six", names, Decimal(1))
    # 1/6 rounds up to 0.166666666667: six of them are 1.000000000002.
    answer = TargetWeights(dict.fromkeys(names, 1 / 6))
    signal = signal_of(answer, six, NOW, generator="equal", fingerprint="")
    assert sum(signal.targets.values()) == Decimal("1.000000000002")


def test_a_clock_that_is_a_little_ahead_is_forgiven() -> None:
    assert parse(GOOD.replace("15:00:00Z", "15:05:05Z")).as_of == NOW + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2020, 3, 2, 16, 0, 1, tzinfo=UTC), "it was valid until 2020-03-02T16:00:00Z"),
        (datetime(2020, 3, 9, 16, tzinfo=UTC), "it was valid until 2020-03-02T16:00:00Z"),
    ],
)
def test_a_file_past_its_time_is_stale(now: datetime, expected: str) -> None:
    with pytest.raises(StaleSignal, match=expected):
        parse_signal(GOOD, SLEEVE, now)


def test_a_file_is_good_until_the_last_moment() -> None:
    assert parse_signal(GOOD, SLEEVE, datetime(2020, 3, 2, 16, tzinfo=UTC)).targets


def test_a_file_older_than_the_sleeve_allows_is_stale_whatever_it_says() -> None:
    text = GOOD.replace("2020-03-02T16", "2030-03-02T16")
    with pytest.raises(StaleSignal, match="more than the sleeve's stale_after_seconds 3600 ago"):
        parse_signal(text, SLEEVE, datetime(2020, 3, 2, 16, 0, 1, tzinfo=UTC))


def test_what_is_wrong_counts_before_what_is_old() -> None:
    with pytest.raises(DataError, match="'nan' is not finite") as raised:
        parse_signal(GOOD.replace("-0.25", "nan"), SLEEVE, datetime(2030, 1, 1, tzinfo=UTC))
    assert not isinstance(raised.value, StaleSignal)


def test_our_own_files_have_rows_in_id_order() -> None:
    signal = parse(GOOD)
    turned = Signal(
        signal.sleeve, {B: Decimal("-0.250"), A: Decimal("5E-1")}, signal.unit, signal.leverage,
        signal.as_of, signal.valid_until, signal.coverage, "a,b", "f",
    )  # fmt: skip
    assert format_signal(turned) == (
        f'{HEADER.strip()},generator,fingerprint\n{A},0.5,{TAIL},"a,b",f\n{B},-0.25,{TAIL},"a,b",f\n'
    )


def test_flat_is_written_as_cash() -> None:
    flat = parse(f"{HEADER}CASH,1,{TAIL}\n")
    assert format_signal(flat).splitlines()[1] == f"CASH,1,{TAIL},,"
    assert parse(format_signal(flat)) == flat


@given(
    weights=st.dictionaries(st.sampled_from([A, B]), st.floats(-0.5, 0.5), min_size=1),
    leverage=st.floats(1e-6, 2.0),
    coverage=st.sampled_from(Coverage),
    hours=st.none() | st.floats(0.01, 1e6),
)
def test_what_is_written_is_read_back(
    weights: dict[str, float], leverage: float, coverage: Coverage, hours: float | None
) -> None:
    valid_for = None if hours is None else timedelta(hours=hours)
    answer = TargetWeights(weights, leverage, coverage, valid_for)
    signal = signal_of(answer, SLEEVE, NOW, generator="test", fingerprint="0123456789ab")
    assert parse(format_signal(signal)) == signal
    expected = set(SLEEVE.universe) if coverage is Coverage.COMPLETE else set(weights)
    assert set(signal.targets) == expected
    for name, weight in weights.items():
        assert abs(float(signal.targets[InstrumentId(name)]) - weight) <= 5e-13


def test_tiny_weights_and_negative_zero_are_zero() -> None:
    answer = TargetWeights({A: -1e-15, B: -0.0})
    signal = signal_of(answer, SLEEVE, NOW, generator="", fingerprint="")
    assert [str(weight) for weight in signal.targets.values()] == ["0", "0"]


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_no_text_whatever_raises_anything_else(text: str) -> None:
    for candidate in (text, text + "\n", HEADER + text + "\n", GOOD.replace("0.5", text)):
        with contextlib.suppress(DataError):
            parse(candidate)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a.b", "-a", "a\n", "ä"])
def test_a_sleeve_name_is_a_file_name_and_no_path(name: str) -> None:
    with pytest.raises(DataError, match="letters, digits"):
        signal_file_name(name)


def test_a_signal_file_is_named_after_its_sleeve() -> None:
    assert signal_file_name("us-core_2") == "us-core_2.csv"
