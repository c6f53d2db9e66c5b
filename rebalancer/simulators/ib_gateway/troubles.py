"""The troubles of a run on the gateway's wire: translated to the gateway's own faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from rebalancer.simulators.faults import at_the_engine
from rebalancer.simulators.faults.hours import Trouble
from rebalancer.simulators.faults.injection import Injector
from rebalancer.simulators.faults.waiting import Waiting
from rebalancer.simulators.ib_gateway import lies
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.occasions import CLIENT, GATEWAY, fits

_REQUESTS = CLIENT - {"connect", "handshake", "garbage", "advance"}
_POSITIONS = frozenset({"reqPositions", "reqAccountUpdates"})
_ORDER_WORDS = frozenset({"openOrder", "orderStatus", "execDetails", "commissionReport"})

WIRE: Mapping[str, tuple[Do, frozenset[str]]] = {
    "request-lost": (Do.LOSE, _REQUESTS),
    "request-late": (Do.DELAY, _REQUESTS),
    "request-cut": (Do.CUT, _REQUESTS),
    "answer-cut": (Do.CUT_AFTER, _REQUESTS),
    "answer-lost": (Do.LOSE_ANSWER, _REQUESTS),
    "answer-late": (Do.DELAY_ANSWER, _REQUESTS),
    "answer-twice": (Do.DOUBLE_ANSWER, _REQUESTS),
    "answer-unended": (Do.NO_END, _REQUESTS),
    "answer-half": (Do.HALF, _REQUESTS),
    "answer-refused": (Do.ERROR, _REQUESTS),
    "pacing-cut": (Do.ERROR_CUT, _REQUESTS),
    "positions-empty": (Do.NO_ROWS, _POSITIONS),
    "positions-stale": (Do.OLD_ROWS, _POSITIONS),
    "account-stale": (Do.OLD_ACCOUNT, _POSITIONS),
    "answer-torn": (Do.CUT_INSIDE, GATEWAY),
    "answer-garbled": (Do.GARBAGE_BYTES, GATEWAY),
    "line-silent": (Do.STALL, _REQUESTS),
    "line-slow": (Do.HOLD, GATEWAY),
    "connect-silent": (Do.STALL, frozenset({"connect"})),
    "connect-cut": (Do.CUT, frozenset({"connect"})),
    "handshake-only": (Do.STALL, frozenset({"startApi"})),
    "client-id-used": (Do.ERROR, frozenset({"startApi"})),
    "wrong-account": (Do.ACCOUNT, frozenset({"connect"})),
    "order-lost": (Do.LOSE, frozenset({"placeOrder:new"})),
    "order-unheard": (Do.LOSE_ANSWER, frozenset({"placeOrder:new"})),
    "order-delayed": (Do.DELAY, frozenset({"placeOrder:new"})),
    "order-refused": (Do.ERROR, frozenset({"placeOrder:new"})),
    "order-noticed": (Do.NOTICE, frozenset({"placeOrder:new"})),
    "order-inactive": (Do.INACTIVE, frozenset({"placeOrder:new"})),
    "order-renumbered": (Do.SECOND_ID, frozenset({"placeOrder:new"})),
    "cancel-unheard": (Do.LOSE, frozenset({"cancelOrder"})),
    "cancel-answered-no": (Do.ERROR, frozenset({"cancelOrder"})),
    "replace-lost": (Do.LOSE, frozenset({"placeOrder:change"})),
    "replace-unheard": (Do.LOSE_ANSWER, frozenset({"placeOrder:change"})),
    "replace-refused": (Do.ERROR, frozenset({"placeOrder:change"})),
    "preview-lost": (Do.LOSE, frozenset({"placeOrder:whatIf"})),
    "news-lost": (Do.LOSE, _ORDER_WORDS),
    "news-late": (Do.DELAY, _ORDER_WORDS),
    "news-twice": (Do.DUPLICATE, _ORDER_WORDS),
    "venue-lost": (Do.CONNECTIVITY, _REQUESTS),
    "farm-broken": (Do.NOTICE, _REQUESTS),
    "restart": (Do.RESTART, _REQUESTS),
    "restart-back": (Do.ROLL_BACK, _REQUESTS),
    "clock-skew": (Do.SKEW, frozenset({"reqCurrentTime"})),
    "quote-missing": (Do.NO_QUOTE, frozenset({"reqMktData"})),
    "quote-crossed": (Do.CROSSED, frozenset({"reqMktData"})),
    "quote-one-sided": (Do.ONE_SIDED, frozenset({"reqMktData"})),
    "quote-stale": (Do.STALE, frozenset({"reqMktData"})),
    "quote-zero": (Do.ZERO, frozenset({"reqMktData"})),
    "quote-nan": (Do.NAN, frozenset({"reqMktData"})),
    "quote-delayed": (Do.DELAYED, frozenset({"reqMktData"})),
}
"""The names of `cells.toml`: what each does, and the messages that can suffer it."""

_LASTING = 3600.0
_OTHER_ACCOUNT = "DU9999999"


@dataclass
class TroubledWire:
    """The faults of one run's wire (`WireFaults`); those that were added come after them."""

    injector: Injector
    account: str = ""
    shows: Callable[[WireFault], bool] = lambda _fault: True
    _closed_until: float = 0.0

    def __post_init__(self) -> None:
        waiting = [each for each in self.injector.waiting("wire") if each.trouble.fault in WIRE]
        self._rows = [(each, *translated(each.trouble)) for each in waiting]
        self._refused = [
            each
            for each in self.injector.waiting("wire")
            if each.trouble.fault == "connect-refused"
        ]

    @property
    def closed_until(self) -> float:
        """Return until when nobody can connect; asked for at each attempt."""
        for waiting in self._refused:
            if waiting.due(("connect",), self.injector.at_step):
                self.injector.hit(waiting.trouble.fault, "connect")
                return float("inf")
        return self._closed_until

    @closed_until.setter
    def closed_until(self, until: float) -> None:
        self._closed_until = until

    def strikes(self, names: Sequence[str], subjects: Sequence[str] = ()) -> WireFault | None:
        """Count an occasion that has these names; return the fault that strikes, or None."""
        struck: WireFault | None = None
        for waiting, fault, messages in self._rows:
            if fault.subject and fault.subject not in subjects:
                continue
            able = [name for name in names if name in messages and fits(name, fault.do)]
            if able and not self.shows(fault):
                continue  # a lie that says what is true strikes nobody
            if struck is None and able and waiting.due(able, self.injector.at_step):
                self.injector.hit(waiting.trouble.fault, able[-1])
                struck = fault
        return struck

    def add(self, faults: Sequence[WireFault]) -> None:
        """Let these wait too; they are troubles of their own."""
        for fault in faults:
            trouble = Trouble("request-lost", fault.on, fault.nth, fault.count)
            self._rows.append((Waiting(trouble), fault, CLIENT | GATEWAY))


def translated(trouble: Trouble) -> tuple[WireFault, frozenset[str]]:
    """Return what a trouble is on this wire, and the messages that can suffer it."""
    do, messages = WIRE[trouble.fault]
    fault = WireFault(
        "",
        do,
        subject=trouble.subject,
        seconds=trouble.seconds,
        code=trouble.code,
        text=trouble.text,
    )
    if do is Do.ACCOUNT and not fault.text:
        fault = replace(fault, text=_OTHER_ACCOUNT)
    if do in (Do.SKEW, Do.STALE) and not fault.seconds:
        fault = replace(fault, seconds=_LASTING)
    if trouble.fault == "client-id-used" and not fault.code:
        fault = replace(fault, code=326)
    return fault, messages


def begin(control: LocalGateway, injector: Injector) -> None:
    """Let the troubles of a run strike at a gateway, instead of those of the run before."""
    gateway = control.gateway
    gateway.faults = TroubledWire(injector, shows=partial(lies.would_show, gateway))
    gateway.hearing = injector
    at_the_engine.begin(gateway.exchange.faults, injector)

    def slow(trouble: Trouble) -> None:
        until = gateway.exchange.now + timedelta(seconds=trouble.seconds)
        while gateway.exchange.now < until:
            gateway.advance(until)

    injector.acts["slow"] = slow
