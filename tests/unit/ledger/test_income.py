"""What a venue books by itself is in the books once, explains cash, and executes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from rebalancer.ledger import (
    average_cost,
    booked_income,
    cash_effects,
    external_flows,
    income_entries,
    positions,
    trade_records,
    unexplained_cash,
)
from rebalancer.model.codec import from_plain, to_plain
from rebalancer.model.income import Income, IncomeKind
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.orders import Fill
from rebalancer.model.records import Entry, EntryKind, ExternalFlow
from rebalancer.model.universe import Universe
from tests.unit.risk.builders import NOW, SLOT, an_account, d

PERP = InstrumentId("BTCUSDT.PERP@BINANCE")
SPOT = InstrumentId("BTCUSDT.SPOT@BINANCE")
UNIVERSE = Universe(
    [
        Instrument(PERP, Kind.PERPETUAL, "BTCUSDT", "USDT", "24/7"),
        Instrument(SPOT, Kind.SPOT, "BTCUSDT", "USDT", "24/7"),
    ]
)


def an_income(kind: IncomeKind, amount: str, number: int = 1, **more: object) -> Income:
    found = Income(f"{number}|{kind}|{amount}", kind, "USDT", d(amount), NOW, PERP, kind.upper())
    return replace(found, **more)  # type: ignore[arg-type]


FUNDING = an_income(IncomeKind.FUNDING, "-1.25")
REALISED = an_income(IncomeKind.REALISED, "40")
FEE = an_income(IncomeKind.COMMISSION, "-0.5")
DEPOSIT = an_income(IncomeKind.TRANSFER, "1000", instrument=None)


def a_trade(quantity: str = "-1", **changes: object) -> Entry:
    fill = Fill("e1", "", "7", PERP, d(quantity), d(50000), "USDT", NOW, d("0.5"), "USDT")
    return Entry(EntryKind.FILL, SLOT, replace(fill, **changes))  # type: ignore[arg-type]


def test_income_is_booked_once_and_commissions_never() -> None:
    told = (FUNDING, REALISED, FEE, DEPOSIT)
    lines = income_entries((*told, FUNDING), (), SLOT)
    assert [line.kind for line in lines] == [EntryKind.INCOME] * 3
    assert income_entries(told, lines, SLOT + timedelta(hours=1)) == ()
    more = replace(FUNDING, id="another")
    assert len(income_entries((*told, more), lines, SLOT)) == 1


def test_a_line_of_income_survives_the_file_and_says_what_it_was() -> None:
    (line,) = income_entries((DEPOSIT,), (), SLOT)
    again = from_plain(Entry, to_plain(line))
    assert again == line
    assert booked_income((again,)) == (replace(DEPOSIT, words=""),)


def test_income_explains_the_cash_that_fees_and_trades_do_not() -> None:
    # 100,000 - 0.5 fee - 1.25 funding + 40 realised + 1,000 from outside
    lines = (a_trade(), *income_entries((FUNDING, REALISED, FEE, DEPOSIT), (), SLOT))
    assert cash_effects(lines, UNIVERSE) == {"USDT": d("1038.25")}
    account = an_account(cash={"USDT": "101038.25"}, rates={"USDT": "1"})
    assert unexplained_cash({"USDT": d(100000)}, lines, account, UNIVERSE) == {}
    without = lines[:1]
    found = unexplained_cash({"USDT": d(100000)}, without, account, UNIVERSE)
    assert found == {"USDT": d("1038.75")}


def test_what_happens_apart_from_the_account_is_booked_and_moves_none_of_its_money() -> None:
    apart = an_income(IncomeKind.APART, "1", asset="BNB", instrument=None)
    (line,) = income_entries((apart,), (), SLOT)
    assert booked_income((from_plain(Entry, to_plain(line)),)) == (replace(apart, words=""),)
    assert external_flows((apart,)) == ()
    account = an_account(cash={"USDT": "100000"}, rates={"USDT": "1", "BNB": "600"})
    assert unexplained_cash({"USDT": d(100000)}, (line,), account, UNIVERSE) == {}


def test_income_is_no_trade_no_holding_and_no_fee() -> None:
    lines = (a_trade(), *income_entries((FUNDING, REALISED, DEPOSIT), (), SLOT))
    assert positions(lines) == {PERP: d(-1)}
    assert [row.exec_id for row in trade_records(lines)] == ["e1"]
    assert average_cost(lines)[PERP].commission == {"USDT": d("0.5")}
    assert list(average_cost(lines)) == [PERP]


def test_transfers_are_flows_and_nothing_else_is() -> None:
    assert external_flows((FUNDING, REALISED, DEPOSIT)) == (
        ExternalFlow(NOW, d(1000), "USDT", "TRANSFER"),
    )


def test_a_spot_fee_in_the_coin_itself_makes_the_holding_smaller_and_moves_no_cash() -> None:
    bought = a_trade("1", instrument=SPOT, commission=d("0.001"), commission_currency="BTC")
    assert positions((bought,)) == {SPOT: d("0.999")}
    assert cash_effects((bought,), UNIVERSE) == {"USDT": d(-50000)}
    sold = a_trade("-1", exec_id="e2", instrument=SPOT, commission=d(50))
    assert positions((bought, sold)) == {SPOT: d("-0.001")}
    assert cash_effects((sold,), UNIVERSE) == {"USDT": d(49950)}


def test_a_spot_fee_in_another_coin_is_that_coins_holding() -> None:
    bought = a_trade("1", instrument=SPOT, commission=d("0.05"), commission_currency="BNB")
    bnb = InstrumentId("BNBUSDT.SPOT@BINANCE")
    assert positions((bought,)) == {SPOT: Decimal(1), bnb: d("-0.05")}
    told = a_trade("1", instrument=SPOT, commission=d("0.06"), commission_currency="BNB")
    corrected = replace(told, kind=EntryKind.COMMISSION, replaced=bought.fill)
    assert positions((bought, corrected)) == {SPOT: Decimal(1), bnb: d("-0.06")}
