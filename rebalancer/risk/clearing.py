"""How latched flags end: by themselves, or because the owner says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import LatchedFlag, Severity
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import Standing
from rebalancer.risk.breakers import trading_state
from rebalancer.risk.words import money

ALL = "all"
"""Clears everything that `rebalancer resume` may clear."""

_RESUME = "rebalancer resume"


@dataclass(frozen=True, slots=True)
class ClearingRule:
    """One latched flag for `status`: what it is, what ends it, what clearing it does."""

    code: str
    subject: str
    severity: Severity
    since: datetime
    message: str
    by_itself: str
    command: str
    effect: str


Effect = Callable[[Standing, LatchedFlag, AccountSnapshot | None], tuple[Standing, str]]


def clear(
    standing: Standing,
    codes_or_subjects: Iterable[str],
    account: AccountSnapshot | None,
    now: datetime,
    by: str = "owner",
) -> tuple[Standing, tuple[str, ...]]:
    """Return what is remembered after the owner lifted latched flags, and what was done, in words.

    Each of `codes_or_subjects` is a code, a subject, `code:subject` or `all`. `account` is the
    venue's word of now: with it a jump's reference, the high-water mark and the day's start
    are set to its net liquidation, without it to the value that the breaker saw. A flag that
    another command clears stays, with an explanation.
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
            standing, effect = EFFECTS[flag.code][1](standing, flag, account)
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
            )
        )
    return tuple(rows)


def _clear_jump(
    standing: Standing, flag: LatchedFlag, account: AccountSnapshot | None
) -> tuple[Standing, str]:
    value = _value(flag, account)
    return replace(
        standing, accepted_net_liquidation=value
    ), f"{_shown(value, account)} is accepted"


def _clear_day(
    standing: Standing, flag: LatchedFlag, account: AccountSnapshot | None
) -> tuple[Standing, str]:
    value = _sound(account)
    return (
        replace(standing, session_start_net_liquidation=value),
        f"the session's loss counts from {_shown(value, account)} on",
    )


def _clear_drawdown(
    standing: Standing, flag: LatchedFlag, account: AccountSnapshot | None
) -> tuple[Standing, str]:
    value = _value(flag, account)
    return (
        replace(standing, high_water_mark=value),
        f"the high-water mark is {_shown(value, account)} now",
    )


def _clear_break(
    standing: Standing, flag: LatchedFlag, account: AccountSnapshot | None
) -> tuple[Standing, str]:
    return standing, "it comes back with the next run unless the books agree by then"


def _clear_corporate(
    standing: Standing, flag: LatchedFlag, account: AccountSnapshot | None
) -> tuple[Standing, str]:
    name = InstrumentId(flag.subject)
    contract = flag.evidence.partition(">")[2]
    for position in account.positions if account else ():
        if position.instrument == name and position.contract:
            contract = position.contract
    if not contract:
        return standing, "prices and books count as they are now"
    contracts: Mapping[InstrumentId, str] = {**standing.contracts, name: contract}
    return replace(standing, contracts=contracts), f"contract {contract} is accepted"


def _clear_liquidated(
    standing: Standing, flag: LatchedFlag, account: AccountSnapshot | None
) -> tuple[Standing, str]:
    return standing, "trading goes on; the venue may do it again while margin is short"


def _clear_unprotected(
    standing: Standing, flag: LatchedFlag, account: AccountSnapshot | None
) -> tuple[Standing, str]:
    return standing, "the signals decide on it again, and the next run looks at its stops"


EFFECTS: Mapping[str, tuple[str, Effect]] = {
    "net-liquidation-jump": ("accepts the net liquidation of now", _clear_jump),
    "daily-loss": ("the session's loss counts from now on", _clear_day),
    "drawdown": ("sets the high-water mark to the net liquidation of now", _clear_drawdown),
    "reconciliation-break": ("lifts it until the next comparison", _clear_break),
    "many-breaks": ("lifts it until the next comparison", _clear_break),
    "protection-missing": ("lets signals decide on it again", _clear_unprotected),
    "liquidated": ("lets trading go on", _clear_liquidated),
    "corporate-action": ("accepts contract and price as they are now", _clear_corporate),
}
"""Flag code -> what clearing it means, and the function that does it."""


def _sound(account: AccountSnapshot | None) -> Decimal | None:
    if account is None or not account.net_liquidation.is_finite() or account.net_liquidation <= 0:
        return None
    return account.net_liquidation


def _value(flag: LatchedFlag, account: AccountSnapshot | None) -> Decimal:
    return _sound(account) or Decimal(flag.evidence)


def _shown(value: Decimal | None, account: AccountSnapshot | None) -> str:
    if value is None:
        return "the next run's value"
    return money(value, account.rates.base if account else "").strip()
