"""Latched flags: what a breaker is, how its flags stand, and which state they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.breaks import Break, CorporateAction
from rebalancer.model.conduct import Conduct
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import RUN, ErrorFlag, LatchedFlag, Severity, Step, TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import Standing
from rebalancer.risk.parameters import Limits


@dataclass(frozen=True)
class Observed:
    """Everything breakers are judged by.

    `standing` as it was before; `moved` came in from outside since the last accepted run (base
    currency). `session` None: before the first. `flags` are this run's so far.
    """

    standing: Standing
    account: AccountSnapshot
    limits: Limits
    now: datetime
    session: date | None = None
    moved: Decimal = Decimal(0)
    breaks: Sequence[Break] = ()
    corporate: Sequence[CorporateAction] = ()
    continuous: frozenset[InstrumentId] = frozenset()
    flags: Sequence[ErrorFlag] = ()
    conduct: Conduct = field(default_factory=Conduct)

    @property
    def worth(self) -> Decimal | None:
        """Return net liquidation, None when it is not a positive number."""
        value = self.account.net_liquidation
        return value if value.is_finite() and value > 0 else None

    @property
    def base(self) -> str:
        """Return the base currency."""
        return self.account.rates.base

    def found(
        self,
        code: str,
        message: str,
        evidence: str,
        *,
        subject: str = RUN,
        until: datetime | None = None,
    ) -> LatchedFlag:
        """Return a flag that is latched now."""
        severity = FLAG_TABLE[code].severity
        return LatchedFlag(code, subject, severity, message, self.now, evidence, until)


@dataclass(frozen=True, slots=True)
class Breaker:
    """One row of the table of breakers.

    `judge` returns what is the matter now; `ends` whether what is latched under one of `codes`
    ends by itself (unless it is the matter again). `limits` are its keys of `[risk]`, `against`
    says what it is measured against. What is `timed` ends because time passes.
    """

    codes: tuple[str, ...]
    judge: Callable[[Observed], Iterable[LatchedFlag]]
    ends: Callable[[LatchedFlag, Observed], bool]
    limits: tuple[str, ...]
    against: str
    timed: bool = False


def clock_wrong(flags: Iterable[ErrorFlag]) -> bool:
    """Return whether this run's clock was found wrong: by it no time has passed for sure."""
    return any(flag.code == "clock-skew" for flag in flags)


def never(flag: LatchedFlag, seen: Observed) -> bool:
    """Return False: only the owner ends it."""
    return False


def at_its_time(flag: LatchedFlag, seen: Observed) -> bool:
    """Return whether the time until which it stands has come."""
    return flag.until is not None and seen.now >= flag.until


def latch_key(flag: LatchedFlag) -> tuple[str, str, str]:
    """Return what makes a latched flag the same trouble as another: it stands only once.

    Code and subject; two orders of one instrument can be unresolved: there the order's
    reference too (the evidence up to its first bar).
    """
    orders = flag.code == "unresolved-order"
    return flag.code, flag.subject, flag.evidence.partition("|")[0] if orders else ""


def merged(*latched: Iterable[LatchedFlag]) -> tuple[LatchedFlag, ...]:
    """Return all flags, each trouble once, since its first time, in the words of the last."""
    flags: dict[tuple[str, str, str], LatchedFlag] = {}
    for some in latched:
        for flag in some:
            old = flags.get(latch_key(flag), flag)
            flags[latch_key(flag)] = replace(flag, since=min(old.since, flag.since))
    return tuple(flags.values())


def judged(seen: Observed, breakers: Iterable[Breaker]) -> tuple[LatchedFlag, ...]:
    """Return what is latched after every breaker was asked, whatever their order.

    What stood and did not end comes first, in its order; what is new in order of its name. By
    a wrong clock nothing ends for its time, nor gets another.
    """
    rows = tuple(breakers)
    owner = {code: each for each in rows for code in each.codes}
    stood = {latch_key(flag): flag for flag in merged(seen.standing.latched)}
    fixed = {
        key
        for key, flag in stood.items()
        if clock_wrong(seen.flags) and flag.code in owner and owner[flag.code].timed
    }
    kept = [
        flag
        for key, flag in stood.items()
        if key in fixed or flag.code not in owner or not owner[flag.code].ends(flag, seen)
    ]
    found = sorted(
        (flag for each in rows for flag in each.judge(seen) if latch_key(flag) not in fixed),
        key=lambda flag: (latch_key(flag) not in stood, flag.code, flag.subject),
    )
    return merged(kept, found)


def trading_state(
    latched: Sequence[LatchedFlag], flags: Sequence[ErrorFlag]
) -> tuple[TradingState, str]:
    """Return the trading state and why.

    HALTED by a latched HALT, REDUCING by a HOLD on the run, latched or of this run.
    """
    for stopped in latched:
        if stopped.severity is Severity.HALT:
            return TradingState.HALTED, f"{stopped.code}: {stopped.message}"
    run_flags: tuple[LatchedFlag | ErrorFlag, ...] = (*latched, *flags)
    for flag in run_flags:
        if flag.severity is Severity.HOLD and flag.subject == RUN:
            return TradingState.REDUCING, f"{flag.code}: {flag.message}"
    return TradingState.ACTIVE, ""


def as_run_flag(flag: LatchedFlag, step: Step = Step.NET_LIQUIDATION) -> ErrorFlag:
    """Return a latched flag as a flag of this run."""
    until = "" if flag.until is None else f", until {flag.until:%Y-%m-%d %H:%M} UTC at least"
    message = f"{flag.message} (since {flag.since:%Y-%m-%d %H:%M} UTC{until})"
    return ErrorFlag(step, flag.code, flag.subject, flag.severity, message)
