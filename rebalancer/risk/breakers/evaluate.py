"""All breakers together: what is latched, what it makes of the run, what a good run remembers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.breaks import Break, CorporateAction
from rebalancer.model.conduct import Conduct
from rebalancer.model.flags import ErrorFlag, Step, halted
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.money import Money
from rebalancer.model.records import ExternalFlow, RunTally, SessionTally, Standing
from rebalancer.risk.breakers.books import BOOKS
from rebalancer.risk.breakers.conduct import CONDUCT, rejects
from rebalancer.risk.breakers.exposure import EXPOSURE
from rebalancer.risk.breakers.latches import (
    Breaker,
    Observed,
    as_run_flag,
    clock_wrong,
    judged,
    latch_key,
    merged,
    trading_state,
)
from rebalancer.risk.breakers.quality import (
    QUALITY,
    judged_plan,
    of_prices,
    with_plan,
    word_of_now,
)
from rebalancer.risk.breakers.worth import WORTH, day_reference
from rebalancer.risk.parameters import Limits

BREAKERS: tuple[Breaker, ...] = (*BOOKS, *WORTH, *CONDUCT, *EXPOSURE, *QUALITY)
"""Every breaker; their order means nothing."""

KEPT_SESSIONS = 30
"""Sessions that are remembered: as many as `limit_days` can be."""


@dataclass(frozen=True, slots=True)
class StandingVerdict:
    """What is remembered from now on, and what this run must know of it."""

    standing: Standing
    flags: tuple[ErrorFlag, ...] = ()


def evaluate_breakers(  # noqa: PLR0913 - every source of a breaker by its name
    standing: Standing,
    account: AccountSnapshot,
    breaks: Sequence[Break],
    corporate: Sequence[CorporateAction],
    limits: Limits,
    *,
    session: date | None,
    now: datetime,
    flags: Sequence[ErrorFlag] = (),
    flows: Sequence[ExternalFlow] = (),
    continuous: frozenset[InstrumentId] | None = None,
    conduct: Conduct | None = None,
    breakers: Iterable[Breaker] = BREAKERS,
) -> StandingVerdict:
    """Return what is remembered after step 4's breakers, and the flags of all that is latched.

    `flags` are this run's flags so far: with a HALT among them, or latched here, nothing is
    accepted: accepted net liquidation, high-water mark and the session's counters stay, so
    that a halted run never moves what the next one is judged by. `flows` are booked
    movements of money from and to outside since the last accepted run. `session` is the
    session date (None before the first). `continuous` are the instruments whose history
    shows no split (`ledger.continuous`); without that proof, None included, a latched
    corporate action stays until the owner lifts it, and while `corporate` has its instrument
    (`ledger.corporate_actions` is told of what is latched). `conduct` is how trading went
    lately.
    """
    seen = Observed(
        standing=standing,
        account=account,
        limits=limits,
        now=now,
        session=session,
        moved=moved_since(standing, account, flows),
        breaks=breaks,
        corporate=corporate,
        continuous=continuous or frozenset(),
        flags=flags,
        conduct=conduct or Conduct(),
    )
    latched = judged(seen, breakers)
    # What prices latched waits for the prices of this run: `evaluate_plan` ends or raises it.
    now_known = tuple(flag for flag in latched if not of_prices(flag))
    told = tuple(as_run_flag(flag) for flag in now_known)
    found = replace(
        standing,
        latched=latched,
        next_session_reference=_next_reference(seen, told),
        marks=_agreed_marks(standing, seen),
    )
    if not halted((*flags, *told)) and seen.worth is not None:
        found = _accept(found, seen)
    state, reason = trading_state(now_known, flags)
    return StandingVerdict(replace(found, state=state, state_reason=reason), told)


def evaluate_plan(
    standing: Standing,
    account: AccountSnapshot,
    limits: Limits,
    wanted: Decimal,
    conduct: Conduct,
    *,
    now: datetime,
    flags: Sequence[ErrorFlag],
    session: date | None,
) -> StandingVerdict:
    """Return what is remembered once prices are read and the plan is made, before the gates.

    `wanted` is the notional of all wanted orders (base currency), whatever the gates will say;
    `session` the date of the session that is open, None when none is. A plan that is too large
    for its history halts this very run. The owner's word on such plans counts in the session
    of the first plan after it, whether that plan needs it or not, and ends with that session.
    By a wrong clock no session is known.
    """
    session = None if clock_wrong(flags) else session
    standing = word_of_now(standing, session)
    seen = Observed(standing, account, limits, now, flags=flags, conduct=conduct)
    share = Decimal(0) if seen.worth is None else wanted / seen.worth
    found, ended = judged_plan(seen, share, open_now=session is not None)
    gone = {latch_key(flag) for flag in ended}
    kept = tuple(flag for flag in standing.latched if latch_key(flag) not in gone)
    latched = merged(kept, found)
    new = {latch_key(flag) for flag in found}
    told = tuple(as_run_flag(flag, Step.ORDER_FILE) for flag in latched if latch_key(flag) in new)
    state, reason = trading_state(latched, flags)
    result = replace(standing, latched=latched, state=state, state_reason=reason)
    return StandingVerdict(result, told)


def evaluate_refusals(
    standing: Standing, account: AccountSnapshot, limits: Limits, sent: RunTally, *, now: datetime
) -> StandingVerdict:
    """Return what is remembered while orders go out: `reject-rate` asked of this run's alone."""
    only = replace(standing, recent_orders=(sent,))
    found = tuple(rejects(Observed(only, account, limits, now)))
    if not found:
        return StandingVerdict(standing)
    latched = merged(standing.latched, found)
    told = tuple(as_run_flag(flag, Step.SUBMIT) for flag in found)
    state, reason = trading_state(latched, ())
    return StandingVerdict(
        replace(standing, latched=latched, state=state, state_reason=reason), told
    )


def remember_plan(
    standing: Standing, account: AccountSnapshot, slot: datetime, sent: Decimal
) -> Standing:
    """Return what is remembered after a plan was worked: one of the usual plans, or not.

    `sent` is the notional of those of its orders that the venue took (base currency). What was
    refused here or there says nothing about what is usual: a strategy out of its mind could
    else make its plans the usual ones by wanting them often enough.
    """
    value = account.net_liquidation
    share = sent / value if value.is_finite() and value > 0 else Decimal(0)
    return replace(standing, wanted_turnover=with_plan(standing, slot, share))


def _next_reference(seen: Observed, told: Sequence[ErrorFlag]) -> Decimal | None:
    """Return what the next session's loss counts from: the value that passed this one's limit."""
    before, value = seen.standing.next_session_reference, seen.worth
    codes = {each.code for each in told}
    if value is None or seen.session is None or "daily-loss" not in codes:
        return before
    if "net-liquidation-jump" in codes or halted(seen.flags):
        return before  # a value that nobody believes is no reference
    stood = [flag for flag in seen.standing.latched if flag.code == "daily-loss"]
    if any(flag.evidence.startswith(seen.session.isoformat()) for flag in stood):
        return before  # of this session already: only its first moment counts
    return value - seen.moved


def _accept(standing: Standing, seen: Observed) -> Standing:
    """Return what a run remembers that nothing stops."""
    value, moved, session = seen.account.net_liquidation, seen.moved, seen.session
    mark, begin = standing.high_water_mark, standing.start_net_liquidation
    reference = day_reference(standing, session or standing.session, moved)
    found = replace(
        standing,
        accepted_net_liquidation=value,
        accepted_at=_accepted_at(standing, seen),
        start_net_liquidation=value if begin is None else begin + moved,
        high_water_mark=value if mark is None else max(mark + moved, value),
        session_start_net_liquidation=value if reference is None else reference,
        next_session_reference=None,
        contracts=_contracts(standing, seen.account, seen.corporate),
        marks=_marks(standing, seen),
        values=_values(standing, seen),
        losses_since=_recent(standing, seen),
    )
    if session is not None and session != standing.session:
        return replace(
            found,
            session=session,
            sessions=_sessions(standing),
            orders_in_session=0,
            turnover_in_session=Decimal(0),
        )
    return found


def _accepted_at(standing: Standing, seen: Observed) -> datetime:
    """Return up to when flows are in the accepted value; never an earlier time than before.

    The account's own time, not the run's: it is looked at later, and what came in between is in
    it. Flows up to then were counted; with an earlier time they would count once more.
    """
    before, at = standing.accepted_at, seen.account.at
    return at if before is None else max(before, at)


def _sessions(standing: Standing) -> tuple[SessionTally, ...]:
    if standing.session is None:
        return standing.sessions
    ended = SessionTally(standing.session, standing.orders_in_session, standing.turnover_in_session)
    return (*standing.sessions, ended)[-KEPT_SESSIONS:]


def _values(standing: Standing, seen: Observed) -> dict[str, Decimal]:
    """Return the accepted values of the window with today's, all net of flows until now."""
    since = seen.now - timedelta(hours=seen.limits.book_loss_hours)
    kept = {
        at: value + seen.moved
        for at, value in standing.values.items()
        if datetime.fromisoformat(at) >= since
    }
    kept[seen.now.isoformat()] = seen.account.net_liquidation
    return {at: kept[at] for at in sorted(kept)}


def _recent(standing: Standing, seen: Observed) -> dict[InstrumentId, datetime]:
    hours = max(seen.limits.symbol_loss_short_hours, seen.limits.symbol_loss_long_hours)
    since = seen.now - timedelta(hours=hours)
    known = standing.losses_since
    return {name: known[name] for name in sorted(known) if known[name] >= since}


def _contracts(
    standing: Standing, account: AccountSnapshot, corporate: Sequence[CorporateAction]
) -> dict[InstrumentId, str]:
    doubtful = {each.instrument for each in corporate}
    known = dict(standing.contracts)
    for position in account.positions:
        if position.contract and position.instrument not in doubtful:
            known[position.instrument] = position.contract
    return {name: known[name] for name in sorted(known)}


def _agreed_marks(standing: Standing, seen: Observed) -> dict[InstrumentId, Decimal]:
    """Return the accepted prices of the positions that did not change behind our back.

    A price that a doubt stands on is settled only by a position that has followed it.
    """
    followed = {act.instrument for act in seen.corporate if act.followed}
    changed = {each.instrument for each in seen.breaks} - (_doubtful(seen.standing) - followed)
    return {name: mark for name, mark in standing.marks.items() if name not in changed}


def _doubtful(standing: Standing) -> set[InstrumentId]:
    """Return the instruments of which a corporate action is latched."""
    latched = (flag for flag in standing.latched if flag.code == "corporate-action")
    return {InstrumentId(flag.subject) for flag in latched}


def _marks(standing: Standing, seen: Observed) -> dict[InstrumentId, Decimal]:
    """Return the prices of what is held; in doubt the one before, so that the doubt stays.

    `standing` has what is latched now, and the marks that are agreed on.
    """
    before, broken = standing.marks, {each.instrument for each in seen.breaks}
    doubtful = broken | _doubtful(standing)
    found = {name: mark for name, mark in before.items() if name in broken}
    for position in seen.account.positions:
        name, price = position.instrument, position.price
        mark = before.get(name) if price is None or name in doubtful else price
        if position.quantity and mark is not None:
            found[name] = mark
    return {name: found[name] for name in sorted(found)}


def moved_since(
    standing: Standing, account: AccountSnapshot, flows: Sequence[ExternalFlow]
) -> Decimal:
    """Return what came in since the last accepted run, in base currency; raises `UnknownRate`."""
    since = standing.accepted_at
    return sum(
        (
            account.rates.to_base(Money(flow.amount, flow.currency))
            for flow in flows
            if since is None or flow.at > since
        ),
        Decimal(0),
    )
