"""One case before the judge: the evidence, what our files say, and what the venue's books say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Purpose, execution_revision, parse_reference
from rebalancer.model.universe import Universe
from rebalancer.rehearsal.evidence import Arrival, Evidence, RunEvidence
from rebalancer.rehearsal.observer.ours import Ours
from rebalancer.simulators.books import Account, Execution, Order
from rebalancer.simulators.kinds import base_asset, is_pair

TWICE = "order-twice"
"""The fault by which an order arrives at the venue twice."""

_ZERO = Decimal(0)


class Case:
    """What every invariant is asked about."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.ours = Ours(evidence.state)

    @property
    def orders(self) -> Sequence[Order]:
        """Return every order in the venue's books."""
        return self.evidence.account.orders

    @property
    def executions(self) -> Sequence[Execution]:
        """Return every execution in the venue's books, oldest first."""
        return self.evidence.account.executions

    def family(self, execution: Execution) -> str:
        """Return by which id our books know an execution, corrections apart."""
        number = execution.id.rpartition("-")[2]
        if self.evidence.venue == "binance" and number.isdigit():
            return f"{execution.instrument.partition('.')[0]}-{int(number)}"
        return execution_revision(execution.id)[0]

    def is_ours(self, reference: str, purpose: Purpose | None = None) -> bool:
        """Return whether a reference is one of this portfolio's (and for that purpose)."""
        parts = parse_reference(reference, self.evidence.portfolio)
        return parts is not None and (purpose is None or parts["purpose"] == purpose.value)

    @cached_property
    def rebalancing(self) -> Sequence[Order]:
        """Return our rebalance orders in the venue's books, oldest first."""
        return [each for each in self.orders if self.is_ours(each.reference, Purpose.REBALANCE)]

    def arrivals(self, *verbs: str) -> Iterator[tuple[int, RunEvidence, Arrival]]:
        """Go through the order messages of all runs; with the place of their run."""
        for place, run in enumerate(self.evidence.runs):
            for arrival in run.arrivals:
                if not verbs or arrival.verb in verbs:
                    yield place, run, arrival

    def run_of(self, slot: datetime, attempt: int) -> int | None:
        """Return the place of an attempt at a slot among the runs, None when it is not there."""
        for place, run in enumerate(self.evidence.runs):
            if (run.slot, run.attempt, run.dry) == (slot, attempt, False):
                return place
        return None

    @cached_property
    def doubled(self) -> frozenset[str]:
        """Return the orders that the wire itself brought to the venue twice: nobody sent them so.

        Our hands were asked for each of them once, in a run in which that fault was planned.
        """
        asked: Counter[str] = Counter()
        planned: set[str] = set()
        for _, run, arrival in self.arrivals("new"):
            if arrival.message.startswith("hands."):
                asked[arrival.reference] += 1
            hour = None if run.hour is None else self.evidence.schedule.hours[run.hour]
            if hour is not None and any(each.fault == TWICE for each in hour.troubles):
                planned.add(arrival.reference)
        return frozenset(name for name in planned if asked[name] == 1)

    @property
    def first_calm(self) -> int:
        """Return the place of the first run after the last that anything was planned for."""
        hours = [n for n, run in enumerate(self.evidence.runs) if run.hour is not None]
        return max(hours, default=-1) + 1

    def path(self, instrument: InstrumentId) -> Sequence[tuple[Execution, Decimal]]:
        """Return each execution in an instrument with the position after it, by the venue's books.

        Of a pair on a spot market the coins that fees took are gone from it. [] where the
        beginning is not known: a position moved by no execution, or books that let go of some.
        """
        account = self.evidence.account
        if instrument in self.evidence.moved or account.carried_positions.get(instrument):
            return []
        coin = ""
        if instrument in self.evidence.universe:
            each = self.evidence.universe[instrument]
            coin = base_asset(each) if is_pair(each) else ""
        if coin and coin in self.evidence.flows:
            return []
        held = self.evidence.opening_positions.get(instrument, _ZERO)
        held += self.evidence.opening_cash.get(coin, _ZERO) if coin else _ZERO
        found = []
        for execution in self.executions:
            if coin and execution.commission_currency == coin:
                held -= execution.commission
            if execution.instrument == instrument:
                held += execution.quantity
                found.append((execution, held))
        return found

    def holdings(self) -> Mapping[InstrumentId, Decimal]:
        """Return the venue's positions of the universe at the end, zeros included."""
        return held_of(self.evidence.universe, self.evidence.account)


def held_of(universe: Universe, account: Account) -> Mapping[InstrumentId, Decimal]:
    """Return what a venue's books say is held of a universe, zeros included."""
    found = {}
    for each in universe:
        if is_pair(each):
            found[each.id] = account.cash.get(base_asset(each), _ZERO)
        else:
            holding = account.holdings.get(each.id)
            found[each.id] = _ZERO if holding is None else holding.quantity
    return found
