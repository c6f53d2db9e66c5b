"""The pace of calls: as fast as the exchange allows, and never faster.

Weight is counted in the exchange's own minutes, per address, and its header is the truth:
others may call from the same address. Orders are counted in sliding windows, which no fixed
window of the exchange's can hold more of. Time is an argument: whoever asks does the waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import EPOCH

ORDER_SHARE = 0.98
"""The part of the order rate that is used: the rest is for clocks that differ a little."""

EARLY = timedelta(milliseconds=50)
"""How long after its beginning a new minute of the exchange's is trusted to have begun."""

WEIGHTS = {Product.SPOT: 6000, Product.USDM: 2400}
ORDERS: Mapping[Product, tuple[tuple[int, int], ...]] = {
    Product.SPOT: ((10, 100), (86_400, 200_000)),
    Product.USDM: ((10, 300), (60, 1200)),
}
"""What holds until the exchange's list says otherwise: (seconds, orders) and weight a minute."""

FUNDING = (300, 500)
"""Questions about funding rates weigh nothing and have a window of their own."""

_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
_LETTERS = {1: "S", 60: "M", 3600: "H", 86_400: "D"}
_MINUTE = timedelta(minutes=1)
_MOST_DIGITS = 18


@dataclass
class Window:
    """At most `most` in any `seconds`."""

    seconds: int
    most: int
    times: deque[datetime] = field(default_factory=deque)

    def wait(self, count: int, now: datetime) -> timedelta:
        """Return how long to wait until so many more are allowed."""
        span = timedelta(seconds=self.seconds)
        while self.times and self.times[0] <= now - span:
            self.times.popleft()
        over = len(self.times) + count - self.most
        return self.times[min(over, len(self.times)) - 1] + span - now if over > 0 else timedelta()

    def take(self, count: int, now: datetime) -> None:
        """Count what leaves now."""
        self.times.extend([now] * count)

    def told(self, count: int, now: datetime) -> None:
        """Count what the exchange has counted beyond ours in its own window: others' orders.

        A count that came after the end of the window in which we asked is that window's.
        """
        start = EPOCH + (now - EPOCH) // timedelta(seconds=self.seconds) * timedelta(
            seconds=self.seconds
        )
        if not self.times or self.times[-1] < start:
            return
        ours = sum(1 for each in self.times if each >= start)
        self.take(max(0, min(count, self.most) - ours), now)


@dataclass
class Pool:
    """What one host of the exchange allows from this address and this account."""

    weight: int
    orders: dict[int, Window]
    funding: Window
    used: int = 0
    minute: int = 0


class Throttle:
    """The limits of both hosts; `share` is the part of the weight that is ours to use."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._pools = {
            each: Pool(WEIGHTS[each], _windows(ORDERS[each]), Window(*FUNDING)) for each in Product
        }
        self._until: datetime | None = None
        self.total = 0

    def per_minute(self, product: Product) -> int:
        """Return the weight that may be used in a minute of the exchange's."""
        return int(self._pools[product].weight * self._share)

    def order_limit(self, product: Product, seconds: int) -> int:
        """Return how many orders leave within a window at most."""
        return self._pools[product].orders[seconds].most

    def wait(
        self, product: Product, weight: int, orders: int, now: datetime, *, funding: bool = False
    ) -> float:
        """Return for how many seconds a call must wait; zero when it may leave now."""
        pool = self._pools[product]
        waits = [timedelta()]
        if self._until is not None and now < self._until:
            waits.append(self._until - now)
        if weight and _minute(now) == pool.minute:
            allowed = max(self.per_minute(product), weight)
            if pool.used and pool.used + weight > allowed:
                waits.append(EPOCH + (pool.minute + 1) * _MINUTE + EARLY - now)
        if orders:
            waits.extend(window.wait(orders, now) for window in pool.orders.values())
        if funding:
            waits.append(pool.funding.wait(1, now))
        return max(max(waits).total_seconds(), 0.0)

    def take(
        self, product: Product, weight: int, orders: int, now: datetime, *, funding: bool = False
    ) -> None:
        """Count a call that leaves now."""
        pool = self._pools[product]
        if _minute(now) != pool.minute:
            pool.minute, pool.used = _minute(now), 0
        pool.used += weight
        self.total += weight
        for window in pool.orders.values() if orders else ():
            window.take(orders, now)
        if funding:
            pool.funding.take(1, now)

    def heard(self, product: Product, headers: Mapping[str, str], now: datetime) -> None:
        """Take over what an answer's headers say has been used."""
        pool = self._pools[product]
        for name, value in headers.items():
            if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS):
                continue  # no count of anybody's: the answer it came with is worth more
            upper = name.upper()
            # An answer from over the minute's end counts the minute in which we asked, unless
            # it says less than was used there.
            ours = _minute(now) == pool.minute or int(value) < pool.used
            if upper == "X-MBX-USED-WEIGHT-1M" and ours:
                pool.minute, pool.used = _minute(now), int(value)
            for seconds, window in pool.orders.items():
                if upper == f"X-MBX-ORDER-COUNT-{_interval(seconds)}":
                    window.told(int(value), now)

    def hold(self, until: datetime) -> None:
        """Let nothing leave until then."""
        self._until = until if self._until is None else max(self._until, until)

    def moved(self, by: timedelta) -> None:
        """Take note that the exchange's time was measured anew and is later by so much."""
        if self._until is not None:
            self._until += by
        for pool in self._pools.values():
            for window in (*pool.orders.values(), pool.funding):
                window.times = deque(each + by for each in window.times)

    def learn(self, product: Product, limits: object) -> None:
        """Take over `rateLimits` of the exchange's list; what cannot be read changes nothing."""
        pool = self._pools[product]
        for row in limits if isinstance(limits, list) else ():
            if not isinstance(row, dict):
                continue
            seconds = _seconds(row)
            limit = row.get("limit")
            if not seconds or not isinstance(limit, int) or limit <= 0:
                continue
            if row.get("rateLimitType") == "REQUEST_WEIGHT" and seconds == 60:
                pool.weight = limit
            elif row.get("rateLimitType") == "ORDERS":
                window = pool.orders.setdefault(seconds, Window(seconds, limit))
                window.most = _most(limit)


def _windows(limits: Iterable[tuple[int, int]]) -> dict[int, Window]:
    return {seconds: Window(seconds, _most(limit)) for seconds, limit in limits}


def _most(limit: int) -> int:
    return max(int(limit * ORDER_SHARE), 1)


def _seconds(row: Mapping[str, Any]) -> int:
    number = row.get("intervalNum")
    return _SECONDS.get(str(row.get("interval")), 0) * (number if isinstance(number, int) else 0)


def _interval(seconds: int) -> str:
    """Return a window's name in the headers: 10S, 1M, 1D."""
    unit = max(each for each in _LETTERS if seconds % each == 0)
    return f"{seconds // unit}{_LETTERS[unit]}"


def _minute(now: datetime) -> int:
    return (now - EPOCH) // _MINUTE
