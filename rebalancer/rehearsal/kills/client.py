"""One run of the program: a process that is forked from a warm one, and may not survive."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LONGEST_SECONDS = 90.0
"""Of the wall clock; a run that takes longer hangs."""

_LARGEST_TAIL = 3000
_STOPPED_OR_ENDED = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT


@dataclass(frozen=True)
class Ending:
    """How a process ended: its exit code, negative for a signal, and the end of what it said."""

    code: int
    said: str
    hung: bool = False


class Client:
    """A forked process that waits to be let go."""

    def __init__(self, run: Callable[[], int], out: Path) -> None:
        self._out = out
        theirs, self._go = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._go)
            _be(run, theirs, out)
        os.close(theirs)

    def let_go(self) -> Ending:
        """Let it run; return how it ended."""
        self.begin()
        return self.ended()

    def begin(self) -> None:
        """Let it run."""
        os.write(self._go, b".")
        os.close(self._go)

    def stands_still(self) -> bool:
        """Wait until it was stopped by a signal; False when it ended instead, or nobody did."""
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until:
            found = os.waitid(os.P_PID, self.pid, _STOPPED_OR_ENDED)
            if found is not None:
                return found.si_code == os.CLD_STOPPED
            time.sleep(0.002)
        return False

    def go_on(self) -> None:
        """Let it go on after it was stopped."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def ended(self) -> Ending:
        """Wait for its end; return how it ended."""
        status, hung = self._waited(), False
        if status is None:
            hung = True
            os.kill(self.pid, signal.SIGKILL)
            status = os.waitpid(self.pid, 0)[1]
        return Ending(os.waitstatus_to_exitcode(status), self._said(), hung)

    def _waited(self) -> int | None:
        """Return the status of the process when it has ended, None when it hangs."""
        until = time.monotonic() + LONGEST_SECONDS
        handle = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else -1
        try:
            while time.monotonic() < until:
                if handle < 0:
                    time.sleep(0.005)
                else:
                    select.select([handle], [], [], until - time.monotonic())
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    return status
        finally:
            if handle >= 0:
                os.close(handle)
        return None

    def _said(self) -> str:
        with suppress(OSError):
            return self._out.read_text(encoding="utf-8", errors="replace")[-_LARGEST_TAIL:]
        return ""


def _be(run: Callable[[], int], go: int, out: Path) -> None:
    """Be the process; its end is its exit code, without any handler of the warm one's."""
    code = 99
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        if os.read(go, 1):
            code = run()
    except BaseException:
        import traceback  # noqa: PLC0415 - only when it is needed

        os.write(2, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        with suppress(BaseException):
            import sys  # noqa: PLC0415

            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
