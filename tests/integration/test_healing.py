"""Gaps between books and venue: found, explained, fetched again, or booked with a flag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderType, TimeInForce
from rebalancer.model.records import Entry, EntryKind, RunRecord
from rebalancer.simulators.binance_server.faults import Do as HttpDo
from rebalancer.simulators.binance_server.faults import HttpFault
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.orders_by_hand import order_by_hand
from rebalancer.simulators.news import NewOrder
from rebalancer.store.atomic import Files
from rebalancer.store.books import StateFolder
from tests.exchanges import FIRST as THURSDAY
from tests.exchanges import Exchanges, perpetual, write_coins
from tests.gateways import Gateways
from tests.integration.hours import EVER, KO, MSFT, SYMBOLS, WANTED, command
from tests.portfolios import FIRST, HOUR, QUIET, codes, make_world, write_signal

pytestmark = pytest.mark.usefixtures("quick")

EVENING = datetime(2020, 3, 2, 20, 30, tzinfo=UTC)
"""Monday, half an hour before the close and after its last run."""

TUESDAY = datetime(2020, 3, 3, 15, 5, tzinfo=UTC)
BTC, ETH, SOL = (InstrumentId(perpetual(coin)) for coin in ("BTC", "ETH", "SOL"))


def entries(state: Path, kind: EntryKind) -> list[Entry]:
    """Return the lines of a kind of a portfolio's books."""
    return [each for each in StateFolder(state, Files()).entries() if each.kind is kind]


def words(record: RunRecord, code: str, subject: str | None = None) -> str:
    """Return what a run's flag of a code says (about a subject)."""
    found = (f for f in record.flags if f.code == code and subject in (None, f.subject))
    return next(found).message


def agrees(record: RunRecord) -> bool:
    """Return whether books and venue agree after a run."""
    assert record.after is not None
    held = {each.instrument: each.quantity for each in record.after.positions if each.quantity}
    return dict(record.positions_expected) == held


# -------------------------------------------------------------------- Interactive Brokers


@pytest.fixture
def gateways(tmp_path: Path) -> Gateways:
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET, transport="memory")
    world.wants(WANTED, FIRST, **EVER)
    return Gateways(world)


def by_hand(gateways: Gateways, at: datetime, quantity: int, name: InstrumentId = KO) -> None:
    """Let the owner trade in the evening, when no run looks any more."""
    local = LocalGateway(gateways.spec(at), Files())
    local.open(at, 1)
    order_by_hand(local.gateway, name, Decimal(quantity))
    local.advance(at + timedelta(minutes=1))
    local.close()


def test_what_ib_forgot_over_night_is_locked_and_booked_after_an_hour(gateways: Gateways) -> None:
    gateways.hour(FIRST)
    by_hand(gateways, EVENING, 7)
    first = gateways.hour(TUESDAY)
    # Tuesday's gateway has no executions of Monday: the gap locks its instrument at once.
    assert {"reconciliation-break", "gap-unexplained"} <= codes(first)
    assert "if it is the same from 2020-03-03 16:05 UTC on" in words(first, "gap-unexplained")
    assert not agrees(first)
    assert KO not in {order.instrument for order in first.approved}
    second = gateways.hour(TUESDAY + HOUR)
    assert {"books-adjusted"} <= codes(second)
    assert not {"reconciliation-break", "gap-unexplained"} & codes(second)
    assert KO not in {order.instrument for order in second.approved}  # it is held for this run
    assert agrees(second)
    (line,) = entries(gateways.world.state, EntryKind.ADJUSTMENT)
    assert (line.fill.instrument, line.fill.quantity) == (KO, Decimal(7))
    told = gateways.world.alert(TUESDAY + HOUR)
    assert "books-adjusted" in told
    assert "booked as the venue has it" in told
    assert not gateways.world.standing().latched
    assert gateways.world.standing().gaps == {}
    third = gateways.hour(TUESDAY + 2 * HOUR)
    assert not codes(third) & {"books-adjusted", "reconciliation-break", "gap-unexplained"}
    assert agrees(third)
    assert len(entries(gateways.world.state, EntryKind.ADJUSTMENT)) == 1


def test_a_gap_that_is_worth_too_much_waits_for_the_owner(gateways: Gateways) -> None:
    gateways.hour(FIRST)
    by_hand(gateways, EVENING, 60)  # about 3,300 dollars; 1 % of 100,000 is allowed
    for hours in range(4):
        record = gateways.hour(TUESDAY + hours * HOUR)
        assert "reconciliation-break" in codes(record)
        assert "1.00% of net liquidation allow" in words(record, "gap-unexplained")
    assert entries(gateways.world.state, EntryKind.ADJUSTMENT) == []
    assert command(gateways.world, "resume", "reconciliation-break", "--yes") == 0
    record = gateways.hour(TUESDAY + 4 * HOUR)
    assert not codes(record) & {"reconciliation-break", "gap-unexplained", "books-adjusted"}
    assert agrees(record)


def test_a_gap_that_changes_begins_to_wait_anew(gateways: Gateways) -> None:
    gateways.hour(FIRST)
    by_hand(gateways, EVENING, 7)
    gateways.hour(TUESDAY)
    first = gateways.world.standing().gaps[KO]

    def lost(local: LocalGateway) -> None:
        """Let another trade happen that the gateway does not tell of."""
        holding = local.gateway.exchange.account.holdings[KO]
        holding.quantity += 1
        carried = local.gateway.exchange.account.carried_positions
        carried[KO] = carried.get(KO, Decimal(0)) + 1

    gateways.before = lost
    record = gateways.hour(TUESDAY + HOUR)
    assert "books-adjusted" not in codes(record)
    gap = gateways.world.standing().gaps[KO]
    assert (gap.found, gap.first) == (first.found + 1, TUESDAY + HOUR)


def test_nothing_is_booked_while_an_order_works_in_the_instrument(gateways: Gateways) -> None:
    gateways.hour(FIRST)
    by_hand(gateways, EVENING, 7)

    def resting(local: LocalGateway) -> None:
        if not any(order.live for order in local.gateway.exchange.orders()):
            order_by_hand(local.gateway, KO, Decimal(1), Decimal(20))
            local.advance(local.now() + timedelta(seconds=5))

    gateways.before = resting
    for hours in range(3):
        record = gateways.hour(TUESDAY + hours * HOUR)
        assert "an order that is not ours works in it" in words(record, "gap-unexplained")
    assert entries(gateways.world.state, EntryKind.ADJUSTMENT) == []


def test_a_split_is_never_booked_by_itself(gateways: Gateways) -> None:
    gateways.hour(FIRST)

    def split(local: LocalGateway) -> None:
        account = local.gateway.exchange.account
        if account.holdings[MSFT if MSFT in account.holdings else KO].quantity == held[KO]:
            account.carried_positions[KO] = account.carried_positions.get(KO, Decimal(0)) + held[KO]
            account.holdings[KO].quantity = 2 * held[KO]

    held = gateways.world.holdings()
    gateways.before = split
    for hours in range(1, 4):
        record = gateways.hour(FIRST + hours * HOUR)
        assert "corporate-action" in codes(record)
        assert "books-adjusted" not in codes(record)
        gateways.before = lambda _local: None
    assert entries(gateways.world.state, EntryKind.ADJUSTMENT) == []


def test_executions_that_the_gateway_kept_to_itself_are_found_in_step_4(
    gateways: Gateways,
) -> None:
    ours = [fill for fill in gateways.hour(FIRST).fills if fill.instrument == KO]

    def trade(local: LocalGateway) -> None:
        order_by_hand(local.gateway, KO, Decimal(7))
        local.advance(local.now() + timedelta(seconds=5))

    gateways.before = trade
    # Both lists before step 4 are without it; it is told when the books do not agree.
    lists = 2 * (len(ours) + 1)
    gateways.faults = [WireFault("execDetails", Do.LOSE, count=lists, subject=KO)]
    record = gateways.hour(FIRST + HOUR)
    assert record.exit_code == 0
    assert {"fills-found", "others-trade"} <= codes(record)
    assert not {"reconciliation-break", "gap-unexplained"} & codes(record)
    assert agrees(record)
    assert KO in {fill.fill.instrument for fill in entries(gateways.world.state, EntryKind.FILL)}


def test_an_execution_that_comes_after_its_gap_was_booked_counts_once(gateways: Gateways) -> None:
    gateways.hour(FIRST)

    def trade(local: LocalGateway) -> None:
        order_by_hand(local.gateway, KO, Decimal(7))
        local.advance(local.now() + timedelta(seconds=5))

    gateways.before = trade
    gateways.faults = [WireFault("execDetails", Do.LOSE, count=None, subject=KO)]
    gateways.hour(FIRST + HOUR)
    gateways.before = lambda _local: None
    assert "books-adjusted" in codes(gateways.hour(FIRST + 2 * HOUR))
    gateways.faults = []
    record = gateways.hour(FIRST + 3 * HOUR)
    assert agrees(record)
    state = gateways.world.state
    told = [each for each in entries(state, EntryKind.FILL) if each.fill.instrument == KO]
    assert Decimal(7) in {each.fill.quantity for each in told}
    booked, taken_back = entries(state, EntryKind.ADJUSTMENT)
    assert (booked.fill.quantity, taken_back.fill.quantity) == (Decimal(7), Decimal(-7))
    assert not codes(record) & {"reconciliation-break", "unexplained-cash-large"}
    assert agrees(gateways.hour(FIRST + 4 * HOUR))


def test_an_order_that_filled_more_than_its_executions_is_told(gateways: Gateways) -> None:
    gateways.faults = [WireFault("execDetails", Do.LOSE, count=None, subject=KO)]
    record = gateways.hour(FIRST)
    assert "fills-missing" in codes(record)
    assert [f.subject for f in record.flags if f.code == "fills-missing"] == [KO]
    assert "reconciliation-break" in codes(record)
    gateways.faults = []
    second = gateways.hour(FIRST + HOUR)
    # The gateway tells them after all: they are booked, and the lock is gone.
    assert not codes(second) & {"reconciliation-break", "fills-missing", "books-adjusted"}
    assert "fills-while-away" in codes(second)
    assert agrees(second)


def test_many_gaps_are_not_booked_however_small(gateways: Gateways) -> None:
    gateways.hour(FIRST)
    for name in WANTED:
        by_hand(gateways, EVENING + list(WANTED).index(name) * timedelta(minutes=2), 1,
                InstrumentId(f"{name}.STK.USD@IB"))  # fmt: skip
    for hours in range(3):
        record = gateways.hour(TUESDAY + hours * HOUR)
        assert "many-breaks" in codes(record)
        assert "3 positions differ" in words(record, "gap-unexplained")
    assert entries(gateways.world.state, EntryKind.ADJUSTMENT) == []


def test_trades_from_before_the_first_run_or_the_adoption_are_in_what_was_adopted(
    gateways: Gateways,
) -> None:
    by_hand(gateways, FIRST - timedelta(minutes=20), 9)  # 14:45 UTC, the market opened at 14:30
    assert "not-adopted" in codes(gateways.hour(FIRST))
    by_hand(gateways, FIRST + timedelta(minutes=20), 4)
    assert command(gateways.world, "adopt", "--yes") == 0
    for hours in (1, 2):
        record = gateways.hour(FIRST + hours * HOUR)
        assert record.exit_code == 0, record.flags
        assert not codes(record) & {"others-trade", "reconciliation-break", "gap-unexplained"}
        assert agrees(record)
    (adopted,) = entries(gateways.world.state, EntryKind.ADOPTION)
    assert adopted.fill.quantity == Decimal(13)


# ------------------------------------------------------------------------------ Binance


@pytest.fixture
def world(tmp_path: Path) -> Exchanges:
    found = Exchanges(write_coins(tmp_path))
    wish(found, THURSDAY)
    return found


def wish(world: Exchanges, at: datetime) -> None:
    write_signal(world.path.parent, {BTC: "0.5", ETH: "-0.4"}, at, portfolio="coins")


def trade_at(world: Exchanges, quantity: str, name: InstrumentId = BTC, *, free: bool = False,
             earlier: timedelta = timedelta(0)) -> Callable[[LocalServer], None]:  # fmt: skip
    """Return what trades by hand; `free`: without a fee, so that no ledger tells of it."""

    def trade(server: LocalServer) -> None:
        exchange = server.server.exchange
        wanted = NewOrder(
            reference="by-hand",
            instrument=name,
            quantity=Decimal(quantity),
            limit=None,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
        )
        exchange.place([wanted], at_once=True)
        for each in exchange.account.executions:
            if each.reference == "by-hand":
                each.at -= earlier
                if free and each.commission:
                    exchange.book_cash(each.commission_currency, each.commission)
                    carried = exchange.account.carried_cash
                    carried[each.commission_currency] -= each.commission
                    each.commission = Decimal(0)
        exchange.save()
        world.before = lambda _server: None

    return trade


def run(world: Exchanges, at: datetime) -> RunRecord:
    wish(world, at)
    return world.hour(at)


def test_a_trade_that_cost_nothing_and_earned_nothing_is_found_by_its_symbol(
    world: Exchanges,
) -> None:
    run(world, THURSDAY)
    world.before = trade_at(world, "1", SOL, free=True)
    record = run(world, THURSDAY + HOUR)
    assert {"fills-found", "others-trade"} <= codes(record), record.flags
    assert not {"reconciliation-break", "gap-unexplained"} & codes(record)
    assert agrees(record)
    (line,) = [e for e in entries(world.folder, EntryKind.FILL) if e.fill.reference == "by-hand"]
    assert (line.fill.instrument, line.fill.quantity) == (SOL, Decimal(1))
    # It is asked for by name this once; nothing is asked more than usual afterwards.
    later = run(world, THURSDAY + 2 * HOUR)
    assert agrees(later)
    assert "fills-found" not in codes(later)


def test_trades_of_days_on_which_no_run_could_connect_are_read(world: Exchanges) -> None:
    run(world, THURSDAY)
    world.before = trade_at(world, "0.010")
    world.faults = [HttpFault("", HttpDo.OUTAGE)]
    for hours in (1, 20, 40, 60):
        assert world.hour(THURSDAY + hours * HOUR).exit_code == 4
    world.faults = []
    record = run(world, THURSDAY + 61 * HOUR)
    assert {"others-trade", "fills-while-away"} <= codes(record), record.flags
    assert "fills-found" not in codes(record)
    assert agrees(record)


def test_an_older_trade_is_found_by_a_longer_look_back(world: Exchanges) -> None:
    start = replace(world, changes={})
    run(start, THURSDAY)
    start.hour(THURSDAY + 200 * HOUR)
    # Told now, and of ten days ago: only the second, longer question reaches it.
    start.before = trade_at(start, "0.010", earlier=timedelta(days=8))
    record = run(start, THURSDAY + 201 * HOUR)
    assert "fills-found" in codes(record), record.flags
    assert agrees(record)


def test_a_gap_without_any_trade_is_booked_after_an_hour(world: Exchanges) -> None:
    run(world, THURSDAY)

    def vanish(server: LocalServer) -> None:
        account = server.server.exchange.account
        account.holdings[BTC].quantity -= Decimal("0.001")
        carried = account.carried_positions
        carried[BTC] = carried.get(BTC, Decimal(0)) - Decimal("0.001")
        world.before = lambda _server: None

    world.before = vanish
    first = run(world, THURSDAY + HOUR)
    assert {"reconciliation-break", "gap-unexplained"} <= codes(first)
    second = run(world, THURSDAY + 2 * HOUR)
    assert "books-adjusted" in codes(second), second.flags
    assert agrees(second)
    assert not codes(run(world, THURSDAY + 3 * HOUR)) & {"reconciliation-break", "books-adjusted"}


def test_what_the_exchange_will_not_tell_is_not_booked(world: Exchanges) -> None:
    run(world, THURSDAY)
    world.before = trade_at(world, "0.2", SOL, free=True)
    refused = HttpFault(
        "GET /fapi/v1/userTrades", HttpDo.STATUS_BEFORE, subject="SOLUSDT", count=None,
        status=400, code=-1121,
    )  # fmt: skip
    world.faults = [refused]
    first = run(world, THURSDAY + HOUR)
    assert "could not be asked for" in words(first, "gap-unexplained", "")
    second = run(world, THURSDAY + 2 * HOUR)
    assert "books-adjusted" not in codes(second)
    assert entries(world.folder, EntryKind.ADJUSTMENT) == []
    world.faults = []
    third = run(world, THURSDAY + 3 * HOUR)
    assert agrees(third), third.flags
    assert "reconciliation-break" not in codes(third)
