"""The whole server over a recording, asked as a client asks it: signed requests, JSON answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.binance_servers import call, server


class Venue:
    """A server and somebody who may sign."""

    def __init__(self, **changes: Any) -> None:
        self.server = server(**changes)

    @property
    def now(self) -> datetime:
        return self.server.exchange.now

    def ask(self, method: str, path: str, **parameters: str) -> Any:
        """Return the answer to a signed request; raises the exchange's refusal."""
        return call(self.server, method, path, **parameters)

    def trade(self, symbol: str, side: str, quantity: str) -> Any:
        """Trade a perpetual at market."""
        return self.ask(
            "POST", "/fapi/v1/order", symbol=symbol, side=side, type="MARKET",
            quantity=quantity, newOrderRespType="RESULT",
        )  # fmt: skip

    def advance(self, to: datetime) -> None:
        """Let time pass."""
        self.server.exchange.play_to(to)
