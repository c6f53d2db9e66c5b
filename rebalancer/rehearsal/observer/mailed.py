"""What the owner had to be told by mail was told, or waits in the outbox."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property

from rebalancer.model.flags import Severity
from rebalancer.model.records import Outcome, RunRecord
from rebalancer.rehearsal.evidence import RunEvidence
from rebalancer.rehearsal.observer.case import Case

DAILY = re.compile(r"session (start|middle|end) (\d{4}-\d{2}-\d{2})")
DROPPED = "mails were dropped"
NOT_SENT = "not sent:"
"""What a flag says when a mail is gone: neither the disk took it nor the server."""

GONE = "could neither be sent nor be kept"
"""What a flag says of a session's mail that the next run owes again."""

GATED = frozenset({"order-refused", "order-rejected"})
"""Troubles that a run may leave out though they are not over: it gated nothing."""

FAILED = "report-failed"
"""The flag of a run that could not write a report; it is an alert of its own."""

_BLANKS = re.compile(r"\s+")
_A_WEEK = timedelta(days=7)

Key = tuple[str, str]
"""A trouble: its code, and what it is about."""


class Post:
    """Every mail of a schedule: what the server took in any run, and what still waits."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.mails = [mail for run in case.evidence.runs for mail in run.mails]
        self.mails += self._waiting()

    def _waiting(self) -> Iterator[tuple[str, str]]:
        for path in sorted((self._case.evidence.state / "outbox").glob("[0-9]*.json")):
            told = json.loads(path.read_bytes())
            yield told["subject"], told["text"]

    @property
    def dropped(self) -> bool:
        """Return whether mails were given up because they waited too long."""
        index = self._case.evidence.state / "outbox" / "index.json"
        counted = json.loads(index.read_bytes())["merged"]["count"] if index.exists() else 0
        return bool(counted) or any(DROPPED in subject for subject, _ in self.mails)

    @cached_property
    def daily(self) -> frozenset[tuple[str, str]]:
        """Return kind and date of each session's mail."""
        found = (DAILY.search(subject) for subject, _ in self.mails)
        return frozenset((each[1], each[2]) for each in found if each)

    @cached_property
    def lost(self) -> str:
        """Return the words in which the runs themselves say which mails are lost."""
        runs = [run for run in self._case.evidence.runs if not run.dry]
        told = (words for run in runs for words in _messages(self._case, run))
        return " ".join(words for words in told if NOT_SENT in words)

    @cached_property
    def alerts(self) -> Sequence[str]:
        """Return the texts of alerts without any blanks."""
        return _alerts(self.mails)

    def told(self, run: RunEvidence, key: Key) -> bool:
        """Return whether an alert of a run, or one that it sent for another, names a trouble."""
        stamp = f"of{run.slot:%Y-%m-%d%H:%M}UTC"
        own = [text for text in self.alerts if stamp in text]
        return any(key[0] in text for text in (*own, *_alerts(run.mails)))


def unbroken(text: str) -> str:
    """Return a text without any blanks: its lines may be broken anywhere."""
    return _BLANKS.sub("", text)


def _alerts(mails: Sequence[tuple[str, str]]) -> Sequence[str]:
    return [unbroken(text) for subject, text in mails if not DAILY.search(subject)]


def untold(case: Case) -> Iterator[tuple[int, str]]:
    """Yield the place of each run that owed a mail which nobody got, and what it was about.

    Only where there is a mail server. A mail of which a flag says that it is lost is not asked
    for: that much was told.
    """
    if not case.evidence.schedule.post:
        return
    post = Post(case)
    if post.dropped:
        return
    before: dict[Key, int] = {}
    seen: list[tuple[RunEvidence, RunRecord, frozenset[Key]]] = []
    for place, run in enumerate(case.evidence.runs):
        record = _own_record(case, run)
        if record is None:
            mailed = (key for key in _journalled(case, run) if post.told(run, key))
            before |= dict.fromkeys(mailed, len(seen) - 1)
            continue
        flagged, standing = _flagged(record), _latched(record)
        if not _lost(case, run):
            for key in sorted(flagged):
                if _new(key, before, seen) and not _no_way_out(case, run, key, post):
                    yield place, f"{' '.join(key).strip()} is new and was never mailed"
            yield from ((place, words) for words in _daily(case, run, post))
        before |= dict.fromkeys(flagged | standing, len(seen))
        seen.append((run, record, flagged | standing))


def _own_record(case: Case, run: RunEvidence) -> RunRecord | None:
    """Return the record that a run wrote itself, None when there is none or it was a dry one."""
    if run.dry:
        return None
    if run.record is not None:
        return run.record
    record = case.ours.records.get(run.slot)
    whole = record is not None and record.attempt == run.attempt and record.after is not None
    return record if whole and run.killed else None


def _journalled(case: Case, run: RunEvidence) -> Iterator[Key]:
    """Yield the troubles in the journal of a run that wrote no record; it may have mailed them."""
    if run.dry:
        return
    for line in case.ours.journals.get(run.slot, ()):
        if line.get("kind") == "flag" and line["attempt"] == run.attempt:
            yield line["flag"]["code"], line["flag"]["subject"]


def _flagged(record: RunRecord) -> frozenset[Key]:
    return frozenset(
        (flag.code, f"step:{int(flag.step)}" if flag.code == "run-failed" else flag.subject)
        for flag in record.flags
        if flag.severity is not Severity.NOTE
    )


def _latched(record: RunRecord) -> frozenset[Key]:
    latched = record.standing.latched if record.standing is not None else ()
    return frozenset((flag.code, flag.subject) for flag in latched)


def _new(
    key: Key,
    before: dict[Key, int],
    seen: Sequence[tuple[RunEvidence, RunRecord, frozenset[Key]]],
) -> bool:
    """Return whether a trouble was never there before, or was surely over since."""
    if key not in before:
        return True
    if key[0] in GATED:
        return False
    return any(
        not run.killed and record.outcome is Outcome.FINISHED and not record.command
        for run, record, _ in seen[before[key] + 1 :]
    )


def _no_way_out(case: Case, run: RunEvidence, key: Key, post: Post) -> bool:
    """Return whether a trouble was told, or could not be: neither by mail nor by the disk.

    A report fails where the disk does. If the mail server fails in the same run, nothing is left.
    """
    planned = () if run.hour is None else case.evidence.schedule.hours[run.hour].troubles
    down = any(each.fault.startswith("mail-") for each in planned)
    return post.told(run, key) or (key[0] == FAILED and down)


def _messages(case: Case, run: RunEvidence) -> Iterator[str]:
    """Yield the words of a run's flags: its record's, and those of its journal."""
    if run.record is not None:
        yield from (flag.message for flag in run.record.flags)
    for line in case.ours.journals.get(run.slot, ()):
        if line.get("kind") == "flag" and line["attempt"] == run.attempt:
            yield line["flag"]["message"]


def _lost(case: Case, run: RunEvidence) -> bool:
    """Return whether a run itself says that a mail is lost."""
    return any(NOT_SENT in words for words in _messages(case, run))


def _daily(case: Case, run: RunEvidence, post: Post) -> Iterator[str]:
    """Yield the session's mail that was owed all the time while a run was at work.

    A command leaves it to the next run.
    """
    record = run.record
    if record is None or record.command:
        return
    ended = not run.killed and record.outcome is not Outcome.FAILED
    times = _owed(case, run.ended)
    if not times or not ended or _unreported(run) or max(times)[0] > run.slot:
        return
    _, kind, day = max(times)
    told = (kind, day) in post.daily or f"mail:{kind}:{day}" in post.lost
    if not told and not _replaced(case, run, kind, day):
        yield f"the mail of the session's {kind} of {day} was owed and never written"


def _owed(case: Case, now: datetime) -> Sequence[tuple[datetime, str, str]]:
    """Return the mails whose time came in the last week: since when, kind, and date."""
    sessions, kinds = case.evidence.sessions, case.evidence.session_mails
    days = () if sessions is None else sessions.between((now - _A_WEEK).date(), now.date())
    return [
        (at, kind, each.date.isoformat())
        for each in days
        for kind, at in (("start", each.open), ("middle", each.middle), ("end", each.close))
        if kind in kinds and at <= now
    ]


def _replaced(case: Case, run: RunEvidence, kind: str, day: str) -> bool:
    """Return whether a mail was gone, and a newer one was owed before anything could send it."""
    runs, key = case.evidence.runs, f"mail:{kind}:{day}: "
    for place, each in enumerate(runs[runs.index(run) :]):
        if any(words.startswith(key) and GONE in words for words in _messages(case, each)):
            continue
        if not place:
            return False
        if not each.dry and not each.killed and each.record is not None:
            return any(k == kind and d > day for _, k, d in _owed(case, each.slot))
    return False


def _unreported(run: RunEvidence) -> bool:
    """Return whether a run says itself that a report could not be written."""
    return run.record is not None and any(flag.code == FAILED for flag in run.record.flags)
