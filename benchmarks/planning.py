"""Planning 10,000 instruments: columns to columns, and from objects to orders."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from benchmarks import Benchmark
from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.fees import fee_schedule
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import MarketSnapshot, Quote
from rebalancer.model.money import FxRates
from rebalancer.model.plan import FREE, Plan
from rebalancer.model.signals import Coverage, Signal, Unit
from rebalancer.model.universe import Sleeve, Universe
from rebalancer.planning.blend import blend
from rebalancer.planning.columns import compile_universe
from rebalancer.planning.decide import Decision, decide
from rebalancer.planning.funding import purse
from rebalancer.planning.live import read_live
from rebalancer.planning.parameters import PlanParameters
from rebalancer.planning.plan import plan_rebalance
from rebalancer.planning.restraints import compile_restraints
from rebalancer.planning.sizing import sizing_capital

COUNT, ORDERS = 10_000, 1_000
NOW = datetime(2026, 1, 5, 15, 5, tzinfo=UTC)
NET_LIQUIDATION = Decimal(1_000_000_000)


class World:
    """A large account: 10,000 stocks at 1 / 10,000 each, every tenth of them off its target."""

    def __init__(self) -> None:
        random = np.random.default_rng(7)
        cents = random.integers(1_000, 50_000, COUNT).tolist()
        stocks = [
            Instrument(InstrumentId(f"S{n:05}.STK.USD@IB"), Kind.STOCK, f"S{n:05}", "USD", "XNYS")
            for n in range(COUNT)
        ]
        names = tuple(stock.id for stock in stocks)
        self.universe = Universe(stocks)
        self.sleeves = (Sleeve("all", names, Decimal(1)),)
        weight = Decimal("0.000099")
        self.signals = {
            "all": Signal(
                "all", dict.fromkeys(names, weight), Unit.WEIGHT, Decimal(1), NOW,
                NOW.replace(hour=20), Coverage.COMPLETE,
            )
        }  # fmt: skip
        quotes, positions, cash = {}, [], NET_LIQUIDATION
        for n, (name, price) in enumerate(zip(names, cents, strict=True)):
            bid, ask = Decimal(price - 1).scaleb(-2), Decimal(price + 1).scaleb(-2)
            quotes[name] = Quote(name, NOW, bid, ask)
            shares = int(NET_LIQUIDATION * weight / (Decimal(price) / 100))
            if n % (COUNT // ORDERS) == 0:
                shares = shares * 13 // 10 if n % 20 else shares * 7 // 10
            cash -= shares * Decimal(price) / 100
            positions.append(Position(name, Decimal(shares), "USD"))
        self.account = AccountSnapshot(
            "U1", NOW, NET_LIQUIDATION, {"USD": cash}, FxRates("USD", {}), tuple(positions)
        )
        self.market = MarketSnapshot(NOW, quotes)
        self.parameters = PlanParameters(cash_reserve=Decimal(0), band_absolute=Decimal(0))
        self.fees = fee_schedule("ib-fixed")
        rules = compile_universe(self.universe)
        self.live = read_live(rules, self.account, self.market, NOW, None)
        self.blend = blend(self.live.rules, self.sleeves, self.signals, {})
        self.restraints = compile_restraints(self.live.rules, FREE)
        self.capital = sizing_capital(self.account, self.universe, self.parameters)
        self.purse = purse(self.account, self.live, self.capital, self.parameters)

    def columns(self) -> Decision:
        """Return the decision from columns."""
        return decide(
            self.live, self.blend, self.capital, self.purse, self.parameters, self.fees,
            Decimal(0), self.restraints,
        )  # fmt: skip

    def door_to_door(self) -> Plan:
        """Return the plan from objects."""
        return plan_rebalance(
            self.universe, self.sleeves, self.signals, {}, self.account, self.market,
            self.parameters, self.fees, now=NOW,
        )  # fmt: skip


def benchmarks() -> list[Benchmark]:
    """Return the claims about planning."""
    world = World()
    assert len(world.door_to_door().orders) == ORDERS
    floats = np.random.default_rng(1).random(COUNT)
    decimals = [Decimal(n) for n in np.random.default_rng(2).permutation(COUNT).tolist()]
    return [
        Benchmark(
            name="planning 10,000 instruments, columns to columns",
            run=world.columns,
            yardstick_name="numpy sorts 10,000 floats",
            yardstick=lambda: np.sort(floats),
            most_milliseconds=10,
        ),
        Benchmark(
            name="planning 10,000 instruments to 1,000 orders, door to door",
            run=world.door_to_door,
            yardstick_name="Python sorts 10,000 Decimals",
            yardstick=lambda: sorted(decimals),
            most_milliseconds=50,
        ),
    ]
