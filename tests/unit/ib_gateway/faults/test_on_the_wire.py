"""What each fault looks like to the real client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from tests.unit.ib_gateway.clients import ACCOUNT, SLOT, SPEC, connected, library, local

HOLDINGS = {
    "KO.STK.USD@IB": Decimal(100),
    "GE.STK.USD@IB": Decimal(-20),
    "MSFT.STK.USD@IB": Decimal(5),
}
RICH = replace(SPEC.settings, positions=HOLDINGS)


class Errors(list[tuple[int, int, str]]):
    """What errorEvent told: id, code, text."""

    def codes(self) -> list[int]:
        return [code for _, code, _ in self if code not in (2104, 2106, 2158)]


@contextmanager
def client(
    *faults: WireFault, before: bool = False, timeout: float = 2.0, **changes: Any
) -> Iterator[tuple[LocalGateway, Any, Errors]]:
    """Yield a gateway and a connected client; the faults wait from the connection on."""
    gateway = local(**{"settings": RICH, **changes})
    if before:
        gateway.inject(*faults)
    with connected(gateway, timeout=timeout) as ib:
        if not before:
            gateway.inject(*faults)
        errors = Errors()
        ib.errorEvent += lambda number, code, text, _: errors.append((number, code, text))
        yield gateway, ib, errors


def apple() -> Any:
    return library().Stock("AAPL", "SMART", "USD", conId=265598)


def order(reference: str = "r.1", limit: float = 10.0, quantity: int = 10) -> Any:
    return library().LimitOrder(
        "BUY", quantity, limit, tif="DAY", orderRef=reference, account=ACCOUNT
    )


def pass_time(gateway: LocalGateway, ib: Any, seconds: float) -> None:
    ib.reqCurrentTime()  # what was sent before has arrived then
    until = gateway.now() + timedelta(seconds=seconds)
    while gateway.now() < until:
        gateway.advance(until)
        ib.reqCurrentTime()


def references(gateway: LocalGateway) -> list[str]:
    return [each.reference for each in gateway.gateway.exchange.orders()]


# ---------------------------------------------------------------------- reading


@pytest.mark.parametrize("do", [Do.LOSE, Do.LOSE_ANSWER, Do.NO_END, Do.HALF])
def test_an_answer_that_does_not_end_is_a_time_out_once(do: Do) -> None:
    with client(WireFault("reqPositions", do)) as (_, ib, _errors):
        with pytest.raises(TimeoutError):
            ib.reqPositions()
        assert len(ib.reqPositions()) == 3


def test_gaps_in_an_answer_look_complete() -> None:
    with client(WireFault("reqPositions", Do.GAPS)) as (_, ib, _errors):
        assert len(ib.reqPositions()) == 2, "the first and the third of three"


def test_a_list_of_positions_can_be_empty_and_end_as_if_it_were_whole() -> None:
    with client(WireFault("reqPositions", Do.NO_ROWS)) as (gateway, ib, _errors):
        before = gateway.gateway.log.said["positionEnd"]
        assert ib.reqPositions() == []
        assert gateway.gateway.log.said["positionEnd"] == before + 1
        assert len(ib.reqPositions()) == 3


def test_a_list_of_positions_can_be_that_of_an_hour_ago() -> None:
    with client() as (gateway, ib, _errors):
        then = {each.contract.symbol: each.position for each in ib.reqPositions()}
        ib.placeOrder(apple(), library().MarketOrder("BUY", 10, tif="DAY", account=ACCOUNT))
        pass_time(gateway, ib, 120)
        now = {each.contract.symbol: each.position for each in ib.reqPositions()}
        assert now == {**then, "AAPL": 10}
        gateway.inject(WireFault("reqPositions", Do.OLD_ROWS, seconds=3600))
        cash = dict(gateway.gateway.exchange.account.cash)
        assert {each.contract.symbol: each.position for each in ib.reqPositions()} == then
        assert gateway.gateway.exchange.account.cash == cash, "the books are as they were"
        assert {each.contract.symbol: each.position for each in ib.reqPositions()} == now


def test_an_order_can_be_inactive_and_come_back() -> None:
    fault = WireFault("placeOrder:new", Do.INACTIVE, seconds=3)
    with client(fault) as (gateway, ib, _errors):
        trade = ib.placeOrder(apple(), order(limit=1.0))
        pass_time(gateway, ib, 2)
        assert trade.orderStatus.status == "Inactive"
        ib.sleep(5)
        assert trade.orderStatus.status == "Submitted"
        assert references(gateway) == ["r.1"]


def test_an_order_can_have_two_numbers_for_one_reference() -> None:
    with client(WireFault("placeOrder:new", Do.SECOND_ID)) as (gateway, ib, _errors):
        trade = ib.placeOrder(apple(), order(limit=1.0))
        pass_time(gateway, ib, 2)
        first = trade.orderStatus.permId
        assert first > 0
        listed = ib.reqAllOpenOrders()
        assert {each.order.orderRef for each in listed} == {"r.1"}
        assert {each.order.permId for each in listed} != {first}


def test_too_many_messages_are_told_and_the_connection_is_cut() -> None:
    fault = WireFault("reqCurrentTime", Do.ERROR_CUT, code=100)
    with client(fault) as (_, ib, errors):
        with pytest.raises((ConnectionError, TimeoutError)):
            ib.reqCurrentTime()
        assert 100 in errors.codes()
        assert not ib.isConnected()


def test_positions_lost_in_connect_leave_a_connected_client_that_shows_none() -> None:
    lost = WireFault("reqPositions", Do.LOSE_ANSWER)
    with client(lost, before=True) as (_, ib, _errors):
        assert ib.isConnected()
        assert ib.positions() == []


def test_a_late_answer_comes_after_the_next_one() -> None:
    with client(WireFault("reqPositions", Do.DELAY_ANSWER, seconds=10)) as (gateway, ib, _errors):
        with pytest.raises(TimeoutError):
            ib.reqPositions()
        ib.reqAllOpenOrders()
        ib.sleep(20)
        names = gateway.gateway.log.names(heard=False)
    assert names.index("openOrderEnd") < len(names) - 1 - names[::-1].index("positionEnd")


def test_a_doubled_answer_has_two_ends() -> None:
    with client(WireFault("reqPositions", Do.DOUBLE_ANSWER)) as (gateway, ib, _errors):
        before = gateway.gateway.log.said["positionEnd"]
        ib.reqPositions()
        ib.sleep(1)
        assert gateway.gateway.log.said["positionEnd"] - before == 2


def test_a_held_message_holds_all_that_come_after_it() -> None:
    held = WireFault("position", Do.HOLD, nth=2, seconds=1.5)
    with client(held) as (_, ib, _errors):
        assert len(ib.reqPositions()) == 3


def test_a_stalled_connection_stays_and_says_nothing() -> None:
    with client(WireFault("reqPositions", Do.STALL)) as (_, ib, _errors):
        for ask in (ib.reqPositions, ib.reqAllOpenOrders, ib.reqCurrentTime):
            with pytest.raises(TimeoutError):
                ask()
        assert ib.isConnected()


@pytest.mark.parametrize("on", ["connect", "handshake", "startApi"])
def test_a_gateway_that_accepts_and_never_answers_is_a_time_out(on: str) -> None:
    gateway = local()
    gateway.inject(WireFault(on, Do.STALL))
    with pytest.raises(TimeoutError), connected(gateway, timeout=2):
        pass
    with connected(gateway) as ib:
        assert ib.managedAccounts() == [ACCOUNT]


# ---------------------------------------------------------------------- broken connections


@pytest.mark.parametrize(
    ("on", "do"),
    [
        ("reqPositions", Do.CUT),
        ("reqPositions", Do.CUT_AFTER),
        ("position", Do.CUT),
        ("position", Do.CUT_INSIDE),
        ("positionEnd", Do.CUT_AFTER),
        ("reqPositions", Do.RESTART),
    ],
)
def test_a_cut_at_any_message_is_a_broken_connection(on: str, do: Do) -> None:
    with client(WireFault(on, do)) as (gateway, ib, _errors):
        if (on, do) == ("positionEnd", Do.CUT_AFTER):
            assert len(ib.reqPositions()) == 3, "its last message had arrived"
        with pytest.raises(ConnectionError):
            ib.reqPositions()
        assert not ib.isConnected()
        assert gateway.gateway.sessions == {}


def test_an_order_that_was_cut_before_it_arrived_is_not_there() -> None:
    with client(WireFault("placeOrder", Do.CUT)) as (gateway, ib, _errors):
        trade = ib.placeOrder(apple(), order())
        with pytest.raises(ConnectionError):
            ib.reqCurrentTime()
        assert trade.orderStatus.status == "PendingSubmit"
        assert references(gateway) == []


def test_an_order_that_was_cut_after_it_arrived_is_there_and_looks_the_same() -> None:
    with client(WireFault("placeOrder", Do.CUT_AFTER)) as (gateway, ib, _errors):
        trade = ib.placeOrder(apple(), order())
        with pytest.raises(ConnectionError):
            ib.reqCurrentTime()
        assert trade.orderStatus.status == "PendingSubmit"
        assert references(gateway) == ["r.1"]
    with connected(gateway, client_id=8) as other:
        assert [trade.order.orderRef for trade in other.reqAllOpenOrders()] == ["r.1"]


def test_the_third_of_four_orders_can_break_the_wire() -> None:
    broken = Fault(FaultKind.DISCONNECT, subject="submit", nth=3)
    with client(faults=(broken,)) as (gateway, ib, _errors):
        for number in range(4):
            ib.placeOrder(apple(), order(f"r.{number}"))
        with pytest.raises(ConnectionError):
            ib.reqCurrentTime()
        assert references(gateway) == ["r.0", "r.1"]


def test_a_gateway_that_restarts_is_away_for_a_while() -> None:
    with client(WireFault("reqPositions", Do.RESTART, seconds=30)) as (gateway, ib, _errors):
        with pytest.raises(ConnectionError):
            ib.reqPositions()
        loop = ib.client.conn  # the connection object outlives its transport
        assert loop.transport is None
        with pytest.raises(ConnectionRefusedError):
            ib.connect(gateway.host, gateway.port, clientId=7)
        ib.sleep(31)
        ib.connect(gateway.host, gateway.port, clientId=7)
        assert len(ib.reqPositions()) == 3


def test_ids_can_roll_back_over_a_restart() -> None:
    with client() as (gateway, ib, _errors):
        for number in range(3):
            ib.placeOrder(apple(), order(f"r.{number}"))
        ib.reqCurrentTime()
        used = ib.client.getReqId()
        gateway.inject(WireFault("reqCurrentTime", Do.ROLL_BACK))
        with pytest.raises(ConnectionError):
            ib.reqCurrentTime()
        ib.sleep(1)
    with connected(gateway) as ib:
        log = gateway.gateway.log
        said = [entry.fields for entry in log.entries if entry.name == "nextValidId"]
        assert int(said[-1][-1]) <= int(said[0][-1]) < used


# ---------------------------------------------------------------------- orders


@pytest.mark.parametrize("with_id", [True, False])
def test_an_error_on_demand_comes_instead_of_the_order(with_id: bool) -> None:
    fault = WireFault("placeOrder", Do.ERROR, code=201, text="no margin", with_id=with_id)
    with client(fault) as (gateway, ib, errors):
        trade = ib.placeOrder(apple(), order())
        ib.sleep(1)
        assert errors.codes() == [201]
        number, _, text = next(each for each in errors if each[1] == 201)
        assert number == (trade.order.orderId if with_id else -1)
        assert "no margin" in text
        assert references(gateway) == []


def test_a_notice_leaves_the_order_alive_whatever_the_client_makes_of_it() -> None:
    with client(WireFault("placeOrder", Do.NOTICE, code=10349)) as (gateway, ib, errors):
        trade = ib.placeOrder(apple(), order())
        ib.sleep(1)
        assert errors.codes() == [10349]
        assert references(gateway) == ["r.1"]
        pass_time(gateway, ib, 5)
        assert trade.orderStatus.status == "Submitted", "a later status flips it back"


def test_an_order_whose_answer_is_lost_trades_unheard_and_is_found_when_asked_for() -> None:
    with client(WireFault("placeOrder", Do.LOSE_ANSWER)) as (gateway, ib, _errors):
        trade = ib.placeOrder(apple(), order(limit=500.0))
        pass_time(gateway, ib, 60)
        assert trade.orderStatus.status == "PendingSubmit"
        assert ib.fills() == []
        (fill,) = ib.reqExecutions()
        assert fill.execution.orderRef == "r.1"


def test_an_order_that_arrives_twice_is_a_duplicate_id_or_a_change_never_two_orders() -> None:
    with client(WireFault("placeOrder", Do.DUPLICATE)) as (gateway, ib, _errors):
        ib.placeOrder(apple(), order())
        pass_time(gateway, ib, 5)
        assert references(gateway) == ["r.1"]


def test_every_message_twice_is_one_fill() -> None:
    twice = [
        WireFault(on, Do.DUPLICATE, count=None)
        for on in ("orderStatus", "openOrder", "execDetails", "commissionReport")
    ]
    with client(*twice) as (gateway, ib, _errors):
        ib.placeOrder(apple(), order(limit=500.0))
        pass_time(gateway, ib, 60)
        assert len({fill.execution.execId for fill in ib.fills()}) == len(ib.fills()) == 1


def test_a_capped_order_trades_in_part_only() -> None:
    with client(WireFault("placeOrder", Do.CAP, quantity=3)) as (gateway, ib, _errors):
        trade = ib.placeOrder(apple(), order(limit=500.0))
        pass_time(gateway, ib, 600)
        assert trade.orderStatus.filled == 3
        assert trade.orderStatus.status == "Submitted"


def test_a_commission_can_be_late_or_never_come() -> None:
    faults = (
        Fault(FaultKind.LATE_COMMISSION, seconds=300),
        Fault(FaultKind.MISSING_COMMISSION, nth=2),
    )
    with client(faults=faults) as (gateway, ib, _errors):
        for number in range(2):
            ib.placeOrder(apple(), order(f"r.{number}", limit=500.0))
            pass_time(gateway, ib, 60)
        assert gateway.gateway.log.said["commissionReport"] == 0
        pass_time(gateway, ib, 600)
        assert gateway.gateway.log.said["commissionReport"] == 1


def test_executions_can_come_before_any_status() -> None:
    late = [WireFault(on, Do.LOSE, count=2) for on in ("orderStatus", "openOrder")]
    with client(*late) as (gateway, ib, _errors):
        trade = ib.placeOrder(apple(), order(limit=500.0))
        pass_time(gateway, ib, 60)
        names = gateway.gateway.log.names(heard=False)
        assert "execDetails" in names
        assert trade.fills


# ---------------------------------------------------------------------- the venue is away


@pytest.mark.parametrize("code", [1101, 1102])
def test_connectivity_is_lost_and_comes_back(code: int) -> None:
    fault = WireFault("reqCurrentTime", Do.CONNECTIVITY, code=code, seconds=30)
    with client(fault, timeout=5) as (_, ib, errors):
        with pytest.raises(TimeoutError):
            ib.reqCurrentTime()
        assert errors.codes() == [1100]
        with pytest.raises(TimeoutError):
            ib.reqPositions()
        ib.sleep(31)
        assert errors.codes() == [1100, code]
        assert len(ib.reqPositions()) == 3


@pytest.mark.parametrize(("code", "kept"), [(1101, False), (1102, True)])
def test_1101_loses_the_subscriptions_and_1102_keeps_them(code: int, kept: bool) -> None:
    fault = WireFault("reqPositions", Do.CONNECTIVITY, code=code, seconds=5)
    with client(fault, timeout=20) as (gateway, ib, _errors):
        before = ticker(ib)
        ib.reqPositions()
        bid = before.bid
        pass_time(gateway, ib, 600)
        assert (before.bid != bid) is kept


def test_farms_can_break_and_mend() -> None:
    faults = (
        WireFault("reqCurrentTime", Do.NOTICE, code=2103, with_id=False),
        WireFault("reqCurrentTime", Do.NOTICE, code=2104, with_id=False, nth=2),
    )
    with client(*faults) as (_, ib, errors):
        ib.reqCurrentTime()
        ib.reqCurrentTime()
        ib.sleep(1)
    assert [code for number, code, _ in errors if number == -1 and code in (2103, 2104)] == [
        2103,
        2104,
    ]


def test_a_competing_session_takes_the_quotes_away() -> None:
    with client(WireFault("reqMktData", Do.ERROR, code=10197)) as (_, ib, errors):
        ticker = ib.reqMktData(apple())
        ib.sleep(1)
        assert errors.codes() == [10197]
        assert ticker.bid != ticker.bid  # NaN: nothing came


# ---------------------------------------------------------------------- lies


@pytest.mark.parametrize("do", [Do.GARBAGE, Do.GARBAGE_BYTES])
@pytest.mark.parametrize("on", ["position", "openOrder", "execDetails", "orderStatus"])
def test_garbage_reaches_the_client_as_garbage(on: str, do: Do) -> None:
    with client(WireFault(on, do, count=None)) as (gateway, ib, _errors):
        ib.placeOrder(apple(), order(limit=500.0))
        for _ in range(3):
            try:
                ib.reqPositions()
                gateway.advance(gateway.now() + timedelta(seconds=20))
            except (ConnectionError, TimeoutError, ValueError):
                break
        noted = [each for each in gateway.gateway.log.entries if each.note.startswith("fault: ")]
        assert noted
        assert {each.name for each in noted} == {on}


def test_a_wrong_account_is_wrong_everywhere() -> None:
    wrong = Fault(FaultKind.WRONG_ACCOUNT, message="DU999")
    with client(faults=(wrong,)) as (gateway, ib, _errors):
        assert ib.managedAccounts() == ["DU999"]
        assert {position.account for position in ib.reqPositions()} == {"DU999"}
        said = [e for e in gateway.gateway.log.entries if not e.heard]
        assert not any(ACCOUNT in ",".join(entry.fields) for entry in said)


def test_a_skewed_clock_stays_skewed() -> None:
    skewed = Fault(FaultKind.CLOCK_SKEW, seconds=12.5)
    with client(faults=(skewed,)) as (_, ib, _errors):
        for _ in range(2):
            assert ib.reqCurrentTime() == SLOT + timedelta(seconds=12), "whole seconds on the wire"


def ticker(ib: Any) -> Any:
    found = ib.reqMktData(apple(), snapshot=False)
    ib.sleep(2)
    return found


def test_quotes_can_be_crossed_one_sided_missing_or_delayed() -> None:
    with client() as (_, ib, _errors):
        good = ticker(ib)
        assert 0 < good.bid < good.ask
    checks: list[tuple[FaultKind, Callable[[Any], bool]]] = [
        (FaultKind.CROSSED_QUOTE, lambda t: t.bid > t.ask > 0),
        (FaultKind.ONE_SIDED_QUOTE, lambda t: t.bid > 0 and not t.ask > 0),
        (FaultKind.MISSING_QUOTE, lambda t: not t.bid > 0 and not t.ask > 0),
    ]
    for kind, check in checks:
        with client(faults=(Fault(kind, subject="AAPL.STK.USD@IB"),)) as (_, ib, _errors):
            assert check(ticker(ib)), kind
    with client(WireFault("reqMktData", Do.DELAYED)) as (_, ib, errors):
        late = ticker(ib)
        assert late.marketDataType == 3
        assert errors.codes() == [10167]


def test_a_fault_for_one_instrument_leaves_the_others_alone() -> None:
    with client(faults=(Fault(FaultKind.MISSING_QUOTE, subject="KO.STK.USD@IB"),)) as (_, ib, _e):
        assert ticker(ib).bid > 0


# ---------------------------------------------------------------------- time


def test_a_wait_can_break_the_wire() -> None:
    broken = Fault(FaultKind.DISCONNECT, subject="wait", nth=2)
    with client(faults=(broken,)) as (gateway, ib, _errors):
        assert gateway.advance(SLOT + timedelta(minutes=1)) == SLOT + timedelta(minutes=1)
        gateway.advance(SLOT + timedelta(minutes=2))
        assert gateway.now() == SLOT + timedelta(minutes=1)
        with pytest.raises(ConnectionError):
            ib.reqCurrentTime()


def test_a_refused_connection_holds_until_the_next_opening() -> None:
    from rebalancer.simulators.ib_gateway.memory import LocalGateway as Local
    from rebalancer.store.atomic import Files

    gateway = Local(replace(SPEC, faults=(Fault(FaultKind.REFUSED_CONNECTION),)), Files())
    gateway.open(SLOT, 1)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError), connected(gateway):
            pass
    gateway.open(SLOT, 1)
    with connected(gateway) as ib:
        assert ib.isConnected()
