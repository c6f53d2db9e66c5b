"""`rebalancer halt` from another process: before a margin question, and between two orders."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import Outcome
from tests.gateways import Gateways
from tests.integration.test_panic import halted_hour, passive_world
from tests.portfolios import FIRST, QUIET, World, equal, make_world, stamp, write_signal

ROOT = Path(__file__).resolve().parents[2]

SLOW_RUN = """
import sys, time
from dataclasses import replace
from pathlib import Path
from rebalancer.cli import main, run
from rebalancer.simulators.faults import Fault, FaultKind, FaultScript

halt, real = Path(sys.argv.pop(1)), run.desk_for


class Slow:
    '''Hands at a venue that answers an order only after the other process is done.'''

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def submit(self, places):
        answer = self.inner.submit(places)
        for _ in range(1200):
            if halt.exists() and halt.read_bytes().endswith(b"\\n"):
                break
            time.sleep(0.05)
        return answer


def slow(*arguments, **more):
    desk = real(*arguments, **more)
    never = FaultScript((Fault(FaultKind.NO_FILL, count=None),))
    broker = replace(desk.broker, faults=never)
    return replace(desk, broker=broker, hands=lambda venue: Slow(desk.hands(venue)))


run.desk_for = slow
sys.exit(main(sys.argv[1:]))
"""
PATIENCE = 60.0


def halted_run(world: World) -> int:
    """Run an hour in one process and halt it from another after its first order."""
    environment = dict(os.environ, REBALANCER_LOCKS=str(world.folder / "locks"))
    words = ["run", "--config", str(world.path), "--at", stamp(FIRST)]
    trader = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, str(world.state / "HALT"), *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + PATIENCE
        while not sent(world):
            assert trader.poll() is None, "the run ended before its first order"
            assert time.monotonic() < until
            time.sleep(0.02)
        subprocess.run(
            [sys.executable, str(ROOT / "run.py"), "halt", "enough", "-c", str(world.path)],
            cwd=ROOT,
            env=environment,
            check=True,
            capture_output=True,
        )
        return trader.wait(PATIENCE)
    finally:
        trader.kill()
        trader.wait()


def sent(world: World) -> bool:
    """Return whether an order of the run is in its journal, which is older than the order."""
    path = world.run_folder(FIRST) / "journal.jsonl"
    return path.exists() and any(line["kind"] == "intents" for line in world.journal(FIRST))


def test_halt_from_another_process_stops_the_next_order_of_a_run(tmp_path: Path) -> None:
    world = make_world(tmp_path, extra=QUIET)
    write_signal(world.folder, equal(), FIRST)
    assert halted_run(world) == 3
    record = world.last()
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert "halt-file" in {flag.code for flag in record.flags}
    assert len(record.approved) == 6
    # One was at the venue when the HALT file came: it was called back, no other followed.
    assert len(world.references()) == 1
    assert Counter(order.status for order in record.orders) == {
        OrderStatus.CANCELLED: 1,
        OrderStatus.NOT_SENT: 5,
    }
    assert not [o for o in world.venue()["orders"] if o["status"] == "working"]
    assert world.holdings() == {}
    # The run after it says the same at once.
    assert world.hour(FIRST.replace(hour=16)).exit_code == 3
    assert len(world.references()) == 1


@pytest.mark.usefixtures("quick")
def test_after_a_halt_the_venue_is_asked_nothing_about_margin_either(tmp_path: Path) -> None:
    gateways = Gateways(passive_world(tmp_path, "waves", "memory"))
    record, wire = halted_hour(gateways.desk(FIRST), FIRST, gateways.world.path, "preview")
    assert wire.before == ["preview"]
    assert wire.since == []
    assert gateways.counts["placeOrder"] == 1  # a what-if is one
    assert (record.outcome, record.exit_code) == (Outcome.HALTED, 3)
    assert record.approved == ()
    assert {each.gate for each in record.refused} == {"halt"}
    assert len(record.refused) == 3
    assert record.orders == ()
