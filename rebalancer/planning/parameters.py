"""What the owner may set about planning; every number with its unit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from annotated_types import Ge, Gt, Le

from rebalancer.model.orders import OrderType, TimeInForce


class BandRule(StrEnum):
    """Where an order goes once a weight has left its band.

    TARGET goes all the way, EDGE to the band's near edge; CHEAPER computes the yearly cost
    of both from the venue's fees and takes the cheaper one.
    """

    TARGET = "target"
    EDGE = "edge"
    CHEAPER = "cheaper"


class Funding(StrEnum):
    """What happens when an instrument's currency has too little cash for a buy."""

    REFUSE = "refuse"
    BORROW = "borrow"


class LimitStyle(StrEnum):
    """Which price a limit starts from: own side, middle, or the other side."""

    PASSIVE = "passive"
    MID = "mid"
    MARKETABLE = "marketable"


@dataclass(frozen=True)
class PlanParameters:
    """How targets become orders. Fractions are of sizing capital unless said otherwise.

    Sizing capital = min(`capital_max`, `capital_share` x (net liquidation - unmanaged)).
    A weight is left alone while |current - target| <= max(`band_absolute`,
    `band_relative` x |target|); a target of zero has no band. `cash_reserve` stays cash.
    `turnover_budget` bounds the traded notional of a session (None: no bound); reductions
    come first. `limit_offset_bps` moves the limit beyond its style's price, positive = more
    willing to pay. `min_order_notional` is in base currency; `borrow_limit` is per currency,
    in base currency.
    """

    capital_share: Annotated[Decimal, Gt(0), Le(1)] = Decimal(1)
    capital_max: Annotated[Decimal, Gt(0)] | None = None
    cash_reserve: Annotated[Decimal, Ge(0), Le(1)] = Decimal("0.01")
    leverage_cap: Annotated[Decimal, Gt(0), Le(20)] = Decimal(1)
    band_rule: BandRule = BandRule.CHEAPER
    band_relative: Annotated[Decimal, Ge(0), Le(1)] = Decimal("0.10")
    band_absolute: Annotated[Decimal, Ge(0), Le(1)] = Decimal("0.002")
    min_order_notional: Annotated[Decimal, Ge(0)] = Decimal(0)
    turnover_budget: Annotated[Decimal, Gt(0)] | None = None
    order_type: OrderType = OrderType.LIMIT
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_style: LimitStyle = LimitStyle.MARKETABLE
    limit_offset_bps: Annotated[Decimal, Ge(-1000), Le(1000)] = Decimal(5)
    funding: Funding = Funding.REFUSE
    borrow_limit: Annotated[Decimal, Ge(0)] = Decimal(0)
    allow_short: bool = False
    yearly_volatility: Annotated[float, Gt(0), Le(5)] = 0.30
    """Assumed volatility of one instrument against the book, for the band-cost estimate only."""
    runs_per_year: Annotated[float, Ge(1), Le(600_000)] = 1638.0
    """How often the bands are looked at, for the band-cost estimate only (252 days x 6.5)."""
