"""The table of faults is complete, and every fault in it has somebody who brings it about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rebalancer.simulators.binance_server import troubles as at_binance
from rebalancer.simulators.faults.at_the_engine import ENGINE
from rebalancer.simulators.faults.cells import KINDS, STEPS, cells, faults, left_out
from rebalancer.simulators.faults.files import LASTING
from rebalancer.simulators.faults.injection import ACTS, RAISED
from rebalancer.simulators.ib_gateway import troubles as at_ib

ROOT = Path(__file__).resolve().parents[4]
GIVEN = [f"F{number}" for number in range(1, 24)]
ALWAYS = {"F22", "F23"}
"""Dry runs, and several at once: drawn for all faults (`test_schedule`)."""


def of_kind(kind: str, venue: str = "") -> set[str]:
    """Return the names of a kind, at a venue or at all."""
    rows = faults().values()
    return {row.name for row in rows if row.kind == kind and (not venue or row.at(venue))}


def test_every_given_fault_is_mapped_or_left_out_with_a_reason() -> None:
    mapped = {word for row in faults().values() for word in re.findall(r"F\d+", row.reference)}
    said = {word for what in left_out() for word in re.findall(r"^F\d+", what)}
    assert mapped | said | ALWAYS == set(GIVEN)
    assert mapped | ALWAYS == set(GIVEN)
    assert all(len(left.why) > 20 for left in left_out().values())


def test_every_test_that_has_what_is_left_out_is_there() -> None:
    nodes = [node for left in left_out().values() for node in left.tests]
    assert all(left.tests for left in left_out().values())
    for node in nodes:
        path, _, name = node.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), node


def test_every_row_says_what_it_is_and_where_it_strikes() -> None:
    assert {row.kind for row in faults().values()} == set(KINDS)
    for row in faults().values():
        assert row.meaning.endswith("."), row.name
        assert row.ib or row.binance, row.name
        for place in filter(None, (row.ib, row.binance)):
            assert place.steps, row.name
            assert place.steps <= set(STEPS), row.name
            assert place.at, row.name
            assert place.codes, row.name
            assert row.name == "clock-skew" or min(place.seconds) >= 0, row.name


@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_the_cells_of_a_venue_are_those_of_its_rows(venue: str) -> None:
    found = cells(venue)
    assert found.keys() == {row.name for row in faults().values() if row.at(venue)}
    assert all(found.values())


def test_every_fault_has_somebody_who_brings_it_about() -> None:
    assert of_kind("port") == {*RAISED, *ACTS}
    assert of_kind("file") == {*LASTING, "disk-error", "disk-torn"}
    assert of_kind("read") == {"read-error"}
    sides = {"before", "after"}
    assert of_kind("kill-port") == {f"kill-port-{side}" for side in sides}
    assert of_kind("kill-message") == {f"kill-message-{side}" for side in sides}
    ends = (*sides, "torn", "unsynced")
    assert of_kind("kill-file") == {f"kill-file-{end}" for end in ends}
    assert of_kind("engine") == set(ENGINE)
    assert of_kind("wire", "ib") == {*at_ib.WIRE, "connect-refused"}
    assert of_kind("wire", "binance") == set(at_binance.WIRE)


@pytest.mark.parametrize("venue", ["ib", "binance"])
def test_a_clock_is_ahead_and_behind(venue: str) -> None:
    place = faults()["clock-skew"].at(venue)
    assert place is not None
    assert {1, 9, 30, 3600} == {abs(each) for each in place.seconds}
    assert {-each for each in place.seconds} == set(place.seconds)


def test_the_codes_of_rejections_are_those_that_were_given() -> None:
    refused = faults()["order-refused"]
    assert refused.ib is not None
    assert refused.binance is not None
    assert set(refused.ib.codes) == {201, 110, 200, 103, 321, 442}
    assert set(refused.binance.codes) == {-1013, -2010, -2019, -4164, -2022, -1015}
    noticed = faults()["order-noticed"].ib
    assert noticed is not None
    assert {10349, 399, 2109, 105} <= set(noticed.codes)
