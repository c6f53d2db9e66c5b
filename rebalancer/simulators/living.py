"""A venue that lives on, steered from one of its clients' processes (`outliving`)."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from rebalancer.errors import ConnectError
from rebalancer.model.codec import to_plain
from rebalancer.simulators.children import ANSWER_SECONDS, error_of
from rebalancer.simulators.killing import Sentence
from rebalancer.simulators.outliving import END, LEAVE

_PIECE = 65_536


class LivingVenue:
    """A connection to the control socket of a venue; closing it leaves the venue alone.

    An error there is raised here as the same class with the same words; `ConnectError` when
    the venue is gone or does not answer.
    """

    host = "127.0.0.1"

    def __init__(self, path: Path, who: str = "the simulated venue") -> None:
        self._who = who
        self._heard = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(ANSWER_SECONDS)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise ConnectError(f"{who} is gone: {error}") from error
        self.port = int(self._ask("port"))

    def close(self) -> None:
        """Leave; the venue lives on."""
        with suppress(OSError):
            self._socket.sendall(json.dumps({"do": LEAVE}).encode("ascii") + b"\n")
        self._socket.close()

    # ------------------------------------------------------------------ what its owner orders

    def kill(self, sentence: Sentence) -> None:
        """Let the venue kill a client."""
        self._ask("kill", sentence=to_plain(sentence))

    def spare(self) -> None:
        """Let everybody live; messages are counted anew from now on."""
        self._ask("spare")

    def heard(self) -> tuple[tuple[str, ...], str]:
        """Return the messages since `kill` or `spare` in their order, and the one that killed."""
        answer = self._ask("heard")
        return tuple(answer["names"]), str(answer["struck"])

    def look(self) -> tuple[datetime, tuple[int, ...]]:
        """Return the venue's time and the ids of the orders in its books."""
        answer = self._ask("look")
        return datetime.fromisoformat(answer["now"]), tuple(answer["orders"])

    def books(self, folder: Path) -> None:
        """Let the venue write its books into a folder."""
        self._ask("books", folder=str(folder))

    def end(self) -> None:
        """End the venue."""
        self._ask(END)
        self._socket.close()

    # ------------------------------------------------------------------ inside

    def _ask(self, do: str, **more: Any) -> Any:
        line = json.dumps({"do": do, **more}).encode("ascii") + b"\n"
        try:
            self._socket.sendall(line)
            answer = json.loads(self._line())
        except (OSError, EOFError) as error:
            words = "it hung up" if isinstance(error, EOFError) else str(error)
            raise ConnectError(f"{self._who} is gone: {words}") from error
        if "error" in answer:
            raise error_of(answer["error"], answer["text"])
        return answer["ok"]

    def _line(self) -> bytes:
        while b"\n" not in self._heard:
            piece = self._socket.recv(_PIECE)
            if not piece:
                raise EOFError
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        return line
