"""Whose order is which: ids of clients and of the account, out of the engine's own books.

An order's tags are all that is kept of it for the wire: who sent it under which number, and
what of it is said again. So everything here survives whatever the books survive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.books import Order

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway
    from rebalancer.simulators.ib_gateway.session import Session

PERM_BASE = 1_700_000_000
"""An order's permId is this plus the engine's number: the same for ever, in every session."""

CLIENT, NUMBER, LIQUIDATION = "client", "order", "liquidation"
"""Tags: the client's id and its order id; an order of the venue itself."""

ECHOED = (
    "account",
    "blockOrder",
    "clearingAccount",
    "clearingIntent",
    "discretionaryAmt",
    "displaySize",
    "goodAfterTime",
    "hidden",
    "modelCode",
    "notHeld",
    "ocaGroup",
    "ocaType",
    "openClose",
    "origin",
    "outsideRth",
    "parentId",
    "randomizePrice",
    "randomizeSize",
    "rule80A",
    "solicited",
    "sweepToFill",
    "triggerMethod",
    "usePriceMgmtAlgo",
)
"""What of a client's order is kept in its tags and said again as it came."""

_NOTHING = frozenset({"", "0", "0.0"})


@dataclass
class TradingState:
    """What the gateway's process knows beside the books; a restart may lose it.

    `waiting`: orders that were not transmitted yet, by client and order id. `floors`: ids that
    a client has seen in a list and may not use. `rolled_back`: the engine's number of the first
    order since ids began again (0: they never did).
    """

    waiting: dict[tuple[int, int], Mapping[str, Any]] = field(default_factory=dict)
    floors: dict[int, int] = field(default_factory=dict)
    rolled_back: int = 0


def number_in(values: Mapping[str, Any], name: str = "orderId") -> int:
    """Return a whole number of a message, 0 for one that is unset."""
    return int(values.get(name) or 0)


def text_of(value: Any) -> str:
    """Return a value of a message as the wire has it: numbers exact and plain, '' for unset."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return plain(value) if isinstance(value, Decimal) else str(value)


def plain(value: Decimal) -> str:
    """Return a number without exponent and without trailing zeros."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def tags_of(client: int, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a client's order."""
    tags = {CLIENT: str(client), NUMBER: str(number_in(values))}
    for name in ECHOED:
        text = text_of(values.get(name))
        if text not in _NOTHING:
            tags[name] = text
    if values.get("algoStrategy"):
        tags["algoStrategy"] = str(values["algoStrategy"])
        for each in values.get("algoParams") or ():
            tags[f"algo.{each['tag']}"] = str(each["value"])
    return tags


def algo_params(order: Order) -> tuple[Mapping[str, str], ...]:
    """Return the parameters of an order's algorithm, in the order in which they came."""
    return tuple(
        {"tag": name.removeprefix("algo."), "value": value}
        for name, value in order.tags.items()
        if name.startswith("algo.")
    )


def perm_id(order: Order) -> int:
    """Return the id that an order has in the whole account and for ever."""
    return PERM_BASE + order.id


def by_hand(order: Order) -> bool:
    """Return whether no client of the API sent it."""
    return CLIENT not in order.tags


def client_of(order: Order) -> int:
    """Return the client that owns an order; 0 for one made by hand."""
    return int(order.tags.get(CLIENT, "0"))


def owner(session: Session) -> int:
    """Return the client of a connection; -1, which owns nothing, before it has said who it is."""
    return -1 if session.client_id is None else session.client_id


def number_for(order: Order, viewer: int | None) -> int:
    """Return an order's id as a client sees it.

    One made by hand is 0 for all but client 0, who may change it under a negative id.
    """
    if not by_hand(order):
        return int(order.tags[NUMBER])
    return -order.id if viewer == 0 else 0


def find(gateway: Gateway, client: int, number: int) -> Order | None:
    """Return a client's order by its id: the newest one, one that is live before others.

    After a roll-back of the ids, orders that had ended by then are not known by theirs.
    """
    names, ended = (str(client), str(number)), None
    for order in reversed(gateway.exchange.account.orders):
        if by_hand(order):
            own = client == 0 and order.id == -number
        else:
            own = (order.tags[CLIENT], order.tags[NUMBER]) == names
        if own and order.live:
            return order
        if own and ended is None and order.id >= gateway.trading.rolled_back:
            ended = order
    return ended


def highest_id(gateway: Gateway, client: int) -> int:
    """Return the highest order id that a client has used or may not use any more."""
    state = gateway.trading
    used = (
        int(order.tags[NUMBER])
        for order in gateway.exchange.account.orders
        if order.id >= state.rolled_back and not by_hand(order) and client_of(order) == client
    )
    waiting = (number for owner, number in state.waiting if owner == client)
    return max((0, state.floors.get(client, 0), *used, *waiting))


def next_valid_id(gateway: Gateway, client: int) -> int:
    """Return the id for a client's next order."""
    return highest_id(gateway, client) + 1
