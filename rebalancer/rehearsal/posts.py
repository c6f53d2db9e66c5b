"""Mails and the database of a rehearsal: the real ones, their servers failing in every way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from rebalancer.model.flags import RUN, ErrorFlag, Severity, Step
from rebalancer.model.records import Mail
from rebalancer.model.sessions import SessionTable
from rebalancer.notify.mail import MailNotSent
from rebalancer.notify.outbox import Outbox
from rebalancer.notify.post import MailPost
from rebalancer.ports import Books, Database
from rebalancer.simulators.faults.injection import Injector
from rebalancer.store.atomic import Files
from rebalancer.store.lazy_database import DATABASE, MARKER

FAILURES: dict[str, tuple[str, bool]] = {
    "mail-refused": ("ConnectionRefusedError: nobody listens", True),
    "mail-silent": ("no end after 20 s", True),
    "mail-login-refused": ("the server refused the user name or password (code 535)", True),
    "mail-rejected": ("SMTPDataError: (554, b'rejected')", False),
    "mail-deferred": ("SMTPDataError: (451, b'try again later')", False),
    "mail-cut": ("ConnectionError: the connection broke", True),
}
"""What the sender says, and whether the next mail would meet the same."""


@dataclass
class Mailbox:
    """What a mail server took."""

    mails: list[tuple[str, str]] = field(default_factory=list)

    def taken(self) -> tuple[tuple[str, str], ...]:
        """Return subject and text of the mails since the last call."""
        taken, self.mails = tuple(self.mails), []
        return taken


class RehearsedSender:
    """A `notify.mail.Sender` whose server takes mails, unless a trouble says otherwise."""

    def __init__(self, mailbox: Mailbox, injector: Injector) -> None:
        self._mailbox, self._injector = mailbox, injector

    def deliver(self, mail: Mail, _at: datetime, _seconds: float) -> tuple[str, ...]:
        """Take a mail or raise `MailNotSent`; a connection that is cut took it first."""
        self._injector.require_alive()
        for trouble in self._injector.due("mail", "sender.deliver"):
            self._injector.hit(trouble.fault, "sender.deliver")
            words, server_down = FAILURES[trouble.fault]
            if trouble.fault == "mail-cut":
                self._take(mail)
            raise MailNotSent(words, server_down=server_down)
        self._take(mail)
        return ()

    def _take(self, mail: Mail) -> None:
        self._mailbox.mails.append((mail.subject, mail.text))


def post_for(
    folder: Path,
    files: Files,
    mailbox: Mailbox,
    injector: Injector,
    now: Callable[[], datetime],
) -> MailPost:
    """Return the real way out for mails, its outbox in `folder`; time is the venue's."""
    return MailPost(
        RehearsedSender(mailbox, injector),
        Outbox(folder / "outbox", files),
        now,
        monotonic=lambda: now().timestamp(),
    )


class RehearsedDatabase:
    """A real database that cannot be reached, is full, or breaks while it commits."""

    def __init__(self, inner: Database, folder: Path, injector: Injector) -> None:
        self._inner, self._folder, self._injector = inner, folder, injector

    def catch_up(
        self, books: Books, sessions: SessionTable, now: datetime
    ) -> tuple[ErrorFlag, ...]:
        """Commit what is owed, as far as the troubles allow."""
        for trouble in self._injector.due("database", "database.catch_up"):
            self._injector.hit(trouble.fault, "database.catch_up")
            if trouble.fault == "database-down":
                return self._without(books, sessions, now)
            if trouble.fault == "database-full":
                return (_late("OperationalError: database or disk is full"),)
            self._inner.catch_up(books, sessions, now)
            # It committed, and nobody here knows: the next run commits the same once more.
            (self._folder / MARKER).unlink(missing_ok=True)
            return (_late("OperationalError: the connection was lost during the commit"),)
        return self._inner.catch_up(books, sessions, now)

    def _without(
        self, books: Books, sessions: SessionTable, now: datetime
    ) -> tuple[ErrorFlag, ...]:
        """Let the real one find a folder where its file should be."""
        path = self._folder / DATABASE
        aside = path.with_name("aside.db")
        there = path.exists()
        if there:
            path.rename(aside)
        path.mkdir()
        try:
            return self._inner.catch_up(books, sessions, now)
        finally:
            path.rmdir()
            if there:
                aside.rename(path)


def _late(why: str) -> ErrorFlag:
    message = f"the database commit waits for the next run: {why}"
    return ErrorFlag(Step.DATABASE, "database-late", RUN, Severity.NOTE, message)
