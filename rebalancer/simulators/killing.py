"""Clients that are killed by the venue: at their n-th message, before or after it is acted upon."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from rebalancer.model.codec import from_plain

DEATH_SECONDS = 10.0
"""How long is waited for a process to be gone after its signal."""


class Side(StrEnum):
    """When a client is killed.

    LOST: its message dies with it, as with the whole machine. BEFORE: it dies when the message
    has arrived; the venue acts upon it afterwards, for nobody. AFTER: the venue has acted, and
    what it answered at once is on its way.
    """

    LOST = "lost"
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """Whom to kill: a process, at its `nth` message from now on, exactly once.

    `sign` is the signal. `later_seconds`: that long after the message was acted upon, by the
    venue's event loop, whatever the client is doing by then (`Side.AFTER` only).
    """

    pid: int
    nth: int
    side: Side
    sign: int = signal.SIGKILL
    later_seconds: float = 0.0


def sentence_of(order: Mapping[str, Any]) -> Sentence:
    """Return the sentence that an order to a venue carries; raises `DataError`."""
    return from_plain(Sentence, order["sentence"], "sentence")


class Hearing(Protocol):
    """What is asked and told of each message of a client."""

    def before(self, name: str) -> bool:
        """Return whether to act upon a message that arrived; if not, the connection breaks."""

    def after(self, name: str) -> None:
        """Take note that it was acted upon, and that what is answered at once was written."""


class Executioner:
    """Counts what clients send, and carries a sentence out (`Hearing`).

    `names` are the messages heard since the last sentence (or `forget`), in their order;
    `struck` is the one at which somebody was killed, '' for nobody.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.struck = ""
        self._sentence: Sentence | None = None
        self._handle = -1
        self._timer: asyncio.TimerHandle | None = None

    def pass_sentence(self, sentence: Sentence) -> None:
        """Take a sentence in place of the one before; the count begins anew."""
        self.forget()
        self._sentence = sentence
        with suppress(ProcessLookupError):
            if hasattr(os, "pidfd_open"):  # a number may be another process's by and by
                self._handle = os.pidfd_open(sentence.pid)

    def forget(self) -> None:
        """Let everybody live; the count begins anew."""
        self._sentence = None
        self.names, self.struck = [], ""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def heard(self) -> Mapping[str, Any]:
        """Return the messages' names and the one that was struck, as plain values."""
        return {"names": self.names, "struck": self.struck}

    def before(self, name: str) -> bool:
        """Count a message that arrived; return whether it is to be acted upon."""
        self.names.append(name)
        sentence = self._due()
        if sentence is None or sentence.side is Side.AFTER:
            return True
        self._carry_out(sentence, name)
        return sentence.side is not Side.LOST

    def after(self, name: str) -> None:
        """Take note that the message was acted upon."""
        sentence = self._due()
        if sentence is None or sentence.side is not Side.AFTER:
            return
        if not sentence.later_seconds:
            self._carry_out(sentence, name)
            return
        self._sentence = None
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(sentence.later_seconds, self._carry_out, sentence, name)

    def _due(self) -> Sentence | None:
        sentence = self._sentence
        return sentence if sentence is not None and len(self.names) == sentence.nth else None

    def _carry_out(self, sentence: Sentence, name: str) -> None:
        """Send the signal; who is killed is gone when this returns."""
        self._sentence = None
        try:
            if self._handle < 0:
                os.kill(sentence.pid, sentence.sign)
            else:
                signal.pidfd_send_signal(self._handle, sentence.sign)
        except ProcessLookupError:
            return  # it was quicker
        self.struck = name
        if self._handle >= 0 and sentence.sign == signal.SIGKILL:
            select.select([self._handle], [], [], DEATH_SECONDS)
