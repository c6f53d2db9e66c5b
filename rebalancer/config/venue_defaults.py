"""Defaults that another venue has: what a key means when the file does not say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rebalancer.execution.parameters import Leftover
from rebalancer.model.instrument import Instrument, Kind
from rebalancer.model.orders import OrderType, TimeInForce
from rebalancer.planning.parameters import LimitStyle

RECORDING = "binance_perps_2025"
START = datetime(2025, 3, 20, tzinfo=UTC)
"""Two weeks into the recording: its generators have hours to look back on."""

_PERPETUALS: Mapping[str, Mapping[str, Any]] = {
    "fees": {"schedule": "binance-usdm"},
    "planning": {"time_in_force": TimeInForce.GTD},
    "paper": {"recording": RECORDING, "start": START, "unique_references": True},
}
_SPOT: Mapping[str, Mapping[str, Any]] = {
    "fees": {"schedule": "binance-spot"},
    "planning": {"time_in_force": TimeInForce.GTC},
    "execution": {"leftover": Leftover.CANCEL},
    "paper": {"recording": RECORDING, "start": START, "unique_references": True},
}


def style_defaults(order_type: object) -> Mapping[str, Any]:
    """Return the defaults of `[planning]` that differ for an order type.

    A post-only order starts at the best price of its own side.
    """
    if order_type is not OrderType.POST_ONLY:
        return {}
    return {"limit_style": LimitStyle.PASSIVE, "limit_offset_bps": Decimal(0)}


def venue_defaults(instruments: Sequence[Instrument]) -> Mapping[str, Mapping[str, Any]]:
    """Return, by table, the defaults that differ where these instruments are traded.

    What is left working must die by itself: perpetuals have a good-till-date, what is left of
    a spot order is cancelled at the end of its window.
    """
    if not instruments or any(each.venue != "BINANCE" for each in instruments):
        return {}
    spot = all(each.kind is Kind.SPOT for each in instruments)
    return _SPOT if spot else _PERPETUALS
