"""Portfolios for tests of whole hours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rebalancer.simulators.faults import Fault, FaultKind
from tests.integration.hours import KO, SECOND, SYMBOLS, TURNED, WANTED
from tests.portfolios import FIRST, QUIET, World, make_world


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Do not wait for the disk, and keep the account locks of this test to itself."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setenv("REBALANCER_LOCKS", str(tmp_path / "locks"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a portfolio that has not run yet; nothing but orders is ever owed in it."""
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET)
    world.wants(WANTED, FIRST)
    return world


@pytest.fixture
def afternoon(world: World) -> World:
    """Return a portfolio that was built, has an order of its own at work and new wishes."""
    no_fill = Fault(FaultKind.NO_FILL, subject=KO, count=None)
    world.hour(FIRST, faults=[no_fill])
    world.wants(TURNED, SECOND)
    assert [o["status"] for o in world.venue()["orders"]].count("working") == 1
    return world


@pytest.fixture
def inherited(tmp_path: Path) -> World:
    """Return a portfolio whose account held something before its first run."""
    world = make_world(
        tmp_path,
        symbols=SYMBOLS,
        extra=QUIET,
        paper='positions = { "GE.STK.USD@IB" = "100", "KO.STK.USD@IB" = "500" }',
    )
    world.wants(WANTED, FIRST)
    return world
