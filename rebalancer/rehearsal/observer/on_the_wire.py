"""The order messages of both venues, as they arrive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from rebalancer.model.instrument import InstrumentId
from rebalancer.rehearsal.observer.sizes import size_of
from rebalancer.simulators.binance_server.auth import parameters_of
from rebalancer.simulators.binance_server.call import ApiError, Request, Response
from rebalancer.simulators.books import Account
from rebalancer.simulators.ib_gateway.codec import parse
from rebalancer.simulators.ib_gateway.frames import WireError
from rebalancer.simulators.ib_gateway.wire_log import WireEntry

if TYPE_CHECKING:
    from datetime import datetime

    from rebalancer.rehearsal.observer.stops_kept import StopsKept
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.exchange import Exchange
    from rebalancer.simulators.ib_gateway.gateway import Gateway

IB_WRITES = frozenset({"placeOrder", "cancelOrder", "reqGlobalCancel", "exerciseOptions"})
"""The messages by which a client of a gateway does something to orders."""

IB_LAST_TIME = "45"
"""The tick that says when an instrument traded last: a quote is as old as that."""

BINANCE_BEST_PRICES = "GET /fapi/v1/ticker/bookTicker"
"""The answer whose rows say of what time they are."""

BINANCE_ORDERS: Mapping[str, str] = {
    "POST /fapi/v1/order": "new",
    "PUT /fapi/v1/order": "change",
    "DELETE /fapi/v1/order": "cancel",
    "DELETE /fapi/v1/allOpenOrders": "cancel",
    "POST /fapi/v1/batchOrders": "new",
    "PUT /fapi/v1/batchOrders": "change",
    "DELETE /fapi/v1/batchOrders": "cancel",
    "POST /fapi/v1/algoOrder": "stop",
    "DELETE /fapi/v1/algoOrder": "cancel-stop",
    "DELETE /fapi/v1/algoOpenOrders": "cancel-stop",
    "POST /fapi/v1/countdownCancelAll": "cancel",
    "POST /api/v3/order": "new",
    "DELETE /api/v3/order": "cancel",
    "DELETE /api/v3/openOrders": "cancel",
    "POST /api/v3/order/cancelReplace": "new",
}
"""The requests by which a client of the exchange does something to orders, and what."""


class Notes(Protocol):
    """Takes what was heard (`watch.Watch`)."""

    def note(self, at: datetime, message: str, verb: str, **more: Any) -> None: ...

    def quoted(self, instrument: str, age: Decimal) -> None: ...


def writes(venue: str, message: str) -> bool:
    """Return whether a message of a client, by its name, does something to orders."""
    return message in (IB_WRITES if venue == "ib" else BINANCE_ORDERS)


class GatewayWire:
    """Listens to the orders that clients of one gateway send."""

    def __init__(self, notes: Notes, gateway: Gateway) -> None:
        self._notes, self._gateway = notes, gateway
        self._placed: dict[tuple[int | None, int], str] = {}
        self._asked: dict[tuple[int, str], InstrumentId] = {}

    def listen(self) -> None:
        """Note each order message before the gateway acts upon it."""
        log = self._gateway.log
        add = log.add

        def heard(entry: WireEntry) -> None:
            if entry.heard and entry.name in IB_WRITES:
                self._hear(entry)
            elif entry.name == "reqMktData":
                self._is_asked(entry)
            elif entry.name == "tickString" and entry.fields[3] == IB_LAST_TIME:
                self._tells(entry)
            add(entry)

        log.add = heard  # type: ignore[method-assign]

    def _values(self, entry: WireEntry) -> Mapping[str, Any]:
        session = self._gateway.sessions.get(entry.connection)
        try:
            return parse(entry.fields, session.version if session else 176).values
        except (WireError, ValueError):
            return {}

    def _is_asked(self, entry: WireEntry) -> None:
        """Remember which instrument a request for a quote is about."""
        values = self._values(entry)
        listed = self._gateway.directory.lookup(values) if values else ()
        if len(listed) == 1:
            key = (entry.connection, str(values.get("reqId", "")))
            self._asked[key] = listed[0].instrument.id

    def _tells(self, entry: WireEntry) -> None:
        """Note how long ago an instrument traded last, as the gateway tells it."""
        name = self._asked.get((entry.connection, entry.fields[2]))
        if name is not None and entry.fields[4].isdigit():
            age = self._gateway.exchange.now.timestamp() - int(entry.fields[4])
            self._notes.quoted(name, Decimal(round(age)))

    def _hear(self, entry: WireEntry) -> None:
        values = self._values(entry)
        at, key = self._gateway.exchange.now, (entry.client_id, int(values.get("orderId") or 0))
        if entry.name != "placeOrder":
            self._notes.note(at, entry.name, "cancel", reference=self._placed.get(key, ""))
            return
        if values.get("whatIf"):
            self._notes.note(at, entry.name, "ask")
            return
        reference, known = str(values.get("orderRef", "")), key in self._placed
        self._placed[key] = reference
        listed = self._gateway.directory.lookup(values)
        name = listed[0].instrument.id if len(listed) == 1 else InstrumentId("")
        size, buys = values.get("totalQuantity"), values.get("action") == "BUY"
        quantity = None if size is None else (size if buys else -size)
        self._notes.note(
            at,
            entry.name,
            "change" if known else "new",
            reference=reference,
            instrument=name,
            quantity=quantity,
            limit=values.get("lmtPrice"),
            **_seen(self._gateway.exchange, name, None if known else quantity),
        )


class ServerWire:
    """Listens to the orders that one exchange is asked for, and looks after each request."""

    def __init__(self, notes: Notes, server: BinanceServer, stops: StopsKept | None) -> None:
        self._notes, self._server, self._stops = notes, server, stops

    def listen(self) -> None:
        """Note each order request before the exchange acts upon it."""
        handle = self._server.handle

        def heard(request: Request) -> Response:
            name = f"{request.method} {request.path}"
            verb = BINANCE_ORDERS.get(name)
            if verb is not None:
                self._hear(name, verb, request)
            try:
                response = handle(request)
                if name == BINANCE_BEST_PRICES:
                    self._tells(response)
                return response
            finally:
                if self._stops is not None:
                    self._stops.look(self._server.exchange.account, f"after {name}")

        self._server.handle = heard  # type: ignore[method-assign]

    def _tells(self, response: Response) -> None:
        """Note how old the best prices of an answer are, by the exchange's own clock."""
        try:
            told = json.loads(response.body)
        except ValueError:
            return
        now = Decimal(round((self._server.now + self._server.skew).timestamp() * 1000))
        for row in told if isinstance(told, list) else [told]:
            if isinstance(row, dict) and isinstance(row.get("time"), int):
                age = (now - row["time"]) / 1000
                self._notes.quoted(f"{row.get('symbol', '')}.PERP@BINANCE", age)

    def _hear(self, name: str, verb: str, request: Request) -> None:
        try:
            asked = parameters_of(request)
        except ApiError:
            asked = {}
        symbol = asked.get("symbol", "")
        kind = "SPOT" if name.split()[1].startswith("/api/") else "PERP"
        instrument = InstrumentId(f"{symbol}.{kind}@BINANCE") if symbol else InstrumentId("")
        names = ("newClientOrderId", "clientAlgoId", "origClientOrderId")
        reference = next((asked[each] for each in names if each in asked), "")
        size = Decimal(asked["quantity"]) if "quantity" in asked else None
        quantity = None if size is None else (size if asked.get("side") == "BUY" else -size)
        self._notes.note(
            self._server.now,
            name,
            verb,
            reference=reference,
            instrument=instrument,
            quantity=quantity,
            limit=Decimal(asked["price"]) if "price" in asked else None,
            **_seen(self._server.exchange, instrument, quantity if verb == "new" else None),
        )


def _seen(exchange: Exchange, name: InstrumentId, quantity: Decimal | None) -> dict[str, Any]:
    """Return the venue's position and, where an order is new, how large it is."""
    now = held(exchange.account, name)
    return {"held": now, "size": size_of(exchange, name, quantity, now) if quantity else None}


def held(account: Account, instrument: InstrumentId) -> Decimal:
    """Return the venue's position; of a pair on a spot market, the coins there are."""
    holding = account.holdings.get(instrument)
    if holding is not None:
        return holding.quantity
    if instrument.endswith(".SPOT@BINANCE"):
        pair = instrument.partition(".")[0]
        for quote in ("USDT", "USDC", "FDUSD", "BTC", "EUR"):
            if pair.endswith(quote):
                return account.cash.get(pair.removesuffix(quote), Decimal(0))
    return Decimal(0)
