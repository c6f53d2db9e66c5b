"""Where faults and the log sit: between a session and its wire, one for each connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from rebalancer.simulators.ib_gateway.codec import encode
from rebalancer.simulators.ib_gateway.faults import TEXTS, Do, WireFault
from rebalancer.simulators.ib_gateway.frames import pack
from rebalancer.simulators.ib_gateway.lies import OrderLies
from rebalancer.simulators.ib_gateway.mishaps import MESSAGES, REQUESTS
from rebalancer.simulators.ib_gateway.spoilt import Spoilt
from rebalancer.simulators.ib_gateway.subjects import Subjects, number_of
from rebalancer.simulators.ib_gateway.wire_log import WireEntry

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway

VALUE = "accountValue"
"""Four of five messages are these: about no order, no instrument and no request."""

DATA_LOST = 1101
"""Connectivity is back and every subscription to market data is gone."""

Message = tuple[str, Mapping[str, Any]]
Fields = tuple[str, ...]
_ABOUT_ORDERS = frozenset({"orderStatus", "openOrder", "execDetails", "commissionReport", "errMsg"})


@lru_cache(maxsize=8192)
def _account_value(
    version: int, key: str, value: str, currency: str, account: str
) -> tuple[Fields, bytes]:
    """Return fields and frame of an `accountValue`; most of an account's never change."""
    values = {"key": key, "value": value, "currency": currency, "account": account}
    fields = encode(VALUE, version, **values)
    return fields, pack(fields)


class Wire(Protocol):
    """The transport's side of a connection."""

    def write(self, data: bytes, /) -> None:
        """Send bytes to the client; never blocks."""

    def close(self) -> None:
        """End the connection after what was written."""


@dataclass(frozen=True)
class Asked:
    """A message of the client, and what the session does about it."""

    name: str
    values: Mapping[str, Any]
    act: Callable[[], None]

    @property
    def number(self) -> int:
        """Return the request's or order's number, -1 when it has none."""
        return number_of(self.values, "reqId", "orderId")


class Tap:
    """What is heard and said on one connection: logged, and spoilt where a fault strikes."""

    def __init__(self, gateway: Gateway, wire: Wire, number: int) -> None:
        self.gateway = gateway
        self.number = number
        self.version = 0
        self.client_id: int | None = None
        self.spoilt = Spoilt()
        self.orders = OrderLies()
        self.lost_orders: set[int] = set()
        self.lost_requests: set[int] = set()
        self.stalled = False
        self._wire = wire
        self._open = True
        self._subjects = Subjects(gateway)
        self._answering = ""
        self._caught: list[Message] | None = None
        self._held: list[bytes] | None = None
        self._dark: list[Asked] | None = None
        fault = gateway.faults.strikes(("connect",))
        if fault is not None:
            self._connected(fault)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop on which this connection lives."""
        if self.gateway.loop is None:
            raise RuntimeError("a connection without a transport")
        return self.gateway.loop

    # ------------------------------------------------------------------ what the session calls

    def heard(
        self,
        name: str,
        values: Mapping[str, Any],
        fields: Sequence[str],
        act: Callable[[], None],
    ) -> None:
        """Take a message of the client: `act` is called once, or as often as a fault says."""
        if not self._open or self.stalled:
            return
        hearing = self.gateway.hearing
        if hearing is not None and not hearing.before(name):
            self.drop()
            return
        self._heard(name, values, fields, act)
        if hearing is not None:
            hearing.after(name)

    def _heard(
        self,
        name: str,
        values: Mapping[str, Any],
        fields: Sequence[str],
        act: Callable[[], None],
    ) -> None:
        subjects = self._subjects.of_request(name, values)
        fault = self.gateway.faults.strikes(self._names(name, values), subjects)
        self._note(True, name, fields, fault.note() if fault else "")
        asked = Asked(name, values, act)
        if self._dark is not None:
            self._dark.append(asked)
        elif fault is None:
            self.run(asked)
        else:
            handler = REQUESTS.get(fault.do)
            if handler is None:
                raise _misplaced(fault)
            handler(self, fault, asked)

    def say(self, name: str, values: Mapping[str, Any]) -> None:
        """Send a message to the client, unless a fault has other ideas."""
        if not self._open or self.stalled or self._dark is not None:
            return
        if self._caught is not None:
            self._caught.append((name, values))
            return
        subjects = self._subjects.of_message(name, values)
        if self._is_lost(name, values):
            self._note(False, name, encode(name, self.version, **values), "fault: lose-answer")
            return
        if name in ("orderStatus", "openOrder"):
            values = self.orders.message(self, number_of(values, "orderId"), name, values)
        spoilt = self.spoilt.message(name, values, self.gateway)
        if spoilt is None:
            self._note(False, name, encode(name, self.version, **values), "fault: no-quote")
            return
        fields = encode(name, self.version, **spoilt)
        self._out(name, self.spoilt.fields(name, values, fields), subjects)

    def say_values(self, account: str, rows: Iterable[tuple[str, str, str]]) -> None:
        """Say values of an account (key, currency, value): what `say` would, written at once."""
        left, frames, fault, fields = iter(rows), list[bytes](), None, Fields()
        quick = self._open and not self.stalled and self._dark is None and self._caught is None
        if quick and not (self.spoilt.account or self.gateway.faults.account):
            strikes = self.gateway.faults.strikes
            for key, currency, value in left:
                fields, frame = _account_value(self.version, key, value, currency, account)
                fault = strikes((VALUE,))
                self._note(False, VALUE, fields, fault.note() if fault else "")
                if fault is not None:
                    break
                frames.append(frame)
        if frames:
            self.write(b"".join(frames))
        if fault is not None:
            self._spoil(fault, fields)
        for key, currency, value in left:
            values = {"key": key, "value": value, "currency": currency, "account": account}
            self.say(VALUE, values)

    def say_raw(self, name: str, fields: Sequence[str]) -> None:
        """Send a frame that has no layout: the version at the beginning."""
        if self._open and not self.stalled:
            self._out(name, tuple(fields), ())

    def close(self) -> None:
        """End the connection; nothing is heard or said any more."""
        if self._open:
            self._open = False
            self._wire.close()

    # ------------------------------------------------------------------ what the mishaps call

    def run(self, asked: Asked) -> None:
        """Let the session act upon a message now."""
        if not self._open or self.stalled:
            return
        before, self._answering = self._answering, asked.name
        try:
            asked.act()
        finally:
            self._answering = before

    def answer_to(self, asked: Asked) -> list[Message]:
        """Let the session act upon a message; return what it would have said at once."""
        caught: list[Message] = []
        self._caught = caught
        try:
            self.run(asked)
        finally:
            self._caught = None
        return caught

    def error(self, number: int, fault: WireFault) -> None:
        """Send a fault's code and words."""
        self._error(number, fault.code, fault.words())

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something after that many seconds of the wire, if the connection is still there."""
        self.loop.call_later(seconds, lambda: do() if self._open else None)

    def write(self, data: bytes) -> None:
        """Write bytes, after those that are held back."""
        if not self._open:
            return
        if self._held is not None:
            self._held.append(data)
        else:
            self._wire.write(data)

    def hold(self, seconds: float) -> None:
        """Hold back all that is written from now on."""
        if self._held is None:
            self._held = []
            self.later(seconds, self._release)

    def drop(self) -> None:
        """Break the connection as a fault does: the session learns of it too."""
        session = self.gateway.sessions.get(self.number)
        if session is not None:
            session.close()
        self.close()

    def darken(self, seconds: float, code: int) -> None:
        """Lose the venue: 1100 now, `code` after `seconds`; what is asked meanwhile waits."""
        if self._dark is not None:
            return
        self._error(-1, 1100, TEXTS[1100])
        self._dark = []
        self.later(seconds, lambda: self._lighten(code))

    def wait_for_light(self, asked: Asked) -> None:
        """Keep a message until the venue is back."""
        if self._dark is not None:
            self._dark.append(asked)

    # ------------------------------------------------------------------ inside

    def _connected(self, fault: WireFault) -> None:
        if fault.do is Do.STALL:
            self.stalled = True
        elif fault.do is Do.CUT:
            self.close()
        elif fault.do is Do.ACCOUNT:
            self.spoilt.account = fault.text
        else:
            raise _misplaced(fault)

    def _names(self, name: str, values: Mapping[str, Any]) -> tuple[str, ...]:
        if name == "reqAccountUpdates" and not values.get("subscribe"):
            return ()  # the end of a subscription: there is no answer that could go wrong
        if name != "placeOrder":
            return (name,)
        if values.get("whatIf"):
            return (name, "placeOrder:whatIf")
        key = (self.client_id, number_of(values, "orderId"))
        known = key in self.gateway.log.placed
        self.gateway.log.placed.add(key)
        return (name, "placeOrder:change" if known else "placeOrder:new")

    def _is_lost(self, name: str, values: Mapping[str, Any]) -> bool:
        number = values.get("reqId", -1)
        if number != -1 and number in self.lost_requests:
            return True
        if name not in _ABOUT_ORDERS or self._answering not in ("", "placeOrder"):
            return False
        return self._subjects.order_of(name, values) in self.lost_orders

    def _out(self, name: str, fields: tuple[str, ...], subjects: Sequence[str]) -> None:
        fault = self.gateway.faults.strikes((name,), subjects)
        self._note(False, name, fields, fault.note() if fault else "")
        if fault is None:
            self.write(pack(fields))
        else:
            self._spoil(fault, fields)

    def _spoil(self, fault: WireFault, fields: Fields) -> None:
        handler = MESSAGES.get(fault.do)
        if handler is None:
            raise _misplaced(fault)
        handler(self, fault, fields)

    def _error(self, number: int, code: int, text: str) -> None:
        self.say("errMsg", {"id": number, "code": code, "text": text})

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for data in held:
            self.write(data)

    def _lighten(self, code: int) -> None:
        waiting, self._dark = self._dark or [], None
        session = self.gateway.sessions.get(self.number)
        if code == DATA_LOST and session is not None:
            session.feeds.quotes.clear()
        self._error(-1, code, TEXTS.get(code, f"error {code}"))
        for asked in waiting:
            self.run(asked)

    def _note(self, heard: bool, name: str, fields: Sequence[str], note: str) -> None:
        log = self.gateway.log
        at = log.microseconds(self.loop.time())
        log.add(WireEntry(at, self.number, self.client_id, heard, name, tuple(fields), note))


def _misplaced(fault: WireFault) -> ValueError:
    return ValueError(f"a fault that does {fault.do.value!r} cannot wait for {fault.on!r}")
