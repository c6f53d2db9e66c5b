"""Messages that cannot be read: the libraries only log them and go on; we end the connection."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

SHOWN = 80
"""So much of a message is shown."""


class Reader:
    """Reads each message through the library's handlers and tells what they cannot read."""

    def __init__(self, decoder: Any, tell: Callable[[str], None]) -> None:
        self._decoder, self._tell = decoder, tell
        self._fields: list[str] = []
        self.messages = 0
        decoder.interpret = self.interpret
        decoder.logger = self

    def interpret(self, fields: list[str]) -> None:
        """Read one message; the library's own method of this name swallows what goes wrong."""
        self.messages += 1
        self._fields = fields
        try:
            self._decoder.handlers[int(fields[0])](fields)
        except Exception as error:
            self._say(error)

    def exception(self, *_words: object) -> None:
        """Stand in for the decoder's logger: some handlers swallow their errors themselves."""
        self._say(sys.exc_info()[1])

    def on_data_error(self, _event: object, error: BaseException) -> None:
        """Take what was raised before a message reached its handler."""
        self._say(error)

    def _say(self, error: BaseException | None) -> None:
        shown = ",".join(self._fields)[:SHOWN]
        self._tell(f"{shown!r} ({type(error).__name__}: {error})")


def break_on_garbage(client: Any, tell: Callable[[str], None]) -> Reader:
    """Let everything that the client cannot read be told."""
    reader = Reader(client.decoder, tell)
    client.conn.hasData.error_event += reader.on_data_error
    return reader
