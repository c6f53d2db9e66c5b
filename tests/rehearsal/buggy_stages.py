"""Stages of a program that has a bug, in whatever process they are made: found by their name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module

import pytest

from rebalancer.cli import rehearse_stages
from rebalancer.rehearsal.stage import Stage

PATCH = pytest.MonkeyPatch()


@dataclass(frozen=True)
class Stages(rehearse_stages.Stages):
    """Makes the same stages as ever, and sends more than was approved from then on."""

    def __call__(self, venue: str) -> Stage:
        """Return the venue's stage; the bug is in this process afterwards."""
        _plant()
        return super().__call__(venue)


@cache
def _plant() -> None:
    import_module("planted").send_more_than_was_approved(PATCH)


def mend() -> None:
    """Take the bug out of this process."""
    PATCH.undo()
    _plant.cache_clear()
