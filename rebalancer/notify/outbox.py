"""Mails that wait for their server: durable, bounded, each key once.

A mail is on disk before it is tried and leaves the disk after the server took it, so none is
lost. It is sent at most once unless the process dies, or the connection breaks, between the
server's yes and our writing it down: then it is sent again, with the same Message-ID.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rebalancer.errors import DataError, StateError
from rebalancer.model.records import SCHEMA, Attachment, Mail
from rebalancer.store.atomic import Files

MOST_WAITING = 50
LONGEST_WAIT = timedelta(days=3)
REMEMBERED = 200
"""How many keys of mails that left are remembered, so that none of them leaves again."""

_PENDING = re.compile(r"(\d{6,})\.json")


@dataclass(frozen=True)
class Waiting:
    """A mail in the outbox: its place in the queue and since when it waits."""

    number: int
    since: datetime
    mail: Mail


@dataclass(frozen=True)
class Merged:
    """What is left of mails that waited too long or were too many: one line.

    `through` is the place in the queue of the newest of them.
    """

    count: int = 0
    first: str = ""
    last: str = ""
    through: int = 0


@dataclass
class _Index:
    sent: list[str] = field(default_factory=list)
    next_number: int = 1
    merged: Merged = field(default_factory=Merged)


class Outbox:
    """The folder of waiting mails. Times are wall times, given by the caller."""

    def __init__(self, folder: Path, files: Files) -> None:
        self._folder, self._files = folder, files

    def put(self, mails: Sequence[Mail], now: datetime) -> None:
        """Add mails whose key is neither waiting nor sent; merge what exceeds the bounds.

        Raises `StateError` when the disk refuses.
        """
        if not mails and not self._numbers():
            return
        index = self._index()
        known = {waiting.mail.key for waiting in self.waiting()} | set(index.sent)
        for mail in mails:
            if mail.key in known:
                continue
            known.add(mail.key)
            number = max([index.next_number, *(n + 1 for n in self._numbers())])
            self._files.replace(self._path(number), _dump(mail, now))
            index.next_number = number + 1
        self._bound(now)

    def waiting(self) -> tuple[Waiting, ...]:
        """Return the mails to be sent, oldest first; a file that cannot be read stays aside."""
        index = self._index()
        found = []
        for number in self._numbers():
            if number <= index.merged.through:
                continue
            try:
                waiting = _load(number, self._files.read(self._path(number)))
            except (DataError, StateError):
                continue
            if waiting.mail.key not in index.sent:
                found.append(waiting)
        return tuple(found)

    def merged(self) -> Merged:
        """Return what was merged and not yet told; `count` is 0 when nothing was."""
        return self._index().merged

    def sent(self, waiting: Waiting) -> None:
        """Remember that a mail left, then take it from the queue."""
        index = self._index()
        index.sent = [*index.sent, waiting.mail.key][-REMEMBERED:]
        index.next_number = max(index.next_number, waiting.number + 1)
        self._save(index)
        self._files.remove(self._path(waiting.number))

    def told(self) -> None:
        """Forget the merged line: it has been sent."""
        index = self._index()
        index.merged = Merged(through=index.merged.through)
        self._save(index)

    def unreadable(self) -> tuple[str, ...]:
        """Return the names of files that look like mails and cannot be read."""
        bad = []
        for number in self._numbers():
            try:
                _load(number, self._files.read(self._path(number)))
            except (DataError, StateError):
                bad.append(self._path(number).name)
        return tuple(bad)

    def _bound(self, now: datetime) -> None:
        """Merge the oldest mails beyond the bounds; the line is on disk before they go.

        What lies at or before `merged.through` is counted already: a crash in between costs
        no mail its place in the count and counts none twice.
        """
        index = self._index()
        waiting = self.waiting()
        gone: list[Waiting] = []
        for place, each in enumerate(waiting):
            too_many = len(waiting) - place > MOST_WAITING
            if not too_many and now - each.since <= LONGEST_WAIT:
                break
            gone.append(each)
        if gone:
            first = index.merged.first or f"{gone[0].since:%Y-%m-%d %H:%M}"
            index.merged = Merged(
                index.merged.count + len(gone),
                first,
                f"{gone[-1].since:%Y-%m-%d %H:%M}",
                gone[-1].number,
            )
            index.next_number = max(index.next_number, gone[-1].number + 1)
            self._save(index)
        for number in self._numbers():
            if number <= index.merged.through:
                self._files.remove(self._path(number))

    def _numbers(self) -> list[int]:
        names = (_PENDING.fullmatch(name) for name in self._files.listing(self._folder))
        return sorted(int(match[1]) for match in names if match)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.json"

    def _index(self) -> _Index:
        """Return the outbox's memory; a damaged one is empty: a mail twice, none lost."""
        path = self._folder / "index.json"
        if not self._files.exists(path):
            return _Index()
        content = self._files.read(path)
        try:
            plain = json.loads(content)
            merged = plain["merged"]
            return _Index(
                [str(key) for key in plain["sent"]],
                int(plain["next"]),
                Merged(
                    int(merged["count"]),
                    str(merged["first"]),
                    str(merged["last"]),
                    int(merged["through"]),
                ),
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            return _Index()

    def _save(self, index: _Index) -> None:
        merged = index.merged
        plain = {
            "schema": SCHEMA,
            "next": index.next_number,
            "sent": index.sent,
            "merged": {
                "count": merged.count,
                "first": merged.first,
                "last": merged.last,
                "through": merged.through,
            },
        }
        text = json.dumps(plain, indent=1)
        self._files.replace(self._folder / "index.json", text.encode("ascii"))


def _dump(mail: Mail, now: datetime) -> bytes:
    plain = {
        "schema": SCHEMA,
        "since": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "key": mail.key,
        "name": mail.name,
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "images": [_packed(image) for image in mail.images],
        "attachments": [_packed(attachment) for attachment in mail.attachments],
    }
    return json.dumps(plain, indent=1).encode("ascii")


def _packed(attachment: Attachment) -> dict[str, str]:
    content = base64.b64encode(attachment.content).decode("ascii")
    return {"name": attachment.name, "type": attachment.content_type, "content": content}


def _load(number: int, content: bytes) -> Waiting:
    """Return a waiting mail. Raises `DataError` when the file is not one."""
    try:
        plain: Mapping[str, Any] = json.loads(content)
        if not 1 <= plain["schema"] <= SCHEMA:  # mails are as they were in version 1
            raise DataError(f"{number:06d}.json: schema {plain['schema']}, not {SCHEMA}")
        mail = Mail(
            key=plain["key"],
            subject=plain["subject"],
            text=plain["text"],
            html=plain["html"],
            images=tuple(_unpacked(each) for each in plain["images"]),
            attachments=tuple(_unpacked(each) for each in plain["attachments"]),
            name=plain["name"],
        )
        return Waiting(number, datetime.fromisoformat(plain["since"]), mail)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{number:06d}.json: not a mail: {error}") from error


def _unpacked(plain: Mapping[str, str]) -> Attachment:
    content = base64.b64decode(plain["content"], validate=True)
    return Attachment(plain["name"], content, plain["type"])
