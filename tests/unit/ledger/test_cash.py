"""Cash that our trades explain, and cash that they do not."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.ledger import adoption, cash_effects, entries_for, unexplained_cash
from rebalancer.model.instrument import InstrumentId, Kind
from rebalancer.model.orders import Fill
from rebalancer.model.records import Entry, EntryKind
from rebalancer.model.universe import Universe
from tests.unit.risk.builders import SLOT, A, B, a_fill, a_position, a_stock, an_account, d

EURUSD = InstrumentId("EUR.USD.FX@IB")
FUTURE = InstrumentId("ES.FUT.202612@IB")
UNIVERSE = Universe(
    [
        a_stock(A, multiplier=Decimal(10)),
        a_stock(B),
        a_stock(A, id=EURUSD, kind=Kind.FOREX, symbol="EUR"),
        a_stock(A, id=FUTURE, kind=Kind.FUTURE, multiplier=Decimal(50)),
    ]
)


def lines(*fills: Fill) -> tuple[Entry, ...]:
    return entries_for(fills, (), SLOT, {})


def test_what_trades_do_to_cash() -> None:
    fills = [
        a_fill("1", "2", "100", commission=d(1), commission_currency="USD"),  # -2,000 - 1
        a_fill("2", "-5", "30", B, commission=d(2), commission_currency="EUR"),  # +150; -2 EUR
        a_fill("3", "1000", "1.1", EURUSD),  # +1,000 EUR, -1,100 USD
        a_fill("4", "1", "5000", FUTURE, commission=d(3)),  # its fee only
    ]
    assert cash_effects(lines(*fills), UNIVERSE) == {"EUR": d(998), "USD": d(-2954)}


def test_adopted_holdings_cost_nothing_now() -> None:
    entries = adoption(an_account(a_position(B, "10")), UNIVERSE, {}, SLOT)
    assert cash_effects(entries, UNIVERSE) == {}


def test_what_nothing_explains_is_told_by_currency() -> None:
    account = an_account(cash={"USD": "900", "EUR": "5"}, rates={"EUR": "1.1"})
    paid = a_fill("1", "1", "99", B, commission=d(1), commission_currency="USD")
    accepted = {"USD": Decimal(1000)}
    assert unexplained_cash(accepted, lines(paid), account, UNIVERSE) == {"EUR": d(5)}
    assert unexplained_cash(accepted, (), account, UNIVERSE) == {"EUR": d(5), "USD": d(-100)}


def test_a_new_portfolio_has_nothing_to_compare_with() -> None:
    assert unexplained_cash({}, (), an_account(), UNIVERSE) == {}


@pytest.mark.parametrize(
    ("cash", "found"),
    [
        ("901", {}),  # 1,000 - 99
        ("900.60", {}),  # a fee of 0.40 that is not known yet: 0.5 % of 99 is 0.495
        ("900.50", {"USD": Decimal("-0.50")}),
        ("901.40", {"USD": Decimal("0.40")}),  # a fee takes, it does not give
    ],
)
def test_a_fee_that_is_not_known_yet_explains_a_little(
    cash: str, found: dict[str, Decimal]
) -> None:
    account = an_account(cash={"USD": cash})
    entries = lines(a_fill("1", "1", "99", B))
    assert unexplained_cash({"USD": Decimal(1000)}, entries, account, UNIVERSE) == found


@pytest.mark.parametrize(
    ("cash", "found"),
    [
        ("901", {}),  # the venue took the fee with the trade: it was in what was accepted
        ("900.60", {}),  # or it takes it now
        ("900.80", {}),  # or some of it
        ("900.50", {"USD": Decimal("-0.10")}),
        ("901.10", {"USD": Decimal("0.50")}),
    ],
)
def test_a_fee_told_after_its_trade_was_accepted_may_have_been_charged_before_or_since(
    cash: str, found: dict[str, Decimal]
) -> None:
    trade = a_fill("1", "1", "99", B)
    booked = lines(trade)
    told = entries_for(
        [replace(trade, commission=Decimal("0.40"), commission_currency="USD")], booked, SLOT, {}
    )
    assert [each.kind for each in told] == [EntryKind.COMMISSION]
    account = an_account(cash={"USD": cash})
    assert unexplained_cash({"USD": Decimal(901)}, told, account, UNIVERSE) == found


def test_a_fee_rounded_up_to_cents_by_the_venue_is_still_that_fee() -> None:
    trade = a_fill("1", "1", "99", B)
    fee = replace(trade, commission=Decimal("0.398"), commission_currency="USD")
    told = entries_for([fee], lines(trade), SLOT, {})
    account = an_account(cash={"USD": "901"})  # all of it was gone, as 0.40
    assert unexplained_cash({"USD": Decimal("901.00")}, told, account, UNIVERSE) == {}


def test_a_fee_told_together_with_its_trade_is_charged_once() -> None:
    trade = a_fill("1", "1", "99", B)
    fee = replace(trade, commission=Decimal("0.40"), commission_currency="USD")
    both = (*lines(trade), *entries_for([fee], lines(trade), SLOT, {}))
    accepted = {"USD": Decimal(1000)}
    exact = an_account(cash={"USD": "900.60"})
    assert unexplained_cash(accepted, both, exact, UNIVERSE) == {}
    without = an_account(cash={"USD": "901"})
    assert unexplained_cash(accepted, both, without, UNIVERSE) == {"USD": Decimal("0.40")}


@pytest.mark.parametrize(
    ("cash", "found"),
    [
        ("1000", {}),
        ("13500", {}),  # 5 % of 250,000
        ("-11500", {}),
        ("13501", {"USD": d(12_501)}),
        ("-11501", {"USD": d(-12_501)}),
    ],
)
def test_a_future_that_is_held_settles_in_cash(cash: str, found: dict[str, Decimal]) -> None:
    """What it gained or lost since the last run is in the cash, and no line of ours says so."""
    held = a_position(FUTURE, "-1", "5000", currency="USD", value=d(-250_000))
    account = an_account(held, cash={"USD": cash})
    assert unexplained_cash({"USD": d(1000)}, (), account, UNIVERSE) == found


def test_a_future_that_was_sold_since_has_settled_in_cash() -> None:
    sold = lines(a_fill("1", "-1", "5000", FUTURE, commission=d(0)))
    account = an_account(cash={"USD": "13500"})
    assert unexplained_cash({"USD": d(1000)}, sold, account, UNIVERSE) == {}
    more = an_account(cash={"USD": "13501"})
    assert unexplained_cash({"USD": d(1000)}, sold, more, UNIVERSE) == {"USD": d(12_501)}


def test_only_futures_settle_and_only_in_their_currency() -> None:
    future = a_position(FUTURE, "1", "5000", currency="EUR", value=d(250_000))
    share = a_position(B, "1000")
    perpetual = InstrumentId("BTCUSDT.PERP@BINANCE")
    coin = a_position(perpetual, "1", "90000", currency="USD", value=d(90_000))
    account = an_account(future, share, coin, cash={"USD": "900"}, rates={"EUR": "1.1"})
    assert unexplained_cash({"USD": d(1000)}, (), account, UNIVERSE) == {"USD": d(-100)}
    for value in (None, d("NaN")):
        unknown = replace(future, currency="USD", value=value)
        account = an_account(unknown, cash={"USD": "900"})
        assert unexplained_cash({"USD": d(1000)}, (), account, UNIVERSE) == {"USD": d(-100)}
