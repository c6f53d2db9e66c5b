"""The adapter for Binance in front of the suite: the real client library, perpetuals.

`binance-memory` has the simulated exchange in this process, `binance-socket` in a process of its
own behind a loopback socket.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rebalancer.brokers.binance.broker import BinanceBroker
from rebalancer.brokers.binance.hands import BinanceHands
from rebalancer.brokers.binance.parameters import BinanceSettings, Product
from rebalancer.brokers.binance.passage import at_simulator
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import Freshness
from rebalancer.model.orders import TimeInForce
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.secret import Secret
from rebalancer.model.universe import Universe
from rebalancer.simulators.binance_server.control import Control
from rebalancer.simulators.binance_server.launch import ChildServer
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.binance_server.spec import KEY, SECRET, BinanceSpec
from rebalancer.simulators.faults import FaultScript
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.store.atomic import Files
from tests.contract.brokers.rig import Rig

SLOT = datetime(2025, 3, 20, 15, 5, tzinfo=UTC)
"""A Thursday, an hour before funding is settled."""

FILTERS = {"SOL": ("0.01", "0.01"), "BCH": ("0.01", "0.001"), "LTC": ("0.01", "0.001")}
"""Price step and lot, as the exchange has them."""


def perpetual(coin: str) -> Instrument:
    """Return a perpetual in USDT as configurations describe it."""
    tick, lot = FILTERS.get(coin, ("0.01", "0.001"))
    return Instrument(
        InstrumentId(f"{coin}USDT.PERP@BINANCE"),
        Kind.PERPETUAL,
        f"{coin}USDT",
        "USDT",
        "24/7",
        TradingRules(
            price_levels=(PriceLevel(Decimal(0), Decimal(tick)),),
            limit_step=Decimal(lot),
            market_step=Decimal(lot),
            min_size=Decimal(lot),
            min_notional=Decimal(5),
            reduce_only_exempt=True,
        ),
    )


SOL, BCH, LTC = perpetual("SOL"), perpetual("BCH"), perpetual("LTC")


@dataclass
class BinanceRig(Rig):
    """The same questions of an exchange whose answers are whole."""

    def fee(self, quantity: Decimal | int, price: Decimal) -> Decimal:
        """Return what taking costs: 0.05 % of what is traded, to eight decimals."""
        fee = abs(Decimal(quantity)) * price * Decimal("0.0005")
        return fee.quantize(Decimal("1E-8"))


def _rig(name: str, folder: Path, start: Callable[[BinanceSpec], Control]) -> Rig:
    def make(faults: FaultScript, **changes: Any) -> BinanceBroker:
        given = {"seed": 7, "start": SLOT - timedelta(minutes=5)} | changes.pop("settings", {})
        given.pop("unique_references", None)
        cash = given.pop("cash", {"USDT": Decimal(100_000)})
        settings = PaperSettings(**{"recording": "binance_perps_2025", "cash": cash, **given})
        account, base = changes.pop("account", "700700700"), changes.pop("base", "USDT")
        read_only = changes.pop("read_only", False)
        assert not changes, f"the rig does not know {changes}"
        universe = Universe((SOL, BCH, LTC))
        spec = BinanceSpec(
            account=account,
            base=base,
            folder=str(folder / "paper"),
            instruments=universe.instruments,
            settings=settings,
            fee_schedule="binance-usdm",
            keep=not read_only,
            engine_faults=tuple(faults.faults),
        )
        return BinanceBroker(
            settings=BinanceSettings(history_days=20),
            product=Product.USDM,
            account=account,
            base=base,
            universe=universe,
            key=Secret(KEY),
            secret=Secret(SECRET),
            folder=folder / "binance",
            files=Files(),
            passage=at_simulator(lambda: start(spec)),
            read_only=read_only,
        )

    return BinanceRig(
        name,
        folder / "paper",
        make,
        BinanceHands,
        one=SOL,
        two=BCH,
        three=LTC,
        unknown=perpetual("NOPE"),
        other=perpetual("XRP"),
        low="124.00",
        slot=SLOT,
        next_day=SLOT + timedelta(days=1),
        always_open=True,
        instant=True,
        doubles=False,
        breaks_at_once=False,
        half_of_eleven=Decimal("5.5"),
        other_account="700700701",
        base="USDT",
        broken_lot="1.505",
        too_many=100_000,
        margin=Decimal("0.05"),
        margin_within=Decimal("0.01"),
        day=TimeInForce.GTC,
        freshness=Freshness.SYNTHETIC,
        absence_after=60.0,
        words={
            "multiple of 0.01": "recision",
            "multiple of 1": "recision",
            "positive price": "positive price",
            "no such instrument": "nvalid symbol",
            "margin": "position at current leverage",
        },
    )


def binance_memory_rig(folder: Path) -> Rig:
    """Return the adapter in front of an exchange in this process."""
    return _rig("binance-memory", folder, lambda spec: LocalServer(spec, Files()))


def binance_socket_rig(folder: Path) -> Rig:
    """Return the adapter in front of an exchange in a process of its own."""
    return _rig("binance-socket", folder, ChildServer)
