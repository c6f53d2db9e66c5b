"""What breakers are told: of the past in step 4, of the plan, and of refusals as orders go out."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.ledger import results, shortfalls
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.conduct import Conduct
from rebalancer.model.orders import OrderStatus
from rebalancer.model.plan import Plan
from rebalancer.model.records import Mode, RunTally, Standing
from rebalancer.ports import Desk
from rebalancer.risk import (
    evaluate_plan,
    evaluate_refusals,
    parse_restart_window,
    remember_plan,
)
from rebalancer.working.counters import mark
from rebalancer.working.page import RunPage


def conduct_of(desk: Desk, page: RunPage, account: AccountSnapshot) -> Conduct:
    """Return how trading went lately, from our own books.

    Runs that were killed since the last one count as failed, like those that saw themselves
    fail.
    """
    entries, limits = desk.books.entries(), desk.limits
    hours = max(limits.symbol_loss_short_hours, limits.symbol_loss_long_hours)
    lately = page.now - timedelta(hours=hours)
    before = page.now - timedelta(hours=limits.slippage_hours)
    return Conduct(
        results=results(entries, desk.universe, account.rates, lately),
        shortfalls=shortfalls(entries, desk.universe, account.rates, before),
        failed_runs=page.standing.failed_runs,
        universe=desk.universe.ids,
    )


def judge_plan(desk: Desk, page: RunPage, plan: Plan, account: AccountSnapshot) -> None:
    """Latch what a plan shows: prices that are missing, a turnover far from its history.

    Before the gates, so that a HALT of it stops this very run.
    """
    wanted = sum((Decimal(str(order.notional)) for order in plan.orders), Decimal(0))
    session = desk.sessions.current(plan.at)
    verdict = evaluate_plan(
        page.standing,
        account,
        desk.limits,
        wanted,
        Conduct(universe=desk.universe.ids),
        now=page.now,
        flags=page.flags,
        session=None if session is None else session.date,
    )
    for flag in verdict.flags:
        page.raised(flag)
    if verdict.standing != page.standing:
        page.standing = verdict.standing
        page.remember()


def refused_too_often(desk: Desk, page: RunPage, now: datetime) -> bool:
    """Return whether the venue refuses too many of this run's orders; latch it.

    A command of the owner's works despite breakers.
    """
    told = [page.orders[name].status for name in page.intents if name in page.orders]
    refused = told.count(OrderStatus.REJECTED)
    if not refused or page.command or page.first_account is None:
        return False
    left = len(told) - told.count(OrderStatus.NOT_SENT)
    sent = RunTally(mark(page.slot, page.attempt), left, refused)
    verdict = evaluate_refusals(page.standing, page.first_account, desk.limits, sent, now=now)
    for flag in verdict.flags:
        page.raised(flag)
    if verdict.standing != page.standing:
        page.standing = verdict.standing
        page.remember()
    return bool(verdict.flags)


def restarts(desk: Desk, page: RunPage, now: datetime) -> bool:
    """Return whether the gateway's restart is due: what is sent then vanishes."""
    window = parse_restart_window(desk.limits.restart_window)
    if window is None or not window.contains(now):
        return False
    page.flag("restart-window", f"the gateway restarts in {window}: nothing more is sent")
    return True


def plan_remembered(desk: Desk, page: RunPage) -> Standing:
    """Return what is remembered, with what the venue took of this run's plan.

    What was not sent, or refused there, makes no plan a usual one. What follows an order is the
    rest of it and counts with it. A dry run sends nothing: there what passed the gates counts. A
    command is no plan of the signals.
    """
    if page.command or page.first_account is None:
        return page.standing
    dry = desk.mode is Mode.DRY_RUN
    first = {(order.instrument, order.intent.part): order for order in reversed(page.approved)}
    taken = [order for order in first.values() if dry or _taken(page, order.reference)]
    sent = sum((Decimal(str(order.intent.notional)) for order in taken), Decimal(0))
    return remember_plan(page.standing, page.first_account, page.slot, sent)


def _taken(page: RunPage, reference: str) -> bool:
    """Return whether the venue has, had or may have an order of this run."""
    refused = {OrderStatus.NOT_SENT, OrderStatus.REJECTED}
    told = page.orders.get(reference)
    return reference in page.intents and (told is None or told.status not in refused)
