"""Market rules: by which steps prices move, by price level, as exact numbers.

The library's own request waits one second and then forgets; here the answer is waited for as
long as any other, asked for again when it does not come, and read as text, not as floats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

from rebalancer.brokers.ib.pacing import in_time
from rebalancer.errors import DataError
from rebalancer.model.rules import PriceLevel, TradingRules

MARKET_RULE = 93
ATTEMPTS = 3
WAIT_SECONDS = 3.0

Levels = tuple[PriceLevel, ...]


async def ask_rules(
    ib: Any, numbers: Sequence[int], wait_seconds: float = WAIT_SECONDS
) -> dict[int, Levels]:
    """Return the price levels of market rules; one that does not come or cannot be is missing."""
    found: dict[int, Levels] = {}
    bad: set[int] = set()
    arrived = asyncio.Event()
    wanted = set(numbers)

    async def all_here() -> None:
        while wanted - found.keys() - bad:
            arrived.clear()
            await arrived.wait()

    with _hearing(ib, found, bad, arrived):
        for _attempt in range(ATTEMPTS):
            missing = sorted(wanted - found.keys() - bad)
            if not missing:
                break
            for number in missing:
                ib.client.reqMarketRule(number)
            await in_time(all_here(), wait_seconds)
    return found


@contextmanager
def _hearing(
    ib: Any, found: dict[int, Levels], bad: set[int], arrived: asyncio.Event
) -> Iterator[None]:
    """Hear market rules off the wire as long as this is open."""
    handlers = ib.client.decoder.handlers
    before = handlers[MARKET_RULE]

    def hear(fields: Sequence[str]) -> None:
        try:
            number = int(fields[1])
            found[number] = read_rule(fields)
        except DataError:
            bad.add(int(fields[1]))
        except (ValueError, IndexError):
            pass
        arrived.set()
        before(fields)

    handlers[MARKET_RULE] = hear
    try:
        yield
    finally:
        handlers[MARKET_RULE] = before


def read_rule(fields: Sequence[str]) -> Levels:
    """Return the levels in a `marketRule` message (id 93): number, count, edge and step each.

    Where an edge is no multiple of the steps that meet there, one step that fits everywhere
    stands for all. Raises `DataError` when there is none.
    """
    try:
        count = int(fields[2])
        texts = fields[3:]
        if len(texts) != 2 * count:
            raise DataError(f"a market rule with {len(texts)} numbers for {count} levels")
        pairs = [(Decimal(texts[n]), Decimal(texts[n + 1])) for n in range(0, 2 * count, 2)]
    except (ValueError, IndexError, InvalidOperation) as error:
        raise DataError(f"a market rule that cannot be read: {' '.join(fields)}") from error
    levels = tuple(PriceLevel(_plain(edge), _plain(step)) for edge, step in sorted(pairs))
    try:
        TradingRules(price_levels=levels)
    except (DataError, InvalidOperation):
        return _coarsest(levels)
    return levels


def _plain(number: Decimal) -> Decimal:
    return number.normalize() + Decimal(0)


def _coarsest(levels: Levels) -> Levels:
    """Return one level whose step is a multiple of every other; raises `DataError`."""
    steps = [level.step for level in levels]
    if not steps or not all(step.is_finite() and step > 0 for step in steps):
        raise DataError("a market rule without a positive step")
    largest = max(steps)
    if any(largest % step for step in steps):
        raise DataError("a market rule whose steps do not fit each other")
    return (PriceLevel(Decimal(0), largest),)
