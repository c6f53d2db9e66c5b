"""One ratio everywhere is an adjustment of the past; anything else is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Panel
from rebalancer.working.overlap import Overlap, Verdict, aligned, compare, without_stored

A, B = InstrumentId("A.STK.USD@IB"), InstrumentId("B.STK.USD@IB")
DAY = 86_400
NAN = float("nan")


def column(*closes: float, first: int = 0, name: InstrumentId = A) -> Panel:
    times = (np.arange(len(closes)) + first) * DAY + 21 * 3600
    return Panel((name,), times.astype(np.int64), np.array(closes, np.float64)[:, None])


def verdict(stored: Sequence[float], fresh: Sequence[float]) -> Overlap:
    return compare(column(*stored), column(*fresh))[A]


def test_bars_that_agree_go_on() -> None:
    assert verdict((1.5, 2.5, 3.5), (1.5, 2.5, 3.5, 4.5)).verdict is Verdict.SAME


def test_what_is_not_stored_is_new_and_what_did_not_come_proves_nothing() -> None:
    assert compare(column(1.0, name=B), column(1.0))[A].verdict is Verdict.NEW
    assert verdict((1.0, 2.0), (NAN, NAN)).verdict is Verdict.SAME


def test_a_split_of_four_for_one_is_a_ratio_of_a_quarter() -> None:
    found = verdict((400.0, 404.0, 396.0), (100.0, 101.0, 99.0, 100.5))
    assert found.verdict is Verdict.ADJUSTED
    assert found.ratio == 0.25


@given(
    ratio=st.sampled_from([1 / 2, 1 / 3, 2 / 3, 1 / 4, 1 / 10, 1 / 20, 4 / 5]),
    cents=st.lists(st.integers(1_000, 100_000), min_size=2, max_size=60),
    places=st.integers(2, 4),
)
def test_a_split_is_one_whatever_rounding_made_of_its_prices(
    ratio: float, cents: list[int], places: int
) -> None:
    stored = [each / 100 for each in cents]
    found = verdict(stored, [round(each * ratio, places) for each in stored])
    assert found.verdict is Verdict.ADJUSTED
    assert found.ratio == pytest.approx(ratio, rel=0.02)


def test_a_dividend_is_a_ratio_up_to_the_rounding_of_cents() -> None:
    # A dividend of 0.83 on 170.00: every earlier close times 169.17 / 170 = 0.995117647...
    stored = (170.0, 168.53, 171.29, 169.11)
    fresh = tuple(round(close * 169.17 / 170, 2) for close in stored)
    found = verdict(stored, (*fresh, 169.9))
    assert found.verdict is Verdict.ADJUSTED
    assert found.ratio == pytest.approx(0.9951176, rel=1e-4)


def test_a_rounding_of_pips_does_not_hide_a_difference_of_a_currency_pair() -> None:
    stored = (1.08455, 1.08325, 1.0912, 1.0875)
    assert verdict(stored, (1.08455, 1.08325, 1.0932, 1.0875)).verdict is Verdict.DISAGREES


def test_a_newest_bar_that_moved_a_little_was_corrected_after_the_close() -> None:
    found = verdict((10.0, 11.0, 12.0), (10.0, 11.0, 12.05, 12.4))
    assert found.verdict is Verdict.CORRECTED
    assert found.words == "stored 12.0, the venue says 12.05"


def test_a_newest_bar_that_moved_much_is_no_correction() -> None:
    assert verdict((10.0, 11.0, 12.0), (10.0, 11.0, 12.5)).verdict is Verdict.DISAGREES


def test_one_bar_in_the_middle_that_differs_is_bad_data() -> None:
    assert verdict((10.0, 11.0, 12.0, 13.0), (10.0, 11.5, 12.0, 13.0)).verdict is Verdict.DISAGREES


def test_two_ratios_are_bad_data() -> None:
    stored = (10.0, 11.0, 12.0, 13.0)
    assert verdict(stored, (5.0, 5.5, 4.0, 4.33)).verdict is Verdict.DISAGREES


def test_bars_without_one_in_common_prove_nothing() -> None:
    assert compare(column(1.0, 2.0), column(3.0, first=5))[A].verdict is Verdict.APART


def test_what_is_stored_already_is_taken_out() -> None:
    left = without_stored(column(1.0, NAN, 3.0), column(1.0, 2.0, 3.5, 4.0))
    assert np.isnan(left.values[:, 0]).tolist() == [True, False, True, False]
    assert left.values[[1, 3], 0].tolist() == [2.0, 4.0]


def test_a_day_has_the_closing_time_that_is_stored_for_it() -> None:
    stored = column(1.0, 2.0)
    times = np.array([18 * 3600, DAY + 21 * 3600, 2 * DAY + 18 * 3600], np.int64)
    fresh = Panel((A,), times, np.array([[1.0], [2.0], [3.0]]))
    assert aligned(fresh, stored.times).times.tolist() == [
        21 * 3600,
        DAY + 21 * 3600,
        2 * DAY + 18 * 3600,
    ]
