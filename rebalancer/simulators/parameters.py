"""What the owner may set about the simulated venue; the table `[paper]` of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from annotated_types import Ge, Gt, Le


class Transport(StrEnum):
    """How a paper run reaches the simulated venue.

    SOCKET: the venue's real client library, over a loopback socket, to a gateway in a process
    of its own. MEMORY: the same client and gateway in one process, on a virtual clock. ENGINE:
    no client library and no protocol, the engine alone; the fastest.
    """

    SOCKET = "socket"
    MEMORY = "memory"
    ENGINE = "engine"


@dataclass(frozen=True)
class PaperSettings:
    """How the simulated venue behaves. Its profit means nothing; see docs/SIMULATORS.md.

    `start` is the time at which a new account opens; `cash` maps a currency to its opening
    balance (empty: 100,000 of the base currency), `positions` an instrument id to a signed
    quantity, held at its price at `start`. `fx` has the constant rates of the account, base
    currency for one unit. `spread_bps` is the whole spread, of the price; `depth` the units
    shown at the touch in a minute (the seed varies it by half). Latencies are the longest
    ones, in seconds: the seed draws one to four quarters of it. Margin ratios are
    fractions of a position's value. `cash_account`: no borrowing, no shorts, proceeds are
    spendable after `settlement_sessions`. `unique_references`: an open order's reference
    may not be used again (Binance); otherwise doubles are accepted and counted (IB).
    """

    transport: Transport = Transport.SOCKET
    recording: str = "us_equities"
    seed: Annotated[int, Ge(0)] = 1
    start: datetime = datetime(2020, 3, 2, 14, 30, tzinfo=UTC)
    cash: Mapping[str, Decimal] = field(default_factory=dict)
    positions: Mapping[str, Decimal] = field(default_factory=dict)
    fx: Mapping[str, Decimal] = field(default_factory=dict)
    spread_bps: Annotated[Decimal, Ge(0), Le(1000)] = Decimal(2)
    depth: Annotated[Decimal, Gt(0)] = Decimal(500)
    acknowledge_seconds: Annotated[float, Gt(0), Le(600)] = 0.5
    cancel_seconds: Annotated[float, Gt(0), Le(600)] = 1.0
    commission_seconds: Annotated[float, Gt(0), Le(600)] = 1.0
    initial_margin_long: Annotated[Decimal, Gt(0), Le(2)] = Decimal("0.5")
    initial_margin_short: Annotated[Decimal, Gt(0), Le(2)] = Decimal("0.5")
    maintenance_margin_long: Annotated[Decimal, Gt(0), Le(2)] = Decimal("0.25")
    maintenance_margin_short: Annotated[Decimal, Gt(0), Le(2)] = Decimal("0.30")
    cash_account: bool = False
    settlement_sessions: Annotated[int, Ge(0), Le(5)] = 2
    unique_references: bool = False
