"""The run as a value: made from what the page knows, complete or not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from rebalancer.ledger import equity_point
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flags import LatchedFlag, Severity
from rebalancer.model.money import Money
from rebalancer.model.orders import Fill, WorkingOrder
from rebalancer.model.plan import Plan
from rebalancer.model.records import SCHEMA, EntryKind, EquityPoint, Outcome, RunRecord
from rebalancer.model.universe import Universe
from rebalancer.ports import Desk, SignalsRead
from rebalancer.working.bookkeeping import expected_now
from rebalancer.working.income import flows_between
from rebalancer.working.page import RunPage


def build_record(desk: Desk, page: RunPage, after: AccountSnapshot | None) -> RunRecord:
    """Return the run's record; `after` None when the account was not seen after it."""
    plan, read = page.last(Plan), page.last(SignalsRead)
    session = session_date(desk, page.now)
    outcome = Outcome.HALTED if page.halted else Outcome.FINISHED
    return RunRecord(
        schema=SCHEMA,
        portfolio=desk.portfolio,
        slot=page.slot,
        attempt=page.attempt,
        mode=desk.mode,
        session=session,
        outcome=Outcome.FAILED if page.failure is not None else outcome,
        exit_code=page.exit_code,
        reached=int(page.at_step),
        now=page.now,
        before=page.first_account,
        after=after,
        signals=tuple(read.signals[name] for name in sorted(read.signals)) if read else (),
        lines=tuple(plan.lines()) if plan else (),
        band_costs=plan.band_costs if plan else (),
        approved=tuple(page.approved),
        refused=tuple(page.refused),
        cancelled=_cancelled(page),
        orders=tuple(page.orders[name] for name in page.intents if name in page.orders),
        fills=_fills(desk, page),
        flags=page.flags,
        unmanaged=page.unmanaged,
        positions_expected=expected_now(desk.books),
        entries=len(desk.books.entries()),
        equity=_equity(desk, page, after, session),
        standing=page.standing,
        income=page.income,
        stops=tuple(page.stops[name] for name in sorted(page.stops)),
        command=page.command,
    )


def _cancelled(page: RunPage) -> tuple[WorkingOrder, ...]:
    """Return each order that was cancelled or looked up once, as it was told last."""
    last = {(each.reference, each.venue_id): each for each in page.cancelled.values()}
    return tuple(last.values())


def _fills(desk: Desk, page: RunPage) -> tuple[Fill, ...]:
    """Return the executions seen in this run and, of attempts that died, those of its slot."""
    booked = {
        line.fill.exec_id: line.fill
        for line in desk.books.entries()
        if line.slot == page.slot and line.kind is EntryKind.FILL
    }
    seen = (booked if page.attempt > 1 else {}) | page.fills
    return tuple(seen[name] for name in sorted(seen))


def _equity(
    desk: Desk, page: RunPage, after: AccountSnapshot | None, session: date | None
) -> EquityPoint | None:
    """Return the run's row of the equity file; None when the account was not seen."""
    if after is None or session is None:
        return None
    earlier = [point for point in desk.books.equity() if point.slot < page.slot]
    standing, before = page.standing, page.first_account
    if standing.start_net_liquidation is None and before is not None:
        # A first run that halts accepts nothing; what it traded is profit or loss all the same.
        standing = replace(standing, start_net_liquidation=before.net_liquidation)
    return equity_point(
        after,
        slot=page.slot,
        session=session,
        previous=earlier[-1] if earlier else None,
        standing=standing,
        orders=len(page.intents),
        fills=len(page.traded),
        turnover=turnover(page.traded, after, desk.universe),
        flows=sum(
            (
                after.rates.to_base(Money(flow.amount, flow.currency))
                for flow in flows_between(desk, earlier[-1].slot if earlier else None, page.slot)
                if after.rates.knows(flow.currency)
            ),
            Decimal(0),
        ),
    )


def turnover(fills: Iterable[Fill], account: AccountSnapshot | None, universe: Universe) -> Decimal:
    """Return the traded notional of executions in base currency.

    A fill in a currency without a rate counts nothing: it cannot be valued, and the flag for
    the missing rate has said so.
    """
    total = Decimal(0)
    for fill in fills:
        if account is None or not account.rates.knows(fill.currency):
            continue
        if fill.instrument not in universe:
            continue
        instrument = universe[fill.instrument]
        worth = abs(fill.quantity * fill.price) * instrument.multiplier / instrument.magnifier
        total += worth * account.rates.rate(fill.currency)
    return total


def latch(page: RunPage, code: str, subject: str, message: str, evidence: str = "") -> None:
    """Remember a HOLD across runs; the same trouble stands once, from its first time."""
    name = evidence.partition("|")[0] if code == "unresolved-order" else ""
    for old in page.standing.latched:
        same = not name or old.evidence.partition("|")[0] == name
        if (old.code, old.subject) == (code, subject) and same:
            return
    flag = LatchedFlag(code, subject, Severity.HOLD, message, page.now, evidence)
    page.standing = replace(page.standing, latched=(*page.standing.latched, flag))


def session_date(desk: Desk, at: datetime) -> date | None:
    """Return the date of the last session that opened at or before `at`."""
    try:
        return desk.sessions.latest(at).date
    except LookupError:
        return None
