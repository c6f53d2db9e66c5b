"""How a connection begins: versions, accounts, ids, and who may not come in."""

from __future__ import annotations

import pytest

from rebalancer.model.orders import OrderStatus
from tests.unit.ib_gateway.wire import Caller, errors, gateway_of, greeting, names


@pytest.mark.parametrize(
    ("offered", "highest", "spoken"),
    [
        ("v157..176", 176, "176"),
        ("v157..178", 176, "176"),
        ("v157..178", 178, "178"),
        ("v100..157", 176, "157"),
        ("v100..226", 176, "176"),
        ("v157..176 +PACEAPI", 176, "176"),
        ("v160", 176, "160"),
    ],
)
def test_the_highest_version_that_both_speak_is_spoken(
    offered: str, highest: int, spoken: str
) -> None:
    with gateway_of(max_version=highest) as gateway:
        caller = Caller(gateway, offered)
        assert caller.said[0].fields == (spoken, "20200302 10:05:00 EST")
        assert not caller.closed


@pytest.mark.parametrize("offered", ["v213..226", "v100..156", "hello", "v", "v157..x"])
def test_without_a_common_version_the_gateway_hangs_up(offered: str) -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway, offered)
        assert caller.closed
        assert caller.said == []
        assert gateway.sessions == {}


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"API\x01", b"API\0\xff\xff\xff\xff"])
def test_what_is_no_greeting_is_hung_up_on(data: bytes) -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway, greet=False)
        caller.bytes(data)
        assert caller.closed
        assert caller.data == b""


def test_a_greeting_may_come_byte_by_byte_and_with_what_follows() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway, greet=False)
        start = b"\0\0\0\x0871\x002\x005\0\0"
        for byte in greeting("v157..176") + start:
            caller.bytes(bytes([byte]))
        assert names(caller.said)[:3] == ["serverVersion", "managedAccounts", "nextValidId"]
        assert caller.session.client_id == 5
        other = Caller(gateway, greet=False)
        other.bytes(greeting("v157..176") + start.replace(b"5", b"6"))
        assert other.session.client_id == 6


def test_a_client_gets_accounts_next_id_and_the_state_of_the_farms() -> None:
    with gateway_of() as gateway:
        said = Caller(gateway).start(1)
        assert [e.fields for e in said[:2]] == [("15", "1", "DU1234567"), ("9", "1", "1")]
        assert errors(said) == [(-1, 2104), (-1, 2106), (-1, 2158)]


def test_a_login_with_several_accounts_shows_them_all() -> None:
    with gateway_of(other_accounts=("DU7654321",)) as gateway:
        said = Caller(gateway).start()
        assert said[0].fields[2] == "DU1234567,DU7654321"


def test_a_client_id_in_use_is_refused_and_is_free_when_its_owner_has_gone() -> None:
    with gateway_of() as gateway:
        first, second = Caller(gateway), Caller(gateway)
        first.start(7)
        assert errors(second.start(7)) == [(-1, 326)]
        assert second.closed
        assert not first.closed
        first.session.close()
        third = Caller(gateway)
        assert names(third.start(7))[0] == "managedAccounts"


def test_nothing_is_answered_before_a_client_has_said_who_it_is() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        assert errors(caller.say(49, 1)) == [(-1, 504)]
        caller.start()
        assert names(caller.say(49, 1)) == ["currentTime"]


def test_a_second_start_changes_nothing() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start(3)
        assert errors(caller.say(71, 2, 4, "")) == [(-1, 501)]
        assert caller.session.client_id == 3


def test_the_time_is_the_markets_in_whole_seconds() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        # 2020-03-02 15:05:00 UTC: 18,323 days and 54,300 seconds since 1970.
        assert caller.say(49, 1)[0].fields == ("49", "1", str(18_323 * 86_400 + 54_300))


def test_next_id_and_accounts_are_told_again_when_asked_for() -> None:
    with gateway_of() as gateway:
        caller = Caller(gateway)
        caller.start()
        assert caller.say(8, 1, 1)[0].fields == ("9", "1", "1")
        assert caller.say(17, 1)[0].fields == ("15", "1", "DU1234567")
        assert caller.say(14, 1, 5) == []


def test_a_restart_breaks_every_connection_and_leaves_the_account() -> None:
    with gateway_of() as gateway:
        callers = [Caller(gateway), Caller(gateway)]
        for number, caller in enumerate(callers):
            caller.start(number + 1)
        gateway.restart(roll_back_ids=False)
        assert all(caller.closed for caller in callers)
        assert not gateway.sessions
        assert not gateway.feeds
        assert all(o.status is not OrderStatus.SENT for o in gateway.exchange.account.orders)
        assert names(Caller(gateway).start(1))[0] == "managedAccounts"
