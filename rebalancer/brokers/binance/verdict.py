"""What became of one call: judged by status, code and words, before anybody acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.exceptions import NewConnectionError

from rebalancer.brokers.binance.errors import RequestRefused, Treatment, meaning
from rebalancer.brokers.binance.parameters import Product
from rebalancer.errors import BlindError, ConnectError, OutcomeUnknown
from rebalancer.model.secret import masked

WORDS_MOST = 200
"""How much of the exchange's own words is told."""

_BANNED, _TOO_MANY, _FIREWALL, _TIMED_OUT = 418, 429, 403, 408
_OVERLOADED = frozenset({-1001, -1008})
_TOO_MANY_CALLS = -1003
_UNAVAILABLE = "service unavailable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A call that was not answered as asked; `what` is method and path, never more of it.

    `said` are the exchange's own words, `words` what is told of them. `reached` is False when
    nobody was reached at all, `final` when no call makes sense any more. `retry_after` is in
    seconds, None when the exchange does not say.
    """

    what: str
    treatment: Treatment
    words: str
    code: int = 0
    said: str = ""
    advice: str = ""
    reached: bool = True
    final: bool = False
    retry_after: float | None = None

    def __str__(self) -> str:
        advice = f" ({self.advice})" if self.advice else ""
        return f"{self.what}: {self.words}{advice}"

    def of_a_write(self) -> Exception:
        """Return the error for something that should have changed the account."""
        if self.treatment is Treatment.UNKNOWN:
            return OutcomeUnknown(f"{self}; it may or may not have happened")
        return RequestRefused(self.code, self.said or self.words, self.treatment)

    def of_a_read(self) -> Exception:
        """Return the error for a question that stays without an answer."""
        if self.treatment in _NOT_ANSWERED:
            kind = BlindError if self.reached else ConnectError
            return kind(str(self))
        return RequestRefused(self.code, self.said or self.words, self.treatment)


_LONGEST = 1e9
"""Seconds of a pause that are believed: thirty years, which a time can still be counted by."""

_NOT_ANSWERED = frozenset(
    {Treatment.UNKNOWN, Treatment.AGAIN, Treatment.LIMIT, Treatment.TIME, Treatment.STOP}
)


def of_answer(
    what: str,
    product: Product,
    status: int,
    body: Any,
    headers: Mapping[str, str] | None = None,
) -> Verdict:
    """Judge an answer with an error; `body` is its JSON, None when it is none."""
    code, words = _told(body)
    shown = words[:WORDS_MOST] or "no words of the exchange's"
    told = f"{shown} ({f'code {code}, ' if code else ''}HTTP {status})"
    after = _seconds(headers or {})
    if status in (_BANNED, _FIREWALL):
        why = "this address is banned" if status == _BANNED else "the web firewall refuses us"
        return Verdict(what, Treatment.STOP, f"{why}: {told}", code, words, final=True)
    if status == _TOO_MANY or code == _TOO_MANY_CALLS:
        return Verdict(
            what, Treatment.LIMIT, told, code or _TOO_MANY_CALLS, words, retry_after=after
        )
    found = meaning(product, code)
    does = found.of(words) if code else Treatment.UNKNOWN
    if status >= 500:
        failed = code in _OVERLOADED or (body is not None and _UNAVAILABLE in words.lower())
        does = Treatment.AGAIN if failed else Treatment.UNKNOWN
    elif not (400 <= status < 500 and status not in (_TIMED_OUT, 409)) and status >= 300:
        does = Treatment.UNKNOWN
    return Verdict(what, does, told, code, words, advice=found.advice if code else "")


def of_silence(what: str, error: requests.RequestException) -> Verdict:
    """Judge a call that was not answered; what the library says has the address in it."""
    sort = type(error).__name__
    if isinstance(error, requests.ConnectTimeout) or _never_connected(error):
        return Verdict(what, Treatment.AGAIN, f"no connection ({sort})", reached=False)
    return Verdict(what, Treatment.UNKNOWN, f"no answer ({sort})", reached=False)


def of_rubbish(what: str, status: int) -> Verdict:
    """Judge an answer that is not what it should be."""
    return Verdict(what, Treatment.UNKNOWN, f"an answer that cannot be read (HTTP {status})")


def _told(body: Any) -> tuple[int, str]:
    if not isinstance(body, dict):
        return 0, ""
    code, words = body.get("code"), body.get("msg")
    number = code if isinstance(code, int) and not isinstance(code, bool) else 0
    return number, masked(words) if isinstance(words, str) else ""


def _seconds(headers: Mapping[str, str]) -> float | None:
    text = next((v for k, v in headers.items() if k.lower() == "retry-after"), "")
    return min(float(text), _LONGEST) if text.isascii() and text.isdigit() else None


def _never_connected(error: requests.RequestException) -> bool:
    """Return whether not even a connection was made: then nothing can have arrived."""
    inner = error.args[0] if error.args else None
    return isinstance(getattr(inner, "reason", None), NewConnectionError)
