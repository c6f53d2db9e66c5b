"""A simulated venue as a child process: started, steered and ended by this one."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import rebalancer
from rebalancer import errors
from rebalancer.clock import Deadline
from rebalancer.errors import ConnectError, RebalancerError

START_SECONDS = 60.0
ANSWER_SECONDS = 300.0
END_SECONDS = 10.0
LARGEST_TAIL = 4000
"""Bytes of the child's stderr that an error shows: the last."""

_KEPT = ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_FIXED = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    # Numpy counts days here; more threads than one only take time to start.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
_CODE = "import sys; sys.path.append(sys.argv[1]); from {} import main; main()"
_PIECE = 65_536


class ChildVenue:
    """A simulated venue in a child process, which ends with this one.

    `module` has a `main` that serves (`child_end`), `spec` is the line it is told first, `who`
    is what errors call it. Whatever ends this process, the child's stdin ends too: it saves its
    books and goes. An error in the child is raised here as the same class with the same words;
    when the child died, every call raises `ConnectError` with what it had to say.
    """

    host = "127.0.0.1"

    def __init__(self, module: str, spec: str, who: str) -> None:
        self.port = 0
        self._gone = ""
        self._who = who
        # Closed by `close`; a file, not a pipe: nobody has to read while the child talks.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        root = Path(rebalancer.__file__).resolve().parents[1]
        code = _CODE.format(module)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own code
                [sys.executable, "-s", "-P", "-X", "utf8", "-c", code, str(root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env={name: os.environ[name] for name in _KEPT if name in os.environ} | _FIXED,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._said.close()
            raise ConnectError(f"{who} did not start: {error}") from error
        self._answers = bytearray()
        try:
            self.port = int(self._ask_line(spec, START_SECONDS)["port"])
        except BaseException:
            self._kill()
            self._said.close()
            raise

    @property
    def pid(self) -> int:
        """Return the child's process id."""
        return self._process.pid

    def close(self) -> None:
        """Let the child save its books and end; whatever happens, it is gone afterwards.

        Raises what went wrong with the saving. A child that is gone already has saved
        everything that it had told anybody.
        """
        try:
            if not self._gone and self._process.poll() is None:
                self._ask("close")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_SECONDS)
        finally:
            self._kill()
            self._said.close()

    def __enter__(self) -> Self:
        """Return itself; leaving closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    # ------------------------------------------------------------------ inside

    def _ask(self, do: str, **more: Any) -> Any:
        if self._gone:
            raise ConnectError(self._gone)
        return self._ask_line(json.dumps({"do": do, **more}), ANSWER_SECONDS)

    def _ask_line(self, line: str, seconds: float) -> Any:
        assert self._process.stdin is not None  # noqa: S101 - a pipe, as asked for
        rest = memoryview(line.encode("utf-8") + b"\n")
        with contextlib.suppress(BrokenPipeError):
            while rest:
                rest = rest[self._process.stdin.write(rest) or 0 :]
        answer = json.loads(self._line(seconds))
        if "error" in answer:
            raise error_of(answer["error"], answer["text"])
        return answer["ok"]

    def _line(self, seconds: float) -> bytes:
        """Return the child's next line; raises `ConnectError` when none comes."""
        assert self._process.stdout is not None  # noqa: S101 - a pipe, as asked for
        deadline = Deadline(seconds)
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._answers:
                if not selector.select(deadline.left()):
                    self._kill()
                    self._gone = f"{self._who} did not answer within {seconds:g} s"
                    raise ConnectError(self._gone + self._tail())
                piece = os.read(self._process.stdout.fileno(), _PIECE)
                if not piece:
                    raise self._died()
                self._answers += piece
        line, _, rest = bytes(self._answers).partition(b"\n")
        self._answers[:] = rest
        return line

    def _died(self) -> RebalancerError:
        """Return the error of a child that ended instead of answering."""
        code = self._process.wait()
        self._gone = f"{self._who} is gone: {_ending(code)}"
        message = self._gone + self._tail()
        if code == RebalancerError.exit_code:
            return RebalancerError(message)
        return ConnectError(message)

    def _tail(self) -> str:
        if self._said.closed:
            return ""
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - LARGEST_TAIL))
        text = self._said.read().decode("utf-8", errors="replace").strip()
        return f"; it said:\n{text}" if text else ""

    def _kill(self) -> None:
        self._gone = self._gone or f"{self._who} was closed"
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def error_of(name: str, text: str) -> RebalancerError:
    """Return the error of ours that a child tells by its name, with its words."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, RebalancerError) and name != "ConfigError":
        found: RebalancerError = kind(text)
        return found
    return RebalancerError(f"{name}: {text}")


def _ending(code: int) -> str:
    if code < 0:
        names = {int(known): known.name for known in signal.Signals}
        return f"its process was killed by {names.get(-code, f'signal {-code}')}"
    return f"its process ended by itself with code {code}"
