"""What to do next with one order; a table from its state, the rules and the time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.execution.chase import Then, peg_at, taker_at
from rebalancer.execution.parameters import Leftover, WorkParameters
from rebalancer.execution.state import OrderState
from rebalancer.model.orders import (
    ApprovedOrder,
    OrderStatus,
    OrderType,
    Place,
    Replace,
    TimeInForce,
)

_DIES_BY_ITSELF = frozenset({TimeInForce.DAY, TimeInForce.IOC, TimeInForce.GTD})


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`, unless something happens."""

    until: datetime


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Ask the venue to cancel the order, and why; `then` is what follows its end."""

    reference: str
    reason: str
    then: Then | None = None


@dataclass(frozen=True, slots=True)
class Peg:
    """Look at the market and move the order to the best price of its own side."""

    reference: str


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more is to be done for the order in this run, and why."""

    reason: str


Move = Wait | Place | Replace | CancelRequest | Peg | Done


def next_move(state: OrderState, parameters: WorkParameters, now: datetime) -> Move:
    """Return what to do with an order at `now` (venue time).

    Whoever carries out a `Replace` or a `CancelRequest` tells the state so with `asked`, so
    that each happens once. An order that the venue has not acknowledged is left alone: its
    fate is looked up, it is never sent, moved or cancelled blindly.
    """
    if state.sent_at is None:
        return _before_sending(state, now)
    if state.done:
        return Done(_how_it_ended(state))
    ends = window_end(state, parameters)
    if state.status in {OrderStatus.SENT, OrderStatus.UNKNOWN}:
        return _while_silent(state, parameters, now, ends)
    if state.status.terminal:  # an execution that the venue told of has not been seen yet
        return Wait(ends) if now < ends else Done(_how_it_ended(state))
    if now >= ends:
        return _at_the_end(state, parameters, now)
    takes = taker_at(state, parameters)
    if takes is not None and now >= takes:
        return CancelRequest(state.reference, "it rested long enough", Then.TAKER)
    pegs = peg_at(state, parameters)
    if pegs is not None and now >= pegs:
        return Peg(state.reference)
    again = _reprice_at(state, parameters)
    if again is not None and now >= again:
        return state.approved.replace(state.approved.worst_price, now)
    return Wait(min([ends, *(at for at in (takes, pegs, again) if at is not None)]))


def asked(state: OrderState, move: Move, at: datetime) -> OrderState:
    """Return the state after a `Replace`, `CancelRequest` or `Peg` was carried out at `at`."""
    if isinstance(move, Replace):
        return replace(state, asked_price=at, limit=move.limit)
    if isinstance(move, CancelRequest):
        return replace(state, asked_cancel=at, then=move.then or "")
    if isinstance(move, Peg):
        return replace(state, asked_peg=at)
    return state


def window_end(state: OrderState, parameters: WorkParameters) -> datetime:
    """Return when a sent order is not worked any more: its window's end or its deadline."""
    begin = state.begun or state.sent_at or state.approved.deadline
    return min(begin + timedelta(seconds=parameters.window_seconds), state.approved.deadline)


def may_be_left(order: ApprovedOrder, parameters: WorkParameters) -> bool:
    """Return whether an order may work on when its window is over: it ends by itself."""
    # A post-only order has no time in force of its own at the venue: nothing ends it.
    rests = order.intent.order_type is OrderType.POST_ONLY
    dies = order.intent.time_in_force in _DIES_BY_ITSELF and not rests
    return parameters.leftover is Leftover.LEAVE and dies


def _before_sending(state: OrderState, now: datetime) -> Move:
    if now > state.approved.deadline:
        return Done("not sent: its approval ended")
    return state.approved.place(now)


def _while_silent(
    state: OrderState, parameters: WorkParameters, now: datetime, ends: datetime
) -> Move:
    begin = state.sent_at or now
    patience = begin + timedelta(seconds=parameters.acknowledge_seconds)
    latest = max(patience, ends)  # a late answer is still an answer while others are worked
    if now < latest:
        return Wait(patience if now < patience else latest)
    return Done(
        f"unresolved: the venue has not acknowledged it for {(now - begin).total_seconds():g} s"
    )


def _at_the_end(state: OrderState, parameters: WorkParameters, now: datetime) -> Move:
    if may_be_left(state.approved, parameters):
        force = state.approved.intent.time_in_force
        return Done(f"left working with {_shown(_open(state))} open; {force} ends it")
    if state.asked_cancel is None and state.status is not OrderStatus.PENDING_CANCEL:
        return CancelRequest(
            state.reference, f"its window is over with {_shown(_open(state))} open"
        )
    since = state.asked_cancel or state.status_at or now
    until = since + timedelta(seconds=parameters.cancel_seconds)
    if now < until:
        return Wait(until)
    return Done("its cancel was not confirmed in time; the next run cancels again")


def _reprice_at(state: OrderState, parameters: WorkParameters) -> datetime | None:
    """Return when the order moves to its worst approved price, None when it does not."""
    order, limit = state.approved, state.limit
    if parameters.reprice_after_seconds <= 0 or limit is None:
        return None
    if state.asked_price is not None or state.asked_cancel is not None:
        return None
    if order.intent.order_type is not OrderType.LIMIT or state.sent_at is None:
        return None
    if state.status is not OrderStatus.WORKING:
        return None
    willing = order.worst_price - limit if order.quantity > 0 else limit - order.worst_price
    if willing <= 0:
        return None
    return state.sent_at + timedelta(seconds=parameters.reprice_after_seconds)


def _open(state: OrderState) -> Decimal:
    return state.approved.quantity - state.filled


def _shown(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"


def _how_it_ended(state: OrderState) -> str:
    words = state.status.value
    if state.status is not OrderStatus.FILLED and state.filled:
        words += f" after {_shown(state.filled)} of {_shown(state.approved.quantity)}"
    elif state.status is OrderStatus.FILLED and abs(state.filled) < abs(state.told):
        words += "; some of its executions have not been seen yet"
    return f"{words}: {state.message}" if state.message else words
