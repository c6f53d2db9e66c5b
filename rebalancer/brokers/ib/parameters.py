"""What the owner may set about the connection to Interactive Brokers; the table `[ib]`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from annotated_types import Ge, Gt, Le


class Priority(StrEnum):
    """How eagerly an Adaptive order looks for its fill."""

    URGENT = "Urgent"
    NORMAL = "Normal"
    PATIENT = "Patient"


@dataclass(frozen=True)
class IbParameters:
    """What the owner may set.

    `port` 0: 4001 for a live account, 4002 for a paper one (IB Gateway's own; TWS has 7496
    and 7497). `request_seconds` bounds each answer, `connect_attempts` how often a connection
    is tried, `farm_seconds` how long broken data farms, and Interactive Brokers itself when the
    gateway has lost it, are waited for. The gateway allows 50 messages a second.
    `gateway_zone` is read into times that come without one. `last_trade_seconds`: a quote whose
    last trade is older counts as old as that trade. `global_cancel`: with `cancel_scope = "all"`,
    use the one request that cancels every order of every client.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Ge(0), Le(65535)] = 0
    request_seconds: Annotated[float, Gt(0), Le(300)] = 30.0
    connect_attempts: Annotated[int, Ge(1), Le(20)] = 3
    farm_seconds: Annotated[float, Ge(0), Le(300)] = 60.0
    messages_per_second: Annotated[int, Ge(1), Le(50)] = 48
    adaptive_priority: Priority = Priority.NORMAL
    gateway_zone: str = "America/New_York"
    quote_seconds: Annotated[float, Gt(0), Le(60)] = 10.0
    last_trade_seconds: Annotated[float, Gt(0)] = 300.0
    market_data_lines: Annotated[int, Ge(1), Le(1000)] = 100
    history_requests: Annotated[int, Ge(1), Le(50)] = 8
    global_cancel: bool = False


@dataclass(frozen=True)
class IbSettings(IbParameters):
    """What a connection is made with: the owner's parameters, and what follows from the rest.

    `client_id` is the connection's number (a read-only one uses it + 1000).
    `market_data_type`: 1 live only, 3 delayed is taken too. `history_bars`: how many bars are
    fetched of an instrument that has none.
    """

    client_id: int = 1
    market_data_type: int = 1
    history_bars: int = 1300
