"""Whatever is lost on the way: who had a confirmed stop has one, unless the position is flat."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.cli.rehearse_stages import Stages
from rebalancer.rehearsal.driver import play
from rebalancer.simulators.binance_server.algo_kept import waiting
from rebalancer.simulators.binance_server.faults import Do, HttpFault, HttpRate
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.faults.schedule import Hour, Schedule, Trouble
from tests.exchanges import FIRST, Exchanges, perpetual, write_coins
from tests.portfolios import QUIET, write_signal

HOUR = timedelta(hours=1)
COINS = ("BTC", "ETH", "SOL")
LADDER = "\n[protect]\nenabled = true\nbase_distance = 0.01\nsteps = 3\n"
BOOKS = (
    {"BTC": "0.4", "ETH": "-0.4", "SOL": "0.2"},
    {"BTC": "0.1", "ETH": "-0.1", "SOL": "0.4"},
    {"BTC": "-0.3", "ETH": "0.3", "SOL": "0"},
    {"BTC": "0", "ETH": "0", "SOL": "0.3"},
)
"""What is wanted hour by hour: larger, smaller, turned, flat."""

RATES = tuple(
    HttpRate(HttpFault(where, do), 0.06)
    for where in ("* /fapi/v1/algoOrder", "GET /fapi/v1/openAlgoOrders", "* /fapi/v1/order")
    for do in (Do.TIMEOUT_AFTER, Do.CUT_BEFORE, Do.STATUS_AFTER, Do.TRUNCATE)
)


class Watch:
    """Looks at the exchange's books after each request."""

    def __init__(self) -> None:
        self.covered: dict[str, Decimal] = {}
        self.naked: list[str] = []
        self.looked = 0

    def arm(self, server: LocalServer) -> None:
        """Watch an exchange from now on."""
        inner = server._steering.server
        handle = inner.handle

        def watched(request: Any) -> Any:
            try:
                return handle(request)
            finally:
                self.look(inner, f"{request.method} {request.path}")

        inner.handle = watched  # type: ignore[method-assign]
        self.look(inner, "between two runs")

    def look(self, server: Any, when: str) -> None:
        self.looked += 1
        account = server.exchange.account
        stops = self._stops(account)
        for name, holding in account.holdings.items():
            if not holding.quantity:
                self.covered.pop(name, None)
            elif any(quantity * holding.quantity < 0 for quantity in stops.get(name, ())):
                most = max(abs(holding.quantity), self.covered.get(name, Decimal(0)))
                self.covered[name] = most
            elif name in self.covered and not self._resting(account, name, holding.quantity):
                self.naked.append(
                    f"{name} after {when}: {holding.quantity} of {self.covered[name]}"
                )

    def _stops(self, account: Any) -> Mapping[str, list[Decimal]]:
        found: dict[str, list[Decimal]] = {}
        for coin in COINS:
            for each in waiting(account, f"{coin}USDT"):
                sign = 1 if each.buys else -1
                found.setdefault(perpetual(coin), []).append(sign * each.quantity)
        return found

    def _resting(self, account: Any, name: str, held: Decimal) -> bool:
        """Return whether a stop that fired is still at work as an ordinary order."""
        return any(
            order.instrument == name and order.live and order.quantity * held < 0
            for order in account.orders
            if order.reference.split(".")[1:2] and "p" in order.reference.split(".")[1]
        )


@pytest.mark.parametrize("seed", range(8))
def test_no_position_loses_its_last_stop(tmp_path: Path, seed: int) -> None:
    world = Exchanges(write_coins(tmp_path, extra=LADDER + QUIET))
    watch = Watch()
    world.before = watch.arm
    for hours in range(6):
        at = FIRST + hours * HOUR
        world.changes = {"rates": RATES, "fault_seed": seed * 100 + hours} if hours < 4 else {}
        wanted = {perpetual(coin): weight for coin, weight in BOOKS[hours % 4].items()}
        write_signal(tmp_path, wanted, at, portfolio="coins")
        halt = tmp_path / "state" / "HALT"
        if hours == 2:
            halt.write_text("a test", encoding="utf-8")
        world.hour(at)
        halt.unlink(missing_ok=True)
    assert watch.looked > 100
    assert watch.naked == []


@pytest.mark.parametrize("weight", ["0.2", "0.008"])
def test_an_account_shown_as_it_was_before_the_position_takes_no_stop_down(weight: str) -> None:
    wanted = {perpetual("ETH"): weight}
    old = Trouble("account-stale", count=8, seconds=5400)
    hours = (Hour(60, wanted), Hour(15, wanted, (old,)))
    played = play(Stages()("binance"), Schedule("binance", 3, hours, protect=True))
    assert played.hits["account-stale", 4] > 0
    assert played.violations == ()
