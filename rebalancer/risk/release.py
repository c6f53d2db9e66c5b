"""While orders are worked: what may go out now, from what really happened so far."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
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
    """What releases are judged by: the account before the run and each order's claim on it."""

    means: Means
    claims: Mapping[str, Claim]
    sleeves: tuple[Sleeve, ...] = ()

    def lost(self, rejected: Container[InstrumentId]) -> dict[InstrumentId, str]:
        """Return the instruments of neutral sleeves of which the venue rejected one, and why."""
        return neutral_sleeves_hit(self.sleeves, rejected)


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
    claims = {}
    for candidate in candidates(given):
        reference = wanted.get((candidate.intent.instrument, candidate.intent.part))
        claim = claim_of(candidate, given.fees, given)
        if reference is not None and isinstance(claim, Claim):
            claims[reference] = claim
    return Funding(means_of(given), claims, given.sleeves)


def release(
    funding: Funding,
    waiting: Sequence[ApprovedOrder],
    sent: Sequence[SentOrder],
    *,
    final: bool = False,
) -> Release:
    """Return which approved orders may be sent now, in their order.

    Reductions always may. Everything else may when the shared limits hold with what has
    really happened: proceeds and smaller positions count as far as they were filled, what
    is working counts in full, and orders ahead in the queue keep their place. What does not
    fit waits while anything that could make room still works; then it is dropped and those
    behind it are tried. The opening part of a reversal waits until its closing part is
    filled whole. A neutral sleeve that lost a leg sends nothing more and what works of it is
    to be cancelled. `final`: nothing is released any more, everything waiting is dropped.
    """
    lost = funding.lost({each.order.instrument for each in sent if each.rejected})
    dropped: dict[str, _No] = {}
    for order in waiting:
        if order.instrument in lost:
            dropped[order.reference] = ("neutral", lost[order.instrument])
        elif _closing(order, sent) == "failed":
            reason = "it opens what its other part has not closed whole"
            dropped[order.reference] = ("reversal", reason)
    room = not final and _room_may_come(waiting, sent, dropped)
    late = _judge(funding, waiting, sent, dropped, room=room, final=final)
    queue = [order for order in waiting if order.reference not in dropped]
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


def _judge(
    funding: Funding,
    waiting: Sequence[ApprovedOrder],
    sent: Sequence[SentOrder],
    dropped: dict[str, _No],
    *,
    room: bool,
    final: bool,
) -> set[str]:
    """Return who must wait; add to `dropped` who does not need to wait any longer."""
    while True:
        queue = [order for order in waiting if order.reference not in dropped]
        late = {
            order.reference: ("reversal", "it waits for its other part to close")
            for order in queue
            if _closing(order, sent) == "open"
        }
        late |= {r: no for r, no in _misfits(funding, queue, sent).items() if r not in late}
        if final:
            for order in queue:
                unsent = ("time", "its time was over before it was sent")
                dropped[order.reference] = late.get(order.reference, unsent)
            return set()
        misfit = next((o.reference for o in queue if o.reference in late), None)
        if room or misfit is None:
            return set(late)
        dropped[misfit] = late[misfit]


def _misfits(
    funding: Funding, queue: Sequence[ApprovedOrder], sent: Sequence[SentOrder]
) -> dict[str, _No]:
    """Return the orders of the queue that do not fit now, with gate and reason."""
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
            shares[claim.place] = Share(actual=part, wanted=Decimal(1))
    places: dict[int, ApprovedOrder] = {}
    for order in queue:
        claim = funding.claims[order.reference]
        claims.append(claim)
        shares[claim.place] = Share(actual=Decimal(0), wanted=Decimal(1))
        places[claim.place] = order
    over = over_limits(claims, funding.means, shares)
    return {
        places[place].reference: no
        for place, no in over.items()
        if place in places and not places[place].reduce_only
    }


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
    waiting: Sequence[ApprovedOrder], sent: Sequence[SentOrder], dropped: Mapping[str, _No]
) -> bool:
    """Return whether anything may still make room: a reduction, or an order that may end short."""
    if any(not each.done for each in sent):
        return True
    return any(order.reduce_only and order.reference not in dropped for order in waiting)


def _flags(waiting: Sequence[ApprovedOrder], dropped: Mapping[str, _No]) -> tuple[ErrorFlag, ...]:
    flags: dict[InstrumentId, ErrorFlag] = {}
    for order in waiting:
        if order.reference in dropped:
            gate, reason = dropped[order.reference]
            code = "order-refused" if gate == "neutral" else "not-funded"
            message = f"{order.instrument}: {order.quantity:f} was not sent: {reason}"
            flags.setdefault(order.instrument, submit_flag(code, order.instrument, message))
    return tuple(flags.values())
