"""Whatever a client sends, the gateway answers or hangs up; it never falls over."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from rebalancer.simulators.ib_gateway.frames import pack
from rebalancer.simulators.ib_gateway.layouts_in import REQUESTS
from tests.unit.ib_gateway.wire import Caller, contract, gateway_of, pass_wire_seconds

_WORDS = (
    "", "0", "1", "2", "-1", "5", "8", "26", "All", "AAPL", "STK", "SMART", "USD", "CASH", "FUT",
    "265598", "1 day", "3 D", "999999 Y", "30 secs", "TRADES", "LMT", "BUY", "DAY", "$LEDGER:ALL",
    "NetLiquidation,SMA", "DU1234567", "99999999999999999999", "1e400", "NaN", "Infinity", "-0.0",
    "1.7976931348623157E308", "\u00e9\u4e16", "20200302 10:00:00 US/Eastern", "20200230-25:00:00",
    "165,236", "x" * 5_000,
)  # fmt: skip
_CONTRACTS = (contract(), contract("EUR", "CASH"), contract("ES", "FUT"), contract("", "BAG"))
_FULL = (3, 71)
"""Orders and startApi: they have tests of their own."""


def frames(seed: int) -> Iterable[bytes]:
    """Yield messages that are nearly right, and some that are not."""
    draw = random.Random(seed)
    numbers = [number for number in REQUESTS if number not in _FULL]
    for _ in range(400):
        fields = [str(draw.choice(numbers))]
        for _ in range(draw.choice((0, 1, 1, 2, 2, 3, 4, 5))):
            fields.append(draw.choice(_WORDS))
            if draw.random() < 0.2:
                fields.extend(str(each) for each in draw.choice(_CONTRACTS))
        fields.extend(draw.choice(_WORDS) for _ in range(draw.choice((0, 0, 0, 3, 8, 9))))
        yield pack(fields)


@pytest.mark.parametrize("seed", range(8))
def test_messages_that_are_nearly_right_are_answered(seed: int) -> None:
    with gateway_of(market_data=("live", "delayed")[seed % 2]) as gateway:
        caller, client = Caller(gateway), 1
        caller.start(client)
        for data in frames(seed):
            pass_wire_seconds(gateway, 0.05)
            caller.bytes(data)
            if caller.closed:
                client += 1
                caller = Caller(gateway)
                caller.start(client)
        assert gateway.violations == 0
        pass_wire_seconds(gateway, 2.0)
        assert caller.say(49, 1)[-1].name == "currentTime"


_LAWFUL = {
    "history": (20, 5, *contract(), 0, "", "1 day", "{}", 1, "TRADES", 1, 0, ""),
    "bar size": (20, 5, *contract(), 0, "", "{}", "2 D", 1, "TRADES", 1, 0, ""),
    "end": (20, 5, *contract(), 0, "{}", "1 day", "2 D", 1, "TRADES", 1, 0, ""),
    "quote": (1, 11, 5, *contract(), 0, "{}", 0, 0, ""),
    "kind": (59, 1, "{}"),
    "summary": (62, 1, 5, "All", "{}"),
    "group": (62, 1, 5, "{}", "SMA"),
    "account": (6, 2, 1, "{}"),
    "profit": (94, 5, "", "", "{}"),
    "rule": (91, "{}"),
    "chain": (78, 5, "AAPL", "", "STK", "{}"),
    "symbols": (81, 5, "{}"),
    "number": (9, 8, 5, *contract("", "", conId="{}"), 0, "", "", ""),
    "expiry": (9, 8, 5, *contract("ES", "FUT", expiry="{}"), 0, "", "", ""),
    "multiplier": (9, 8, 5, *contract("ES", "FUT", multiplier="{}"), 0, "", "", ""),
    "strike": (9, 8, 5, *contract("AAPL", strike="{}"), 0, "", "", ""),
    "isin": (9, 8, 5, *contract("AAPL"), 0, "ISIN", "{}", ""),
    "client": (71, 2, "{}", ""),
}


@pytest.mark.parametrize("what", sorted(_LAWFUL))
def test_one_field_at_a_time_may_be_anything(what: str) -> None:
    for word in _WORDS:
        with gateway_of() as gateway:
            caller = Caller(gateway)
            if what != "client":
                caller.start()
            caller.say(*(word if each == "{}" else each for each in _LAWFUL[what]))
            assert caller.said
