"""A run that fails and leaves no record: no step 10 tells the owner, so this does."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rebalancer.errors import LockBusy, LockHung, RebalancerError, UsageError

if TYPE_CHECKING:
    from rebalancer.config import Config
    from rebalancer.model.records import Mail, Mode
    from rebalancer.store.atomic import Files

MARKER = "failures.told"
"""Remembers the day on which each kind of failure was mailed last.

It is not among the books: those may be another run's, or damaged.
"""
NOT_TOLD = (LockBusy, UsageError)
"""What is ordinary, and what whoever typed it reads on the spot."""


def tell_unrecorded(config: Config, mode: Mode, error: Exception, now: datetime) -> None:
    """Mail a failure that no record tells of, once a day (UTC) and kind; never raises.

    The mail goes out even when nothing can be written: a mail server is asked all the same. One
    that neither disk nor server took is made again; one that waits is tried with each failure.
    """
    if isinstance(error, NOT_TOLD):
        return
    try:
        _tell(config, mode, error, now)
    except Exception:
        return  # the process still ends with the code of what happened, and cron tells that


def failure_mail(config: Config, error: Exception, now: datetime) -> Mail:
    """Return the mail: what happened, what it means and what to do about it."""
    from rebalancer.model.records import Mail
    from rebalancer.model.secret import masked
    from rebalancer.reports.document import Document, Paragraph, Section, Tone, document_text
    from rebalancer.reports.html import mail_html

    ours = isinstance(error, RebalancerError)
    words = " ".join(masked(str(error)).split()) or "no words"
    kind, hangs = type(error).__name__, isinstance(error, LockHung)
    code = error.exit_code if isinstance(error, RebalancerError) else RebalancerError.exit_code
    advice = error.advice if isinstance(error, RebalancerError) else RebalancerError.advice
    title = "a run hangs; no run of this portfolio can work" if hangs else "a run left no record"
    document = Document(
        title=f"{config.name}: {title}",
        subtitle=f"found at {now:%Y-%m-%d %H:%M} UTC",
        lead=(Paragraph(f"{words if ours else f'{kind}: {words}'}.", Tone.BAD),),
        sections=(
            Section("What was not done", (Paragraph(_HANGS if hangs else _FAILED),)),
            Section(
                "What to do",
                (
                    Paragraph(
                        f"{advice} Then the next run goes on. The process ended with exit code "
                        f"{code}; this mail comes once a day while that is so."
                    ),
                ),
            ),
        ),
    )
    return Mail(
        key=f"failed:{kind}:{now:%Y-%m-%d}",
        subject=document.title,
        text=document_text(document),
        html=mail_html(document),
        name=f"{now:%Y-%m-%dT%H%MZ}-failed-{kind}",
    )


_HANGS = (
    "This run and every one after it leaves at once: nothing is looked at, sent or recorded. The "
    "lock is never broken by us, because the other run may still send."
)
_FAILED = (
    "The run ended where it was. Anything that it had sent by then is at the venue; the next run "
    "that can work looks those orders up and books their executions before it plans."
)


def _tell(config: Config, mode: Mode, error: Exception, now: datetime) -> None:
    from rebalancer.model.codec import to_json
    from rebalancer.model.records import SCHEMA, Mode
    from rebalancer.store.atomic import Files
    from rebalancer.store.lock import account_lock_path
    from rebalancer.wiring import DRY, post_for

    files, dry = Files(), mode is Mode.DRY_RUN
    beside_lock = account_lock_path(config.account.venue.value, config.account_key)
    places = (
        config.state_folder / DRY / MARKER if dry else config.state_folder / MARKER,
        # When the state folder takes nothing, the account's locks may lie on another disk.
        beside_lock.with_suffix(".told"),
    )
    kind, day = type(error).__name__, now.date().isoformat()
    told = {place: _told(files, place) for place in places}
    known = any(days.get(kind) == day for days in told.values())
    mails = () if known else (failure_mail(config, error, now),)
    flags = post_for(config, files, dry=dry).send(mails)  # what waits is tried again
    lost = {flag.subject for flag in flags}
    if known or any(mail.key in lost for mail in mails):
        return
    for place in places:
        marker = {"schema": SCHEMA, "days": told[place] | {kind: day}}
        try:
            files.replace(place, f"{to_json(marker)}\n".encode("ascii"))
        except OSError:
            continue  # a mail too many, at worst one an hour
        return


def _told(files: Files, place: Path) -> dict[str, str]:
    """Return the day of the last mail of each kind, as far as we know of one."""
    try:
        days = json.loads(files.read(place))["days"]
        return {str(kind): str(day) for kind, day in days.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
