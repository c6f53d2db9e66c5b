"""Every flag a run can raise. docs/OPERATIONS.md shows this table; a test holds them together."""

from __future__ import annotations

from collections.abc import Mapping

from rebalancer.model.flags import FlagKind, Severity

_NOTE, _HOLD, _HALT = Severity.NOTE, Severity.HOLD, Severity.HALT
_NEXT = "the next run in which it is not so"
_RESUME = "rebalancer resume"


def _kind(
    code: str,
    severity: Severity,
    scope: str,
    meaning: str,
    clears: str = _NEXT,
    *,
    latched: bool = False,
    command: str = "",
) -> FlagKind:
    return FlagKind(code, severity, scope, latched, meaning, clears, command)


_KINDS = (
    # start
    _kind("run-failed", _HALT, "run", "a step raised; later steps did what they could"),
    _kind(
        "halt-file",
        _HALT,
        "run",
        "a HALT file forbids sending",
        "removing the file",
        command=_RESUME,
    ),
    _kind("deadline", _HALT, "run", "the run's time is over; nothing more was sent"),
    _kind("clock-skew", _HALT, "run", "our clock and the venue's differ by more than allowed"),
    _kind("dry-run", _NOTE, "run", "a dry run: nothing was sent"),
    _kind("run-died", _HOLD, "earlier run", "an earlier run ended without a record", "at once"),
    _kind("run-repaired", _NOTE, "run", "an earlier run broke off; this one finished its books"),
    # 1 connect, 2 cancel
    _kind("cannot-connect", _HALT, "run", "the venue could not be reached"),
    _kind("blind", _HALT, "run", "the venue's answers are incomplete or contradict each other"),
    _kind(
        "unresolved-order",
        _HOLD,
        "instrument",
        "an order may or may not be at the venue",
        "proof from the venue",
        latched=True,
        command="rebalancer resolve",
    ),
    _kind("order-will-not-die", _HOLD, "instrument", "a cancel was not confirmed in time"),
    _kind("orders-will-not-die", _HALT, "run", "uncancelled orders are large against the limits"),
    _kind("others-order", _HOLD, "instrument", "an order that is not ours works in it"),
    _kind("others-trade", _NOTE, "run", "trades that no order of ours explains were booked"),
    _kind(
        "liquidated",
        _HALT,
        "run",
        "the venue itself closed a position, for want of margin",
        "the owner",
        latched=True,
        command=_RESUME,
    ),
    _kind("orders-unknown", _NOTE, "run", "a dry run that the venue does not show open orders"),
    _kind("fills-while-away", _NOTE, "run", "executions since the last run were booked"),
    _kind("instrument-unknown", _HOLD, "instrument", "the venue has no contract, or several"),
    _kind(
        "instrument-changed",
        _HOLD,
        "instrument",
        "the venue has another contract by its name than before",
        "its con_id in the configuration",
    ),
    _kind("rules-differ", _NOTE, "instrument", "the venue's rules are not the configured ones"),
    _kind("rule-unknown", _NOTE, "instrument", "the venue has a rule that is not known here"),
    _kind("not-trading", _HOLD, "instrument", "the venue takes no orders in it, or not yet"),
    _kind("instrument-leaving", _NOTE, "instrument", "the venue closes it; it is sold off"),
    _kind("dust", _NOTE, "instrument", "held, but too small for an ordinary order"),
    _kind("key-permissions", _NOTE, "run", "the venue's key may do more than it should"),
    _kind("mode-kept", _HOLD, "instrument", "its margin type or leverage could not be set"),
    _kind("leverage-low", _NOTE, "run", "its leverage at the venue is below what is planned with"),
    _kind("weight-large", _NOTE, "run", "the run asks more than a minute's share of the venue"),
    # 3 signals
    _kind("history-stale", _HOLD, "instrument", "its newest bar is too old"),
    _kind("history-gap", _HOLD, "instrument", "its bars have a gap or are too few"),
    _kind("history-adjusted", _NOTE, "instrument", "the venue re-adjusted its bars; fetched again"),
    _kind("history-corrected", _NOTE, "instrument", "the venue corrected its newest bar"),
    _kind(
        "history-disagrees",
        _HOLD,
        "instrument",
        "its stored bars and the venue's contradict each other",
        command="rebalancer bars forget",
    ),
    _kind("generator-failed", _HOLD, "sleeve", "its generator raised"),
    _kind("generator-hung", _HOLD, "sleeve", "its generator took longer than its time limit"),
    _kind("generator-rubbish", _HOLD, "sleeve", "its generator's answer is not usable"),
    # 4 net liquidation, books, breakers
    _kind("net-liquidation-invalid", _HALT, "run", "it is zero, negative or not a number"),
    _kind("net-liquidation-unproved", _HALT, "run", "its parts do not add up to it"),
    _kind("net-liquidation-range", _HALT, "run", "it is outside the owner's expected range"),
    _kind("balances-disagree", _HALT, "run", "the venue's two answers about cash do not agree"),
    _kind(
        "sources-disagree",
        _HOLD,
        "instrument",
        "the venue's two answers about a position do not agree",
    ),
    _kind("other-assets", _NOTE, "run", "owned, but not counted in the account's value"),
    _kind("haircut", _NOTE, "run", "collateral that the venue counts at less than its price"),
    _kind(
        "net-liquidation-jump",
        _HALT,
        "run",
        "it jumped against the last accepted value",
        "never by itself",
        latched=True,
        command=_RESUME,
    ),
    _kind(
        "daily-loss",
        _HALT,
        "run",
        "the session's loss passed its limit",
        "the next session",
        latched=True,
        command=_RESUME,
    ),
    _kind(
        "drawdown",
        _HALT,
        "run",
        "the fall from the high-water mark passed its limit",
        "never by itself",
        latched=True,
        command=_RESUME,
    ),
    _kind(
        "reconciliation-break",
        _HOLD,
        "instrument",
        "books and venue disagree on the position",
        "the books agree again",
        latched=True,
        command=_RESUME,
    ),
    _kind(
        "many-breaks",
        _HALT,
        "run",
        "books and venue disagree on many positions",
        "the books agree again",
        latched=True,
        command=_RESUME,
    ),
    _kind(
        "corporate-action",
        _HOLD,
        "instrument",
        "position or price changed like a split",
        "the books agree and history is continuous",
        latched=True,
        command=_RESUME,
    ),
    _kind(
        "not-adopted",
        _HALT,
        "run",
        "the account holds positions that no run of ours booked",
        "adoption",
        command="rebalancer adopt",
    ),
    _kind("unmanaged", _NOTE, "instrument", "held, but not in the universe; never traded"),
    _kind("unexplained-cash", _NOTE, "currency", "cash moved without a reason we know; booked"),
    _kind("unexplained-cash-large", _HOLD, "run", "much cash moved without a reason; no buys"),
    # 5 targets
    _kind("signal-missing", _HOLD, "sleeve", "no signal file; its last accepted lots are held"),
    _kind("signal-invalid", _HOLD, "sleeve", "its signal file is not usable"),
    _kind("signal-stale", _HOLD, "sleeve", "its signal file is too old"),
    _kind("leverage-capped", _NOTE, "run", "targets were scaled down to the leverage cap"),
    _kind("leverage-unreachable", _HOLD, "run", "held sleeves exceed the cap; only reductions"),
    # 6 order file
    _kind("price-missing", _HOLD, "instrument", "no usable price; a missing price is never zero"),
    _kind("rate-missing", _HOLD, "instrument", "no rate for its currency"),
    _kind("rate-stale", _NOTE, "currency", "its rate is older than a session; no buys in it"),
    _kind("out-of-range", _HOLD, "instrument", "a number is too large for exact arithmetic"),
    # 7 gate and submit
    _kind("session-closed", _NOTE, "run", "the market is closed or outside the order window"),
    _kind(
        "calendar-disagrees", _NOTE, "instrument", "calendar and venue disagree; taken as closed"
    ),
    _kind("funding-window", _NOTE, "run", "funding is exchanged now; orders wait for the next run"),
    _kind("restart-window", _NOTE, "run", "the gateway restarts now; the rest was not sent"),
    _kind("order-refused", _HOLD, "instrument", "a gate refused its order"),
    _kind("order-rejected", _HOLD, "instrument", "the venue refused its order"),
    _kind("order-efficiency", _NOTE, "run", "many order messages for few orders that trade"),
    _kind("not-funded", _NOTE, "instrument", "its buy waited for proceeds that did not come"),
    _kind("margin-not-asked", _NOTE, "run", "a dry run does not ask the venue; our own estimate"),
    _kind(
        "protection-missing",
        _HOLD,
        "instrument",
        "its stops can not keep their promise; the next plan closes it",
        "the position is closed",
        latched=True,
        command=_RESUME,
    ),
    _kind("protection-failed", _HOLD, "instrument", "a stop was refused or not confirmed"),
    # 8 to 12
    _kind("commission-late", _NOTE, "run", "executions still without their commission"),
    _kind("mail-late", _NOTE, "run", "mails wait in the outbox"),
    _kind("database-late", _NOTE, "run", "the database commit waits for the next run"),
    _kind(
        "report-failed", _HOLD, "step", "a mail or a database commit could not be made", "at once"
    ),
    _kind("books-unwritten", _HALT, "run", "the record could not be written"),
)

FLAG_TABLE: Mapping[str, FlagKind] = {kind.code: kind for kind in _KINDS}
"""Flag code -> what it means; `Page.flag` refuses a code that is not here."""
