"""Market data: live, frozen, delayed or refused; once, or as the market moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.model.instrument import InstrumentId
from rebalancer.simulators.ib_gateway.gateway import Gateway
from rebalancer.simulators.ib_gateway.market_data import LINES
from rebalancer.simulators.ib_gateway.standalone import other_instruments
from rebalancer.simulators.ib_gateway.wire_log import WireEntry
from tests.unit.ib_gateway.clients import SLOT, connected, library, local
from tests.unit.ib_gateway.trading.scene import AAPL, price
from tests.unit.ib_gateway.wire import Caller, contract, errors, gateway_of, names

NIGHT = SLOT + timedelta(hours=12)


def started(gateway: Gateway) -> Caller:
    """Return a connection that has said who it is."""
    caller = Caller(gateway)
    caller.start()
    return caller


def ask(
    caller: Caller,
    number: int = 5,
    asked: tuple[object, ...] = contract(),
    *,
    generic: str = "",
    snapshot: int = 0,
) -> list[WireEntry]:
    """Ask for market data; return what is answered at once."""
    return caller.say(1, 11, number, *asked, 0, generic, snapshot, 0, "")


def ticks(entries: list[WireEntry]) -> dict[int, str]:
    """Return the newest value of each tick, by its number."""
    return {int(e.fields[3]): e.fields[4] for e in entries if e.name.startswith("tick")
            and e.name not in ("tickReqParams", "tickSnapshotEnd")}  # fmt: skip


def types(entries: list[WireEntry]) -> list[str]:
    """Return the kinds of data that were announced."""
    return [e.fields[3] for e in entries if e.name == "marketDataType"]


def test_a_live_quote_is_the_engines() -> None:
    with gateway_of() as gateway:
        said = ask(started(gateway), generic="165")
        bid, ask_price = (price(gateway, AAPL, side) for side in ("bid", "ask"))
        found = ticks(said)
        mark = gateway.exchange.market.mark(gateway.exchange.instruments[AAPL], SLOT)
    assert names(said)[:2] == ["tickReqParams", "marketDataType"]
    assert types(said) == ["1"]
    assert (Decimal(found[1]), Decimal(found[2])) == (bid, ask_price)
    assert Decimal(found[4]) == mark
    # The recorded close of Friday; the time of the last price; nothing is known of volumes.
    assert found[9] == "66.915"
    assert found[45] == str(int(SLOT.timestamp()))
    assert found[49] == "0"
    assert found[21] == "-1"
    assert 8 not in found


def test_a_snapshot_ends_and_leaves_no_subscription() -> None:
    with gateway_of() as gateway:
        caller = started(gateway)
        assert names(ask(caller, snapshot=1))[-1] == "tickSnapshotEnd"
        assert caller.session.feeds.quotes == {}
        assert errors(ask(caller, snapshot=1, generic="165")) == [(5, 321)]


def test_subscribers_hear_what_moves_and_nothing_else() -> None:
    with gateway_of() as gateway:
        caller = started(gateway)
        first = ticks(ask(caller))
        before = len(caller.said)
        gateway.advance(SLOT + timedelta(seconds=20))
        assert caller.said[before:] == []
        gateway.advance(SLOT + timedelta(minutes=1))
        moved = caller.said[before:]
        assert ticks(moved)[45] == str(int(SLOT.timestamp()) + 60)
        assert Decimal(ticks(moved).get(1, first[1])) == price(gateway, AAPL, "bid")
        assert 9 not in ticks(moved)
        assert 49 not in ticks(moved)
        assert caller.say(2, 2, 5) == []
        before = len(caller.said)
        gateway.advance(SLOT + timedelta(minutes=2))
        assert caller.said[before:] == []
        assert errors(caller.say(2, 2, 5)) == [(5, 300)]


@pytest.mark.parametrize(
    ("subscribed", "asked", "announced", "said"),
    [
        ("live", 1, ["1"], []),
        ("live", 2, ["1"], []),
        ("live", 3, ["1"], []),
        ("live", 4, ["1"], []),
        ("delayed", 1, [], [(5, 354)]),
        ("delayed", 2, [], [(5, 354)]),
        ("delayed", 3, ["3"], [(5, 10167)]),
        ("delayed", 4, ["3"], [(5, 10167)]),
        ("frozen", 1, ["2"], []),
        ("none", 1, [], [(5, 354)]),
        ("none", 3, [], [(5, 10168)]),
    ],
)
def test_the_kind_of_data_depends_on_what_is_asked_and_subscribed(
    subscribed: str, asked: int, announced: list[str], said: list[tuple[int, int]]
) -> None:
    with gateway_of(market_data=subscribed) as gateway:
        caller = started(gateway)
        assert caller.say(59, 1, asked) == []
        answer = ask(caller)
    assert types(answer) == announced
    assert errors(answer) == said
    assert bool(ticks(answer)) is bool(announced)


def test_frozen_data_come_when_the_market_is_closed() -> None:
    with gateway_of() as gateway:
        gateway.exchange.play_to(NIGHT)
        caller = started(gateway)
        assert types(ask(caller, 1)) == ["1"]
        caller.say(59, 1, 2)
        answer = ask(caller, 2)
    assert types(answer) == ["2"]
    # The adjusted close of the day as recorded, and when it was: 16:00 in New York.
    assert ticks(answer)[9] == "73.145"
    assert ticks(answer)[45] == str(int(SLOT.replace(hour=21, minute=0).timestamp()))


def test_delayed_data_are_a_quarter_of_an_hour_old_and_have_their_own_ticks() -> None:
    with gateway_of(market_data="delayed") as gateway:
        caller = started(gateway)
        caller.say(59, 1, 3)
        found = ticks(ask(caller))
        then = gateway.exchange.market.quote(
            gateway.exchange.instruments[AAPL], SLOT - timedelta(minutes=15)
        )
    assert then is not None
    assert set(found) == {66, 67, 68, 69, 70, 71, 75, 88, 90}
    assert (Decimal(found[66]), Decimal(found[67])) == (then.bid, then.ask)
    assert found[88] == str(int(SLOT.timestamp()) - 900)


def test_currencies_and_futures_have_quotes_too() -> None:
    with gateway_of(instruments=other_instruments(SLOT)) as gateway:
        caller = started(gateway)
        pair = ticks(ask(caller, 1, contract("EUR", "CASH", exchange="IDEALPRO")))
        future = ticks(ask(caller, 2, contract("ES", "FUT", exchange="CME")))
    # The settings' rate of 1.10, a tick of 0.00005 or a basis point (0.00011) to each side.
    assert Decimal(pair[1]) < Decimal("1.10") < Decimal(pair[2])
    assert pair[9] == "1.1"
    assert 4 not in pair
    assert Decimal(future[1]) % Decimal("0.25") == 0
    assert Decimal(future[2]) > Decimal(future[1]) > 1_000


def test_an_instrument_without_a_price_has_none() -> None:
    euro = other_instruments(SLOT)[0]
    pound = replace(euro, id=InstrumentId("GBP.USD.FX@IB"), symbol="GBP")
    with gateway_of(instruments=(pound,)) as gateway:
        found = ticks(ask(started(gateway), 1, contract("GBP", "CASH", exchange="IDEALPRO")))
    assert found == {1: "-1", 2: "-1"}


@pytest.mark.parametrize(
    ("asked", "generic", "code"),
    [
        (contract("NOPE"), "", 200),
        (contract(exchange=""), "", 321),
        (contract(kind="", conId=265598, exchange=""), "", 321),
        (contract(kind="SHARE"), "", 321),
        (contract(kind="OPT", expiry="20200417", strike=70, right="C"), "", 200),
        (contract(), "165,4711", 321),
        (contract(), "volume", 321),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    asked: tuple[object, ...], generic: str, code: int
) -> None:
    with gateway_of() as gateway:
        assert errors(ask(started(gateway), 5, asked, generic=generic)) == [(5, code)]


def test_a_request_id_is_used_once_and_lines_are_limited() -> None:
    with gateway_of() as gateway:
        caller = started(gateway)
        ask(caller, 1)
        assert errors(ask(caller, 1)) == [(1, 322)]
        for feed_number in range(2, LINES + 1):
            caller.session.feeds.quotes[feed_number] = caller.session.feeds.quotes[1]
        assert errors(ask(caller, LINES + 1)) == [(LINES + 1, 101)]
        other = Caller(gateway)
        other.start(2)
        assert errors(ask(other, 1)) == [(1, 101)]


def test_a_kind_of_data_that_there_is_not_is_refused() -> None:
    with gateway_of() as gateway:
        assert errors(started(gateway).say(59, 1, 5)) == [(-1, 321)]


def test_the_real_client_sees_prices_move() -> None:
    gateway = local()
    with connected(gateway) as ib:
        share = library().Stock("AAPL", "SMART", "USD")
        ib.qualifyContracts(share)
        ticker = ib.reqMktData(share)
        ib.sleep(0.1)
        first = (ticker.bid, ticker.ask, ticker.marketDataType)
        gateway.advance(SLOT + timedelta(minutes=30))
        ib.sleep(0.1)
        second = (ticker.bid, ticker.ask, ticker.marketDataType)
    assert first[2] == second[2] == 1
    assert first != second
    assert second[0] < second[1]
