"""A gateway whose connections are ears: what each hears is kept by its names.

Every message must fit its layout; what the bytes are is for other tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from rebalancer.model.instrument import InstrumentId
from rebalancer.simulators.ib_gateway.codec import encode
from rebalancer.simulators.ib_gateway.gateway import Gateway
from rebalancer.simulators.ib_gateway.session import Session
from rebalancer.simulators.ib_gateway.spec import GatewaySpec, open_gateway
from rebalancer.simulators.ib_gateway.trading import HANDLERS
from rebalancer.store.atomic import Files
from tests.unit.ib_gateway.clients import SLOT, SPEC, stock

AAPL, MSFT, KO = (stock(symbol).id for symbol in ("AAPL", "MSFT", "KO"))

ORDER: dict[str, Any] = {
    "account": "", "action": "BUY", "algoParams": (), "algoStrategy": "", "cashQty": None,
    "conId": 0, "conditions": (), "currency": "USD", "exchange": "SMART", "goodTillDate": "",
    "lastTradeDateOrContractMonth": "", "lmtPrice": None, "localSymbol": "", "multiplier": "",
    "ocaGroup": "", "orderRef": "", "orderType": "LMT", "outsideRth": False, "parentId": 0,
    "primaryExchange": "", "right": "", "secId": "", "secIdType": "", "secType": "STK",
    "strike": Decimal(0), "symbol": "AAPL", "tif": "DAY", "totalQuantity": Decimal(10),
    "tradingClass": "", "transmit": True, "whatIf": False,
}  # fmt: skip
"""A placeOrder of a client that changes nothing of what is usual."""


@dataclass
class Ear:
    """One client's connection, as far as orders need it."""

    gateway: Gateway
    client_id: int | None
    version: int = 176
    number: int = 0
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def send(self, name: str, **values: Any) -> None:
        assert encode(name, self.version, **values)
        self.heard.append((name, values))

    def error(self, request_id: int, code: int, text: str) -> None:
        self.heard.append(("errMsg", {"id": request_id, "code": code, "text": text}))

    def close(self) -> None:
        self.gateway.detach(cast(Session, self))

    def ask(self, name: str, **values: Any) -> list[tuple[str, dict[str, Any]]]:
        """Send a request; return what is answered at once."""
        before = len(self.heard)
        HANDLERS[name](cast(Session, self), values)
        return self.heard[before:]

    def place(self, number: int, **changes: Any) -> list[tuple[str, dict[str, Any]]]:
        """Send an order; return what is answered at once. Numbers may be given as text."""
        values = {**ORDER, "orderId": number, **changes}
        for name in ("lmtPrice", "totalQuantity", "cashQty"):
            if isinstance(values[name], str | int):
                values[name] = Decimal(values[name])
        return self.ask("placeOrder", **values)

    def words(self, since: int = 0) -> list[str]:
        """Return what was heard in short: `openOrder Submitted`, `errMsg 202`, `execDetails`."""
        return [short(name, values) for name, values in self.heard[since:]]

    def last(self, name: str) -> dict[str, Any]:
        """Return the values of the newest message of that name."""
        return next(values for said, values in reversed(self.heard) if said == name)

    def errors(self) -> list[tuple[int, int]]:
        """Return ids and codes of all errors heard."""
        return [(v["id"], v["code"]) for name, v in self.heard if name == "errMsg"]


def short(name: str, values: dict[str, Any]) -> str:
    """Return a message in a word or two."""
    if name == "errMsg":
        return f"errMsg {values['code']}"
    return f"{name} {values['status']}" if "status" in values else name


def open_scene(at: datetime = SLOT, **changes: Any) -> Gateway:
    """Return a gateway at a time, without connections."""
    gateway = open_gateway(spec(**changes), Files())
    gateway.exchange.play_to(at)
    return gateway


def spec(**changes: Any) -> GatewaySpec:
    """Return the usual spec with changes; `settings` are changes of the usual settings."""
    settings = replace(SPEC.settings, **changes.pop("settings", {}))
    return replace(SPEC, settings=settings, **changes)


def connect(gateway: Gateway, client_id: int | None = 7, version: int = 176) -> Ear:
    """Return a new connection of a client."""
    ear = Ear(gateway, client_id, version, max(gateway.sessions, default=0) + 1)
    gateway.sessions[ear.number] = cast(Session, ear)
    return ear


def wait(gateway: Gateway, seconds: float) -> None:
    """Let simulated time pass; everybody is told what happens."""
    until = gateway.exchange.now + timedelta(seconds=seconds)
    while gateway.exchange.now < until:
        gateway.tell(gateway.exchange.advance(until))


def price(gateway: Gateway, identifier: InstrumentId, side: str = "ask") -> Decimal:
    """Return the touch at which one can trade now."""
    exchange = gateway.exchange
    touch = exchange.market.touch(exchange.instruments[identifier], exchange.now)
    assert touch is not None
    return touch.ask if side == "ask" else touch.bid


def names(messages: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return messages in short."""
    return [short(name, values) for name, values in messages]
