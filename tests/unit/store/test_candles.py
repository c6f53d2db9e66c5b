"""Stored bars are merged by time and never change."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from rebalancer.errors import DataError, NewerState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Panel
from rebalancer.model.records import SCHEMA
from rebalancer.store.atomic import Files
from rebalancer.store.candles import CandleStore

A, B, C = (InstrumentId(f"{name}.STK.USD@IB") for name in "ABC")
FIRST = int(datetime(2020, 3, 2, 21, tzinfo=UTC).timestamp())
DAY = 86_400
NAN = float("nan")


def panel(names: tuple[InstrumentId, ...], rows: dict[int, tuple[float, ...]]) -> Panel:
    times = np.array([FIRST + day * DAY for day in rows], dtype=np.int64)
    return Panel(names, times, np.array(list(rows.values()), dtype=np.float64))


def table(found: Panel) -> dict[int, list[float | None]]:
    return {
        (int(at) - FIRST) // DAY: [None if np.isnan(value) else float(value) for value in row]
        for at, row in zip(found.times, found.values, strict=True)
    }


def test_bars_are_merged_by_time_and_instrument(tmp_path: Path) -> None:
    store = CandleStore(tmp_path / "candles", Files())
    store.add(panel((B, A), {1: (11.0, 1.1), 2: (12.0, NAN)}))
    store.add(panel((A, C), {0: (1.0, 100.0), 2: (1.2, 102.0)}))
    again = CandleStore(tmp_path / "candles", Files())
    assert table(again.panel((A, B, C))) == {
        0: [1.0, None, 100.0],
        1: [1.1, 11.0, None],
        2: [1.2, 12.0, 102.0],
    }
    assert table(again.panel((B,))) == {1: [11.0], 2: [12.0]}
    assert stat.S_IMODE((tmp_path / "candles/bars.npz").stat().st_mode) == 0o600


def test_what_is_not_stored_is_nan_and_an_empty_store_has_no_bars(tmp_path: Path) -> None:
    store = CandleStore(tmp_path, Files())
    assert (len(store.panel((A,))), store.panel((A,)).instruments) == (0, (A,))
    store.add(panel((A,), {0: (1.0,)}))
    assert table(store.panel((A, C))) == {0: [1.0, None]}


def test_a_bar_that_changes_is_refused_with_its_name_and_date(tmp_path: Path) -> None:
    store = CandleStore(tmp_path, Files())
    store.add(panel((A, B), {0: (1.0, 2.0), 1: (1.5, 2.5)}))
    changed = panel((B, A), {1: (2.5000000001, 1.5), 2: (3.0, 3.0)})
    with pytest.raises(DataError, match=r"B\.STK\.USD@IB: its bar of 2020-03-03 21:00 UTC .*2\.5"):
        store.add(changed)
    for kept in (store, CandleStore(tmp_path, Files())):
        assert table(kept.panel((A, B))) == {0: [1.0, 2.0], 1: [1.5, 2.5]}


def test_a_gap_can_be_filled_and_nan_takes_nothing_away(tmp_path: Path) -> None:
    store = CandleStore(tmp_path, Files())
    store.add(panel((A, B), {0: (1.0, NAN)}))
    store.add(panel((A, B), {0: (NAN, 2.0)}))
    assert table(store.panel((A, B))) == {0: [1.0, 2.0]}


class Counting(Files):
    writes = 0

    def replace(self, path: Path, content: bytes) -> None:
        self.writes += 1
        super().replace(path, content)


def test_adding_what_is_there_writes_nothing(tmp_path: Path) -> None:
    files = Counting()
    store = CandleStore(tmp_path, files)
    bars = panel((A,), {0: (1.0,)})
    store.add(bars)
    store.add(bars)
    CandleStore(tmp_path, files).add(bars)
    assert files.writes == 1


def test_the_same_bars_have_the_same_bytes(tmp_path: Path) -> None:
    one, two = panel((A, B), {0: (1.0, 2.0)}), panel((B, A), {0: (2.0, 1.0)})
    for name, bars in (("1", one), ("2", two)):
        CandleStore(tmp_path / name, Files()).add(bars)
    assert (tmp_path / "1/bars.npz").read_bytes() == (tmp_path / "2/bars.npz").read_bytes()


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.95])
def test_a_damaged_file_is_put_aside_and_made_anew(tmp_path: Path, keep: float) -> None:
    CandleStore(tmp_path, Files()).add(panel((A,), {0: (1.0,)}))
    path = tmp_path / "bars.npz"
    content = path.read_bytes()
    damaged = content[: int(keep if keep >= 1 else keep * len(content))]
    path.write_bytes(damaged)
    dry = CandleStore(tmp_path / "dry", Files(), base=CandleStore(tmp_path, Files()))
    assert len(dry.panel((A,))) == 0
    assert "is damaged" in dry.dropped
    store = CandleStore(tmp_path, Files())
    assert store.dropped == ""
    assert len(store.panel((A,))) == 0
    assert "bars.npz is damaged" in store.dropped
    assert path.read_bytes() == damaged  # nothing is lost before there is something new
    store.add(panel((A,), {0: (2.0,)}))
    aside = tmp_path / "bars.npz.damaged"
    assert (aside.read_bytes() if damaged else b"") == damaged
    again = CandleStore(tmp_path, Files())
    assert table(again.panel((A,))) == {0: [2.0]}
    assert again.dropped == ""


def test_a_newer_file_is_refused_and_pickles_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "bars.npz"
    none, empty = np.zeros(0, np.int64), np.zeros((0, 0))
    names = np.array([], dtype=np.str_)
    np.savez(path, schema=np.array(SCHEMA + 1), instruments=names, times=none, values=empty)
    with pytest.raises(NewerState):
        CandleStore(tmp_path, Files()).panel((A,))
    pickled = np.array([object()])
    np.savez(path, schema=np.array(1), instruments=pickled, times=none, values=empty)
    store = CandleStore(tmp_path, Files())
    assert len(store.panel((A,))) == 0
    assert "is damaged" in store.dropped


def test_a_dry_run_adds_to_its_own_copy(tmp_path: Path) -> None:
    live = CandleStore(tmp_path / "live", Files())
    live.add(panel((A,), {0: (1.0,)}))
    before = (tmp_path / "live/bars.npz").read_bytes()
    dry = CandleStore(tmp_path / "dry", Files(), base=CandleStore(tmp_path / "live", Files()))
    dry.add(panel((A,), {1: (2.0,)}))
    assert table(dry.panel((A,))) == {0: [1.0], 1: [2.0]}
    assert (tmp_path / "live/bars.npz").read_bytes() == before


def test_prices_come_back_bit_for_bit(tmp_path: Path) -> None:
    odd = 0.1 + 0.2
    CandleStore(tmp_path, Files()).add(panel((A,), {0: (odd,)}))
    found = CandleStore(tmp_path, Files()).panel((A,))
    assert float(found.values[0, 0]).hex() == odd.hex()
    assert found.last_time() == datetime(2020, 3, 2, 21, tzinfo=UTC) + timedelta(0)


def test_a_replaced_instrument_keeps_nothing_of_before_and_the_others_all(tmp_path: Path) -> None:
    store = CandleStore(tmp_path, Files())
    store.add(panel((A, B), {0: (4.0, 10.0), 1: (8.0, NAN), 2: (NAN, 12.0)}))
    store.replace(panel((A,), {0: (1.0,), 2: (3.0,)}))
    for kept in (store, CandleStore(tmp_path, Files())):
        assert table(kept.panel((A, B))) == {0: [1.0, 10.0], 2: [3.0, 12.0]}
    store.replace(panel((A,), {0: (NAN,)}))
    assert CandleStore(tmp_path, Files()).everything().instruments == (B,)


def test_hourly_bars_have_a_file_of_their_own(tmp_path: Path) -> None:
    hourly = CandleStore(tmp_path, Files(), name="bars-hourly.npz")
    hourly.add(panel((A,), {0: (1.0,)}))
    assert len(CandleStore(tmp_path, Files()).everything()) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["bars-hourly.npz"]


def test_a_dry_run_replaces_in_its_own_file_only(tmp_path: Path) -> None:
    base = CandleStore(tmp_path / "real", Files())
    base.add(panel((A, B), {0: (4.0, 10.0)}))
    dry = CandleStore(tmp_path / "dry", Files(), base=base)
    dry.replace(panel((A,), {0: (1.0,)}))
    assert table(dry.panel((A, B))) == {0: [1.0, 10.0]}
    assert table(CandleStore(tmp_path / "real", Files()).panel((A, B))) == {0: [4.0, 10.0]}
