"""What the owner does by hand while runs stand still: `rebalancer cancel` and `flatten`.

Both are straight lines of the hour's own steps and leave what a run leaves: a journal, a
record, booked executions. So a kill in the middle is finished by whatever runs next.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.errors import OutcomeUnknown, RunHalted
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flags import Step
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus, Purpose, WorkingOrder
from rebalancer.model.records import RunRecord
from rebalancer.model.stops import StopOrder
from rebalancer.ports import Desk, Hands, Venue
from rebalancer.working.books import check_books
from rebalancer.working.cancel import cancel_own_orders, is_own
from rebalancer.working.closing import log_trades, send_alert, snapshot
from rebalancer.working.flatten import sell_off, taking
from rebalancer.working.healing import explain
from rebalancer.working.opening import connect, learn_rules, open_page
from rebalancer.working.page import HaltSeen, RunPage
from rebalancer.working.protect import is_protective, protect
from rebalancer.working.recover import recover

CANCEL, FLATTEN = "cancel", "flatten"


@dataclass
class Left:
    """What a command left: own orders and stops at the venue, holdings; None is unknown."""

    orders: tuple[WorkingOrder, ...] | None = None
    stops: tuple[StopOrder, ...] | None = None
    holdings: tuple[tuple[InstrumentId, Decimal], ...] | None = None


def cancel_by_hand(
    desk: Desk, slot: datetime, *, stops: bool = False, seen: HaltSeen | None = None
) -> tuple[RunRecord, Left]:
    """Cancel this portfolio's rebalance orders, with `stops` its protective ones too.

    What they traded is booked. Exit code 3 while one of them still works. A HALT file that
    came after `seen` keeps the protective ones.
    """
    left = Left()
    with open_page(desk, slot, CANCEL, seen) as page, connect(desk, page) as venue:
        hands, desk = desk.hands(venue), learn_rules(desk, venue, page)
        others = _cancel_and_prove(desk, venue, hands, page)
        page.step(Step.SUBMIT)
        _cancel_stops(desk, venue, hands, others, page, wanted=stops)
        _look(desk, venue, page, left)
        if left.orders or (stops and left.stops):
            page.worsen(RunHalted.exit_code)
        _log(desk, venue, page)
        _close(desk, venue, page)
    return page.record, left


def flatten_by_hand(
    desk: Desk,
    slot: datetime,
    only: Collection[InstrumentId] = (),
    seen: HaltSeen | None = None,
) -> tuple[RunRecord, Left]:
    """Sell what is held of `only` (empty: of the universe) through the gates of a run.

    Own rebalance orders are cancelled first; stops of what is flat then are taken down. Exit
    code 3 while something of it is still held. A HALT file that came after `seen` stops it.
    """
    left, desk = Left(), taking(desk)
    with open_page(desk, slot, FLATTEN, seen) as page, connect(desk, page) as venue:
        hands, desk = desk.hands(venue), learn_rules(desk, venue, page)
        others = _cancel_and_prove(desk, venue, hands, page)
        page.step(Step.SUBMIT)
        left.holdings = sell_off(desk, venue, hands, page, only, others)
        protect(desk, venue, hands, others, page)
        _look(desk, venue, page, left)
        _log(desk, venue, page)
        left.holdings = _still_held(venue.account(), desk, only)
        if left.holdings and hands.sends:
            page.worsen(RunHalted.exit_code)
        _close(desk, venue, page)
    return page.record, left


def _cancel_and_prove(
    desk: Desk, venue: Venue, hands: Hands, page: RunPage
) -> tuple[WorkingOrder, ...]:
    """Do steps 1, 2 and 4 of the hour; return the orders that are left working."""
    recover(desk, venue, page)
    page.step(Step.CANCEL)
    others = page.keep(cancel_own_orders(desk, venue, hands, page))
    page.step(Step.NET_LIQUIDATION)
    account = page.keep(venue.account())
    explain(desk, venue, account, page)
    page.keep(check_books(desk, account, page))
    return others


def _cancel_stops(
    desk: Desk,
    venue: Venue,
    hands: Hands,
    others: Sequence[WorkingOrder],
    page: RunPage,
    *,
    wanted: bool,
) -> None:
    """Cancel our protective orders if they are `wanted` gone; keep on the page which are left."""
    if wanted and hands.sends and not page.halt_file():
        for order in others:
            if is_own(order, desk.portfolio, Purpose.PROTECT):
                page.cancelled[order.venue_id] = order
                for event in hands.cancel(order):
                    page.saw(event)
        for stop in _own_stops(desk, venue):
            if page.halt_file():
                break
            try:
                page.saw_stop(hands.cancel_stop(stop))
            except OutcomeUnknown as error:
                words = f"a stop of {stop.instrument} may still wait: {error}"
                page.flag("protection-failed", words, stop.instrument)
    page.stops = {stop.reference: stop for stop in _own_stops(desk, venue)}


def _own_stops(desk: Desk, venue: Venue) -> tuple[StopOrder, ...]:
    if not venue.keeps_stops:
        return ()
    return tuple(
        stop
        for stop in venue.stops()
        if is_protective(stop.reference, desk.portfolio) and not stop.status.terminal
    )


def _look(desk: Desk, venue: Venue, page: RunPage, left: Left) -> None:
    """Find out which of our orders and stops are still at the venue; say when it is closed."""
    orders = tuple(
        order
        for order in venue.open_orders()
        if is_own(order, desk.portfolio, Purpose.REBALANCE)
        and order.status is not OrderStatus.NOT_SENT
    )
    left.stops = _own_stops(desk, venue)
    if orders and desk.sessions.current(venue.now()) is None:
        page.flag("session-closed", "the market is closed: nothing is cancelled until it opens")
    left.orders = orders


def _still_held(
    account: AccountSnapshot, desk: Desk, only: Collection[InstrumentId]
) -> tuple[tuple[InstrumentId, Decimal], ...]:
    """Return what is left of what was to be sold: what the sale looked at may have been old."""
    return tuple(
        (each.instrument, each.quantity)
        for each in sorted(account.positions, key=lambda each: each.instrument)
        if each.quantity
        and each.instrument in desk.universe
        and (not only or each.instrument in only)
    )


def _log(desk: Desk, venue: Venue, page: RunPage) -> None:
    """Do step 8 of the hour."""
    page.step(Step.LOG_TRADES)
    log_trades(desk, venue, page)


def _close(desk: Desk, venue: Venue, page: RunPage) -> None:
    """Do steps 9 and 10 of the hour; mails and commits that are owed are left to the next run."""
    page.step(Step.SNAPSHOT)
    snapshot(desk, venue, page)
    page.step(Step.ALERT)
    send_alert(desk, page)
    page.step(Step.DISCONNECT)
