"""How mails leave: the owner's mail server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, MinLen


@dataclass(frozen=True)
class SmtpSettings:
    """A mail server and who writes to whom; the password is passed apart, as a `Secret`.

    `user` is the login name ('' when the server wants none), `sender` the address mails come
    from. `starttls` upgrades a plain connection (port 587); otherwise the connection is TLS
    from its first byte (port 465). The server's certificate is always verified, against
    `cafile` (PEM) when one is given, else against the system's authorities.
    `timeout_seconds` bounds each answer of the server.
    """

    host: Annotated[str, MinLen(1)]
    sender: Annotated[str, MinLen(3)]
    recipients: Annotated[tuple[str, ...], MinLen(1)]
    port: Annotated[int, Ge(1), Le(65_535)] = 465
    user: str = ""
    starttls: bool = False
    cafile: str = ""
    timeout_seconds: Annotated[float, Gt(0), Le(20)] = 8.0
