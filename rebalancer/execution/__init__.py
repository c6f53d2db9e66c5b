"""How one approved order is worked: pure state machines, no wire and no clock.

`start` begins with an order that goes out, `advance` takes in what the venue says, `silence`
notices that it says nothing, `next_move` tells what to do now, `after_end` what follows.
"""

from rebalancer.execution.chase import Then, after_end, peg_price
from rebalancer.execution.moves import (
    CancelRequest,
    Done,
    Move,
    Peg,
    Wait,
    asked,
    may_be_left,
    next_move,
    window_end,
)
from rebalancer.execution.parameters import Leftover, WorkParameters
from rebalancer.execution.state import OrderState, advance, planned, silence, start

__all__ = [
    "CancelRequest",
    "Done",
    "Leftover",
    "Move",
    "OrderState",
    "Peg",
    "Then",
    "Wait",
    "WorkParameters",
    "advance",
    "after_end",
    "asked",
    "may_be_left",
    "next_move",
    "peg_price",
    "planned",
    "silence",
    "start",
    "window_end",
]
