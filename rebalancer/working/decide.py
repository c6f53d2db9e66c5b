"""Steps 6 and 7, first half: the page's facts handed to planning and to the gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial

from rebalancer.execution.parameters import WorkParameters
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.codec import from_plain
from rebalancer.model.flags import Severity
from rebalancer.model.market import MarketSnapshot
from rebalancer.model.orders import ApprovedOrder, Fill, OrderStatus, RefusedOrder, WorkingOrder
from rebalancer.model.plan import Plan
from rebalancer.model.records import EntryKind, Standing
from rebalancer.planning import plan_rebalance, scaled_signals
from rebalancer.planning.parameters import Funding
from rebalancer.ports import Desk, Hands, SignalsRead, Venue
from rebalancer.risk import GateInput, Restraining, Verdicts, apply_gates, critical
from rebalancer.risk import check_margin as judge_margin
from rebalancer.working.bookkeeping import intents_in, slot_of
from rebalancer.working.conduct import judge_plan
from rebalancer.working.counters import sessions_before
from rebalancer.working.page import RunPage

APPROVAL_MARGIN_SECONDS = 60.0
"""How much longer than its window an approval lasts: a wave may begin late."""


def make_plan(
    desk: Desk,
    page: RunPage,
    targets: SignalsRead,
    account: AccountSnapshot,
    market: MarketSnapshot,
    standing: Standing,
) -> Plan:
    """Return what is wanted for every instrument.

    A sleeve whose generator failed in this run is held even if its old file is still valid.
    Rates older than the last session do not pay for buys. It is made again until it keeps to
    what its own orders add: each time one instrument more at least, mostly none.
    """
    failed = {
        flag.subject.removeprefix("sleeve:")
        for flag in page.flags
        if flag.severity is Severity.HOLD and flag.subject.startswith("sleeve:")
    }
    signals = {name: signal for name, signal in targets.signals.items() if name not in failed}
    closed = desk.sessions.last_closed(market.at)
    planned = partial(
        plan_rebalance,
        desk.universe,
        desk.sleeves,
        scaled_signals(signals, {name: each.scale for name, each in desk.overrides.items()}),
        standing.sleeve_lots,
        account,
        market,
        desk.planning,
        desk.fees,
        now=market.at,
        turnover_used=standing.turnover_in_session,
        rates_since=None if closed is None else closed.open,
        allow_delayed=desk.limits.allow_delayed_quotes,
    )
    restraining = Restraining(
        desk.universe, desk.sleeves, desk.overrides, desk.limits, account, market
    )
    restraints = restraining.first()
    plan = planned(restraints=restraints)
    while (further := restraining.further(restraints, plan.orders)) != restraints:
        restraints = further
        plan = planned(restraints=restraints)
    return plan


def gate(
    desk: Desk,
    page: RunPage,
    plan: Plan,
    account: AccountSnapshot,
    market: MarketSnapshot,
    others: Sequence[WorkingOrder],
) -> Verdicts:
    """Return which of the plan's orders may go out, and why the others may not."""
    page.stop()
    judge_plan(desk, page, plan, account)
    given = gate_input(desk, page, plan, account, market, others)
    page.gate_input = given
    verdicts = apply_gates(given)
    page.decided(verdicts)
    return verdicts


def gate_input(
    desk: Desk,
    page: RunPage,
    plan: Plan,
    account: AccountSnapshot,
    market: MarketSnapshot,
    others: Sequence[WorkingOrder],
) -> GateInput:
    """Return what the gates decide a plan from, as the page knows it now."""
    standing = page.standing
    traded = _traded_in_session(desk, page)
    earlier = sessions_before(standing, desk.limits.limit_days)
    borrows = desk.planning.funding is Funding.BORROW
    return GateInput(
        portfolio=desk.portfolio,
        slot=page.slot,
        attempt=page.attempt,
        intents=plan.orders,
        flags=page.flags,
        account=account,
        market=market,
        universe=desk.universe,
        limits=desk.limits,
        fees=desk.fees,
        session=desk.sessions.current(market.at),
        venue_now=market.at,
        approval_seconds=desk.working.window_seconds + APPROVAL_MARGIN_SECONDS,
        state=standing.state,
        sleeves=desk.sleeves,
        others=(*others, *unresolved_orders(desk, page)),
        orders_in_session=standing.orders_in_session,
        turnover_in_session=standing.turnover_in_session,
        worst_price_bps=Decimal(str(desk.working.worst_price_bps)),
        reprices=_moves_its_price(desk.working),
        reserve=desk.planning.cash_reserve * plan.capital,
        borrow_limit=desk.planning.borrow_limit if borrows else None,
        bought=frozenset(fill.instrument for fill in traded if fill.quantity > 0),
        sold=frozenset(fill.instrument for fill in traded if fill.quantity < 0),
        orders_before=sum(each.orders for each in earlier),
        turnover_before=sum((each.turnover for each in earlier), Decimal(0)),
        overrides=desk.overrides,
    )


def _moves_its_price(working: WorkParameters) -> bool:
    """Return whether an order may come to trade at its worst approved price."""
    times = (working.reprice_after_seconds, working.repeg_seconds, working.taker_after_seconds)
    return any(seconds > 0 for seconds in times)


def check_margin(
    desk: Desk, venue: Venue, hands: Hands, gated: Verdicts, account: AccountSnapshot, page: RunPage
) -> Verdicts:
    """Return what is left after the venue was asked what the orders would do to the margin.

    Asked about are the largest orders that open something; the others are bounded by them.
    """
    now, known = venue.now(), page.flags
    previews = {}
    for order in critical(gated.approved, desk.limits):
        if page.stop() is not None:  # a question is a message to the venue too
            return _nothing_more(gated, page)
        # An approval that has ended meanwhile is asked about all the same: nothing is sent by that.
        previews[order.reference] = hands.preview(order.place(min(now, order.deadline)))
    if page.flags != known:
        gated = _gated_again(gated, page)
    verdicts = judge_margin(gated.approved, previews, account, desk.limits, desk.sleeves)
    page.decided(replace(verdicts, refused=(*gated.refused, *verdicts.refused)))
    return verdicts


def _nothing_more(gated: Verdicts, page: RunPage) -> Verdicts:
    """Return a no to every order: a HALT file, or the deadline, came between gates and answers."""
    stopped = page.stop()
    reason = "the run may send nothing more" if stopped is None else stopped.message
    late = tuple(RefusedOrder(order.intent, "halt", reason) for order in gated.approved)
    verdicts = Verdicts((), (*gated.refused, *late))
    page.decided(verdicts)
    return verdicts


def _gated_again(gated: Verdicts, page: RunPage) -> Verdicts:
    """Return what of it passes the gates with the flags that the answers raised."""
    if page.gate_input is None:
        return gated
    again = apply_gates(replace(page.gate_input, flags=page.flags))
    passed = {order.reference for order in again.approved}
    why = {(no.intent.instrument, no.intent.part): no for no in again.refused}
    dropped = [order for order in gated.approved if order.reference not in passed]
    late = (
        why.get((o.instrument, o.intent.part), RefusedOrder(o.intent, "hold", "it was flagged"))
        for o in dropped
    )
    kept = tuple(order for order in gated.approved if order.reference in passed)
    return replace(gated, approved=kept, refused=(*gated.refused, *late))


def unresolved_orders(desk: Desk, page: RunPage) -> tuple[WorkingOrder, ...]:
    """Return the orders that may or may not be at the venue: they count at their worst."""
    found = []
    for flag in page.standing.latched:
        reference = flag.evidence.partition("|")[0]
        slot = slot_of(reference, desk.portfolio)
        if flag.code != "unresolved-order" or slot is None:
            continue
        told = intents_in(desk.books.journal(slot)).get(reference)
        if told is not None:
            order = from_plain(ApprovedOrder, told, "journal")
            found.append(
                WorkingOrder(
                    reference=reference,
                    venue_id="",
                    instrument=order.instrument,
                    quantity=order.quantity,
                    filled=Decimal(0),
                    limit=order.worst_price,
                    status=OrderStatus.UNKNOWN,
                    at=flag.since,
                )
            )
    return tuple(found)


def _traded_in_session(desk: Desk, page: RunPage) -> list[Fill]:
    """Return the executions since the session opened."""
    session = desk.sessions.current(page.now)
    since = session.open if session is not None else page.now - timedelta(days=1)
    last = desk.books.last_record()
    recent = desk.books.entries(max(0, (last.entries if last else 0) - 2000))
    return [e.fill for e in recent if e.kind is EntryKind.FILL and e.fill.at >= since]
