"""Orders at the venue against intents in our journals: none twice, none unannounced."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import ApprovedOrder, OrderStatus, Purpose
from rebalancer.rehearsal.evidence import Arrival, Violation
from rebalancer.rehearsal.observer.case import Case
from rebalancer.rehearsal.observer.on_the_wire import writes
from rebalancer.rehearsal.observer.ours import Intent, Line
from rebalancer.simulators.books import Order

TWICE, UNANNOUNCED = "no-duplicate-order", "no-order-without-intent"
DRY, UNKNOWN = "nothing-in-dry-run", "unknown-is-not-failure"

LAST_TRADE_SECONDS = 300.0
"""From then on a gateway's quote counts as old as its last trade (`IbSettings`)."""

QUOTE_ROOM = 5
"""Seconds by which two clocks may differ about a quote's age."""

_SILENT = frozenset({OrderStatus.SENT, OrderStatus.UNKNOWN})
_ZERO = Decimal(0)

Leg = tuple[datetime, int, InstrumentId, int]
"""What may stand at the venue once: slot, attempt, instrument and part of a plan."""


def no_duplicate_order(case: Case) -> Iterator[Violation]:
    """Yield references used twice, legs alive twice, and what traded beyond its approval."""
    counted = Counter(each.reference for each in case.orders if case.is_ours(each.reference))
    for reference, count in sorted(counted.items()):
        if count > 1 and reference not in case.doubled:
            yield Violation(TWICE, f"{count} orders have the reference {reference}")
    yield from _alive_at_once(case)
    yield from _beyond_approval(case)
    yield from _beyond_plan(case)


def _alive_at_once(case: Case) -> Iterator[Violation]:
    """Yield orders in one instrument, one way, at one time, but for parts of one plan."""
    by_side: dict[tuple[InstrumentId, bool], list[Order]] = defaultdict(list)
    for order in case.rebalancing:
        if order.status is not OrderStatus.REJECTED and order.reference not in case.doubled:
            by_side[order.instrument, order.quantity > 0].append(order)
    for (name, _), orders in sorted(by_side.items()):
        for place, one in enumerate(orders):
            for other in orders[place + 1 :]:
                apart = one.ended_at is not None and one.ended_at <= other.placed_at
                if not apart and not _parts_of_one_plan(case, one, other):
                    yield Violation(
                        TWICE,
                        f"{other.reference} ({other.quantity:f} {name}) was placed while "
                        f"{one.reference} was alive",
                    )


def _parts_of_one_plan(case: Case, one: Order, other: Order) -> bool:
    legs = [_leg(case.ours.intents.get(each.reference)) for each in (one, other)]
    if legs[0] is None or legs[1] is None:
        return False
    return legs[0][:3] == legs[1][:3] and legs[0][3] != legs[1][3]


def _leg(intent: Intent | None) -> Leg | None:
    if intent is None or intent.order is None:
        return None
    return (intent.slot, intent.attempt, intent.instrument, intent.order.intent.part)


def _legs(case: Case) -> Mapping[Leg, Sequence[Intent]]:
    """Return the intents of each leg, in the order in which they were journaled."""
    legs: dict[Leg, list[Intent]] = defaultdict(list)
    for intent in case.ours.intents.values():
        leg = _leg(intent)
        if leg is not None:
            legs[leg].append(intent)
    return {leg: sorted(of, key=lambda each: each.place) for leg, of in legs.items()}


def _beyond_approval(case: Case) -> Iterator[Violation]:
    """Yield legs that traded more, all orders together, than was approved first.

    A command of the owner's is approved round by round.
    """
    traded: dict[tuple[Leg, int], Decimal] = defaultdict(Decimal)
    approved: dict[tuple[Leg, int], Decimal] = {}
    for leg, intents in _legs(case).items():
        for intent in intents:
            approved.setdefault((leg, _round(case, intent)), intent.quantity)
    for order in case.rebalancing:
        own = case.ours.intents.get(order.reference)
        of = _leg(own)
        if own is not None and of is not None and order.reference not in case.doubled:
            traded[of, _round(case, own)] += order.filled
    for ((slot, attempt, name, part), place), filled in sorted(traded.items()):
        most = approved[(slot, attempt, name, part), place]
        if abs(filled) > abs(most) or filled * most < 0:
            yield Violation(
                TWICE,
                f"{name} traded {filled:f}, approved were {most:f}",
                case.run_of(slot, attempt),
            )


def _round(case: Case, intent: Intent) -> int:
    """Return in which round of a command an intent was approved; a run has one."""
    return intent.place if case.ours.command(intent.slot, intent.attempt) else 0


def _beyond_plan(case: Case) -> Iterator[Violation]:
    """Yield executions that carried a position beyond what their plan wanted to end with.

    A sale by hand ends at nothing (`by_hand`).
    """
    ends: dict[tuple[datetime, int, InstrumentId], Decimal] = {}
    for leg, intents in _legs(case).items():
        order = intents[0].order
        if order is not None and not case.ours.command(leg[0], leg[1]):
            start = ends.get(leg[:3], order.intent.current_quantity)
            ends[leg[:3]] = start + order.quantity
    for name in sorted({leg[2] for leg in ends}):
        stranger: datetime | None = None
        for execution, held in case.path(name):
            own = _leg(case.ours.intents.get(execution.reference))
            if own is None or execution.reference in case.doubled:
                stranger = execution.at
                continue
            if own[:3] not in ends:
                continue
            place = case.run_of(own[0], own[1])
            began = None if place is None else case.evidence.runs[place].began
            if stranger is not None and (began is None or stranger >= began):
                continue  # somebody else traded in it since: nobody could plan for that
            if stranger is not None and _lied_to_at_first(case, place):
                continue  # from before our books began, when only the account could tell it
            end = ends[own[:3]]
            beyond = held - end if execution.quantity > 0 else end - held
            if beyond > 0:
                yield Violation(
                    TWICE,
                    f"{execution.reference} carried {name} to {held:f}; its plan ended at {end:f}",
                    place,
                )


def _lied_to_at_first(case: Case, place: int | None) -> bool:
    """Return whether a run is the first of our books, and its account an old or wrong one."""
    runs = case.evidence.runs
    if place is None or any(not each.dry for each in runs[:place]):
        return False
    hour = runs[place].hour
    troubles = () if hour is None else case.evidence.schedule.hours[hour].troubles
    return any(each.fault.startswith(("account-", "positions-")) for each in troubles)


def no_order_without_intent(case: Case) -> Iterator[Violation]:
    """Yield orders that no journal announced in time, and those that are not as announced."""
    for order in case.orders:
        if case.is_ours(order.reference) and order.reference not in case.ours.intents:
            yield Violation(UNANNOUNCED, f"no journal announces {order.reference}")
    for place, _run, arrival in case.arrivals("new", "stop", "change"):
        for words in _unapproved(case, arrival):
            yield Violation(UNANNOUNCED, f"{arrival.message} {arrival.reference}: {words}", place)
    for place, _run, arrival in case.arrivals("new"):
        for words in _on_old_prices(case, arrival):
            yield Violation(UNANNOUNCED, f"{arrival.message} {arrival.reference}: {words}", place)
    yield from _not_reduce_only(case)


def _on_old_prices(case: Case, arrival: Arrival) -> Iterator[str]:
    """Return how old the quotes were, where the venue told none that an order may be made from."""
    age = arrival.quote_age
    if age is None or not case.is_ours(arrival.reference, Purpose.REBALANCE):
        return
    most = case.evidence.limits.quote_max_age_seconds
    if case.evidence.venue == "ib":  # there a quote is as old as its last trade, when that is old
        most = max(most, LAST_TRADE_SECONDS)
    if age > most + QUOTE_ROOM:
        yield f"the freshest quote was {age} s old when the venue told it; the limit is {most:g} s"


def _unapproved(case: Case, arrival: Arrival) -> Iterator[str]:
    """Return how a message differs from what was approved."""
    if not case.is_ours(arrival.reference):
        if arrival.verb != "change":
            yield "it has no reference of ours"
        return
    if arrival.verb != "change" and not arrival.journaled:
        yield "no durable line of a journal announced it when it was sent"
    intent = case.ours.intents.get(arrival.reference)
    if intent is None:
        return
    if arrival.quantity is not None and arrival.quantity != intent.quantity:
        yield f"it asks for {arrival.quantity:f}, approved were {intent.quantity:f}"
    if arrival.instrument not in ("", intent.instrument):
        yield f"it is for {arrival.instrument}, approved was {intent.instrument}"
    if intent.order is not None:
        yield from _beyond_terms(arrival, intent.order)


def _beyond_terms(arrival: Arrival, order: ApprovedOrder) -> Iterator[str]:
    if arrival.limit is not None:
        buys = order.quantity > 0
        beyond = arrival.limit > order.worst_price if buys else arrival.limit < order.worst_price
        if beyond:
            yield f"its limit {arrival.limit:f} is beyond the approved {order.worst_price:f}"
    if arrival.at > order.deadline and arrival.message.startswith("hands."):
        yield f"its approval ended at {order.deadline:%H:%M:%S}"


def _not_reduce_only(case: Case) -> Iterator[Violation]:
    """Yield orders that were approved to reduce only and did not say so at the venue."""
    for order in case.rebalancing:
        intent = case.ours.intents.get(order.reference)
        if intent is None or intent.order is None or not order.instrument.endswith(".PERP@BINANCE"):
            continue
        if intent.order.reduce_only and not order.reduce_only:
            yield Violation(
                UNANNOUNCED, f"{order.reference} was approved as reduce-only and is not"
            )


def nothing_in_dry_run(case: Case) -> Iterator[Violation]:
    """Yield what a dry run sent about orders (a question, too), or changed beside `dry/`."""
    for place, run in enumerate(case.evidence.runs):
        if not run.dry:
            continue
        for name, count in sorted(run.frames.items()):
            if count and writes(case.evidence.venue, name):
                yield Violation(DRY, f"{count} messages {name}", place)
        if run.arrivals:
            yield Violation(DRY, f"{len(run.arrivals)} order messages were sent", place)
        new = set(run.orders_after) - set(run.orders_before)
        if any(case.is_ours(each.reference) for each in case.orders if each.id in new):
            yield Violation(DRY, f"{len(new)} orders stand at the venue that did not before", place)
        if run.touched:
            named = ", ".join(run.touched[:5])
            yield Violation(DRY, f"it wrote outside of dry/: {named}", place)


def unknown_is_not_failure(case: Case) -> Iterator[Violation]:
    """Yield what may have been at the venue and was sent again before it was looked up."""
    for leg, intents in _legs(case).items():
        lines = case.ours.journals[leg[0]]
        for earlier, later in pairwise(intents):
            if _last_status(lines, earlier.reference, later.place) in _SILENT:
                yield Violation(
                    UNKNOWN,
                    f"{later.reference} followed {earlier.reference}, of which nothing was known",
                    case.run_of(leg[0], leg[1]),
                )
    yield from _never_looked_up(case)


def _never_looked_up(case: Case) -> Iterator[Violation]:
    """Yield orders that a run left silent and nobody found before the next in its place."""
    placed = {each.reference: each for each in case.rebalancing}
    for reference, order in sorted(placed.items()):
        intent = case.ours.intents.get(reference)
        if intent is None or intent.order is None:
            continue
        lines = case.ours.journals[intent.slot]
        if _last_status(lines, reference, len(lines)) not in _SILENT:
            continue
        after = [
            each
            for each in case.ours.intents.values()
            if each.instrument == intent.instrument
            and each.order is not None
            and (each.slot, each.attempt) > (intent.slot, intent.attempt)
            and each.reference in placed
        ]
        if after and not _was_found(case, reference, order):
            first = min(after, key=lambda each: (each.slot, each.attempt, each.place))
            yield Violation(
                UNKNOWN,
                f"{first.reference} was sent and nobody had found {reference}, which was there",
                case.run_of(first.slot, first.attempt),
            )


def _was_found(case: Case, reference: str, order: Order) -> bool:
    """Return whether our books know of an order that the venue has."""
    if any(fill.reference == reference for fill in case.ours.standing.values()):
        return True
    for record in case.ours.records.values():
        if any(each.reference == reference for each in (*record.cancelled, *record.orders)):
            return True
    return not order.live and not order.filled and _told_again(case, reference)


def _told_again(case: Case, reference: str) -> bool:
    """Return whether any later journal names an order: as unresolved, or as seen."""
    return any(
        reference in str(line.get("flag", line.get("order", "")))
        for lines in case.ours.journals.values()
        for line in lines
        if line.get("kind") in ("flag", "order")
    )


def _last_status(lines: Sequence[Line], reference: str, before: int) -> OrderStatus:
    """Return what a journal says last of an order before a line; SENT when it says nothing."""
    for line in reversed(lines[:before]):
        if line.get("kind") == "order" and line["order"]["reference"] == reference:
            return OrderStatus(line["order"]["status"])
    return OrderStatus.SENT
