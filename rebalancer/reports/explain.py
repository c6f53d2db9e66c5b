"""A flag in the owner's words: what, where, what was not done because of it, what to do."""

from __future__ import annotations

from dataclasses import dataclass

from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import NEVER, RUN, ErrorFlag, LatchedFlag, Severity, Step
from rebalancer.reports.numbers import when

STEP_NAMES: dict[int, str] = {
    Step.START: "before the first step",
    Step.CONNECT: "step 1, connect",
    Step.CANCEL: "step 2, cancel open orders",
    Step.SIGNALS: "step 3, generate signals",
    Step.NET_LIQUIDATION: "step 4, net liquidation and books",
    Step.TARGETS: "step 5, read weights",
    Step.ORDER_FILE: "step 6, order file",
    Step.SUBMIT: "step 7, gate and submit",
    Step.LOG_TRADES: "step 8, log trades",
    Step.SNAPSHOT: "step 9, snapshot",
    Step.ALERT: "step 10, error alert",
    Step.DAILY_UPDATE: "step 11, daily update",
    Step.DATABASE: "step 12, database",
    Step.DISCONNECT: "step 13, disconnect",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """One trouble, ready to be read. `severity` is NOTE, HOLD or HALT."""

    code: str
    severity: Severity
    what: str
    where: str
    not_done: str
    to_do: str


def explain(flag: ErrorFlag | LatchedFlag, *, sent: bool = False) -> Explained:
    """Return a flag in the owner's words; `sent` tells that orders went out before it."""
    kind = FLAG_TABLE.get(flag.code)
    meaning = flag.code.replace("-", " ") if kind is None else kind.meaning
    what = flag.message or meaning
    if meaning.casefold() not in what.casefold():
        what = f"{what} ({meaning})"
    return Explained(
        code=flag.code,
        severity=flag.severity,
        what=what,
        where=_where(flag),
        not_done=_not_done(flag, sent=sent),
        to_do=f"{first_look(flag)}{what_clears(flag.code)}",
    )


ENDS = {
    NEVER: "It does not end by itself.",
    "at once": "It is about this one run; nothing is locked.",
    "the next run in which it is not so": "It ends by itself with the next run in which it is not "
    "so.",
    "removing the file": "It ends when the file is removed.",
    "proof from the venue": "It ends by itself when the venue proves what became of the order.",
    "its con_id in the configuration": "It ends when its con_id stands in the configuration.",
    "the next session": "It ends by itself with the next session.",
    "the books agree again": "It ends by itself when the books agree again.",
    "the books agree and no jump is left in prices; after a real fall do not wait for it": "It "
    "ends by itself when the books agree and neither history nor price has the jump any more. "
    "After a real fall do not wait for it: accept the price yourself.",
    "its window has passed": "It ends by itself when its window has passed.",
    "leverage is within its limit again": "It ends by itself when leverage is within its limit "
    "again.",
    "enough is left again": "It ends by itself when enough is left again.",
    "enough is usable again": "It ends by itself when enough is usable again.",
    "a run that finishes": "It ends by itself with the next run that finishes.",
    "adoption": "It ends when you adopt the positions.",
    "the position is closed": "It ends by itself when the position is closed.",
}
"""What the flag table says of a flag's end, as a sentence."""

_LOOK = {
    "halt-file": "The file is HALT in the portfolio's state folder, or in the folder above it for "
    "all portfolios (only `rebalancer resume halt-file:all` ends that one); `rebalancer status` "
    "names it.",
    "generator-failed": "Try it alone: `rebalancer signals {name}`.",
    "generator-hung": "Try it alone: `rebalancer signals {name}`.",
    "generator-rubbish": "Try it alone: `rebalancer signals {name}`.",
    "signal-missing": "Look at the program that writes the signals of {name}.",
    "signal-invalid": "Look at the program that writes the signals of {name}.",
    "signal-stale": "Look at the program that writes the signals of {name}.",
    "history-stale": "Look whether {name} still trades; a new listing needs time.",
    "history-gap": "Look whether {name} has as long a history as its sleeve asks for.",
    "price-missing": "Look at {name} at the venue: does it trade, is there a data subscription?",
    "order-refused": "If the order was right after all, its limit is a key of [risk].",
    "order-rejected": "The reason is the venue's; look the order up there.",
    "others-order": "Cancel the order yourself, or let it end.",
    "unresolved-order": "Look the order up at the venue.",
    "reconciliation-break": "Compare the position of {name} at the venue with trades.csv.",
    "corporate-action": "Look for a split, a merger or a new name of {name}.",
    "unexplained-cash-large": "Look for a deposit, a withdrawal or a dividend.",
    "cannot-connect": "Look whether the gateway and the network are up.",
    "run-failed": "Look at host.json in the run's folder.",
    "run-died": "Look whether the machine went down, or somebody ended the process.",
    "report-failed": "Look at host.json in the run's folder.",
    "deadline": "Look at log.jsonl in the run's folder for the slow step.",
}


def flag_line(flag: ErrorFlag | LatchedFlag) -> str:
    """Return a flag on one line, as commands print it: `HOLD price-missing KO.STK.USD@IB: ...`."""
    about = f" {flag.subject}" if flag.subject else ""
    return f"{flag.severity.value} {flag.code}{about}: {flag.message}"


def first_look(flag: ErrorFlag | LatchedFlag) -> str:
    """Return where to look first, '' where the flag itself says it all; ends in a space."""
    name = flag.subject.partition(":")[2] or flag.subject
    advice = _LOOK.get(flag.code, "").format(name=name)
    return f"{advice} " if advice else ""


def what_clears(code: str) -> str:
    """Return what ends a flag, by itself and by hand."""
    kind = FLAG_TABLE.get(code)
    if kind is None:
        return "Look at log.jsonl in the run's folder."
    by_itself = ENDS.get(kind.clears, f"What ends it: {kind.clears}.")
    if not kind.command:
        return by_itself
    return f"{by_itself} By hand: look into it, then `{kind.command}`."


def stands(flag: LatchedFlag) -> str:
    """Return since when a latched flag stands, until when at least, and who may end it."""
    kind = FLAG_TABLE.get(flag.code)
    until = "" if flag.until is None else f", until {when(flag.until)} at least"
    who = "" if kind is None else f"; ended by {kind.ended_by}"
    return f"since {when(flag.since)}{until}{who}"


def _reduces_only(flag: ErrorFlag | LatchedFlag) -> bool:
    """Return whether a flag is a breaker that makes the whole run one that only reduces."""
    kind = FLAG_TABLE.get(flag.code)
    latched = kind is not None and kind.latched
    return latched and flag.subject == RUN and flag.severity is Severity.HOLD


def _where(flag: ErrorFlag | LatchedFlag) -> str:
    place = STEP_NAMES[flag.step] if isinstance(flag, ErrorFlag) else "latched by an earlier run"
    kind, _, name = flag.subject.partition(":")
    if flag.subject == RUN:
        return f"the whole run, {place}"
    if name and kind in {"sleeve", "currency", "order"}:
        return f"{kind} {name}, {place}"
    return f"{flag.subject}, {place}"


def _not_done(flag: ErrorFlag | LatchedFlag, *, sent: bool) -> str:
    if flag.severity is Severity.NOTE:
        return "Nothing was left undone."
    if flag.severity is Severity.HALT:
        return (
            "After it nothing more was sent in this run."
            if sent
            else "No order was sent in this run."
        )
    kind, _, name = flag.subject.partition(":")
    if flag.code == "unexplained-cash-large":
        return "No buy was sent in this run."
    if flag.code == "leverage-unreachable" or _reduces_only(flag):
        return "Only orders that reduce a position were allowed."
    if flag.code == "symbol-loss":
        return f"Only orders that reduce {flag.subject} were allowed."
    if kind == "sleeve" and name:
        return f"Sleeve {name} keeps its last accepted holdings; no new target was taken from it."
    if flag.code == "order-refused":
        return f"The order in {flag.subject} was not sent."
    if flag.subject == RUN or kind in {"step", "currency", "order"} or "@" not in flag.subject:
        return "See above."
    return f"No order was sent in {flag.subject}."
