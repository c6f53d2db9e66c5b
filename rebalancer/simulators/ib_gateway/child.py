"""The gateway as a process of its own: a spec on its stdin, then orders of whoever started it.

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
from datetime import datetime
from pathlib import Path
from typing import Any

from rebalancer.errors import RebalancerError, UsageError
from rebalancer.model.codec import from_plain
from rebalancer.simulators.ib_gateway.control import Steering
from rebalancer.simulators.ib_gateway.faults import WireFault
from rebalancer.simulators.ib_gateway.spec import GatewaySpec, open_gateway, spec_from_json
from rebalancer.simulators.ib_gateway.tcp import LoopbackServer
from rebalancer.store.atomic import Files

LONGEST_LINE = 64 * 2**20
ORPHAN_SECONDS = 1.0
"""How often the process looks whether its parent is still there."""

BUG = 70


def main() -> None:
    """Serve until told to end, or until stdin does."""
    reply = _own_stdout()
    # A terminal's Ctrl-C is for the parent, which ends this process when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = asyncio.run(_live(reply))
    sys.stderr.flush()
    os._exit(code)  # threads or handlers of nobody delay the end


class _Ended(Exception):
    """The gateway is to end."""


async def _live(reply: Callable[[Mapping[str, Any]], None]) -> int:
    orders = await _stdin()
    first = await orders.readline()
    if not first:
        return 0
    with ExitStack() as stack:
        try:
            spec = spec_from_json(first.decode("utf-8"))
            child = _Child(spec, _log(spec, stack))
            await child.server.start()
        except RebalancerError as error:
            with suppress(BrokenPipeError):
                reply(_failure(error))
            return error.exit_code
        except Exception:  # a bug: the parent shows what stderr has
            traceback.print_exc()
            return BUG
        child.server.watch()
        with suppress(BrokenPipeError):  # then stdin has ended too
            reply({"ok": {"port": child.server.port}})
        return await child.serve(orders, reply)


class _Child:
    """A gateway with its port, and the orders that steer it."""

    def __init__(self, spec: GatewaySpec, write: Callable[[str], object] | None) -> None:
        self.steering = Steering(open_gateway(spec, Files(), write))
        self.server = LoopbackServer(
            self.steering.gateway, port=spec.port, refused=lambda: self.steering.refused
        )

    async def serve(
        self, orders: asyncio.StreamReader, reply: Callable[[Mapping[str, Any]], None]
    ) -> int:
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
                answer = await self._obey(asked)
            except _Ended:
                return self._end(reply if asked else None)
            except RebalancerError as error:
                answer = _failure(error)
            except Exception:  # a bug: nothing is saved, the books are those of the last news
                traceback.print_exc()
                return BUG
            try:
                reply(answer)
            except BrokenPipeError:
                return self._end(None)

    async def _obey(self, line: bytes) -> Mapping[str, Any]:
        if not line:
            raise _Ended
        order = json.loads(line)
        what = order["do"]
        if what == "close":
            raise _Ended
        do = _ORDERS.get(what)
        if do is None:
            raise UsageError(f"the gateway cannot {what!r}")
        answer = do(self.steering, order)
        await self.server.obey()
        return {"ok": answer}

    def _end(self, reply: Callable[[Mapping[str, Any]], None] | None) -> int:
        """Let the clients go and save; the answer comes last."""
        self.server.stop()
        try:
            self.steering.save()
        except RebalancerError as error:
            if reply is None:
                print(error, file=sys.stderr)
            else:
                reply(_failure(error))
            return error.exit_code
        if reply is not None:
            with suppress(BrokenPipeError):
                reply({"ok": None})
        return 0


def _open(steering: Steering, order: Mapping[str, Any]) -> None:
    steering.open(_time(order["slot"]), int(order["attempt"]))


def _inject(steering: Steering, order: Mapping[str, Any]) -> None:
    steering.inject(*from_plain(tuple[WireFault, ...], order["faults"], "faults"))


_ORDERS: Mapping[str, Callable[[Steering, Mapping[str, Any]], Any]] = {
    "now": lambda steering, _: steering.now().isoformat(),
    "open": _open,
    "advance": lambda steering, order: steering.advance(_time(order["until"])).isoformat(),
    "ended": lambda steering, order: steering.ended(_time(order["at"])),
    "arm": lambda steering, _: steering.arm(),
    "inject": _inject,
    "counts": lambda steering, _: dict(steering.counts()),
    "violations": lambda steering, _: steering.violations(),
    "trace": lambda steering, _: steering.trace(),
}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _failure(error: RebalancerError) -> Mapping[str, Any]:
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


def _own_stdout() -> Callable[[Mapping[str, Any]], None]:
    """Keep stdout for the answers; whatever else is printed goes to stderr."""
    out = os.dup(1)
    os.dup2(2, 1)

    def reply(answer: Mapping[str, Any]) -> None:
        rest = memoryview(json.dumps(answer).encode("ascii") + b"\n")
        while rest:
            rest = rest[os.write(out, rest) :]

    return reply


def _log(spec: GatewaySpec, stack: ExitStack) -> Callable[[str], object] | None:
    if not spec.wire_log:
        return None
    try:
        file = Path(spec.wire_log).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"cannot write the wire log {spec.wire_log}: {error.strerror}") from error
    return stack.enter_context(file).write
