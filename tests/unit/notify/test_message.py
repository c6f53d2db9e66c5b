"""The bytes of a mail: structure, order, and text that is never anything but text."""

from __future__ import annotations

import email
import email.policy
import pickle
from datetime import UTC, datetime

import pytest

from rebalancer.model.records import Attachment, Mail
from rebalancer.model.secret import Secret
from rebalancer.notify.message import mail_bytes, message_id

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(mail: Mail) -> email.message.EmailMessage:
    content = mail_bytes(mail, "bot@example.com", ["a@example.com", "b@example.com"], AT)
    content.decode("ascii")
    return email.message_from_bytes(content, policy=email.policy.default)


def test_a_mail_without_pictures_has_two_alternatives() -> None:
    message = parsed(Mail("k", "subject", "the text\n", "<p>the html</p>"))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_a_subject_cannot_bring_headers_with_it() -> None:
    message = parsed(Mail("k", "one\r\nBcc: evil@example.com", "t", "h"))
    assert message["Bcc"] is None
    assert message["Subject"] == "one Bcc: evil@example.com"


def test_a_text_that_names_a_file_stays_a_text() -> None:
    message = parsed(Mail("k", "s", "/etc/passwd", "/etc/passwd"))
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "/etc/passwd"
    assert list(message.iter_attachments()) == []


def test_the_same_mail_has_the_same_id_and_another_one_another() -> None:
    one = message_id("k", "bot@example.com", ["a@example.com"])
    assert one == message_id("k", "bot@example.com", ["a@example.com"])
    assert one != message_id("k2", "bot@example.com", ["a@example.com"])
    assert one.endswith("@example.com>")


def test_attachments_arrive_byte_for_byte() -> None:
    content = bytes(range(256)) * 40
    mail = Mail("k", "s", "t", "h", attachments=(Attachment("x.bin", content, "application/x"),))
    (part,) = parsed(mail).iter_attachments()
    assert part.get_content() == content
    assert part.get_filename() == "x.bin"


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret("hunter2")
    assert secret.reveal() == "hunter2"
    assert f"{secret} {secret!r} {secret:>5} {[secret]}" == "*** ***   *** [***]"
    assert bool(secret) and not Secret("")
    with pytest.raises(TypeError):
        pickle.dumps(secret)
