"""A rebalance before it is checked: columns for everybody, objects for orders only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from rebalancer.model.flags import ErrorFlag
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderIntent, PlanLine, Skip
from rebalancer.model.records import BandCost


@dataclass(frozen=True, eq=False)
class Plan:
    """What is wanted for every instrument of the universe.

    orders + skips + unchanged = the universe (a reversal has two orders of one instrument).
    `capital` is sizing capital in base currency. `sleeve_lots` are the targets of the sleeves
    that had a signal, in units, to be remembered for the runs in which they have none.
    To be completed by the planning room: columns, and `lines()` / `skips()` made from them.
    """

    at: datetime
    net_liquidation: Decimal
    capital: Decimal
    orders: tuple[OrderIntent, ...]
    flags: tuple[ErrorFlag, ...] = ()
    band_costs: tuple[BandCost, ...] = ()
    sleeve_lots: Mapping[str, Mapping[InstrumentId, Decimal]] = field(default_factory=dict)

    def lines(self) -> tuple[PlanLine, ...]:
        """Return one row per instrument and order, in universe order."""
        raise NotImplementedError

    def skips(self) -> tuple[Skip, ...]:
        """Return why nothing is wanted, for each instrument that is held back or left out."""
        raise NotImplementedError
