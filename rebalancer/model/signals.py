"""What a generator sees, what it answers, and what a signal file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Panel

CASH = "CASH"
"""The row that stands for holding nothing: a flat sleeve is the single row `CASH,1`."""


class Unit(StrEnum):
    """What a target counts: a fraction of the sleeve's capital, or units of the instrument."""

    WEIGHT = "weight"
    LOTS = "lots"


class Coverage(StrEnum):
    """COMPLETE: what is not listed is wanted at zero; PARTIAL: what is not listed is held."""

    COMPLETE = "complete"
    PARTIAL = "partial"


@dataclass(frozen=True)
class Context:
    """What `generate(context)` receives. Everything is read-only and known at `now`.

    `closes` has one row per completed bar and one column per instrument of the sleeve's
    universe (NaN: no bar). `parameters` are the sleeve's own from the configuration.
    """

    now: datetime
    sleeve: str
    universe: tuple[InstrumentId, ...]
    closes: Panel
    parameters: Mapping[str, Any] = field(default_factory=dict)
    funding: FundingRates | None = None
    """What perpetuals paid, for a sleeve with `funding = true`."""


@dataclass(frozen=True, eq=False)
class FundingRates:
    """Settled funding rates, oldest first; arrays are read-only.

    `times` has shape (rows,): whole hours, integer seconds since 1970 UTC. `values` has shape
    (rows, instruments), in the order of the sleeve's universe: fractions of a position's
    value, positive = longs pay shorts; NaN where nothing was settled.
    """

    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class TargetWeights:
    """A generator's answer: wanted fractions of its sleeve's capital, signed.

    `leverage` scales all of them (1.0 = none). An instrument that is not in `weights` is
    wanted at zero when `coverage` is COMPLETE and held when it is PARTIAL. NaN is refused.
    """

    weights: Mapping[str, float]
    leverage: float = 1.0
    coverage: Coverage = Coverage.COMPLETE
    valid_for: timedelta | None = None
    """How long the answer may be used; None: until the sleeve's own limit."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One sleeve's signal file, read and checked. An empty `targets` means flat."""

    sleeve: str
    targets: Mapping[InstrumentId, Decimal]
    unit: Unit
    leverage: Decimal
    as_of: datetime
    valid_until: datetime
    coverage: Coverage
    generator: str = ""
    fingerprint: str = ""
