"""The mails of a session's start, middle and end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rebalancer.model.flags import Severity
from rebalancer.model.records import Attachment, EquityPoint, Mail, Outcome, RunRecord, Standing
from rebalancer.model.sessions import SessionTable
from rebalancer.reports.blocks import (
    BANNERS,
    MARKS,
    base_currency,
    files_footer,
    fills_section,
    flags_section,
    idle_section,
    key_figures,
    orders_section,
    positions_section,
    session_profit,
)
from rebalancer.reports.costs import costs, costs_text, session_rows, tally
from rebalancer.reports.document import Document, Paragraph, Picture, Section, Tone, document_text
from rebalancer.reports.html import EQUITY, mail_html, with_pictures
from rebalancer.reports.numbers import count, money, slot_name, span, when
from rebalancer.reports.owed import KINDS, OwedMail, owed_mails
from rebalancer.reports.plots import equity_png
from rebalancer.reports.rows import OrderRow, idle_rows, latest_fills, position_rows
from rebalancer.reports.summary import was_sent
from rebalancer.reports.tabular import orders_csv, trades_csv

__all__ = ["daily_mails", "owed_mails"]

TITLES = {"start": "session start", "middle": "session middle", "end": "session end"}


@dataclass(frozen=True)
class _Story:
    """What one mail tells of: the session's runs, and the run its figures come from.

    `writer` is the run that sends it, `last` the session's last run, `record` the last one
    that saw the account.
    """

    owed: OwedMail
    writer: RunRecord
    last: RunRecord
    record: RunRecord
    runs: tuple[RunRecord, ...]
    equity: tuple[EquityPoint, ...]
    rows: tuple[OrderRow, ...]


def daily_mails(
    record: RunRecord,
    earlier: Sequence[RunRecord],
    equity: Sequence[EquityPoint],
    sessions: SessionTable,
    standing: Standing,
    kinds: Sequence[str] = KINDS,
    *,
    pictures: bool = True,
) -> tuple[Mail, ...]:
    """Return the mails that are owed at `record.now`, often none.

    `earlier` are the records of the sessions concerned (those of other sessions are left
    aside, `record` itself may be among them); `equity` is the whole history. Each mail's
    key ends in its session date, to be remembered in `Standing.due`. `pictures` False: words and
    tables only.
    """
    mails = []
    for owed in owed_mails(sessions, standing, record.now, kinds):
        story = _story(owed, record, earlier, equity)
        mails.append(_mail(story, sessions, standing, pictures=pictures))
    return tuple(mails)


def _story(
    owed: OwedMail, record: RunRecord, earlier: Sequence[RunRecord], equity: Sequence[EquityPoint]
) -> _Story:
    by_slot = {each.slot: each for each in (*earlier, record)}
    runs = tuple(
        by_slot[slot] for slot in sorted(by_slot) if by_slot[slot].session == owed.session.date
    )
    seen = [each for each in runs if (each.after or each.before) is not None]
    return _Story(
        owed=owed,
        writer=record,
        last=runs[-1] if runs else record,
        record=seen[-1] if seen else record,
        runs=runs,
        equity=tuple(point for point in equity if point.session <= owed.session.date),
        rows=session_rows(runs),
    )


def _mail(story: _Story, sessions: SessionTable, standing: Standing, *, pictures: bool) -> Mail:
    owed, record = story.owed, story.record
    document = _document(story, sessions, standing)
    base = base_currency(record)
    images: tuple[Attachment, ...] = ()
    if story.equity and pictures:
        picture = Attachment(EQUITY, equity_png(story.equity, base), "image/png")
        images = (picture,)
        document = with_pictures(document, (Picture(EQUITY, "Net liquidation and drawdown"),))
    place = KINDS.index(owed.kind) + 1
    seen = record.after or record.before
    worth = "" if seen is None else f", {money(seen.net_liquidation, base)}"
    return Mail(
        key=owed.key,
        subject=MARKS[record.mode] + document.title + worth,
        text=document_text(document),
        html=mail_html(document),
        images=images,
        attachments=_attachments(story),
        name=f"{slot_name(story.writer.slot)}-daily-{place}-{owed.kind}",
    )


def _document(story: _Story, sessions: SessionTable, standing: Standing) -> Document:
    owed, record, base = story.owed, story.record, base_currency(story.record)
    fills = latest_fills(story.runs)
    lines = next((each for each in reversed(story.runs) if each.lines), record)
    profit = session_profit(story.equity, owed.session.date)
    sections: list[Section | None] = [
        Section("Key figures", (key_figures(record, standing, profit),)),
        flags_section(story.last.flags, standing.latched, sent=was_sent(story.last)),
        _ended_section(story),
        orders_section(story.rows, base, times=True),
        idle_section(idle_rows(lines)),
        fills_section(fills),
        positions_section(position_rows(record), base),
    ]
    attached = [f"{each.name}" for each in _attachments(story)]
    footer = [*files_footer(record), _next_times(story, sessions)]
    if attached:
        footer.insert(0, f"With this mail: {' and '.join(attached)} of the session.")
    half = ", half day" if owed.session.half_day else ""
    return Document(
        title=f"{record.portfolio}: {TITLES[owed.kind]} {owed.session.date.isoformat()}",
        subtitle=(
            f"calendar {sessions.calendar}{half}; figures as of the run of {when(record.slot)}; "
            f"mode {record.mode.value}"
        ),
        banner=BANNERS[record.mode],
        lead=_lead(story, base),
        sections=tuple(section for section in sections if section is not None),
        footer=tuple(footer),
    )


def _lead(story: _Story, base: str) -> tuple[Paragraph, ...]:
    owed = story.owed
    lead = []
    if owed.late:
        ago = span(story.writer.now - owed.since)
        lead.append(Paragraph(f"Late: this mail was due {when(owed.since)}, {ago} ago.", Tone.WARN))
    if not story.runs:
        text = "No run of this session is on record; the figures are those of the run that wrote."
        return (*lead, Paragraph(text, Tone.WARN))
    ends = Counter(run.outcome for run in story.runs)
    shown = ", ".join(f"{ends[end]} {end.value}" for end in Outcome if ends[end])
    so_far = "" if owed.kind == "end" else " so far"
    tone = Tone.GOOD if set(ends) == {Outcome.FINISHED} else Tone.BAD
    runs = f"{count(len(story.runs), 'run')} in this session{so_far}: {shown}."
    lead.append(Paragraph(runs[:1].upper() + runs[1:], tone))
    text = tally(story.rows)
    lead.append(Paragraph(f"{text[:1].upper()}{text[1:]}."))
    income = tuple(each for run in story.runs for each in run.income)
    spent = costs(story.rows, latest_fills(story.runs), income)
    lead.append(Paragraph(costs_text(spent, base)))
    return tuple(lead)


def _ended_section(story: _Story) -> Section | None:
    """Return the troubles of earlier runs of the session that the last one no longer had."""
    now = {(flag.code, flag.subject) for flag in story.last.flags}
    ended: dict[tuple[str, str], str] = {}
    for run in story.runs:
        for flag in run.flags:
            name = (flag.code, flag.subject)
            if flag.severity is not Severity.NOTE and name not in now:
                about = f" {flag.subject}" if flag.subject else ""
                ended[name] = f"{when(run.slot)}: {flag.code}{about}: {flag.message}"
    if not ended:
        return None
    return Section("Earlier in this session, over now", (Paragraph("\n".join(ended.values())),))


def _attachments(story: _Story) -> tuple[Attachment, ...]:
    """Return the session's trades and orders, without those that would be empty."""
    fills = latest_fills(story.runs)
    decisions = {
        order.reference: order.intent.reference_price
        for run in story.runs
        for order in run.approved
    }
    found = []
    if fills:
        found.append(trades_csv(fills, decisions))
    if any(run.lines for run in story.runs):
        found.append(orders_csv(story.rows, story.runs))
    return tuple(found)


def _next_times(story: _Story, sessions: SessionTable) -> str:
    session = story.owed.session
    if story.owed.kind != "end":
        return f"This session: {when(session.open)} to {when(session.close)}."
    following = sessions.next_open(session.open)
    return "" if following is None else f"The next session opens {when(following.open)}."
