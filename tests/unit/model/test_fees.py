"""Fees: published examples, executions that add up, columns that agree with the exact fee."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.errors import DataError
from rebalancer.model.fees import FEE_SCHEDULES, OrderSoFar, fee_schedule
from rebalancer.model.instrument import Instrument, InstrumentId, Kind

D = Decimal


def stock(currency: str = "USD") -> Instrument:
    return Instrument(
        InstrumentId(f"A.STK.{currency}@IB"), Kind.STOCK, "A", currency, calendar="XNYS"
    )


def pair(symbol: str, currency: str) -> Instrument:
    name = InstrumentId(f"{symbol}.{currency}.FX@IB")
    return Instrument(name, Kind.FOREX, symbol, currency, calendar="24/5")


def future() -> Instrument:
    return Instrument(
        InstrumentId("ES.FUT.202612@IB"), Kind.FUTURE, "ES", "USD", "CME", multiplier=D(50)
    )


def pence() -> Instrument:
    return Instrument(
        InstrumentId("VOD.STK.GBP@IB"), Kind.STOCK, "VOD", "GBP", "XLON", magnifier=D(100)
    )


def crypto() -> Instrument:
    return Instrument(
        InstrumentId("BTCUSDT.PERP@BINANCE"), Kind.PERPETUAL, "BTCUSDT", "USDT", "24/7"
    )


def plain_ib(**more: str) -> dict[str, str]:
    """Return overrides that switch the regulators' fees off."""
    return {"sec_rate": "0", "activity_per_share": "0", "audit_per_share": "0"} | more


@pytest.mark.parametrize(
    ("shares", "price", "commission"),
    [
        # The three examples that Interactive Brokers prints beside its fixed prices.
        ("100", "25", "1.00"),
        ("1000", "25", "5.00"),
        ("1000", "0.25", "2.50"),
        # The cap wins over the minimum: 1 % of 10 x 2.00 = 0.20, although the minimum is 1.00.
        ("10", "2", "0.20"),
        # And exactly where they meet: 1 % of 10 x 10 = 1.00.
        ("10", "10", "1.00"),
    ],
)
def test_ib_fixed_charges_what_it_prints(shares: str, price: str, commission: str) -> None:
    fees = fee_schedule("ib-fixed", **plain_ib())
    money = fees.order_fee(stock(), D(shares), D(price))
    assert (money.amount, money.currency) == (D(commission), "USD")


def test_sales_of_us_stocks_pay_the_regulators_too() -> None:
    # 1000 x 0.005 = 5; SEC 25,000 x 0.0000278 = 0.695; TAF 1000 x 0.000166 = 0.166;
    # audit trail 1000 x 0.000072 = 0.072.
    fees = fee_schedule("ib-fixed")
    assert fees.order_fee(stock(), D(-1000), D(25)).amount == D("5.933")
    assert fees.order_fee(stock(), D(1000), D(25)).amount == D("5.072")


def test_the_activity_fee_of_a_sale_is_capped() -> None:
    # 100,000 x 0.000166 = 16.60, capped at 8.30; commission 100,000 x 0.005 = 500.
    fees = fee_schedule("ib-fixed", sec_rate="0", audit_per_share="0")
    assert fees.order_fee(stock(), D(-100_000), D(25)).amount == D("508.30")


def test_ib_tiered_adds_clearing_exchange_and_pass_through() -> None:
    # 1000 x 0.0035 = 3.50; pass-through 3.50 x 0.000738 = 0.002583; clearing 0.20; taking 3.00.
    fees = fee_schedule("ib-tiered", **plain_ib())
    assert fees.order_fee(stock(), D(1000), D(25)).amount == D("6.702583")
    assert fees.order_fee(stock(), D(1000), D(25), maker=True).amount == D("3.702583")


def test_tiers_of_volume_can_be_chosen() -> None:
    cheap = fee_schedule("ib-tiered", **plain_ib(tier="3", clearing_per_share="0"))
    # 1000 x 0.0015 = 1.50, x 1.000738
    assert cheap.order_fee(stock(), D(1000), D(25), maker=True).amount == D("1.501107")
    with pytest.raises(DataError, match="tier = 6: expected 1 to 5"):
        fee_schedule("ib-tiered", tier=6)


def test_forex_pays_two_tenths_of_a_basis_point_and_at_least_two_dollars() -> None:
    fees = fee_schedule("ib-fixed")
    assert fees.order_fee(pair("EUR", "USD"), D(1_000_000), D("1.10")).amount == D("22")
    assert fees.order_fee(pair("EUR", "USD"), D(25_000), D("1.10")).amount == D("2")
    # Quoted in yen, 2 dollars are 300 yen.
    assert fees.order_fee(pair("USD", "JPY"), D(25_000), D(150)).amount == D("300")


def test_futures_pay_per_contract_whatever_the_price() -> None:
    fees = fee_schedule("ib-tiered")
    assert fees.order_fee(future(), D(-3), D(6000)).amount == D("6.75")


def test_binance_takes_a_fraction_by_liquidity() -> None:
    spot, usdm = fee_schedule("binance-spot"), fee_schedule("binance-usdm")
    assert spot.order_fee(crypto(), D("0.5"), D(60_000)).amount == D("30")
    assert usdm.order_fee(crypto(), D("0.5"), D(60_000)).amount == D("15")
    assert usdm.order_fee(crypto(), D("-0.5"), D(60_000), maker=True).amount == D("6")


def test_nothing_costs_nothing() -> None:
    assert fee_schedule("none").order_fee(stock(), D(100), D(25)).amount == 0


def test_multiplier_and_magnifier_make_the_notional() -> None:
    # 1000 shares at 80 pence are 800 pounds: 0.05 % is 0.40, below the minimum of 3.
    fees = fee_schedule("ib-fixed", other_minimum="0")
    assert fees.order_fee(pence(), D(1000), D(80)).amount == D("0.40")


def test_the_minimum_is_charged_once_per_order() -> None:
    fees = fee_schedule("ib-fixed", **plain_ib())
    first = fees.fill_fee(stock(), D(60), D(25), OrderSoFar()).amount
    second = fees.fill_fee(
        stock(), D(40), D(25), OrderSoFar(size=D(60), notional=D(1500), fee=first)
    ).amount
    assert (first, second) == (D(1), D(0))


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(DataError, match="'ib': unknown schedule; there are binance-spot, "):
        fee_schedule("ib")
    with pytest.raises(DataError, match="unknown price 'takr'; there are maker, taker"):
        fee_schedule("binance-spot", takr="0.1")
    with pytest.raises(DataError, match="taker = 'free' is not a finite decimal"):
        fee_schedule("binance-spot", taker="free")
    with pytest.raises(DataError, match="taker = 'NaN' is not a finite decimal"):
        fee_schedule("binance-spot", taker="NaN")


ANY = [stock(), stock("EUR"), pair("EUR", "USD"), pair("USD", "JPY"), future(), pence(), crypto()]
sizes = st.decimals("0.001", "100000", places=3)
prices = st.decimals("0.01", "50000", places=2)


@given(
    name=st.sampled_from(FEE_SCHEDULES),
    instrument=st.sampled_from([stock(), future(), crypto(), stock("EUR")]),
    parts=st.lists(st.tuples(sizes, st.booleans()), min_size=1, max_size=6),
    price=prices,
    sell=st.booleans(),
)
def test_executions_add_up_to_the_order_exactly(
    name: str, instrument: Instrument, parts: list[tuple[Decimal, bool]], price: Decimal, sell: bool
) -> None:
    fees = fee_schedule(name)
    sign = -1 if sell else 1
    before = OrderSoFar()
    for size, _ in parts:
        fee = fees.fill_fee(instrument, sign * size, price, before).amount
        worth = size * price * instrument.multiplier / instrument.magnifier
        before = OrderSoFar(before.size + size, before.notional + worth, before.fee + fee)
    whole = sign * sum((size for size, _ in parts), D(0))
    assert before.fee == fees.order_fee(instrument, whole, price).amount


@given(
    name=st.sampled_from(FEE_SCHEDULES),
    rows=st.lists(
        st.tuples(st.sampled_from(ANY), sizes, prices, st.booleans()), min_size=1, max_size=8
    ),
    maker=st.booleans(),
)
def test_columns_estimate_what_an_order_costs(
    name: str, rows: list[tuple[Instrument, Decimal, Decimal, bool]], maker: bool
) -> None:
    fees = fee_schedule(name)
    signed = [-size if sell else size for _, size, _, sell in rows]
    exact = [
        float(fees.order_fee(row[0], size, row[2], maker=maker).amount)
        for row, size in zip(rows, signed, strict=True)
    ]
    estimate = fees.estimate(
        tuple(row[0] for row in rows),
        np.array([float(size) for size in signed]),
        np.array([float(row[2]) for row in rows]),
        maker=maker,
    )
    np.testing.assert_allclose(estimate, exact, rtol=1e-9, atol=0)


def test_columns_keep_the_unknown_unknown_and_the_empty_free() -> None:
    fees = fee_schedule("ib-fixed")
    instruments = (stock(), pair("USD", "JPY"), crypto())
    size, price = np.array([0.0, 0.0, 1.0]), np.array([25.0, 150.0, np.nan])
    np.testing.assert_array_equal(fees.estimate(instruments, size, price), [0.0, 0.0, np.nan])
