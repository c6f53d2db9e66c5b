"""The parent's side of the child interpreter: start it, ask it, take its output, end it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import rebalancer
from rebalancer.clock import Deadline

START_SECONDS = 60.0
LARGEST_REPLY = 4 * 2**20
LARGEST_OUTPUT = 64 * 2**10
"""Bytes of a plug-in's output that are kept: the newest."""

_KEPT = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_FIXED = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    # One thread sums in one order; starting more costs time that an hour's weights never need.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
_CODE = (
    "import sys; sys.path.append(sys.argv[1]); from rebalancer.generators.child import main; main()"
)
_PIECE = 65_536
_AT_MOST_SECONDS = 0.25
_STACK_SECONDS = 3.0


class ChildHung(Exception):
    """The child did not answer in time."""


class ChildDied(Exception):
    """The child ended instead of answering."""


class ChildBabbled(Exception):
    """The child's answer has no end."""


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a child may see of an environment: where programs are, and no secret."""
    kept = {name: environment[name] for name in _KEPT if name in environment}
    return kept | _FIXED


class Interpreter:
    """A running child interpreter, its process group and its three pipes.

    Raises `ChildDied` when it does not come up.
    """

    def __init__(self) -> None:
        ask_there, ask_here = os.pipe()
        reply_here, reply_there = os.pipe()
        output_here, output_there = os.pipe()
        root = Path(rebalancer.__file__).resolve().parents[1]
        command = [sys.executable, "-s", "-P", "-u", "-X", "utf8", "-c", _CODE]
        try:
            self._process = subprocess.Popen(
                [*command, str(root), str(ask_there), str(reply_there)],
                stdin=subprocess.DEVNULL,
                stdout=output_there,
                stderr=output_there,
                env=child_environment(os.environ),
                pass_fds=(ask_there, reply_there),
                start_new_session=True,
            )
        except BaseException as error:
            for end in (ask_here, reply_here, output_here):
                os.close(end)
            if isinstance(error, OSError):
                raise ChildDied(f"the child interpreter did not start: {error}") from error
            raise
        finally:
            for end in (ask_there, reply_there, output_there):
                os.close(end)
        self._ask, self._reply, self._output = ask_here, reply_here, output_here
        self._printed = bytearray()
        self._left = memoryview(b"")
        self._ready = False
        for end in (ask_here, reply_here, output_here):
            os.set_blocking(end, False)
        self._start()

    def _start(self) -> None:
        """Wait until the child is ready."""
        try:
            self.ask(b"", START_SECONDS)
            self._ready = True
        except (ChildDied, ChildHung) as error:
            self.close()
            words = self.output().strip() or "it printed nothing"
            raise ChildDied(f"the child interpreter did not start: {error}: {words}") from error
        except BaseException:
            self.close()
            raise

    def ask(self, request: bytes, seconds: float) -> bytes:
        """Send a request and return the line that answers it.

        Raises `ChildHung` after `seconds`, `ChildDied` when the process ends first,
        `ChildBabbled` when the answer is larger than any answer; then `close` it.
        """
        deadline = Deadline(seconds)
        self._forget_replies()
        self._left = memoryview(request)
        answer = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._reply, selectors.EVENT_READ)
            selector.register(self._output, selectors.EVENT_READ)
            if self._left:
                selector.register(self._ask, selectors.EVENT_WRITE)
            while not answer.endswith(b"\n"):
                if deadline.over():
                    raise ChildHung(f"no answer after {seconds:g} s")
                gone = self._process.poll()
                for key, _ in selector.select(min(deadline.left(), _AT_MOST_SECONDS)):
                    self._serve(key.fd, selector, answer)
                if gone is not None and not answer.endswith(b"\n"):
                    raise ChildDied(_ending(gone))
                if len(answer) > LARGEST_REPLY:
                    raise ChildBabbled(f"its answer is longer than {LARGEST_REPLY} bytes")
        self._drain()
        return bytes(answer)

    def _forget_replies(self) -> None:
        """Throw away what was written to the answers' pipe without having been asked."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(64 if self._ready else 0):
                if not os.read(self._reply, _PIECE):
                    return

    def _serve(self, end: int, selector: selectors.BaseSelector, answer: bytearray) -> None:
        """Move what can be moved through one pipe."""
        if end == self._ask:
            try:
                self._left = self._left[os.write(end, self._left[:_PIECE]) :]
            except BrokenPipeError:
                self._left = memoryview(b"")
            if not self._left:
                selector.unregister(end)
            return
        piece = os.read(end, _PIECE)
        if not piece:
            selector.unregister(end)
        elif end == self._reply:
            answer += piece
        else:
            self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        self._printed += piece
        del self._printed[:-LARGEST_OUTPUT]

    def _drain(self) -> None:
        """Read what was printed before now; a thread that goes on printing is not waited for."""
        for _ in range(64):
            try:
                piece = os.read(self._output, _PIECE)
            except BlockingIOError:
                return
            if not piece:
                return
            self._keep(piece)

    def output(self) -> str:
        """Return what was printed since the last call, its newest 64 KiB."""
        text = self._printed.decode("utf-8", errors="replace")
        self._printed.clear()
        return text

    def show_stack(self) -> None:
        """Make a hanging child print where it is."""
        self._printed += b"\n"
        self._process.send_signal(signal.SIGUSR1)
        deadline = Deadline(_STACK_SECONDS)
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while not deadline.over() and b"most recent call first" not in self._printed:
                if selector.select(deadline.left()) and not self._take():
                    return
            while selector.select(0.05) and not deadline.over() and self._take():
                pass

    def _take(self) -> bool:
        piece = os.read(self._output, _PIECE)
        self._keep(piece)
        return bool(piece)

    def close(self) -> None:
        """End the child and everything it started, at once."""
        # Gone already is well; macOS says PermissionError of a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._drain()
        for end in (self._ask, self._reply, self._output):
            os.close(end)


def _ending(code: int) -> str:
    if code < 0:
        names = {int(known): known.name for known in signal.Signals}
        return f"its process was killed by {names.get(-code, f'signal {-code}')}"
    return f"its process ended by itself with code {code}"
