"""Limits at the edges of their grid: a level's first price, off it, below a tick, below zero."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rebalancer.model.instrument import Instrument, InstrumentId, Kind, PriceSign
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.signals import Unit
from rebalancer.planning import LimitStyle
from tests.unit.planning.worlds import account, exactly, market, plan, quote, signal, stock

D = Decimal
A = stock("A")
LEVELS = TradingRules((PriceLevel(D(0), D("0.0001")), PriceLevel(D(1), D("0.01"))))


def limits(
    each: Instrument, bid: str, ask: str, *, style: LimitStyle = LimitStyle.MARKETABLE,
    offset: str = "0",
) -> tuple[Decimal, Decimal]:  # fmt: skip
    """Return the limits of a buy and of a sale."""
    words = exactly(limit_style=style, limit_offset_bps=D(offset), allow_short=True)
    found = []
    for held, target in (("0", "7"), ("7", "0")):
        made = plan(
            [each], None, account("100000", {each: held}), market(quote(each, bid, ask)), words,
            signals={"s": signal("s", {each: D(target)}, unit=Unit.LOTS)},
        )  # fmt: skip
        found.append(made.orders[0].limit)
    return found[0], found[1]


@pytest.mark.parametrize(
    ("bid", "ask", "offset", "buy", "sell"),
    [
        # 0.9995 x 1.0005003 = 1.00000004985: above one dollar the step is a cent.
        ("0.9995", "0.9995", "5.003", "1.01", "0.9989"),
        # 0.9994 x 1.0005 = 0.9998997: still below it.
        ("0.9994", "0.9994", "5", "0.9999", "0.9989"),
        # At one dollar exactly it is on both grids.
        ("1", "1", "0", "1", "1"),
    ],
)
def test_the_step_is_that_of_the_price_the_limit_comes_to(
    bid: str, ask: str, offset: str, buy: str, sell: str
) -> None:
    assert limits(stock("X", rules=LEVELS), bid, ask, offset=offset) == (D(buy), D(sell))


@pytest.mark.parametrize(
    ("price", "offset", "buy", "sell"),
    [
        # 10.12 x 1.09 = 11.0308 and x 0.91 = 9.2092: to the next cent away from us.
        ("10.12", "900", "11.04", "9.20"),
        # 10.00 x 1.001 = 10.01 exactly, x 0.999 = 9.99 exactly: no cent more.
        ("10.00", "10", "10.01", "9.99"),
        # 12,345.67 x 0.0123456789 is 152.4156...; the last digits of the offset count.
        ("12345.67", "123.45678", "12498.09", "12193.25"),
        # A tenth of a basis point's ten-thousandth lifts a price on the grid to the next cent.
        ("10.00", "0.00001", "10.01", "9.99"),
    ],
)
def test_an_offset_is_granted_in_full_and_no_step_more(
    price: str, offset: str, buy: str, sell: str
) -> None:
    assert limits(A, price, price, offset=offset) == (D(buy), D(sell))


def test_a_limit_is_never_below_one_step() -> None:
    # 0.01 x 0.9 = 0.009 would be floored to nothing.
    assert limits(A, "0.01", "0.01", offset="1000") == (D("0.02"), D("0.01"))


def test_a_bound_off_the_grid_is_put_on_it() -> None:
    # Ten percent beyond, yet not past the other side: a sale at 10.004 or more is 10.01, a buy
    # at 10.036 or less is 10.03.
    found = limits(A, "10.004", "10.036", style=LimitStyle.PASSIVE, offset="1000")
    assert found == (D("10.03"), D("10.01"))


@pytest.mark.parametrize(
    ("bid", "ask", "offset", "buy", "sell"),
    [
        # Half a percent of 2.00 is a cent: a buyer gives -1.99, a seller takes -2.01.
        ("-2.00", "-2.00", "50", "-1.99", "-2.01"),
        # -2.03 + 0.01015 = -2.01985 -> -2.01 towards the market; -2.03 - 0.01015 -> -2.05.
        ("-2.03", "-2.03", "50", "-2.01", "-2.05"),
        # 37.5 bps of 1.37 are 0.0051375: -1.3648625 -> -1.36, -1.3751375 -> -1.38.
        ("-1.37", "-1.37", "37.5", "-1.36", "-1.38"),
        # An offset of a price of zero is nothing.
        ("0", "0.04", "100", "0.05", "0.00"),
    ],
)
def test_what_may_cost_less_than_nothing_has_its_limits_below_zero(
    bid: str, ask: str, offset: str, buy: str, sell: str
) -> None:
    name = InstrumentId("S.STK.USD@IB")
    spread = Instrument(name, Kind.STOCK, "S", "USD", "XNYS", price_sign=PriceSign.ANY)
    assert limits(spread, bid, ask, offset=offset) == (D(buy), D(sell))
