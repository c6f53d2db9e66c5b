"""Bad input never trades: signal files, quotes, accounts and currencies, through whole runs.

Two sleeves share the money: what is wrong with one must not keep the other from its orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.paper import PaperBroker, PaperVenue
from rebalancer.errors import BlindError
from rebalancer.hourly import hour
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.market import MarketSnapshot, Quote
from rebalancer.model.records import Outcome, RunRecord
from rebalancer.ports import Page
from rebalancer.simulators.faults import Fault, FaultKind
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, stock, write_signal

HAND, OTHER = ("AAPL", "JNJ"), ("KO", "WMT")
SECOND = FIRST + HOUR
OTHER_SLEEVE = """
[[sleeve]]
name = "other"
share = "0.5"
universe = ["KO.STK.USD@IB", "WMT.STK.USD@IB"]
"""
HEAD = "instrument,target,unit,leverage,as_of,valid_until,coverage\n"
SAME = ",weight,1,2020-03-02T16:00:00Z,2020-03-03T16:00:00Z,complete\n"
AAPL, JNJ = f"{stock('AAPL')},0.2{SAME}", f"{stock('JNJ')},0.7{SAME}"


def two_sleeves(folder: Path, **portfolio: Any) -> World:
    """Return a portfolio of two sleeves with half of the money each."""
    settings: dict[str, Any] = {"symbols": HAND, "share": "0.5", "extra": OTHER_SLEEVE + QUIET}
    return make_world(folder, **(settings | portfolio))


def other_wants(world: World, weights: tuple[str, str], at: Any) -> None:
    named = dict(zip((stock(symbol) for symbol in OTHER), weights, strict=True))
    write_signal(world.folder, named, at, name="other")


def traded_since(world: World, before: int) -> set[str]:
    """Return the symbols of the orders that reached the venue after its first `before`."""
    return {str(o["instrument"]).partition(".")[0] for o in world.venue()["orders"][before:]}


def message(record: RunRecord, code: str) -> str:
    """Return what the record says of a flag."""
    return next(flag.message for flag in record.flags if flag.code == code)


# ------------------------------------------------------------------ signal files

BAD_FILES = {
    "missing": (None, "signal-missing", "there is no such file"),
    "empty": ("", "signal-invalid", "it is empty"),
    "without rows": (HEAD, "signal-invalid", "flat is the one row CASH,1"),
    "cut off": (HEAD + AAPL + JNJ[:-20], "signal-invalid", "it was cut off"),
    "cut off at a line": (HEAD + AAPL + "\n", "signal-invalid", "line 3 is empty"),
    "a row twice": (HEAD + AAPL + JNJ + AAPL, "signal-invalid", "is in line 2 already"),
    "NaN": (HEAD + AAPL + JNJ.replace("0.7", "nan"), "signal-invalid", "'nan' is not finite"),
    "no number": (HEAD + AAPL + JNJ.replace("0.7", ""), "signal-invalid", "'' is not a number"),
    "infinite": (HEAD + AAPL.replace("0.2", "inf"), "signal-invalid", "'inf' is not finite"),
    "old": (
        HEAD + AAPL.replace("2020-03-02", "2020-02-28").replace("2020-03-03", "2020-03-05"),
        "signal-stale",
        "stale_after_seconds",
    ),
    "expired": (
        HEAD + AAPL.replace("2020-03-03T16", "2020-03-02T16").replace("T16:00:00Z,2", "T15:00:00Z,2"),
        "signal-stale",
        "it was valid until 2020-03-02T16:00:00Z",
    ),
    "of the future": (HEAD + AAPL.replace("-02T16", "-02T17"), "signal-invalid", "is after now"),
    "unknown symbol": (
        HEAD + AAPL + JNJ.replace("JNJ", "JNK"),
        "signal-invalid",
        "'JNK.STK.USD@IB' is not in the sleeve's universe",
    ),
    "another sleeve's symbol": (
        HEAD + AAPL + JNJ.replace("JNJ", "KO"),
        "signal-invalid",
        "'KO.STK.USD@IB' is not in the sleeve's universe",
    ),
    "over its limit": (
        HEAD + AAPL.replace("0.2", "0.4") + JNJ,
        "signal-invalid",
        "= 1.1, over the sleeve's leverage_max 1",
    ),
    "leverage over its limit": (
        HEAD + (AAPL + JNJ).replace(",weight,1,", ",weight,1.5,"),
        "signal-invalid",
        "= 1.35, over the sleeve's leverage_max 1",
    ),
    "no leverage": (
        HEAD + AAPL.replace(",weight,1,", ",weight,0,"),
        "signal-invalid",
        "leverage 0 is not positive",
    ),
    "lots beyond counting": (
        HEAD + AAPL.replace("0.2,weight", "1e30,lots"),
        "signal-invalid",
        "is out of range",
    ),
    "no text": ("\udcff\udcfe\x00\x01", "signal-invalid", ""),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_signal_file_holds_its_sleeve_and_the_other_trades(tmp_path: Path, kind: str) -> None:
    text, code, words = BAD_FILES[kind]
    world = two_sleeves(tmp_path)
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    first = world.hour(FIRST)
    assert first.outcome is Outcome.FINISHED
    assert not first.flags
    held = world.holdings()
    assert {name.partition(".")[0] for name in held} == {*HAND, *OTHER}
    sent = len(world.venue()["orders"])

    path = world.state / "signals" / "hand.csv"
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    other_wants(world, ("0.1", "0.8"), SECOND)
    second = world.hour(SECOND)

    assert traded_since(world, sent) == set(OTHER)
    after = world.holdings()
    assert all(after[stock(symbol)] == held[stock(symbol)] for symbol in HAND)
    assert codes(second) == {code}
    (flag,) = second.flags
    assert flag.subject == "sleeve:hand"
    assert "signals/hand.csv" in flag.message
    assert words in flag.message
    assert "keeps its last accepted lots" in flag.message
    assert second.exit_code == 0
    alert = " ".join(world.alert(SECOND).split())
    assert "sleeve hand" in alert
    assert words in alert


def test_a_sleeve_that_never_had_a_signal_buys_nothing(tmp_path: Path) -> None:
    world = two_sleeves(tmp_path)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST)
    assert traded_since(world, 0) == set(OTHER)
    assert codes(record) == {"signal-missing"}
    why = {line.instrument: line.reason for line in record.lines}
    assert why[InstrumentId(stock("AAPL"))].startswith("held: a sleeve has neither a valid signal")


def test_a_wish_beyond_the_limits_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    # JNJ: 0.5 of the money x 0.9 = 45,000 USD; the limit is 30,000.
    world = two_sleeves(tmp_path, risk='max_order_notional = "30000"')
    world.wants({"AAPL": "0.1", "JNJ": "0.9"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST)
    assert traded_since(world, 0) == {"AAPL", *OTHER}
    assert codes(record) == {"order-refused"}
    assert "the limit is 30,000 USD" in message(record, "order-refused")
    assert "JNJ" in world.alert(FIRST)


# ------------------------------------------------------------------ quotes

BAD_QUOTES = {
    FaultKind.MISSING_QUOTE: ("price-missing", "no quote"),
    FaultKind.CROSSED_QUOTE: ("price-missing", "crossed"),
    FaultKind.ONE_SIDED_QUOTE: ("price-missing", "one side"),
    FaultKind.STALE_QUOTE: ("order-refused", "its quote is 3600 s old"),
}


@pytest.mark.parametrize("kind", BAD_QUOTES, ids=lambda kind: kind.name)
def test_an_instrument_with_a_bad_quote_is_held_and_the_rest_trades(
    tmp_path: Path, kind: FaultKind
) -> None:
    code, words = BAD_QUOTES[kind]
    world = two_sleeves(tmp_path)
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    spoilt = Fault(kind, count=None, subject=stock("JNJ"))
    first = world.hour(FIRST, faults=[spoilt])
    assert traded_since(world, 0) == {"AAPL", *OTHER}
    assert codes(first) == {code}
    assert [flag.subject for flag in first.flags] == [stock("JNJ")]
    assert words in message(first, code)
    assert "JNJ" in world.alert(FIRST)

    held, sent = world.holdings(), len(world.venue()["orders"])
    world.wants({"AAPL": "0", "JNJ": "0"}, SECOND)
    spoilt = Fault(kind, count=None, subject=stock("AAPL"))
    second = world.hour(SECOND, faults=[spoilt])
    assert "AAPL" not in traded_since(world, sent)
    assert world.holdings()[stock("AAPL")] == held[stock("AAPL")]
    assert code in codes(second)


def test_without_any_quote_nothing_is_sent(tmp_path: Path) -> None:
    world = two_sleeves(tmp_path)
    world.wants({"AAPL": "0.5", "JNJ": "0.4"}, FIRST)
    other_wants(world, ("0.5", "0.4"), FIRST)
    record = world.hour(FIRST, faults=[Fault(FaultKind.MISSING_QUOTE, count=None)])
    assert world.venue()["orders"] == []
    assert codes(record) == {"price-missing"}
    assert len(record.flags) == 4


# ------------------------------------------------------------------ the account

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
            bent.bend, bent.quotes = self.bend, self.quotes  # type: ignore[method-assign]
            yield bent


def bent_hour(world: World, at: Any, bend: Bend, *quotes: Quote) -> RunRecord:
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
    "unproved": (worth("150000"), "net-liquidation-unproved", "add up to 100,000 USD", 3),
    "cash without a rate": (
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
    assert code in codes(record)
    assert words in message(record, code)
    assert words in " ".join(world.alert(FIRST).split())
    assert world.standing().accepted_net_liquidation is None


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


_ = Instrument


def test_zz(tmp_path: Path) -> None:
    import json
    for n, v in enumerate(("NaN","Infinity","-Infinity","sNaN")):
        w=two_sleeves((tmp_path / str(n)).mkdir() or tmp_path / str(n))
        w.wants({"AAPL":"0.5","JNJ":"0.4"},FIRST); other_wants(w,("0.5","0.4"),FIRST)
        r=bent_hour(w,FIRST,worth(v))
        print(v,r.exit_code,[(f.code,f.message) for f in r.flags])
        h=json.loads((w.run_folder(FIRST)/'host.json').read_text())
        print(*h.get('traceback',[])[-6:],h.get('troubles'))
    assert 0
