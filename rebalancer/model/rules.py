"""A venue's rules for prices and sizes, exact."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from rebalancer.errors import DataError


@dataclass(frozen=True, slots=True)
class PriceLevel:
    """From `edge` upwards (in absolute price) the price moves in steps of `step`."""

    edge: Decimal
    step: Decimal


@dataclass(frozen=True, slots=True)
class PriceBand:
    """The lowest and highest limit a venue takes, as multiples of its reference price.

    None: no limit on that side. The reference is the venue's (Binance USDⓈ-M: the mark price;
    spot: an average of the last minutes).
    """

    low: Decimal | None = None
    high: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse a band that no price fits into."""
        low, high = self.low, self.high
        if (low is not None and low < 0) or (high is not None and high <= 0):
            raise DataError(f"price band {low} to {high}: multiples must be positive")
        if low is not None and high is not None and low > high:
            raise DataError(f"price band {low} to {high} is upside down")


@dataclass(frozen=True, slots=True)
class TradingRules:
    """Ticks by price level, lots and minimums of one instrument.

    Sizes are in units of the instrument, notionals in its currency. `max_size` None means
    no limit; a step must be positive (adapters translate a venue's 0 to the finest size).
    What a venue limits besides is None where it does not: `min_price`, `max_price` of any
    limit; `buy_band`, `sell_band` around its reference price; `max_notional` of one order;
    `max_position`, the absolute holding that working buys count towards; `max_orders` and
    `max_stops`, how many may be open at a time in this instrument.
    """

    price_levels: tuple[PriceLevel, ...] = (PriceLevel(Decimal(0), Decimal("0.01")),)
    limit_step: Decimal = Decimal(1)
    market_step: Decimal = Decimal(1)
    min_size: Decimal = Decimal(1)
    max_size: Decimal | None = None
    min_notional: Decimal = Decimal(0)
    reduce_only_exempt: bool = False
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    buy_band: PriceBand | None = None
    sell_band: PriceBand | None = None
    max_notional: Decimal | None = None
    max_position: Decimal | None = None
    max_orders: int | None = None
    max_stops: int | None = None

    def __post_init__(self) -> None:
        """Refuse rules that no exact arithmetic could follow."""
        if not self.price_levels or self.price_levels[0].edge != 0:
            raise DataError("price levels must begin at 0")
        for level in self.price_levels:
            if level.step <= 0:
                raise DataError(f"price step {level.step} must be positive")
        for below, above in zip(self.price_levels, self.price_levels[1:], strict=False):
            if above.edge <= below.edge or above.edge % below.step or above.edge % above.step:
                raise DataError(f"level edge {above.edge} must be a multiple of both steps")
        if min(self.limit_step, self.market_step) <= 0 or self.min_size < 0:
            raise DataError("size steps must be positive and the minimum size not negative")
        if self.max_size is not None and self.max_size < self.min_size:
            raise DataError(f"largest size {self.max_size} is below the smallest {self.min_size}")

    def price_step(self, price: Decimal) -> Decimal:
        """Return the tick that holds at `price` (its absolute value decides the level)."""
        size = abs(price)
        return next(level.step for level in reversed(self.price_levels) if size >= level.edge)

    def price_bounds(
        self, *, buys: bool, reference: Decimal
    ) -> tuple[Decimal | None, Decimal | None]:
        """Return the lowest and highest limit the venue takes of a buy or a sell now.

        `reference` is the venue's reference price. None: no limit on that side. The bounds
        are not on the grid of ticks.
        """
        band = (self.buy_band if buys else self.sell_band) or PriceBand()
        lows = [self.min_price, None if band.low is None else band.low * reference]
        highs = [self.max_price, None if band.high is None else band.high * reference]
        return (
            max((each for each in lows if each is not None), default=None),
            min((each for each in highs if each is not None), default=None),
        )
