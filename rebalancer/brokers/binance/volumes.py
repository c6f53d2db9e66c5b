"""How much of a symbol is traded in a day: from candles that were read anyway, else asked for."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rebalancer.brokers.binance.errors import RequestRefused
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import Questions, number, rows

DAYS = 20
"""Over how many of the last days a volume is averaged at most."""

FEW_PERPETUALS = 39
"""Up to as many weigh less one by one (1 each) than all together (40)."""

SPOT_AT_A_TIME = 20
"""Spot symbols of one request: they weigh 2 together."""

_EIGHT = Decimal("0.00000001")
_LOG = logging.getLogger("rebalancer.brokers.binance")
_TICKER = {Product.USDM: "/fapi/v1/ticker/24hr", Product.SPOT: "/api/v3/ticker/24hr"}


class Volumes:
    """Units traded in an average day, by symbol, as far as this connection knows."""

    def __init__(self, line: Questions) -> None:
        self._line = line
        self._known: dict[str, Decimal] = {}
        self._asked: set[str] = set()

    def learn(self, symbol: str, volumes: Sequence[Decimal], a_day: int) -> None:
        """Learn from the volumes of consecutive candles, oldest first; `a_day` make a day.

        Of less than a whole day nothing is learned.
        """
        days = min(len(volumes) // a_day, DAYS)
        if days:
            recent = volumes[-days * a_day :]
            self._known[symbol] = (sum(recent, Decimal(0)) / days).quantize(_EIGHT)

    def of(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Return the volume of an average day by symbol; what is unknown is asked for, once.

        One of which the exchange tells nothing is missing.
        """
        missing = sorted(set(symbols) - set(self._known) - self._asked)
        if missing:
            self._asked.update(missing)
            for row in day_tickers(self._line, missing):
                name = row.get("symbol")
                if isinstance(name, str) and name in missing:
                    self._known[name] = number(row.get("volume"), "ticker/24hr")
        return {name: self._known[name] for name in symbols if name in self._known}


def day_tickers(line: Questions, symbols: Sequence[str]) -> list[dict[str, Any]]:
    """Return the tickers of the last 24 hours of these symbols at least, the cheapest way.

    One that the exchange refuses is missing.
    """
    path = _TICKER[line.product]
    if line.product is Product.USDM:
        if len(symbols) > FEW_PERPETUALS:
            return rows(line.get(path), "ticker/24hr")
        return [row for name in symbols for row in _one(line, path, name)]
    found: list[dict[str, Any]] = []
    for start in range(0, len(symbols), SPOT_AT_A_TIME):
        names = symbols[start : start + SPOT_AT_A_TIME]
        try:
            answer = line.get(path, symbols=json.dumps(list(names), separators=(",", ":")))
            found += rows(answer, "ticker/24hr")
        except RequestRefused:  # one of them; which, only asking for each tells
            found += [row for name in names for row in _one(line, path, name)]
    return found


def _one(line: Questions, path: str, symbol: str) -> list[dict[str, Any]]:
    try:
        answer = line.get(path, symbol=symbol)
    except RequestRefused as error:
        _LOG.info("%s: no ticker: %s", symbol, error)
        return []
    return rows([answer], "ticker/24hr")
