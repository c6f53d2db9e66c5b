"""Every request is read to its last field and answered; too many of them are counted."""

from __future__ import annotations

import pytest

from rebalancer.simulators.ib_gateway.connection import ANSWERED_WITH
from rebalancer.simulators.ib_gateway.layouts_in import REQUESTS
from rebalancer.simulators.ib_gateway.session import HANDLERS, MESSAGES_PER_SECOND
from tests.unit.ib_gateway.wire import Caller, errors, gateway_of, names, pass_wire_seconds


def test_an_unknown_message_is_answered_and_the_connection_goes_on() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        assert errors(caller.say(4711, 1)) == [(-1, 505)]
        assert errors(caller.say("what")) == [(-1, 505)]
        assert names(caller.say(49, 1)) == ["currentTime"]


@pytest.mark.parametrize(
    ("fields", "answered"),
    [
        ((62, 1, 12, "All", "NetLiquidation", "one too many"), (12, 320)),
        ((62, 1, 12, "All"), (12, 320)),
        ((62, 1, "twelve", "All", "NetLiquidation"), (-1, 320)),
        ((62, 1, "", "All", "NetLiquidation"), (-1, 320)),
        ((49,), (-1, 320)),
        ((6, 2, "perhaps", ""), (-1, 320)),
    ],
)
def test_a_message_that_cannot_be_read_is_said_to_be_so(
    fields: tuple[object, ...], answered: tuple[int, int]
) -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        assert errors(caller.say(*fields)) == [answered]
        assert names(caller.say(49, 1)) == ["currentTime"]


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff1", b"\0\0\0\x03\xff\xfe\0"])
def test_bytes_that_are_no_frame_end_the_connection(data: bytes) -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        assert errors(caller.bytes(data)) == [(-1, 320)]
        assert caller.closed
        assert gateway.sessions == {}
        assert caller.bytes(b"\0\0\0\x0549\x001\0") == []


def test_every_request_that_can_be_read_is_dealt_with() -> None:
    silent = ("cancel", "unsubscribe")
    named = {name for name, _layout in REQUESTS.values()}
    left = {name for name in named - HANDLERS.keys() if not name.startswith(silent)}
    assert left - ANSWERED_WITH.keys() == set()


def test_what_is_not_simulated_is_refused_as_for_an_account_without_it() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        assert errors(caller.say(84, 9, "BZ", "BZ$1", "")) == [(9, 10276)]
        assert errors(caller.say(18, 1, 1)) == [(-1, 321)]
        assert caller.say(103, 9) == []
        assert [e.fields for e in caller.say(85)] == [("85", "0")]
        assert [e.fields for e in caller.say(80)] == [("78", "1", "DU1234567", "")]


def test_fifty_messages_in_a_second_are_allowed_and_one_more_is_counted() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        pass_wire_seconds(gateway, 1.0)
        for _ in range(MESSAGES_PER_SECOND):
            assert errors(caller.say(49, 1)) == []
        assert gateway.violations == 0
        said = caller.say(49, 1)
        assert errors(said) == [(-1, 100)]
        assert names(said) == ["errMsg", "currentTime"]
        assert gateway.violations == 1


def test_the_second_slides() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        for _ in range(40):
            pass_wire_seconds(gateway, 0.0201)
            assert errors(caller.say(49, 1)) == []
        pass_wire_seconds(gateway, 0.5)
        for _ in range(25):
            assert errors(caller.say(49, 1)) == []
        assert gateway.violations == 0


def test_the_third_violation_cuts_the_connection() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        told = 0
        for _ in range(3 * (MESSAGES_PER_SECOND + 1)):
            told += len(errors(caller.say(49, 1)))
        assert told == 3
        assert gateway.violations == 3
        assert caller.closed
