"""What was learned of contracts and price rules, kept on disk until it expires.

A cache may be lost at any time: a damaged file is thrown away and asked for again. What has
expired is kept as memory: a contract that is another one than last time should be noticed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from rebalancer.brokers.ib.contracts_listing import Listing
from rebalancer.errors import DataError, StateError
from rebalancer.model.codec import from_plain, to_json
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.rules import PriceLevel

FILE = "contracts.json"
SCHEMA = 1
DETAILS_LAST = timedelta(days=1)
"""Contracts are qualified again each day."""

RULES_LAST = timedelta(days=30)

_LOG = logging.getLogger("rebalancer.brokers.ib")


class CacheFiles(Protocol):
    """What the adapter's small files need of `store.atomic.Files`."""

    def replace(self, path: Path, content: bytes, /) -> None: ...
    def append(self, path: Path, content: bytes, /, *, durable: bool = True) -> None: ...
    def read(self, path: Path, /) -> bytes: ...
    def exists(self, path: Path, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class KeptRule:
    """The price levels of one market rule, and when they were asked."""

    levels: tuple[PriceLevel, ...]
    at: datetime


@dataclass(frozen=True)
class _Kept:
    schema: int
    listings: Mapping[str, Listing]
    rules: Mapping[str, KeptRule]


@dataclass
class ContractCache:
    """`<folder>/contracts.json`: listings by instrument and market rules by number."""

    folder: Path
    files: CacheFiles
    listings: dict[InstrumentId, Listing] = field(default_factory=dict)
    rules: dict[int, KeptRule] = field(default_factory=dict)
    dropped: str = ""
    """Why what was kept cannot be used, '' when it can."""

    def __post_init__(self) -> None:
        """Read what is there; what cannot be read is as good as nothing."""
        path = self.folder / FILE
        try:
            if not self.files.exists(path):
                return
            kept = from_plain(_Kept, json.loads(self.files.read(path)), FILE)
            if kept.schema != SCHEMA:
                raise DataError(f"{FILE}: schema {kept.schema}")
            self.listings = {InstrumentId(name): kept.listings[name] for name in kept.listings}
            self.rules = {int(number): kept.rules[number] for number in kept.rules}
        except (DataError, StateError, ValueError, TypeError, RecursionError) as error:
            self.dropped = f"{path} cannot be used and is fetched again: {error}"
            _LOG.warning("%s", self.dropped)

    def fresh(self, name: InstrumentId, now: datetime) -> Listing | None:
        """Return a listing that was asked for less than a day ago and knows today's hours."""
        found = self.listings.get(name)
        if found is None or not timedelta() <= now - found.at < DETAILS_LAST:
            return None
        hours = found.hours(liquid=False)
        if hours is not None and hours.trades(now) is None:
            return None
        return found

    def rule(self, number: int, now: datetime) -> tuple[PriceLevel, ...] | None:
        """Return the levels of a market rule that were asked for less than 30 days ago."""
        found = self.rules.get(number)
        if found is None or not timedelta() <= now - found.at < RULES_LAST:
            return None
        return found.levels

    def save(self) -> None:
        """Write everything in one piece; a disk that refuses only costs the next run a question."""
        kept = _Kept(
            SCHEMA,
            {name: self.listings[name] for name in sorted(self.listings)},
            {str(number): self.rules[number] for number in sorted(self.rules)},
        )
        try:
            self.files.replace(self.folder / FILE, to_json(kept, indent=1).encode("ascii"))
        except StateError as error:
            _LOG.warning("the contracts could not be kept: %s", error)
