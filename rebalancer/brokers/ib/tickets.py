"""An order of ours as the wire gets it: built anew each time, every attribute said by us.

TWS presets fill what is left open, and the library copies what the gateway echoes into the
order object it keeps: so no object is ever sent twice, and a re-price is built from our record.
Prices and sizes go out as text, exactly as decided; no float comes near them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rebalancer.brokers.ib.known import KnownOrder
from rebalancer.errors import DataError
from rebalancer.model.instrument import Kind, split_instrument_id
from rebalancer.model.orders import OrderType, Place

_WHOLE_KINDS = frozenset({Kind.STOCK, Kind.FUTURE, Kind.OPTION})


def refusal(place: Place) -> str:
    """Return why an order cannot be put into IB's words at all, '' when it can."""
    kind = split_instrument_id(place.instrument)[1]
    size = place.quantity
    if not size.is_finite() or not size:
        return f"quantity {size} cannot be ordered"
    if kind in _WHOLE_KINDS and size % 1:
        return f"quantity {size} is not a multiple of 1: IB's API takes no fractions"
    if place.order_type is OrderType.MARKET:
        return ""
    if place.limit is None or not place.limit.is_finite():
        return f"a limit order needs a price, not {place.limit}"
    return ""


def ticket(lib: Any, order: KnownOrder, account: str, limit: Decimal | None) -> Any:
    """Return a fresh library order for our record, at `limit` (None: a market order).

    Raises `DataError` for what cannot be written exactly.
    """
    made = lib.Order()
    made.orderId = order.order_id
    made.clientId = order.client_id
    made.action = "BUY" if order.quantity > 0 else "SELL"
    made.totalQuantity = plain(abs(order.quantity))
    made.orderType = "MKT" if limit is None else "LMT"
    if limit is not None:
        made.lmtPrice = plain(limit)
    made.tif = order.time_in_force
    made.account = account
    made.orderRef = order.reference
    made.outsideRth = False
    made.transmit = True
    made.hidden = False
    made.whatIf = False
    made.allOrNone = False
    made.sweepToFill = False
    made.blockOrder = False
    made.goodTillDate = order.good_till
    if order.adaptive:
        made.algoStrategy = "Adaptive"
        made.algoParams = [lib.TagValue("adaptivePriority", order.adaptive)]
    return made


def plain(number: Decimal) -> str:
    """Return a number as the wire has it: exact, without exponent or needless zeros."""
    if not number.is_finite():
        raise DataError(f"{number} cannot be sent")
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
