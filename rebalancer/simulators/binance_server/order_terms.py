"""What a request says about a new order: its parameters, each checked by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.call import ApiError, Call, illegal, mandatory
from rebalancer.simulators.binance_server.market_view import wanted_symbol
from rebalancer.simulators.binance_server.modes import hedged
from rebalancer.simulators.binance_server.order_words import (
    filter_failure,
    not_required,
    not_valid,
)

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.symbols import Symbol
    from rebalancer.simulators.market import Touch

CONDITIONAL = frozenset(
    {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
)
_SPOT_TYPES = frozenset(
    {"LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT",
     "TAKE_PROFIT_LIMIT"}
)  # fmt: skip
_FORCES = {
    "spot": frozenset({"GTC", "IOC", "FOK"}),
    "usdm": frozenset({"GTC", "IOC", "FOK", "GTX", "GTD"}),
}
_SELF_TRADES = frozenset({"NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"})
_PRICE_MATCHES = frozenset(
    {"NONE", "OPPONENT", "OPPONENT_5", "QUEUE", "QUEUE_5", "QUEUE_10", "QUEUE_20"}
)
_SPOT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_LATEST = 253_402_300_799_000
_GTD_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A new order as it was asked for; nothing of it has been held against the filters.

    `quantity` is not negative; `price` None is at market. `quote_quantity` is what a spot order
    at market may spend. `good_till` is in milliseconds, 0 none. `answer` is ACK, RESULT or FULL.
    """

    product: str
    symbol: Symbol
    buys: bool
    kind: str
    quantity: Decimal
    price: Decimal | None
    force: str
    client_id: str
    answer: str
    quote_quantity: Decimal = Decimal(0)
    reduce_only: bool = False
    position_side: str = "BOTH"
    price_match: str = "NONE"
    self_trade: str = "EXPIRE_MAKER"
    good_till: int = 0

    @property
    def signed(self) -> Decimal:
        """Return the quantity, negative for a sell."""
        return self.quantity if self.buys else -self.quantity

    @property
    def post_only(self) -> bool:
        """Return whether it is refused rather than taken."""
        return self.kind == "LIMIT_MAKER" or self.force == "GTX"


def side_of(call: Call) -> bool:
    """Return whether the order buys."""
    side = call.text("side")
    if side not in ("BUY", "SELL"):
        raise ApiError(-1117, "Invalid side.")
    return side == "BUY"


def client_id(call: Call, name: str = "newClientOrderId") -> str:
    """Return the client's own id, '' when it sent none."""
    text = call.parameters.get(name, "")
    if not text or _ID.fullmatch(text):
        return text
    if call.product == "spot":
        raise illegal(name, _SPOT_ID)
    if len(text) > 36:
        raise ApiError(-4015, "Client order id length should not be more than 36 chars")
    raise ApiError(-4015, "Client order id is not valid.")


def chosen(call: Call, name: str, known: frozenset[str], default: str) -> str:
    """Return one of the values there are; -1130 for another."""
    value = call.parameters.get(name, "") or default
    if value not in known:
        raise not_valid(name)
    return value


def position_side(call: Call) -> str:
    """Return the position side; it has to suit the account's position mode."""
    side = chosen(call, "positionSide", frozenset({"BOTH", "LONG", "SHORT"}), "BOTH")
    if (side == "BOTH") == hedged(call.server):
        raise ApiError(-4061, "Order's position side does not match user's setting.")
    return side


def reduce_only(call: Call) -> bool:
    """Return whether the order may only reduce; in hedge mode it may not say."""
    if not call.parameters.get("reduceOnly"):
        return False
    if hedged(call.server):
        raise not_required("reduceonly")
    return call.flag("reduceOnly")


def good_till(call: Call, force: str) -> int:
    """Return when a GTD order ends, milliseconds of a whole second; 0 for others."""
    if force != "GTD":
        return 0
    asked = call.integer("goodTillDate")
    if not call.now_ms + _GTD_SECONDS * 1000 < asked < _LATEST:
        raise ApiError(
            -5040,
            "The goodTillDate timestamp must be greater than the current time plus 600 seconds "
            "and smaller than 253402300799000 (UTC 9999-12-31 23:59:59)",
        )
    return asked // 1000 * 1000


def _force(call: Call, kind: str) -> str:
    if kind in ("MARKET", "LIMIT_MAKER"):
        if call.parameters.get("timeInForce"):
            raise not_required("timeInForce")
        return "GTC"
    force = call.text("timeInForce")
    if force not in _FORCES[call.product]:
        raise ApiError(-1115, "Invalid timeInForce.")
    return force


def _price(call: Call, kind: str, touch: Touch | None, *, buys: bool) -> Decimal | None:
    if kind == "MARKET":
        if call.parameters.get("price"):
            raise not_required("price")
        return None
    match = call.parameters.get("priceMatch", "") or "NONE"
    if call.product == "spot" or match == "NONE":
        return call.number("price")
    if call.parameters.get("price"):
        raise not_required("price")
    if touch is None:
        raise ApiError(-5041, "No depth matches this BBO order")
    tick = wanted_symbol(call).tick
    deep = (int(match.partition("_")[2] or 1) - 1) * tick
    if match.startswith("OPPONENT"):
        return touch.ask + deep if buys else touch.bid - deep
    return touch.bid - deep if buys else touch.ask + deep


def _answer(call: Call, kind: str) -> str:
    known = ("ACK", "RESULT", "FULL") if call.product == "spot" else ("ACK", "RESULT")
    usual = "FULL" if call.product == "spot" and kind in ("LIMIT", "MARKET") else "ACK"
    answer = call.parameters.get("newOrderRespType", "") or usual
    if answer not in known:
        raise ApiError(-1136, "Invalid newOrderRespType.")
    return answer


def new_order_terms(call: Call) -> Terms:
    """Return what a request for a new order says; raises the exchange's refusals of its words."""
    symbol = wanted_symbol(call)
    buys = side_of(call)
    kind = call.text("type")
    if call.product == "usdm" and kind in CONDITIONAL:
        raise ApiError(
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints "
            "instead.",
        )
    if kind not in (_SPOT_TYPES if call.product == "spot" else ("LIMIT", "MARKET")):
        raise ApiError(-1116, "Invalid orderType.")
    if kind not in ("LIMIT", "MARKET", "LIMIT_MAKER"):
        raise ApiError(-1013, "Stop orders are not supported for this symbol.")
    force = _force(call, kind)
    server = call.server
    touch = server.exchange.market.touch(server.exchange.instruments[symbol.id], call.now)
    common: dict[str, Any] = {
        "product": call.product,
        "symbol": symbol,
        "buys": buys,
        "kind": kind,
        "price": _price(call, kind, touch, buys=buys),
        "force": force,
        "client_id": client_id(call),
        "answer": _answer(call, kind),
        "self_trade": chosen(call, "selfTradePreventionMode", _SELF_TRADES, "EXPIRE_MAKER"),
    }
    if call.product == "spot":
        quantity, spends = _spot_quantity(call, kind, symbol, touch, buys=buys)
        return Terms(**common, quantity=quantity, quote_quantity=spends)
    if call.flag("closePosition"):
        raise ApiError(-4136, f"Target strategy invalid for orderType {kind},closePosition true")
    matched = chosen(call, "priceMatch", _PRICE_MATCHES, "NONE")
    if matched != "NONE" and kind != "LIMIT":
        raise ApiError(-5038, "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT")
    return Terms(
        **common,
        quantity=call.number("quantity"),
        reduce_only=reduce_only(call),
        position_side=position_side(call),
        price_match=matched,
        good_till=good_till(call, force),
    )


def _spot_quantity(
    call: Call, kind: str, symbol: Symbol, touch: Touch | None, *, buys: bool
) -> tuple[Decimal, Decimal]:
    """Return base quantity and quote quantity; the one follows from the other at market."""
    if kind != "MARKET" or call.parameters.get("quantity"):
        if call.parameters.get("quoteOrderQty"):
            raise not_required("quoteOrderQty")
        return call.number("quantity"), Decimal(0)
    if not call.parameters.get("quoteOrderQty"):
        raise mandatory("quantity")
    spends = call.number("quoteOrderQty")
    if touch is None:
        raise ApiError(-1013, "Market is closed.")
    price = touch.ask if buys else touch.bid
    if spends < symbol.min_notional:
        raise filter_failure("NOTIONAL")
    step = symbol.market_step or symbol.step
    return (spends / price / step).to_integral_value(ROUND_FLOOR) * step, spends
