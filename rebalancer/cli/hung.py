"""A run that finds the lock of one that hangs: nothing can be done, so the owner is told."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from rebalancer.config import Config
from rebalancer.errors import LockHung, StateError
from rebalancer.model.codec import to_json
from rebalancer.model.records import SCHEMA, Mail
from rebalancer.reports.document import Document, Paragraph, Section, Tone, document_text
from rebalancer.reports.html import mail_html
from rebalancer.store.atomic import Files
from rebalancer.wiring import post_for

MARKER = "lock.told"
"""Remembers the day of the last such mail. The books are the other run's: not ours to write."""


def tell_hung(config: Config, error: LockHung, now: datetime) -> None:
    """Mail that the holder of the lock hangs, once a day (UTC); never raises."""
    files, path = Files(), config.state_folder / MARKER
    day = now.date().isoformat()
    try:
        if _told_on(files, path) == day:
            return
        post_for(config, files).send((hung_mail(config, error, now),))
        marker = {"schema": SCHEMA, "day": day}
        files.replace(path, f"{to_json(marker)}\n".encode("ascii"))
    except StateError:
        return  # the process still ends with the code of a lock that hangs, and cron tells it


def hung_mail(config: Config, error: LockHung, now: datetime) -> Mail:
    """Return the mail: who holds the lock since when, and what to do about it."""
    document = Document(
        title=f"{config.name}: a run hangs; no run of this portfolio can work",
        subtitle=f"found at {now:%Y-%m-%d %H:%M} UTC",
        lead=(Paragraph(f"{error}.", Tone.BAD),),
        sections=(
            Section(
                "What was not done",
                (
                    Paragraph(
                        "This run and every one after it leaves at once, with exit code "
                        f"{error.exit_code}: nothing is looked at, sent or recorded. The lock "
                        "is never broken by us, because the other run may still send."
                    ),
                ),
            ),
            Section("What to do", (Paragraph(f"{error.advice} Then the next run goes on."),)),
        ),
    )
    return Mail(
        key=f"hung:{now:%Y-%m-%d}",
        subject=document.title,
        text=document_text(document),
        html=mail_html(document),
        name=f"{now:%Y-%m-%dT%H%MZ}-hung",
    )


def _told_on(files: Files, path: Path) -> str:
    """Return the day of the last mail, '' when there was none that we know of."""
    if not files.exists(path):
        return ""
    try:
        return str(json.loads(files.read(path))["day"])
    except (ValueError, KeyError, TypeError):
        return ""
