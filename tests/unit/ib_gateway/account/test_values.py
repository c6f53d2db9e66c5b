"""What the gateway says an account is worth: key by key, in every currency."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from rebalancer.simulators.ib_gateway.account_values import (
    amounts_of,
    money,
    rows_of,
    state_of,
    summary_rows,
)
from rebalancer.simulators.ib_gateway.gateway import Gateway
from rebalancer.simulators.recording import recording
from tests.unit.ib_gateway.trading.scene import AAPL, connect, price, wait
from tests.unit.ib_gateway.wire import gateway_of

TWO_CURRENCIES: dict[str, Any] = {
    "cash": {"USD": Decimal(50_000), "EUR": Decimal(-1_000)},
    "fx": {"EUR": Decimal("1.10")},
    "positions": {"KO.STK.USD@IB": Decimal(100), "GE.STK.USD@IB": Decimal(-20)},
}


def values_of(gateway: Gateway) -> Mapping[tuple[str, str], str]:
    """Return the account's values by key and currency."""
    rows = rows_of(state_of(gateway, gateway.exchange.account.account))
    assert len({(key, currency) for key, currency, _value in rows}) == len(rows)
    return {(key, currency): value for key, currency, value in rows}


def test_the_parts_of_each_currency_add_up_to_the_net_liquidation() -> None:
    with gateway_of(settings=TWO_CURRENCIES) as gateway:
        values = values_of(gateway)
    total = Decimal(0)
    for currency in ("USD", "EUR"):
        parts = ("CashBalance", "StockMarketValue", "FuturesPNL")
        here = sum(Decimal(values[part, currency]) for part in parts)
        assert here == Decimal(values["NetLiquidationByCurrency", currency])
        total += here * Decimal(values["ExchangeRate", currency])
    assert Decimal(values["NetLiquidation", "USD"]) == total
    assert Decimal(values["NetLiquidationByCurrency", "BASE"]) == total
    # 50,000 USD less 1,000 EUR at 1.10.
    assert values["TotalCashValue", "USD"] == values["CashBalance", "BASE"] == "48900.00"
    assert values["CashBalance", "EUR"] == "-1000.00"
    assert values["ExchangeRate", "BASE"] == values["ExchangeRate", "USD"] == "1.00"


def test_margins_and_what_is_left_above_them_follow_the_engine() -> None:
    with gateway_of(settings=TWO_CURRENCIES) as gateway:
        values, worth = values_of(gateway), gateway.exchange.worth()
    keys = "NetLiquidation GrossPositionValue InitMarginReq MaintMarginReq AvailableFunds"
    keys += " ExcessLiquidity BuyingPower"
    amounts = {key: Decimal(values[key, "USD"]) for key in keys.split()}
    assert amounts["GrossPositionValue"] == worth.gross
    # The settings' ratios: half of everything at first, a quarter long and 0.30 short later.
    assert amounts["InitMarginReq"] == worth.gross / 2
    short = -20 * worth.marks[next(k for k in worth.marks if k.startswith("GE"))]
    long = 100 * worth.marks[next(k for k in worth.marks if k.startswith("KO"))]
    assert amounts["MaintMarginReq"] == long * Decimal("0.25") - short * Decimal("0.30")
    net = amounts["NetLiquidation"]
    assert amounts["AvailableFunds"] == net - amounts["InitMarginReq"]
    assert amounts["ExcessLiquidity"] == net - amounts["MaintMarginReq"]
    assert amounts["BuyingPower"] == 2 * amounts["AvailableFunds"]
    assert values["Cushion", ""] == str(round(amounts["ExcessLiquidity"] / net, 6))


def test_a_bank_sweep_is_twice_in_the_cash_balance_and_nowhere_else() -> None:
    with gateway_of(bank_sweep=Decimal(40_000)) as gateway:
        values = values_of(gateway)
    assert values["CashBalance", "USD"] == values["CashBalance", "BASE"] == "140000.00"
    assert values["TotalCashBalance", "USD"] == values["TotalCashValue", "USD"] == "100000.00"
    assert values["NetLiquidation", "USD"] == "100000.00"
    assert values["NetLiquidationByCurrency", "USD"] == "100000.00"


def test_a_cash_account_says_so_and_tells_what_is_settled() -> None:
    with gateway_of(settings={"cash_account": True}) as gateway:
        client = connect(gateway)
        client.place(1, lmtPrice=price(gateway, AAPL), totalQuantity=10)
        wait(gateway, 60)
        client.place(2, action="SELL", lmtPrice=price(gateway, AAPL, "bid"), totalQuantity=10)
        wait(gateway, 120)
        values = values_of(gateway)
        sold = [e for e in gateway.exchange.account.executions if e.quantity < 0]
        proceeds = sum(-e.quantity * e.price for e in sold)
    assert values["TradingType-S", ""] == "STKCASH"
    assert proceeds > 0
    cash = Decimal(values["TotalCashValue", "USD"])
    assert Decimal(values["SettledCash", "USD"]) == cash - proceeds
    assert values["BuyingPower", "USD"] == values["SettledCash", "USD"]


def test_the_equity_of_the_day_before_undoes_todays_trades() -> None:
    with gateway_of(settings=TWO_CURRENCIES) as gateway:
        before = values_of(gateway)["PreviousDayEquityWithLoanValue", "USD"]
        client = connect(gateway)
        client.place(1, lmtPrice=price(gateway, AAPL), totalQuantity=10)
        wait(gateway, 60)
        assert gateway.exchange.account.holdings[AAPL].quantity == 10
        assert values_of(gateway)["PreviousDayEquityWithLoanValue", "USD"] == before
    # Recorded closes of Friday 2020-02-28, to the cent.
    friday = 100 * friday_close("KO") - 20 * friday_close("GE")
    assert Decimal(before) == 50_000 - 1_000 * Decimal("1.10") + friday


def friday_close(symbol: str) -> Decimal:
    """Return the recorded close of 2020-02-28, to the cent."""
    recorded = recording("us_equities")
    row = recorded.row(date(2020, 2, 28))
    assert row is not None
    return recorded.close(row, symbol).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_profit_is_the_mark_less_what_was_paid_and_is_realised_by_selling() -> None:
    with gateway_of() as gateway:
        client = connect(gateway)
        client.place(1, lmtPrice=price(gateway, AAPL), totalQuantity=10)
        wait(gateway, 60)
        bought = gateway.exchange.account.executions[-1]
        mark = gateway.exchange.worth().marks[AAPL]
        open_now = values_of(gateway)
        client.place(2, action="SELL", lmtPrice=price(gateway, AAPL, "bid"), totalQuantity=10)
        wait(gateway, 60)
        sold = gateway.exchange.account.executions[-1]
        closed = values_of(gateway)
    assert Decimal(open_now["UnrealizedPnL", "USD"]) == (mark - bought.price) * 10
    assert open_now["RealizedPnL", "USD"] == closed["UnrealizedPnL", "USD"] == "0.00"
    earned = (sold.price - bought.price) * 10 - sold.commission
    assert Decimal(closed["RealizedPnL", "USD"]) == Decimal(closed["RealizedPnL", "BASE"]) == earned


def test_an_account_that_is_not_traded_here_is_empty() -> None:
    with gateway_of(other_accounts=("DU7654321",)) as gateway:
        amounts = dict(amounts_of(state_of(gateway, "DU7654321")))
    assert set(amounts.values()) == {Decimal(0)}


def test_a_summary_has_the_tags_that_are_asked_for_in_their_order() -> None:
    with gateway_of(settings=TWO_CURRENCIES) as gateway:
        state = state_of(gateway, "DU1234567")
    tags = ["NetLiquidation", "Nonsense", "AccountType", "$LEDGER:EUR", "Leverage"]
    rows = summary_rows(state, tags)
    assert [rows[0][0], rows[1], rows[-1][0]] == [
        "NetLiquidation",
        ("AccountType", "", "INDIVIDUAL"),
        "Leverage",
    ]
    assert {currency for _key, currency, _value in rows[2:-1]} == {"EUR"}
    everything = summary_rows(state, ["$LEDGER:ALL"])
    assert {currency for _key, currency, _value in everything} == {"USD", "EUR", "BASE"}
    assert {currency for _key, currency, _value in summary_rows(state, ["$LEDGER"])} == {"BASE"}


def test_amounts_have_two_decimals_or_as_many_as_they_need() -> None:
    assert money(Decimal(100)) == "100.00"
    assert money(Decimal("0.5")) == "0.50"
    assert money(Decimal("-1.00072")) == "-1.00072"
    assert money(Decimal("1E+3")) == "1000.00"
    assert money(Decimal(1) / 3) == "0.33333333"
