"""Signals around a run: each kind ends what it must once, and the deadline outlives a SIGTERM."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from rebalancer.cli.guard import guarded
from rebalancer.errors import DeadlineExceeded, Interrupted


def strike(number: int) -> None:
    os.kill(os.getpid(), number)


def test_the_deadline_also_bounds_the_closing_after_a_sigterm(tmp_path: Path) -> None:
    with guarded(tmp_path, "simulated", "A", 60.0, trades=False):
        with pytest.raises(Interrupted, match="SIGTERM"):
            strike(signal.SIGTERM)
        strike(signal.SIGTERM)  # the closing of the books is not disturbed again
        strike(signal.SIGINT)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        with pytest.raises(DeadlineExceeded, match="60 s"):
            strike(signal.SIGALRM)
        strike(signal.SIGALRM)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_who_asks_a_late_run_to_end_is_heard_once(tmp_path: Path) -> None:
    with guarded(tmp_path, "simulated", "A", 60.0, trades=False):
        with pytest.raises(DeadlineExceeded):
            strike(signal.SIGALRM)
        with pytest.raises(Interrupted):
            strike(signal.SIGINT)
        strike(signal.SIGTERM)
