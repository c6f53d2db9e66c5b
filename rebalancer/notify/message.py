"""A mail as the bytes that travel: plain text, HTML with its pictures, attachments."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from rebalancer.model.records import Attachment, Mail
from rebalancer.model.words import plain


def mail_bytes(mail: Mail, sender: str, recipients: Sequence[str], at: datetime) -> bytes:
    """Return the message in ASCII, lines ended by CRLF.

    Its parts: mixed [ alternative [ text/plain, related [ text/html, pictures by
    Content-ID ] ], attachments ]. The Message-ID comes from the mail's key and its
    recipients, so that a mail that had to be sent again can be told for the same one.
    """
    message = EmailMessage(policy=SMTP)
    message["Subject"] = plain(mail.subject)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = message_id(mail.key, sender, recipients)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text, cte="base64")
    message.add_alternative(mail.html, subtype="html", cte="base64")
    body = message.get_body(("html",))
    for image in mail.images:
        main, _, sub = image.content_type.partition("/")
        body.add_related(  # type: ignore[union-attr]
            image.content,
            main,
            sub,
            cid=f"<{image.name}>",
            filename=image.name,
            disposition="inline",
        )
    for attachment in mail.attachments:
        _attach(message, attachment)
    return message.as_bytes()


def message_id(key: str, sender: str, recipients: Sequence[str]) -> str:
    """Return the mail's Message-ID."""
    named = "\n".join([key, sender, *recipients])
    digest = hashlib.sha256(named.encode("utf-8")).hexdigest()[:32]
    domain = re.sub(r"[^A-Za-z0-9.-]", "", sender.rpartition("@")[2]) or "localhost"
    return f"<{digest}@{domain}>"


def _attach(message: EmailMessage, attachment: Attachment) -> None:
    main, _, sub = attachment.content_type.partition("/")
    name = re.sub(r"[^A-Za-z0-9._-]", "-", attachment.name).lstrip(".")
    message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=name)
