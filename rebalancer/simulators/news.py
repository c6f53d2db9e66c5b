"""What a client of the simulated venue asks for, and what it hears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderType, TimeInForce
from rebalancer.simulators.books import Execution, Order


@dataclass(frozen=True)
class NewOrder:
    """What a client asks for. `good_till` is for GTD; `tags` are a codec's own notes.

    `held`: it stays where it is until `Exchange.release`. `post_only`: it is refused (code
    "post-only") when it would trade at once. `forced`: the venue's own, nothing is refused.
    """

    reference: str
    instrument: InstrumentId
    quantity: Decimal
    limit: Decimal | None
    order_type: OrderType
    time_in_force: TimeInForce
    reduce_only: bool = False
    good_till: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    held: bool = False
    post_only: bool = False
    forced: bool = False


class Cause(StrEnum):
    """What happened to an order."""

    TAKEN = "taken up"
    MOVED = "changed"
    MOVE_REFUSED = "change refused"
    TRADED = "traded"
    CANCEL_REFUSED = "cancel refused"
    ENDED = "ended"


@dataclass(frozen=True)
class OrderNews:
    """An order as it is now (a copy), and what happened to it."""

    order: Order
    cause: Cause = Cause.TAKEN


@dataclass(frozen=True)
class TradeNews:
    """An execution; its commission may be told only when `execution.told`."""

    execution: Execution


News = OrderNews | TradeNews
