"""One connection to the exchange: its calls, their pace, what became of them, and its time."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import requests

from rebalancer.brokers.binance import verdict as judged
from rebalancer.brokers.binance.client import (
    BinanceAPIException,
    BinanceRequestException,
    PointedClient,
)
from rebalancer.brokers.binance.errors import (
    FinalRefusal,
    RequestRefused,
    Treatment,
    WriteForbidden,
)
from rebalancer.brokers.binance.parameters import BinanceSettings, Product
from rebalancer.brokers.binance.passage import Passage
from rebalancer.brokers.binance.questions import EPOCH, moment
from rebalancer.brokers.binance.throttle import Throttle
from rebalancer.brokers.binance.verdict import Verdict
from rebalancer.brokers.binance.weights import orders_of, weight_of
from rebalancer.errors import BlindError, ConnectError, DataError
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.secret import Secret
from rebalancer.model.universe import Universe

LOG = logging.getLogger("rebalancer.brokers.binance")
LOG.addHandler(logging.NullHandler())

AGAIN = (0.2, 0.4, 0.8)
"""How long is waited before a read that failed is asked again, in seconds."""

MOST_LIMITS = 2
"""How often a read is asked again after the exchange said that there were too many."""

MOST_WAIT = 130.0
"""The longest `Retry-After` that is worth waiting for, in seconds."""

PATIENCE = timedelta(seconds=1)
"""A time whose answer took longer than this is asked for again."""

MOST_MEASURED = 3

_GET = "GET"
_MILLISECOND = timedelta(milliseconds=1)
_PLAIN = re.compile(r"[A-Za-z0-9_.,\-]*")
_ID = re.compile(r"[A-Za-z0-9_.\-]{1,36}")
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_NUMBERS = frozenset(
    {"quantity", "price", "stopPrice", "triggerPrice", "quoteOrderQty", "activatePrice",
     "callbackRate", "amount"}
)  # fmt: skip
_IDS = frozenset(
    {"newClientOrderId", "origClientOrderId", "clientAlgoId", "cancelOrigClientOrderId"}
)
_NOT_OURS = frozenset(
    {"timestamp", "recvWindow", "signature", "headers", "requests_params", "version"}
)
"""Words that the library takes for its own, or that it writes itself."""


class BinanceLine:
    """What a run asks the exchange through, and nothing else.

    Reads are asked again where that may help; what writes is sent once, and once more only when
    the exchange refused it for its time alone. Errors of a read: `RequestRefused`,
    `ConnectError`, `BlindError`; of a write: `RequestRefused` (certain: it did not happen) and
    `OutcomeUnknown`.
    """

    def __init__(
        self,
        passage: Passage,
        settings: BinanceSettings,
        product: Product,
        universe: Universe,
        key: Secret,
        secret: Secret,
        *,
        read_only: bool,
    ) -> None:
        self.passage, self.settings, self.product = passage, settings, product
        self.universe, self.read_only = universe, read_only
        self.offset = timedelta()
        self.broken = ""
        self.calls = 0
        self.writes = 0
        self.throttle = Throttle(settings.weight_share)
        self._named = {each.symbol: each for each in universe}
        self.client = PointedClient(
            passage.base_url,
            passage.account_url,
            key,
            secret,
            self.now,
            recv_window_ms=settings.recv_window_ms,
            seconds=settings.request_seconds,
            read_only=read_only,
        )
        passage.mount(self.client.session)

    # ------------------------------------------------------------------ time and names

    def now(self) -> datetime:
        """Return the exchange's time: the passage's and the measured offset."""
        return self.passage.now() + self.offset

    def measure(self) -> float:
        """Measure how far the exchange's clock is from ours; return it in seconds.

        It is the least that explains what it says: its time lies between our question and its
        answer. What took long is asked again, and the quickest answer counts.
        """
        path = "/fapi/v1/time" if self.product is Product.USDM else "/api/v3/time"
        measured: list[tuple[timedelta, timedelta]] = []
        while len(measured) < MOST_MEASURED:
            before = self.passage.now()
            told = moment(_of(self.get(path), "serverTime"), path)
            after = self.passage.now()
            measured.append((after - before, _least(before - told - _MILLISECOND, after - told)))
            if after - before <= PATIENCE:
                break
        was, self.offset = self.offset, min(measured)[1]
        self.throttle.moved(self.offset - was)
        return self.offset.total_seconds()

    def symbol(self, instrument: InstrumentId) -> str:
        """Return the exchange's name of an instrument."""
        if instrument in self.universe:
            return self.universe[instrument].symbol
        return instrument.partition(".")[0]

    def instrument_id(self, symbol: str) -> InstrumentId:
        """Return our name of a symbol, whether or not it is in the universe."""
        known = self.instrument(symbol)
        if known is not None:
            return known.id
        kind = "PERP" if self.product is Product.USDM else "SPOT"
        plain = "".join(
            c if c.isascii() and (c.isalnum() or c in "_-") else f"U{ord(c):X}" for c in symbol
        )
        return InstrumentId(f"{plain[:24]}.{kind}@BINANCE")

    def instrument(self, symbol: str) -> Instrument | None:
        """Return the instrument of the universe that the exchange calls so, None for none."""
        return self._named.get(symbol)

    # ------------------------------------------------------------------ asking

    def get(self, path: str, **parameters: str) -> Any:
        """Ask something public."""
        return self._call(_GET, path, parameters, signed=False)

    def signed(self, method: str, path: str, **parameters: str) -> Any:
        """Ask, or write, as the account's owner.

        Raises `WriteForbidden` for what writes through a connection that only reads.
        """
        method = method.upper()
        if self.read_only and method != _GET:
            raise WriteForbidden(f"{method} {path}: a dry run sends nothing that writes")
        self.writes += method != _GET
        return self._call(method, path, parameters, signed=True)

    def require(self) -> None:
        """Raise `ConnectError` when nothing can be asked any more."""
        if self.broken:
            raise FinalRefusal(f"not connected to Binance: {self.broken}")

    def close(self) -> None:
        """Give the connection up. Twice is once."""
        self.broken = self.broken or "the connection is closed"
        self.client.session.close()

    # ------------------------------------------------------------------ inside

    def _call(self, method: str, path: str, asked: Mapping[str, str], *, signed: bool) -> Any:
        """Make a call, again where that is allowed, and return its answer."""
        check_parameters(path, asked, signed=signed)
        reads = method == _GET
        again, limits, resigned = iter(AGAIN), 0, False
        while True:
            if self.broken and not reads:
                raise RequestRefused(0, f"not sent: {self.broken}", Treatment.STOP)
            self.require()
            found = self._once(method, path, asked, signed=signed)
            if not isinstance(found, Verdict):
                return found
            self._note(found)
            if found.treatment is Treatment.TIME and signed and not resigned:
                resigned = True
                if self._measured():
                    continue
            if not reads:
                raise found.of_a_write()
            if found.treatment is Treatment.LIMIT and limits < MOST_LIMITS and not _too_long(found):
                limits += 1
                continue
            wait = next(again, None) if found.treatment in _ASKED_AGAIN else None
            if wait is None:
                if found.treatment is Treatment.STOP:
                    raise FinalRefusal(str(found))
                raise found.of_a_read()
            self.passage.pause(wait)

    def _once(
        self, method: str, path: str, asked: Mapping[str, str], *, signed: bool
    ) -> Verdict | Any:
        """Make a call in its turn; return its answer, or what became of it."""
        product = self._product_of(path)
        self._wait_for_turn(product, method, path, asked)
        what = f"{method} {path}"
        self.client.response = None
        self.calls += 1
        try:
            answer = self.client.call(method, path, asked, signed=signed)
        except BinanceAPIException as error:
            return self._refused(what, product, error.status_code, error.response)
        except requests.RequestException as error:
            return judged.of_silence(what, error)
        except (
            BinanceRequestException,
            AttributeError,
            TypeError,
            KeyError,
            RecursionError,
        ):
            # The library stumbles over bodies that are no JSON, and over JSON that is no object.
            response = self.client.response
            if response is None:
                raise
            return self._refused(what, product, response.status_code, response)
        response = self.client.response
        self.throttle.heard(product, response.headers, self.now())
        if not response.content:  # which the library takes for an empty object
            return judged.of_rubbish(what, response.status_code)
        if isinstance(answer, dict) and _is_error(answer):
            return judged.of_answer(what, product, 400, answer, response.headers)
        if path.endswith("/exchangeInfo") and isinstance(answer, dict):
            self.throttle.learn(product, answer.get("rateLimits"))
        return answer

    def _refused(
        self, what: str, product: Product, status: int, response: requests.Response
    ) -> Verdict:
        self.throttle.heard(product, response.headers, self.now())
        try:
            body = response.json()
        except (ValueError, RecursionError):
            body = None
        if status < 300:
            return judged.of_rubbish(what, status)
        return judged.of_answer(what, product, status, body, response.headers)

    def _wait_for_turn(
        self, product: Product, method: str, path: str, asked: Mapping[str, str]
    ) -> None:
        """Wait until the exchange's limits allow the call, and count it."""
        outside = path.startswith("/sapi/")  # counted apart, with limits that are far away
        weight = 0 if outside else weight_of(method, path, asked)
        orders = orders_of(method, path)
        funding = path.startswith("/fapi/v1/funding")
        while True:
            wait = self.throttle.wait(product, weight, orders, self.now(), funding=funding)
            if wait <= 0:
                break
            LOG.info("binance: %s %s waits %.3f s for its turn", method, path, wait)
            self.passage.pause(wait)
        self.throttle.take(product, weight, orders, self.now(), funding=funding)

    def _note(self, found: Verdict) -> None:
        """Remember what a verdict means for all calls after it."""
        LOG.info("binance: %s", found)
        if found.final:
            self.broken = found.words
        if found.treatment is Treatment.LIMIT:
            self.throttle.hold(self.now() + timedelta(seconds=self._until_next(found)))

    def _until_next(self, found: Verdict) -> float:
        """Return for how long nothing may leave: as the exchange says, else to its next minute."""
        if found.retry_after is not None:
            return found.retry_after
        window = timedelta(seconds=10 if found.code == _TOO_MANY_ORDERS else 60)
        return (window - (self.now() - EPOCH) % window).total_seconds()

    def _measured(self) -> bool:
        """Measure the offset anew; return whether that was possible."""
        try:
            self.measure()
        except (ConnectError, RequestRefused) as error:
            LOG.warning("binance: the exchange's time could not be measured: %s", error)
            return False
        return True

    def _product_of(self, path: str) -> Product:
        return Product.USDM if path.startswith("/fapi/") else Product.SPOT


_TOO_MANY_ORDERS = -1015
_ASKED_AGAIN = frozenset({Treatment.UNKNOWN, Treatment.AGAIN})


def check_parameters(path: str, asked: Mapping[str, str], *, signed: bool) -> None:
    """Raise `DataError` for a parameter that the library would sign or send in another form.

    Numbers are plain decimals (the library would send 1e-05), ids and other words have no
    character that is sent encoded but signed as it is.
    """
    for name, value in asked.items():
        if name in _NOT_OURS:
            raise DataError(f"{path}: {name} is not ours to send")
        if not isinstance(value, str):
            raise DataError(f"{path}: {name} = {value!r} is not text")
        if name in _NUMBERS and not _NUMBER.fullmatch(value):
            raise DataError(f"{path}: {name} = {value!r} is not a plain decimal number")
        if name in _IDS and not _ID.fullmatch(value):
            raise DataError(f"{path}: {name} = {value!r} is not an id of [A-Za-z0-9_.-], 1 to 36")
        if signed and name != "symbol" and not _PLAIN.fullmatch(value):
            raise DataError(f"{path}: {name} = {value!r} would not be signed as it is sent")


def _least(low: timedelta, high: timedelta) -> timedelta:
    """Return the smallest offset of a clock that is behind ours by between `low` and `high`."""
    return -low if low > timedelta() else -high if high < timedelta() else timedelta()


def _of(answer: Any, key: str) -> Any:
    """Return a key of an answer; raises `BlindError` when it does not have it."""
    if not isinstance(answer, dict) or key not in answer:
        raise BlindError(f"the exchange's answer has no {key}")
    return answer[key]


def _is_error(answer: Mapping[str, Any]) -> bool:
    code = answer.get("code")
    return isinstance(code, int) and code < 0 and "msg" in answer


def _too_long(found: Verdict) -> bool:
    return found.retry_after is not None and found.retry_after > MOST_WAIT
