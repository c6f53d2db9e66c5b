"""What TWS's words for an order's life mean to us: own sets, never the library's."""

from __future__ import annotations

from enum import StrEnum

from rebalancer.model.orders import OrderStatus


class OrderError(StrEnum):
    """What an error message about an order does to the order."""

    MESSAGE = "only its words are kept"
    REFUSED = "a new order is refused; a working one whose price was to move works on"
    ENDED = "the order was cancelled"
    CANCEL_REFUSED = "the cancel was refused: the order is what it was before"
    LOOK_UP = "nobody knows: it is looked up, never sent again"


ORDER_ERRORS = {
    104: OrderError.MESSAGE,  # cannot modify a filled order: its executions tell
    105: OrderError.REFUSED,  # order being modified does not match
    110: OrderError.REFUSED,  # price off the tick
    321: OrderError.REFUSED,  # validation error
    329: OrderError.REFUSED,  # modify failed
    103: OrderError.LOOK_UP,  # duplicate order id: an older order with this id may live
    135: OrderError.LOOK_UP,  # no order with this id
    10147: OrderError.LOOK_UP,  # order id to cancel not found
    10149: OrderError.LOOK_UP,  # invalid order id to cancel
    161: OrderError.CANCEL_REFUSED,  # not cancellable in its state
    10148: OrderError.CANCEL_REFUSED,  # cannot be cancelled, state: ...
    202: OrderError.ENDED,
}
"""What our error table (`errors`) cannot say, because it depends on what the order did."""

NOT_ACKNOWLEDGED = frozenset({"", "PendingSubmit", "ApiPending", "ApiUpdate", "ValidationError"})
"""Words that the gateway or the library says before IB has taken the order.

The last two are the library's own; they never count, even if one should arrive.
"""

LIVE = frozenset({"PreSubmitted", "Submitted"})
"""Words of an order that works."""

_CANCELLED = frozenset({"Cancelled", "ApiCancelled"})
ENDED = _CANCELLED | {"Filled"}
"""Words of an order that ended: a later word of life may only have been late."""

_ENDS_BY_ITSELF = frozenset({"DAY", "IOC", "GTD", "FOK", "OPG", "DTC"})


def status_of(
    word: str, *, refused: bool, held: str, asked_cancel: bool, time_in_force: str
) -> OrderStatus:
    """Return what TWS's status word means.

    `refused`: the last error message about the order refused it; `held` is TWS's reason for
    holding it ('' none); `asked_cancel`: somebody asked for its end. What is Inactive without a
    reason, and a word that we do not know, is UNKNOWN: then only the list of open orders tells.
    """
    if word in NOT_ACKNOWLEDGED:
        return OrderStatus.SENT
    if word in LIVE:
        return OrderStatus.WORKING
    if word == "PendingCancel":
        return OrderStatus.PENDING_CANCEL
    if word == "Filled":
        return OrderStatus.FILLED
    if word in _CANCELLED:
        if refused:
            return OrderStatus.REJECTED
        expired = not asked_cancel and time_in_force in _ENDS_BY_ITSELF
        return OrderStatus.EXPIRED if expired else OrderStatus.CANCELLED
    if word == "Inactive" and refused:
        return OrderStatus.REJECTED
    if word == "Inactive" and held:
        return OrderStatus.WORKING
    return OrderStatus.UNKNOWN


def completed_status(word: str, words: str) -> OrderStatus:
    """Return how a completed order ended; `words` is TWS's sentence about it."""
    said = words.lower()
    if word == "Filled":
        return OrderStatus.FILLED
    if "reject" in said or word == "Inactive":
        return OrderStatus.REJECTED
    if "expire" in said:
        return OrderStatus.EXPIRED
    return OrderStatus.CANCELLED if word in _CANCELLED else OrderStatus.UNKNOWN
