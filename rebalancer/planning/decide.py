"""Columns to columns: from wishes and holdings to orders and a reason for every instrument."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from rebalancer.model.fees import FeeSchedule
from rebalancer.model.orders import OrderType
from rebalancer.model.plan import Why
from rebalancer.model.records import BandCost
from rebalancer.planning.bands import Bands, band_costs, bands, chosen_rule, moves
from rebalancer.planning.blend import Blend
from rebalancer.planning.columns import Ints
from rebalancer.planning.diff import Bounds, Orders, make_orders
from rebalancer.planning.funding import Purse
from rebalancer.planning.live import LiveColumns
from rebalancer.planning.parameters import BandRule, PlanParameters
from rebalancer.planning.restraints import RestraintColumns
from rebalancer.planning.sizing import Capital, Scale, Targets, leverage_scale, targets


@dataclass(frozen=True, eq=False)
class Decision:
    """Everything that was decided: orders in sequence, and columns of shape (n,).

    `why` has a `Why` code for every instrument; `refused` what became no order although it
    was wanted (0: nothing).
    """

    scale: Scale
    wish: Targets
    band: Bands
    rule: BandRule
    costs: tuple[BandCost, BandCost]
    orders: Orders
    why: Ints
    refused: Ints


def decide(
    live: LiveColumns, blended: Blend, capital: Capital, purse: Purse,
    parameters: PlanParameters, fees: FeeSchedule, turnover_used: Decimal,
    restraints: RestraintColumns,
) -> Decision:  # fmt: skip
    """Return what to do; sizing capital must be positive."""
    rules = live.rules
    market = parameters.order_type is OrderType.MARKET
    step = rules.market_step if market else rules.limit_step
    scale = leverage_scale(blended, live, capital, parameters)
    wish = targets(blended, live, capital.sizing, scale.factor, step)
    band = bands(blended, live, wish, capital, scale, parameters)
    costs = band_costs(live, wish, capital, fees, parameters, step)
    rule = chosen_rule(parameters.band_rule, costs)
    usable = live.known & (blended.hold == 0) & wish.in_range
    change = np.where(usable, moves(rule, band, live, wish, capital, step), 0)
    bounds = Bounds(
        parameters=parameters,
        purse=purse,
        turnover_left=_turnover_left(parameters, capital, turnover_used),
        reduce_only=not scale.reachable or bool(capital.unvalued),
        restraints=restraints,
    )
    orders, refused = make_orders(live, change, step, bounds, fees)
    why = _reasons(live, blended, wish, band)
    why = np.where(change != 0, refused, why)
    why[orders.row] = Why.ORDER
    return Decision(scale, wish, band, rule, costs, orders, why, refused)


def _turnover_left(parameters: PlanParameters, capital: Capital, used: Decimal) -> float | None:
    if parameters.turnover_budget is None:
        return None
    return float(parameters.turnover_budget * capital.sizing - used)


def _reasons(live: LiveColumns, blended: Blend, wish: Targets, band: Bands) -> Ints:
    """Return why nothing is wanted, for the rows without a change."""
    off_grid = np.where(wish.exact == 0, Why.DUST_SIZE, Why.ROUNDS_TO_HELD)
    at_target = live.held == wish.size
    why = np.where(band.outside, off_grid, Why.INSIDE_BAND)
    why = np.where(at_target, Why.AT_TARGET, why)
    why = np.where(wish.in_range, why, Why.OUT_OF_RANGE)
    why = np.where(blended.hold > 0, blended.hold, why)
    why = np.where(blended.leaving & (live.held == 0), Why.LEAVING, why)
    unpriced = (live.trouble > 0) & (blended.hold != Why.NO_SLEEVE)
    return np.where(unpriced, live.trouble, why).astype(np.int64)
