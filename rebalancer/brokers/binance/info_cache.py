"""What the exchange lists (`exchangeInfo`), read once a connection; the last one kept on disk.

What is kept never stands in for the question: an order is planned from rules of this very
connection. It says what has changed since, and names symbols before anything was asked. It may
be lost at any time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from rebalancer.brokers.binance.errors import RequestRefused
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import Questions, milliseconds, moment, rows
from rebalancer.errors import BlindError, StateError

FILE = "exchange_info.json"
SCHEMA = 1
KEPT_FOR = timedelta(days=7)
FEW_SYMBOLS = 40
"""Up to as many spot symbols are asked for by name: the whole list is more than 10 MB."""

_LOG = logging.getLogger("rebalancer.brokers.binance")
_NO_SYMBOL = -1121
_PATH = {Product.USDM: "/fapi/v1/exchangeInfo", Product.SPOT: "/api/v3/exchangeInfo"}
_KEPT = (
    "symbol", "status", "baseAsset", "quoteAsset", "contractType", "deliveryDate", "onboardDate",
    "pricePrecision", "quantityPrecision", "baseAssetPrecision", "quoteAssetPrecision",
    "isSpotTradingAllowed", "filters",
)  # fmt: skip

Row = Mapping[str, Any]


class SmallFiles(Protocol):
    """What small state files need of `store.atomic.Files`."""

    def replace(self, path: Path, content: bytes, /) -> None: ...
    def read(self, path: Path, /) -> bytes: ...
    def exists(self, path: Path, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Assets:
    """What a symbol trades, and what for."""

    base: str
    quote: str


class ExchangeInfo:
    """The exchange's list of symbols; `symbols` are those whose rows are wanted at least."""

    def __init__(
        self, line: Questions, folder: Path, files: SmallFiles, symbols: Iterable[str]
    ) -> None:
        self._line, self._path, self._files = line, folder / FILE, files
        self._wanted = tuple(sorted(symbols))
        self._rows: Mapping[str, Row] | None = None
        self._kept: Mapping[str, Row] | None = None
        self.dropped = ""
        """Why what was kept cannot be used, '' when it can (or was not read)."""

    def rows(self) -> Mapping[str, Row]:
        """Return the rows by symbol, asked for once a connection; raises when they are not told.

        On USDⓈ-M all there are; on spot those of `symbols` at least.
        """
        return self._rows if self._rows is not None else self.refresh()

    def refresh(self) -> Mapping[str, Row]:
        """Return the rows, asked for now: a filter may have changed under an order."""
        self.kept()
        answer = self._ask()
        if not isinstance(answer, dict):
            raise BlindError("exchangeInfo: the exchange answered with something else")
        found: dict[str, Row] = {}
        for row in rows(answer.get("symbols"), "exchangeInfo"):
            name = row.get("symbol")
            if not isinstance(name, str) or not name or name in found:
                raise BlindError(f"exchangeInfo: symbol {name!r} is twice there or no name")
            found[name] = row
        if not found and self._wanted:
            raise BlindError("exchangeInfo: the exchange lists no symbol at all")
        self._rows = found
        self._save(found)
        return found

    def kept(self) -> Mapping[str, Row]:
        """Return the rows that an earlier run of the last days kept; none when it did not."""
        if self._kept is None:
            self._kept = self._read(self._line.now())
        return self._kept

    def assets(self, symbol: str) -> Assets | None:
        """Return what a symbol trades, from this connection's list or else a kept one."""
        row = (self._rows or {}).get(symbol) or self.kept().get(symbol)
        if row is None or not row.get("baseAsset") or not row.get("quoteAsset"):
            return None
        return Assets(str(row["baseAsset"]), str(row["quoteAsset"]))

    def _ask(self) -> Any:
        path = _PATH[self._line.product]
        if self._line.product is Product.USDM or not 0 < len(self._wanted) <= FEW_SYMBOLS:
            return self._line.get(path)
        try:
            return self._line.get(path, symbols=json.dumps(self._wanted, separators=(",", ":")))
        except RequestRefused as error:
            if error.code != _NO_SYMBOL:
                raise
            return self._line.get(path)  # one is unknown: only the whole list tells which

    def _read(self, now: datetime) -> Mapping[str, Row]:
        try:
            if not self._files.exists(self._path):
                return {}
            kept = json.loads(self._files.read(self._path))
            if kept["schema"] != SCHEMA or kept["product"] != self._line.product.value:
                return {}
            if not timedelta() <= now - moment(kept["at"], FILE) < KEPT_FOR:
                return {}
            return {str(row["symbol"]): row for row in kept["symbols"]}
        except (
            StateError, BlindError, ValueError, KeyError, TypeError, AttributeError, RecursionError,
        ) as error:  # fmt: skip
            self.dropped = f"{self._path} cannot be used and is fetched again: {error}"
            _LOG.warning("%s", self.dropped)
            return {}

    def _save(self, found: Mapping[str, Row]) -> None:
        """Keep the wanted rows; a disk that refuses only costs the next run a comparison."""
        chosen = [
            {key: found[name][key] for key in _KEPT if key in found[name]}
            for name in self._wanted
            if name in found
        ]
        content = {
            "schema": SCHEMA,
            "product": self._line.product.value,
            "at": milliseconds(self._line.now()),
            "symbols": chosen,
        }
        try:
            self._files.replace(self._path, json.dumps(content, indent=1).encode("ascii"))
        except StateError as error:
            _LOG.warning("the exchange's list could not be kept: %s", error)
