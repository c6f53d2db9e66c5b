"""An exchange that answers from tables, by path and parameters, and counts what it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rebalancer.brokers.binance.errors import RequestRefused
from rebalancer.brokers.binance.parameters import BinanceSettings, Product
from rebalancer.brokers.binance.reading import Reading
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.universe import Universe
from rebalancer.store.atomic import Files

NOW = datetime(2026, 1, 5, 15, 5, tzinfo=UTC)
ANSWERS = Path(__file__).resolve().parents[3] / "answers" / "binance_rest.json"
"""Answers that the real exchange gave; origin and licence stand in the file."""

Answer = Callable[[Mapping[str, str]], Any]


def recorded(name: str) -> Any:
    """Return one recorded answer, a copy of its own."""
    return json.loads(ANSWERS.read_text("utf-8"))[name]


def ms(at: datetime) -> int:
    """Return a time in milliseconds, by another way than the adapter's."""
    return round(at.timestamp() * 1000)


def perp(symbol: str = "BTCUSDT", currency: str = "USDT", **more: Any) -> Instrument:
    """Return a perpetual as a configuration describes it."""
    name = InstrumentId(f"{symbol}.PERP@BINANCE")
    return Instrument(name, Kind.PERPETUAL, symbol, currency, "24/7", **more)


def pair(symbol: str = "BTCUSDT", currency: str = "USDT", **more: Any) -> Instrument:
    """Return a spot pair as a configuration describes it."""
    name = InstrumentId(f"{symbol}.SPOT@BINANCE")
    return Instrument(name, Kind.SPOT, symbol, currency, "24/7", **more)


def usdm_row(symbol: str = "BTCUSDT", **changes: Any) -> dict[str, Any]:
    """Return a perpetual's row of exchangeInfo: the recorded one of BTCUSDT, changed."""
    row = next(r for r in recorded("usdm_exchange_info")["symbols"] if r["symbol"] == "BTCUSDT")
    found: dict[str, Any] = row | {"symbol": symbol} | changes
    return found


def spot_row(symbol: str = "BTCUSDT", **changes: Any) -> dict[str, Any]:
    """Return a spot pair's row of exchangeInfo: a recorded one, changed."""
    rows = {row["symbol"]: row for row in recorded("spot_exchange_info")["symbols"]}
    base = rows.get(symbol, rows["ETHBTC"])
    found: dict[str, Any] = base | {"symbol": symbol} | changes
    return found


def info(*rows: Mapping[str, Any]) -> Answer:
    """Return an answer to exchangeInfo; a symbol asked for by name must be there (-1121)."""

    def answer(asked: Mapping[str, str]) -> Any:
        wanted = json.loads(asked["symbols"]) if "symbols" in asked else None
        if wanted and not {*wanted} <= {row["symbol"] for row in rows}:
            raise RequestRefused(-1121, "Invalid symbol.", "gone")
        return {"symbols": [row for row in rows if wanted is None or row["symbol"] in wanted]}

    return answer


@dataclass
class Clock:
    """A time that only moves when somebody waits."""

    now: datetime = NOW
    simulated: bool = False
    waited: list[float] = field(default_factory=list)

    def pause(self, seconds: float, /) -> None:
        """Let time pass."""
        self.waited.append(seconds)
        self.now += timedelta(seconds=seconds)


@dataclass
class Exchange:
    """Fakes the line: `answers` has a function or a value by path."""

    product: Product = Product.USDM
    settings: BinanceSettings = field(default_factory=BinanceSettings)
    passage: Clock = field(default_factory=Clock)
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    writes = 0

    def now(self) -> datetime:
        """Return the time of the exchange."""
        return self.passage.now

    def instrument_id(self, symbol: str, /) -> InstrumentId:
        """Return our name of a symbol."""
        kind = "PERP" if self.product is Product.USDM else "SPOT"
        return InstrumentId(f"{symbol}.{kind}@BINANCE")

    def get(self, path: str, **parameters: str) -> Any:
        """Answer a question that needs no signature."""
        assert all(isinstance(value, str) for value in parameters.values())
        self.asked.append((path, parameters))
        answer = self.answers[path]
        return answer(parameters) if callable(answer) else answer

    def signed(self, method: str, path: str, **parameters: str) -> Any:
        """Answer a signed question; nothing here may write."""
        assert method == "GET"
        return self.get(path, **parameters)

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(asked == path for asked, _ in self.asked)


def reading(exchange: Exchange, folder: Path, *instruments: Instrument) -> Reading:
    """Return a connection's reading of an exchange."""
    return Reading(exchange, Universe(instruments), folder, Files())


@dataclass
class Flags:
    """Hears flags as a run's page does."""

    heard: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, code: str, message: str, subject: str) -> None:
        """Keep a flag."""
        self.heard.append((code, message, subject))

    @property
    def codes(self) -> list[str]:
        """Return the codes in the order heard."""
        return [code for code, _, _ in self.heard]


def candle(begins: datetime, close: str, volume: str = "10", hours: int = 1) -> list[Any]:
    """Return a kline with the exchange's twelve fields."""
    start = ms(begins)
    end = start + hours * 3_600_000 - 1
    return [start, close, close, close, close, volume, end, "0", 1, "0", "0", "0"]


def kline_server(
    rows: Mapping[str, list[list[Any]]], most: int = 1500
) -> Callable[[Mapping[str, str]], Any]:
    """Return klines as the exchange does: from startTime on, up to endTime, `limit` of them."""

    def answer(asked: Mapping[str, str]) -> Any:
        if asked["symbol"] not in rows:
            raise RequestRefused(-1121, "Invalid symbol.", "gone")
        start, end = int(asked.get("startTime", 0)), int(asked.get("endTime", 10**15))
        limit = int(asked["limit"])
        assert 1 <= limit <= most
        return [row for row in rows[asked["symbol"]] if start <= row[0] <= end][:limit]

    return answer


def weight(asked: list[tuple[str, dict[str, str]]]) -> int:
    """Return what klines of USDⓈ-M weigh, by the exchange's table."""
    limits = [int(each["limit"]) for path, each in asked if path == "/fapi/v1/klines"]
    return sum(1 if n < 100 else 2 if n < 500 else 5 if n <= 1000 else 10 for n in limits)


def exact(text: str) -> Decimal:
    """Return a number as it is written."""
    return Decimal(text)
