"""Made-up prices: the same for the same seed, on the grid, beside what was recorded."""

from __future__ import annotations

import numpy as np
import pytest

from rebalancer.errors import DataError
from rebalancer.simulators.binance_server.symbol_table import symbol_table
from rebalancer.simulators.candle_recording import candle_recording, units
from rebalancer.simulators.recording import recording
from rebalancer.simulators.walks import daily_walks, hourly_walks


def test_made_up_closes_stand_beside_the_recorded_ones() -> None:
    recorded = recording("us_equities")
    name = daily_walks(recorded, ["ZZZZ", "YYYY", "KO"], currency="USD", seed=3)
    made = recording(name)
    assert set(made.symbols) - set(recorded.symbols) == {"ZZZZ", "YYYY"}
    old, new = (each.closes[:, each.symbols.index("KO")] for each in (recorded, made))
    assert np.array_equal(old, new)
    walk = made.closes[:, made.symbols.index("ZZZZ")]
    assert walk.min() >= 1.0
    assert np.array_equal(np.round(walk, 2), walk)
    assert np.abs(walk[1:] / walk[:-1] - 1).max() < 0.06  # 0.012 x 3.47, and rounding
    assert not np.array_equal(walk, made.closes[:, made.symbols.index("YYYY")])


def test_another_currency_has_none_of_the_recorded_ones() -> None:
    name = daily_walks(recording("us_equities"), ["SAP"], currency="EUR", seed=3)
    made = recording(name)
    assert (made.currency, made.symbols) == ("EUR", ("SAP",))


def test_the_same_seed_walks_the_same_way() -> None:
    recorded = recording("us_equities")
    walks = []
    for symbols in (["AAAA1", "B"], ["B", "C"]):
        made = recording(daily_walks(recorded, symbols, currency="USD", seed=9))
        walks.append(made.closes[:, made.symbols.index("B")])
    assert np.array_equal(walks[0], walks[1])


def test_made_up_hours_are_on_the_symbol_s_tick() -> None:
    recorded = candle_recording("binance_perps_2025")
    made = candle_recording(hourly_walks(recorded, ["DOGEUSDT", "NOSUCHUSDT"], seed=5))
    assert set(made.hours) - set(recorded.hours) == {"DOGEUSDT"}
    grid = units(str(symbol_table()["usdm", "DOGEUSDT"].tick))
    hours = made.hours["DOGEUSDT"]
    rows = [hours.row(number) for number in range(hours.first, hours.first + 200)]
    for row in rows:
        assert row is not None
        assert row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high
        assert not any(price % grid for price in row[:4])
    assert made.funding["DOGEUSDT"]


def test_what_nobody_made_is_not_found() -> None:
    with pytest.raises(DataError, match="there is no such"):
        recording("us_equities+USD+1+NOBODY")
