"""The troubles of a run on the exchange's wire: translated to the exchange's own faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from rebalancer.simulators.binance_server import lies
from rebalancer.simulators.binance_server.faults import Do, HttpFault, HttpScript, first_of
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.faults import at_the_engine
from rebalancer.simulators.faults.hours import Trouble
from rebalancer.simulators.faults.injection import Injector
from rebalancer.simulators.faults.waiting import Waiting

ORDERS = "POST /fapi/v1/order|POST /api/v3/order|POST /fapi/v1/batchOrders"
CANCELS = "DELETE /fapi/v1/order|DELETE /api/v3/order|DELETE /*/batchOrders"
REPLACES = "PUT /fapi/v1/order|PUT /fapi/v1/batchOrders|POST /api/v3/order/cancelReplace"
STOPS = "POST /fapi/v1/algoOrder|POST /api/v3/orderList/*"
STOP_CANCELS = "DELETE /fapi/v1/algoOrder"
POSITIONS = "GET /fapi/v3/account|GET /fapi/v3/positionRisk"
ACCOUNT = f"{POSITIONS}|GET /fapi/v3/balance"
TICKERS = "GET /fapi/v1/ticker/bookTicker|GET /api/v3/ticker/*"
ANY = "* /*"

WIRE: Mapping[str, tuple[Do, str]] = {
    "connect-refused": (Do.OUTAGE, ANY),
    "request-lost": (Do.TIMEOUT_BEFORE, ANY),
    "request-late": (Do.DELAY, ANY),
    "request-cut": (Do.CUT_BEFORE, ANY),
    "answer-cut": (Do.CUT_AFTER, ANY),
    "answer-lost": (Do.TIMEOUT_AFTER, ANY),
    "answer-late": (Do.DELAY_AFTER, ANY),
    "answer-torn": (Do.TRUNCATE, ANY),
    "answer-empty": (Do.EMPTY, ANY),
    "request-twice": (Do.TWICE, "GET /*"),
    "order-lost": (Do.TIMEOUT_BEFORE, ORDERS),
    "order-unheard": (Do.TIMEOUT_AFTER, ORDERS),
    "order-delayed": (Do.DELAY, ORDERS),
    "order-refused": (Do.STATUS_BEFORE, ORDERS),
    "order-unknown": (Do.STATUS_AFTER, ORDERS),
    "order-twice": (Do.TWICE, ORDERS),
    "cancel-unheard": (Do.TIMEOUT_BEFORE, CANCELS),
    "cancel-answered-no": (Do.STATUS_BEFORE, CANCELS),
    "replace-lost": (Do.TIMEOUT_BEFORE, REPLACES),
    "replace-unheard": (Do.TIMEOUT_AFTER, REPLACES),
    "replace-refused": (Do.STATUS_BEFORE, REPLACES),
    "stop-lost": (Do.TIMEOUT_BEFORE, STOPS),
    "stop-unheard": (Do.TIMEOUT_AFTER, STOPS),
    "stop-refused": (Do.STATUS_BEFORE, STOPS),
    "stop-cancel-unheard": (Do.TIMEOUT_AFTER, STOP_CANCELS),
    "venue-lost": (Do.OUTAGE, ANY),
    "gateway-page": (Do.HTML, ANY),
    "gateway-page-after": (Do.HTML_AFTER, ANY),
    "rate-limit": (Do.RATE, ANY),
    "ban": (Do.BAN, ANY),
    "forbidden": (Do.FORBIDDEN, ANY),
    "maintenance": (Do.MAINTENANCE, ANY),
    "overloaded": (Do.STATUS_BEFORE, ANY),
    "clock-skew": (Do.SKEW, ANY),
    "wrong-account": (Do.WRONG_ACCOUNT, ANY),
    "positions-empty": (Do.NO_ROWS, POSITIONS),
    "positions-stale": (Do.OLD_ROWS, POSITIONS),
    "account-stale": (Do.OLD_ACCOUNT, ACCOUNT),
    "quote-missing": (Do.NO_QUOTE, TICKERS),
    "quote-crossed": (Do.CROSSED, TICKERS),
    "quote-one-sided": (Do.ONE_SIDED, TICKERS),
    "quote-stale": (Do.STALE, TICKERS),
    "quote-zero": (Do.ZERO, TICKERS),
    "quote-nan": (Do.NAN, TICKERS),
}
"""The names of `cells.toml`: what each does, and the requests that can suffer it."""

_LASTING = 3600.0


@dataclass
class TroubledRequests(HttpScript):
    """The faults of one run's requests (`HttpFaults`); those that were added come after them."""

    injector: Injector | None = None
    shows: Callable[[HttpFault], bool] = lambda _fault: True
    _rows: list[tuple[Waiting, HttpFault]] = field(default_factory=list)

    def strikes(self, name: str, subjects: Sequence[str], now: datetime) -> tuple[HttpFault, ...]:
        """Count an occasion; return the faults that strike."""
        injector = self.injector
        struck = []
        for waiting, fault in self._rows if injector is not None else ():
            if injector is None or not fault.waits_for(name, subjects) or name == "advance":
                continue
            if not self.shows(fault):
                continue  # a lie that says what is true strikes nobody
            if waiting.due((name,), injector.at_step):
                injector.hit(waiting.trouble.fault, name)
                struck.append(fault)
        return first_of([*struck, *super().strikes(name, subjects, now)])

    def add(self, faults: Iterable[HttpFault]) -> None:
        """Let these wait too; their occasions are counted from now on."""
        self.faults = (*self.faults, *faults)


def translated(trouble: Trouble) -> HttpFault:
    """Return what a trouble is on this wire."""
    do, where = WIRE[trouble.fault]
    seconds = trouble.seconds
    if do in (Do.SKEW, Do.STALE) and not seconds:
        seconds = _LASTING
    subject = trouble.subject.partition(".")[0]
    return HttpFault(
        where,
        do,
        subject=subject,
        code=trouble.code or -1007,
        message=trouble.text,
        seconds=seconds,
    )


def begin(control: LocalServer, injector: Injector) -> None:
    """Let the troubles of a run strike at an exchange, instead of those of the run before."""
    server = control.server
    rows = [(each, translated(each.trouble)) for each in injector.waiting("wire")]
    shows = partial(lies.would_show, server)
    server.faults = TroubledRequests((), injector=injector, shows=shows, _rows=rows)
    server.skew, server.closed_until = timedelta(0), None
    control.hearing = injector
    at_the_engine.begin(server.exchange.faults, injector)

    def slow(trouble: Trouble) -> None:
        server.let_pass(timedelta(seconds=trouble.seconds))

    injector.acts["slow"] = slow
