"""Nothing is sent on an account that is not proved; what has no rate is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.paper import PaperBroker, PaperVenue
from rebalancer.errors import BlindError
from rebalancer.hourly import hour
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.market import MarketSnapshot, Quote
from rebalancer.model.records import Outcome, RunRecord
from rebalancer.ports import Page
from rebalancer.simulators.faults import Fault, FaultKind
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, stock, write_signal
from tests.two_sleeves import (
    HAND,
    OTHER,
    OTHER_SLEEVE,
    SECOND,
    message,
    other_wants,
    traded_since,
    two_sleeves,
)

Bend = Callable[[AccountSnapshot], AccountSnapshot]


class BentVenue(PaperVenue):
    """The paper venue with another answer about its account, or more quotes."""

    bend: Bend = staticmethod(lambda account: account)
    quotes: tuple[Quote, ...] = ()

    def account(self) -> AccountSnapshot:
        return self.bend(super().account())

    def market(self, instruments: Any) -> MarketSnapshot:
        market = super().market(instruments)
        more = {quote.instrument: replace(quote, at=market.at) for quote in self.quotes}
        return replace(market, quotes={**market.quotes, **more})


@dataclass(frozen=True)
class BentBroker:
    """A `ports.Broker` whose venue is bent."""

    paper: PaperBroker
    bend: Bend = field(default=lambda account: account)
    quotes: tuple[Quote, ...] = ()

    @contextmanager
    def connect(self, page: Page) -> Iterator[PaperVenue]:
        with self.paper.connect(page) as venue:
            bent = BentVenue(venue.exchange, venue.fees)
            bent.bend, bent.quotes = self.bend, self.quotes
            yield bent


def bent_hour(world: World, at: datetime, bend: Bend, *quotes: Quote) -> RunRecord:
    desk = world.desk(at)
    assert isinstance(desk.broker, PaperBroker)
    return hour(replace(desk, broker=BentBroker(desk.broker, bend, quotes)), at)


def worth(value: str) -> Bend:
    return lambda account: replace(account, net_liquidation=Decimal(value))


def blind(account: AccountSnapshot) -> AccountSnapshot:
    raise BlindError("the account did not arrive completely")


def in_cash(**amounts: str) -> Bend:
    more = {currency: Decimal(amount) for currency, amount in amounts.items()}
    return lambda account: replace(account, cash={**account.cash, **more})


BAD_ACCOUNTS: dict[str, tuple[Bend, str, str, int]] = {
    "zero": (worth("0"), "net-liquidation-invalid", "net liquidation is 0 USD", 3),
    "negative": (worth("-1"), "net-liquidation-invalid", "net liquidation is -1 USD", 3),
    "NaN": (worth("NaN"), "net-liquidation-invalid", "net liquidation is NaN USD", 3),
    "infinite": (worth("Infinity"), "net-liquidation-invalid", "is Infinity USD", 3),
    "unproved": (worth("110000"), "net-liquidation-unproved", "net liquidation is 110,000 USD", 3),
    "cash without a rate": (  # the code of ISO 4217 that is for tests
        in_cash(XTS="5"),
        "net-liquidation-unproved",
        "cash in XTS is held and no rate from XTS to USD is known",
        3,
    ),
    "cash not a number": (in_cash(USD="NaN"), "net-liquidation-unproved", "cash in USD is NaN", 3),
    "old": (
        lambda account: replace(account, at=account.at - timedelta(hours=1)),
        "net-liquidation-unproved",
        "snapshot is 3600 s old",
        3,
    ),
    "incomplete": (blind, "blind", "did not arrive completely", 4),
}


@pytest.mark.parametrize("kind", BAD_ACCOUNTS)
def test_nothing_is_sent_on_an_account_that_is_not_proved(tmp_path: Path, kind: str) -> None:
    bend, code, words, exit_code = BAD_ACCOUNTS[kind]
    world = two_sleeves(tmp_path)
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = bent_hour(world, FIRST, bend)
    assert world.venue()["orders"] == []
    assert record.exit_code == exit_code
    assert "run-failed" not in codes(record)
    assert words in message(record, code)
    assert words in " ".join(world.alert(FIRST).split())
    assert world.standing().accepted_net_liquidation is None


@pytest.mark.parametrize("kind", BAD_ACCOUNTS)
def test_positions_stay_while_the_account_is_not_proved_and_trade_again_after(
    tmp_path: Path, kind: str
) -> None:
    bend, code, words, exit_code = BAD_ACCOUNTS[kind]
    world = two_sleeves(tmp_path)
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    world.hour(FIRST)
    held, sent = world.holdings(), len(world.venue()["orders"])
    accepted = world.standing().accepted_net_liquidation
    world.wants({"AAPL": "0.1", "JNJ": "0.1"}, SECOND)
    record = bent_hour(world, SECOND, bend)
    assert len(world.venue()["orders"]) == sent
    assert record.exit_code == exit_code
    assert code in codes(record)
    assert "run-failed" not in codes(record)
    assert words in " ".join(world.alert(SECOND).split())
    assert world.holdings() == held
    assert world.standing().accepted_net_liquidation == accepted

    third = world.hour(SECOND + HOUR)
    assert third.exit_code == 0
    assert traded_since(world, sent) == set(HAND)


@pytest.mark.parametrize("cash", ["0", "-100"])
def test_a_paper_account_worth_nothing_or_less_is_halted(tmp_path: Path, cash: str) -> None:
    world = two_sleeves(tmp_path, cash=f'{{ USD = "{cash}" }}')
    world.wants({"AAPL": "0.5"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST)
    assert world.venue()["orders"] == []
    assert record.outcome is Outcome.HALTED
    assert record.exit_code == 3
    assert "net-liquidation-invalid" in codes(record)
    assert f"net liquidation is {cash}" in world.alert(FIRST)


def test_an_account_outside_the_expected_range_is_halted(tmp_path: Path) -> None:
    world = two_sleeves(tmp_path)
    text = world.path.read_text(encoding="utf-8")
    said = '[account]\nnet_liquidation_min = "500000"\nnet_liquidation_max = "900000"'
    world.path.write_text(text.replace("[account]", said), encoding="utf-8")
    world.wants({"AAPL": "0.5"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST)
    assert world.venue()["orders"] == []
    assert codes(record) == {"net-liquidation-range"}
    assert "500,000 USD" in world.alert(FIRST)


# ------------------------------------------------------------------ what is not ours


def test_positions_that_nobody_booked_halt_until_they_are_adopted(tmp_path: Path) -> None:
    world = two_sleeves(tmp_path, paper='positions = { "JNJ.STK.USD@IB" = 10 }')
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST)
    assert world.venue()["orders"] == []
    assert record.exit_code == 3
    assert codes(record) == {"not-adopted"}
    assert "rebalancer adopt" in world.alert(FIRST)


def test_a_position_outside_the_universe_is_left_alone_and_the_rest_trades(tmp_path: Path) -> None:
    world = two_sleeves(tmp_path, paper='positions = { "PG.STK.USD@IB" = 10 }')
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST)
    assert traded_since(world, 0) == {*HAND, *OTHER}
    assert codes(record) == {"unmanaged"}
    assert record.unmanaged == (stock("PG"),)
    assert world.holdings()[stock("PG")] == 10


def test_somebody_elses_order_holds_its_instrument_and_is_left_alone(tmp_path: Path) -> None:
    world = two_sleeves(tmp_path)
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    stuck = Fault(FaultKind.NO_FILL, count=None, subject=stock("JNJ"))
    world.hour(FIRST, faults=[stuck])

    def not_ours(books: Any) -> None:
        order = next(o for o in books["orders"] if o["instrument"] == stock("JNJ"))
        assert order["status"] == "working"
        order["reference"] = "typed by hand"

    world.change_venue(not_ours)
    sent = len(world.venue()["orders"])
    world.wants({"AAPL": "0.1", "JNJ": "0.1"}, SECOND)
    record = world.hour(SECOND, faults=[stuck])
    assert traded_since(world, sent) == {"AAPL"}
    assert "others-order" in codes(record)
    assert [f.subject for f in record.flags if f.code == "others-order"] == [stock("JNJ")]
    assert "typed by hand" not in [order.reference for order in record.cancelled]


# ------------------------------------------------------------------ currencies

SAP = InstrumentId("SAP.STK.EUR@IB")


def test_an_instrument_in_a_currency_without_a_rate_is_held_and_the_rest_trades(
    tmp_path: Path,
) -> None:
    euro = OTHER_SLEEVE.replace('"KO.STK.USD@IB"', f'"{SAP}"')
    world = two_sleeves(tmp_path, extra=euro + QUIET)
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    write_signal(world.folder, {SAP: "0.5", stock("WMT"): "0.4"}, FIRST, name="other")
    quote = Quote(SAP, FIRST, Decimal("111.10"), Decimal("111.14"), close=Decimal(111))
    record = bent_hour(world, FIRST, lambda account: account, quote)
    assert traded_since(world, 0) == {"AAPL", "JNJ", "WMT"}
    assert codes(record) == {"rate-missing"}
    (flag,) = record.flags
    assert flag.subject == SAP
    assert "no rate from its currency" in flag.message
    assert SAP in world.alert(FIRST)


def test_paper_money_in_a_currency_without_a_rate_is_a_clear_error(tmp_path: Path) -> None:
    world = two_sleeves(tmp_path, cash='{ USD = "100000", XTS = "5" }')
    world.wants({"AAPL": "0.5"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST)
    assert not (world.state / "paper" / "books.json").exists()
    assert record.outcome is Outcome.FAILED
    assert "run-failed" in codes(record)
    assert "paper.cash.XTS: paper.fx has no rate for XTS" in message(record, "run-failed")
    assert "XTS" in world.alert(FIRST)


def test_an_instrument_that_the_venue_does_not_know_is_held(tmp_path: Path) -> None:
    world = two_sleeves(tmp_path, symbols=("AAPL", "NOPE"))
    world.wants({"AAPL": "0.5", "NOPE": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST)
    assert traded_since(world, 0) == {"AAPL", *OTHER}
    assert codes(record) == {"price-missing"}
    assert [flag.subject for flag in record.flags] == [stock("NOPE")]
    assert "NOPE" in world.alert(FIRST)
