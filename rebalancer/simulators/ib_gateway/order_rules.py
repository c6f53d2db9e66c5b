"""What the gateway itself refuses of an order, at once and in its own words.

Such an order never reaches the venue: its client gets an error and nothing else, and it is in
no list afterwards. What the venue refuses comes later, as news (`trading`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from rebalancer.model.instrument import Instrument, Kind
from rebalancer.simulators.ib_gateway.orders_state import plain

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway

ORDERS_PER_SIDE = 20
"""How many live orders an account may have in one contract and direction."""

SUPPORTED = ("LMT", "MKT")
_OTHER_TYPES = frozenset(
    {
        "BOX TOP", "LIT", "LOC", "LOO", "LWH", "MIDPRICE", "MIT", "MOC", "MOO", "MTL", "PASSV REL",
        "PEG BENCH", "PEG BEST", "PEG MID", "PEG MKT", "PEG PRIM", "PEG STK", "REL", "REL + LMT",
        "REL + MKT", "SNAP MID", "SNAP MKT", "SNAP PRIM", "STP", "STP LMT", "STP PRT", "TRAIL",
        "TRAIL LIMIT", "TRAIL LIT", "TRAIL MIT", "VOL",
    }
)  # fmt: skip
_TIMES = frozenset({"DAY", "GTC", "GTD", "IOC"})
_ATTRIBUTES = {
    "allOrNone": "AllOrNone",
    "hedgeType": "HedgeType",
    "minQty": "MinQty",
    "notHeld": "NotHeld",
    "scaleInitLevelSize": "ScaleInitLevelSize",
    "scalePriceIncrement": "ScalePriceIncrement",
}
"""Attributes that would change what an order does and are not simulated."""

READ_ONLY = "The API interface is currently in Read-Only mode."


@dataclass(frozen=True, kw_only=True)
class OrderOptions:
    """How this account and its gateway differ from the usual; instruments by id.

    `size_limit`: largest size (the preset's precaution). `value_limit`: largest value, in the
    instrument's currency. `no_adaptive`: where the Adaptive algorithm is not available.
    `not_permitted`: what the account may not trade. `master_client`: the client that hears of
    all orders. `empty_tif`: what an order without one gets, "preset" (DAY, and notice 10349)
    or "refuse" (newer gateways).
    """

    size_limit: Decimal | None = None
    value_limit: Decimal | None = None
    no_adaptive: tuple[str, ...] = ()
    not_permitted: tuple[str, ...] = ()
    master_client: int | None = None
    empty_tif: str = "preset"


class Refusal(NamedTuple):
    """An error code and its text."""

    code: int
    text: str


def invalid(cause: str, mark: str = "bN") -> Refusal:
    """Return the error for a request that makes no sense, with the gateway's own cause."""
    return Refusal(321, f"Error validating request.-'{mark}' : cause - {cause}")


def form_refusal(gateway: Gateway, values: Mapping[str, Any]) -> Refusal | None:
    """Return what is wrong with an order whatever it is for, None when nothing is."""
    kind = str(values["orderType"]).upper()
    if values["action"] not in ("BUY", "SELL"):
        return invalid("Invalid order action was entered", "w")
    if kind not in SUPPORTED:
        if kind in _OTHER_TYPES:
            text = "Unsupported order type for this exchange and security type"
            return Refusal(387, text)
        return invalid("Invalid order type was entered", "w")
    if values.get("cashQty"):
        return Refusal(10244, "Cash Quantity cannot be used for this order")
    if values["secType"] == "BAG":
        return Refusal(201, "Order rejected - reason:Combination orders are not simulated.")
    if values.get("conditions"):
        return _not_supported("Conditions")
    for name, shown in _ATTRIBUTES.items():
        if values.get(name) not in (None, "", False, 0):
            return _not_supported(shown)
    return _tif_refusal(gateway, str(values["tif"]).upper()) or _account_refusal(
        gateway, str(values.get("account") or "")
    )


def instrument_refusal(
    gateway: Gateway, instrument: Instrument, values: Mapping[str, Any]
) -> Refusal | None:
    """Return what is wrong with an order for this instrument, None when nothing is."""
    options = gateway.spec.orders
    if instrument.id in options.not_permitted:
        return Refusal(460, "No trading permissions.")
    size = values["totalQuantity"]
    return (
        _size_refusal(instrument, size, options)
        or _price_refusal(instrument, values)
        or _value_refusal(instrument, size, values["lmtPrice"], options)
    )


def crowd_refusal(gateway: Gateway, instrument: Instrument, buying: bool) -> Refusal | None:
    """Return why one more order in this contract and direction is too many, None if it is not."""
    live = sum(
        1
        for order in gateway.exchange.account.orders
        if order.live and order.instrument == instrument.id and (order.quantity > 0) is buying
    )
    if live < ORDERS_PER_SIDE:
        return None
    side = "buy" if buying else "sell"
    return Refusal(
        201,
        f"Order rejected - reason:There are {live} active {side} orders for this contract already; "
        f"at most {ORDERS_PER_SIDE} are allowed for each contract, side and account.",
    )


def _not_supported(attribute: str) -> Refusal:
    return Refusal(10268, f"The '{attribute}' order attribute is not supported.")


def _tif_refusal(gateway: Gateway, tif: str) -> Refusal | None:
    if not tif and gateway.spec.orders.empty_tif == "refuse":
        return Refusal(10052, "Invalid time in force:Empty")
    if not tif or tif in _TIMES:
        return None
    return Refusal(
        201,
        f"Order rejected - reason:The time-in-force {tif} is invalid for this combination of "
        "exchange and security type.",
    )


def _account_refusal(gateway: Gateway, account: str) -> Refusal | None:
    own, others = gateway.exchange.account.account, gateway.spec.other_accounts
    shown = gateway.faults.account or own
    if not account:
        return Refusal(435, "You must specify an account.") if others else None
    if account in others:
        return Refusal(
            201, f"Order rejected - reason:Account {account} has no permission to trade."
        )
    return None if account in (own, shown) else invalid(f"Invalid account code '{account}'", "b_")


def _size_refusal(
    instrument: Instrument, size: Decimal | None, options: OrderOptions
) -> Refusal | None:
    rules = instrument.rules
    if not size:
        return Refusal(434, "The order size cannot be zero.")
    if not size.is_finite() or size < 0:
        return invalid("The order size must be positive")
    if size % rules.limit_step:
        if size % 1 and instrument.kind is Kind.STOCK:
            text = "Fractional-sized order cannot be placed via API. Please use desktop version "
            return Refusal(10243, text + "to place this order.")
        if size % 1:
            return Refusal(10318, "This order doesn't support fractional quantity trading")
        step = plain(rules.limit_step)
        text = f"Order rejected - reason:The order size must be a multiple of {step}."
        return Refusal(201, text)
    if options.size_limit is not None and size > options.size_limit:
        limit = plain(options.size_limit)
        return Refusal(383, f"Size {plain(size)} exceeds the Size Limit of {limit}.")
    return None


def _price_refusal(instrument: Instrument, values: Mapping[str, Any]) -> Refusal | None:
    if str(values["orderType"]).upper() == "MKT":
        return None
    price = values["lmtPrice"]
    if price is None or not price.is_finite() or price <= 0:
        return invalid("The limit price of this order must be a positive price")
    if price % instrument.rules.price_step(price):
        return TICK
    return None


TICK = Refusal(110, "The price does not conform to the minimum price variation for this contract.")


def _value_refusal(
    instrument: Instrument, size: Decimal, price: Decimal | None, options: OrderOptions
) -> Refusal | None:
    if options.value_limit is None or not price:
        return None
    value = size * price * instrument.multiplier / instrument.magnifier
    if value <= options.value_limit:
        return None
    return Refusal(
        451,
        f"The order value estimate of {value:.2f} {instrument.currency} exceeds the Total Value "
        f"Limit of {plain(options.value_limit)}.",
    )
