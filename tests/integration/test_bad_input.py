"""Bad input never trades: signal files and quotes, through whole runs.

Two sleeves share the money: what is wrong with one must not keep the other from its orders.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import Outcome
from rebalancer.simulators.faults import Fault, FaultKind
from tests.portfolios import FIRST, codes, stock
from tests.two_sleeves import (
    HAND,
    OTHER,
    SECOND,
    message,
    other_wants,
    traded_since,
    two_sleeves,
)

HEAD = "instrument,target,unit,leverage,as_of,valid_until,coverage\n"
SAME = ",weight,1,2020-03-02T16:00:00Z,2020-03-03T16:00:00Z,complete\n"
AAPL, JNJ = f"{stock('AAPL')},0.2{SAME}", f"{stock('JNJ')},0.7{SAME}"


# ------------------------------------------------------------------ signal files

BAD_FILES = {
    "missing": (None, "signal-missing", "there is no such file"),
    "empty": ("", "signal-invalid", "it is empty"),
    "without rows": (HEAD, "signal-invalid", "flat is the one row CASH,1"),
    "cut off": (HEAD + AAPL + JNJ[:-20], "signal-invalid", "it was cut off"),
    "cut off at a line": (HEAD + AAPL + "\n", "signal-invalid", "line 3 is empty"),
    "a row twice": (HEAD + AAPL + JNJ + AAPL, "signal-invalid", "is in line 2 already"),
    "NaN": (HEAD + AAPL + JNJ.replace("0.7", "nan"), "signal-invalid", "'nan' is not finite"),
    "no number": (HEAD + AAPL + JNJ.replace("0.7", ""), "signal-invalid", "'' is not a number"),
    "infinite": (HEAD + AAPL.replace("0.2", "inf"), "signal-invalid", "'inf' is not finite"),
    "old": (
        HEAD + AAPL.replace("2020-03-02", "2020-02-28").replace("2020-03-03", "2020-03-05"),
        "signal-stale",
        "stale_after_seconds",
    ),
    "expired": (
        HEAD
        + AAPL.replace("2020-03-03T16", "2020-03-02T16").replace("T16:00:00Z,2", "T15:00:00Z,2"),
        "signal-stale",
        "it was valid until 2020-03-02T16:00:00Z",
    ),
    "of the future": (HEAD + AAPL.replace("-02T16", "-02T17"), "signal-invalid", "is after now"),
    "unknown symbol": (
        HEAD + AAPL + JNJ.replace("JNJ", "JNK"),
        "signal-invalid",
        "'JNK.STK.USD@IB' is not in the sleeve's universe",
    ),
    "another sleeve's symbol": (
        HEAD + AAPL + JNJ.replace("JNJ", "KO"),
        "signal-invalid",
        "'KO.STK.USD@IB' is not in the sleeve's universe",
    ),
    "over its limit": (
        HEAD + AAPL.replace("0.2", "0.4") + JNJ,
        "signal-invalid",
        "= 1.1, over the sleeve's leverage_max 1",
    ),
    "leverage over its limit": (
        HEAD + (AAPL + JNJ).replace(",weight,1,", ",weight,1.5,"),
        "signal-invalid",
        "= 1.35, over the sleeve's leverage_max 1",
    ),
    "no leverage": (
        HEAD + AAPL.replace(",weight,1,", ",weight,0,"),
        "signal-invalid",
        "leverage 0 is not positive",
    ),
    "lots beyond counting": (
        HEAD + AAPL.replace("0.2,weight", "1e30,lots"),
        "signal-invalid",
        "is out of range",
    ),
    "no text": ("\udcff\udcfe\x00\x01", "signal-invalid", ""),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_signal_file_holds_its_sleeve_and_the_other_trades(tmp_path: Path, kind: str) -> None:
    text, code, words = BAD_FILES[kind]
    world = two_sleeves(tmp_path)
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    first = world.hour(FIRST)
    assert first.outcome is Outcome.FINISHED
    assert not first.flags
    held = world.holdings()
    assert {name.partition(".")[0] for name in held} == {*HAND, *OTHER}
    sent = len(world.venue()["orders"])

    path = world.state / "signals" / "hand.csv"
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    other_wants(world, ("0.1", "0.8"), SECOND)
    second = world.hour(SECOND)

    assert traded_since(world, sent) == set(OTHER)
    after = world.holdings()
    assert all(after[stock(symbol)] == held[stock(symbol)] for symbol in HAND)
    assert codes(second) == {code}
    (flag,) = second.flags
    assert flag.subject == "sleeve:hand"
    assert "signals/hand.csv" in flag.message
    assert words in flag.message
    assert "keeps its last accepted lots" in flag.message
    assert second.exit_code == 0
    alert = " ".join(world.alert(SECOND).split())
    assert "sleeve hand" in alert
    assert words in alert


def test_a_sleeve_that_never_had_a_signal_buys_nothing(tmp_path: Path) -> None:
    world = two_sleeves(tmp_path)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST)
    assert traded_since(world, 0) == set(OTHER)
    assert codes(record) == {"signal-missing"}
    why = {line.instrument: line.reason for line in record.lines}
    assert why[InstrumentId(stock("AAPL"))].startswith("held: a sleeve has neither a valid signal")


def test_a_wish_beyond_the_limits_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    # JNJ: 0.5 of the money x 0.9 = 45,000 USD; the limit is 30,000.
    world = two_sleeves(tmp_path, risk='max_order_notional = "30000"')
    world.wants({"AAPL": "0.1", "JNJ": "0.9"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST)
    assert traded_since(world, 0) == {"AAPL", *OTHER}
    assert codes(record) == {"order-refused"}
    assert "the limit is 30,000 USD" in message(record, "order-refused")
    assert "JNJ" in world.alert(FIRST)


# ------------------------------------------------------------------ quotes

BAD_QUOTES = {
    FaultKind.MISSING_QUOTE: ("price-missing", "no quote"),
    FaultKind.CROSSED_QUOTE: ("price-missing", "crossed"),
    FaultKind.ONE_SIDED_QUOTE: ("price-missing", "one side"),
    FaultKind.STALE_QUOTE: ("order-refused", "its quote is 3600 s old"),
}


@pytest.mark.parametrize("kind", BAD_QUOTES, ids=lambda kind: kind.name)
def test_an_instrument_with_a_bad_quote_is_held_and_the_rest_trades(
    tmp_path: Path, kind: FaultKind
) -> None:
    code, words = BAD_QUOTES[kind]
    world = two_sleeves(tmp_path)
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    spoilt = Fault(kind, count=None, subject=stock("JNJ"))
    first = world.hour(FIRST, faults=[spoilt])
    assert traded_since(world, 0) == {"AAPL", *OTHER}
    assert codes(first) == {code}
    assert [flag.subject for flag in first.flags] == [stock("JNJ")]
    assert words in message(first, code)
    assert "JNJ" in world.alert(FIRST)

    held, sent = world.holdings(), len(world.venue()["orders"])
    world.wants({"AAPL": "0", "JNJ": "0"}, SECOND)
    spoilt = Fault(kind, count=None, subject=stock("AAPL"))
    second = world.hour(SECOND, faults=[spoilt])
    assert "AAPL" not in traded_since(world, sent)
    assert world.holdings()[stock("AAPL")] == held[stock("AAPL")]
    assert code in codes(second)


def test_without_any_quote_nothing_is_sent(tmp_path: Path) -> None:
    world = two_sleeves(tmp_path)
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST, faults=[Fault(FaultKind.MISSING_QUOTE, count=None)])
    assert world.venue()["orders"] == []
    assert codes(record) == {"price-missing", "data-poor", "data-missing"}
    assert len(record.flags) == 4 + 2  # each instrument, and what it means for the run
