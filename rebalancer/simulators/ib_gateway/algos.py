"""Algorithms for working an order: of all there are, Adaptive is simulated (it fills alike)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rebalancer.model.instrument import Instrument
from rebalancer.simulators.ib_gateway.order_rules import SUPPORTED, Refusal

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway

ADAPTIVE = "Adaptive"
PRIORITIES = ("Urgent", "Normal", "Patient")
_PRIORITY = "adaptivePriority"

OUTSIDE_HOURS = Refusal(
    2109,
    "Order Event Warning:Attribute 'Outside Regular Trading Hours' is ignored based on the order "
    "type and destination. PlaceOrder is now being processed.",
)
CANNOT_CHANGE = Refusal(440, "Order modify failed. Algorithm cannot be modified.")
_NOT_ALLOWED = Refusal(442, "Specified algorithm is not allowed for this order.")


def algo_refusal(
    gateway: Gateway, instrument: Instrument, values: Mapping[str, Any]
) -> Refusal | None:
    """Return what is wrong with an order's algorithm, None when it has none or a good one.

    Adaptive takes limit and market orders for the day, in regular hours only.
    """
    name = str(values.get("algoStrategy") or "")
    if not name:
        return None
    if name != ADAPTIVE:
        return Refusal(439, "Order processing failed. Algorithm definition not found")
    tif = str(values["tif"]).upper() or "DAY"
    given = {str(each["tag"]): str(each["value"]) for each in values.get("algoParams") or ()}
    unknown = sorted(given.keys() - {_PRIORITY})
    if unknown:
        text = f"Order processing failed. Unknown algo attribute:{unknown[0]}"
        return Refusal(443, text)
    if (
        tif != "DAY"
        or str(values["orderType"]).upper() not in SUPPORTED
        or given.get(_PRIORITY) not in PRIORITIES
        or instrument.id in gateway.spec.orders.no_adaptive
    ):
        return _NOT_ALLOWED
    return None


def ignores_outside_hours(values: Mapping[str, Any]) -> bool:
    """Return whether an order's wish to trade outside regular hours is ignored, with a notice."""
    wished = bool(values.get("outsideRth"))
    return wished and (bool(values.get("algoStrategy")) or values["orderType"] == "MKT")
