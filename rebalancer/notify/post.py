"""The run's way out for mails: send within the time budget, queue what cannot leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from rebalancer.model.flags import ErrorFlag
from rebalancer.model.records import Mail
from rebalancer.notify.files import late
from rebalancer.notify.mail import MailNotSent, Sender
from rebalancer.notify.outbox import Outbox

BUDGET_SECONDS = 20.0
"""The time of one run for all its mails."""


class MailPost:
    """A `ports.Post` over SMTP, for one run. `wall_now` tells the real time, also in paper.

    A server that cannot be reached is not tried again in the same run: what comes later goes
    to the outbox at once.
    """

    def __init__(
        self,
        sender: Sender,
        outbox: Outbox,
        wall_now: Callable[[], datetime],
        *,
        budget_seconds: float = BUDGET_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender, self._outbox, self._wall_now = sender, outbox, wall_now
        self._left, self._monotonic = budget_seconds, monotonic
        self._down = ""

    def send(self, mails: Sequence[Mail]) -> tuple[ErrorFlag, ...]:
        """Put mails behind those that wait, and send as many as time and server allow.

        Never raises; returns a NOTE when something waits or was refused, and one more for each
        mail that is lost because neither disk nor server took it.
        """
        try:
            self._outbox.put(mails, self._wall_now())
        except Exception as error:
            told, lost = self._without_disk(mails, f"{type(error).__name__}: {error}")
            return late(mails, told, lost)
        try:
            told = self._flush()
        except Exception as error:
            told = f"mails wait in the outbox: {type(error).__name__}: {error}"
        return late(mails, told) if told else ()

    def _without_disk(self, mails: Sequence[Mail], trouble: str) -> tuple[str, list[str]]:
        """Send mails that the disk did not take, twice rather than never; return what is lost."""
        troubles = [f"the outbox cannot be used: {trouble}"]
        lost = [mail.key for mail in mails]
        try:
            for mail in mails:
                if not self._down and self._deliver(mail, troubles):
                    lost.remove(mail.key)
        except Exception as error:
            troubles.append(f"{type(error).__name__}: {error}")
        troubles += [f"not sent: {', '.join(lost)}"] if lost else []
        return "; ".join(troubles), lost

    def _flush(self) -> str:
        """Return what the owner must know, '' when every mail left whole."""
        troubles: list[str] = []
        self._tell_merged(troubles)
        for waiting in self._outbox.waiting():
            if self._down:
                break
            if self._deliver(waiting.mail, troubles):
                self._outbox.sent(waiting)
        left = len(self._outbox.waiting())
        if left:
            why = self._down or "; ".join(troubles)
            noun = "mail waits" if left == 1 else "mails wait"
            return f"{left} {noun} in the outbox: {why}"
        unreadable = self._outbox.unreadable()
        if unreadable:
            troubles.append(f"the outbox has files that are no mails: {', '.join(unreadable)}")
        return "; ".join(troubles)

    def _deliver(self, mail: Mail, troubles: list[str]) -> bool:
        """Return whether the server took the mail; note why not."""
        if self._left <= 0:
            self._down = "the run's time for mails is over"
            return False
        began = self._monotonic()
        try:
            refused = self._sender.deliver(mail, self._wall_now(), self._left)
        except MailNotSent as error:
            troubles.append(str(error))
            self._down = str(error) if error.server_down else ""
            return False
        finally:
            self._left -= self._monotonic() - began
        if refused:
            troubles.append(f"{mail.key}: the server refused {', '.join(refused)}")
        return True

    def _tell_merged(self, troubles: list[str]) -> None:
        """Send the one line that is left of mails which waited too long or were too many."""
        merged = self._outbox.merged()
        if not merged.count or self._down:
            return
        line = (
            f"{merged.count} older mails could not be sent and were dropped: they were written "
            f"between {merged.first} and {merged.last} UTC. The runs they tell of are on record."
        )
        mail = Mail(
            key=f"merged:{merged.through}",
            subject=f"{merged.count} mails were dropped",
            text=line + "\n",
            html=f"<p>{line}</p>",
        )
        if self._deliver(mail, troubles):
            self._outbox.told()
