"""The gateway as a child process: started, steered and ended by this one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import rebalancer
from rebalancer import errors
from rebalancer.clock import Deadline
from rebalancer.errors import ConnectError, RebalancerError
from rebalancer.model.codec import to_plain
from rebalancer.simulators.ib_gateway.faults import WireFault
from rebalancer.simulators.ib_gateway.spec import GatewaySpec, spec_to_json

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
_CODE = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from rebalancer.simulators.ib_gateway.child import main; main()"
)
_PIECE = 65_536


class ChildGateway:
    """A `Control` over a gateway in a child process, which ends with this one.

    Whatever ends this process, the child's stdin ends too: it saves its books and goes. An
    error in the child is raised here as the same class with the same words; when the child
    died, every call raises `ConnectError` with what it had to say.
    """

    host = "127.0.0.1"

    def __init__(self, spec: GatewaySpec) -> None:
        self.port = 0
        self._gone = ""
        # Closed by `close`; a file, not a pipe: nobody has to read while the child talks.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        root = Path(rebalancer.__file__).resolve().parents[1]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own code
                [sys.executable, "-s", "-P", "-X", "utf8", "-c", _CODE, str(root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env={name: os.environ[name] for name in _KEPT if name in os.environ} | _FIXED,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._said.close()
            raise ConnectError(f"the simulated gateway did not start: {error}") from error
        self._answers = bytearray()
        try:
            self.port = int(self._ask_line(spec_to_json(spec), START_SECONDS)["port"])
        except BaseException:
            self._kill()
            self._said.close()
            raise

    @property
    def pid(self) -> int:
        """Return the child's process id."""
        return self._process.pid

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop on this machine's clock."""
        return asyncio.new_event_loop()

    def now(self) -> datetime:
        """Return the simulated time."""
        return datetime.fromisoformat(self._ask("now"))

    def open(self, slot: datetime, attempt: int) -> None:
        """Play up to a run's slot; see `Control.open`."""
        self._ask("open", slot=slot.isoformat(), attempt=attempt)

    def advance(self, until: datetime) -> datetime:
        """Let time pass; see `Control.advance`."""
        return datetime.fromisoformat(self._ask("advance", until=until.isoformat()))

    def ended(self, at: datetime) -> bool:
        """Return whether the recording has no prices after `at`."""
        return bool(self._ask("ended", at=at.isoformat()))

    def arm(self) -> None:
        """Let the faults of single calls strike from now on."""
        self._ask("arm")

    def inject(self, *faults: WireFault) -> None:
        """Let more faults wait on the wire."""
        self._ask("inject", faults=to_plain(faults))

    def counts(self) -> Mapping[str, int]:
        """Return how many messages of each name clients have sent."""
        return {str(name): int(count) for name, count in self._ask("counts").items()}

    def violations(self) -> int:
        """Return how often a client sent too many messages in one second."""
        return int(self._ask("violations"))

    def trace(self) -> str:
        """Return the SHA-256 of the wire log."""
        return str(self._ask("trace"))

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

    def __enter__(self) -> ChildGateway:
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
            raise _error(answer["error"], answer["text"])
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
                    self._gone = f"the simulated gateway did not answer within {seconds:g} s"
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
        self._gone = f"the simulated gateway is gone: {_ending(code)}"
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
        self._gone = self._gone or "the simulated gateway was closed"
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _error(name: str, text: str) -> RebalancerError:
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
