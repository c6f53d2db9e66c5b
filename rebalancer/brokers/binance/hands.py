"""Everything that writes to Binance: orders, their prices, their end, and stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace as changed
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.brokers.binance.errors import RequestRefused, Treatment
from rebalancer.brokers.binance.orders import OrderBook
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import milliseconds, number, rows
from rebalancer.brokers.binance.told import plain, stop_of
from rebalancer.brokers.binance.venue import BinanceVenue
from rebalancer.errors import BlindError, ConnectError, DataError, OutcomeUnknown
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.orders import (
    MarginPreview,
    OrderStatus,
    OrderType,
    Place,
    Replace,
    TimeInForce,
    VenueEvent,
    WorkingOrder,
)
from rebalancer.model.stops import PlaceStop, StopOrder
from rebalancer.ports import Venue

NOTHING_TO_AMEND = -5027
"""The order stands at this price already: what was wanted is so."""

LEAST_LIFE = timedelta(seconds=610)
"""A good-till-date must be 600 s ahead when the exchange gets it.

The rest is for the way there (an order that takes longer than 5 s is refused for that), for a
clock that is off, and for the fraction of a second that is cut off.
"""


class BinanceHands:
    """A `ports.Hands` over a connected `BinanceVenue`."""

    sends = True

    def __init__(self, venue: Venue) -> None:
        if not isinstance(venue, BinanceVenue):
            raise TypeError(f"BinanceHands need a BinanceVenue, not a {type(venue).__name__}")
        self._venue, self._line = venue, venue.line
        self._book: OrderBook = venue.book
        self._usdm = venue.line.product is Product.USDM
        self._path = "/fapi/v1/order" if self._usdm else "/api/v3/order"
        self._leverage: Mapping[str, Decimal] | None = None
        self._account: AccountSnapshot | None = None

    def submit(self, places: Sequence[Place]) -> tuple[VenueEvent, ...]:
        """Send new orders, one by one; an order whose answer is lost is SENT, and looked up."""
        told: list[VenueEvent] = []
        for place in places:
            try:
                self._line.require()
            except ConnectError as error:
                raise OutcomeUnknown(f"before {place.reference}: {error}") from error
            told.append(self._sent(place))
            told.extend(self._book.news())
        return tuple(told)

    def _sent(self, place: Place) -> WorkingOrder:
        at = self._line.now()
        self._book.going(place.reference)
        try:
            answer = self._line.signed("POST", self._path, **self._words(place))
        except RequestRefused as error:
            if error.treatment is Treatment.THERE:
                return self._looked_up(place)
            refused = error.treatment is not Treatment.MAKER
            status = OrderStatus.REJECTED if refused else OrderStatus.EXPIRED
            return self._book.remember(_before_an_answer(place, at, status, str(error)))
        except DataError as error:
            return self._book.remember(
                _before_an_answer(place, at, OrderStatus.REJECTED, str(error))
            )
        except OutcomeUnknown as error:
            self._book.going(place.reference)  # it may still arrive: patience begins now
            return self._book.remember(_before_an_answer(place, at, OrderStatus.SENT, str(error)))
        try:
            return self._book.answered(answer)
        except BlindError as error:  # it was taken, and what was said of it is no order
            return self._book.remember(_before_an_answer(place, at, OrderStatus.SENT, str(error)))

    def _looked_up(self, place: Place) -> WorkingOrder:
        try:
            found = self._book.find(place.reference)
        except OutcomeUnknown:
            found = ()
        at = self._line.now()
        return self._book.remember(
            found[0]
            if found
            else _before_an_answer(place, at, OrderStatus.SENT, "its id is in use")
        )

    def _words(self, place: Place) -> dict[str, str]:
        words = {
            "symbol": self._line.symbol(place.instrument),
            "side": "BUY" if place.quantity > 0 else "SELL",
            "quantity": plain(abs(place.quantity)),
            "newClientOrderId": place.reference,
            "newOrderRespType": "RESULT",
        }
        if place.order_type is OrderType.MARKET:
            words["type"] = "MARKET"
        else:
            if place.limit is None or place.limit <= 0:
                raise DataError(f"{place.reference}: a limit order needs a positive price")
            words["price"] = plain(place.limit)
            maker = place.order_type is OrderType.POST_ONLY
            if maker and not self._usdm:
                words["type"] = "LIMIT_MAKER"
            else:
                words["type"] = "LIMIT"
                words |= {"timeInForce": "GTX"} if maker else self._force(place)
        if place.reduce_only and self._usdm:
            words["reduceOnly"] = "true"
        return words

    def _force(self, place: Place) -> dict[str, str]:
        if place.time_in_force is TimeInForce.IOC:
            return {"timeInForce": "IOC"}
        if place.time_in_force is TimeInForce.GTD and self._usdm:
            least = self._line.now() + LEAST_LIFE
            until = max(place.good_till or least, least)
            return {"timeInForce": "GTD", "goodTillDate": str(milliseconds(until) // 1000 * 1000)}
        if place.time_in_force is TimeInForce.DAY:
            raise DataError(f"{place.reference}: Binance has no DAY orders")  # it would never end
        return {"timeInForce": "GTC"}

    def cancel(self, order: WorkingOrder) -> tuple[VenueEvent, ...]:
        """Ask for an order's end; the answer is its end, or what became of it instead."""
        self._line.require()
        symbol = self._line.symbol(order.instrument)
        words = {"symbol": symbol}
        if order.venue_id:
            words["orderId"] = order.venue_id
        else:
            words["origClientOrderId"] = order.reference
        try:
            answer = self._line.signed("DELETE", self._path, **words)
        except (RequestRefused, OutcomeUnknown):
            return self._state_of(order)
        # A spot cancel has a client id of its own; the order's stands beside it.
        reference = "" if self._usdm else str(answer.get("origClientOrderId", order.reference))
        ended = self._book.answered(answer, reference)
        return (*self._book.news(), ended)  # what was heard before it says what was

    def _state_of(self, order: WorkingOrder) -> tuple[VenueEvent, ...]:
        try:
            found = self._book.find(order.reference) if order.reference else ()
        except OutcomeUnknown:
            return ()
        return (*found, *self._book.news())

    def replace(self, replace: Replace) -> tuple[VenueEvent, ...]:
        """Move a working order's price; spot has no such thing, and leaves it as it is."""
        self._line.require()
        if not self._usdm:
            return ()
        words = {
            "symbol": self._line.symbol(replace.instrument),
            "side": "BUY" if replace.quantity > 0 else "SELL",
            "quantity": plain(abs(replace.quantity)),
            "price": plain(replace.limit),
            "origClientOrderId": replace.reference,
        }
        try:
            answer = self._line.signed("PUT", self._path, **words)
        except (RequestRefused, OutcomeUnknown) as error:
            known = self._book.told.get(replace.reference)
            if known is None:
                return ()
            told = self._state_of(known)
            if isinstance(error, RequestRefused) and error.code == NOTHING_TO_AMEND:
                return told
            return tuple(
                changed(each, message=str(error)) if isinstance(each, WorkingOrder) else each
                for each in told
            )
        return (self._book.answered(answer), *self._book.news())

    def preview(self, place: Place) -> MarginPreview:
        """Return our own sum: the exchange previews no margin.

        Initial margin as the exchange tells it now, and the order's notional by its symbol's
        leverage on top. Spot has no margin: not asked.
        """
        if not self._usdm:
            return MarginPreview(asked=False, message="spot orders are paid for")
        symbol = self._line.symbol(place.instrument)
        if self._leverage is None:
            path = "/fapi/v1/symbolConfig"
            answer = rows(self._line.signed("GET", path), path)
            self._leverage = {str(r.get("symbol")): number(r.get("leverage"), path) for r in answer}
            self._account = self._venue.account()
        leverage, known = self._leverage.get(symbol), self._line.instrument(symbol)
        account, price = self._account, place.limit
        if account is None or account.initial_margin is None or not leverage or known is None:
            return MarginPreview(asked=True, message=f"what {symbol} needs as margin is unknown")
        if price is None:
            quote = self._venue.market((known,)).quotes.get(place.instrument)
            price = None if quote is None else quote.close
        if price is None:
            return MarginPreview(asked=True, message=f"{symbol} has no price")
        needed = abs(place.quantity) * price / leverage
        return MarginPreview(
            asked=True,
            initial_margin_after=account.initial_margin + needed,
            equity_with_loan_after=account.net_liquidation,
            message="our own sum; the exchange previews no margin",
        )

    # ------------------------------------------------------------------ stops

    def place_stop(self, stop: PlaceStop) -> StopOrder:
        """Ask for a stop; return it as the exchange confirmed it."""
        words = {
            "algoType": "CONDITIONAL",
            "symbol": self._line.symbol(stop.instrument),
            "side": "BUY" if stop.quantity > 0 else "SELL",
            "type": "STOP_MARKET" if stop.limit is None else "STOP",
            "quantity": plain(abs(stop.quantity)),
            "triggerPrice": plain(stop.trigger),
            "reduceOnly": "true",
            "workingType": "MARK_PRICE",
            "clientAlgoId": stop.reference,
        }
        if stop.limit is not None:
            words |= {"price": plain(stop.limit), "timeInForce": "GTC"}
        try:
            answer = self._line.signed("POST", "/fapi/v1/algoOrder", **words)
        except RequestRefused as error:
            if error.treatment is Treatment.THERE:
                found = self._book.find_stop(stop.reference)
                if found:
                    return found[0]
            return StopOrder(
                stop.reference,
                "",
                stop.instrument,
                stop.quantity,
                stop.trigger,
                stop.limit,
                OrderStatus.REJECTED,
                self._line.now(),
                str(error),
            )
        try:
            return stop_of(self._line, answer)
        except BlindError as error:  # it was taken, and what was said of it is no stop
            raise OutcomeUnknown(f"{stop.reference}: {error}") from error

    def cancel_stop(self, stop: StopOrder) -> StopOrder:
        """Ask for a stop's end; return it as the exchange then said it is."""
        words = {"algoId": stop.venue_id} if stop.venue_id else {"clientAlgoId": stop.reference}
        with suppress(RequestRefused, OutcomeUnknown):
            self._line.signed("DELETE", "/fapi/v1/algoOrder", **words)
        try:
            found = self._book.find_stop(stop.reference)
        except OutcomeUnknown:
            return stop
        return found[0] if found else stop


def _before_an_answer(
    place: Place, at: datetime, status: OrderStatus, message: str = ""
) -> WorkingOrder:
    """Return an order of which the exchange has said nothing that is about it."""
    return WorkingOrder(
        reference=place.reference,
        venue_id="",
        instrument=place.instrument,
        quantity=place.quantity,
        filled=Decimal(0),
        limit=place.limit,
        status=status,
        at=at,
        message=message,
    )
