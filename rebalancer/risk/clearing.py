"""How latched flags end: by themselves, or because the owner says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import LatchedFlag, Severity
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import Standing
from rebalancer.risk.breakers import trading_state
from rebalancer.risk.words import money, percent

ALL = "all"
"""Clears everything that `rebalancer resume` may clear."""

_RESUME = "rebalancer resume"


@dataclass(frozen=True, slots=True)
class ClearingRule:
    """One latched flag for `status`: what it is, what ends it, what clearing it does.

    `until` is when it may end by itself, None where only `by_itself` says it; `ended_by` who
    may end it: itself, the owner, or both.
    """

    code: str
    subject: str
    severity: Severity
    since: datetime
    message: str
    by_itself: str
    command: str
    effect: str
    until: datetime | None = None
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """The owner's word on one latched flag: the account as it is now (None: unknown), when."""

    flag: LatchedFlag
    account: AccountSnapshot | None
    now: datetime
    moved: Decimal = Decimal(0)
    """Money from outside since the last accepted run, which the next run adds to what is kept."""

    def kept(self, value: Decimal | None) -> Decimal | None:
        """Return what is remembered of a value of now: net of what the next run adds to it."""
        return None if value is None else value - self.moved

    @property
    def sound(self) -> Decimal | None:
        """Return net liquidation now, None when it is not a positive number."""
        value = None if self.account is None else self.account.net_liquidation
        return value if value is not None and value.is_finite() and value > 0 else None

    @property
    def value(self) -> Decimal | None:
        """Return net liquidation now, else what the breaker saw; None when neither is known."""
        return self.sound or self.noted

    @property
    def noted(self) -> Decimal | None:
        """Return the number that the breaker noted, None when there is none above zero."""
        try:
            number = Decimal(self.flag.evidence.rpartition("|")[2])
        except InvalidOperation:
            return None
        return number if number.is_finite() and number > 0 else None

    def shown(self, value: Decimal) -> str:
        """Return an amount for a person."""
        return money(value, self.account.rates.base if self.account else "").strip()


Effect = Callable[[Standing, Word], tuple[Standing, str]]


def clear(
    standing: Standing,
    codes_or_subjects: Iterable[str],
    account: AccountSnapshot | None,
    now: datetime,
    by: str = "owner",
    *,
    moved: Decimal = Decimal(0),
) -> tuple[Standing, tuple[str, ...]]:
    """Return what is remembered after the owner lifted latched flags, and what was done, in words.

    Each of `codes_or_subjects` is a code, a subject, `code:subject` or `all`. `account` is the
    venue's word of now: with it a jump's reference, the high-water mark and the day's start
    are set to its net liquidation, without it to the value that the breaker saw. A flag that
    another command clears stays, with an explanation. `moved` are the booked flows since the
    last accepted run (`moved_since`): they are in the account's value, and the next run adds
    them to what it compares with.
    """
    wanted = tuple(codes_or_subjects)
    left: list[LatchedFlag] = []
    words: list[str] = []
    hit: set[str] = set()
    for flag in standing.latched:
        names = {flag.code, flag.subject, f"{flag.code}:{flag.subject}", ALL} - {""}
        asked = names.intersection(wanted)
        hit |= asked
        where = f" of {flag.subject}" if flag.subject else ""
        if not asked:
            left.append(flag)
        elif FLAG_TABLE[flag.code].command != _RESUME or flag.code not in EFFECTS:
            left.append(flag)
            words.append(f"{flag.code}{where} stays: use `{FLAG_TABLE[flag.code].command}`")
        else:
            standing, effect = EFFECTS[flag.code][1](standing, Word(flag, account, now, moved))
            words.append(f"{flag.code}{where} lifted by {by} at {now:%Y-%m-%d %H:%M} UTC: {effect}")
    for name in wanted:
        if name not in hit:
            words.append("nothing is latched" if name == ALL else f"nothing latched is {name}")
    state, reason = trading_state(left, ())
    found = replace(standing, latched=tuple(left), state=state, state_reason=reason)
    return found, tuple(words)


def clearing_rules(standing: Standing) -> tuple[ClearingRule, ...]:
    """Return one row per latched flag: what it says, what ends it, what clearing would do."""
    rows = []
    for flag in standing.latched:
        kind = FLAG_TABLE[flag.code]
        effect = EFFECTS[flag.code][0] if flag.code in EFFECTS else ""
        rows.append(
            ClearingRule(
                flag.code,
                flag.subject,
                flag.severity,
                flag.since,
                flag.message,
                kind.clears,
                kind.command,
                effect,
                flag.until,
                kind.ended_by,
            )
        )
    return tuple(rows)


_UNNOTED = "what was seen is not noted and the account cannot be looked at"


def _clear_jump(standing: Standing, word: Word) -> tuple[Standing, str]:
    value = word.value
    found = replace(standing, accepted_net_liquidation=word.kept(value))
    if value is None:
        return found, f"{_UNNOTED}, the next run's value is accepted"
    return found, f"{word.shown(value)} is accepted"


def _clear_day(standing: Standing, word: Word) -> tuple[Standing, str]:
    value = word.value if word.sound is not None or "|" in word.flag.evidence else None
    if value is None:  # an earlier version did not note what it saw
        return replace(standing, session_start_net_liquidation=None), (
            "the session's loss counts from the next run's value on"
        )
    kept = word.kept(value)
    found = replace(standing, session_start_net_liquidation=kept, next_session_reference=kept)
    return found, f"the session's loss counts from {word.shown(value)} on"


def _clear_drawdown(standing: Standing, word: Word) -> tuple[Standing, str]:
    value = word.value
    found = replace(standing, high_water_mark=word.kept(value))
    if value is None:
        return found, f"{_UNNOTED}, the next run's value is the high-water mark"
    return found, f"the high-water mark is {word.shown(value)} now"


def _clear_break(standing: Standing, word: Word) -> tuple[Standing, str]:
    return standing, "it comes back with the next run unless the books agree by then"


def _clear_corporate(standing: Standing, word: Word) -> tuple[Standing, str]:
    name = InstrumentId(word.flag.subject)
    contract = word.flag.evidence.partition(">")[2]
    marks = {known: mark for known, mark in standing.marks.items() if known != name}
    for position in word.account.positions if word.account else ():
        if position.instrument != name:
            continue
        contract = position.contract or contract
        if position.quantity and position.price is not None:
            marks[name] = position.price
    since = {**standing.closes_since, name: word.now}
    standing = replace(standing, marks=marks, closes_since=since)
    if not contract:
        return standing, "prices and books count as they are now"
    contracts: Mapping[InstrumentId, str] = {**standing.contracts, name: contract}
    return replace(standing, contracts=contracts), f"contract {contract} is accepted"


def _clear_liquidated(standing: Standing, word: Word) -> tuple[Standing, str]:
    return standing, "trading goes on; the venue may do it again while margin is short"


def _clear_unprotected(standing: Standing, word: Word) -> tuple[Standing, str]:
    return standing, "the signals decide on it again, and the next run looks at its stops"


def _clear_symbol(standing: Standing, word: Word) -> tuple[Standing, str]:
    name = InstrumentId(word.flag.subject)
    since = {**standing.losses_since, name: word.now}
    return replace(standing, losses_since=since), "its losses count from now on"


def _clear_book(standing: Standing, word: Word) -> tuple[Standing, str]:
    return replace(standing, values={}), "the book's losses count from the next run on"


def _clear_rejects(standing: Standing, word: Word) -> tuple[Standing, str]:
    return replace(standing, recent_orders=()), "refusals are counted anew"


def _clear_slippage(standing: Standing, word: Word) -> tuple[Standing, str]:
    return replace(standing, slippage_since=word.now), "executions count from now on"


def _clear_state(standing: Standing, word: Word) -> tuple[Standing, str]:
    return standing, "it comes back with the next run unless it is over by then"


def _clear_failures(standing: Standing, word: Word) -> tuple[Standing, str]:
    return replace(standing, failed_runs=0), "failed runs are counted anew"


ALLOWANCE = Decimal("1.25")
"""A plan that the owner let through may be so much larger when it is made again."""


def _clear_turnover(standing: Standing, word: Word) -> tuple[Standing, str]:
    noted = word.noted
    if noted is None:
        return standing, "its size is not noted: the next plan is judged anew"
    allowed = noted * ALLOWANCE
    found = replace(standing, turnover_allowed=allowed, turnover_allowed_in=None)
    return found, f"plans of up to {percent(allowed)} of net liquidation pass, for one session"


_BACK = "lifts it until the next run looks"
EFFECTS: Mapping[str, tuple[str, Effect]] = {
    "net-liquidation-jump": ("accepts the net liquidation of now", _clear_jump),
    "daily-loss": ("the session's loss counts from now on", _clear_day),
    "drawdown": ("sets the high-water mark to the net liquidation of now", _clear_drawdown),
    "symbol-loss": ("its losses count from now on", _clear_symbol),
    "book-loss": ("the book's losses count from now on", _clear_book),
    "reject-rate": ("counts refusals anew", _clear_rejects),
    "slippage": ("executions count from now on", _clear_slippage),
    "leverage-high": (_BACK, _clear_state),
    "margin-thin": (_BACK, _clear_state),
    "data-poor": (_BACK, _clear_state),
    "data-missing": (_BACK, _clear_state),
    "failed-runs": ("counts failed runs anew", _clear_failures),
    "turnover-odd": ("lets such a plan pass, for one session", _clear_turnover),
    "reconciliation-break": ("books its position as the venue has it", _clear_break),
    "many-breaks": ("books every position as the venue has it", _clear_break),
    "protection-missing": ("lets signals decide on it again", _clear_unprotected),
    "liquidated": ("lets trading go on", _clear_liquidated),
    "corporate-action": ("accepts quantity, contract and price as they are now", _clear_corporate),
}
"""Flag code -> what clearing it means, and the function that does it."""
