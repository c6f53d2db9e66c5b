"""What one connection has subscribed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from rebalancer.model.instrument import Instrument, InstrumentId

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.session import Session

Values = Mapping[tuple[str, str], str]
"""Account values as text, by key and currency."""


@dataclass
class AccountFeed:
    """Account values and portfolio of one account; `told` is what was said last."""

    account: str
    told: Values = field(default_factory=dict)


@dataclass(frozen=True)
class SummaryFeed:
    """A request for a summary: of which accounts, which tags, which currencies of the ledger."""

    accounts: tuple[str, ...]
    tags: tuple[str, ...]
    told: dict[tuple[str, str, str], str] = field(default_factory=dict)


@dataclass(frozen=True)
class MultiFeed:
    """A request for the values or positions of one account or model."""

    account: str
    model: str
    ledger_only: bool = False
    told: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass
class QuoteFeed:
    """A streaming request for market data; `told` is the last value of each tick."""

    instrument: Instrument
    kind: int
    generic: frozenset[int]
    told: dict[int, str] = field(default_factory=dict)


@dataclass
class Feeds:
    """All subscriptions of one connection, by request where there are several.

    `data_type` is the kind of market data that the client asked for (1 live ... 4);
    `told_at` is when values that move with prices were told last.
    """

    session: Session
    account: AccountFeed | None = None
    positions: bool = False
    summaries: dict[int, SummaryFeed] = field(default_factory=dict)
    values_multi: dict[int, MultiFeed] = field(default_factory=dict)
    positions_multi: dict[int, MultiFeed] = field(default_factory=dict)
    profits: dict[int, InstrumentId | None] = field(default_factory=dict)
    quotes: dict[int, QuoteFeed] = field(default_factory=dict)
    data_type: int = 1
    told_at: datetime | None = None
