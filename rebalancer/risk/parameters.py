"""The limits an owner may set; the defaults are safe for a small account."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from rebalancer.errors import DataError
from rebalancer.risk.windows import parse_restart_window

DAYS = Decimal("2.5")
"""What several sessions may do where nothing is said: so many times what one may."""


@dataclass(frozen=True)
class Limits:
    """What no approved set of orders may exceed.

    `max_order_notional`, `max_position_notional`: base currency, None = no bound. Weights
    and leverages are fractions of net liquidation. `max_participation` is the largest part
    of an average session's volume one order may be; where the venue gives no volume the
    gate refuses unless `allow_unknown_volume`. `price_collar` bounds |limit / last close - 1|.
    `quote_max_age_seconds` bounds a quote's age. Turnover is traded notional of a session
    over net liquidation. Breakers: `daily_loss` and `drawdown` as fractions (0.1 = 10 %),
    `net_liquidation_jump` between two runs, `breaks_to_halt` many broken books HALT. A loss
    counts in a window of hours: realised for one instrument (`symbol_loss_*`), of net
    liquidation against its highest for the whole book. `*_per_days` hold over the last
    `limit_days` sessions, this one included.
    """

    max_order_notional: Annotated[Decimal, Gt(0)] | None = None
    max_order_weight: Annotated[Decimal, Gt(0), Le(10)] = Decimal("0.25")
    max_position_weight: Annotated[Decimal, Gt(0), Le(10)] = Decimal("0.35")
    max_position_notional: Annotated[Decimal, Gt(0)] | None = None
    max_gross_leverage: Annotated[Decimal, Gt(0), Le(20)] = Decimal("1.05")
    max_net_leverage: Annotated[Decimal, Gt(0), Le(20)] = Decimal("1.05")
    max_orders_per_run: Annotated[int, Ge(1)] = 20
    max_orders_per_session: Annotated[int, Ge(1)] = 60
    max_turnover_per_session: Annotated[Decimal, Gt(0)] = Decimal("1.0")
    """Enough to build up a book of twenty holdings in one session. Where an order costs 1 at
    least, 60 of them cost 1.2 % of an account of 5,000."""
    limit_days: Annotated[int, Ge(1), Le(30)] = 5
    max_orders_per_days: Annotated[int, Ge(1)] | None = None
    max_turnover_per_days: Annotated[Decimal, Gt(0)] | None = None
    """Not set, both are `DAYS` times what one session may."""
    max_participation: Annotated[Decimal, Gt(0), Le(1)] = Decimal("0.01")
    allow_unknown_volume: bool = False
    allow_short: bool = False
    allow_delayed_quotes: bool = False
    allow_fractions: bool = False
    quote_max_age_seconds: Annotated[float, Gt(0)] = 60.0
    max_spread_bps: Annotated[Decimal, Gt(0)] = Decimal(200)
    price_collar: Annotated[Decimal, Gt(0), Le(1)] = Decimal("0.15")
    margin_cushion: Annotated[Decimal, Ge(0), Le(1)] = Decimal("0.10")
    margin_previews: Annotated[int, Ge(1), Le(100)] = 5
    """About how many orders, the largest, the venue is asked what they would do to the margin."""
    pattern_day_trader_equity: Annotated[Decimal, Ge(0)] = Decimal(0)
    """Not every account has that rule; what the venue says of day trades left always counts."""
    order_window_after_open_minutes: Annotated[float, Ge(0)] = 15.0
    order_window_before_close_minutes: Annotated[float, Ge(0)] = 5.0
    restart_window: str = ""
    """The gateway's daily restart, `HH:MM-HH:MM Zone/Name`; '' = none."""
    funding_window_seconds: Annotated[float, Ge(0), Le(1800)] = 60.0
    """So long before and after a funding payment nothing is sent in its instrument."""
    max_clock_skew_seconds: Annotated[float, Gt(0)] = 5.0
    net_liquidation_jump: Annotated[Decimal, Gt(0), Le(10)] = Decimal("0.15")
    daily_loss: Annotated[Decimal, Gt(0), Le(1)] = Decimal("0.05")
    drawdown: Annotated[Decimal, Gt(0), Le(1)] = Decimal("0.25")
    symbol_loss_short: Annotated[Decimal, Gt(0), Le(1)] = Decimal("0.01")
    symbol_loss_short_hours: Annotated[float, Gt(0), Le(168)] = 4.0
    symbol_loss_long: Annotated[Decimal, Gt(0), Le(1)] = Decimal("0.03")
    symbol_loss_long_hours: Annotated[float, Gt(0), Le(168)] = 24.0
    book_loss: Annotated[Decimal, Gt(0), Le(1)] = Decimal("0.06")
    book_loss_hours: Annotated[float, Gt(0), Le(168)] = 24.0
    max_reject_rate: Annotated[Decimal, Gt(0), Le(1)] = Decimal("0.5")
    max_slippage_bps: Annotated[Decimal, Gt(0)] = Decimal(100)
    slippage_hours: Annotated[float, Gt(0), Le(720)] = 120.0
    margin_floor: Annotated[Decimal, Ge(0), Le(1)] = Decimal("0.05")
    """Below this part of net liquidation above maintenance margin only reductions are sent (never
    above `margin_cushion`, which orders must leave)."""
    bad_data_to_reduce: Annotated[Decimal, Gt(0), Le(1)] = Decimal("0.25")
    bad_data_to_halt: Annotated[Decimal, Gt(0), Le(1)] = Decimal("0.5")
    turnover_floor: Annotated[Decimal, Gt(0)] = Decimal("0.5")
    turnover_factor: Annotated[Decimal, Ge(1)] = Decimal(10)
    turnover_history: Annotated[int, Ge(1), Le(50)] = 20
    failed_runs_to_reduce: Annotated[int, Ge(1)] = 5
    breaks_to_halt: Annotated[int, Ge(1)] = 3
    unexplained_cash: Annotated[Decimal, Ge(0)] = Decimal("0.01")
    heal_weight: Annotated[Decimal, Ge(0), Le(1)] = Decimal("0.01")
    """Positions that nothing explains are booked as the venue has them up to this fraction of net
    liquidation in one run; 0: never without the owner."""
    margin_rate: Annotated[Decimal, Gt(0), Le(1)] = Decimal("0.5")
    """Margin that our own estimate takes for one unit of gross exposure (0.5: Regulation T)."""
    account_max_age_seconds: Annotated[float, Gt(0)] = 300.0
    """An account snapshot older than this proves nothing."""

    @property
    def orders_of_days(self) -> int:
        """Return how many orders `limit_days` sessions may send."""
        return self.max_orders_per_days or int(DAYS * self.max_orders_per_session)

    @property
    def turnover_of_days(self) -> Decimal:
        """Return what `limit_days` sessions may trade, of net liquidation."""
        return self.max_turnover_per_days or DAYS * self.max_turnover_per_session

    def __post_init__(self) -> None:
        """Refuse a restart window that cannot be read."""
        try:
            parse_restart_window(self.restart_window)
        except DataError as error:
            raise ValueError(f"restart_window: {error}") from error


@dataclass(frozen=True)
class Override:
    """What the owner wants of one instrument, whatever signals say.

    `no_trading`: no order at all, reductions too. `reduce_only`: only orders that reduce.
    `scale` multiplies every target in it (0 = out of it). `max_weight` (of net liquidation)
    and `max_notional` (base currency) bound its position, besides the limits for all.
    """

    no_trading: bool = False
    reduce_only: bool = False
    scale: Annotated[Decimal, Ge(0), Le(10)] = Decimal(1)
    max_weight: Annotated[Decimal, Gt(0), Le(10)] | None = None
    max_notional: Annotated[Decimal, Gt(0)] | None = None


@dataclass(frozen=True)
class ProtectParameters:
    """The stop-loss ladder: stops that wait at the venue for what happens between two runs.

    Distances are fractions of average cost (0.05 = 5 %), `limit_offset` one of the trigger: how
    much worse than it a triggered stop may trade (0: at any price, a market order).
    `reset_threshold` is the fraction of the position by which it must have changed for its
    stops to be set anew. The mark price triggers them. `most_open` is how many stops may be
    open at the venue in all, whoever's (Binance: 200); many positions have fewer steps then.
    """

    enabled: bool = False
    base_distance: Annotated[Decimal, Gt(0), Lt(1)] = Decimal("0.05")
    steps: Annotated[int, Ge(1), Le(20)] = 5
    step_distance: Annotated[Decimal, Gt(0), Le(Decimal("0.5"))] = Decimal("0.005")
    limit_offset: Annotated[Decimal, Ge(0), Le(Decimal("0.5"))] = Decimal("0.005")
    reset_threshold: Annotated[Decimal, Ge(0), Le(1)] = Decimal("0.05")
    most_open: Annotated[int, Ge(1), Le(1000)] = 200

    def __post_init__(self) -> None:
        """Refuse a ladder whose last stop would lie at zero or below."""
        last = self.base_distance + (self.steps - 1) * self.step_distance
        if last >= 1:
            raise ValueError(f"the last of {self.steps} stops would be {last:.0%} below cost")
