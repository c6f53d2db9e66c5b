"""The order file of `rebalancer flatten`: named holdings to zero, priced and cut to be taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.fees import FeeSchedule
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.market import MarketSnapshot
from rebalancer.model.orders import OrderIntent, OrderType
from rebalancer.model.plan import Plan, PlanColumns, Why
from rebalancer.model.signals import Coverage, Signal, Unit
from rebalancer.model.universe import Sleeve, Universe
from rebalancer.planning.parameters import LimitStyle, PlanParameters
from rebalancer.planning.plan import plan_rebalance

REASON = "to zero, by the owner's command"
LEAST_OFFSET_BPS = Decimal(5)
"""So far beyond the other side's best price a limit goes at least: it is meant to be taken."""


def plan_flatten(
    universe: Universe,
    names: Collection[InstrumentId],
    account: AccountSnapshot,
    market: MarketSnapshot,
    parameters: PlanParameters,
    fees: FeeSchedule,
    *,
    now: datetime,
    allow_delayed: bool = False,
) -> Plan:
    """Return orders that bring `names` to zero; everything else is held.

    The planner of a run does it, wanting nothing of these: whole lots, ticks, dust and missing
    prices are treated alike. Orders are limits beyond the other side, of whole positions
    (`in_chunks` cuts them). Nothing is to be remembered of it (`sleeve_lots` is empty).
    """
    sleeve = Sleeve("flatten", tuple(sorted(names)), Decimal(1))
    flat = Signal(sleeve.name, {}, Unit.WEIGHT, Decimal(1), now, now, Coverage.COMPLETE)
    offset = max(parameters.limit_offset_bps, LEAST_OFFSET_BPS)
    eager = replace(
        parameters,
        capital_share=Decimal(1),
        capital_max=None,
        turnover_budget=None,
        min_order_notional=Decimal(0),
        order_type=OrderType.LIMIT,
        limit_style=LimitStyle.MARKETABLE,
        limit_offset_bps=offset,
    )
    names = frozenset(names)
    plan = plan_rebalance(
        universe,
        (sleeve,),
        {sleeve.name: flat},
        {},
        account,
        market,
        eager,
        fees,
        now=now,
        allow_delayed=allow_delayed,
    )
    return replace(
        plan,
        orders=tuple(replace(order, reason=REASON) for order in plan.orders if order.reducing),
        flags=tuple(flag for flag in plan.flags if flag.subject in names),
        band_costs=(),
        sleeve_lots={},
        columns=None if plan.columns is None else _kept(plan.columns, names),
    )


def _kept(columns: PlanColumns, names: Collection[InstrumentId]) -> PlanColumns:
    """Return the columns with what is held as the target of everything that is not named."""
    kept = np.array([name not in names for name in columns.ids], np.bool_)
    return replace(
        columns,
        target=np.where(kept, columns.held, columns.target),
        target_weight=np.where(kept, columns.current_weight, columns.target_weight),
        why=np.where(kept, int(Why.NOT_NAMED), columns.why),
    )


def in_chunks(
    orders: Sequence[OrderIntent],
    universe: Universe,
    largest: Mapping[InstrumentId, Decimal | None],
) -> tuple[tuple[OrderIntent, int], ...]:
    """Return the first chunk of each order and in how many it goes out.

    Chunks are equal but for whole lots, so that no remainder is too small to be sold. Where
    even one lot is more than `largest` allows the order stays whole: a gate says why not.
    """
    return tuple(_first_chunk(order, universe, largest.get(order.instrument)) for order in orders)


def _first_chunk(
    order: OrderIntent, universe: Universe, largest: Decimal | None
) -> tuple[OrderIntent, int]:
    size, rules = abs(order.quantity), universe[order.instrument].rules
    if largest is None or size <= largest or largest <= 0:
        return order, 1
    chunks = int((size / largest).to_integral_value(ROUND_CEILING))
    step = rules.limit_step
    chunk = (size / chunks / step).to_integral_value(ROUND_CEILING) * step
    if chunk > largest:
        chunk = (largest / step).to_integral_value(ROUND_FLOOR) * step
    if chunk < rules.min_size or not chunk:
        return order, 1
    share = float(chunk / size)
    quantity = chunk.copy_sign(order.quantity)
    part = replace(order, quantity=quantity, notional=order.notional * share, fee=order.fee * share)
    return part, int((size / chunk).to_integral_value(ROUND_CEILING))
