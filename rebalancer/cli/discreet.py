"""What is printed while a command works has no secret in it, whoever prints it.

Words of ours are masked where they are made. This is for what others say on their own: warnings,
threads and destructors that fail, logs of libraries, a traceback with `--debug`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Discreet:
    """A stream that masks what is written to it and is the stream behind it otherwise."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text without the secrets in it."""
        secret = sys.modules.get("rebalancer.model.secret")  # not loaded: none is known
        self._stream.write(text if secret is None else secret.masked(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write lines likewise."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def discreetly() -> Iterator[None]:
    """Mask what is printed while the context lasts."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (Discreet(stream) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
