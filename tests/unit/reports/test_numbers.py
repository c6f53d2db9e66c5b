"""Numbers as people read them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.reports.numbers import (
    basis_points,
    count,
    money,
    percent,
    price,
    quantity,
    span,
)

D = Decimal


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (money(D("1234567.891"), "USD"), "1,234,567.89 USD"),
        (money(D("-0.004"), "USD"), "0.00 USD"),
        (money(D("12.5"), "USD", signed=True), "+12.50 USD"),
        (money(D("-12.5"), "USD", signed=True), "-12.50 USD"),
        (money(D("1500.4"), "JPY"), "1,500 JPY"),
        (money(None, "USD"), "unknown"),
        (percent(0.1234), "12.34 %"),
        (percent(D("-0.05"), signed=True), "-5.00 %"),
        (percent(float("nan")), "unknown"),
        (percent(None), "unknown"),
        (basis_points(D("4.06")), "+4.1 bps"),
        (quantity(D("100.000")), "100"),
        (quantity(D("1E+3")), "1,000"),
        (quantity(D("-0.00100000")), "-0.001"),
        (quantity(D("-0")), "0"),
        (price(D("50")), "50.00"),
        (price(D("1.23456789")), "1.2346"),
        (price(D("0.00001230")), "0.0000123"),
        # What no account can hold is shown too: a report must never fail for it.
        (money(D("9" * 30), "USD"), "1.00E+30 USD"),
        (money(D("-1E+999999"), "USD", signed=True), "-1.00E+999999 USD"),
        (money(D("9" * 18), "USD"), "999,999,999,999,999,999.00 USD"),
        (money(D("0E+30"), "USD"), "0.00 USD"),
        (quantity(D("1E+999999"), signed=True), "+1.00E+999999"),
        (price(D("1E+30")), "1.00E+30"),
        (price(D("NaN")), "unknown"),
        (span(timedelta(hours=2, minutes=10)), "2 h 10 min"),
        (span(timedelta(days=3, hours=4)), "3 d 4 h"),
        (count(0, "order"), "no orders"),
        (count(1, "order"), "1 order"),
    ],
)
def test_numbers_are_shown_as_people_write_them(shown: str, expected: str) -> None:
    assert shown == expected
