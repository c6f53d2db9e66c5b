"""Leverage brackets: how much may be held at which leverage, and its maintenance margin.

The shape is the documentation's; the numbers are ours, because the exchange publishes its own
only to signed requests. Each maintenance ratio is below one over the bracket's leverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

_LEADERS = frozenset({"BTCUSDT", "ETHUSDT"})
_STEPS = (
    (75, 50_000, "0.0065"),
    (50, 250_000, "0.01"),
    (25, 1_000_000, "0.02"),
    (20, 2_000_000, "0.025"),
    (10, 5_000_000, "0.05"),
    (5, 10_000_000, "0.1"),
    (4, 20_000_000, "0.125"),
    (2, 50_000_000, "0.25"),
    (1, 100_000_000, "0.5"),
)
_LEADERS_STEPS = (
    (125, 300_000, "0.004"),
    (100, 800_000, "0.005"),
    (75, 3_000_000, "0.0065"),
    *((leverage, cap * 20, ratio) for leverage, cap, ratio in _STEPS[1:]),
)


@dataclass(frozen=True, slots=True)
class Bracket:
    """Notional above `floor` up to `cap` (quote asset), its largest leverage and its ratio.

    The maintenance margin of a notional in it is `notional * ratio - deducted`.
    """

    number: int
    leverage: int
    floor: int
    cap: int
    ratio: Decimal
    deducted: Decimal


def brackets_of(symbol: str) -> tuple[Bracket, ...]:
    """Return the brackets of a perpetual, smallest notional first."""
    return _LEADING if symbol in _LEADERS else _ORDINARY


def maintenance(symbol: str, notional: Decimal) -> Decimal:
    """Return the maintenance margin of an absolute notional, quote asset."""
    found = next((b for b in brackets_of(symbol) if notional <= b.cap), brackets_of(symbol)[-1])
    return notional * found.ratio - found.deducted


def largest_notional(symbol: str, leverage: int) -> int:
    """Return how much may be held at a leverage, quote asset."""
    return max(b.cap for b in brackets_of(symbol) if b.leverage >= leverage)


def largest_leverage(symbol: str) -> int:
    """Return the largest leverage of a perpetual."""
    return brackets_of(symbol)[0].leverage


def _built(steps: tuple[tuple[int, int, str], ...]) -> tuple[Bracket, ...]:
    """Return brackets whose margin is continuous: what was paid below is deducted."""
    built: list[Bracket] = []
    floor, deducted, before = 0, Decimal(0), Decimal(0)
    for number, (leverage, cap, text) in enumerate(steps, 1):
        ratio = Decimal(text)
        deducted += floor * (ratio - before) if built else Decimal(0)
        built.append(Bracket(number, leverage, floor, cap, ratio, deducted))
        floor, before = cap, ratio
    return tuple(built)


_ORDINARY = _built(_STEPS)
_LEADING = _built(_LEADERS_STEPS)
