"""What clients hear of accounts: when they ask, after trades, and as prices move."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from rebalancer.model.orders import OrderType, TimeInForce
from rebalancer.simulators.ib_gateway.gateway import Gateway
from rebalancer.simulators.ib_gateway.wire_log import WireEntry
from rebalancer.simulators.news import NewOrder
from tests.unit.ib_gateway.trading.scene import AAPL, price
from tests.unit.ib_gateway.wire import Caller, errors, gateway_of, names

OTHER = "DU7654321"
HOLDS: dict[str, Any] = {"positions": {"KO.STK.USD@IB": Decimal(100)}}
TAGS = "NetLiquidation,TotalCashValue,$LEDGER:ALL"


def caller_of(gateway: Gateway, client_id: int = 1) -> Caller:
    """Return a connection that has said who it is."""
    caller = Caller(gateway)
    caller.start(client_id)
    return caller


def buy(gateway: Gateway, quantity: int) -> None:
    """Let the account trade Apple, whoever ordered it."""
    wanted = NewOrder(
        reference="by nobody",
        instrument=AAPL,
        quantity=Decimal(quantity),
        limit=price(gateway, AAPL, "ask" if quantity > 0 else "bid"),
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
    )
    gateway.exchange.place([wanted])
    until = gateway.exchange.now + timedelta(seconds=30)
    while gateway.exchange.now < until:
        gateway.advance(until)


def of(entries: list[WireEntry], name: str) -> list[tuple[str, ...]]:
    """Return the fields of the messages of one name."""
    return [each.fields for each in entries if each.name == name]


def test_account_updates_are_values_portfolio_time_and_an_end() -> None:
    with gateway_of(settings=HOLDS) as gateway:
        said = caller_of(gateway).say(6, 2, 1, "")
        assert names(said)[-3:] == ["portfolioValue", "updateTime", "accountDownloadEnd"]
        assert of(said, "updateTime") == [("8", "1", "10:05")]
        assert of(said, "accountDownloadEnd") == [("54", "1", "DU1234567")]
        row = of(said, "portfolioValue")[0]
        mark = price(gateway, next(iter(gateway.exchange.worth().marks)), "bid")
    assert row[2:9] == ("8894", "KO", "STK", "", "0", "", "")
    assert row[9:13] == ("NYSE", "USD", "KO", "KO")
    assert row[13] == "100"
    assert Decimal(row[14]) * 100 == Decimal(row[15])
    assert abs(Decimal(row[14]) - mark) < Decimal("0.10")


def test_after_a_trade_only_what_changed_is_told_and_the_traded_row() -> None:
    with gateway_of(settings=HOLDS) as gateway:
        caller = caller_of(gateway)
        first = caller.say(6, 2, 1, "DU1234567")
        before = len(caller.said)
        buy(gateway, 10)
        pushed = caller.said[before:]
        values = {(f[2], f[4]): f[3] for f in of(pushed, "accountValue")}
        rows = of(pushed, "portfolioValue")
    assert ("TotalCashValue", "USD") in values
    assert ("AccountType", "") not in values
    assert len(of(pushed, "accountValue")) < len(of(first, "accountValue"))
    assert {row[3] for row in rows} == {"AAPL"}
    assert rows[-1][13] == "10"
    assert "accountDownloadEnd" not in names(pushed)


def test_nothing_is_pushed_to_who_has_unsubscribed() -> None:
    with gateway_of() as gateway:
        caller = caller_of(gateway)
        caller.say(6, 2, 1, "")
        caller.say(61, 1)
        caller.say(6, 2, 0, "")
        caller.say(64, 1)
        before = len(caller.said)
        buy(gateway, 10)
        assert caller.said[before:] == []


def test_positions_have_no_exchange_and_a_closed_one_is_told_as_zero() -> None:
    with gateway_of(settings=HOLDS) as gateway:
        caller = caller_of(gateway)
        said = caller.say(61, 1)
        assert names(said) == ["position", "positionEnd"]
        row = said[0].fields
        assert row[2:14] == (
            "DU1234567", "8894", "KO", "STK", "", "0", "", "", "", "USD", "KO", "KO",
        )  # fmt: skip
        buy(gateway, 10)
        buy(gateway, -10)
        pushed = of(caller.said, "position")[1:]
        assert [(f[4], f[14]) for f in pushed] == [("AAPL", "10"), ("AAPL", "0")]
        assert [f[4] for f in of(caller.say(61, 1), "position")] == ["KO"]


def test_prices_alone_are_told_every_three_minutes() -> None:
    with gateway_of(settings=HOLDS) as gateway:
        caller = caller_of(gateway)
        caller.say(6, 2, 1, "")
        before = len(caller.said)
        gateway.advance(gateway.exchange.now + timedelta(minutes=1))
        assert caller.said[before:] == []
        gateway.advance(gateway.exchange.now + timedelta(minutes=3))
        pushed = caller.said[before:]
        assert "portfolioValue" in names(pushed)
        assert ("8", "1", "10:09") in of(pushed, "updateTime")


def test_an_account_that_the_login_does_not_see_is_refused() -> None:
    with gateway_of() as gateway:
        caller = caller_of(gateway)
        assert errors(caller.say(6, 2, 1, "U999")) == [(-1, 321)]
        assert errors(caller.say(76, 1, 5, "U999", "", 1)) == [(5, 321)]
        assert errors(caller.say(74, 1, 6, "U999", "")) == [(6, 321)]
        assert errors(caller.say(62, 1, 7, "Nobody", TAGS)) == [(7, 321)]
        assert errors(caller.say(92, 8, "U999", "")) == [(8, 321)]


def test_with_several_accounts_one_must_be_named() -> None:
    with gateway_of(other_accounts=(OTHER,), settings=HOLDS) as gateway:
        caller = caller_of(gateway)
        assert errors(caller.say(6, 2, 1, "")) == [(-1, 321)]
        said = caller.say(6, 2, 1, OTHER)
        assert "portfolioValue" not in names(said)
        assert {f[5] for f in of(said, "accountValue")} == {OTHER}
        net = [f[3] for f in of(said, "accountValue") if f[2] == "NetLiquidation"]
        assert net == ["0.00"]


def test_a_summary_is_of_all_accounts_and_of_two_requests_at_most() -> None:
    with gateway_of(other_accounts=(OTHER,)) as gateway:
        caller = caller_of(gateway)
        said = caller.say(62, 1, 1, "All", TAGS)
        assert names(said)[-1] == "accountSummaryEnd"
        rows = {(f[3], f[4], f[6]): f[5] for f in of(said, "accountSummary")}
        assert rows["DU1234567", "NetLiquidation", "USD"] == "100000.00"
        assert rows[OTHER, "NetLiquidation", "USD"] == "0.00"
        assert rows["DU1234567", "CashBalance", "EUR"] == "0.00"
        assert names(caller.say(62, 1, 2, "All", TAGS))[-1] == "accountSummaryEnd"
        assert errors(caller.say(62, 1, 3, "All", TAGS)) == [(3, 322)]
        caller.say(63, 1, 2)
        assert names(caller.say(62, 1, 3, "All", TAGS))[-1] == "accountSummaryEnd"


def test_values_of_one_account_end_and_go_on() -> None:
    with gateway_of() as gateway:
        caller = caller_of(gateway)
        said = caller.say(76, 1, 5, "DU1234567", "", 0)
        assert names(said)[-1] == "accountUpdateMultiEnd"
        ledger = caller.say(76, 1, 6, "DU1234567", "", 1)
        assert len(ledger) < len(said)
        assert {f[5] for f in of(ledger, "accountUpdateMulti")} > {"NetLiquidation", "CashBalance"}
        caller.say(77, 1, 6)
        before = len(caller.said)
        buy(gateway, 10)
        assert {f[2] for f in of(caller.said[before:], "accountUpdateMulti")} == {"5"}


def test_positions_of_one_account_end_and_go_on() -> None:
    with gateway_of(settings=HOLDS, other_accounts=(OTHER,)) as gateway:
        caller = caller_of(gateway)
        assert names(caller.say(74, 1, 5, "DU1234567", "")) == ["positionMulti", "positionMultiEnd"]
        assert names(caller.say(74, 1, 6, OTHER, "")) == ["positionMultiEnd"]
        assert names(caller.say(74, 1, 7, "DU1234567", "A model")) == ["positionMultiEnd"]
        before = len(caller.said)
        buy(gateway, 10)
        assert {(f[2], f[5]) for f in of(caller.said[before:], "positionMulti")} == {("5", "AAPL")}
        caller.say(75, 1, 5)


def test_profit_of_the_account_and_of_a_position() -> None:
    with gateway_of(settings=HOLDS) as gateway:
        caller = caller_of(gateway)
        account, single = caller.say(92, 1, "DU1234567", ""), caller.say(94, 2, "", "", 8894)
        holding = next(iter(gateway.exchange.account.holdings.values()))
        mark = next(iter(gateway.exchange.worth().marks.values()))
        assert errors(caller.say(94, 3, "", "", 265598)) == [(3, 321)]
        buy(gateway, 10)
        assert of(caller.said, "pnl")[-1] != account[0].fields
    unrealised = (mark - holding.average_cost) * 100
    assert Decimal(account[0].fields[3]) == Decimal(single[0].fields[4]) == unrealised
    assert single[0].fields[2] == "100"
    assert Decimal(single[0].fields[6]) == mark * 100
