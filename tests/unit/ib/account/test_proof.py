"""When is what a gateway tells of an account believed?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from rebalancer.brokers.ib.account import cost_per_unit, read
from rebalancer.brokers.ib.download import Download, Row, exact
from rebalancer.brokers.ib.proof import cash_by_currency, disagreement
from rebalancer.errors import BlindError
from rebalancer.model.instrument import InstrumentId

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
D = Decimal

# 30,000 USD and 10,000 EUR at 1.10 are 41,000 USD of cash; 100 shares at 200 USD and 50 at
# 40 EUR are 20,000 + 2,200 = 22,200 USD: 63,200 USD in all.
VALUES = {
    ("AccountReady", ""): "true",
    ("NetLiquidation", "USD"): "63200.00",
    ("TotalCashValue", "USD"): "41000.00",
    ("GrossPositionValue", "USD"): "22200.00",
    ("TotalCashBalance", "USD"): "30000.00",
    ("TotalCashBalance", "EUR"): "10000.00",
    ("TotalCashBalance", "BASE"): "41000.00",
    ("CashBalance", "USD"): "30000.00",
    ("CashBalance", "EUR"): "10000.00",
    ("CashBalance", "BASE"): "41000.00",
    ("ExchangeRate", "USD"): "1.00",
    ("ExchangeRate", "EUR"): "1.10",
    ("ExchangeRate", "BASE"): "1.00",
}


def contract(name: str, currency: str = "USD", kind: str = "STK", multiplier: str = "") -> object:
    return SimpleNamespace(localSymbol=name, currency=currency, secType=kind, multiplier=multiplier)


APPLE = Row(265598, contract("AAPL"), D(100), D(200), D(20_000), D("150.25"))
SAP = Row(14204, contract("SAP", "EUR"), D(50), D(40), D(2_000), D(35))
HELD = {row.con_id: row for row in (APPLE, SAP)}


def told(values: Mapping[tuple[str, str], str | None] | None = None, **changes: object) -> Download:
    """Return a download that adds up, with some of it changed; None takes a value away."""
    merged: dict[tuple[str, str], str | None] = {**VALUES, **(values or {})}
    found = Download(
        account="DU1",
        values={key: text for key, text in merged.items() if text is not None},
        positions=HELD,
        portfolio=HELD,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def why(found: Download) -> str:
    return disagreement(found, NOW)


def test_parts_that_add_up_are_believed() -> None:
    assert why(told()) == ""


def test_an_account_without_positions_is_believed_when_all_of_it_is_cash() -> None:
    empty = {("NetLiquidation", "USD"): "41000.00", ("GrossPositionValue", "USD"): "0.00"}
    assert why(told(empty, positions={}, portfolio={})) == ""


def test_no_positions_and_a_gross_position_value_is_blind() -> None:
    assert why(told(positions={}, portfolio={})) == (
        "no positions came, and yet the gross position value is 22200.00 USD"
    )


def test_the_two_lists_must_have_the_same_holdings() -> None:
    assert why(told(portfolio={APPLE.con_id: APPLE})) == (
        "positions say 50 SAP, the portfolio says 0"
    )
    other = {**HELD, APPLE.con_id: replace(APPLE, quantity=D(99))}
    assert why(told(positions=other)) == "positions say 99 AAPL, the portfolio says 100"


def test_positions_that_both_lists_miss_show_in_the_gross_value() -> None:
    """20,000 USD of 22,200: a tenth is missing."""
    one = {APPLE.con_id: APPLE}
    assert "some are missing" in why(told(positions=one, portfolio=one))


@pytest.mark.parametrize(
    ("gross", "believed"), [("22640", True), ("21770", True), ("22660", False), ("21750", False)]
)
def test_the_gross_value_may_be_two_percent_off(gross: str, believed: bool) -> None:
    """22,200 is 2 % below 22,653 and 2 % above 21,756."""
    found = why(told({("GrossPositionValue", "USD"): gross}))
    assert (found == "") is believed


@pytest.mark.parametrize(
    ("net", "believed"), [("63510", True), ("62890", True), ("63520", False), ("62880", False)]
)
def test_net_liquidation_may_be_half_a_percent_off(net: str, believed: bool) -> None:
    """63,200 is 0.5 % below 63,517.6 and 0.5 % above 62,885.6."""
    found = why(told({("NetLiquidation", "USD"): net}))
    assert (found == "") is believed
    assert believed or "a part is missing or counted twice" in found


def test_short_positions_count_with_their_sign_in_the_sum_and_without_it_in_gross() -> None:
    """41,000 + 20,000 - 2,200 = 58,800; gross stays 22,200."""
    short = replace(SAP, quantity=D(-50), value=D(-2_000))
    both = {**HELD, SAP.con_id: short}
    values = {("NetLiquidation", "USD"): "58800"}
    assert why(told(values, positions=both, portfolio=both)) == ""


def test_disaster_sweep_cash_counted_twice() -> None:
    """Of 30,000 USD 25,000 lie in a bank and are in the cash balance once more: 55,000."""
    swept = {("CashBalance", "USD"): "55000.00", ("CashBalance", "BASE"): "66000.00"}
    found = told(swept)
    assert why(found) == ""
    assert cash_by_currency(found, found.rates(NOW)) == {"USD": 30_000, "EUR": 10_000}
    without = told(swept | {key: None for key in VALUES if key[0] == "TotalCashBalance"})
    assert why(without) == (
        "the cash of the currencies does not add up to the account's 41000.00 USD"
    )


def test_without_the_better_line_a_cash_balance_that_adds_up_is_enough() -> None:
    found = told({key: None for key in VALUES if key[0] == "TotalCashBalance"})
    assert why(found) == ""
    assert cash_by_currency(found, found.rates(NOW)) == {"USD": 30_000, "EUR": 10_000}


def test_a_currency_without_a_rate_proves_nothing() -> None:
    assert "no rate of EUR" in why(told({("ExchangeRate", "EUR"): None}))
    assert "no rate of EUR" in why(told({("ExchangeRate", "EUR"): "0"}))


def test_the_line_of_all_currencies_together_is_never_a_currency() -> None:
    found = told()
    assert set(found.by_currency("CashBalance")) == {"USD", "EUR"}
    assert set(found.rates(NOW).rates) == {"EUR"}


@pytest.mark.parametrize("text", ["NaN", "", "1,000", "n/a", "Infinity", "1E9999999"])
def test_what_is_no_number_is_not_believed(text: str) -> None:
    assert "the gateway says NetLiquidation USD is" in why(told({("NetLiquidation", "USD"): text}))


@pytest.mark.parametrize("key", ["NetLiquidation", "TotalCashValue"])
def test_what_is_missing_is_not_believed(key: str) -> None:
    assert "did not tell" in why(told({(key, "USD"): None}))


def test_net_liquidation_in_two_currencies_is_not_believed() -> None:
    assert "in one currency" in why(told({("NetLiquidation", "EUR"): "57000"}))


def test_an_account_that_is_not_ready_is_not_believed() -> None:
    assert "not ready" in why(told({("AccountReady", ""): "false"}))


def test_a_holding_of_unknown_value_is_not_believed() -> None:
    assert "AAPL is held and its value is unknown" in why(
        told(portfolio={**HELD, APPLE.con_id: replace(APPLE, value=None)})
    )


FUTURE = Row(
    7, contract("ESZ6", kind="FUT", multiplier="50"), D(2), D(6_000), D(600_000), D(299_000)
)


@pytest.mark.parametrize("gains_in_cash", [False, True])
def test_of_futures_only_the_gain_counts_whether_the_cash_has_it_or_not(
    gains_in_cash: bool,
) -> None:
    """Two contracts of 50 x 6,000, gained 2,000: 65,200 in all, and no 600,000 anywhere."""
    values = {
        ("NetLiquidation", "USD"): "65200",
        ("FuturesPNL", "USD"): "2000",
        ("FuturesPNL", "BASE"): "2000",
    }
    if gains_in_cash:
        values |= {
            ("TotalCashValue", "USD"): "43000",
            ("TotalCashBalance", "USD"): "32000",
        }
    held = {**HELD, FUTURE.con_id: FUTURE}
    assert why(told(values, positions=held, portfolio=held)) == ""
    # The gross value may have their whole value, or not.
    whole = values | {("GrossPositionValue", "USD"): "622200"}
    assert why(told(whole, positions=held, portfolio=held)) == ""


# ---------------------------------------------------------------------- in the run's own terms


class Names:
    """What the account needs of `Contracts`: names, and magnifiers."""

    def __init__(self, magnifier: int = 1) -> None:
        self._magnifier = D(magnifier)

    def name(self, each: SimpleNamespace) -> InstrumentId:
        return InstrumentId(f"{each.localSymbol}.STK.{each.currency}@IB")

    def listing(self, _name: InstrumentId) -> SimpleNamespace:
        return SimpleNamespace(magnifier=self._magnifier)


def test_a_snapshot_has_exact_amounts_in_the_runs_own_terms() -> None:
    extra = {
        ("BuyingPower", "USD"): "200000.10",
        ("ExcessLiquidity", "USD"): "50000.20",
        ("InitMarginReq", "USD"): "11100.30",
        ("MaintMarginReq", "USD"): "5550.40",
        ("Leverage-S", ""): "0.35",
        ("Cushion", ""): "0.791",
        ("DayTradesRemaining", ""): "3",
        ("AccruedCash", "USD"): "1.25",
        ("AccruedCash", "EUR"): "0",
        ("AccruedCash", "BASE"): "1.25",
    }
    found = read(told(extra), Names(), NOW)  # type: ignore[arg-type]
    assert (found.account, found.at, found.net_liquidation) == ("DU1", NOW, D("63200.00"))
    assert found.cash == {"USD": D(30_000), "EUR": D(10_000)}
    assert (found.rates.base, found.rates.rate("EUR")) == ("USD", D("1.10"))
    assert found.gross_position_value == D("22200.00")
    assert found.settled_cash is None
    assert found.accrued == {"USD": D("1.25")}
    assert (found.buying_power, found.excess_liquidity) == (D("200000.10"), D("50000.20"))
    assert (found.initial_margin, found.maintenance_margin) == (D("11100.30"), D("5550.40"))
    assert (found.leverage, found.cushion) == (D("0.35"), D("0.791"))
    assert found.day_trades_remaining == 3
    apple, sap = found.positions
    assert (apple.instrument, apple.contract) == ("AAPL.STK.USD@IB", "265598")
    assert (apple.quantity, apple.price) == (D(100), D(200))
    assert (apple.value, apple.average_cost) == (D(20_000), D("150.25"))
    assert (sap.instrument, sap.currency) == ("SAP.STK.EUR@IB", "EUR")


def test_what_the_gateway_does_not_tell_is_none_and_no_limit_on_day_trades_too() -> None:
    found = read(told({("DayTradesRemaining", ""): "-1"}), Names(), NOW)  # type: ignore[arg-type]
    assert found.day_trades_remaining is None
    silent = read(told({("DayTradesRemaining", ""): ""}), Names(), NOW)  # type: ignore[arg-type]
    assert silent.day_trades_remaining is None
    assert (found.leverage, found.cushion, found.buying_power) == (None, None, None)


@pytest.mark.parametrize("text", ["9" * 5000, "\u00b2", "-2", "few"])
def test_of_day_trades_that_are_no_number_none_is_left(text: str) -> None:
    found = read(told({("DayTradesRemaining", ""): text}), Names(), NOW)  # type: ignore[arg-type]
    assert found.day_trades_remaining == 0


def test_a_cash_account_may_spend_its_settled_cash_only() -> None:
    cash_only = {("TradingType-S", ""): "STKCASH", ("SettledCash", "USD"): "12000.00"}
    found = read(told(cash_only), Names(), NOW)  # type: ignore[arg-type]
    assert found.settled_cash == {"USD": D(12_000)}
    with pytest.raises(BlindError, match="did not tell SettledCash"):
        read(told({("TradingType-S", ""): "STKCASH"}), Names(), NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "magnifier", "cost"),
    [
        (APPLE, 1, "150.25"),
        # 2 contracts of 50 x 6,000; a contract cost 299,000: 5,980 a point.
        (FUTURE, 1, "5980"),
        # 10 shares at 2,500 pence are 250 pounds; one cost 24 pounds: 2,400 pence.
        (Row(1, contract("VOD", "GBP"), D(10), D(2_500), D(250), D(24)), 100, "2400"),
        # The same with a price in pounds.
        (Row(1, contract("VOD", "GBP"), D(10), D(25), D(250), D(24)), 100, "24"),
        (replace(APPLE, cost=None), 1, None),
        # A multiplier that is none: what a unit cost is not known.
        (replace(APPLE, contract=contract("AAPL", multiplier="17\ufffd")), 1, None),
        (replace(APPLE, contract=contract("AAPL", multiplier="-Infinity")), 1, None),
        (replace(APPLE, contract=contract("AAPL", multiplier="0")), 1, None),
    ],
)
def test_average_cost_is_per_unit_in_the_terms_of_the_price(
    row: Row, magnifier: int, cost: str | None
) -> None:
    assert cost_per_unit(row, D(magnifier)) == (None if cost is None else D(cost))


@pytest.mark.parametrize(
    ("number", "text"),
    [(100.0, "100"), (-0.5, "-0.5"), (0.1, "0.1"), (1e6, "1000000"), (1e16, "10000000000000000"),
     (float("nan"), None), (1.7976931348623157e308, None), (-1e20, None), (0.0, "0")],
)  # fmt: skip
def test_floats_become_the_decimals_that_the_wire_had(number: float, text: str | None) -> None:
    found = exact(number)
    assert (None if found is None else str(found)) == text
