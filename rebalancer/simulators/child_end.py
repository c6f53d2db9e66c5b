"""A simulated venue as a process of its own: a spec on its stdin, then orders of its parent.

One line of JSON each way: first the spec, answered with the port; then `{"do": ...}`, answered
with `{"ok": ...}` or `{"error": class, "text": words}`. When stdin ends, whoever started it is
gone: the books are saved and the process ends. Nothing else is ever written to its stdout.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

from rebalancer.errors import RebalancerError, UsageError

LONGEST_LINE = 64 * 2**20
ORPHAN_SECONDS = 1.0
"""How often the process looks whether its parent is still there."""

BUG = 70

Reply = Callable[[Mapping[str, Any]], None]


class Served(Protocol):
    """A venue with its port, and the orders that steer it."""

    async def start(self) -> int:
        """Begin to listen; return the port."""

    async def obey(self, order: Mapping[str, Any]) -> Any:
        """Do what an order says and return a plain value; raises `UsageError` for another."""

    def stop(self) -> None:
        """Let the clients go."""

    def save(self) -> None:
        """Save the books."""


Make = Callable[[str, ExitStack], Served]
"""Makes a venue of its spec's line; what is open until the end is entered into the stack."""


def serve(make: Make) -> None:
    """Serve until told to end, or until stdin does; this process ends with it."""
    reply = _own_stdout()
    # A terminal's Ctrl-C is for the parent, which ends this process when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = asyncio.run(_live(make, reply))
    sys.stderr.flush()
    os._exit(code)  # threads or handlers of nobody delay the end


def log_file(path: str, stack: ExitStack) -> Callable[[str], object] | None:
    """Return what writes a line of the wire log, None for no path; raises `UsageError`."""
    if not path:
        return None
    try:
        file = Path(path).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"cannot write the wire log {path}: {error.strerror}") from error
    return stack.enter_context(file).write


class _Ended(Exception):
    """The venue is to end."""


async def _live(make: Make, reply: Reply) -> int:
    orders = await _stdin()
    first = await orders.readline()
    if not first:
        return 0
    with ExitStack() as stack:
        try:
            served = make(first.decode("utf-8"), stack)
            port = await served.start()
        except RebalancerError as error:
            with suppress(BrokenPipeError):
                reply(failure(error))
            return error.exit_code
        except Exception:  # a bug: the parent shows what stderr has
            traceback.print_exc()
            return BUG
        with suppress(BrokenPipeError):  # then stdin has ended too
            reply({"ok": {"port": port}})
        return await _obedient(served, orders, reply)


async def _obedient(served: Served, orders: asyncio.StreamReader, reply: Reply) -> int:
    """Obey until the end; return the exit code."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    orphaned = loop.create_task(_orphaned())
    told = loop.create_task(ended.wait())
    while True:
        line = loop.create_task(orders.readline())
        await asyncio.wait({line, orphaned, told}, return_when=asyncio.FIRST_COMPLETED)
        asked = line.result() if line.done() else b""
        try:
            answer = {"ok": await served.obey(_order(asked))}
        except _Ended:
            return _end(served, reply if asked else None)
        except RebalancerError as error:
            answer = dict(failure(error))
        except Exception:  # a bug: nothing is saved, the books are those of the last news
            traceback.print_exc()
            return BUG
        try:
            reply(answer)
        except BrokenPipeError:
            return _end(served, None)


def _order(line: bytes) -> Mapping[str, Any]:
    if not line:
        raise _Ended
    order: Mapping[str, Any] = json.loads(line)
    if order["do"] == "close":
        raise _Ended
    return order


def _end(served: Served, reply: Reply | None) -> int:
    """Let the clients go and save; the answer comes last."""
    served.stop()
    try:
        served.save()
    except RebalancerError as error:
        if reply is None:
            print(error, file=sys.stderr)
        else:
            reply(failure(error))
        return error.exit_code
    if reply is not None:
        with suppress(BrokenPipeError):
            reply({"ok": None})
    return 0


def failure(error: RebalancerError) -> Mapping[str, Any]:
    """Return an error as its nearest class of `rebalancer.errors`, with its words."""
    known = RebalancerError.__module__
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == known]
    return {"error": names[0], "text": str(error)}


async def _orphaned() -> None:
    """Return when the parent is gone, whoever else may still hold the other end of stdin."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(ORPHAN_SECONDS)


async def _stdin() -> asyncio.StreamReader:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _own_stdout() -> Reply:
    """Keep stdout for the answers; whatever else is printed goes to stderr."""
    out = os.dup(1)
    os.dup2(2, 1)

    def reply(answer: Mapping[str, Any]) -> None:
        rest = memoryview(json.dumps(answer).encode("ascii") + b"\n")
        while rest:
            rest = rest[os.write(out, rest) :]

    return reply
