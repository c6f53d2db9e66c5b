"""What happens to a connection after it was made: farms, 1100, broken wires, the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.ib.hands import IbHands
from rebalancer.brokers.ib.venue import IbVenue
from rebalancer.errors import BlindError, ConnectError, OutcomeUnknown
from rebalancer.model.orders import OrderStatus, WorkingOrder
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.orders_by_hand import order_by_hand
from tests.contract.brokers.rig import AAPL, KO, SLOT, ask, fills, listen, statuses
from tests.unit.ib.connect.rig import QUICK, Scene, shares

PROOFS = ("reqPositions", "reqAllOpenOrders", "reqCompletedOrders", "reqExecutions")
OK = "{} farm connection is OK:usfarm"
ASLEEP = "{} farm connection is inactive but should be available upon demand.usfarm"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def proofs(scene: Scene) -> list[int]:
    counts = scene.counts
    return [counts[name] for name in PROOFS]


def place_directly(venue: IbVenue, scene: Scene, count: int) -> None:
    """Hand orders to the library as fast as it takes them, as `placeOrder` in a loop does."""
    hands: Any = IbHands(venue)
    hands._let_it_leave = lambda: None
    stocks = scene.instruments
    hands.submit([scene.orders.order(stocks[n % 3], 1, "10.00") for n in range(count)])


# ---------------------------------------------------------------------- the end


@pytest.mark.parametrize("real_time", [False, True])
def test_disaster_disconnect_right_after_submit_loses_the_queue(
    scene: Scene, real_time: bool
) -> None:
    """Of 60 orders 45 had left when the connection was closed; all 60 were taken for sent."""
    scene.real_time = real_time
    with scene.connected() as venue:
        place_directly(venue, scene, 60)
        assert venue.line.waiting_to_leave > 50
    assert scene.counts["placeOrder"] == 60
    assert scene.gateway.violations() == 0
    with scene.connected() as venue:
        assert len(venue.open_orders()) == 60


def test_a_real_gateway_is_given_time_to_take_up_what_was_sent(scene: Scene) -> None:
    scene.real_time = True
    with scene.connected() as venue:
        scene.gateway.inject(WireFault("placeOrder", Do.DELAY, seconds=3))
        place_directly(venue, scene, 1)
        before = scene.seconds
        assert venue.book.unacknowledged()
    assert not venue.book.unacknowledged()
    assert 3.0 <= scene.seconds - before < 4.0


@pytest.mark.parametrize("do", [Do.STALL, Do.CUT])
def test_the_end_does_not_hang_on_a_wire_that_is_broken(scene: Scene, do: Do) -> None:
    scene.real_time = True
    with scene.connected() as venue:
        scene.gateway.inject(WireFault("placeOrder", do))
        place_directly(venue, scene, 1)
        before = scene.seconds
    assert scene.seconds - before < 11.0
    assert venue.line.loop.is_closed()


def test_nothing_that_waits_leaves_after_the_wire_broke(scene: Scene) -> None:
    with scene.connected() as venue:
        scene.gateway.inject(WireFault("placeOrder", Do.CUT, nth=5))
        place_directly(venue, scene, 20)
        with pytest.raises(ConnectError, match="not connected"):
            venue.line.let_leave(5)
        assert venue.line.waiting_to_leave == 0
        with pytest.raises(ConnectError, match="not connected"):
            venue.open_orders()
    assert scene.counts["placeOrder"] == 5


def test_the_library_may_end_a_question_when_the_wire_breaks_and_is_not_believed(
    scene: Scene,
) -> None:
    """Both libraries complete every open request with what they have when the wire breaks."""
    scene.buys(10)
    with scene.connected() as venue:
        scene.gateway.inject(WireFault("reqPositions", Do.CUT_AFTER))
        with pytest.raises(ConnectError):
            venue.account()


def test_many_orders_leave_evenly_and_none_too_fast(scene: Scene) -> None:
    with scene.connected() as venue:
        before = scene.seconds
        place_directly(venue, scene, 500)
        assert venue.line.let_leave(60)
        seconds = scene.seconds - before
    assert scene.gateway.violations() == 0
    assert 500 / seconds >= 0.95 * 50


# ---------------------------------------------------------------------- 1100


@pytest.mark.parametrize("code", [1101, 1102])
def test_after_1100_everything_is_read_again_before_going_on(scene: Scene, code: int) -> None:
    with scene.connected() as venue:
        assert proofs(scene) == [1, 1, 1, 1]
        scene.darken(10, code)
        venue.line.rest(0.1)
        assert venue.open_orders() == ()
        # Once at the connection, once after the return; the open orders once more for us.
        assert proofs(scene) == [2, 3, 2, 2]
        assert shares(venue) == 0
        assert proofs(scene) == [3, 3, 2, 2]


def test_after_1100_what_happened_meanwhile_is_news(scene: Scene) -> None:
    with scene.connected() as venue:
        price = ask(venue, AAPL)
        scene.darken(10)
        venue.line.rest(0.1)
        order_by_hand(scene.gateway.gateway, AAPL.id, Decimal(7), price + 1)
        scene.gateway.advance(SLOT + timedelta(seconds=30))
        events = listen(venue, 60)
        assert [fill.quantity for fill in fills(events)] == [7]
        assert shares(venue) == 7


def test_1100_that_does_not_end_stops_the_run_in_bounded_time(scene: Scene) -> None:
    with scene.connected() as venue:
        scene.darken(1000)
        venue.line.rest(0.1)
        before = scene.seconds
        with pytest.raises(ConnectError, match="1100"):
            venue.account()
        assert scene.seconds - before == pytest.approx(QUICK.farm_seconds, abs=0.2)


def test_while_1100_is_open_no_order_leaves(scene: Scene) -> None:
    with scene.connected() as venue:
        hands = IbHands(venue)
        scene.darken(1000)
        venue.line.rest(0.1)
        with pytest.raises(ConnectError, match="1100"):
            hands.submit([scene.orders.order(AAPL, 10, "10.00")])
    assert "placeOrder" not in scene.counts


def test_an_order_that_waits_for_its_turn_when_1100_comes_does_not_leave(scene: Scene) -> None:
    with scene.connected() as venue:
        place_directly(venue, scene, 20)
        venue.line.rest(0.1)
        scene.darken(1000)
        venue.line.rest(0.1)
        left = scene.counts["placeOrder"]
        assert 0 < left < 10
        venue.line.rest(5)
    assert scene.counts["placeOrder"] == left


def test_1100_between_two_orders_waits_reads_again_and_goes_on(scene: Scene) -> None:
    with scene.connected() as venue:
        scene.gateway.inject(WireFault("placeOrder", Do.CONNECTIVITY, nth=2, seconds=5))
        places = [scene.orders.order(KO, 1, "10.00") for _ in range(3)]
        IbHands(venue).submit(places)
        assert proofs(scene)[0] == 2
        assert len(venue.open_orders()) == 3
    assert scene.counts["placeOrder"] == 3


@pytest.mark.parametrize("moment", [0.02, 0.025, 0.03, 0.035, 0.05])
def test_what_the_run_has_given_up_never_leaves_later(scene: Scene, moment: float) -> None:
    with scene.connected() as venue:
        line = venue.line
        line.loop.call_later(moment, line.heard.on_error, -1, 1100, "Connectivity lost")
        line.loop.call_later(1000, line.heard.on_error, -1, 1102, "Connectivity restored")
        places = [scene.orders.order(KO, 1, "10.00") for _ in range(6)]
        with pytest.raises(OutcomeUnknown):
            IbHands(venue).submit(places)
        gone = line.throttle.sent
        line.rest(1100)
        assert not line.heard.lost
        assert line.throttle.sent == gone
        assert line.waiting_to_leave == 0


def test_what_was_decided_before_an_outage_is_not_sent_after_it(scene: Scene) -> None:
    with scene.connected() as venue:
        venue.account()
        hands = IbHands(venue)
        hands.submit([scene.orders.order(KO, 1, "10.00")])
        venue.line.heard.on_error(-1, 1100, "Connectivity lost")
        venue.line.heard.on_error(-1, 1102, "Connectivity restored")
        (told,) = hands.submit([scene.orders.order(KO, 1, "10.00")])
        assert isinstance(told, WorkingOrder)
        assert told.status is OrderStatus.NOT_SENT
        assert "the next run decides" in told.message
        venue.account()
        (told,) = hands.submit([scene.orders.order(KO, 1, "10.00")])
        assert isinstance(told, WorkingOrder)
        assert told.status is OrderStatus.SENT
    assert scene.counts["placeOrder"] == 2


def test_1100_that_does_not_end_while_sending_is_an_unknown_outcome(scene: Scene) -> None:
    with scene.connected() as venue:
        scene.gateway.inject(WireFault("placeOrder", Do.CONNECTIVITY, nth=2, seconds=1000))
        places = [scene.orders.order(KO, 1, "10.00") for _ in range(3)]
        with pytest.raises(OutcomeUnknown, match="1100"):
            IbHands(venue).submit(places)
    assert scene.counts["placeOrder"] == 2


def test_a_question_that_1100_interrupts_is_asked_again(scene: Scene) -> None:
    scene.buys(10)
    with scene.connected() as venue:
        scene.gateway.inject(WireFault("reqPositions", Do.CONNECTIVITY, seconds=15))
        # 15 s are longer than the 5 s an answer may take, and shorter than the 20 s for 1100.
        assert shares(venue) == 10
        # The connection's, the interrupted one, the one that reads everything, and ours again.
        assert proofs(scene)[0] == 4


def test_a_connection_that_begins_in_1100_waits_for_its_end(scene: Scene) -> None:
    with scene.connected(WireFault("reqCurrentTime", Do.CONNECTIVITY, seconds=8)) as venue:
        assert venue.account().net_liquidation > 0
    scene.settings = replace(QUICK, farm_seconds=3.0)
    dark = WireFault("reqCurrentTime", Do.CONNECTIVITY, seconds=1000)
    with pytest.raises(ConnectError, match="1100"), scene.connected(dark):
        pytest.fail("connected")


def test_1100_while_connecting_lets_the_proof_begin_again(scene: Scene) -> None:
    dark = WireFault("reqAllOpenOrders", Do.CONNECTIVITY, seconds=8, code=1101)
    with scene.connected(dark) as venue:
        assert proofs(scene) == [2, 2, 2, 2]
        assert venue.open_orders() == ()


def test_an_endless_coming_and_going_is_given_up(scene: Scene) -> None:
    dark = WireFault("reqAllOpenOrders", Do.CONNECTIVITY, seconds=1, count=None)
    with pytest.raises(ConnectError, match="again and again"), scene.connected(dark):
        pytest.fail("connected")
    assert scene.counts["reqAllOpenOrders"] == 3


def test_1300_ends_the_run(scene: Scene) -> None:
    with scene.connected() as venue:
        scene.say(1300, "TWS socket port has been reset and this connection is being dropped.")
        venue.line.rest(0.1)
        with pytest.raises(ConnectError, match=r"1300.*ib\.port"):
            venue.account()
        with pytest.raises(ConnectError, match="1300"):
            IbHands(venue).submit([scene.orders.order(AAPL, 10, "10.00")])
    assert "placeOrder" not in scene.counts


# ---------------------------------------------------------------------- farms


@pytest.mark.parametrize(
    ("code", "farm", "mended", "words"),
    [
        (2103, "Market data farm connection is broken:usfarm", 2104, OK.format("Market data")),
        (2103, "Market data farm connection is broken:usfarm", 2108, ASLEEP.format("Market data")),
        (2105, "HMDS data farm connection is broken:usfarm", 2106, OK.format("HMDS data")),
        (2105, "HMDS data farm connection is broken:usfarm", 2107, ASLEEP.format("HMDS data")),
        (2157, "Sec-def data farm connection is broken:usfarm", 2158, OK.format("Sec-def data")),
    ],
)
def test_a_broken_farm_is_waited_for(
    scene: Scene, code: int, farm: str, mended: int, words: str
) -> None:
    with scene.connected() as venue:
        scene.say(code, farm)
        venue.line.rest(0.1)
        scene.later(10, lambda: scene.say(mended, words))
        before = scene.seconds
        assert venue.market((AAPL,)).quotes
        assert scene.seconds - before == pytest.approx(10, abs=0.2)


def test_another_farm_that_is_fine_mends_nothing(scene: Scene) -> None:
    with scene.connected() as venue:
        scene.say(2103, "Market data farm connection is broken:usfarm.nj")
        scene.say(2104, "Market data farm connection is OK:usfarm")
        venue.line.rest(0.1)
        with pytest.raises(ConnectError, match=r"not connected: usfarm\.nj \(2103\)"):
            venue.market((AAPL,))


def test_a_farm_that_stays_broken_lets_nobody_connect(scene: Scene) -> None:
    broken = WireFault("reqCurrentTime", Do.NOTICE, code=2103, with_id=False)
    with pytest.raises(ConnectError, match="usfarm"), scene.connected(broken):
        pytest.fail("connected")
    assert scene.seconds >= QUICK.farm_seconds
    assert "reqPositions" not in scene.counts


# ---------------------------------------------------------------------- time


def test_time_at_a_real_gateway_is_our_own_and_the_wait_ends_with_news(scene: Scene) -> None:
    scene.real_time = True
    with scene.connected() as venue:
        begin = venue.now()
        assert venue.wait(begin + timedelta(seconds=30)) == ()
        assert 30 <= (venue.now() - begin).total_seconds() < 30.5
        hands = IbHands(venue)
        place = scene.orders.order(AAPL, 10, ask(venue, AAPL) + 1)
        hands.submit([place])
        begin = venue.now()
        events = venue.wait(begin + timedelta(seconds=600))
        assert statuses(events)[0] is OrderStatus.WORKING
        assert (venue.now() - begin).total_seconds() < 60


def test_a_wire_that_breaks_while_waiting_is_noticed_at_once(scene: Scene) -> None:
    scene.real_time = True
    with scene.connected() as venue:
        scene.later(5, scene.gateway._steering.cut)
        begin = venue.now()
        with pytest.raises(ConnectError, match="closed"):
            venue.wait(begin + timedelta(seconds=600))
        assert (venue.now() - begin).total_seconds() < 6


def test_skew_is_measured_against_the_gateways_clock(scene: Scene) -> None:
    with scene.connected() as venue:
        assert venue.skew_seconds() == 0
    ahead = WireFault("reqCurrentTime", Do.SKEW, seconds=30, count=None)
    with scene.connected(ahead) as venue:
        assert venue.skew_seconds() == 30


def test_whole_seconds_of_the_gateway_are_no_skew(scene: Scene) -> None:
    """Its clock tells 15:05:07 until 15:05:08: half a second late on average."""
    scene.real_time = True
    with scene.connected() as venue:
        for _ in range(10):
            venue.line.rest(0.37)
            # Half a second for the whole seconds, a quarter for the exchange's own ticks.
            assert abs(venue.skew_seconds()) <= 0.75


def test_a_silent_gateway_is_a_time_limit_not_a_hang(scene: Scene) -> None:
    with scene.connected() as venue:
        scene.gateway.inject(WireFault("reqCurrentTime", Do.STALL))
        with pytest.raises(BlindError, match="the gateway's time did not arrive within 5 s"):
            venue.skew_seconds()
