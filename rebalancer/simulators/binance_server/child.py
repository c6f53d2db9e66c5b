"""The exchange as a process of its own, steered by whoever started it (`child_end`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from rebalancer.errors import UsageError
from rebalancer.model.codec import from_plain
from rebalancer.simulators.binance_server.control import Steering
from rebalancer.simulators.binance_server.faults import HttpFault
from rebalancer.simulators.binance_server.http import HttpServer
from rebalancer.simulators.binance_server.server import BinanceServer
from rebalancer.simulators.binance_server.spec import spec_from_json
from rebalancer.simulators.child_end import log_file, serve
from rebalancer.simulators.killing import sentence_of
from rebalancer.simulators.outliving import looked, save_apart
from rebalancer.store.atomic import Files


def main() -> None:
    """Serve until told to end, or until stdin does."""
    serve(_made)


def _made(line: str, stack: ExitStack) -> ServedExchange:
    spec = spec_from_json(line)
    return ServedExchange(BinanceServer(spec, Files(), log_file(spec.wire_log, stack)))


class ServedExchange:
    """An exchange with its port, and the orders that steer it."""

    def __init__(self, server: BinanceServer) -> None:
        self.steering = Steering(server)
        self.http = HttpServer(server, port=server.spec.port)
        self.http.hearing = self.steering.executioner

    async def start(self) -> int:
        """Begin to listen; return the port."""
        return await self.http.start()

    async def obey(self, order: Mapping[str, Any]) -> Any:
        """Do what an order says."""
        do = _ORDERS.get(order["do"])
        if do is None:
            raise UsageError(f"the exchange cannot {order['do']!r}")
        answer = do(self.steering, order)
        await self.http.obey()
        return answer

    def stop(self) -> None:
        """Let the clients go."""
        self.http.stop()

    def save(self) -> None:
        """Save the books."""
        self.steering.save()


def _open(steering: Steering, order: Mapping[str, Any]) -> None:
    steering.open(_time(order["slot"]), int(order["attempt"]))


def _inject(steering: Steering, order: Mapping[str, Any]) -> None:
    steering.inject(*from_plain(tuple[HttpFault, ...], order["faults"], "faults"))


_ORDERS: Mapping[str, Callable[[Steering, Mapping[str, Any]], Any]] = {
    "now": lambda steering, _: steering.now().isoformat(),
    "open": _open,
    "advance": lambda steering, order: steering.advance(_time(order["until"])).isoformat(),
    "ended": lambda steering, order: steering.ended(_time(order["at"])),
    "arm": lambda steering, _: steering.arm(),
    "inject": _inject,
    "counts": lambda steering, _: dict(steering.counts()),
    "used_weight": lambda steering, _: dict(steering.used_weight()),
    "trace": lambda steering, _: steering.trace(),
    "kill": lambda steering, order: steering.executioner.pass_sentence(sentence_of(order)),
    "spare": lambda steering, _: steering.executioner.forget(),
    "heard": lambda steering, _: steering.executioner.heard(),
    "look": lambda steering, _: looked(steering.server.exchange),
    "books": lambda steering, order: save_apart(steering.server.exchange, order["folder"]),
}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
