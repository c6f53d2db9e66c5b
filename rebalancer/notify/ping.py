"""One request at the start of a run and one at its end, to a service that misses silence.

Services like healthchecks.io: the URL itself means success, `/start` and `/fail` behind it what
they say. The URL is a secret: whoever has it can keep the alarm quiet. Nothing here shows it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit, urlunsplit

from rebalancer.model.secret import Secret

TIMEOUT_SECONDS = 5.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def ping_trouble(url: str) -> str:
    """Return what is wrong with a ping URL, '' for nothing; never shows the URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if not host or port == 0 or any(not "!" <= sign <= "~" for sign in url):
        return "is not a URL"
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        return "must begin with https:// (http:// is for this machine itself)"
    return ""


class Ping:
    """What an outside service hears of one run; without a URL nothing.

    Neither the run nor its exit code depends on it: nothing is raised, the start is not waited
    for, and the end at most `TIMEOUT_SECONDS` beyond it.
    """

    def __init__(self, url: Secret | None, *, seconds: float = TIMEOUT_SECONDS) -> None:
        self._url, self._seconds = url, seconds
        self._begun: _Message | None = None

    def start(self) -> None:
        """Say that a run begins, beside its work."""
        if self._url is not None and self._begun is None:
            self._begun = _Message(self._url, "/start", "", self._seconds)

    def end(self, text: str, *, good: bool) -> str:
        """Say that it ended, with a text; return what went wrong with that, '' for nothing."""
        if self._url is None:
            return ""
        if self._begun is not None:  # the start must not arrive after the end
            self._begun.wait()
        message = _Message(self._url, "" if good else "/fail", text, self._seconds)
        return message.wait()


class _Message:
    """One request in a thread of its own, which may be left behind."""

    def __init__(self, url: Secret, suffix: str, text: str, seconds: float) -> None:
        self._seconds, self._trouble = seconds, "the service does not answer"
        work: Callable[[], None] = lambda: self._send(url, suffix, text)  # noqa: E731
        self._thread = threading.Thread(target=work, name="ping", daemon=True)
        self._thread.start()

    def wait(self) -> str:
        """Return what went wrong, '' for nothing, after its time at the latest."""
        self._thread.join(self._seconds)
        return self._trouble

    def _send(self, url: Secret, suffix: str, text: str) -> None:
        try:
            self._trouble = _post(_with(url.reveal(), suffix), text, self._seconds)
        except Exception as error:  # its words may show the URL
            self._trouble = f"the service cannot be reached ({type(error).__name__})"


def _with(url: str, suffix: str) -> str:
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + suffix if suffix else parts.path
    return urlunsplit(SplitResult(parts.scheme, parts.netloc, path, parts.query, ""))


def _post(url: str, text: str, seconds: float) -> str:
    """Send a text; return what the service had against it. Redirects are not followed."""
    # http and ssl are for those who have such a service.
    from urllib.error import HTTPError  # noqa: PLC0415
    from urllib.request import HTTPRedirectHandler, Request, build_opener  # noqa: PLC0415

    class Stay(HTTPRedirectHandler):
        """A URL that is a secret goes to nobody else."""

        def redirect_request(self, *_: object) -> None:
            return None

    headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "rebalancer"}
    request = Request(url, data=text.encode("utf-8"), headers=headers, method="POST")  # noqa: S310
    try:
        with build_opener(Stay).open(request, timeout=seconds):
            return ""
    except HTTPError as error:
        error.close()
        return f"the service answered {error.code}"
