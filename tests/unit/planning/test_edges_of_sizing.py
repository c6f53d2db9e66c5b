"""The leverage cap at its corners: the largest scale that fits, never one that turns around."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest

from rebalancer.model.plan import Why
from rebalancer.model.signals import Unit
from rebalancer.planning.sizing import _largest_within
from tests.unit.planning.worlds import (
    account,
    exactly,
    market,
    plan,
    quote,
    signal,
    sleeve,
    stock,
    wanted,
)

D = Decimal
A = stock("A")


@pytest.mark.parametrize(
    ("fixed", "moving", "cap", "found"),
    [
        # One that is held at 1 and wanted lower by 2: |1 - 2x| <= 0.5 from 0.25 to 0.75.
        ([1.0], [-2.0], 0.5, 0.75),
        # Corners at 1/4 and 3/4: |1 - 4x| + |6 - 8x| is 7, 4, 2, 5 at 0, 1/4, 3/4, 1; the cap
        # of 3 is met again at 2 + 12 (x - 3/4) = 3.
        ([1.0, 6.0], [-4.0, -8.0], 3.0, 5 / 6),
        # The lowest of four corners is the first, 1/8: there it is 0.25 + 0.375 + 0.4375 =
        # 1.0625, then it rises by 16 - 3.5: 0.9375 / 12.5 = 0.075 further it is 2.
        ([2.0, 0.5, 0.5, 0.5], [-16.0, -2.0, -1.0, -0.5], 2.0, 0.2),
        # ... or the last of three, 7/8: 0.625 + 0.1875, then it rises by 17.5: 1.75 more is 0.1.
        ([14.0, 0.25, 0.25], [-16.0, -1.0, -0.5], 2.5625, 0.975),
        # No corner within reach of the cap: the lowest one is the best there is.
        ([1.0, 6.0, 1.0], [-4.0, -8.0, 0.0], 2.5, 0.75),
        ([1.0, 3.0], [-4.0, -4.0], 1.75, 0.25),
        # Flat at exactly the cap between 1/4 and 3/4: the most that fits.
        ([1.0, 3.0], [-4.0, -4.0], 2.0, 0.75),
        # It would be fine beyond 1 only: all of it, and no more.
        ([1.5], [-0.25], 1.0, 1.0),
        # It would be fine below 0 only: none of it, and no turning around.
        ([1.5], [0.25], 1.0, 0.0),
        # Nothing held: in proportion.
        ([0.0, 0.0], [0.5, -1.5], 1.0, 0.5),
    ],
)
def test_the_largest_scale_within_the_cap_is_found(
    fixed: Sequence[float], moving: Sequence[float], cap: float, found: float
) -> None:
    assert _largest_within(np.array(fixed), np.array(moving), cap) == pytest.approx(found)


@pytest.mark.parametrize(
    ("weight", "remembered", "held", "order"),
    [
        # b may keep 120 of the 120 held at 10 = 120 % of capital; a wants 50 % more of it. That
        # is above a cap of 1 without a: a gets nothing, and nothing is sold for it.
        ("1", "120", "120", None),
        # b may keep 150; a wants 30 % less, the cap would want 50 % less: 30 are sold.
        ("-0.6", "150", "150", -30),
    ],
)
def test_a_wish_is_never_turned_around_nor_made_larger_to_reach_the_cap(
    weight: str, remembered: str, held: str, order: int | None
) -> None:
    made = plan(
        [A], None, account("1000", {A: held}, {"USD": "0"}), market(quote(A, "10")),
        exactly(allow_short=True),
        sleeves=(sleeve("a", [A], "0.5"), sleeve("b", [A], "0.5")),
        signals={"a": signal("a", {A: weight})}, lots={"b": {A.id: D(remembered)}},
    )  # fmt: skip
    assert wanted(made) == ({} if order is None else {"A": D(order)})
    assert "leverage-unreachable" in {flag.code for flag in made.flags}


# ---------------------------------------------------------------------------- whole lots


@pytest.mark.parametrize(
    ("lots", "size"),
    [
        ("12.5", 13),
        # As floats all of these are twelve and a half; exactly they are a hair less or more.
        ("12.49999999999999999999", 12),
        ("12.50000000000000000001", 13),
        ("-12.49999999999999999999", -12),
        ("-12.5", -13),
    ],
)
def test_a_hair_below_a_half_is_rounded_down(lots: str, size: int) -> None:
    made = plan(
        [A], {A: lots}, account("1000"), market(quote(A, "10")), exactly(allow_short=True),
        said={"unit": Unit.LOTS},
    )  # fmt: skip
    assert wanted(made) == {"A": D(size)}


@pytest.mark.parametrize(
    ("lots", "code"), [(str(2**53 - 1), Why.ORDER), (str(2**53), Why.OUT_OF_RANGE)]
)
def test_the_first_size_that_floats_do_not_count_is_held(lots: str, code: Why) -> None:
    made = plan([A], {A: lots}, account("1e15"), market(quote(A, "0.01")), said={"unit": Unit.LOTS})
    assert made.columns is not None
    assert made.columns.why.tolist() == [code]


def test_a_wish_of_zero_needs_no_price_and_half_a_lot_has_none() -> None:
    # A is wanted at zero, B at half a lot, by two sleeves that both speak of both.
    b = stock("B")
    made = plan(
        [A, b], None, account("1000"), market(),
        sleeves=(sleeve("lots", [A, b], "0.5"), sleeve("weights", [A, b], "0.5")),
        signals={
            "lots": signal("lots", {b: "0.5"}, unit=Unit.LOTS),
            "weights": signal("weights", {A: "0", b: "0"}),
        },
    )  # fmt: skip
    assert made.orders == ()
    assert made.columns is not None
    assert made.columns.targeted.tolist() == [True, True]
    assert made.columns.target.tolist()[0] == 0
    assert made.columns.target_weight[0] == 0.0
    assert np.isnan(made.columns.target_weight[1])


def test_what_is_kept_has_what_is_held_as_its_target_not_what_is_remembered() -> None:
    made = plan(
        [A], None, account("1000", {A: "9"}), market(quote(A, "10")), lots={"s": {A.id: D(6)}}
    )
    assert made.columns is not None
    assert made.columns.target.tolist() == [9]
    assert made.columns.target_weight.tolist() == [0.09]
