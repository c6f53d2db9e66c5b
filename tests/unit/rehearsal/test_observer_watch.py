"""The watch sees when an order is announced, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from rebalancer.model.codec import to_json
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderType, Place, TimeInForce
from rebalancer.ports import Hands, Venue
from rebalancer.rehearsal.observer.on_the_wire import writes
from rebalancer.rehearsal.observer.stops_kept import StopsKept
from rebalancer.rehearsal.observer.watch import Watch
from rebalancer.simulators.binance_server.algo_kept import AlgoOrder, keep
from rebalancer.simulators.books import Account, Holding
from rebalancer.store.atomic import Files
from rebalancer.store.books import slot_name
from rebalancer.store.journal import JsonLines
from tests.exchanges import FIRST as COINS_FIRST
from tests.exchanges import Exchanges, perpetual, write_coins
from tests.gateways import Gateways
from tests.integration.hours import EVER, SYMBOLS, WANTED
from tests.portfolios import FIRST as SHARES_FIRST
from tests.portfolios import QUIET, make_world, stock, write_signal
from tests.unit.rehearsal.scenes import (
    FIRST,
    REFERENCE,
    A,
    an_account,
    an_approved,
    an_execution,
    d,
)

LINE = {"kind": "intents", "attempt": 1, "orders": [an_approved()]}
STOP = {"kind": "stops", "attempt": 1, "stops": [{"reference": "x"}]}
BTC = InstrumentId(perpetual("BTC"))


def _journal(state: Path, files: Files) -> JsonLines:
    return JsonLines(files, state / "runs" / slot_name(FIRST) / "journal.jsonl")


def test_an_intent_counts_from_its_whole_line_on(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    journal = _journal(tmp_path, Files())
    assert not watch.journaled(REFERENCE)
    journal.append([{"kind": "order", "order": {"reference": REFERENCE}}], durable=True)
    assert not watch.journaled(REFERENCE)
    path = tmp_path / "runs" / slot_name(FIRST) / "journal.jsonl"
    torn = to_json(LINE).encode("ascii")
    with path.open("ab") as file:
        file.write(torn)
    assert not watch.journaled(REFERENCE)
    with path.open("ab") as file:
        file.write(b"\n")
    assert watch.journaled(REFERENCE)


def test_a_line_that_the_disk_need_not_have_does_not_count(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    journal = _journal(tmp_path, watch.files(Files()))
    journal.append([LINE], durable=False)
    assert not watch.journaled(REFERENCE)
    journal.append([{"kind": "sent"}], durable=True)
    assert watch.journaled(REFERENCE)


def test_a_stop_is_announced_by_a_line_of_its_own(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    _journal(tmp_path, Files()).append([STOP], durable=True)
    assert watch.journaled("x")
    assert not watch.journaled("y")


@pytest.mark.parametrize("where", ["HALT", "../HALT"])
def test_a_halt_file_is_seen_in_both_places(tmp_path: Path, where: str) -> None:
    watch = Watch(tmp_path / "books")
    (tmp_path / "books").mkdir()
    assert not watch.halted()
    (tmp_path / "books" / where).touch()
    assert watch.halted()


def test_a_halt_file_that_the_owner_had_in_view_does_not_stop_his_command(tmp_path: Path) -> None:
    watch, file = Watch(tmp_path / "books"), tmp_path / "HALT"
    file.write_text("me: first", encoding="ascii")
    watch.begin(by_hand=True)
    assert not watch.halted()
    file.write_text("me: first\nme: not that one", encoding="ascii")
    assert watch.halted()
    watch.begin()
    assert watch.halted()


class _Asked:
    """Hands that write the order's line only when they are asked: too late."""

    sends = True

    def __init__(self, journal: JsonLines) -> None:
        self.journal = journal

    def submit(self, places: Sequence[Place]) -> tuple[()]:
        self.journal.append([LINE], durable=True)
        return ()


class _Clock:
    def now(self) -> datetime:
        return FIRST


def test_hands_are_noted_before_they_are_asked(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    inner = cast("Hands", _Asked(_journal(tmp_path, Files())))
    hands = watch.hands(inner, cast("Venue", _Clock()))
    place = Place(
        REFERENCE, A, d(100), d(10), OrderType.LIMIT, TimeInForce.DAY,
        reduce_only=False, good_till=None,
    )  # fmt: skip
    hands.submit([place])
    hands.submit([place])
    assert [each.journaled for each in watch.arrivals] == [False, True]
    assert [each.quantity for each in watch.arrivals] == [100, 100]
    watch.begin()
    assert watch.arrivals == ()


def test_an_hour_at_a_gateway_is_heard_and_announced(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, transport="memory")
    world.wants(WANTED, SHARES_FIRST, **EVER)
    watch = Watch(world.state)
    gateways = Gateways(world, before=lambda gateway: watch.gateway(gateway.gateway))
    record = gateways.hour(SHARES_FIRST)
    heard = [each for each in watch.arrivals if each.verb == "new"]
    assert sorted(each.instrument for each in heard) == sorted(stock(name) for name in WANTED)
    assert {each.reference for each in heard} == {each.reference for each in record.approved}
    assert {each.quantity for each in heard} == {each.quantity for each in record.approved}
    assert all(each.journaled for each in heard)
    assert not any(each.halt for each in watch.arrivals)


def test_an_hour_at_binance_is_heard_and_announced(tmp_path: Path) -> None:
    world = Exchanges(write_coins(tmp_path, coins=("BTC",), extra=QUIET))
    write_signal(tmp_path, {BTC: "0.4"}, COINS_FIRST, portfolio="coins")
    watch = Watch(world.folder)
    world.before = lambda server: watch.server(server.server)
    record = world.hour(COINS_FIRST)
    heard = [each for each in watch.arrivals if each.verb == "new"]
    assert [each.reference for each in heard] == [each.reference for each in record.approved]
    assert [each.instrument for each in heard] == [BTC]
    assert all(each.journaled and each.held == 0 for each in heard)


def test_what_writes_is_told_from_what_reads() -> None:
    assert writes("ib", "placeOrder")
    assert not writes("ib", "reqOpenOrders")
    assert writes("binance", "DELETE /fapi/v1/order")
    assert not writes("binance", "GET /fapi/v1/order")


# ------------------------------------------------------------------ stops


def test_a_position_that_loses_its_stop_is_naked_until_it_is_flat() -> None:
    naked: list[str] = []
    watch, account = StopsKept(naked), _protected()
    watch.look(account, "first")
    assert naked == []
    _stops(account, status="CANCELED")
    watch.look(account, "then")
    assert len(naked) == 1


def test_a_flat_position_needs_no_stop() -> None:
    naked: list[str] = []
    watch, account = StopsKept(naked), _protected()
    watch.look(account, "first")
    account.holdings[BTC].quantity = Decimal(0)
    _stops(account, status="CANCELED")
    watch.look(account, "then")
    account.holdings[BTC].quantity = Decimal(1)  # opened anew: nothing was promised for it yet
    watch.look(account, "again")
    assert naked == []


def test_a_position_that_never_had_a_stop_lost_none() -> None:
    naked: list[str] = []
    account = an_account()
    account.holdings = {BTC: Holding(Decimal(1))}
    StopsKept(naked).look(account, "first")
    assert naked == []


def test_a_stop_on_the_wrong_side_protects_nothing() -> None:
    naked: list[str] = []
    watch, account = StopsKept(naked), _protected()
    watch.look(account, "first")
    _stops(account, status="NEW", buys=True)
    watch.look(account, "then")
    assert len(naked) == 1


@pytest.mark.parametrize(
    ("left", "stopped", "bare"),
    [("0.05", True, False), ("0.06", True, True), ("0.05", False, True)],
)
def test_what_the_stops_left_when_they_fired_may_be_a_twentieth(
    left: str, stopped: bool, bare: bool
) -> None:
    naked: list[str] = []
    watch, account = StopsKept(naked), _protected()
    watch.look(account, "first")
    account.holdings[BTC].quantity = Decimal("0.4")  # one of the ladder fired, one waits
    watch.look(account, "then")
    account.holdings[BTC].quantity = Decimal(left)
    reference = "books.2601051505p1.HASH.0" if stopped else "books.2601051505r1.HASH.0"
    account.executions = (an_execution(instrument=BTC, reference=reference),)
    _stops(account, status="FINISHED")
    watch.look(account, "again")
    assert bool(naked) == bare


@pytest.mark.parametrize(
    ("reference", "later", "bare"),
    [("web_6", 1, False), ("web_6", -1, True), ("books.2601051505r1.HASH.0", 1, True)],
)
def test_what_another_hand_added_later_is_none_of_the_stops(
    reference: str, later: int, bare: bool
) -> None:
    naked: list[str] = []
    watch, account = StopsKept(naked), _protected()
    placed = datetime(2026, 1, 5, 15, tzinfo=UTC)
    _stops(account, status="NEW", created=int(placed.timestamp() * 1000))
    watch.look(account, "first")
    account.holdings[BTC].quantity = Decimal("0.5")
    added = placed + timedelta(seconds=later)
    account.executions = (
        an_execution(instrument=BTC, reference=reference, quantity=Decimal("0.5"), at=added),
        an_execution(instrument=BTC, reference="books.2601051505p1.HASH.0"),
    )
    _stops(account, status="FINISHED")
    watch.look(account, "again")
    assert bool(naked) == bare


def _protected() -> Account:
    account = an_account()
    account.holdings = {BTC: Holding(Decimal(1))}
    _stops(account, status="NEW")
    return account


def _stops(account: Account, **changes: Any) -> None:
    values: dict[str, Any] = {
        "number": 2_000_000_001, "client_id": "x", "symbol": "BTCUSDT", "buys": False,
        "kind": "STOP_MARKET", "force": "GTC", "quantity": Decimal(1), "trigger": Decimal(50_000),
        "price": Decimal(0), "created": 1, "reduce_only": True,
    }  # fmt: skip
    keep(account, [AlgoOrder(**(values | changes))])
