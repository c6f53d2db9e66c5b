"""Sends one mail through yagmail: verified TLS, bounded in time, no retries of its own.

yagmail's comforts are kept away from: it takes a text that names a file for an attachment,
shuffles a message's parts, looks for a password in the keyring, verifies no certificate and
waits for ever unless told otherwise. The message is made by `message.py`; yagmail connects,
logs in and hands it over. The only module that knows yagmail, imported when a mail leaves.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

from rebalancer.errors import RebalancerError
from rebalancer.model.records import Mail
from rebalancer.model.secret import Secret, masked
from rebalancer.notify.message import mail_bytes
from rebalancer.notify.parameters import SmtpSettings

MANNERS_SECONDS = 1.0
"""How long the goodbye after a mail may take."""


class MailNotSent(RebalancerError):
    """A mail did not leave; `server_down` tells that the next one would not either."""

    advice = "It waits in the outbox; the next run tries again. Check the [mail] settings."

    def __init__(self, message: str, *, server_down: bool) -> None:
        super().__init__(message)
        self.server_down = server_down


class Sender(Protocol):
    """Sends one mail within `seconds`; returns the recipients the server refused."""

    def deliver(self, mail: Mail, at: datetime, seconds: float) -> tuple[str, ...]:
        """Send it or raise `MailNotSent`."""


class YagmailSender:
    """A `Sender` for one mail server. Nothing of it shows the password."""

    def __init__(self, settings: SmtpSettings, password: Secret) -> None:
        self._settings, self._password = settings, password

    def deliver(self, mail: Mail, at: datetime, seconds: float) -> tuple[str, ...]:
        """Send one mail; return the recipients that the server refused while taking others.

        Raises `MailNotSent`, at the latest after `seconds`: the work is done beside, and what
        is not done by then loses its connection.
        """
        settings = self._settings
        attempt = _Attempt(settings, self._password, seconds)
        told = threading.Event()
        done: list[Any] = []

        def work() -> None:
            try:
                content = mail_bytes(mail, settings.sender, settings.recipients, at)
                done.append(attempt.send(content.decode("ascii")))
            except Exception as error:
                done.append(error)
            told.set()  # what follows is manners, and may not turn a yes into a no
            attempt.leave()

        worker = threading.Thread(target=work, name="mail", daemon=True)
        worker.start()
        if told.wait(seconds):
            worker.join(MANNERS_SECONDS)
        if worker.is_alive():
            attempt.abandon()
        if not done:
            raise MailNotSent(f"no end after {seconds:.0f} s", server_down=True)
        result = done[0]
        if isinstance(result, Exception):
            raise MailNotSent(_words(result), server_down=_server_down(result)) from None
        if result is False:
            raise MailNotSent("yagmail gave up", server_down=True)
        return tuple(sorted(result))


class _Attempt:
    """One connection for one mail; `abandon` may be called from another thread."""

    def __init__(self, settings: SmtpSettings, password: Secret, seconds: float) -> None:
        self._settings, self._password = settings, password
        self._timeout = min(settings.timeout_seconds, seconds)
        self._connections: list[smtplib.SMTP] = []
        self._abandoned = threading.Event()

    def send(self, message: str) -> Any:
        """Return yagmail's answer: the refused recipients, or False."""
        client = self._client(message)
        try:
            return client.send(to=list(self._settings.recipients), prettify_html=False)
        finally:
            client.is_closed = True  # so that its __del__ does not talk to the server again

    def leave(self) -> None:
        """End the connection, politely where that works."""
        for connection in self._connections:
            _goodbye(connection)

    def abandon(self) -> None:
        """Cut the connection, and let none be made any more."""
        self._abandoned.set()
        for connection in list(self._connections):
            if connection.sock is not None:
                with suppress(OSError):  # it may be gone already
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def _client(self, message: str) -> Any:
        import yagmail

        settings = self._settings
        context = _trust(settings.cafile)
        connect = self._connect

        class Prepared(yagmail.SMTP):  # type: ignore[misc]
            """yagmail with a message that is ready, over connections of our own."""

            @property
            def connection(self) -> Callable[..., smtplib.SMTP]:
                return connect

            def prepare_send(self, *_: object, **__: object) -> tuple[list[str], str]:
                return list(settings.recipients), message

        encryption = (
            {"smtp_ssl": False, "smtp_starttls": {"context": context}}
            if settings.starttls
            else {"smtp_ssl": True, "smtp_starttls": False, "context": context}
        )
        client = Prepared(
            user={settings.sender: settings.sender},
            password=self._password.reveal(),
            host=settings.host,
            port=settings.port,
            smtp_skip_login=not settings.user,
            soft_email_validation=False,
            timeout=self._timeout,
            **encryption,
        )
        client.set_logging(None)
        return client

    def _connect(self, host: str, port: str, **options: Any) -> smtplib.SMTP:
        """Return a connection that knows the login name and does not invite retries."""
        if self._abandoned.is_set():
            raise TimeoutError("too late")
        kind = smtplib.SMTP if self._settings.starttls else smtplib.SMTP_SSL
        user, known = self._settings.user, self._connections

        class Connection(kind):  # type: ignore[misc, valid-type]
            """An SMTP connection that breaks once: yagmail would sleep 18 s over retries."""

            def __init__(self) -> None:
                known.append(self)  # before it connects, so that it can be cut meanwhile
                super().__init__(host, int(port), **options)

            def login(self, _user: str, password: str, **more: Any) -> Any:
                return super().login(user, password, **more)

            def sendmail(self, *arguments: Any, **more: Any) -> Any:
                try:
                    return super().sendmail(*arguments, **more)
                except smtplib.SMTPServerDisconnected as error:
                    raise ConnectionError(f"the connection broke: {error}") from error

        connection: smtplib.SMTP = Connection()
        if self._abandoned.is_set():
            connection.close()
        return connection


def _trust(cafile: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=cafile or None)
    except OSError as error:
        text = f"cafile {cafile}: no certificates can be read from it: {error}"
        raise MailNotSent(text, server_down=True) from error


def _goodbye(connection: smtplib.SMTP) -> None:
    """Leave politely where that works, and leave in any case."""
    try:
        if connection.sock is not None:
            connection.quit()
    except (OSError, smtplib.SMTPException):
        pass
    finally:
        connection.close()


def _server_down(error: Exception) -> bool:
    """Return whether the next mail would meet the same: all but a refusal of this one."""
    refused = (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, ValueError)
    return not isinstance(error, refused) or isinstance(error, ssl.SSLError)


def _words(error: Exception) -> str:
    """Return what happened in words, without the bytes of a login."""
    if isinstance(error, MailNotSent):
        return str(error)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the server refused the user name or password (code {error.smtp_code})"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"the server refused every recipient: {', '.join(sorted(error.recipients))}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, UnicodeError):  # its own words may show a letter of the password
        return "an address, the user name or the password has letters that SMTP cannot carry"
    if isinstance(error, TimeoutError):
        return "the server does not answer"
    return masked(f"{type(error).__name__}: {error}")
