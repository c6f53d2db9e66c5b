"""A line without a socket: the real library, fed with frames by the test, its sends kept.

What the library would send is parsed into fields; an answer can be given to a message by its id.
No answer: the request times out, as on a gateway that is silent.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rebalancer.brokers.ib.contracts_names import name_of
from rebalancer.brokers.ib.orders import OrderBook
from rebalancer.errors import BlindError, ConnectError, DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderType, Place, TimeInForce

LIBRARY = "ib_insync" if importlib.util.find_spec("ib_insync") else "ib_async"
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
AAPL = InstrumentId("AAPL.STK.USD@IB")
ACCOUNT = "DU1"
UNSET = "1.7976931348623157E308"
"""How a gateway writes "no value", with the upper-case E that one library does not know."""
PLACE, CANCEL, OPEN, ALL_OPEN, EXECUTIONS, CURRENT_TIME, COMPLETED, GLOBAL_CANCEL = (
    "3", "4", "5", "16", "7", "49", "99", "58",
)  # fmt: skip


class FewContracts:
    """One stock, by its contract id."""

    def contract(self, instrument: InstrumentId) -> Any:
        if instrument != AAPL:
            raise DataError(f"{instrument} is not known")
        return import_module(LIBRARY).Contract(
            conId=265598, symbol="AAPL", secType="STK", exchange="SMART",
            currency="USD",
        )  # fmt: skip

    def name(self, contract: Any) -> InstrumentId:
        return AAPL if contract.conId == 265598 else name_of(vars(contract))


@dataclass
class FedLine:
    """A `Line` whose gateway is the test."""

    settings: Any = field(
        default_factory=lambda: SimpleNamespace(
            client_id=7,
            gateway_zone="America/New_York",
            adaptive_priority="Normal",
            global_cancel=False,
        )
    )
    account: str = ACCOUNT
    now_at: datetime = NOW
    broken: str = ""

    def __post_init__(self) -> None:
        self.lib = import_module(LIBRARY)
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.ib = self.lib.IB()
        self.ib.RequestTimeout = 1
        self.passage = SimpleNamespace(now=lambda: self.now_at)
        self.heard = SimpleNamespace(errors=[])
        self.ib.errorEvent += lambda *said: self.heard.errors.append(said[:3])
        self.sent: list[list[str]] = []
        self.answers: dict[str, Callable[[list[str]], None]] = {}
        client = self.ib.client
        client.connState = client.CONNECTED
        client._apiReady = True
        client._serverVersion = client.decoder.serverVersion = 176
        client.updateReqId(100)
        client.sendMsg = self._send
        self.ib.wrapper.clientId = client.clientId = self.settings.client_id

    def _send(self, message: str) -> None:
        if self.broken:
            raise ConnectionError(self.broken)
        fields = message.split("\0")[:-1]
        self.sent.append(fields)
        if answer := self.answers.get(fields[0]):
            answer(fields)

    def ask(self, what: str, factory: Callable[[], Awaitable[Any]], seconds: float = 1) -> Any:
        self.require()

        async def run() -> Any:
            return await asyncio.wait_for(factory(), 0.02)

        try:
            return self.loop.run_until_complete(run())
        except TimeoutError as error:
            raise BlindError(f"{what} did not arrive") from error
        finally:
            self.require()

    waiting_to_leave = 0

    throttle: Any = field(default_factory=lambda: SimpleNamespace(forget=lambda: None))

    def rest(self, seconds: float) -> None:
        """Let nothing happen."""

    def require(self) -> None:
        if self.broken:
            raise ConnectError(self.broken)

    def close(self) -> None:
        asyncio.set_event_loop(None)
        self.loop.close()

    # ---------------------------------------------------------------- what the gateway says

    def say(self, *fields: object) -> None:
        self.ib.client.decoder.interpret([str(each) for each in fields])

    def status(
        self, order_id: int, word: str, filled: int = 0, perm: int = 900, **more: Any
    ) -> None:
        self.say(
            3, order_id, word, filled, 0, 0, perm, 0, 0, more.get("client", 7),
            more.get("held", ""), 0,
        )  # fmt: skip

    def error(self, order_id: int, code: int, words: str) -> None:
        self.say(4, 2, order_id, code, words, "")

    def execution(self, exec_id: str, size: int = 10, price: str = "60.10", **more: Any) -> None:
        self.say(
            11, more.get("request", -1), more.get("order_id", 100), more.get("con_id", 265598),
            more.get("symbol", "AAPL"), "STK", "", 0, "", "", "SMART", "USD", "AAPL", "NMS",
            exec_id, more.get("time", "20261120 10:00:05 US/Eastern"),
            more.get("account", ACCOUNT), "NASDAQ", more.get("side", "BOT"), size, price,
            more.get("perm", 900), more.get("client", 7), more.get("liquidation", 0), size, price,
            more.get("reference", "demo.1"), "", "", "", more.get("liquidity", 2),
        )  # fmt: skip

    def commission(self, exec_id: str, amount: object, currency: str = "USD") -> None:
        self.say(59, 1, exec_id, amount, currency, "", "", "")

    def open_order(self, order_id: int, word: str, **changes: Any) -> None:
        self.ib.wrapper.openOrder(order_id, *self._order(order_id, word, changes))

    def what_if(self, order_id: int, **margins: str) -> None:
        self.open_order(order_id, "PreSubmitted", whatIf=True, margins=margins)

    def completed(self, word: str, **changes: Any) -> None:
        contract, order, state = self._order(0, word, changes)
        order.clientId = 0
        self.ib.wrapper.completedOrder(contract, order, state)

    def _order(self, order_id: int, word: str, changes: dict[str, Any]) -> tuple[Any, Any, Any]:
        contract = FewContracts().contract(AAPL)
        state = self.lib.OrderState(status=word)
        for name in ("Before", "Change", "After"):
            setattr(state, f"initMargin{name}", UNSET)
            setattr(state, f"equityWithLoan{name}", UNSET)
        for name, value in changes.pop("margins", {}).items():
            setattr(state, name, value)
        state.completedTime = changes.pop("completed_time", "")
        state.completedStatus = changes.pop("completed_status", "")
        values = {
            "orderId": order_id, "clientId": 7, "permId": 900, "action": "BUY",
            "totalQuantity": 10.0, "orderType": "LMT", "lmtPrice": 60.1, "tif": "DAY",
            "account": ACCOUNT, "orderRef": "demo.1", "outsideRth": False,
        } | changes  # fmt: skip
        return contract, self.lib.Order(**values), state

    def answer_lists(
        self,
        open_orders: Callable[[], object] = lambda: None,
        completed: Callable[[], object] = lambda: None,
        executions: Callable[[int], object] = lambda _: None,
    ) -> None:
        """Answer each of the three lists completely."""

        def all_open(_: list[str]) -> None:
            open_orders()
            self.say(53, 1)

        def all_completed(_: list[str]) -> None:
            completed()
            self.say(102)

        def all_executions(fields: list[str]) -> None:
            executions(int(fields[2]))
            self.say(55, 1, fields[2])

        self.answers |= {
            ALL_OPEN: all_open, COMPLETED: all_completed, EXECUTIONS: all_executions,
            CURRENT_TIME: lambda _: self.say(49, 1, 1763650800),
        }  # fmt: skip


def book_on(line: FedLine) -> OrderBook:
    """Return an order book on a line, as it is after the complete download."""
    book = OrderBook(line, FewContracts())  # type: ignore[arg-type]
    book.begin()
    return book


def order(
    quantity: int | str = 10, limit: str | None = "60.10", reference: str = "demo.1", **more: Any
) -> Place:
    """Return an order for Apple."""
    values: dict[str, Any] = {
        "order_type": OrderType.MARKET if limit is None else OrderType.LIMIT,
        "time_in_force": TimeInForce.DAY,
        "reduce_only": False,
        "good_till": None,
        "instrument": AAPL,
    } | more
    return Place(
        reference=reference,
        quantity=Decimal(quantity),
        limit=None if limit is None else Decimal(limit),
        **values,
    )


@dataclass
class Venue:
    """What hands need of an `IbVenue`."""

    line: FedLine
    book: OrderBook
    folder: Path
    files: Any
    base: str = "USD"
    outdated: bool = False
    flags: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.contracts = FewContracts()
        self.when_told: Callable[[], None] = lambda: None
        self.page = SimpleNamespace(flag=lambda code, words, *_: self.flags.append((code, words)))

    def now(self) -> datetime:
        return self.line.now_at
