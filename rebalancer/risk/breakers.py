"""Step 4: what stops trading across runs, latched here and lifted here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.breaks import Break, CorporateAction
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import (
    RUN,
    ErrorFlag,
    LatchedFlag,
    Severity,
    Step,
    TradingState,
    halted,
)
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.money import Money
from rebalancer.model.records import ExternalFlow, Standing
from rebalancer.risk.parameters import Limits
from rebalancer.risk.words import money, percent


@dataclass(frozen=True, slots=True)
class StandingVerdict:
    """What is remembered from now on, and what this run must know of it."""

    standing: Standing
    flags: tuple[ErrorFlag, ...] = ()


@dataclass
class _Latches:
    """The latched flags while they are judged, in their order."""

    now: datetime
    flags: dict[tuple[str, str, str], LatchedFlag] = field(default_factory=dict)

    def latch(self, code: str, subject: str, message: str, evidence: str) -> None:
        """Latch, or keep latched since its first time with the news of today."""
        severity = FLAG_TABLE[code].severity
        self.keep(LatchedFlag(code, subject, severity, message, self.now, evidence))

    def keep(self, flag: LatchedFlag) -> None:
        """Take a flag in; with the same trouble there, since the earlier time."""
        key = latch_key(flag)
        old = self.flags.get(key)
        self.flags[key] = flag if old is None else replace(flag, since=min(old.since, flag.since))

    def lift(self, code: str, subject: str) -> None:
        self.flags.pop((code, subject, ""), None)


def latch_key(flag: LatchedFlag) -> tuple[str, str, str]:
    """Return what makes a latched flag the same trouble as another: it stands only once.

    Code and subject; two orders of one instrument can be unresolved: there the order's
    reference too (the evidence up to its first bar).
    """
    orders = flag.code == "unresolved-order"
    return flag.code, flag.subject, flag.evidence.partition("|")[0] if orders else ""


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
) -> StandingVerdict:
    """Return what is remembered after step 4's breakers, and the flags of all that is latched.

    `flags` are this run's flags so far: with a HALT among them, or latched here, nothing is
    accepted: accepted net liquidation, high-water mark and the session's counters stay, so
    that a halted run never moves what the next one is judged by. `flows` are booked
    movements of money from and to outside since the last accepted run. `session` is the
    session date (None before the first). `continuous` are the instruments whose history
    shows no split (`ledger.continuous`); without that proof, None included, a latched
    corporate action stays until the owner lifts it.
    """
    latches = _Latches(now)
    for flag in standing.latched:
        latches.keep(flag)
    _judge_books(latches, breaks, corporate, limits, continuous or frozenset())
    moved = _flows_in_base(standing, account, flows)
    value = account.net_liquidation
    if value.is_finite() and value > 0:
        _judge_jump(latches, standing, value, moved, limits, account.rates.base)
        _judge_day(latches, standing, value, moved, limits, session, account.rates.base)
        _judge_drawdown(latches, standing, value, moved, limits, account.rates.base)
    _end_of_day(latches, session)
    latched = tuple(latches.flags.values())
    told = tuple(as_run_flag(flag) for flag in latched)
    found = replace(standing, latched=latched)
    if not halted((*flags, *told)) and value.is_finite() and value > 0:
        found = _accept(found, account, corporate, moved, session, now)
    state, reason = trading_state(latched, flags)
    return StandingVerdict(replace(found, state=state, state_reason=reason), told)


def trading_state(
    latched: Sequence[LatchedFlag], flags: Sequence[ErrorFlag]
) -> tuple[TradingState, str]:
    """Return the trading state and why: HALTED by a latched HALT, REDUCING by a HOLD on the run."""
    for stopped in latched:
        if stopped.severity is Severity.HALT:
            return TradingState.HALTED, f"{stopped.code}: {stopped.message}"
    for flag in flags:
        if flag.severity is Severity.HOLD and flag.subject == RUN:
            return TradingState.REDUCING, f"{flag.code}: {flag.message}"
    return TradingState.ACTIVE, ""


def as_run_flag(flag: LatchedFlag) -> ErrorFlag:
    """Return a latched flag as a flag of this run."""
    message = f"{flag.message} (since {flag.since:%Y-%m-%d %H:%M} UTC)"
    return ErrorFlag(Step.NET_LIQUIDATION, flag.code, flag.subject, flag.severity, message)


def _judge_books(
    latches: _Latches,
    breaks: Sequence[Break],
    corporate: Sequence[CorporateAction],
    limits: Limits,
    continuous: frozenset[InstrumentId],
) -> None:
    broken = {each.instrument: each for each in breaks}
    acting = {each.instrument: each for each in corporate}
    for code, subject, _ in tuple(latches.flags):
        if code == "reconciliation-break" and subject not in broken:
            latches.lift(code, subject)
        quiet = subject not in acting and subject not in broken
        if code == "corporate-action" and quiet and subject in continuous:
            latches.lift(code, subject)
    for each in breaks:
        message = (
            f"the books say {each.expected:f} of {each.instrument} and the venue {each.found:f}; "
            "nothing is sent in it until they agree"
        )
        evidence = f"{each.expected:f}|{each.found:f}"
        latches.latch("reconciliation-break", each.instrument, message, evidence)
    for act in corporate:
        message = f"{act.instrument}: {act.reason}; nothing is sent in it"
        latches.latch("corporate-action", act.instrument, message, act.evidence)
    if len(breaks) >= limits.breaks_to_halt:
        names = ", ".join(sorted(broken))
        message = f"books and venue disagree on {len(breaks)} positions: {names}"
        latches.latch("many-breaks", RUN, message, str(len(breaks)))
    elif not breaks:
        latches.lift("many-breaks", RUN)


def _judge_jump(
    latches: _Latches, standing: Standing, value: Decimal, moved: Decimal, limits: Limits, base: str
) -> None:
    if standing.accepted_net_liquidation is None:
        return
    before = standing.accepted_net_liquidation + moved
    change = value / before - 1 if before > 0 else None
    if change is not None and abs(change) <= limits.net_liquidation_jump:
        return
    shown = "" if change is None else f", {'+' if change > 0 else ''}{percent(change)}"
    message = (
        f"net liquidation went from {money(before, base)} (last accepted) to "
        f"{money(value, base)}{shown}; {percent(limits.net_liquidation_jump)} is allowed"
    )
    latches.latch("net-liquidation-jump", RUN, message, f"{value:f}")


def _judge_day(
    latches: _Latches,
    standing: Standing,
    value: Decimal,
    moved: Decimal,
    limits: Limits,
    session: date | None,
    base: str,
) -> None:
    start = standing.session_start_net_liquidation
    if start is None or session is None or standing.session != session or start + moved <= 0:
        return
    loss = 1 - value / (start + moved)
    if loss < limits.daily_loss:
        return
    message = (
        f"the session of {session} lost {percent(loss)}: from {money(start + moved, base)} to "
        f"{money(value, base)}; the limit is {percent(limits.daily_loss)}"
    )
    latches.latch("daily-loss", RUN, message, session.isoformat())


def _judge_drawdown(
    latches: _Latches, standing: Standing, value: Decimal, moved: Decimal, limits: Limits, base: str
) -> None:
    mark = standing.high_water_mark
    if mark is None or mark + moved <= 0:
        return
    fall = 1 - value / (mark + moved)
    if fall < limits.drawdown:
        return
    message = (
        f"net liquidation {money(value, base)} is {percent(fall)} below its high-water mark "
        f"{money(mark + moved, base)}; the limit is {percent(limits.drawdown)}"
    )
    latches.latch("drawdown", RUN, message, f"{value:f}")


def _end_of_day(latches: _Latches, session: date | None) -> None:
    """Lift the daily loss of an earlier session."""
    flag = latches.flags.get(("daily-loss", RUN, ""))
    if flag is not None and session is not None and flag.evidence < session.isoformat():
        latches.lift("daily-loss", RUN)


def _accept(
    standing: Standing,
    account: AccountSnapshot,
    corporate: Sequence[CorporateAction],
    moved: Decimal,
    session: date | None,
    now: datetime,
) -> Standing:
    value = account.net_liquidation
    mark = standing.high_water_mark
    begin = standing.start_net_liquidation
    day_start = standing.session_start_net_liquidation
    found = replace(
        standing,
        accepted_net_liquidation=value,
        accepted_at=now,
        start_net_liquidation=value if begin is None else begin + moved,
        high_water_mark=value if mark is None else max(mark + moved, value),
        session_start_net_liquidation=value if day_start is None else day_start + moved,
        contracts=_contracts(standing, account, corporate),
    )
    if session is not None and session != standing.session:
        return replace(
            found,
            session=session,
            orders_in_session=0,
            turnover_in_session=Decimal(0),
            session_start_net_liquidation=value,
        )
    return found


def _contracts(
    standing: Standing, account: AccountSnapshot, corporate: Sequence[CorporateAction]
) -> dict[InstrumentId, str]:
    doubtful = {each.instrument for each in corporate}
    known = dict(standing.contracts)
    for position in account.positions:
        if position.contract and position.instrument not in doubtful:
            known[position.instrument] = position.contract
    return {name: known[name] for name in sorted(known)}


def _flows_in_base(
    standing: Standing, account: AccountSnapshot, flows: Sequence[ExternalFlow]
) -> Decimal:
    """Return what came in since the last accepted run; raises `UnknownRate`."""
    since = standing.accepted_at
    return sum(
        (
            account.rates.to_base(Money(flow.amount, flow.currency))
            for flow in flows
            if since is None or flow.at > since
        ),
        Decimal(0),
    )
