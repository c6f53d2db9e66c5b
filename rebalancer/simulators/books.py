"""The simulated venue's own books: one JSON file, replaced as a whole, never half written.

Whatever has been told to a client was saved before. What is still to happen (an order on its
way, a cancel, a commission) is a time in the books, so that a venue that was killed goes on
where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from rebalancer.errors import DataError, NewerState, StateError
from rebalancer.model.codec import from_plain, to_plain
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce

SCHEMA = 1
FILE = "books.json"
_YOUNG = ("codec", "post_only", "forced")
"""What only some venues have; it is in the file where it says something."""


class FilesLike(Protocol):
    """What the books need of `store.atomic.Files`."""

    def replace(self, path: Path, content: bytes, /) -> None: ...
    def read(self, path: Path, /) -> bytes: ...
    def exists(self, path: Path, /) -> bool: ...


@dataclass(slots=True)
class Order:
    """An order in the venue's books. Quantities are signed, prices per unit.

    `acts_at`: when the venue takes it up; `cancel_at`, `move_at`: when a cancel or a new price
    takes effect; `expires_at`: when it dies by itself (None: not before it is cancelled).
    `taker` None: not matched yet, so it is not known which side it is. `cap`: the most that
    ever trades (a fault). `silent`: its next news is lost (a fault). `cancel_refused`: what
    the venue will say (a fault). `notional` and `fee` are what it traded and was charged,
    in the instrument's currency. `refusal` names why it was rejected (`admission`), `message`
    says it. `move_to`, `resize_to` and `retime_to` are the price (None: at market), the signed
    quantity and the time in force it will have at `move_at`. `tags` are a codec's own notes.
    `post_only`: it is refused rather than taken; `forced`: the venue itself wants it (it
    closes a position), and nothing is refused.
    """

    id: int
    reference: str
    instrument: InstrumentId
    quantity: Decimal
    limit: Decimal | None
    order_type: OrderType
    time_in_force: TimeInForce
    reduce_only: bool
    placed_at: datetime
    status: OrderStatus = OrderStatus.SENT
    filled: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    acts_at: datetime | None = None
    cancel_at: datetime | None = None
    move_at: datetime | None = None
    move_to: Decimal | None = None
    resize_to: Decimal | None = None
    retime_to: TimeInForce | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    taker: bool | None = None
    cap: Decimal | None = None
    silent: bool = False
    cancel_refused: str = ""
    message: str = ""
    refusal: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    post_only: bool = False
    forced: bool = False

    @property
    def remaining(self) -> Decimal:
        """Return the signed quantity that is still open."""
        return self.quantity - self.filled

    @property
    def live(self) -> bool:
        """Return whether anything can still happen to it."""
        return not self.status.terminal


@dataclass(slots=True)
class Execution:
    """One trade. `commission` was taken from the cash with it, and is told at `tell_at`.

    `tell_at` None: it is never told (a fault). `told` says whether its time has come.
    `realised` is the profit it realised, commission apart; None when it closed nothing.
    """

    id: str
    order: int
    reference: str
    instrument: InstrumentId
    quantity: Decimal
    price: Decimal
    currency: str
    at: datetime
    liquidity: str
    commission: Decimal
    commission_currency: str
    tell_at: datetime | None
    told: bool = False
    realised: Decimal | None = None


@dataclass(slots=True)
class Holding:
    """A position: signed quantity, average price paid (fees apart), and profit realised."""

    quantity: Decimal = Decimal(0)
    average_cost: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)


@dataclass(slots=True)
class Taken:
    """How much of the depth of one minute and side has been traded already, not negative."""

    minute: datetime
    quantity: Decimal


@dataclass(slots=True)
class Account:
    """Everything one simulated account is. Cash and fees by currency, holdings by instrument.

    `carried_cash` and `carried_positions` are the balances before the first execution that is
    still remembered: with `executions` they add up to `cash` and `holdings`, always. `codec`
    is what a codec has to remember beside them, JSON texts by name.
    """

    schema: int
    account: str
    base: str
    seed: int
    now: datetime
    cash: dict[str, Decimal]
    carried_cash: dict[str, Decimal]
    carried_positions: dict[InstrumentId, Decimal] = field(default_factory=dict)
    holdings: dict[InstrumentId, Holding] = field(default_factory=dict)
    fees: dict[str, Decimal] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()
    executions: tuple[Execution, ...] = ()
    taken: dict[str, Taken] = field(default_factory=dict)
    next_order: int = 1
    next_execution: int = 1
    duplicate_references: int = 0
    codec: dict[str, str] = field(default_factory=dict)


class Books:
    """The account of one venue, and the file it is kept in.

    `keep` False: nothing is ever written (a dry run works on a copy in memory).
    """

    def __init__(
        self, account: Account, folder: Path | None, files: FilesLike | None, *, keep: bool = True
    ) -> None:
        self.account = account
        self._path = None if folder is None else folder / FILE
        self._files = files
        self._keep = keep and files is not None and self._path is not None

    def content(self) -> bytes:
        """Return the books as the file has them: the same account, the same bytes."""
        plain = to_plain(self.account)
        _leave_out(plain, _YOUNG)
        for order in plain["orders"]:
            _leave_out(order, _YOUNG)
        return (json.dumps(plain, indent=1, separators=(",", ": "), allow_nan=False) + "\n").encode(
            "ascii"
        )

    def save(self) -> None:
        """Replace the file; afterwards, or after a pulled plug, it is all old or all new."""
        if self._keep and self._files is not None and self._path is not None:
            self._files.replace(self._path, self.content())


def open_books(
    folder: Path | None, files: FilesLike, new: Callable[[], Account], *, keep: bool = True
) -> Books:
    """Return the books of a folder; a new account, not yet saved, when it has none.

    Raises `StateError` when they are damaged, `NewerState` when a newer version wrote them.
    """
    if folder is None or not files.exists(folder / FILE):
        return Books(new(), folder, files, keep=keep)
    return Books(_parsed(folder / FILE, files.read(folder / FILE)), folder, files, keep=keep)


def saved_clock(folder: Path) -> datetime | None:
    """Return the simulated time of the books in a folder, None when it has none."""
    path = folder / FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror}") from error
    plain = _plain(path, content)
    try:
        return datetime.fromisoformat(str(plain["now"])).astimezone(UTC)
    except (KeyError, ValueError) as error:
        raise _damaged(path, "its clock (now) is not a time") from error


def _leave_out(plain: dict[str, object], names: tuple[str, ...]) -> None:
    for name in names:
        if not plain.get(name, True):
            del plain[name]


def _plain(path: Path, content: bytes) -> dict[str, object]:
    try:
        plain = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(plain, dict) or not isinstance(plain.get("schema"), int):
        raise _damaged(path, "it has no schema")
    if plain["schema"] > SCHEMA:
        raise NewerState(f"{path}: schema {plain['schema']}, this version knows {SCHEMA}")
    return plain


def _parsed(path: Path, content: bytes) -> Account:
    plain = _plain(path, content)
    try:
        return from_plain(Account, plain, path.name)
    except DataError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> StateError:
    return StateError(f"{path}: the paper account's books are damaged ({why}); restore the file")
