"""What the tests of whole hours share: names, times, commands, and hands on the venue's books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from rebalancer.cli import main
from rebalancer.clock import SystemClock
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus
from rebalancer.model.records import RunRecord
from rebalancer.store.lock import portfolio_lock
from tests.portfolios import FIRST, HOUR, World, stamp, stock

AAPL, JNJ, KO, MSFT, GE = (
    InstrumentId(stock(symbol)) for symbol in ("AAPL", "JNJ", "KO", "MSFT", "GE")
)
SYMBOLS = ("AAPL", "JNJ", "KO", "MSFT")
WANTED = {"AAPL": "0.3", "JNJ": "0.3", "KO": "0.3"}
TURNED = {"AAPL": "0.1", "JNJ": "0.1", "KO": "0.3", "MSFT": "0.4"}
SECOND, THIRD = FIRST + HOUR, FIRST + 2 * HOUR
MINUTE = timedelta(minutes=1)
TUESDAY = datetime(2020, 3, 3, 15, 5, tzinfo=UTC)
THURSDAY = datetime(2020, 3, 12, 15, 5, tzinfo=UTC)
NIGHT = datetime(2020, 3, 3, 3, 5, tzinfo=UTC)
CLOSED = datetime(2020, 3, 2, 21, 25, tzinfo=UTC)
EVER = {"valid_until": "2020-12-31T00:00:00Z"}


def run(world: World, at: datetime, *options: str) -> int:
    """Run `rebalancer run --at ...`; return its exit code."""
    return main(["run", "--config", str(world.path), "--at", stamp(at), *options])


def command(world: World, name: str, *options: str) -> int:
    """Run another command of the portfolio."""
    return main([name, *options, "--config", str(world.path)])


def tree(world: World, *, but: str = "dry") -> dict[str, str]:
    """Return the hash of every file of the state folder, except below one folder."""
    return {
        str(path.relative_to(world.state)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(world.state.rglob("*"))
        if path.is_file() and path.relative_to(world.state).parts[0] != but
    }


def message(record: RunRecord, code: str) -> str:
    return next(flag.message for flag in record.flags if flag.code == code)


def statuses(record: RunRecord) -> dict[InstrumentId, OrderStatus]:
    """Return the last known status of a run's orders by instrument."""
    return {order.instrument: order.status for order in record.orders}


def held_for(record: RunRecord, gate: str) -> set[InstrumentId]:
    """Return the instruments whose orders a gate refused."""
    return {each.intent.instrument for each in record.refused if each.gate == gate}


def set_position(quantity: str | Decimal, name: str = AAPL) -> Callable[[Any], None]:
    """Return a change of the venue's books: it holds so many, and paid nothing for them."""

    def change(books: Any) -> None:
        books["holdings"][name]["quantity"] = str(quantity)

    return change


def add_cash(amount: str) -> Callable[[Any], None]:
    """Return a change of the venue's books: so many dollars arrive."""

    def change(books: Any) -> None:
        books["cash"]["USD"] = str(Decimal(books["cash"]["USD"]) + Decimal(amount))

    return change


class Watch:
    """`ports.Books` that do something when a line of a kind is journaled."""

    def __init__(self, books: Any, what: Callable[[Any], bool], action: Callable[[], None]) -> None:
        self._books, self._what, self._action = books, what, action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._books, name)

    def note(self, slot: Any, line: Any, *, durable: bool) -> None:
        self._books.note(slot, line, durable=durable)
        if self._what(line):
            self._action()


@contextmanager
def holding(world: World, *, hung: bool = False) -> Iterator[None]:
    """Hold the portfolio's lock as another run would, past its deadline or not."""
    now = SystemClock().now().timestamp()
    with portfolio_lock(world.state, now - 60 if hung else now + 600, now - 3600):
        yield
