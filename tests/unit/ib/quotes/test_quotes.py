"""A quote is what this request heard, as the venue labels it, or it is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from rebalancer.brokers.ib.quotes import quotes
from rebalancer.errors import ConnectError
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.market import Freshness, Quote
from tests.unit.ib.contracts.test_contracts import AAPL, KO, MSFT, NUMBERS, Venue, thing
from tests.unit.ib.quotes.scripted_wire import NOW, Frames, error

EURUSD = thing("EUR.USD.FX@IB")
SECOND = int(NOW.timestamp())


def kind_of_data(request: str, number: int = 1) -> Sequence[object]:
    return (58, 1, request, number)


def price(request: str, tick: int, value: object, size: object = "") -> Sequence[object]:
    return (1, 6, request, tick, value, size, 0)


def size(request: str, tick: int, value: object) -> Sequence[object]:
    return (2, 6, request, tick, value)


def text(request: str, tick: int, value: object) -> Sequence[object]:
    return (46, 6, request, tick, value)


def generic(request: str, tick: int, value: object) -> Sequence[object]:
    return (45, 6, request, tick, value)


def whole(request: str, bid: str = "171.24", ask: str = "171.26") -> Frames:
    """Return all that a liquid stock's subscription brings at once."""
    return [
        kind_of_data(request),
        price(request, 1, bid, 300),
        price(request, 2, ask, 200),
        price(request, 9, "170.5"),
        size(request, 8, "1234567"),
        size(request, 21, "54321000"),
        text(request, 45, SECOND - 2),
        generic(request, 49, 0),
    ]


class Desk:
    """A connected line with some contracts, and what each answers to `reqMktData`."""

    def __init__(self, tmp_path: Path, *instruments: Instrument) -> None:
        self.venue = Venue(tmp_path, *instruments)
        self.contracts = self.venue.connect()
        self.line = self.venue.line
        self.line.passage.tick = timedelta()
        self.script: dict[int, Callable[[str], Frames]] = {}
        self.line.wire.answers["reqMktData"] = self._answer
        self.instruments = instruments

    def _answer(self, fields: list[str]) -> Frames:
        return self.script.get(int(fields[3]), whole)(fields[2])

    def quotes(self) -> Mapping[InstrumentId, Quote]:
        found = quotes(cast("Any", self.line), self.contracts, self.instruments)
        assert found.at == self.line.passage.now()
        return found.quotes

    def apple(self, frames: Callable[[str], Frames]) -> Quote | None:
        self.script[NUMBERS["AAPL"]] = frames
        return self.quotes().get(AAPL.id)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, AAPL)


def test_a_whole_quote_is_read_exactly(desk: Desk) -> None:
    quote = desk.quotes()[AAPL.id]
    assert quote == Quote(
        instrument=AAPL.id,
        at=NOW,
        bid=Decimal("171.24"),
        ask=Decimal("171.26"),
        bid_size=Decimal(300),
        ask_size=Decimal(200),
        close=Decimal("170.5"),
        freshness=Freshness.LIVE,
        trading=True,
        volume=Decimal(1234567),
        average_volume=Decimal(54321000),
    )


def test_every_subscription_is_given_back(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL, KO, MSFT)
    desk.quotes()
    wire = desk.line.wire
    opened = [fields[2] for name, fields in wire.sent if name == "reqMktData"]
    closed = [fields[2] for name, fields in wire.sent if name == "cancelMktData"]
    assert len(opened) == 3
    assert sorted(opened) == sorted(closed)
    assert wire.names().count("reqMarketDataType") == 1


def test_at_most_the_allowed_lines_are_open_at_a_time(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL, KO, MSFT)
    desk.line.settings.market_data_lines = 2
    assert len(desk.quotes()) == 3
    open_now, most = 0, 0
    for name in desk.line.wire.names():
        open_now += {"reqMktData": 1, "cancelMktData": -1}.get(name, 0)
        most = max(most, open_now)
    assert (open_now, most) == (0, 2)


def test_a_stale_snapshot_price_is_not_the_answer_to_a_new_question(desk: Desk) -> None:
    """The disaster: the library's cached ticker answers with a price of half an hour ago."""
    first = desk.quotes()
    assert first[AAPL.id].bid == Decimal("171.24")
    desk.line.passage.at = NOW + timedelta(minutes=30)
    assert desk.apple(lambda _request: []) is None
    stopped = desk.apple(lambda request: [kind_of_data(request), price(request, 9, "170.5")])
    assert stopped is None


def test_ticks_of_an_earlier_request_that_come_late_are_not_heard(desk: Desk) -> None:
    desk.quotes()
    old = next(fields[2] for name, fields in desk.line.wire.sent if name == "reqMktData")

    def late(request: str) -> Frames:
        return [price(old, 1, "1.00", 1), price(old, 2, "1.01", 1), *whole(request)]

    quote = desk.apple(late)
    assert quote is not None
    assert (quote.bid, quote.ask) == (Decimal("171.24"), Decimal("171.26"))


def test_a_book_that_stands_still_is_as_old_as_its_last_trade(desk: Desk) -> None:
    def still(request: str) -> Frames:
        return [*list(whole(request))[:-2], text(request, 45, SECOND - 600)]

    quote = desk.apple(still)
    assert quote is not None
    assert quote.at == NOW - timedelta(seconds=600)


def test_a_trade_a_little_while_ago_does_not_make_a_quote_old(desk: Desk) -> None:
    quote = desk.apple(lambda request: [*whole(request), text(request, 45, SECOND - 299)])
    assert quote is not None
    assert quote.at == NOW


@pytest.mark.parametrize(
    ("number", "freshness"),
    [
        (1, Freshness.LIVE),
        (2, Freshness.FROZEN),
        (3, Freshness.DELAYED),
        (4, Freshness.FROZEN),
        (9, Freshness.FROZEN),
    ],
)
def test_the_kind_of_data_is_what_the_venue_says_not_what_was_asked(
    desk: Desk, number: int, freshness: Freshness
) -> None:
    quote = desk.apple(lambda request: [*whole(request), kind_of_data(request, number)])
    assert quote is not None
    assert quote.freshness is freshness


def test_without_a_word_about_the_kind_of_data_there_is_no_quote(desk: Desk) -> None:
    assert desk.apple(lambda request: list(whole(request))[1:]) is None


def test_delayed_ticks_are_delayed_even_when_the_venue_says_live(desk: Desk) -> None:
    """ib_insync#439: the callback says 1 whatever was asked for."""

    def delayed(request: str) -> Frames:
        return [
            kind_of_data(request, 1),
            price(request, 66, "171.20", 100),
            price(request, 67, "171.30", 100),
            price(request, 75, "170.5"),
            text(request, 88, SECOND - 900),
        ]

    quote = desk.apple(delayed)
    assert quote is not None
    assert quote.freshness is Freshness.DELAYED
    assert quote.at == NOW - timedelta(seconds=900)
    assert (quote.bid, quote.close) == (Decimal("171.20"), Decimal("170.5"))


def test_simulated_live_data_are_labelled_synthetic(desk: Desk) -> None:
    desk.line.passage.simulated = True
    assert desk.quotes()[AAPL.id].freshness is Freshness.SYNTHETIC


def test_a_simulated_market_is_waited_for_until_it_answered_and_no_longer(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL, KO)
    desk.line.passage.simulated = True
    for symbol in ("AAPL", "KO"):
        desk.script[NUMBERS[symbol]] = lambda request: list(whole(request))[:3]
    spent: list[float] = []
    ask = desk.line.ask

    def timed(what: str, factory: Any, seconds: float | None = None) -> Any:
        async def inside() -> Any:
            loop = asyncio.get_running_loop()
            start = loop.time()
            answer = await factory()
            spent.append(loop.time() - start)
            return answer

        return ask(what, inside, seconds)

    desk.line.ask = timed  # type: ignore[method-assign]
    assert set(desk.quotes()) == {AAPL.id, KO.id}
    assert spent[-1] < 0.001  # of virtual time: no waiting for volumes that never come


@pytest.mark.parametrize(
    "nothing", ["-1", "-1.0", "0", "nan", "inf", "1E25", "1E+9999999", "1.7976931348623157E308"]
)
def test_a_side_that_is_not_there_is_unknown_never_zero(desk: Desk, nothing: str) -> None:
    quote = desk.apple(lambda r: [*whole(r), price(r, 2, nothing, 0)])
    assert quote is not None
    assert (quote.ask, quote.ask_size) == (None, None)
    assert quote.bid == Decimal("171.24")
    assert quote.mid is None


@pytest.mark.parametrize(("halted", "trading"), [(-1, True), (0, True), (1, False), (2, False)])
def test_a_halted_instrument_does_not_trade(desk: Desk, halted: int, trading: bool) -> None:
    quote = desk.apple(lambda request: [*whole(request), generic(request, 49, halted)])
    assert quote is not None
    assert quote.trading is trading


@pytest.mark.parametrize("code", [200, 354, 10168, 10182, 10186, 10197, 321])
def test_an_error_on_one_request_costs_that_quote_alone(tmp_path: Path, code: int) -> None:
    desk = Desk(tmp_path, AAPL, KO)
    desk.script[NUMBERS["AAPL"]] = lambda r: [*list(whole(r))[:3], error(r, code, "no data")]
    assert set(desk.quotes()) == {KO.id}


@pytest.mark.parametrize("code", [10089, 10090, 10167])
def test_a_notice_that_delayed_data_follow_does_not_end_the_request(desk: Desk, code: int) -> None:
    def noticed(request: str) -> Frames:
        return [error(request, code, "delayed"), *whole(request), kind_of_data(request, 3)]

    quote = desk.apple(noticed)
    assert quote is not None
    assert quote.freshness is Freshness.DELAYED


def test_what_is_not_qualified_is_not_asked_for(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL, KO)
    del desk.venue.known["KO"]
    assert set(desk.quotes()) == {AAPL.id}
    assert desk.line.wire.names().count("reqMktData") == 1


def test_ticks_that_cannot_be_read_leave_their_field_unknown(desk: Desk) -> None:
    def garbled(request: str) -> Frames:
        return [*whole(request), price(request, 1, "17I.24", "many"), text(request, 45, "today")]

    quote = desk.apple(garbled)
    assert quote is not None
    assert quote.bid is None


def test_a_currency_pair_without_volume_is_quoted_after_a_short_wait(tmp_path: Path) -> None:
    desk = Desk(tmp_path, EURUSD)
    desk.venue.known["EUR"] = _pair
    desk.script[12087792] = lambda r: [
        kind_of_data(r),
        price(r, 1, "1.08455", 1000000),
        price(r, 2, "1.0846", 2000000),
        price(r, 9, "1.0832"),
    ]
    quote = desk.quotes()[EURUSD.id]
    assert (quote.bid, quote.ask) == (Decimal("1.08455"), Decimal("1.0846"))
    assert quote.average_volume is None


def _pair(request: str) -> Frames:
    from tests.unit.ib.contracts.scripted_details import details, end

    return [
        details(
            request,
            symbol="EUR",
            secType="CASH",
            exchange="IDEALPRO",
            conId=12087792,
            validExchanges="IDEALPRO",
            rules="239",
        ),
        end(request),
    ]


def test_time_is_over_when_one_of_many_stays_silent(tmp_path: Path) -> None:
    desk = Desk(tmp_path, AAPL, KO)
    desk.script[NUMBERS["KO"]] = lambda _request: []
    assert set(desk.quotes()) == {AAPL.id}
    assert desk.line.wire.names().count("cancelMktData") == 2


def test_the_library_hears_its_own_ticks_again_afterwards(desk: Desk) -> None:
    handlers = desk.line.ib.client.decoder.handlers
    before, listeners = dict(handlers), len(desk.line.ib.errorEvent)
    desk.quotes()
    assert handlers == before
    assert len(desk.line.ib.errorEvent) == listeners


def test_a_wire_that_breaks_is_no_empty_market(desk: Desk) -> None:
    def broken(_request: str) -> Frames:
        desk.line.ib.client.connState = desk.line.ib.client.DISCONNECTED
        return []

    desk.script[NUMBERS["AAPL"]] = broken
    with pytest.raises(ConnectError):
        desk.quotes()


def test_the_time_of_a_quote_is_that_of_its_last_price_not_of_the_reading(desk: Desk) -> None:
    def later(request: str) -> Frames:
        desk.line.passage.at = NOW + timedelta(seconds=1)
        return whole(request)

    quote = desk.apple(later)
    assert quote is not None
    assert quote.at == NOW + timedelta(seconds=1)
    assert isinstance(quote.at, datetime)
