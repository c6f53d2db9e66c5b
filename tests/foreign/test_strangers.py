"""Foreign clients find the simulated venues to be the venues."""

from __future__ import annotations

from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.foreign.environments import (
    DEV_LOCK,
    LOCKS,
    Pin,
    pins,
    with_ib_async,
    with_ib_insync,
    with_python_binance,
)
from tests.foreign.strangers import CLIENTS, Client, Step, Visit, expectations, fits, visit
from tests.foreign.table import render


@pytest.mark.strangers
@pytest.mark.slow
@pytest.mark.timeout(400)  # making an environment downloads
@pytest.mark.xdist_group("strangers")
@pytest.mark.parametrize(
    "client", [pytest.param(one, id=one.name) for one in CLIENTS if not one.optional]
)
def test_a_foreign_client_sees_what_it_must(client: Client) -> None:
    came = visit(client)
    if came.absent:
        pytest.skip(came.absent)
    assert came.is_fine, render([came])


def test_a_bound_and_a_value_fit_or_do_not() -> None:
    assert fits(3, "> 2")
    assert not fits(2, "> 2")
    assert fits(2, ">= 2")
    assert not fits(None, "> 0")
    assert not fits(True, "> 0")
    assert fits("US/Eastern", "any")
    assert not fits("", "any")
    assert fits(10.0, 10)
    assert not fits(1, True)
    assert not fits([202, 10148], [202])


def test_every_client_of_a_venue_has_a_table_and_every_difference_a_client() -> None:
    for venue in ("ib", "binance"):
        packages = {one.package.split()[0] for one in CLIENTS if one.venue == venue}
        assert packages
        for name, step in expectations(venue).items():
            assert set(step) - {"differs"} == {"shows", "expect"}, name
            for package, other in step.get("differs", {}).items():
                assert package in packages, name
                assert set(other) <= set(step["expect"]), name


def test_two_venues_have_a_table_each() -> None:
    both = [next(one for one in CLIENTS if one.venue == venue) for venue in ("ib", "binance")]
    visits = [
        Visit(client, tuple(Step(name, "seen") for name in expectations(client.venue)))
        for client in both
    ]
    text = render(visits)
    assert text.count("1 of 1 clients saw all") == 2
    assert f"all {len(expectations('ib'))} steps" in text
    assert f"all {len(expectations('binance'))} steps" in text


def test_the_table_names_what_was_wrong_and_who_did_not_come() -> None:
    names = list(expectations())
    fine = tuple(Step(name, "seen") for name in names)
    bad = (Step(names[0], "seen", ("version: 175, not 176",), ("< 176",)), *fine[1:])
    text = render(
        [
            Visit(CLIENTS[0], fine),
            Visit(CLIENTS[1], bad),
            Visit(CLIENTS[2], absent="ibapi-10.19: the package index cannot be reached"),
        ]
    )
    assert "version: 175, not 176" in text
    assert "wire  < 176" in text
    assert "not here: ibapi-10.19: the package index cannot be reached" in text
    assert f"1 of 2 clients saw all {len(names)} steps as they must be." in text


def test_a_lock_is_read_and_written_unchanged() -> None:
    lock = DEV_LOCK.read_text()
    assert "".join(pin.text() for pin in pins(lock)) == lock


def test_ib_async_takes_the_place_of_ib_insync_with_the_hashes_of_the_lock() -> None:
    lock = DEV_LOCK.read_text()
    before, after = (
        {pin.name: pin for pin in pins(text)} for text in (lock, with_ib_async(lock, whole=True))
    )
    assert set(before) - set(after) == {"ib-insync", "eventkit"}
    assert not after["ib-async"].marker
    assert after["ib-async"].hashes == before["ib-async"].hashes
    # ib_async 2.1.0 wants tzdata below 2026; the lock pins that one for Python 3.14.
    (old,) = (pin for pin in pins(lock) if pin.name == "tzdata" and ">= '3.14'" in pin.marker)
    assert after["tzdata"] == Pin("tzdata", old.version, "", old.hashes)


def test_the_environments_of_the_two_libraries_hold_no_more_than_they_need() -> None:
    lock = DEV_LOCK.read_text()
    assert {pin.name for pin in pins(with_ib_insync(lock))} == {
        "ib-insync", "eventkit", "nest-asyncio", "numpy", "tzdata",
    }  # fmt: skip
    assert {pin.name for pin in pins(with_ib_async(lock, whole=False))} == {
        "ib-async", "aeventkit", "nest-asyncio", "numpy", "tzdata",
    }  # fmt: skip


def test_the_environment_of_python_binance_holds_all_that_it_needs_and_no_more() -> None:
    lock = with_python_binance(DEV_LOCK.read_text())
    needed, waiting = set[str](), ["python-binance"]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            found = [Requirement(text) for text in requires(name) or ()]
            waiting += [
                canonicalize_name(each.name)
                for each in found
                if each.marker is None or each.marker.evaluate({"extra": ""})
            ]
    held = {pin.name for pin in pins(lock)}
    assert needed <= held
    assert held - needed <= {"typing-extensions"}  # some need it on older Pythons only


def test_the_locks_of_strangers_name_no_place() -> None:
    locks = list(LOCKS.rglob("*.lock"))
    assert {path.stem for path in locks} >= {"ccxt", "binance-sdk"}
    for path in locks:
        assert "".join(pin.text() for pin in pins(path.read_text())) == path.read_text()
    node = list(LOCKS.rglob("package-lock.json"))
    assert {path.parent.name for path in node} == {"stoqey", "binance-npm"}
    for path in node:
        packages = path.read_text()
        assert "://" not in packages
        assert packages.count('"integrity": "sha512-') == packages.count('"version": ')
