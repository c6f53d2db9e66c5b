"""Getting to a gateway, or saying clearly why not."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rebalancer.brokers.ib.hands import IbHands
from rebalancer.errors import BlindError, ConnectError
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from tests.contract.brokers.rig import AAPL, SLOT
from tests.unit.ib.connect.rig import ACCOUNT, QUICK, FlaggedPage, Scene, shares

STALLED = WireFault("connect", Do.STALL)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@contextmanager
def refused(
    scene: Scene, *faults: WireFault, match: str, kind: type = ConnectError
) -> Iterator[None]:
    """Expect that a connection is not made, and that nothing of it is left."""
    with pytest.raises(kind, match=match), scene.connected(*faults):
        pytest.fail("connected")
    yield
    assert scene.gateway.gateway.sessions == {}
    assert "placeOrder" not in scene.counts


def test_a_connection_is_proved_by_four_complete_answers(scene: Scene) -> None:
    with scene.connected() as venue:
        assert venue.line.accounts() == (ACCOUNT,)
        counts = scene.counts
    for request in ("reqPositions", "reqAllOpenOrders", "reqCompletedOrders", "reqExecutions"):
        assert counts[request] == 1, request
    # The end of an earlier subscription, and the subscription itself.
    assert counts["reqAccountUpdates"] == 2
    assert scene.pages[0].told == []


def test_nothing_is_left_of_a_connection(scene: Scene) -> None:
    with scene.connected() as venue:
        loop = venue.line.loop
    assert loop.is_closed()
    assert not asyncio.all_tasks(loop)
    assert scene.gateway.gateway.sessions == {}
    with pytest.raises(ConnectError, match="closed"):
        venue.account()
    del venue
    gc.collect()  # an unclosed transport or a forgotten task would warn, and warnings are errors


def test_nothing_is_left_after_an_error_in_the_run(scene: Scene) -> None:
    with pytest.raises(ZeroDivisionError), scene.connected() as venue:
        loop = venue.line.loop
        raise ZeroDivisionError
    assert loop.is_closed()
    assert scene.gateway.gateway.sessions == {}


def test_nothing_is_left_after_an_interrupt_while_it_waits(scene: Scene) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), scene.connected() as venue:
        loop = venue.line.loop
        loop.call_later(1.0, interrupt)
        venue.line.rest(5.0)
    assert loop.is_closed()
    assert scene.gateway.gateway.sessions == {}


def test_nobody_listens(scene: Scene) -> None:
    scene.changes["faults"] = (Fault(FaultKind.REFUSED_CONNECTION),)
    with refused(scene, match=r"cannot connect to 127\.0\.0\.1:4002: .*start IB Gateway"):
        pass


def test_a_gateway_that_starts_late_is_reached_by_a_later_attempt(scene: Scene) -> None:
    """Two attempts 2 s and 4 s apart fail; the third begins after 6 s."""
    scene.settings = replace(QUICK, connect_attempts=3)
    scene.before = lambda gateway: setattr(gateway.gateway.faults, "closed_until", 5.0)
    with scene.connected() as venue:
        assert venue.account().net_liquidation > 0
        assert 6.0 <= scene.seconds < 7.0


def test_attempts_are_bounded(scene: Scene) -> None:
    scene.settings = replace(QUICK, connect_attempts=3)
    scene.before = lambda gateway: setattr(gateway.gateway.faults, "closed_until", 1e9)
    with refused(scene, match="nobody listens"):
        assert 6.0 <= scene.seconds < 7.0


def test_disaster_tcp_that_accepts_and_never_reads(scene: Scene) -> None:
    """A process that hangs still accepts connections; a client without a limit waits for ever."""
    with refused(scene, STALLED, match="accepts connections and does not answer within 5 s"):
        assert scene.seconds < 6.0


def test_after_a_silent_connection_the_next_attempt_begins_from_nothing(scene: Scene) -> None:
    scene.settings = replace(QUICK, connect_attempts=2)
    with scene.connected(STALLED) as venue:
        assert venue.account().net_liquidation > 0


@pytest.mark.parametrize(
    ("on", "do", "words"),
    [
        ("handshake", Do.CUT, "closed the connection"),
        ("serverVersion", Do.LOSE, "does not answer"),
        ("serverVersion", Do.GARBAGE_BYTES, "cannot be read|does not answer|closed"),
        ("startApi", Do.STALL, "did not tell its accounts and order ids"),
        ("startApi", Do.CUT, "closed the connection"),
        ("managedAccounts", Do.LOSE, "did not tell its accounts"),
        ("nextValidId", Do.GARBAGE, "cannot be read|did not tell"),
        ("managedAccounts", Do.CUT_INSIDE, "closed the connection"),
    ],
)
def test_a_beginning_that_breaks_off_is_a_clear_error(
    scene: Scene, on: str, do: Do, words: str
) -> None:
    with refused(scene, WireFault(on, do), match=words):
        pass


def test_disaster_a_client_id_that_is_in_use_is_never_answered_with_another_one(
    scene: Scene,
) -> None:
    """Another instance is alive: with a new id both would trade."""
    scene.settings = replace(QUICK, connect_attempts=3)
    taken = WireFault("startApi", Do.ERROR, code=326, count=None, with_id=False)
    with refused(scene, taken, match="326.*another program is connected"):
        assert scene.counts["startApi"] == 1
        assert scene.seconds < 1.0


def test_a_gateway_that_is_too_old_is_said_at_once(scene: Scene) -> None:
    scene.settings = replace(QUICK, connect_attempts=3)
    old = WireFault("startApi", Do.ERROR, code=503, text="The TWS is out of date", with_id=False)
    with refused(scene, old, match="503.*update IB Gateway"):
        assert scene.counts["startApi"] == 1


def test_the_account_must_be_the_configured_one(scene: Scene) -> None:
    scene.settings = replace(QUICK, connect_attempts=3)
    scene.changes["account"] = "DU9999999"
    with refused(scene, match=f"manages DU9999999; {ACCOUNT} is configured"):
        assert scene.counts["startApi"] == 1
        assert "reqPositions" not in scene.counts


def test_one_of_several_accounts_is_enough(scene: Scene) -> None:
    scene.changes["other_accounts"] = ("DU5550001", "DU5550002")
    with scene.connected() as venue:
        assert venue.line.accounts() == (ACCOUNT, "DU5550001", "DU5550002")
        assert venue.account().account == ACCOUNT


def test_real_money_is_never_traded_with_a_paper_account(scene: Scene) -> None:
    scene.real_time = scene.real_money = True
    with refused(scene, match="a paper account; mode = live"):
        assert "reqPositions" not in scene.counts


@pytest.mark.parametrize(("account", "paper"), [("DU1", True), ("DF7", True), ("U123", False)])
def test_a_paper_account_is_told_by_its_name(scene: Scene, account: str, paper: bool) -> None:
    scene.real_time = True
    scene.changes["account"] = account
    scene.real_money = paper
    broker = replace(scene.broker(), account=account)
    words = "is a paper account" if paper else "is a live account"
    with pytest.raises(ConnectError, match=words), broker.connect(_page(scene)):
        pytest.fail("connected")
    with replace(broker, real_money=not paper).connect(_page(scene)) as venue:
        assert venue.account().account == account


def _page(scene: Scene) -> FlaggedPage:
    scene.connections += 1
    return FlaggedPage(SLOT, scene.connections)


def test_the_base_currency_must_be_the_configured_one(scene: Scene) -> None:
    broker = replace(scene.broker(), base="EUR")
    with (
        pytest.raises(ConnectError, match="base currency USD; EUR is configured"),
        broker.connect(_page(scene)),
    ):
        pytest.fail("connected")


def test_a_read_only_connection_has_a_client_id_of_its_own(scene: Scene) -> None:
    scene.read_only = True
    with scene.connected() as venue:
        assert venue.line.ib.client.clientId == 1007


def test_a_read_only_api_is_found_before_anybody_trades(scene: Scene) -> None:
    scene.settings = replace(QUICK, connect_attempts=3)
    scene.changes["read_only_api"] = True
    with refused(scene, match="Read-Only API off"):
        assert scene.counts["startApi"] == 1
        assert scene.seconds < 1.0, "the refusal ends the request, not its time limit"


def test_a_dry_run_goes_on_with_a_read_only_api_and_says_what_it_cannot_know(
    scene: Scene,
) -> None:
    scene.changes["read_only_api"] = scene.read_only = True
    with scene.connected() as venue:
        assert venue.open_orders() == ()
        assert venue.open_orders() == ()
        assert shares(venue) == 0
    assert [code for code, _ in scene.pages[0].told] == ["orders-unknown"]


def test_disaster_positions_time_out_taken_as_flat(scene: Scene) -> None:
    """The library then says that nothing is held, and a rebalancer buys everything again."""
    scene.buys(10)
    for do in (Do.NO_END, Do.HALF, Do.LOSE_ANSWER, Do.LOSE):
        fault = WireFault("reqPositions", do, count=None)
        with refused(
            scene, fault, match="the positions did not arrive within 5 s", kind=BlindError
        ):
            pass
    with scene.connected() as venue:
        assert shares(venue) == 10


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        ("reqAccountUpdates", "the account's values"),
        ("reqAllOpenOrders", "the open orders"),
        ("reqCompletedOrders", "the completed orders"),
        ("reqExecutions", "the executions"),
    ],
)
def test_each_proof_is_complete_or_nobody_trades(scene: Scene, request_: str, what: str) -> None:
    scene.buys(10)
    for do in (Do.NO_END, Do.LOSE_ANSWER):
        fault = WireFault(request_, do, count=None)
        with refused(scene, fault, match=f"{what} did not arrive", kind=BlindError):
            pass


def test_a_list_of_positions_with_gaps_contradicts_the_portfolio(scene: Scene) -> None:
    """Every second row and a proper end: only another source can tell."""
    scene.buys(10)
    scene.buys(5, scene.instruments[1])
    gaps = WireFault("reqPositions", Do.GAPS, count=None)
    with refused(scene, gaps, match="positions say 0 .*, the portfolio says", kind=BlindError):
        # Asked three times, a second apart.
        assert scene.counts["reqPositions"] == 3


def test_a_contradiction_that_passes_is_forgiven(scene: Scene) -> None:
    scene.buys(10)
    scene.buys(5, scene.instruments[1])
    with scene.connected(WireFault("reqPositions", Do.GAPS)) as venue:
        assert shares(venue) == 10


def test_a_late_answer_does_not_pass_for_the_next_one(scene: Scene) -> None:
    """The end of the first answer comes after 7 s, when the second question is open."""
    scene.buys(10)
    with scene.connected() as venue:
        scene.gateway.inject(WireFault("position", Do.HOLD, seconds=7))
        with pytest.raises(BlindError, match="did not arrive within 5 s"):
            venue.account()
        assert shares(venue) == 10


@pytest.mark.parametrize("name", ["position", "accountValue", "portfolioValue", "openOrderEnd"])
def test_garbage_while_connecting_is_a_clear_error(scene: Scene, name: str) -> None:
    scene.buys(10)
    garbage = WireFault(name, Do.GARBAGE_BYTES)
    with refused(scene, garbage, match="cannot be read", kind=BlindError):
        pass


def test_nothing_leaves_after_garbage(scene: Scene) -> None:
    with scene.connected() as venue:
        scene.gateway.inject(WireFault("currentTime", Do.GARBAGE_BYTES))
        with pytest.raises(BlindError, match="cannot be read"):
            venue.skew_seconds()
        before = scene.counts
        with pytest.raises(BlindError, match="cannot be read"):
            IbHands(venue).submit([scene.orders.order(AAPL, 10, "10.00")])
        with pytest.raises(BlindError, match="cannot be read"):
            venue.account()
    assert scene.counts == before


def test_the_log_of_the_library_does_not_reach_the_terminal(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    with refused(scene, STALLED, match="does not answer"):
        pass
    with scene.connected():
        scene.say(2105, "HMDS data farm connection is broken:ushmds")
        scene.say(99999, "something new")
    assert capfd.readouterr().err == ""


def test_the_messages_of_a_connection_are_counted_in_the_log(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "rebalancer.brokers.ib")
    with scene.connected():
        heard = sum(scene.counts.values())
    words = [r.getMessage() for r in caplog.records if "messages sent" in r.getMessage()]
    # The handshake is no message; the barrier at the end is one more: it makes up for it.
    assert [text.split(" received")[0].rsplit(",")[0] for text in words] == [
        f"ib: {heard} messages sent"
    ]
