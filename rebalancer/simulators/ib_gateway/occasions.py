"""Which messages a fault can wait for, and what each of them can suffer."""

from __future__ import annotations

from rebalancer.simulators.ib_gateway.faults import Do
from rebalancer.simulators.ib_gateway.layouts_in import REQUESTS as READABLE
from rebalancer.simulators.ib_gateway.layouts_out import ANSWERS
from rebalancer.simulators.ib_gateway.mishaps import MESSAGES, REQUESTS

OF_A_CONNECTION = frozenset({Do.CUT, Do.STALL, Do.ACCOUNT})
"""What can happen as somebody connects."""

OF_TIME = frozenset({Do.CUT})
"""What can happen as simulated time is moved."""

_FINER = ("placeOrder:new", "placeOrder:change", "placeOrder:whatIf")
_OTHER = ("connect", "handshake", "garbage", "advance")
CLIENT = frozenset({*_OTHER, *_FINER, *(n for n, _ in READABLE.values())})
"""The client's messages, and what else somebody does to a gateway."""

GATEWAY = frozenset({"serverVersion", *ANSWERS})
"""The gateway's messages."""


def fits(name: str, do: Do) -> bool:
    """Return whether a message can suffer that."""
    if name == "connect":
        return do in OF_A_CONNECTION
    if name == "advance":
        return do in OF_TIME
    return do in (REQUESTS if name in CLIENT else MESSAGES)
