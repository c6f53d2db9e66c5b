"""A latched corporate action, hour by hour: what ends it, and what only looks like its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.ledger import compare_books, corporate_actions
from rebalancer.model.flags import RUN, ErrorFlag, LatchedFlag, Severity, Step
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.records import Standing
from rebalancer.model.universe import Universe
from rebalancer.risk import clear, evaluate_breakers
from tests.unit.risk.builders import NOW, A, a_position, a_stock, an_account, d, some_limits

COIN = InstrumentId("BTCUSDT.PERP@BINANCE")
UNIVERSE = Universe([a_stock(A), Instrument(COIN, Kind.PERPETUAL, "BTCUSDT", "USD", "24/7")])
SPLIT, BREAK = "corporate-action", "reconciliation-break"


@dataclass
class Life:
    """One holding of ten at a hundred, as the hours find it."""

    name: InstrumentId = A
    booked: Decimal = Decimal(10)
    held: Decimal = Decimal(10)
    standing: Standing = field(default_factory=Standing)
    hours: int = 0

    def hour(
        self,
        price: str | None,
        *,
        close: str | None = None,
        contract: str = "1",
        history: bool = True,
        flags: Sequence[ErrorFlag] = (),
    ) -> list[str]:
        """Let a run look; return what is latched then."""
        position = replace(
            a_position(self.name, f"{self.held:f}", price or "50", contract=contract),
            currency="USD",
        )
        if price is None:
            position = replace(position, price=None)
        holdings = [position] if self.held else []
        self.account = an_account(*holdings, cash={"USD": "1000000"})
        prices = {self.name: (d(close), d(price))} if close and price else {}
        books, before = {self.name: self.booked}, self.standing
        doubts = {
            InstrumentId(flag.subject): flag.evidence
            for flag in before.latched
            if flag.code == SPLIT
        }
        acts = corporate_actions(
            books, self.account, UNIVERSE, before.contracts, prices, before.marks, doubts
        )
        self.hours += 1
        self.standing = evaluate_breakers(
            before,
            self.account,
            compare_books(books, self.account, UNIVERSE),
            acts,
            some_limits(),
            session=NOW.date(),
            now=NOW + timedelta(hours=self.hours),
            flags=flags,
            continuous=frozenset({self.name}) if history else frozenset(),
        ).standing
        return sorted(flag.code for flag in self.standing.latched)

    def words(self) -> str:
        return next(flag.message for flag in self.standing.latched if flag.code == SPLIT)

    def owner_says(self, code: str = SPLIT) -> None:
        """Let the owner lift a flag, as `rebalancer resume` does."""
        now = NOW + timedelta(hours=self.hours)
        self.standing, _ = clear(self.standing, [code], self.account, now)
        self.booked = self.held


@pytest.fixture
def split() -> Life:
    """Return a holding whose price was halved, its past too, and its quantity not yet."""
    life = Life()
    assert life.hour("100", close="100") == []
    assert life.hour("50", close="50") == [SPLIT]
    return life


def test_a_price_that_drifts_off_the_ratio_does_not_end_it(split: Life) -> None:
    for price in ("47.7", "50", "61", "38.2"):
        assert split.hour(price, close="50") == [SPLIT], price
        assert split.standing.marks == {A: d(100)}
    assert "(2:1) is not settled: its price went from 100 to 38.2" in split.words()
    assert split.standing.latched[0].since == NOW + timedelta(hours=2)


def test_closes_that_are_not_divided_yet_keep_it_without_an_accepted_price() -> None:
    life = Life()
    assert life.hour("50", close="100") == [SPLIT]
    assert life.hour("47.7", close="100") == [SPLIT]
    assert "its price went from 100 to 47.7" in life.words()
    assert life.hour("47.7", close="47.7") == []


def test_runs_that_cannot_read_the_price_do_not_end_it(split: Life) -> None:
    for _ in range(3):
        assert split.hour(None) == [SPLIT]
    assert "its price is not known" in split.words()
    assert split.hour("50", close="50") == [SPLIT]
    assert split.standing.marks == {A: d(100)}


def test_it_ends_when_prices_run_through_again(split: Life) -> None:
    assert split.hour("76", close="50") == [SPLIT]  # one price alone does not
    assert split.hour("76", close="100", history=False) == [SPLIT]
    assert split.standing.marks == {A: d(100)}  # as long as it stands, so does this
    assert split.hour("76", close="100") == []
    assert split.standing.marks == {A: d(76)}


@pytest.mark.parametrize("word", [SPLIT, BREAK])
def test_it_ends_when_the_position_has_followed_and_is_booked(split: Life, word: str) -> None:
    split.held = d(20)
    assert split.hour("53", close="50") == [SPLIT, BREAK]
    split.owner_says(word)
    assert split.hour("52", close="50") == []
    assert split.standing.marks == {A: d(52)}


def test_a_reverse_split_that_paid_for_the_last_fraction_has_followed_too() -> None:
    life = Life(booked=d(77), held=d(77))
    life.hour("10", close="10")
    assert life.hour("100", close="100") == [SPLIT]
    life.held = d(7)
    assert life.hour("101", close="100") == [SPLIT, BREAK]
    life.owner_says(BREAK)
    assert life.hour("101", close="100") == []


@pytest.mark.parametrize("held", ["4", "13", "15", "-10"])
def test_a_trade_by_hand_settles_nothing(split: Life, held: str) -> None:
    split.held = d(held)
    for price in ("50", None, "50"):
        assert split.hour(price, close="50") == [SPLIT, BREAK]
    split.owner_says(BREAK)  # of the quantity only
    assert split.hour("50", close="50") == [SPLIT]
    assert split.standing.marks == {A: d(100)}


def test_a_position_that_is_missing_for_one_run_settles_nothing(split: Life) -> None:
    split.held = d(0)
    assert split.hour("50") == [SPLIT, BREAK]
    split.held = d(10)
    assert split.hour("47.7", close="50") == [SPLIT]


def test_it_ends_when_nothing_is_held_any_more(split: Life) -> None:
    split.held = split.booked = d(0)
    assert split.hour("50") == []
    assert split.standing.marks == {}


def test_the_owners_word_holds_from_then_on(split: Life) -> None:
    split.owner_says()
    assert split.standing.marks == {A: d(50)}
    for price in ("49", "47.7", "50"):
        assert split.hour(price, close="50") == []
    assert split.hour("25", close="50") == [SPLIT]  # the next one is another matter


def test_a_halted_run_in_between_changes_nothing(split: Life) -> None:
    halt = ErrorFlag(Step.START, "halt-file", RUN, Severity.HALT, "not now")
    for price in ("47.7", "50", None):
        assert split.hour(price, close="50", flags=(halt,)) == [SPLIT]
    assert split.standing.marks == {A: d(100)}
    assert split.hour("47.7", close="50") == [SPLIT]


def test_a_contract_that_is_not_told_does_not_settle_its_change() -> None:
    life = Life()
    life.hour("100", contract="1")
    assert life.hour("100", contract="2") == [SPLIT]
    assert life.hour("100", contract="") == [SPLIT]
    assert "(1>2) is not settled: the venue does not tell its contract" in life.words()
    assert life.hour("100", contract="1") == []


# ------------------------------------------------------------------ what is never split


@pytest.mark.parametrize("price", ["75", "67", "50", "10"])
def test_the_fall_of_a_coin_is_no_split(price: str) -> None:
    life = Life(COIN)
    assert life.hour("100", close="100", contract="") == []
    assert life.hour(price, close="100", contract="") == []
    assert life.standing.marks == {COIN: d(price)}


def test_what_prices_of_a_coin_latched_in_an_earlier_version_ends() -> None:
    life = Life(COIN)
    life.hour("100", contract="")
    flag = LatchedFlag(SPLIT, COIN, Severity.HOLD, "its price halved", NOW, "2:1")
    life.standing = replace(life.standing, latched=(flag,))
    assert life.hour("50", close="100", contract="") == []


def test_twice_as_many_coins_are_still_no_trade_of_ours() -> None:
    life = Life(COIN)
    life.hour("100", contract="")
    life.held = d(20)
    assert life.hour("50", contract="") == [SPLIT, BREAK]
    life.owner_says(BREAK)
    assert life.hour(None, contract="") == []
