"""The conditional orders of an account: what they are, and how they are remembered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from rebalancer.model.codec import from_plain, to_plain
from rebalancer.simulators.binance_server.codec_notes import remember
from rebalancer.simulators.binance_server.figures import milliseconds
from rebalancer.simulators.binance_server.orders_send import kept

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.books import Account

_NOTE = "algo.orders"
_FIRST = 2_000_000_001
_KNOWN_MS = timedelta(days=3) // timedelta(milliseconds=1)
_MOST_ENDED = 1000
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class AlgoOrder:
    """One conditional order. Times in milliseconds, 0 for never; quantity not negative.

    `status` NEW waits for its trigger, TRIGGERED became the ordinary order of number `order`.
    `extreme` is the best price since a trailing order became active (0: it is not yet).
    """

    number: int
    client_id: str
    symbol: str
    buys: bool
    kind: str
    force: str
    quantity: Decimal
    trigger: Decimal
    price: Decimal
    created: int
    working: str = "CONTRACT_PRICE"
    match: str = "NONE"
    position_side: str = "BOTH"
    self_trade: str = "EXPIRE_MAKER"
    reduce_only: bool = False
    close_position: bool = False
    protect: bool = False
    good_till: int = 0
    activate: Decimal = _ZERO
    callback: Decimal = _ZERO
    extreme: Decimal = _ZERO
    status: str = "NEW"
    updated: int = 0
    triggered: int = 0
    order: int = 0

    @property
    def waits(self) -> bool:
        """Return whether it is open: nothing has happened to it yet."""
        return self.status == "NEW"

    @property
    def signed(self) -> Decimal:
        """Return the quantity, negative for a sell."""
        return self.quantity if self.buys else -self.quantity


@lru_cache(maxsize=8)
def _parsed(text: str) -> tuple[AlgoOrder, ...]:
    plain = json.loads(text)
    return tuple(from_plain(AlgoOrder, each, f"codec.{_NOTE}") for each in plain)


def all_algos(account: Account) -> tuple[AlgoOrder, ...]:
    """Return every conditional order that is remembered, oldest first."""
    text = account.codec.get(_NOTE)
    return () if text is None else _parsed(text)


def waiting(account: Account, symbol: str = "") -> list[AlgoOrder]:
    """Return the open conditional orders of a symbol ('' all), oldest first."""
    return [each for each in all_algos(account) if each.waits and symbol in ("", each.symbol)]


def keep(account: Account, changed: Iterable[AlgoOrder]) -> None:
    """Remember conditional orders as they are now; new ones are added.

    Of those that ended, the last thousand of three days are kept, and the newest.
    """
    known = {each.number: each for each in all_algos(account)}
    known |= {each.number: each for each in changed}
    oldest = milliseconds(account.now) - _KNOWN_MS
    ended = [n for n, each in known.items() if not each.waits and each.updated >= oldest]
    stay = {*sorted(ended)[-_MOST_ENDED:], max(known, default=0)}
    stay |= {number for number, each in known.items() if each.waits}
    remember(account, _NOTE, [to_plain(known[number]) for number in sorted(stay & {*known})])


def next_number(account: Account) -> int:
    """Return the number of the next conditional order."""
    known: Sequence[AlgoOrder] = all_algos(account)
    return known[-1].number + 1 if known else _FIRST


def ended(each: AlgoOrder, status: str, now_ms: int) -> AlgoOrder:
    """Return a conditional order as it ends."""
    return replace(each, status=status, updated=now_ms)


def status_word(server: BinanceServer, each: AlgoOrder) -> str:
    """Return its state: TRIGGERED is FINISHED once the ordinary order is over."""
    if each.status != "TRIGGERED":
        return each.status
    order = kept(server, each.order)
    return "TRIGGERED" if order is not None and order.live else "FINISHED"
