"""Mails to a real server over TLS: what arrives, and what a bad server cannot do to us."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from rebalancer.model.records import Attachment, Mail
from rebalancer.model.secret import Secret
from rebalancer.notify.mail import MailNotSent, YagmailSender
from rebalancer.notify.outbox import Outbox
from rebalancer.notify.parameters import SmtpSettings
from rebalancer.notify.post import MailPost
from rebalancer.store.atomic import Files

pytestmark = [
    pytest.mark.smtp,
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),
    pytest.mark.filterwarnings("ignore:Session.login_data is deprecated:DeprecationWarning"),
]

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PASSWORD = Secret("app-password")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
CSV = b"exec_id,price\r\ne1,189.54\n"
MAIL = Mail(
    key="mail:start:2026-11-20",
    subject="[PAPER] Größe: session start, 100,100.00 USD",
    text="Grüße: the text\n.\nafter a lone dot\n",
    html='<html><body><p>Grüße</p><img src="cid:equity.png"></body></html>',
    images=(Attachment("equity.png", PNG, "image/png"),),
    attachments=(Attachment("trades.csv", CSV, "text/csv"),),
)


@dataclass
class Mailbox:
    """What arrived, and which passwords were tried."""

    envelopes: list[Any] = field(default_factory=list)
    passwords: list[bytes] = field(default_factory=list)
    answer: str = "250 OK"
    refused: frozenset[str] = frozenset()
    cut: bool = False
    attempts: int = 0

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        self.passwords.append(data.password)
        good = (data.login, data.password) == (b"bot", PASSWORD.reveal().encode())
        return AuthResult(success=good, handled=False)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.attempts += 1
        if self.cut:
            server.transport.close()
        elif self.answer.startswith("250"):
            self.envelopes.append(envelope)
        return self.answer


@dataclass
class Authority:
    """A certificate authority that was made for this test, as a file that trusts it."""

    ca: trustme.CA
    file: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.file))


def authority(folder: Path) -> Authority:
    ca = trustme.CA()
    file = folder / f"{id(ca)}.pem"
    ca.cert_pem.write_to_path(str(file))
    return Authority(ca, file)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return authority(tmp_path)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


@contextmanager
def mail_server(
    mailbox: Mailbox, who: Authority, *, starttls: bool = False, port: int = 0
) -> Iterator[SmtpSettings]:
    """Run a mail server; give the settings that reach it."""
    context = who.server_context()

    class Server(Controller):
        def factory(self) -> SMTP:
            return SMTP(
                self.handler,
                hostname="localhost",
                authenticator=mailbox.authenticate,
                auth_required=True,
                auth_require_tls=starttls,
                tls_context=context if starttls else None,
                require_starttls=starttls,
            )

        def _trigger_server(self) -> None:
            # aiosmtpd knocks with the server's own context, which verifies no server
            with socket.create_connection(("127.0.0.1", self.port), 5) as raw:
                if starttls:
                    raw.recv(200)
                    return
                with who.client_context().wrap_socket(raw, server_hostname="localhost") as tls:
                    tls.recv(200)

    server = Server(
        mailbox,
        hostname="127.0.0.1",
        port=port or free_port(),
        ssl_context=None if starttls else context,
    )
    server.start()
    try:
        yield settings(server.port, who.file, starttls=starttls)
    finally:
        server.stop()


def settings(port: int, cafile: Path, *, starttls: bool = False) -> SmtpSettings:
    return SmtpSettings(
        host="localhost",
        port=port,
        user="bot",
        sender="bot@example.com",
        recipients=("ops@example.com", "risk@example.com"),
        starttls=starttls,
        cafile=str(cafile),
        timeout_seconds=5.0,
    )


def deliver(where: SmtpSettings, password: Secret = PASSWORD, seconds: float = 10.0) -> Any:
    return YagmailSender(where, password).deliver(MAIL, NOW, seconds)


@pytest.mark.parametrize("starttls", [False, True], ids=["smtps", "starttls"])
def test_a_mail_arrives_intact(ours: Authority, mailbox: Mailbox, starttls: bool) -> None:
    with mail_server(mailbox, ours, starttls=starttls) as where:
        assert deliver(where) == ()
    (envelope,) = mailbox.envelopes
    assert envelope.mail_from == "bot@example.com"
    assert envelope.rcpt_tos == ["ops@example.com", "risk@example.com"]
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert message["Subject"] == MAIL.subject
    assert message["To"] == "ops@example.com, risk@example.com"
    assert message["From"] == "bot@example.com"
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "text/csv",
    ]
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == MAIL.text
    assert html.get_content().strip() == MAIL.html
    parts = {part.get_content_type(): part for part in message.walk()}
    assert parts["image/png"]["Content-ID"] == "<equity.png>"
    assert parts["image/png"].get_content_disposition() == "inline"
    assert parts["image/png"].get_payload(decode=True) == PNG
    assert parts["text/csv"].get_content_disposition() == "attachment"
    assert parts["text/csv"].get_filename() == "trades.csv"
    assert parts["text/csv"].get_payload(decode=True) == CSV


@pytest.mark.parametrize("starttls", [False, True], ids=["smtps", "starttls"])
def test_a_server_that_nobody_vouches_for_gets_no_password(
    tmp_path: Path, ours: Authority, mailbox: Mailbox, starttls: bool
) -> None:
    theirs = authority(tmp_path)
    with (
        mail_server(mailbox, theirs, starttls=starttls) as where,
        pytest.raises(MailNotSent, match="certificate is not trusted") as caught,
    ):
        deliver(replace(where, cafile=str(ours.file)))
    assert caught.value.server_down
    assert mailbox.passwords == []
    assert mailbox.envelopes == []


def test_a_certificate_for_another_name_gets_no_password(tmp_path: Path, mailbox: Mailbox) -> None:
    class Elsewhere(Authority):
        def server_context(self) -> ssl.SSLContext:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self.ca.issue_cert("127.0.0.1").configure_cert(context)
            return context

        def client_context(self) -> ssl.SSLContext:
            context = super().client_context()
            context.check_hostname = False
            return context

    made = authority(tmp_path)
    with (
        mail_server(mailbox, Elsewhere(made.ca, made.file)) as where,
        pytest.raises(MailNotSent, match="certificate is not trusted"),
    ):
        deliver(where)
    assert mailbox.passwords == []


def test_a_server_that_offers_no_tls_gets_no_password() -> None:
    def talk(peer: socket.socket, heard: list[bytes]) -> None:
        peer.sendall(b"220 plain\r\n")
        while line := peer.recv(1000):
            heard.append(line)
            peer.sendall(b"250 AUTH PLAIN LOGIN\r\n")

    with scripted(talk) as (port, heard):
        where = replace(settings(port, Path(), starttls=True), cafile="")
        with pytest.raises(MailNotSent, match="STARTTLS"):
            deliver(where)
    assert not any(b"AUTH" in line for line in heard)


def test_a_wrong_password_is_told_without_showing_it(ours: Authority, mailbox: Mailbox) -> None:
    with (
        mail_server(mailbox, ours) as where,
        pytest.raises(MailNotSent, match="user name or password") as caught,
    ):
        deliver(where, Secret("not-the-one"))
    assert "not-the-one" not in str(caught.value)
    assert mailbox.passwords[0] == b"not-the-one"
    assert mailbox.envelopes == []


def test_a_missing_authority_file_is_named(ours: Authority, mailbox: Mailbox) -> None:
    with pytest.raises(MailNotSent, match=r"nowhere\.pem"):
        deliver(settings(1, Path("nowhere.pem")))


def test_one_refused_recipient_of_two_is_told(ours: Authority, mailbox: Mailbox) -> None:
    mailbox.refused = frozenset({"risk@example.com"})
    with mail_server(mailbox, ours) as where:
        assert deliver(where) == ("risk@example.com",)
    assert mailbox.envelopes[0].rcpt_tos == ["ops@example.com"]


@pytest.mark.parametrize(
    ("answer", "refused"),
    [("552 too large", ()), ("250 OK", ("ops@example.com", "risk@example.com"))],
)
def test_a_refused_message_is_about_this_message_only(
    ours: Authority, mailbox: Mailbox, answer: str, refused: tuple[str, ...]
) -> None:
    mailbox.answer, mailbox.refused = answer, frozenset(refused)
    with mail_server(mailbox, ours) as where, pytest.raises(MailNotSent) as caught:
        deliver(where)
    assert not caught.value.server_down


def test_a_connection_that_breaks_is_not_tried_again_for_long(
    ours: Authority, mailbox: Mailbox
) -> None:
    mailbox.cut = True
    with (
        mail_server(mailbox, ours) as where,
        pytest.raises(MailNotSent, match="connection broke") as caught,
    ):
        deliver(where)
    assert caught.value.server_down
    assert mailbox.attempts == 1


def test_a_server_that_does_not_say_goodbye_has_taken_the_mail(ours: Authority) -> None:
    class Rude(Mailbox):
        async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            await asyncio.sleep(30)
            return "221 at last"

    mailbox = Rude()
    with mail_server(mailbox, ours) as where:
        assert deliver(where, seconds=3.0) == ()
    assert len(mailbox.envelopes) == 1


def test_a_password_that_smtp_cannot_carry_is_not_shown(ours: Authority, mailbox: Mailbox) -> None:
    with mail_server(mailbox, ours) as where, pytest.raises(MailNotSent) as caught:
        deliver(where, Secret("pässword"))
    assert "letters that SMTP cannot carry" in str(caught.value)
    assert "xe4" not in str(caught.value)
    assert caught.value.__cause__ is None


@contextmanager
def scripted(
    talk: Callable[[socket.socket, list[bytes]], None],
) -> Iterator[tuple[int, list[bytes]]]:
    """Run a bare server that speaks to its one client as `talk` says."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def serve() -> None:
            try:
                peer, _ = listener.accept()
                with peer:
                    peer.settimeout(20)
                    talk(peer, heard)
            except OSError:
                pass

        worker = threading.Thread(target=serve, daemon=True)
        worker.start()
        yield listener.getsockname()[1], heard
    worker.join(5)
    assert not worker.is_alive()


def test_a_silent_server_costs_its_time_limit_and_no_more(ours: Authority) -> None:
    def silent(peer: socket.socket, heard: list[bytes]) -> None:
        while line := peer.recv(1000):
            heard.append(line)

    with scripted(silent) as (port, _):
        where = replace(settings(port, ours.file), timeout_seconds=0.3)
        with pytest.raises(MailNotSent, match="does not answer"):
            deliver(where)


def test_a_server_that_dribbles_cannot_outlast_the_budget(ours: Authority) -> None:
    def dribble(peer: socket.socket, heard: list[bytes]) -> None:
        while True:  # each line comes in time, the end never
            peer.sendall(b"220-wait\r\n")
            time.sleep(0.02)

    with scripted(dribble) as (port, _):
        where = replace(settings(port, ours.file, starttls=True), timeout_seconds=5.0)
        with pytest.raises(MailNotSent, match=r"no end after|closed"):
            deliver(where, seconds=0.5)


def test_mails_wait_while_the_server_is_away_and_leave_once(
    tmp_path: Path, ours: Authority, mailbox: Mailbox
) -> None:
    port = free_port()

    def run() -> MailPost:
        sender = YagmailSender(settings(port, ours.file), PASSWORD)
        return MailPost(sender, Outbox(tmp_path / "outbox", Files()), lambda: NOW)

    (flag,) = run().send([MAIL, replace(MAIL, key="alert:1", subject="second")])
    assert flag.code == "mail-late"
    assert "2 mails wait in the outbox" in flag.message
    with mail_server(mailbox, ours, port=port):
        assert run().send([MAIL]) == ()
        assert run().send([]) == ()
    subjects = [
        email.message_from_bytes(each.content, policy=email.policy.default)["Subject"]
        for each in mailbox.envelopes
    ]
    assert subjects == [MAIL.subject, "second"]
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == ["index.json"]


def test_the_password_is_in_no_representation(ours: Authority) -> None:
    sender = YagmailSender(settings(1, ours.file), PASSWORD)
    assert PASSWORD.reveal() not in f"{sender!r} {vars(sender)}"
