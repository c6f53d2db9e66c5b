"""Each trouble of the wire and of the engine becomes the venue's own fault, where it waits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from rebalancer.simulators.binance_server import troubles as at_binance
from rebalancer.simulators.faults import Fault, FaultKind, FaultScript
from rebalancer.simulators.faults.at_the_engine import ENGINE, begin
from rebalancer.simulators.faults.cells import faults
from rebalancer.simulators.faults.hours import Trouble
from rebalancer.simulators.faults.killed import Killed
from rebalancer.simulators.ib_gateway import troubles as at_ib
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.occasions import fits
from rebalancer.simulators.ib_gateway.virtual_loop import VirtualLoop
from tests.unit.simulators.faults.rigs import rig

NOW = datetime(2025, 3, 20, 12, tzinfo=UTC)
REQUESTS = {
    at_binance.ANY: "GET /fapi/v1/time",
    "GET /*": "GET /fapi/v3/account",
    at_binance.ORDERS: "POST /fapi/v1/order",
    at_binance.CANCELS: "DELETE /fapi/v1/order",
    at_binance.REPLACES: "PUT /fapi/v1/order",
    at_binance.STOPS: "POST /fapi/v1/algoOrder",
    at_binance.STOP_CANCELS: "DELETE /fapi/v1/algoOrder",
    at_binance.POSITIONS: "GET /fapi/v3/positionRisk",
    at_binance.ACCOUNT: "GET /fapi/v3/balance",
    at_binance.TICKERS: "GET /fapi/v1/ticker/bookTicker",
}
"""A request of each kind that some fault waits for."""


# ------------------------------------------------------------------ Interactive Brokers


@pytest.mark.parametrize("name", sorted(at_ib.WIRE))
def test_a_trouble_strikes_each_message_that_can_suffer_it_and_no_other(name: str) -> None:
    do, messages = at_ib.WIRE[name]
    able = sorted(message for message in messages if fits(message, do))
    assert able, "there is nothing that it could strike"
    for message in able:
        made = rig(Trouble(name, step=7))
        wire = at_ib.TroubledWire(made.injector)
        assert wire.strikes(("nothing-of-the-kind",)) is None
        struck = wire.strikes((message,))
        assert struck is not None
        assert struck.do is do
        assert made.hits == {(name, 7): 1}
        assert wire.strikes((message,)) is None


def test_a_trouble_waits_for_its_step_its_message_and_its_number() -> None:
    made = rig(Trouble("answer-lost", at="req*Positions|reqExecutions", nth=2, step=4), step=1)
    wire = at_ib.TroubledWire(made.injector)
    assert wire.strikes(("reqPositions",)) is None
    made.injector.step = 4
    assert [
        wire.strikes((message,)) is not None
        for message in ("reqPositions", "reqAccountUpdates", "reqExecutions", "reqPositions")
    ] == [False, False, True, False]


def test_a_trouble_about_one_instrument_strikes_its_messages_only() -> None:
    wire = at_ib.TroubledWire(rig(Trouble("quote-stale", subject="KO.STK.USD@IB")).injector)
    assert wire.strikes(("reqMktData",), ("JNJ.STK.USD@IB", "JNJ")) is None
    struck = wire.strikes(("reqMktData",), ("KO.STK.USD@IB", "KO"))
    assert struck is not None
    assert struck.seconds == 3600


def test_nobody_can_connect_while_the_connection_is_refused() -> None:
    made = rig(Trouble("connect-refused", count=2), step=1)
    wire = at_ib.TroubledWire(made.injector)
    assert [wire.closed_until for _ in range(3)] == [float("inf"), float("inf"), 0.0]
    wire.closed_until = 12.5
    assert wire.closed_until == 12.5
    assert made.hits == {("connect-refused", 1): 2}


def test_the_words_of_a_trouble_reach_the_wire() -> None:
    fault, _ = at_ib.translated(Trouble("order-refused", code=201, text="no"))
    assert (fault.do, fault.code, fault.words()) == (Do.ERROR, 201, "no")
    assert at_ib.translated(Trouble("client-id-used"))[0].code == 326
    assert at_ib.translated(Trouble("wrong-account"))[0].text


def test_faults_that_are_added_strike_too() -> None:
    made = rig()
    wire = at_ib.TroubledWire(made.injector)
    wire.add([WireFault("reqPositions", Do.CUT, nth=2)])
    assert wire.strikes(("reqPositions",)) is None
    struck = wire.strikes(("reqPositions",))
    assert struck is not None
    assert struck.do is Do.CUT


def test_a_kill_inside_a_callback_ends_whoever_runs_the_loop() -> None:
    loop = VirtualLoop()

    def die() -> None:
        raise Killed("here")

    async def wait() -> None:
        loop.call_later(1.0, die)
        await asyncio.sleep(5.0)

    waiting = loop.create_task(wait())
    try:
        with pytest.raises(Killed, match="here"):
            loop.run_until_complete(waiting)
        assert loop.time() == pytest.approx(1.0)
    finally:
        waiting.cancel()
        loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
        loop.close()


# ------------------------------------------------------------------ Binance


@pytest.mark.parametrize("name", sorted(at_binance.WIRE))
def test_a_trouble_strikes_the_requests_that_can_suffer_it_and_no_other(name: str) -> None:
    do, where = at_binance.WIRE[name]
    made = rig(Trouble(name, step=7), venue="binance")
    script = at_binance.TroubledRequests(
        (),
        injector=made.injector,
        _rows=[
            (each, at_binance.translated(each.trouble)) for each in made.injector.waiting("wire")
        ],
    )
    assert script.strikes("PATCH nothing", (), NOW) == ()
    assert script.strikes("advance", (), NOW) == ()
    (struck,) = script.strikes(REQUESTS[where], (), NOW)
    assert struck.do is do
    assert made.hits == {(name, 7): 1}
    assert script.strikes(REQUESTS[where], (), NOW) == ()


def test_the_codes_of_a_trouble_reach_the_answer() -> None:
    refused = at_binance.translated(Trouble("order-refused", code=-2019))
    assert refused.code == -2019
    assert at_binance.translated(Trouble("order-unknown")).code == -1007
    about = at_binance.translated(Trouble("quote-stale", subject="BTCUSDT.PERP@BINANCE"))
    assert (about.subject, about.seconds) == ("BTCUSDT", 3600)


# ------------------------------------------------------------------ the engine behind both


@pytest.mark.parametrize("name", sorted(ENGINE))
def test_a_trouble_of_the_engine_strikes_as_its_own_kind(name: str) -> None:
    made = rig(Trouble(name, nth=2, seconds=30.0, subject="KO.STK.USD@IB", step=7))
    script = FaultScript()
    begin(script, made.injector)
    kind = ENGINE[name]
    other = next(each for each in FaultKind if each is not kind)
    assert script.strikes(other, "KO.STK.USD@IB") is None
    assert script.strikes(kind, "JNJ.STK.USD@IB") is None
    assert script.strikes(kind, "KO.STK.USD@IB") is None
    struck = script.strikes(kind, "KO.STK.USD@IB")
    assert struck == Fault(kind, seconds=30.0)
    assert made.hits == {(name, 7): 1}


def test_the_troubles_of_a_run_end_with_it() -> None:
    script = FaultScript()
    begin(script, rig(Trouble("reject", count=None)).injector)
    assert script.strikes(FaultKind.REJECT)
    begin(script, rig().injector)
    assert script.strikes(FaultKind.REJECT) is None


def test_a_script_of_the_venue_s_own_comes_first() -> None:
    script = FaultScript([Fault(FaultKind.REJECT, message="its own")])
    begin(script, rig(Trouble("reject", count=None, text="a trouble")).injector)
    said = [script.strikes(FaultKind.REJECT) for _ in range(2)]
    assert [each.message for each in said if each] == ["its own", "a trouble"]


def test_every_kind_of_the_engine_that_is_a_trouble_is_in_the_table() -> None:
    assert all(faults()[name].kind == "engine" for name in ENGINE)
