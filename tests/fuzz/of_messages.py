"""Messages of the venue, damaged on their way to the real client libraries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from rebalancer.simulators.binance_server.call import Request, Response
from rebalancer.simulators.binance_server.faults import Do as HttpDo
from rebalancer.simulators.binance_server.faults import HttpFault
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.binance_server.server import BinanceServer
from rebalancer.simulators.ib_gateway.faults import Do as WireDo
from rebalancer.simulators.ib_gateway.faults import WireFault
from rebalancer.simulators.ib_gateway.frames import pack, texts
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.pipes import ServerPipe
from tests.fuzz.announced import unannounced
from tests.fuzz.damage import NUMBERS
from tests.fuzz.lives import EXCHANGE, GATEWAY, MOST_MINUTES, Life
from tests.fuzz.of_state import clock_minutes
from tests.fuzz.spoil import TEXTS, spoil_bytes, spoil_json
from tests.fuzz.trial import Findings, Sent, heard

HOURS = 1
TO_MESSAGES = (WireDo.GARBAGE, WireDo.GARBAGE_BYTES, WireDo.CUT_INSIDE, WireDo.DUPLICATE)
TO_ANSWERS = (WireDo.HALF, WireDo.GAPS, WireDo.DOUBLE_ANSWER, WireDo.NO_END)
WIRE_NAMES = ("position", "positionEnd", "openOrder", "orderStatus", "execDetails", "contractData",
              "commissionReport", "updateAccountValue", "accountSummary", "tickPrice", "tickSize",
              "managedAccounts", "nextValidId", "errMsg", "marketRule")  # fmt: skip
REQUESTS = ("placeOrder", "reqPositions", "reqContractDetails", "reqExecutions", "reqMktData",
            "reqOpenOrders", "reqAllOpenOrders", "reqAccountSummary")  # fmt: skip
HTTP_FAULTS = (HttpDo.TRUNCATE, HttpDo.HTML, HttpDo.HTML_AFTER, HttpDo.EMPTY, HttpDo.STATUS_AFTER)
HTTP_PATHS = ("", "POST *", "GET *", "DELETE *", "* /fapi/v1/order", "* /fapi/v?/account",
              "* /fapi/v?/positionRisk", "* /fapi/v1/exchangeInfo", "* /fapi/v1/openOrders",
              "* /fapi/v1/userTrades", "* /fapi/v1/income", "* /fapi/v1/batchOrders")  # fmt: skip


class Messages:
    """A portfolio that holds something; the venue talks nonsense for one hour, then sense again."""

    name: str
    life: Life

    def prepare(self, folder: Path) -> None:
        """Let it live one hour, and then three more without damage."""
        self._folder = folder / "lived"
        self.life.lived(self._folder, HOURS)
        whole = folder / "whole"
        self.life.copy(self._folder, whole)
        self._before = len(self.life.orders(whole))
        assert self.life.hour(whole, HOURS).code == 0
        self._allowed = self.life.orders(whole)[self._before :]

    def nonsense(self, dice: Random, found: Findings) -> Any:
        """Return a context in which messages are damaged; what was done is added to `found`."""
        raise NotImplementedError

    def attempt(self, dice: Random, folder: Path, found: Findings) -> None:
        """Run an hour of nonsense and one or two of sense."""
        self.life.copy(self._folder, folder)
        with self.nonsense(dice, found):
            told = self.life.hour(folder, HOURS)
        heard(found, told, "run")
        took = clock_minutes(self.life, folder, HOURS)
        found.expect(took <= MOST_MINUTES, f"the run took {took:.0f} minutes of the venue's time")
        self._judge(folder, found, told.text)
        for hour in range(HOURS + 1, HOURS + dice.choice((2, 2, 3))):
            told = self.life.hour(folder, hour)
            heard(found, told, f"hour {hour}")
        orders = self.life.orders(folder)
        twice = [name for name, n in Counter(o.reference for o in orders).items() if n > 1]
        found.expect(not twice, f"sent twice: {twice}")
        wrong = unannounced(self.life, folder)
        found.expect(not wrong, f"not as announced: {wrong}")

    def _judge(self, folder: Path, found: Findings, text: str) -> None:
        """Nothing the venue says makes a sleeve's position larger than was wanted, by much."""
        most = {
            name: max(
                abs(sum((o.quantity for o in part if o.instrument == name), Decimal(0)))
                for part in (self.life.orders(self._folder), self._all())
            )
            for name in {o.instrument for o in self._all()}
        }
        for name, held in self.life.holdings(folder).items():
            allowed = most.get(name, Decimal(0)) * Decimal("1.25")
            found.expect(abs(held) <= allowed, f"{held} of {name} held; {allowed}\n{text[:1500]}")

    def _all(self) -> list[Sent]:
        return [*self.life.orders(self._folder), *self._allowed]


class IbMessages(Messages):
    """Frames of a gateway."""

    name = "ib"
    life = GATEWAY

    @contextmanager
    def nonsense(self, dice: Random, found: Findings) -> Iterator[None]:
        """Damage frames by number, by message, or through the gateway's own faults."""
        if dice.random() < 0.25:
            some = [
                WireFault(dice.choice(names), dice.choice(does), dice.randrange(1, 4),
                          dice.choice((1, 3, None)))
                for names, does in dice.choices(
                    ((WIRE_NAMES, TO_MESSAGES), (REQUESTS, TO_ANSWERS)), k=dice.choice((1, 1, 2))
                )
            ]  # fmt: skip
            found.what = str(some)
            with injected(LocalGateway, some):
                yield
            return
        strikes = Strikes(dice, 150)
        write = ServerPipe.write

        def spoilt(pipe: ServerPipe, data: bytes) -> None:
            name = data[4:].partition(b"\0")[0].decode("latin-1")
            if not strikes.now(name):
                write(pipe, data)
                return
            changed = spoil_frame(strikes.dice, data)
            found.what += f"{data[4:90]!r} -> {changed[:120]!r} "
            write(pipe, changed)

        with patch.object(ServerPipe, "write", spoilt):
            yield


class BinanceMessages(Messages):
    """Answers of the exchange."""

    name = "binance"
    life = EXCHANGE

    @contextmanager
    def nonsense(self, dice: Random, found: Findings) -> Iterator[None]:
        """Damage answers by number, by path, or through the exchange's own faults."""
        if dice.random() < 0.25:
            some = [
                HttpFault(dice.choice(HTTP_PATHS), dice.choice(HTTP_FAULTS), dice.randrange(1, 4),
                          dice.choice((1, 3, None)))
                for _ in range(dice.choice((1, 1, 2)))
            ]  # fmt: skip
            found.what = str(some)
            with injected(LocalServer, some):
                yield
            return
        strikes = Strikes(dice, 40)
        handle = BinanceServer.handle

        def spoilt(server: BinanceServer, request: Request) -> Response:
            answer = handle(server, request)
            if not strikes.now(f"{request.method} {request.path}"):
                return answer
            changed = spoil_answer(strikes.dice, answer)
            found.what += f"{request.method} {request.path} {difference(answer, changed)} "
            return changed

        with patch.object(BinanceServer, "handle", spoilt):
            yield


class Strikes:
    """Says which messages are damaged: the nth, or all of the name that the nth has."""

    def __init__(self, dice: Random, about: int) -> None:
        self.dice = Random(dice.random())
        self._numbers = {dice.randrange(about) for _ in range(dice.choice((1, 1, 1, 2, 5)))}
        self._all = dice.random() < 0.3
        self._names: set[str] = set()
        self._number = -1

    def now(self, name: str) -> bool:
        """Count a message; return whether it is damaged."""
        self._number += 1
        if self._number in self._numbers:
            if self._all:
                self._names.add(name)
            return True
        return name in self._names


@contextmanager
def injected(kind: type[Any], faults: list[Any]) -> Iterator[None]:
    """Let faults wait at every venue that is opened meanwhile."""
    open_venue: Callable[..., None] = kind.open

    def opened(venue: Any, *words: Any) -> None:
        open_venue(venue, *words)
        venue.inject(*faults)

    with patch.object(kind, "open", opened):
        yield


def spoil_frame(dice: Random, data: bytes) -> bytes:
    """Return a frame with a field changed, gone, doubled; twice; cut; or with other bytes."""
    fields = list(texts(data[4:]))
    what = dice.randrange(12)
    place = dice.randrange(len(fields)) if fields else 0
    if what <= 6 and fields:
        known = [text for text in (*NUMBERS, *NUMBERS, *TEXTS) if "\0" not in text]
        fields[max(place, 1 if what else 0) % len(fields)] = dice.choice(known)
        return pack(fields)
    if what == 7 and fields:
        del fields[place]
        return pack(fields)
    if what == 8 and fields:
        fields.insert(place, fields[place])
        return pack(fields)
    if what == 9:
        return data + data
    if what == 10:
        return b""
    body = spoil_bytes(dice, data[4:])[:100_000]
    return len(body).to_bytes(4, "big") + body


def spoil_answer(dice: Random, answer: Response) -> Response:
    """Return an answer with a place in its JSON changed, its bytes, its headers or its status."""
    what = dice.randrange(10)
    if what <= 6:
        try:
            plain = json.loads(answer.body)
        except ValueError:
            return answer
        return replace(answer, body=spoil_json(dice, plain))
    if what == 7:
        return replace(answer, body=spoil_bytes(dice, answer.body)[:1_000_000])
    if what == 8:
        names = (*answer.headers, "Retry-After", "Content-Type", "X-MBX-USED-WEIGHT-1M")
        words = dice.choice([text for text in (*NUMBERS, *TEXTS) if "\n" not in text])
        return replace(answer, headers={**answer.headers, dice.choice(names): words})
    return replace(answer, status=dice.choice((200, 201, 204, 301, 400, 404, 418, 429, 500, 503)))


def difference(answer: Response, changed: Response) -> str:
    """Return where two answers part, in short."""
    if answer.body == changed.body:
        return f"{changed.status} {dict(changed.headers)}"
    try:
        before = json.dumps(json.loads(answer.body)).encode()
    except ValueError:
        before = answer.body
    pairs = zip(before, changed.body, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
    begin = max(place - 60, 0)
    return f"{before[begin : place + 40]!r} -> {changed.body[begin : place + 60]!r}"
