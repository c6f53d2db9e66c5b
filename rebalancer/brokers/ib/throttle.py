"""The pace of messages: even, as fast as is allowed, and never faster.

The gateway allows 50 messages in any second and punishes more. The libraries' own throttle lets
a whole second's worth leave at once and then waits; two such bursts can arrive in one second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

EARLY_SECONDS = 0.01
"""How much too early a message may leave: it makes up for timers that were late. A second then
has at most `1 + (1 + EARLY_SECONDS) * per_second` messages: 49 of them with 48."""

MOST_PER_SECOND = 49
"""With more, a second could have 51 messages."""

_ROUNDING = 1e-6


class Throttle:
    """Stands in the place of a library client's `sendMsg`: each message leaves in its turn.

    What waits when the wire breaks is forgotten: nothing is sent afterwards.
    """

    def __init__(self, client: Any, loop: asyncio.AbstractEventLoop, per_second: float) -> None:
        self._client, self._loop = client, loop
        self._gap = 1.0 / min(per_second, MOST_PER_SECOND)
        self._due = 0.0
        self._waiting: deque[bytes] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._held = False
        self.sent = 0
        client.sendMsg = self.send

    @property
    def waiting(self) -> int:
        """Return how many messages have not left yet."""
        return len(self._waiting)

    def send(self, message: str) -> None:
        """Send the fields of a message, now or in its turn."""
        self._waiting.append(message.encode())
        self._let_go()

    def hold(self) -> None:
        """Let nothing leave until `release`."""
        self._held = True

    def release(self) -> None:
        """Let what waits leave again, in its turn."""
        self._held = False
        self._let_go()

    def forget(self) -> None:
        """Forget what waits: there is no wire any more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _let_go(self) -> None:
        now, connection = self._loop.time(), self._client.conn
        while self._waiting and not self._held and now + _ROUNDING >= self._due - EARLY_SECONDS:
            body = self._waiting.popleft()
            connection.sendMsg(len(body).to_bytes(4, "big") + body)
            self._due = max(self._due, now) + self._gap
            self.sent += 1
        if self._waiting and not self._held and self._timer is None:
            self._timer = self._loop.call_at(self._due - EARLY_SECONDS, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._let_go()
