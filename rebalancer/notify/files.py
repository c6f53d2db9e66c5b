"""Mails as files, for owners without a mail server: one page and one text each."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path

from rebalancer.errors import StateError
from rebalancer.model.flags import RUN, ErrorFlag, Severity, Step
from rebalancer.model.records import Mail
from rebalancer.store.atomic import Files


class FilePost:
    """A `ports.Post` that writes `<folder>/<name>.html` and `.txt`, pictures inside the page.

    Attachments lie beside them as `<name>-<attachment>`; the same mail again is the same files.
    """

    def __init__(self, folder: Path, files: Files) -> None:
        self._folder, self._files = folder, files

    def send(self, mails: Sequence[Mail]) -> tuple[ErrorFlag, ...]:
        """Write mails; return NOTEs when the disk refuses."""
        troubles, lost = [], []
        for mail in mails:
            try:
                self._write(mail)
            except (StateError, ValueError) as error:
                troubles.append(f"{mail.key}: {error}")
                lost.append(mail.key)
        return late(mails, f"cannot be written: {'; '.join(troubles)}", lost) if troubles else ()

    def _write(self, mail: Mail) -> None:
        stem = file_stem(mail)
        for attachment in mail.attachments:
            name = re.sub(r"[^A-Za-z0-9._-]", "-", attachment.name)
            self._files.replace(self._folder / f"{stem}-{name}", attachment.content)
        text = f"{mail.subject}\n\n{mail.text}"
        self._files.replace(self._folder / f"{stem}.txt", text.encode("utf-8"))
        self._files.replace(self._folder / f"{stem}.html", page(mail).encode("utf-8"))


def page(mail: Mail) -> str:
    """Return the mail's HTML with its pictures as data URIs."""
    html = mail.html
    for image in mail.images:
        content = base64.b64encode(image.content).decode("ascii")
        html = html.replace(f'"cid:{image.name}"', f'"data:{image.content_type};base64,{content}"')
    return html


def file_stem(mail: Mail) -> str:
    """Return the mail's name as the stem of a file: letters, digits, `.`, `_` and `-` only."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", mail.name or mail.key).lstrip(".") or "mail"


def late(mails: Sequence[Mail], message: str, lost: Sequence[str] = ()) -> tuple[ErrorFlag, ...]:
    """Return the NOTE that mails wait, at the step whose mails they are.

    And one about each mail that is neither sent nor kept, its key as the subject (`lost`): who
    asked for it still owes it.
    """
    daily = any(mail.key.startswith("mail:") for mail in mails)
    step = Step.DAILY_UPDATE if daily else Step.ALERT
    gone = "it could neither be sent nor be kept; the next run owes it, or a newer one of its kind"
    return (
        ErrorFlag(step, "mail-late", RUN, Severity.NOTE, message),
        *(ErrorFlag(step, "mail-late", key, Severity.NOTE, f"{key}: {gone}") for key in lost),
    )
