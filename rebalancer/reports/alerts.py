"""Error alerts: what is new and grave, what has ended; the same trouble is not mailed twice.

`Standing.alerts` remembers of each trouble when it was told: the slot of the run, and of what is
latched the time of the latch where that is later. A latch that is newer than this came anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import RUN, ErrorFlag, LatchedFlag, Severity, Step, TradingState
from rebalancer.model.orders import Action
from rebalancer.model.records import Mail, Outcome, RunRecord, Standing
from rebalancer.reports.blocks import (
    BANNERS,
    MARKS,
    base_currency,
    files_footer,
    key_figures,
    orders_section,
    trouble,
)
from rebalancer.reports.document import Block, Document, Paragraph, Section, Tone, document_text
from rebalancer.reports.explain import STEP_NAMES, explain
from rebalancer.reports.html import mail_html
from rebalancer.reports.numbers import count, slot_name, span, when
from rebalancer.reports.rows import Fate, order_rows
from rebalancer.reports.summary import run_lead, was_sent, what_it_was

Trouble = ErrorFlag | LatchedFlag

GATED = frozenset({"order-refused", "order-rejected"})
"""Troubles that only a run which gates an order again can prove to be over."""

MOST_SUBJECTS = 20


@dataclass(frozen=True, slots=True)
class AlertDecision:
    """The mails to send, none or one, and the troubles to remember as mailed."""

    mails: tuple[Mail, ...]
    alerts: Mapping[str, str]


def alert_mails(record: RunRecord, standing: Standing) -> AlertDecision:
    """Return the alert of this run, if it has anything new to say.

    New is a trouble from HOLD upwards, or a failure, whose code and subject are not in
    `standing.alerts`, or that latched again since it was told. A trouble has ended when a run
    that could have seen it did not; a failed run and a command prove nothing, a halted run
    nothing about gates.
    """
    troubles = _troubles(record, standing)
    new = _new(record, standing, troubles)
    fresh = [troubles[key] for key in new]
    ended = {
        key: since
        for key, since in standing.alerts.items()
        if key not in troubles and _proved_over(record, key)
    }
    alerts = {key: since for key, since in standing.alerts.items() if key not in ended} | new
    told = {key: since for key, since in ended.items() if not _momentary(key)}
    if not fresh and not told:
        return AlertDecision((), alerts)
    still = [flag for key, flag in troubles.items() if key not in new]
    return AlertDecision((_mail(record, standing, fresh, told, still),), alerts)


def alert_key(flag: Trouble) -> str:
    """Return what makes a trouble the same: code and subject; for a failure also its step."""
    if flag.code == "run-failed" and isinstance(flag, ErrorFlag):
        return f"{flag.code} step:{int(flag.step)}"
    return f"{flag.code} {flag.subject}".rstrip()


def _troubles(record: RunRecord, standing: Standing) -> dict[str, Trouble]:
    """Return this run's troubles by key: flagged now, or latched and still there."""
    found: dict[str, Trouble] = {}
    flags: Sequence[Trouble] = [*record.flags, *standing.latched]
    for flag in flags:
        if flag.severity is not Severity.NOTE:
            found.setdefault(alert_key(flag), flag)
    step = Step(record.reached)
    # A deadline is noticed a step before the one in which the run ends by it.
    named = any(
        flag.severity is Severity.HALT and (flag.step == step or flag.code == "deadline")
        for flag in record.flags
    )
    if record.outcome is Outcome.FAILED and not named:
        failure = ErrorFlag(step, "run-failed", RUN, Severity.HALT, "the run broke off")
        found.setdefault(alert_key(failure), failure)
    return found


def _new(record: RunRecord, standing: Standing, troubles: Mapping[str, Trouble]) -> dict[str, str]:
    """Return the keys of the troubles that are not told yet, and as of when they are told now."""
    latched: dict[str, datetime] = {}
    for flag in standing.latched:
        key = alert_key(flag)
        latched[key] = max(flag.since, latched.get(key, flag.since))
    new = {}
    for key in troubles:
        told, since = standing.alerts.get(key), latched.get(key, record.slot)
        if told is None or (key in latched and since > datetime.fromisoformat(told)):
            at = max(record.slot, since).astimezone(UTC)
            new[key] = at.isoformat().replace("+00:00", "Z")
    return new


def _proved_over(record: RunRecord, key: str) -> bool:
    code, _, subject = key.partition(" ")
    if _momentary(key):
        return True
    if record.command or record.outcome is Outcome.FAILED:  # a command does not look at all of it
        return False
    if code not in GATED:
        return True
    if record.outcome is Outcome.HALTED:
        return False
    approved = any(order.instrument == subject for order in record.approved)
    idle = any(
        line.instrument == subject and line.action is Action.NOTHING for line in record.lines
    )
    return approved or idle


def _momentary(key: str) -> bool:
    kind = FLAG_TABLE.get(key.partition(" ")[0])
    return kind is not None and kind.clears == "at once"


def _mail(
    record: RunRecord,
    standing: Standing,
    fresh: Sequence[Trouble],
    ended: Mapping[str, str],
    still: Sequence[Trouble],
) -> Mail:
    stem = slot_name(record.slot)
    document = Document(
        title=f"{record.portfolio}: {_headline(record, standing, fresh, ended)}",
        subtitle=f"{what_it_was(record)} of {when(record.slot)}, mode {record.mode.value}",
        banner=BANNERS[record.mode],
        lead=(Paragraph(_lead(fresh, ended, still)),),
        sections=_sections(record, standing, fresh, ended, still),
        footer=files_footer(record),
    )
    return Mail(
        key=f"alert:{stem}:{record.attempt}",
        subject=MARKS[record.mode] + document.title,
        text=document_text(document),
        html=mail_html(document),
        name=f"{stem}-alert" + (f"-{record.attempt}" if record.attempt > 1 else ""),
    )


def _headline(
    record: RunRecord, standing: Standing, fresh: Sequence[Trouble], ended: Mapping[str, str]
) -> str:
    state = _stopped(record, standing, fresh)
    if not fresh:
        first = next(iter(ended)).replace(" ", ", ", 1)
        return f"recovered: {first}{_more(len(ended))}{state}"
    first_flag = max(fresh, key=lambda flag: flag.severity is Severity.HALT)
    if record.outcome is Outcome.FAILED:
        failure = next((flag for flag in fresh if flag.code == "run-failed"), first_flag)
        what = failure.code if failure.code != "run-failed" else STEP_NAMES[record.reached]
        return f"FAILED, {what}{_more(len(fresh))}"
    subject = f", {first_flag.subject}" if first_flag.subject != RUN else ""
    return f"{first_flag.severity.value} {first_flag.code}{subject}{_more(len(fresh))}{state}"


def _stopped(record: RunRecord, standing: Standing, fresh: Sequence[Trouble]) -> str:
    """Return what a headline adds of a run that did not trade freely; '' where it says so."""
    state = (record.standing or standing).state
    if record.outcome is Outcome.HALTED or state is TradingState.HALTED:
        named = any(flag.severity is Severity.HALT for flag in fresh)
        return "" if named else f"; still {TradingState.HALTED.value}"
    if state is TradingState.ACTIVE:
        return ""
    began = any(flag.subject == RUN for flag in fresh)
    return f"; {state.value}" if began else f"; still {state.value}"


def _more(number: int) -> str:
    return f" and {number - 1} more" if number > 1 else ""


def _lead(fresh: Sequence[Trouble], ended: Mapping[str, str], still: Sequence[Trouble]) -> str:
    text = f"{count(len(fresh), 'new trouble')}, {len(ended)} ended, {len(still)} still there. "
    once = "You are told once of each, again if it ends and comes anew, and once when it is over."
    return text[:1].upper() + text[1:] + once


def _sections(
    record: RunRecord,
    standing: Standing,
    fresh: Sequence[Trouble],
    ended: Mapping[str, str],
    still: Sequence[Trouble],
) -> tuple[Section, ...]:
    sections = []
    if fresh:
        sections.append(Section("New", _grouped(fresh, sent=was_sent(record))))
    refused = [row for row in order_rows(record) if row.fate is Fate.REFUSED]
    base = base_currency(record)
    if refused:
        told = orders_section(refused, base)
        sections.append(Section("Orders that a gate refused", told.blocks))
    if ended:
        over = tuple(
            Paragraph(_ending(key, since, record.now), Tone.GOOD) for key, since in ended.items()
        )
        sections.append(Section("Ended", over))
    if still:
        lines = [f"{flag.severity.value} {alert_key(flag)}: {flag.message}" for flag in still]
        sections.append(Section("Still there", (Paragraph("\n".join(lines)),)))
    figures: tuple[Block, ...] = (*run_lead(record), key_figures(record, standing))
    sections.append(Section("The run", figures))
    return tuple(sections)


def _grouped(flags: Sequence[Trouble], *, sent: bool) -> tuple[Block, ...]:
    """Return one block for each code, gravest first; many subjects of a code share one."""
    by_code: dict[str, list[Trouble]] = defaultdict(list)
    for flag in sorted(flags, key=lambda flag: flag.severity is not Severity.HALT):
        by_code[flag.code].append(flag)
    return tuple(
        trouble(group[0], sent=sent) if len(group) == 1 else _many(group, sent=sent)
        for group in by_code.values()
    )


def _many(group: Sequence[Trouble], *, sent: bool) -> Paragraph:
    told = explain(group[0], sent=sent)
    lines = [f"{told.severity.value} {told.code}, {len(group)} times:"]
    lines += [f"- {flag.subject or 'the run'}: {flag.message}" for flag in group[:MOST_SUBJECTS]]
    if len(group) > MOST_SUBJECTS:
        lines.append(f"- and {len(group) - MOST_SUBJECTS} more")
    held = told.severity is Severity.HOLD
    lines.append("Not done: nothing was sent for what is named above." if held else told.not_done)
    lines.append(f"What to do: {told.to_do}")
    return Paragraph("\n".join(lines), Tone.WARN if held else Tone.BAD)


def _ending(key: str, since: str, now: datetime) -> str:
    code, _, subject = key.partition(" ")
    about = f" ({subject})" if subject else ""
    began = datetime.fromisoformat(since)
    return f"{code}{about} is over. It was first told {when(began)}, {span(now - began)} ago."
