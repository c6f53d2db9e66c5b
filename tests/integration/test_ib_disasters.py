"""What cost others real money, tried on whole hours through the client and the gateway.

Each disaster of the orders themselves has its test in tests/unit/ib.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rebalancer.model.instrument import InstrumentId
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from tests.contract.brokers.observer import books_add_up
from tests.gateways import Gateways
from tests.integration.hours import AAPL, EVER, KO, SYMBOLS, WANTED
from tests.portfolios import FIRST, HOUR, QUIET, codes, make_world, stamp

ROOT = Path(__file__).resolve().parents[2]
GARBLED = (
    "accountValue", "portfolioValue", "position", "contractDetails", "marketRule", "tickPrice",
    "openOrder", "orderStatus", "execDetails", "commissionReport", "historicalData",
    "marketDataType", "currentTime", "nextValidId", "managedAccounts",
)  # fmt: skip


@pytest.fixture
def gateways(tmp_path: Path) -> Gateways:
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, transport="memory")
    world.wants(WANTED, FIRST, **EVER)
    return Gateways(world)


def test_disaster_missing_price_as_zero_target(gateways: Gateways) -> None:
    gateways.hour(FIRST)
    held = gateways.world.holdings()
    gateways.world.wants({"KO": "0.9"}, FIRST + HOUR, **EVER)  # AAPL and JNJ are wanted at zero
    gateways.faults = [WireFault("reqMktData", Do.NO_QUOTE, count=None, subject=AAPL)]
    record = gateways.hour(FIRST + HOUR)
    assert "price-missing" in codes(record)
    assert gateways.world.holdings()[AAPL] == held[AAPL]
    assert {fill.instrument for fill in record.fills} != {AAPL}
    assert record.fills


def test_disaster_stale_snapshot_price(gateways: Gateways) -> None:
    gateways.faults = [WireFault("reqMktData", Do.STALE, count=None, subject=KO, seconds=1800)]
    record = gateways.hour(FIRST)
    assert KO not in {fill.instrument for fill in record.fills}
    assert {AAPL} <= {fill.instrument for fill in record.fills}
    refused = {each.intent.instrument: each.reason for each in record.refused}
    assert KO in refused or "price-missing" in codes(record)


def test_disaster_qualification_failure_shifting_a_list(gateways: Gateways) -> None:
    plain = gateways.hour(FIRST)
    world = gateways.world
    for file in (world.state / "ib").glob("contracts*"):
        file.unlink()
    world.wants({"AAPL": "0.5", "KO": "0.2", "MSFT": "0.2"}, FIRST + HOUR, **EVER)
    gateways.faults = [
        WireFault("reqContractDetails", Do.ERROR, count=None, subject=AAPL, code=200)
    ]
    record = gateways.hour(FIRST + HOUR)
    assert "instrument-unknown" in codes(record)
    assert [f.subject for f in record.flags if f.code == "instrument-unknown"] == [AAPL]
    names = {InstrumentId(f"{symbol}.STK.USD@IB") for symbol in ("JNJ", "KO", "MSFT")}
    assert {fill.instrument for fill in record.fills} <= names
    traded = {o["instrument"] for o in world.venue()["orders"][len(plain.orders) :]}
    assert traded <= names
    assert traded


@pytest.mark.parametrize("do", [Do.GARBAGE, Do.GARBAGE_BYTES, Do.CUT_INSIDE])
@pytest.mark.parametrize("name", GARBLED)
def test_garbage_on_the_wire_ends_in_a_clear_error_and_loses_nothing(
    gateways: Gateways, name: str, do: Do
) -> None:
    """Bytes on the wire fuzzed: nothing is sent afterwards, nothing is lost."""
    gateways.faults = [WireFault(name, do, nth=2 if name != "managedAccounts" else 1, count=None)]
    record = gateways.hour(FIRST)
    assert record.exit_code in (0, 3, 4, 5), gateways.world.alert(FIRST)
    assert "Traceback" not in gateways.world.alert(FIRST)
    books_add_up(gateways.world.state / "paper")
    gateways.faults = ()
    clean = gateways.hour(FIRST + HOUR)
    for _ in range(3):
        if clean.exit_code == 0:
            break
        clean = gateways.hour(clean.slot + HOUR)
    assert clean.exit_code == 0
    assert not clean.standing or not clean.standing.latched
    counted = gateways.world.references()
    assert not counted or max(counted.values()) == 1
    told = {line["fill"]["exec_id"] for line in gateways.world.fill_lines()}
    assert told == {each["id"] for each in gateways.world.venue()["executions"]}


def test_a_gateway_that_dies_at_the_third_order_leaves_books_that_the_next_run_mends(
    gateways: Gateways,
) -> None:
    gateways.faults = [WireFault("placeOrder:new", Do.CUT_AFTER, nth=3)]
    record = gateways.hour(FIRST)
    assert record.exit_code in (3, 5)
    gateways.faults = ()
    for number in (1, 2, 3):
        record = gateways.hour(FIRST + number * HOUR)
    assert record.exit_code == 0
    assert max(gateways.world.references().values()) == 1
    told = {line["fill"]["exec_id"] for line in gateways.world.fill_lines()}
    assert told == {each["id"] for each in gateways.world.venue()["executions"]}


def test_a_run_that_is_killed_takes_its_gateway_along_and_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, transport="socket")
    world.wants(WANTED, FIRST, **EVER)
    words = [sys.executable, str(ROOT / "run.py"), "run", "--config", str(world.path), "--at"]
    environment = {**os.environ, "REBALANCER_LOCKS": str(tmp_path / "locks")}
    first = subprocess.Popen([*words, stamp(FIRST)], env=environment, stdout=subprocess.DEVNULL)
    journal = world.run_folder(FIRST) / "journal.jsonl"
    until = time.monotonic() + 60
    while time.monotonic() < until and first.poll() is None:
        if journal.exists() and '"intents"' in journal.read_text(encoding="utf-8"):
            first.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    assert first.wait(60) == -signal.SIGKILL
    done = subprocess.run(
        [*words, stamp(FIRST + HOUR)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 5), done.stdout + done.stderr
    last = subprocess.run(
        [*words, stamp(FIRST + 2 * HOUR)], env=environment, capture_output=True, check=False
    )
    assert last.returncode == 0
    books_add_up(world.state / "paper")
    assert max(world.references().values()) == 1
    told = {line["fill"]["exec_id"] for line in world.fill_lines()}
    assert told == {each["id"] for each in world.venue()["executions"]}


def test_the_gateway_is_gone_when_the_run_is(gateways: Gateways) -> None:
    seen: list[LocalGateway] = []
    gateways.before = seen.append
    gateways.hour(FIRST)
    (gateway,) = seen
    assert gateway.gateway.sessions == {}
