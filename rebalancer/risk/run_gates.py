"""Gates about the run and the hour: flags, states, sessions, windows."""

from __future__ import annotations

from datetime import timedelta

from rebalancer.model.flags import RUN, Severity, TradingState
from rebalancer.model.sessions import OrderWindow
from rebalancer.risk.terms import Candidate, GateInput
from rebalancer.risk.windows import parse_restart_window


def no_halt(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse everything while any HALT stands, or in state HALTED."""
    for flag in given.flags:
        if flag.severity is Severity.HALT:
            return f"the run is halted ({flag.code}): {flag.message}"
    if given.state is TradingState.HALTED:
        return "the trading state is HALTED"
    return None


def sound_net_liquidation(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse everything on a net liquidation that is not a positive number."""
    value = given.account.net_liquidation
    if not value.is_finite() or value <= 0:
        return f"net liquidation is {value}"
    return None


def session_open(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse outside the session and in its first and last minutes."""
    session, now = given.session, given.venue_now
    if session is None:
        return "the market is closed"
    window = OrderWindow(
        timedelta(minutes=given.limits.order_window_after_open_minutes),
        timedelta(minutes=given.limits.order_window_before_close_minutes),
    )
    if window.is_open(session, now):
        return None
    begin, end = session.open + window.after_open, session.close - window.before_close
    return f"{now:%H:%M} UTC is outside the order window {begin:%H:%M} to {end:%H:%M} UTC"


def no_restart(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse around the gateway's daily restart."""
    window = parse_restart_window(given.limits.restart_window)
    if window is not None and window.contains(given.venue_now):
        return f"the gateway restarts in {window}"
    return None


_LETS_OUT = frozenset({"history-stale", "history-gap", "history-disagrees", "protection-missing"})
"""HOLDs that the way out of what is given up does not need to wait for."""

LETS_REDUCE = frozenset({"symbol-loss"})
"""HOLDs on an instrument that let it be reduced."""


def owner_allows(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse what the configuration forbids in one instrument."""
    override = given.overrides.get(candidate.intent.instrument)
    if override is None:
        return None
    if override.no_trading:
        return "the configuration says no_trading for it"
    if override.reduce_only and not candidate.reduces:
        return "the configuration says reduce_only for it"
    return None


def not_held(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse what a HOLD on its instrument or its currency blocks, reductions too.

    An instrument that lost too much may be reduced. What is given up may be left even where
    its bars are not good enough to decide from, or
    where its stops are missing.
    """
    instrument = candidate.instrument
    subjects = {str(candidate.intent.instrument), f"currency:{candidate.intent.currency}"}
    if instrument is not None:
        subjects.add(f"currency:{instrument.currency}")
    for flag in given.flags:
        if candidate.way_out and flag.code in _LETS_OUT:
            continue
        if candidate.reduces and flag.code in LETS_REDUCE:
            continue
        if flag.severity is Severity.HOLD and flag.subject in subjects:
            return f"{flag.subject} is on hold ({flag.code}): {flag.message}"
    return None


def only_reductions(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse what does not reduce while the run may only reduce. Reductions pass.

    That is: state REDUCING, a HOLD on the whole run (unexplained cash, leverage out of
    reach), or a stale rate of the instrument's currency.
    """
    if candidate.reduces:
        return None
    for flag in given.flags:
        if flag.severity is Severity.HOLD and flag.subject == RUN:
            return f"only reductions are sent ({flag.code}): {flag.message}"
        if flag.code == "rate-stale" and flag.subject == f"currency:{candidate.intent.currency}":
            return f"only reductions are sent in {candidate.intent.currency}: {flag.message}"
    if given.state is TradingState.REDUCING:
        return "the trading state is REDUCING: only reductions are sent"
    return None


def venue_agrees(candidate: Candidate, given: GateInput) -> str | None:
    """Refuse when calendar says open and the venue says that it takes no orders in it."""
    quote = candidate.quote
    if quote is not None and quote.trading is False:
        return "the calendar says open and the venue takes no orders in it; taken as closed"
    return None
