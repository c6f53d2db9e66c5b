"""Foreign clients find the simulated gateway to be a gateway."""

from __future__ import annotations

import pytest

from tests.foreign.environments import DEV_LOCK, LOCKS, Pin, pins, with_ib_async, with_ib_insync
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


def test_the_locks_of_strangers_name_no_place() -> None:
    for path in LOCKS.rglob("*.lock"):
        assert "".join(pin.text() for pin in pins(path.read_text())) == path.read_text()
    packages = (LOCKS / "stoqey" / "package-lock.json").read_text()
    assert "http" not in packages
    assert packages.count('"integrity": "sha512-') == packages.count('"version": ')
