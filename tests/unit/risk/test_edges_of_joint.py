"""The shared limits to the cent: what is taken, what is given, and what others may do."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.money import FxRates, Money
from rebalancer.model.orders import OrderIntent, OrderStatus, WorkingOrder
from rebalancer.risk import Limits, apply_gates
from rebalancer.risk.means import means_of
from tests.unit.risk.builders import (
    NOW,
    A,
    B,
    C,
    FlatFee,
    a_position,
    a_quote,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
    identifier,
    some_limits,
)

SAP = identifier("SAP", "EUR")
EURO = a_stock(SAP)


def loose(**changes: Any) -> Limits:
    """Return limits of which only what a test names is near."""
    values: dict[str, Any] = {
        "max_order_weight": d(9), "max_position_weight": d(9), "max_gross_leverage": d(9),
        "max_net_leverage": d(9), "max_turnover_per_session": d(9), "margin_cushion": d(0),
    }  # fmt: skip
    return some_limits(**(values | changes))


def said(*intents: OrderIntent, **given: Any) -> dict[str, str]:
    """Return the reason of each order that is refused, by the letter of its instrument."""
    numbered = [replace(each, sequence=n) for n, each in enumerate(intents)]
    verdicts = apply_gates(gate_input(numbered, **({"limits": loose()} | given)))
    return {each.intent.instrument[0]: each.reason for each in verdicts.refused}


def working(name: InstrumentId, quantity: str, limit: str | None = "100") -> WorkingOrder:
    price = None if limit is None else d(limit)
    return WorkingOrder("", "9", name, d(quantity), d(0), price, OrderStatus.WORKING, NOW)


def short(name: InstrumentId, quantity: str) -> OrderIntent:
    return an_intent(name, quantity, reducing=False, wave=1)


# ---------------------------------------------------------------------------- exposure


def test_a_new_position_may_be_as_large_as_its_limit() -> None:
    limits = loose(max_position_notional=d(1000))
    assert said(an_intent(A, "10"), limits=limits) == {}
    assert said(an_intent(A, "11"), limits=limits) == {
        "A": "position of 1,100 USD after it; the limit is 1,000 USD"
    }


def test_what_is_sold_makes_room_on_the_long_side_and_no_more() -> None:
    # 95,000 long less 40,000 is 55,000: 45,000 more reach 1 x of 100,000.
    account = an_account(a_position(A, "950"), cash={"USD": "5000"})
    limits, sale = loose(max_net_leverage=d(1)), an_intent(A, "-400")
    assert said(sale, an_intent(B, "450"), account=account, limits=limits) == {
        "B": "45,001 USD with fee would leave -2.00 USD in cash; nothing is borrowed"
    }
    rich = replace(account, cash={"USD": d(5002)})
    assert said(sale, an_intent(B, "450"), account=rich, limits=limits) == {}
    much = replace(account, cash={"USD": d(9000)})
    assert said(sale, an_intent(B, "451"), account=much, limits=limits) == {
        "B": "net leverage would be 1.001 x long; the limit is 1 x"
    }


def test_what_is_covered_makes_room_on_the_short_side_and_no_more() -> None:
    # 50,000 short less 10,000 is 40,000: 60,000 more reach 1 x of 100,000.
    account = an_account(a_position(A, "-500"), cash={"USD": "150000"})
    limits = loose(max_net_leverage=d(1), allow_short=True)
    cover = an_intent(A, "100", reducing=True, wave=0)
    assert said(cover, short(B, "-600"), account=account, limits=limits) == {}
    assert said(cover, short(B, "-601"), account=account, limits=limits) == {
        "B": "net leverage would be 1.001 x short; the limit is 1 x"
    }


@pytest.mark.parametrize(("side", "word"), [("", "long"), ("-", "short")])
def test_what_others_may_do_counts_on_its_own_side(side: str, word: str) -> None:
    # 10,000 at the dearer of limit and quote, 100.01, is 10,001; so 89,999 are left.
    limits = loose(max_net_leverage=d(1), allow_short=True)
    others = (working(C, f"{side}100"),)
    order = an_intent(A, "900") if not side else short(A, "-900")
    less = replace(order, quantity=order.quantity / 900 * 899)
    assert said(less, others=others, limits=limits) == {}
    assert said(order, others=others, limits=limits) == {
        "A": f"net leverage would be 1 x {word}; the limit is 1 x"
    }
    against = (working(C, "-100" if not side else "100"),)
    assert said(order, others=against, limits=limits) == {}


def test_a_holding_without_a_value_may_be_sold_and_nothing_be_opened() -> None:
    account = an_account(a_position(A, "10"), a_position(C, "10", value=None))
    assert said(an_intent(C, "-10"), an_intent(B, "1"), account=account) == {
        "B": f"{C} is held and its value is unknown"
    }


# ---------------------------------------------------------------------------- money


def euros(cash: dict[str, str], *positions: Position) -> AccountSnapshot:
    return an_account(*positions, cash=cash, rates={"EUR": "1.25"})


def test_proceeds_in_a_currency_without_cash_are_its_first() -> None:
    # 10 at 100 EUR less the fee of 1 EUR: 999, of which a buy of 9.98 and its fee are 999.
    stocks = [EURO, a_stock(identifier("T", "EUR"))]
    other = stocks[1].id
    account = euros({"USD": "1000"}, a_position(SAP, "10"))
    limits = loose(allow_fractions=True)
    sale = an_intent(SAP, "-10")
    stocks = [replace(s, rules=replace(s.rules, limit_step=d("0.01"))) for s in stocks]
    given: dict[str, Any] = {"account": account, "stocks": stocks, "limits": limits}
    assert said(sale, an_intent(other, "9.98"), **given) == {}
    assert said(sale, an_intent(other, "9.99"), **given) == {
        "T": "1,000 EUR with fee would leave -1.00 EUR in cash; nothing is borrowed"
    }


def test_a_short_sale_needs_its_fee_and_gives_nothing_to_spend() -> None:
    limits = loose(allow_short=True)
    poor = an_account(a_position(C, "100"), cash={"USD": "0.5"})
    assert said(short(A, "-10"), account=poor, limits=limits) == {
        "A": "1.00 USD with fee would leave -0.50 USD in cash; nothing is borrowed"
    }
    enough = an_account(a_position(C, "100"), cash={"USD": "1"})
    assert said(short(A, "-10"), account=enough, limits=limits) == {}
    assert said(short(A, "-10"), an_intent(B, "5"), account=enough, limits=limits) == {
        "B": "501.00 USD with fee would leave -501.00 USD in cash; nothing is borrowed"
    }


PERP = InstrumentId("A.PERP@BINANCE")


def perpetual(quantity: str, cash: str, fee: str = "1", held: str = "0") -> dict[str, str]:
    """Return what is refused of an order of a perpetual at 100, in an account of 100,000."""
    stock = replace(a_stock(A), id=PERP, kind=Kind.PERPETUAL)
    rules = replace(stock.rules, limit_step=d("0.001"), min_size=d(0))
    position = Position(PERP, d(held), "USD", d(100), d(held) * 100, d(100))
    account = an_account(cash={"USD": cash}, net_liquidation=d(100_000))
    given = gate_input(
        [replace(an_intent(A, quantity), instrument=PERP, currency="USD")],
        stocks=[replace(stock, rules=rules)], quotes=[replace(a_quote(A), instrument=PERP)],
        account=replace(account, positions=(position,) if d(held) else ()),
        limits=loose(allow_short=True), fees=FlatFee(fee),
    )  # fmt: skip
    return {each.gate: each.reason for each in apply_gates(given).refused}


def test_a_perpetual_takes_its_fee_in_cash_and_not_its_worth() -> None:
    assert perpetual("10", "1") == {}
    assert perpetual("10", "0.99") == {
        "cash": "1.00 USD with fee would leave -0.01 USD in cash; nothing is borrowed"
    }
    # What opens nothing large and costs nothing is still not opened with cash that is owed.
    assert perpetual("0.005", "-5", fee="0") == {
        "cash": "0.00 USD with fee would leave -5.00 USD in cash; nothing is borrowed"
    }
    assert perpetual("-10", "-5", held="10") == {}  # a reduction is


def test_a_rebate_is_not_spent_before_it_is_there() -> None:
    # The sale of the perpetual brings a rebate of 5 and no proceeds.
    stock = replace(a_stock(A), id=PERP, kind=Kind.PERPETUAL)
    position = Position(PERP, d(10), "USD", d(100), d(1000), d(100))
    account = replace(
        an_account(cash={"USD": "100"}, net_liquidation=d(100_000)), positions=(position,)
    )
    sale = replace(an_intent(A, "-10"), instrument=PERP, currency="USD")
    given: dict[str, Any] = {
        "stocks": [stock, a_stock(B)], "account": account, "fees": FlatFee("-5"),
        "quotes": [replace(a_quote(A), instrument=PERP), a_quote(B)],
    }  # fmt: skip
    # 100 for the share less its own rebate of 5 leaves 5 of 100; two need 195.
    assert said(sale, an_intent(B, "1"), **given) == {}
    assert said(sale, an_intent(B, "2"), **given) == {
        "B": "195.00 USD with fee would leave -95.00 USD in cash; nothing is borrowed"
    }


class PartFee(FlatFee):
    """Charges a part of what is traded."""

    def order_fee(
        self, instrument: Instrument, quantity: Decimal, price: Decimal, *, maker: bool = False
    ) -> Money:
        return Money(abs(quantity) * price * self.amount, self.currency or instrument.currency)


def test_a_fee_is_of_quantity_and_price_in_its_own_currency() -> None:
    # 1 % of 1,000 EUR is 10 EUR; in dollars (1.25 for a euro) it is 8 EUR.
    order, poor = an_intent(SAP, "10"), euros({"USD": "9000", "EUR": "1000"})
    given: dict[str, Any] = {"stocks": [EURO], "account": poor}
    assert said(order, fees=PartFee("0.01"), **given) == {
        "S": "1,010 EUR with fee would leave -10.00 EUR in cash; nothing is borrowed"
    }
    assert said(order, fees=PartFee("0.01", "USD"), **given) == {
        "S": "1,008 EUR with fee would leave -8.00 EUR in cash; nothing is borrowed"
    }


# ---------------------------------------------------------------------------- the account


def test_of_cash_that_is_not_settled_nothing_is_spent() -> None:
    account = an_account(
        cash={"USD": "100", "EUR": "50"}, rates={"EUR": "1.25", "GBP": "1.5"},
        settled_cash={"USD": d(80), "GBP": d(5)},
    )  # fmt: skip
    assert means_of(gate_input([], account=account)).cash == {
        "USD": d(80), "EUR": d(0), "GBP": d(0),
    }  # fmt: skip


def test_every_holding_counts_behind_one_that_is_flat_or_unknown() -> None:
    account = an_account(
        a_position(A, "0"), a_position(A, "10"), a_position(C, "1", value=None),
        a_position(SAP, "2", value=d("NaN")), a_position(B, "-4"), a_position(A, "3"),
    )  # fmt: skip
    found = means_of(gate_input([], account=account))
    assert found.exposure == {A: d(1300), B: d(400)}
    assert found.net == d(900)
    assert found.blind == (
        f"{C} is held and its value is unknown; {SAP} is held and its value is unknown"
    )
    known = replace(account, rates=FxRates("USD", {}), positions=(a_position(A, "1", value=d("NaN")),))  # fmt: skip # noqa: E501
    assert means_of(gate_input([], account=known)).blind == f"{A} is held and its value is unknown"


def test_orders_of_others_are_added_up_at_their_worst() -> None:
    # Of 10 held 25 are sold: 15 short is 5 more without sign. Of B 4 are sold, of C 3 bought.
    account = an_account(a_position(A, "10"), cash={"USD": "10000"})
    quotes = [a_quote(name, bid=d(99), ask=d(100)) for name in (A, B, C)]
    others = (working(A, "-25"), working(B, "-4"), working(C, "3"), working(B, "2"))
    found = means_of(gate_input([], account=account, quotes=quotes, others=others))
    assert found.others_position == {A: d(500), B: d(400), C: d(300)}
    assert found.others_gross == d(1200)
    assert (found.others_sold, found.others_bought) == (d(-2900), d(500))
    # What both buys take is taken from the same dollars.
    assert found.cash == {"USD": d(9500)}


def test_without_any_price_an_order_of_others_counts_like_what_is_held() -> None:
    account = an_account(a_position(A, "10", "40"), cash={"USD": "10000"})
    given = gate_input([], account=account, quotes=[], others=(working(A, "5", None),))
    assert means_of(given).others_bought == d(200)
    strange = replace(given, others=(working(B, "5", None),))
    assert means_of(strange).blind == f"what orders of others in {B} may cost is unknown"


def test_prices_that_are_none_are_left_out_of_what_others_may_pay() -> None:
    quote = a_quote(A, bid=None, ask=d("NaN"), close=d(90))
    given = gate_input([], quotes=[quote], others=(working(A, "5", None),))
    assert means_of(given).others_bought == d(450)
