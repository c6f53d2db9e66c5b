"""Faults of the gateway as people write them: a word of the command line, or a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rebalancer.errors import DataError
from rebalancer.simulators.fault_words import (
    checked,
    fault_tables,
    rate_of,
    require_known,
    venue_fault,
)
from rebalancer.simulators.faults import Fault
from rebalancer.simulators.ib_gateway.faults import Do, WireFault, WireRate


@dataclass(frozen=True)
class FaultPlan:
    """What is to go wrong: on the wire, at the venue, and by a seed."""

    wire: tuple[WireFault, ...] = ()
    venue: tuple[Fault, ...] = ()
    rates: tuple[WireRate, ...] = ()
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

    `on=placeOrder,do=cut,nth=2` is a fault on the wire, `kind=LATE_COMMISSION,seconds=300` one
    at the venue. Raises `DataError` naming the file, the key and the value.
    """
    tables = fault_tables(word)
    rates = ((rate_of(plain, where), where) for plain, where in tables.rates)
    return FaultPlan(
        tuple(_wire(plain, where) for plain, where in tables.wire),
        tuple(venue_fault(plain, where) for plain, where in tables.venue),
        tuple(WireRate(_wire(rest, where), rate) for (rest, rate), where in rates),
        tables.seed,
    )


def _wire(plain: Mapping[str, Any], where: str) -> WireFault:
    values = checked(plain, WireFault, where)
    for key in ("on", "do"):
        if key not in values:
            raise DataError(f"{where}: {key} is missing")
    require_known(values["do"], [each.value for each in Do], where, "do")
    fault = WireFault(**{**values, "do": Do(values["do"])})
    _fits(fault, where)
    return fault


def _fits(fault: WireFault, where: str) -> None:
    """Refuse a fault that could never do anything."""
    # The mishaps know the codec, which takes its time; a spec without a file needs neither.
    from rebalancer.simulators.ib_gateway.occasions import CLIENT, GATEWAY, fits  # noqa: PLC0415

    for name in fault.on.split("|"):
        require_known(name, [*CLIENT, *GATEWAY], where, "on")
        if not fits(name, fault.do):
            raise DataError(f"{where}: do = {fault.do.value!r}: {name} cannot suffer that")
