"""Pictures are small, the same each time, and drawn only when they are due."""

from __future__ import annotations

import struct
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.reports.plots import equity_png, weights_png
from tests.unit.reports.stories import SLOT, busy, point, record

ROOT = Path(__file__).resolve().parents[3]


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return int(width), int(height)


def test_years_of_hours_are_a_small_picture() -> None:
    points = [
        point(SLOT + timedelta(hours=n), str(100_000 + (n * 7919) % 9_000)) for n in range(9_000)
    ]
    png = equity_png(points, "USD")
    assert size(png) == (748, 429)
    assert len(png) < 60_000


def test_one_point_is_drawn_as_a_mark() -> None:
    one, other = point(SLOT, "100000"), point(SLOT, "90000")
    assert size(equity_png([one], "USD")) == (748, 429)
    assert equity_png([one], "USD") != equity_png([other], "USD")


def test_the_same_points_are_the_same_bytes_whatever_their_order() -> None:
    points = [point(SLOT + timedelta(hours=n), str(100_000 + n)) for n in range(30)]
    assert equity_png(points, "USD") == equity_png(points[::-1], "USD")
    assert b"Software" not in equity_png(points, "USD")


def test_without_a_point_there_is_no_picture() -> None:
    with pytest.raises(ValueError, match="no point"):
        equity_png([])


def test_weights_are_drawn_where_they_are_known() -> None:
    png = weights_png(busy())
    assert png is not None
    assert size(png)[0] == 748
    assert weights_png(record(before=None, after=None)) is None


def test_a_total_loss_is_drawn_too() -> None:
    ruin = point(SLOT, "0", drawdown=Decimal(1))
    assert size(equity_png([point(SLOT - timedelta(hours=1), "5"), ruin]))


def test_asking_what_is_owed_or_alarming_loads_no_library() -> None:
    code = (
        "import sys, rebalancer.reports.alerts, rebalancer.reports.daily, rebalancer.reports.owed;"
        "import rebalancer.reports.status, rebalancer.notify.post, rebalancer.notify.files;"
        "heavy = {'matplotlib', 'jinja2', 'yagmail', 'pandas', 'PIL'} & set(sys.modules);"
        "print(sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
