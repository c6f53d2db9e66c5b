"""Where a portfolio stands now: for `rebalancer status`, as text and as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rebalancer.model.codec import to_plain
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import RUN, ErrorFlag, LatchedFlag, Severity, Step, TradingState
from rebalancer.model.orders import WorkingOrder
from rebalancer.model.records import Mode, RunRecord, Standing
from rebalancer.model.sessions import SessionTable
from rebalancer.reports.blocks import (
    BANNERS,
    base_currency,
    flags_section,
    key_figures,
    positions_section,
    state_words,
)
from rebalancer.reports.document import Document, Facts, Paragraph, Section, Tone, document_text
from rebalancer.reports.explain import explain, stands
from rebalancer.reports.numbers import count, money, percent, price, quantity, span, when
from rebalancer.reports.owed import KINDS, owed_mails
from rebalancer.reports.protection import stops_section
from rebalancer.reports.rows import position_rows
from rebalancer.reports.summary import run_lead, was_sent


@dataclass(frozen=True)
class Status:
    """What `status` knows. `mode` is the configured one; `now` the time to answer for.

    `waiting` counts mails in the outbox; `commit_owed` is the session date whose database
    commit is owed; `halt_reason` is what a HALT file says (None: there is none),
    `halt_files` where they lie, `halt_of_all` that one of them stops every portfolio.
    `limits` are fractions by breaker name (`daily-loss`, `drawdown`, ...), shown beside what
    they bound.
    """

    portfolio: str
    mode: Mode
    now: datetime
    record: RunRecord | None
    standing: Standing
    sessions: SessionTable
    waiting: int = 0
    commit_owed: date | None = None
    halt_reason: str | None = None
    halt_files: Sequence[str] = ()
    halt_of_all: bool = False
    kinds: Sequence[str] = KINDS
    limits: Mapping[str, Decimal] = field(default_factory=dict)


def status_text(status: Status) -> str:
    """Return the status as plain text."""
    return document_text(status_document(status))


def status_document(status: Status) -> Document:
    """Return the status as a report."""
    record, standing = status.record, status.standing
    sections = [Section("Next times", (_times(status),)), Section("Breakers", _breakers(status))]
    if record is None:
        lead: tuple[Paragraph, ...] = (Paragraph("No run is on record yet.", Tone.NOTE),)
    else:
        ago = span(status.now - record.slot)
        last = f"Last: `rebalancer {record.command}` of" if record.command else "Last run:"
        first = Paragraph(f"{last} {when(record.slot)} ({ago} ago), mode {record.mode.value}.")
        lead = (first, *run_lead(record))
        halted = status.halt_reason is not None
        figures = key_figures(record, standing, halt_file=halted)
        sections.append(Section("Key figures of the last run", (figures,)))
        sections.append(positions_section(position_rows(record), base_currency(record)))
        sections.append(_working_section(_working(record)))
        stops = stops_section(record.stops)
        sections += [stops] if stops is not None else []
    flags = () if record is None else record.flags
    if status.halt_reason is not None:
        words = f"a HALT file forbids sending{_lying(status)}: {status.halt_reason}"
        halt = ErrorFlag(Step.START, "halt-file", RUN, FLAG_TABLE["halt-file"].severity, words)
        flags = (halt, *(flag for flag in flags if flag.code != "halt-file"))
    sent = record is not None and was_sent(record)
    sections.append(flags_section(flags, standing.latched, sent=sent))
    sections.append(Section("Owed", (_owed(status),)))
    return Document(
        title=f"{status.portfolio}: status",
        subtitle=f"at {when(status.now)}, mode {status.mode.value}",
        banner=BANNERS[status.mode],
        lead=lead,
        sections=tuple(sections),
    )


def status_data(status: Status) -> dict[str, Any]:
    """Return the status as plain JSON values; amounts are strings, unknown is null."""
    record, standing = status.record, status.standing
    flags: list[ErrorFlag | LatchedFlag] = [*standing.latched]
    flags += [] if record is None else record.flags
    state = state_now(status)
    current, following = _sessions(status)
    return {
        "portfolio": status.portfolio,
        "mode": status.mode.value,
        "now": to_plain(status.now),
        "state": state.value,
        "state_reason": standing.state_reason if state is standing.state else "a HALT file",
        "halt_file": status.halt_reason,
        "last_run": None if record is None else _run_data(record),
        "positions": [] if record is None else [to_plain(row) for row in position_rows(record)],
        "stops": [] if record is None else [to_plain(stop) for stop in record.stops],
        "working_orders": [] if record is None else [to_plain(o) for o in _working(record)],
        "flags": [_flag_data(flag) for flag in flags],
        "breakers": {
            "accepted_net_liquidation": to_plain(standing.accepted_net_liquidation),
            "high_water_mark": to_plain(standing.high_water_mark),
            "session_loss": to_plain(_session_loss(status)),
            "drawdown": to_plain(_drawdown(status)),
            "limits": to_plain(status.limits),
            "orders_in_session": standing.orders_in_session,
            "turnover_in_session": to_plain(standing.turnover_in_session),
            "failed_runs": standing.failed_runs,
        },
        "session": to_plain(current),
        "next_session": to_plain(following),
        "mails_owed": [owed.key for owed in _mails(status)],
        "mails_waiting": status.waiting,
        "commit_owed": to_plain(status.commit_owed),
    }


def state_now(status: Status) -> TradingState:
    """Return the trading state: a HALT file halts, whatever the breakers say."""
    return status.standing.state if status.halt_reason is None else TradingState.HALTED


def _run_data(record: RunRecord) -> dict[str, Any]:
    seen = record.after or record.before
    return {
        "slot": to_plain(record.slot),
        "command": record.command,
        "session": to_plain(record.session),
        "mode": record.mode.value,
        "outcome": record.outcome.value,
        "exit_code": record.exit_code,
        "reached": record.reached,
        "base_currency": base_currency(record) or None,
        "net_liquidation": None if seen is None else to_plain(seen.net_liquidation),
        "equity": to_plain(record.equity),
    }


def _flag_data(flag: ErrorFlag | LatchedFlag) -> dict[str, Any]:
    told = explain(flag)
    latched = isinstance(flag, LatchedFlag)
    return {
        "code": flag.code,
        "subject": flag.subject,
        "severity": flag.severity.value,
        "message": flag.message,
        "latched": latched,
        "since": to_plain(flag.since) if isinstance(flag, LatchedFlag) else None,
        "until": to_plain(flag.until) if isinstance(flag, LatchedFlag) else None,
        "ended_by": FLAG_TABLE[flag.code].ended_by if latched else None,
        "clears": told.to_do,
    }


def _sessions(status: Status) -> tuple[Any, Any]:
    try:
        current = status.sessions.current(status.now)
    except LookupError:
        current = None
    return current, status.sessions.next_open(status.now)


def _times(status: Status) -> Facts:
    current, following = _sessions(status)
    if current is None:
        pairs = [("Session", "closed now")]
    else:
        pairs = [("Session", f"{current.date.isoformat()}, open until {when(current.close)}")]
    if following is not None:
        pairs.append(("Next opening", f"{when(following.open)} ({following.date.isoformat()})"))
        pairs.append(("Next closing", when((current or following).close)))
    return Facts(tuple(pairs))


def _breakers(status: Status) -> tuple[Paragraph | Facts, ...]:
    standing = status.standing
    base = "" if status.record is None else base_currency(status.record)
    blocks: list[Paragraph | Facts] = []
    if status.halt_reason is not None:
        why = status.halt_reason or "no reason given"
        text = f"A HALT file forbids sending{_lying(status)}: {_ended(why)}"
        both = " halt-file" if len(status.halt_files) > 1 else ""
        command = "rebalancer resume" + (f"{both} halt-file:all" if status.halt_of_all else "")
        blocks.append(Paragraph(f"{text} To go on: `{command}`.", Tone.BAD))
    words = state_words(standing, halt_file=status.halt_reason is not None)
    tone = Tone.GOOD if state_now(status) is TradingState.ACTIVE else Tone.BAD
    blocks.append(Paragraph(f"Trading state {_ended(words)}", tone))
    pairs = [
        ("Loss in the session", _against(status, "daily-loss", _session_loss(status))),
        ("Below the highest value", _against(status, "drawdown", _drawdown(status))),
        ("Accepted net liquidation", money(standing.accepted_net_liquidation, base)),
        ("Highest net liquidation", money(standing.high_water_mark, base)),
        ("Orders in the session", f"{standing.orders_in_session}"),
        ("Failed runs in a row", f"{standing.failed_runs}"),
    ]
    blocks.append(Facts(tuple(pairs)))
    if standing.latched:
        lines = [
            f"{flag.code}{f' of {flag.subject}' if flag.subject else ''}: {stands(flag)}"
            for flag in standing.latched
        ]
        blocks.append(Paragraph("Latched:\n" + "\n".join(lines), Tone.BAD))
    return tuple(blocks)


def _lying(status: Status) -> str:
    """Return where the HALT files lie, in brackets."""
    return f" ({', '.join(status.halt_files)})" if status.halt_files else ""


def _ended(words: str) -> str:
    """Return words as a sentence that ends once."""
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _against(status: Status, name: str, value: Decimal | None) -> str:
    limit = status.limits.get(name)
    return percent(value) + ("" if limit is None else f" (limit {percent(limit)})")


def _session_loss(status: Status) -> Decimal | None:
    """Return the session's loss as a fraction, positive = loss; None when not known."""
    start = status.standing.session_start_net_liquidation
    worth = status.standing.accepted_net_liquidation
    if start is None or worth is None or start <= 0:
        return None
    return max(Decimal(0), (start - worth) / start)


def _drawdown(status: Status) -> Decimal | None:
    high, worth = status.standing.high_water_mark, status.standing.accepted_net_liquidation
    if high is None or worth is None or high <= 0:
        return None
    return max(Decimal(0), (high - worth) / high)


def _working(record: RunRecord) -> tuple[WorkingOrder, ...]:
    return tuple(order for order in record.orders if not order.status.terminal)


def _working_section(orders: Sequence[WorkingOrder]) -> Section:
    if not orders:
        return Section("Working orders", (Paragraph("None at the last look."),))
    lines = []
    for order in orders:
        side = "BUY" if order.quantity > 0 else "SELL"
        limit = "" if order.limit is None else f" at {price(order.limit)}"
        lines.append(
            f"{side} {quantity(abs(order.quantity))} {order.instrument}{limit}: "
            f"{order.status.value}, {quantity(abs(order.filled))} filled ({order.reference})"
        )
    return Section("Working orders at the last look", (Paragraph("\n".join(lines)),))


def _mails(status: Status) -> tuple[Any, ...]:
    if status.record is None:
        return ()
    return owed_mails(status.sessions, status.standing, status.now, status.kinds)


def _owed(status: Status) -> Facts:
    mails = ", ".join(owed.key.removeprefix("mail:") for owed in _mails(status)) or "none"
    commit = "none" if status.commit_owed is None else status.commit_owed.isoformat()
    return Facts(
        (
            ("Mails owed", mails),
            ("Mails waiting", count(status.waiting, "mail") + " in the outbox"),
            ("Database commit owed", commit),
        )
    )


def grave(status: Status) -> bool:
    """Return whether anything from HOLD upwards stands (for a list of many portfolios)."""
    flags: list[ErrorFlag | LatchedFlag] = [*status.standing.latched]
    flags += [] if status.record is None else status.record.flags
    return any(flag.severity is not Severity.NOTE for flag in flags)
