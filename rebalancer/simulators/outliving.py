"""A venue that outlives its clients: several steer it, one after the other, over a socket.

The lines are those of `child_end`, over a socket of this machine's file system. A client may
die whenever it likes: half an order is none, and an answer that nobody hears is given up.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rebalancer.errors import RebalancerError
from rebalancer.simulators.books import FILE
from rebalancer.simulators.child_end import (
    BUG,
    LONGEST_LINE,
    ORPHAN_SECONDS,
    Served,
    failure,
)
from rebalancer.simulators.exchange import Exchange
from rebalancer.store.atomic import Files

LEAVE = "close"
"""What a client says that goes; the venue stays."""

END = "end"
"""What ends the venue. Its books are not saved: whoever wants them asks for them before."""


def looked(exchange: Exchange) -> Mapping[str, Any]:
    """Return what an observer wants to know between two runs: the time, and ids of orders."""
    account = exchange.account
    return {"now": exchange.now.isoformat(), "orders": [order.id for order in account.orders]}


def save_apart(exchange: Exchange, folder: str) -> None:
    """Write the account's books into another folder than their own, if they have one."""
    Files().replace(Path(folder) / FILE, exchange.books.content())


async def live_on(served: Served, listener: socket.socket) -> int:
    """Serve whoever steers until somebody says `END`, or who started it is gone.

    Returns the exit code. `listener` is a bound socket of the file system; the port of the
    venue is the answer to the order `port`.
    """
    loop = asyncio.get_running_loop()
    port = await served.start()
    ended: asyncio.Future[int] = loop.create_future()
    door = _Door(served, port, ended)
    server = await asyncio.start_unix_server(door.welcome, sock=listener, limit=LONGEST_LINE)
    loop.add_signal_handler(signal.SIGTERM, door.end, 0)
    orphaned = loop.create_task(_orphaned(door))
    try:
        return await ended
    finally:
        orphaned.cancel()
        server.close()
        served.stop()


class _Door:
    """Where orders arrive."""

    def __init__(self, served: Served, port: int, ended: asyncio.Future[int]) -> None:
        self._served, self._port, self._ended = served, port, ended

    def end(self, code: int) -> None:
        """End the venue."""
        if not self._ended.done():
            self._ended.set_result(code)

    async def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Obey one client until it leaves, or dies."""
        try:
            while (line := await reader.readline()).endswith(b"\n"):
                order = json.loads(line)
                if order["do"] == LEAVE:
                    break
                answer = await self._answer(order)
                writer.write(json.dumps(answer).encode("ascii") + b"\n")
                await writer.drain()
                if order["do"] == END:
                    self.end(0)
        except (ConnectionError, asyncio.CancelledError):
            pass  # who asked is dead, or everything ends
        except Exception:  # a bug: whoever asks next learns that the venue is gone
            traceback.print_exc()
            self.end(BUG)
        finally:
            with suppress(OSError):
                writer.close()

    async def _answer(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        if order["do"] == "port":
            return {"ok": self._port}
        if order["do"] == END:
            return {"ok": None}
        try:
            return {"ok": await self._served.obey(order)}
        except RebalancerError as error:
            return failure(error)


async def _orphaned(door: _Door) -> None:
    """End the venue when the process that started it is gone."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(ORPHAN_SECONDS)
    door.end(0)
