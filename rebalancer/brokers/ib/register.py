"""Every order and execution that this connection has heard of, and who is who among them.

It only listens: `orders.OrderBook` asks. Identity is the order reference and IB's permanent id:
order ids roll back after a restart, and a completed order has none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from rebalancer.brokers.ib.adaptive import refuses_adaptive
from rebalancer.brokers.ib.contracts import Contracts
from rebalancer.brokers.ib.efficiency import day_of
from rebalancer.brokers.ib.errors import is_known, is_refusal
from rebalancer.brokers.ib.events import News, listen_in
from rebalancer.brokers.ib.executions import (
    Heard,
    amount_or_none,
    execution_time,
    integer,
    latest,
    number,
    read_commission,
    read_execution,
    with_commission,
)
from rebalancer.brokers.ib.known import KnownOrder
from rebalancer.brokers.ib.line import Line
from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import VenueEvent, WorkingOrder

_NUMBERS_OF_A_STATUS = (1, 3, 4, 5, 6, 7, 8, 9, 11)
"""Every field that is a number must be one, used or not: rubbish is never half believed."""


class Register:
    """The orders and executions of one connection. Made before the library connects."""

    def __init__(self, line: Line, contracts: Contracts) -> None:
        self.line = line
        self.contracts = contracts
        self.orders: list[KnownOrder] = []
        self.heard: dict[str, Heard] = {}
        self.what_ifs: dict[int, Any] = {}
        self.what_if_errors: dict[int, list[str]] = {}
        self.without_adaptive: list[InstrumentId] = []
        self.remember_refusal: Callable[[InstrumentId], None] = lambda _: None
        self._commissions: dict[str, tuple[Decimal | None, str]] = {}
        self._by_perm: dict[int, KnownOrder] = {}
        self._by_id: dict[tuple[int, int], KnownOrder] = {}
        self._executions: dict[int, set[str]] = defaultdict(set)
        self._news = News()
        self.listing: list[KnownOrder] | None = None
        self.garbage = ""
        listen_in(line.ib, self)

    def begin(self) -> None:
        """Take what the connection began with as known: it is no news."""
        self._news.begin()

    @property
    def has_news(self) -> bool:
        """Return whether `events` has something to tell without any waiting."""
        return self._news.waiting

    def events(self) -> tuple[VenueEvent, ...]:
        """Return what was heard since the last call, each change once."""
        refused, self.without_adaptive = self.without_adaptive, []
        for instrument in refused:
            self.remember_refusal(instrument)
        return self._news.take()

    def unacknowledged(self) -> tuple[str, ...]:
        """Return the references of orders sent here of which nothing is known yet."""
        return tuple(
            order.reference
            for order in self.orders
            if order.sent_here and not order.acknowledged and not order.status.terminal
        )

    def known(self, venue_id: str, reference: str) -> KnownOrder | None:
        """Return an order by the id it was told with, else the newest live one of a reference."""
        if venue_id:
            return next((o for o in self.orders if o.venue_id == venue_id), None)
        found = [order for order in self.orders if order.reference == reference]
        found.sort(key=lambda order: (not order.status.terminal, order.order_id))
        return found[-1] if found else None

    def orders_executed_on(self, day: str) -> int:
        """Return how many orders have executions on a day of the venue (`2026-11-20`)."""
        days = (h for h in self.heard.values() if day_of(h.fill.at) == day)
        return len({heard.perm_id for heard in days})

    def now(self) -> datetime:
        """Return the venue's time."""
        return self.line.passage.now()

    # ------------------------------------------------------------------ what hands tell

    def sent(self, order: KnownOrder) -> WorkingOrder:
        """Take over an order that was just handed to the wire; return its state as told."""
        order.sent_here = True
        self.orders.append(order)
        if order.order_id:
            self._by_id[order.client_id, order.order_id] = order
        event = order.as_event(self.now())
        self._news.order(id(order), event, quietly=True)
        return event

    def refused_here(self, order: KnownOrder, why: str) -> None:
        """Take over an order that could not be sent at all: its refusal is news."""
        order.refused, order.message = True, why
        self.orders.append(order)
        self._tell(order)

    def told(self, order: KnownOrder) -> WorkingOrder:
        """Return an order's state; it counts as told."""
        event = order.as_event(self.now())
        self._news.order(id(order), event, quietly=True)
        return event

    # ------------------------------------------------------------------ what the wire says

    def on_status(self, fields: Sequence[str]) -> None:
        """Hear an `orderStatus`: id, word, filled, remaining, average, permanent id, ..."""
        for place in _NUMBERS_OF_A_STATUS:
            number(fields[place] or "0", f"field {place} of an order status")
        perm_id, client_id = integer(fields[6]), integer(fields[9])
        order = self._match(perm_id, client_id, integer(fields[1]), None)
        if order is not None:
            filled = number(fields[3] or "0", "filled quantity of an order status")
            self._change(order, lambda: order.hear_word(fields[2], fields[10], filled))

    def on_execution(self, fields: Sequence[str]) -> None:
        """Hear an execution, live or in a list."""
        heard, account = read_execution(fields, self.line.settings.gateway_zone, self._instrument)
        if account != self.line.account or heard.fill.exec_id in self.heard:
            return
        exec_id = heard.fill.exec_id
        if exec_id in self._commissions:
            heard = replace(heard, fill=with_commission(heard.fill, *self._commissions[exec_id]))
        self.heard[exec_id] = heard
        self._executions[heard.perm_id].add(exec_id)
        if heard.client_id == self.line.ib.client.clientId and heard.order_id > 0:
            self.line.ib.client.updateReqId(heard.order_id + 1)  # ids may have rolled back
        self._news.fill(heard.fill)
        order = self._match(heard.perm_id, heard.client_id, heard.order_id, heard.fill.reference)
        if order is not None:
            self._change(order, lambda: None)

    def on_commission(self, fields: Sequence[str]) -> None:
        """Hear a commission; one that the gateway does not know yet is not one."""
        exec_id, amount, currency = read_commission(fields)
        if amount is None:
            return
        self._commissions[exec_id] = amount, currency
        if exec_id in self.heard:
            heard = self.heard[exec_id]
            fill = with_commission(heard.fill, amount, currency)
            self.heard[exec_id] = replace(heard, fill=fill)
            self._news.fill(fill)

    def on_open_order(self, order_id: int, contract: Any, order: Any, state: Any) -> None:
        """Hear an open order: the gateway's own words on what it works."""
        if order.whatIf:
            self.what_ifs[order_id] = state
            return
        if order.account not in {"", self.line.account}:
            return
        known = self._match(order.permId, order.clientId, order_id, order.orderRef)
        found = known is None and self.listing is not None
        known = known or self._new(contract, order, order_id)
        if self.listing is not None and all(each is not known for each in self.listing):
            self.listing.append(known)
        self._change(known, lambda: self._echo(known, order, state), quietly=found)

    def on_completed_order(self, contract: Any, order: Any, state: Any) -> None:
        """Hear an order that ended; it has no order id any more."""
        if order.account not in {"", self.line.account}:
            return
        known = self._match(order.permId, 0, 0, order.orderRef)
        found = known is None
        if known is None:
            known = self._new(contract, order, 0)
            if not known.quantity:  # gateways leave the total out of what has ended
                known.quantity = _signed(order.action, _size(order.filledQuantity))
        filled = _signed(order.action, _size(order.filledQuantity))
        known.told = filled if abs(filled) > abs(known.told) else known.told
        at = _ended_at(state.completedTime, self.line.settings.gateway_zone) or self.now()
        said = state.completedStatus or ""
        self._change(known, lambda: known.hear_completed(state.status, said, at), quietly=found)

    def on_error(self, request_id: int, code: int, words: str) -> None:
        """Hear an error message: those with an order's id are about that order."""
        if request_id in self.what_if_errors:
            self.what_if_errors[request_id].append(f"{words.strip()} (IB {code})")
        order = self._by_id.get((self.line.ib.client.clientId, request_id))
        if order is None or request_id <= 0:
            return
        if order.adaptive and refuses_adaptive(code, words):
            words += "; the next run sends a plain limit order"
            self.without_adaptive.append(order.instrument)
        effect = {"refuses": is_refusal(code), "known": is_known(code)}

        def hear() -> None:
            order.hear_error(code, words, **effect)
            if any(twin.status.terminal for twin in self._twins(order)):
                order.settle()  # its status word went there

        self._change(order, hear)

    def garbled(self, what: str, error: Exception) -> None:
        """Remember that the wire said what nobody can read: from now on nothing is believed."""
        self.garbage = self.garbage or f"{what}: {error}"

    # ------------------------------------------------------------------ who is who

    def _match(
        self, perm_id: int, client_id: int, order_id: int, reference: str | None
    ) -> KnownOrder | None:
        """Return the order that a message is about, and learn its permanent id.

        An order id alone proves nothing: ids roll back, so permanent id or reference must agree.
        """
        if perm_id and perm_id in self._by_perm:
            return self._by_perm[perm_id]
        order = self._by_id.get((client_id, order_id)) if order_id > 0 else None
        if order is None and order_id <= 0 and perm_id and reference:
            order = next(
                (o for o in self.orders if o.reference == reference and not o.perm_id), None
            )
        if order is None or (reference is not None and order.reference != reference):
            return None
        if perm_id and order.perm_id not in {0, perm_id}:
            return None
        if perm_id:
            order.perm_id = perm_id
            self._by_perm[perm_id] = order
        return order

    def _twins(self, order: KnownOrder) -> tuple[KnownOrder, ...]:
        """Return what has an order's ids and another permanent id, because IB changed that."""
        name = (order.client_id, order.order_id, order.reference)
        return tuple(
            each
            for each in self.orders
            if each is not order and (each.client_id, each.order_id, each.reference) == name
        )

    def _new(self, contract: Any, order: Any, order_id: int) -> KnownOrder:
        known = KnownOrder(
            reference=order.orderRef or "",
            instrument=self.contracts.name(contract),
            quantity=_signed(order.action, _size(order.totalQuantity)),
            limit=_limit(order),
            time_in_force=order.tif,
            client_id=order.clientId,
            order_id=max(order_id, 0),
            at=self.now(),
            perm_id=order.permId,
            adaptive=_priority(order),
            order_type=order.orderType,
            good_till=order.goodTillDate or "",
        )
        self.orders.append(known)
        if known.perm_id:
            self._by_perm[known.perm_id] = known
        if known.order_id:
            self._by_id.setdefault((known.client_id, known.order_id), known)
        return known

    def _echo(self, known: KnownOrder, order: Any, state: Any) -> None:
        """Take over what the gateway says it works, and say what it changed of ours."""
        limit = _limit(order)
        if known.sent_here and (changes := _changes(known, order, limit)):
            known.message = f"the gateway changed {', '.join(changes)} (a preset of TWS?)"
        if known.moving_to is not None and limit == known.moving_to:
            known.moving_to, known.message = None, ""
        known.limit = limit
        quantity = _signed(order.action, _size(order.totalQuantity))
        known.quantity = quantity or known.quantity
        in_a_list = self.listing is not None
        known.hear_word(state.status, known.held, abs(known.told), in_a_list=in_a_list)

    def _change(
        self, order: KnownOrder, change: Callable[[], None], *, quietly: bool = False
    ) -> None:
        """Take in a change of an order; `quietly`: a list showed it first, that is no news."""
        before = order.status
        change()
        ids = self._executions.get(order.perm_id, set()) if order.perm_id else set()
        fills = latest([self.heard[each].fill for each in sorted(ids)])
        order.executed = sum((fill.quantity for fill in fills), Decimal(0))
        order.executed_at = max((fill.at for fill in fills), default=None)
        if order.status is not before and order.completed is None:
            order.at = self.now()
        if order.acknowledged or order.status.terminal:
            self._name(order)
        self._tell(order, quietly=quietly)

    def _name(self, order: KnownOrder) -> None:
        if not order.venue_id and (order.perm_id or order.order_id):
            order.venue_id = str(order.perm_id or f"{order.client_id}-{order.order_id}")

    def _tell(self, order: KnownOrder, *, quietly: bool = False) -> None:
        self._news.order(id(order), order.as_event(self.now()), quietly=quietly)

    def _instrument(self, values: dict[str, Any]) -> InstrumentId:
        typed = values | {
            "conId": integer(values["conId"]),
            "strike": float(values["strike"] or 0),
        }
        return self.contracts.name(self.line.lib.Contract(**typed))


def _limit(order: Any) -> Decimal | None:
    return _size(order.lmtPrice) if "LMT" in order.orderType else None


def _size(value: object) -> Decimal:
    return amount_or_none(value) or Decimal(0)


def _signed(action: str, size: Decimal) -> Decimal:
    return -size if action in {"SELL", "SSHORT"} else size


def _priority(order: Any) -> str:
    """Return an Adaptive order's priority, '' for an order that is none."""
    if order.algoStrategy != "Adaptive":
        return ""
    values = {each.tag: str(each.value) for each in order.algoParams or ()}
    return values.get("adaptivePriority", "Normal")


def _changes(known: KnownOrder, order: Any, limit: Decimal | None) -> list[str]:
    """Return in words what an echoed order has otherwise than we sent it."""
    pairs = [
        ("time in force", known.time_in_force, order.tif),
        ("quantity", known.quantity, _signed(order.action, _size(order.totalQuantity))),
        ("Adaptive", known.adaptive, _priority(order)),
        ("reference", known.reference, order.orderRef),
        ("outside regular hours", False, order.outsideRth),
    ]
    if known.moving_to is None:
        pairs.append(("limit", known.limit, limit))
    elif limit not in {known.limit, known.moving_to}:
        pairs.append(("limit", known.moving_to, limit))
    return [
        f"{name} from {ours or 'none'} to {its or 'none'}"
        for name, ours, its in pairs
        if ours != its
    ]


def _ended_at(text: str, zone: str) -> datetime | None:
    try:
        return execution_time(text, zone) if text else None
    except DataError:
        return None
