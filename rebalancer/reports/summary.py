"""One run in a minute's reading."""

from __future__ import annotations

from dataclasses import replace

from rebalancer.model.flags import Severity
from rebalancer.model.records import Outcome, RunRecord
from rebalancer.reports.blocks import (
    BANNERS,
    FLAGS_TITLE,
    base_currency,
    files_footer,
    fills_section,
    flags_section,
    idle_section,
    key_figures,
    orders_section,
    positions_section,
)
from rebalancer.reports.costs import NEVER_SENT, costs, costs_text, tally
from rebalancer.reports.document import Document, Paragraph, Section, Tone, document_text
from rebalancer.reports.explain import STEP_NAMES
from rebalancer.reports.numbers import count, when
from rebalancer.reports.protection import stops_section
from rebalancer.reports.rows import OrderRow, idle_rows, order_rows, position_rows

__all__ = ["lead_text", "run_document", "run_lead", "run_table", "summary_text", "was_sent"]


def run_table(record: RunRecord) -> tuple[OrderRow, ...]:
    """Return one row per wanted order with its reason, fate and cost, unformatted."""
    return order_rows(record)


def summary_text(record: RunRecord) -> str:
    """Return the run as plain text."""
    return document_text(run_document(record))


def lead_text(record: RunRecord) -> str:
    """Return how the run ended, its key figures and its flags as plain text; no tables."""
    whole = run_document(record)
    shown = tuple(each for each in whole.sections if each.title in {"Key figures", FLAGS_TITLE})
    return document_text(replace(whole, sections=shown, footer=()))


def was_sent(record: RunRecord) -> bool:
    """Return whether any order left in this run."""
    return any(row.fate not in NEVER_SENT for row in order_rows(record))


def run_lead(record: RunRecord) -> tuple[Paragraph, ...]:
    """Return how the run ended, what it sent and what that cost, in two or three sentences."""
    rows = order_rows(record)
    lead = [_ending(record), Paragraph(f"{_capital(tally(rows))}.")]
    spent = costs(rows, record.fills, record.income)
    lead.append(Paragraph(costs_text(spent, base_currency(record))))
    held = [flag for flag in record.flags if flag.severity is Severity.HOLD]
    if held:
        subjects = sorted({flag.subject or "the run" for flag in held})
        shown = ", ".join(subjects[:5]) + (" ..." if len(subjects) > 5 else "")
        lead.append(Paragraph(f"{count(len(held), 'HOLD')}: {shown}.", Tone.WARN))
    return tuple(lead)


def run_document(record: RunRecord) -> Document:
    """Return the run as a report: figures, orders, executions, positions, flags, files."""
    base, standing = base_currency(record), record.standing
    seen = record.after or record.before
    session = "no session" if record.session is None else f"session {record.session.isoformat()}"
    account = "account not seen" if seen is None else f"account {seen.account}"
    sections: list[Section | None] = [
        Section("Key figures", (key_figures(record, standing),)),
        flags_section(
            record.flags, () if standing is None else standing.latched, sent=was_sent(record)
        ),
        orders_section(order_rows(record), base),
        idle_section(idle_rows(record)),
        fills_section(record.fills),
        positions_section(position_rows(record), base),
        stops_section(record.stops),
    ]
    return Document(
        title=f"{record.portfolio}: {what_it_was(record)} of {when(record.slot)}",
        subtitle=f"{session}, {account}, mode {record.mode.value}, exit code {record.exit_code}",
        banner=BANNERS[record.mode],
        lead=run_lead(record),
        sections=tuple(section for section in sections if section is not None),
        footer=files_footer(record),
    )


def what_it_was(record: RunRecord) -> str:
    """Return what left the record: a run, or a command that the owner typed."""
    return record.command or "run"


def _ending(record: RunRecord) -> Paragraph:
    if record.outcome is Outcome.FINISHED and record.command:
        return Paragraph(f"This was `rebalancer {record.command}`; it did its work.", Tone.GOOD)
    if record.outcome is Outcome.FINISHED:
        return Paragraph("The run finished all its steps.", Tone.GOOD)
    if record.outcome is Outcome.HALTED:
        reasons = [flag.message for flag in record.flags if flag.severity is Severity.HALT]
        why = f": {reasons[0]}" if reasons else ""
        return Paragraph(f"HALTED{why}.".replace("..", "."), Tone.BAD)
    place = STEP_NAMES.get(record.reached, f"step {record.reached}")
    return Paragraph(f"FAILED at {place}. What later steps could do was done.", Tone.BAD)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
