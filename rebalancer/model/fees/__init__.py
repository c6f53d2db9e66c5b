"""What trading costs, exact per execution and estimated per column: `fee_schedule(name)`."""

from rebalancer.model.fees.lines import FeeLine
from rebalancer.model.fees.schedule import FeeSchedule, LineSchedule, OrderSoFar
from rebalancer.model.fees.venues import (
    FEE_SCHEDULES,
    BinanceFees,
    IbFixedFees,
    IbTieredFees,
    NoFees,
    fee_schedule,
)

__all__ = [
    "FEE_SCHEDULES",
    "BinanceFees",
    "FeeLine",
    "FeeSchedule",
    "IbFixedFees",
    "IbTieredFees",
    "LineSchedule",
    "NoFees",
    "OrderSoFar",
    "fee_schedule",
]
