"""How the connection to Binance is made; the table `[binance]` of the file."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from annotated_types import Ge, Gt, Le


class Product(StrEnum):
    """Which of the exchange's two wallets and interfaces a portfolio uses."""

    SPOT = "spot"
    USDM = "usdm"


class MarginType(StrEnum):
    """Whether a position's margin is the whole wallet or its own share of it."""

    CROSSED = "CROSSED"
    ISOLATED = "ISOLATED"


@dataclass(frozen=True)
class BinanceParameters:
    """What the owner may set about Binance. What is None is left as the account has it.

    `demo`: the exchange's own demo hosts, with keys of their own. `recv_window_ms`: how old a
    signed call may be when the exchange takes it up. `request_seconds`: how long an answer may
    take. `connect_attempts`: how often a connection is tried. `weight_share`: the part of the
    exchange's weight limit that this program may use; others may call from the same address.
    `margin_type`, `leverage` and `multi_assets` are set before the first order where they differ.
    """

    demo: bool = False
    recv_window_ms: Annotated[int, Ge(100), Le(60_000)] = 3_000
    request_seconds: Annotated[float, Gt(0), Le(60)] = 10.0
    connect_attempts: Annotated[int, Ge(1), Le(10)] = 3
    weight_share: Annotated[float, Gt(0), Le(1)] = 0.8
    margin_type: MarginType | None = None
    leverage: Annotated[int, Ge(1), Le(125)] | None = None
    multi_assets: bool | None = None


@dataclass(frozen=True)
class BinanceSettings(BinanceParameters):
    """Those, and what the wiring knows.

    `history_days` and `history_hours`: the longest histories that sleeves ask for (0: none).
    `leverage_needed`: the largest leverage that may be planned with.
    """

    history_days: int = 300
    history_hours: int = 0
    leverage_needed: Decimal = Decimal(1)
