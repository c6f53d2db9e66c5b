"""While orders are worked: what may go out now, from what really happened so far."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from rebalancer.model.flags import ErrorFlag
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import ApprovedOrder, RefusedOrder
from rebalancer.model.universe import Sleeve
from rebalancer.risk.candidates import candidates
from rebalancer.risk.gates import neutral_sleeves_hit
from rebalancer.risk.joint import WHOLE, Claim, Share, claim_of, over_limits
from rebalancer.risk.means import Means, means_of
from rebalancer.risk.terms import GateInput, submit_flag


@dataclass(frozen=True)
class Funding:
    """What releases are judged by: the account before the run and each order's claim on it.

    `ways_out` are instruments that the venue closes: their orders go out whatever a sleeve lost.
    """

    means: Means
    claims: Mapping[str, Claim]
    sleeves: tuple[Sleeve, ...] = ()
    ways_out: frozenset[InstrumentId] = frozenset()

    def lost(
        self, gone: Collection[InstrumentId], going: Collection[InstrumentId] = ()
    ) -> dict[InstrumentId, str]:
        """Return the instruments of neutral sleeves of which one does not trade, and why.

        `going` are those with an order that waits or works: where it goes too, it takes the
        other sleeves with it that have a leg in the same instrument.
        """
        names, hit = set(gone), dict[InstrumentId, str]()
        while True:
            found = neutral_sleeves_hit(self.sleeves, names) | hit  # the first reason stays
            hit = {name: why for name, why in found.items() if name not in self.ways_out}
            more = {name for name in going if name in hit} - names
            if not more:
                return hit
            names |= more


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An order that went to the wire: what its executions prove (signed), whether it is over.

    `last` is the reference of the order that works for it now, where others followed ('' none).
    """

    order: ApprovedOrder
    filled: Decimal
    done: bool
    rejected: bool = False
    last: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """`released` may be sent now, `waiting` not yet, `dropped` not any more in this run.

    `cancel` has the references of working orders whose neutral sleeve lost a leg.
    """

    released: tuple[ApprovedOrder, ...]
    waiting: tuple[ApprovedOrder, ...] = ()
    dropped: tuple[RefusedOrder, ...] = ()
    cancel: tuple[str, ...] = ()
    flags: tuple[ErrorFlag, ...] = ()


_No = tuple[str, str]
"""Gate and reason."""


def funding_of(given: GateInput, approved: Sequence[ApprovedOrder]) -> Funding:
    """Return what `release` needs, from what the gates saw."""
    wanted = {(order.instrument, order.intent.part): order.reference for order in approved}
    claims, ways_out = {}, set()
    for candidate in candidates(given):
        reference = wanted.get((candidate.intent.instrument, candidate.intent.part))
        claim = claim_of(candidate, given.fees, given)
        if reference is not None and isinstance(claim, Claim):
            claims[reference] = claim
            if candidate.way_out:
                ways_out.add(candidate.intent.instrument)
    return Funding(means_of(given), claims, given.sleeves, frozenset(ways_out))


def release(
    funding: Funding,
    waiting: Sequence[ApprovedOrder],
    sent: Sequence[SentOrder],
    *,
    final: bool = False,
    gone: Collection[InstrumentId] = (),
) -> Release:
    """Return which approved orders may be sent now, in their order.

    Reductions may, but for those of neutral sleeves that do not trade yet. Everything else may
    when the shared limits hold with what has really happened: proceeds and smaller positions
    count as far as they were filled, what is working counts in full, and orders ahead in the
    queue keep their place. What does not fit waits while anything that could make room still
    works; then it is dropped and those behind it are tried. The opening part of a reversal waits
    until its closing part is filled whole. A neutral sleeve opens nothing before everything it
    opens may go. One that lost a leg, here or at the venue, sends nothing more and what works of
    it is to be cancelled. `gone` are the instruments whose orders were dropped before. `final`:
    nothing is released any more, everything waiting is dropped.
    """
    line = _Line(funding, waiting, sent, frozenset(gone))
    for order in waiting:
        if _closing(order, sent) == "failed":
            reason = "it opens what its other part has not closed whole"
            line.dropped[order.reference] = ("reversal", reason)
    late = _judge(line, final=final)
    queue, lost, dropped = line.queue(), line.lost(), line.dropped
    return Release(
        released=tuple(order for order in queue if order.reference not in late),
        waiting=tuple(order for order in queue if order.reference in late),
        dropped=tuple(
            RefusedOrder(order.intent, *dropped[order.reference])
            for order in waiting
            if order.reference in dropped
        ),
        cancel=tuple(
            each.last or each.order.reference
            for each in sent
            if each.order.instrument in lost and not each.done
        ),
        flags=_flags(waiting, dropped),
    )


@dataclass(frozen=True)
class _Line:
    """The orders that wait and those that were sent, while it is decided who may go.

    `gone` were lost before; `dropped` has those of the waiting that do not go any more.
    """

    funding: Funding
    waiting: Sequence[ApprovedOrder]
    sent: Sequence[SentOrder]
    gone: frozenset[InstrumentId]
    dropped: dict[str, _No] = field(default_factory=dict)

    def queue(self) -> list[ApprovedOrder]:
        """Return who still waits."""
        return [order for order in self.waiting if order.reference not in self.dropped]

    def lost(self) -> dict[InstrumentId, str]:
        """Return the instruments of neutral sleeves that lost a leg so far, and why."""
        names = {each.order.instrument for each in self.sent if each.rejected} | self.gone
        names |= {o.instrument for o in self.waiting if o.reference in self.dropped}
        going = {each.order.instrument for each in self.sent if not each.done}
        return self.funding.lost(names, going | {order.instrument for order in self.queue()})


def _judge(line: _Line, *, final: bool) -> set[str]:
    """Return who must wait; add to the dropped who does not need to wait any longer."""
    while True:
        lost = line.lost()
        line.dropped.update(
            (order.reference, ("neutral", lost[order.instrument]))
            for order in line.queue()
            if order.instrument in lost
        )
        queue = line.queue()
        late = {
            order.reference: ("reversal", "it waits for its other part to close")
            for order in queue
            if _closing(order, line.sent) == "open"
        }
        misfits = _misfits(line.funding, queue, line.sent)
        late |= {r: no for r, no in misfits.items() if r not in late}
        held = _held(line, queue, late)
        if final:
            unsent = ("time", "its time was over before it was sent")
            line.dropped.update(
                (o.reference, (late | held).get(o.reference, unsent)) for o in queue
            )
            return set()
        misfit = next((o.reference for o in queue if o.reference in late), None)
        if misfit is None or _room_may_come(queue, line.sent, held):
            return {*late, *held}
        line.dropped[misfit] = late[misfit]


def _held(line: _Line, queue: Sequence[ApprovedOrder], late: Mapping[str, _No]) -> dict[str, _No]:
    """Return the orders of neutral sleeves that wait for a leg that must wait, with the reason.

    What such sleeves sell may have to pay for what they buy: a reduction goes out once the
    others would fit were it, and every other one that goes out, filled whole.
    """
    funding = line.funding
    neutral = {n for s in funding.sleeves if s.neutral for n in s.universe} - funding.ways_out
    opening = {order.instrument for order in queue if not order.reduce_only}
    wait = funding.lost({o.instrument for o in queue if o.reference in late}, opening)
    held = {
        order.reference: ("neutral", wait[order.instrument])
        for order in queue
        if order.instrument in wait and order.reference not in late and not order.reduce_only
    }
    while neutral:  # each round holds one more reduction, or is the last
        misfits = _misfits(funding, queue, line.sent, neutral - _instruments(queue, held))
        hit = funding.lost(_instruments(queue, misfits), {order.instrument for order in queue})
        more = {
            order.reference: ("neutral", hit[order.instrument])
            for order in queue
            if order.reduce_only and order.instrument in hit and order.reference not in held
        }
        if not more:
            break
        held |= more
    return held


def _instruments(orders: Sequence[ApprovedOrder], references: Container[str]) -> set[InstrumentId]:
    return {order.instrument for order in orders if order.reference in references}


def _misfits(
    funding: Funding,
    queue: Sequence[ApprovedOrder],
    sent: Sequence[SentOrder],
    whole: Container[InstrumentId] = (),
) -> dict[str, _No]:
    """Return the orders of the queue that do not fit now, with gate and reason.

    Reductions in `whole` that are not over count as filled whole.
    """
    claims: list[Claim] = []
    shares: dict[int, Share] = {}
    for each in sent:
        claim = funding.claims[each.order.reference]
        part = abs(each.filled / each.order.quantity)
        if each.done:
            claims.append(_scaled(claim, part))
            shares[claim.place] = WHOLE
        else:
            claims.append(claim)
            shares[claim.place] = _going(each.order, part, whole)
    places: dict[int, ApprovedOrder] = {}
    for order in queue:
        claim = funding.claims[order.reference]
        claims.append(claim)
        shares[claim.place] = _going(order, Decimal(0), whole)
        places[claim.place] = order
    over = over_limits(claims, funding.means, shares)
    return {
        places[place].reference: no
        for place, no in over.items()
        if place in places and not places[place].reduce_only
    }


def _going(order: ApprovedOrder, part: Decimal, whole: Container[InstrumentId]) -> Share:
    hoped = order.reduce_only and order.instrument in whole
    return WHOLE if hoped else Share(actual=part, wanted=Decimal(1))


def _scaled(claim: Claim, part: Decimal) -> Claim:
    return replace(
        claim,
        quantity=claim.quantity * part,
        delta=claim.delta * part,
        notional=claim.notional * part,
        cost=claim.cost * part,
        proceeds=claim.proceeds * part,
    )


def _closing(order: ApprovedOrder, sent: Sequence[SentOrder]) -> str:
    """Return `open`, `failed` or `closed` for the other part of a reversal, '' for none."""
    if not order.intent.part:
        return ""
    for each in sent:
        if each.order.instrument == order.instrument and each.order.intent.part == 0:
            if each.filled == each.order.quantity:
                return "closed"
            return "failed" if each.done else "open"
    return "open"


def _room_may_come(
    queue: Sequence[ApprovedOrder], sent: Sequence[SentOrder], held: Container[str]
) -> bool:
    """Return whether anything may still make room: a reduction, or an order that may end short."""
    if any(not each.done for each in sent):
        return True
    return any(order.reduce_only and order.reference not in held for order in queue)


def _flags(waiting: Sequence[ApprovedOrder], dropped: Mapping[str, _No]) -> tuple[ErrorFlag, ...]:
    flags: dict[InstrumentId, ErrorFlag] = {}
    for order in waiting:
        if order.reference in dropped:
            gate, reason = dropped[order.reference]
            code = "order-refused" if gate == "neutral" else "not-funded"
            message = f"{order.instrument}: {order.quantity:f} was not sent: {reason}"
            flags.setdefault(order.instrument, submit_flag(code, order.instrument, message))
    return tuple(flags.values())
