"""Faults of the exchange as people write them: a word of the command line, or a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from rebalancer.errors import DataError
from rebalancer.simulators.binance_server.faults import Do, HttpFault, HttpRate
from rebalancer.simulators.fault_words import (
    checked,
    fault_tables,
    rate_of,
    require_known,
    venue_fault,
)
from rebalancer.simulators.faults import Fault


@dataclass(frozen=True)
class FaultPlan:
    """What is to go wrong: with requests, at the venue, and by a seed."""

    wire: tuple[HttpFault, ...] = ()
    venue: tuple[Fault, ...] = ()
    rates: tuple[HttpRate, ...] = ()
    seed: int = 1

    def with_more(self, other: FaultPlan) -> FaultPlan:
        """Return both; the other's seed counts when it has rates."""
        return FaultPlan(
            self.wire + other.wire,
            self.venue + other.venue,
            self.rates + other.rates,
            other.seed if other.rates else self.seed,
        )


def read_faults(word: str) -> FaultPlan:
    """Return what a word of the command line asks for (`fault_words.fault_tables`).

    `where=POST /fapi/v1/order,do=cut-after,nth=2` strikes a request,
    `kind=PARTIAL_ONLY,count=all` in the engine. Raises `DataError` naming what is wrong.
    """
    tables = fault_tables(word)
    rates = ((rate_of(plain, where), where) for plain, where in tables.rates)
    return FaultPlan(
        tuple(_wire(plain, where) for plain, where in tables.wire),
        tuple(venue_fault(plain, where) for plain, where in tables.venue),
        tuple(HttpRate(_wire(rest, where), rate) for (rest, rate), where in rates),
        tables.seed,
    )


def _wire(plain: Mapping[str, Any], where: str) -> HttpFault:
    # `on` is what the other simulated venue calls it.
    plain = {"where" if key == "on" else key: value for key, value in plain.items()}
    values = checked(plain, HttpFault, where)
    for key in ("where", "do"):
        if key not in values:
            raise DataError(f"{where}: {key} is missing")
    require_known(values["do"], [each.value for each in Do], where, "do")
    fault = HttpFault(**{**values, "do": Do(values["do"])})
    _require_occasion(fault, where)
    return fault


def _require_occasion(fault: HttpFault, where: str) -> None:
    """Refuse a fault that would wait for ever."""
    # The routes are the whole exchange; a spec without a file needs none of it.
    from rebalancer.simulators.binance_server.routes import ROUTES  # noqa: PLC0415

    known = [*ROUTES, "advance"]
    for name in fault.where.split("|"):
        if name.strip() and not any(fnmatchcase(each, name.strip()) for each in known):
            require_known(name.strip(), known, where, "where")
