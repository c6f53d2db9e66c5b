"""What a client has used up: weight by minute, orders by their windows, on simulated time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from rebalancer.simulators.binance_server.call import ApiError

WEIGHT = {"spot": 6000, "usdm": 2400}
"""By product: what a minute's requests of one address may weigh together."""

ORDERS: Mapping[str, tuple[tuple[str, int, int], ...]] = {
    "spot": (("10S", 10, 100), ("1D", 86_400, 200_000)),
    "usdm": (("10S", 10, 300), ("1M", 60, 1200)),
}
"""By product: the window's name in the header, its seconds, and how many orders it takes."""

FUNDING_REQUESTS, FUNDING_WINDOW = 500, timedelta(minutes=5)

PATIENCE = 10
"""Who sends more requests than these in spite of 429 is banned."""

BANS = (timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1), timedelta(days=3))
"""How long: the first time, the second, the third, and ever after."""

_ADVICE = "Please use the websocket for live updates to avoid"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Limits:
    """Counts of one account at one address."""

    def __init__(self) -> None:
        self._weight: Counter[tuple[str, int]] = Counter()
        self._orders: Counter[tuple[str, str, int]] = Counter()
        self._funding: deque[datetime] = deque()
        self._refused = 0
        self._bans = 0
        self.banned_until: datetime | None = None

    def require_welcome(self, now: datetime) -> None:
        """Raise 418 for an address that is banned, whatever it asks for."""
        until = self.banned_until
        if until is None or now >= until:
            return
        number = (until - _EPOCH) // timedelta(milliseconds=1)
        words = f"Way too much request weight used; IP banned until {number}. {_ADVICE} bans."
        raise ApiError(-1003, words, 418, {"Retry-After": str(_seconds(until - now))})

    def ban(self, now: datetime, time: timedelta) -> None:
        """Ban the address for a time."""
        self.banned_until = now + time

    def take(self, product: str, weight: int, now: datetime) -> None:
        """Count a request's weight; raises 429 above the limit, 418 for who goes on and on."""
        if product not in WEIGHT:
            return
        second = _second(now)
        used = self._weight[product, second // 60] = self._weight[product, second // 60] + weight
        if used <= WEIGHT[product]:
            self._refused = 0
            return
        self._refused += 1
        if self._refused > PATIENCE:
            self.ban(now, BANS[min(self._bans, len(BANS) - 1)])
            self._bans, self._refused = self._bans + 1, 0
            self.require_welcome(now)
        words = (
            "Too much request weight used; current limit is "
            f"{WEIGHT[product]} request weight per 1 MINUTE. {_ADVICE} polling the API."
        )
        raise ApiError(-1003, words, 429, {"Retry-After": str(60 - second % 60)})

    def give_back(self, product: str, weight: int, now: datetime) -> None:
        """Take a request's weight off again."""
        if product in WEIGHT:
            self._weight[product, _second(now) // 60] -= weight

    def take_orders(self, product: str, orders: int, now: datetime) -> None:
        """Count orders; raises -1015 above a limit.

        A batch counts with each of its orders in the ten-second window, as one in the minute's.
        """
        counted = self._windows(product, orders, now)
        for name, slot, count, most in counted:
            if self._orders[slot] + count > most:
                words = f"Too many new orders; current limit is {most} orders per {_WINDOWS[name]}."
                size = next(size for each, size, _ in ORDERS[product] if each == name)
                wait = size - _second(now) % size
                raise ApiError(-1015, words, 429, {"Retry-After": str(wait)})
        for _, slot, count, _ in counted:
            self._orders[slot] += count

    def give_orders_back(self, product: str, orders: int, now: datetime) -> None:
        """Take orders that have traded off the count: only unfilled ones stay on it."""
        for _, slot, count, _ in self._windows(product, orders, now):
            self._orders[slot] -= count

    def _windows(
        self, product: str, orders: int, now: datetime
    ) -> list[tuple[str, tuple[str, str, int], int, int]]:
        second = _second(now)
        return [
            (name, (product, name, second // size), 1 if size == 60 and orders else orders, most)
            for name, size, most in ORDERS.get(product, ())
        ]

    def take_funding(self, now: datetime) -> None:
        """Count a question about funding: they weigh nothing, and 500 in five minutes are all."""
        while self._funding and self._funding[0] <= now - FUNDING_WINDOW:
            self._funding.popleft()
        if len(self._funding) >= FUNDING_REQUESTS:
            wait = {"Retry-After": str(_seconds(self._funding[0] + FUNDING_WINDOW - now))}
            words = "Too many requests; current limit of IP is 500 requests per 5 minutes."
            raise ApiError(-1003, words, 429, wait)
        self._funding.append(now)

    def headers(self, product: str, now: datetime, *, orders: bool) -> dict[str, str]:
        """Return the headers that tell what has been used."""
        if product not in WEIGHT:
            return {}
        used = str(self._weight[product, _second(now) // 60])
        found = {"X-MBX-USED-WEIGHT-1M": used}
        if product == "spot":
            found["X-MBX-USED-WEIGHT"] = used
        if orders:
            for name, count in self.order_counts(product, now).items():
                found[f"X-MBX-ORDER-COUNT-{name}"] = str(count)
        return found

    def order_counts(self, product: str, now: datetime) -> Mapping[str, int]:
        """Return how many orders were sent in each window, by its name in the header."""
        second = _second(now)
        return {name: self._orders[product, name, second // s] for name, s, _ in ORDERS[product]}

    def weights(self) -> Mapping[str, int]:
        """Return by product the whole weight, the fullest minute's (`-peak`), and the most orders.

        Keys: `usdm`, `usdm-peak`, `usdm-orders-10S-peak`, `usdm-orders-1M-peak`; `spot` alike.
        """
        found = {}
        for product in WEIGHT:
            used = [count for (name, _), count in self._weight.items() if name == product]
            found[product] = sum(used)
            found[f"{product}-peak"] = max(used, default=0)
            for window, _, _ in ORDERS[product]:
                counts = [n for (p, w, _), n in self._orders.items() if (p, w) == (product, window)]
                found[f"{product}-orders-{window}-peak"] = max(counts, default=0)
        return found


_WINDOWS = {"10S": "10 SECOND", "1M": "1 MINUTE", "1D": "1 DAY"}


def _second(now: datetime) -> int:
    return (now - _EPOCH) // timedelta(seconds=1)


def _seconds(time: timedelta) -> int:
    """Return whole seconds, rounded up."""
    return -(-time // timedelta(seconds=1))
