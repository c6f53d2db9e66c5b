"""How approved orders are worked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from annotated_types import Ge, Gt, Le


class Leftover(StrEnum):
    """What happens to an order that still works when its window ends."""

    LEAVE = "leave"
    CANCEL = "cancel"


@dataclass(frozen=True)
class WorkParameters:
    """Times are seconds of venue time, counted from the submit of a wave.

    `window_seconds` is how long a wave is worked, `acknowledge_seconds` how long an order
    may stay unacknowledged before it is unresolved, `cancel_seconds` how long the cancel
    barrier waits. `reprice_after_seconds` 0 = never; otherwise an order that rests that long
    moves to its worst approved price. `worst_price_bps` is how far from the reference.
    `repeg_seconds` 0 = never; otherwise a resting order moves so often to the best price of its
    own side. `taker_after_seconds` 0 = never; otherwise what rests that long is cancelled, and
    the rest takes at the worst approved price; with `market_as_last_resort` what is open even
    then goes to market. Both are of the first order that was sent for the trade.
    """

    window_seconds: Annotated[float, Gt(0), Le(3600)] = 120.0
    poll_seconds: Annotated[float, Gt(0), Le(60)] = 5.0
    acknowledge_seconds: Annotated[float, Gt(0), Le(600)] = 30.0
    cancel_seconds: Annotated[float, Gt(0), Le(600)] = 30.0
    reprice_after_seconds: Annotated[float, Ge(0), Le(3600)] = 0.0
    worst_price_bps: Annotated[float, Ge(0), Le(1000)] = 50.0
    repeg_seconds: Annotated[float, Ge(0), Le(3600)] = 0.0
    taker_after_seconds: Annotated[float, Ge(0), Le(3600)] = 0.0
    market_as_last_resort: bool = False
    leftover: Leftover = Leftover.LEAVE
