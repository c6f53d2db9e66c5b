"""The stop-loss ladder of one position: which stops it needs, and which it does not any more.

The loss that a stop bounds is measured from average cost. The first stop lies `base_distance`
below it (above it for a short position), each further one `step_distance` beyond; they share
the position equally, in lots, and the last takes what is left. They may only reduce, so more
than is held never hurts: sizes are rounded up, never down.

What was set is left alone while it covers the position within `reset_threshold`. Otherwise a
whole new set is placed first; the old one goes when the new one is confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from rebalancer.model.account import Position
from rebalancer.model.instrument import Instrument
from rebalancer.model.orders import OrderStatus, Purpose, order_reference, parse_reference
from rebalancer.model.rules import TradingRules
from rebalancer.model.stops import PlaceStop, StopOrder
from rebalancer.risk.parameters import ProtectParameters

_UNKNOWN = "neither its average cost nor a price is known: its stops cannot be placed"


@dataclass(frozen=True, slots=True)
class StopNames:
    """Where the references of new stops come from; `first` is the next free number."""

    portfolio: str
    slot: datetime
    attempt: int
    first: int = 0


@dataclass(frozen=True, slots=True)
class Ladder:
    """What is to be done about one position's stops.

    `cancel` only after every one of `place` is confirmed (with nothing to place: at once).
    `trouble` says why stops alone do not keep what was promised, so that the next plan must
    close the position; '' all is well. `doubt`: there is nothing to place stops by.
    """

    place: tuple[PlaceStop, ...] = ()
    cancel: tuple[StopOrder, ...] = ()
    trouble: str = ""
    doubt: str = ""


def ladder(
    position: Position,
    instrument: Instrument,
    own: Sequence[StopOrder],
    parameters: ProtectParameters,
    names: StopNames,
    *,
    most: int,
) -> Ladder:
    """Return what protects a position, given our own stops in its instrument.

    `most` is how many stops this position may have. Only stops that wait for their trigger
    count. A stop that would trigger at once (its price is behind the mark already), or only
    after the venue had liquidated the position, is none: the others share the position; when
    none is left, one stop a step behind the mark holds what is left until the next plan.
    """
    groups = stop_groups(own, names.portfolio)
    whole = _covered_size(abs(position.quantity), instrument.rules, parameters)
    kept = next((g for g in groups if _covers(g, position, whole, parameters)), None)
    if kept is not None:
        return Ladder(cancel=tuple(stop for stop in own if stop not in kept))
    cost = position.average_cost if _sound(position.average_cost) else position.price
    if cost is None or not _sound(cost):
        return Ladder(doubt=_UNKNOWN)
    triggers, trouble = _triggers(position, cost, instrument, parameters)
    pieces = _pieces(whole, triggers, instrument, parameters, most)
    place = tuple(
        _stop(position, instrument, size, trigger, parameters, names, number)
        for number, (size, trigger) in enumerate(pieces)
    )
    return Ladder(place=place, cancel=tuple(own), trouble=trouble)


def stop_groups(own: Sequence[StopOrder], portfolio: str) -> tuple[tuple[StopOrder, ...], ...]:
    """Return our stops that wait for their trigger, by the run that placed them, newest first."""
    found: dict[tuple[str, int], list[StopOrder]] = {}
    for stop in own:
        parts = parse_reference(stop.reference, portfolio)
        if parts is not None and stop.status is OrderStatus.WORKING:
            found.setdefault((parts["slot"], int(parts["attempt"])), []).append(stop)
    return tuple(tuple(found[key]) for key in sorted(found, reverse=True))


def best_group(own: Sequence[StopOrder], position: Position, portfolio: str) -> tuple[
    StopOrder, ...
]:  # fmt: skip
    """Return the one set of our stops that covers most of a position, the newest of equals."""
    groups = stop_groups(own, portfolio)
    return max(groups, key=lambda group: _cover(group, position), default=())


def unprotected(own: Sequence[StopOrder], position: Position, portfolio: str) -> bool:
    """Return whether no stop of ours waits on the side that closes a position."""
    return all(_cover(group, position) <= 0 for group in stop_groups(own, portfolio))


def _covers(
    group: Sequence[StopOrder], position: Position, whole: Decimal, parameters: ProtectParameters
) -> bool:
    off = abs(_cover(group, position) - whole)
    return off <= parameters.reset_threshold * abs(position.quantity)


def _cover(group: Sequence[StopOrder], position: Position) -> Decimal:
    """Return how much of a position its stops close; those of the other side close nothing."""
    side = Decimal(1).copy_sign(position.quantity)
    return sum((max(-stop.quantity * side, Decimal(0)) for stop in group), Decimal(0))


def _covered_size(held: Decimal, rules: TradingRules, parameters: ProtectParameters) -> Decimal:
    """Return a holding rounded up to what an order can close: whole lots, the smallest size."""
    lot = _lot(rules, parameters)
    larger = max(held, rules.min_size)
    return (larger / lot).to_integral_value(ROUND_CEILING) * lot


def _lot(rules: TradingRules, parameters: ProtectParameters) -> Decimal:
    return rules.limit_step if parameters.limit_offset else rules.market_step


def _triggers(
    position: Position, cost: Decimal, instrument: Instrument, parameters: ProtectParameters
) -> tuple[tuple[Decimal, ...], str]:
    """Return the triggers that can hold, nearest first, and what is the matter with them."""
    long, rules = position.quantity > 0, instrument.rules
    wanted = []
    for step in range(parameters.steps):
        distance = parameters.base_distance + step * parameters.step_distance
        trigger = _on_tick(cost * (1 - distance if long else 1 + distance), rules, up=long)
        wanted.append(max(trigger, rules.price_step(trigger)))
    mark, end = position.price, position.liquidation_price
    ahead = [t for t in wanted if mark is None or (t < mark if long else t > mark)]
    usable = [t for t in ahead if not _beyond(t, end, long=long)]
    trouble = ""
    if len(ahead) < len(wanted):
        trouble = (
            f"the mark price {mark:f} is beyond its stop at {wanted[0]:f} "
            f"({parameters.base_distance:.1%} from its average cost {cost:f})"
        )
    elif not usable:
        trouble = f"its stops from {wanted[0]:f} on lie beyond its liquidation at {end:f}"
    if not usable:
        usable = _last_resort(mark or cost, end, rules, parameters, long=long)
    return tuple(usable), trouble


def _last_resort(
    mark: Decimal,
    end: Decimal | None,
    rules: TradingRules,
    parameters: ProtectParameters,
    *,
    long: bool,
) -> list[Decimal]:
    """Return one trigger a step behind the mark, or half-way to the liquidation."""
    away = parameters.step_distance
    trigger = _on_tick(mark * (1 - away if long else 1 + away), rules, up=not long)
    if _beyond(trigger, end, long=long):
        trigger = _on_tick((mark + (end or mark)) / 2, rules, up=not long)
    return [max(trigger, rules.price_step(trigger))]


def _beyond(trigger: Decimal, end: Decimal | None, *, long: bool) -> bool:
    if end is None or end <= 0:
        return False
    return trigger <= end if long else trigger >= end


def _pieces(
    whole: Decimal,
    triggers: Sequence[Decimal],
    instrument: Instrument,
    parameters: ProtectParameters,
    most: int,
) -> list[tuple[Decimal, Decimal]]:
    """Return (size, trigger) of each stop; the sizes add up to `whole`, the last has the rest."""
    rules = instrument.rules
    lot = _lot(rules, parameters)
    lots = int(whole / lot)
    largest = lots if rules.max_size is None else max(1, int(rules.max_size / lot))
    count = max(1, min(len(triggers), most))
    while count > 1 and not _large_enough(lots // count * lot, triggers[count - 1], instrument):
        count -= 1
    share = lots // count
    found: list[tuple[Decimal, Decimal]] = []
    for number in range(count):
        left = share if number < count - 1 else lots - share * (count - 1)
        while left > 0:
            part = min(left, largest)
            found.append((part * lot, triggers[number]))
            left -= part
    return found


def _large_enough(size: Decimal, price: Decimal, instrument: Instrument) -> bool:
    rules = instrument.rules
    worth = size * price * instrument.multiplier / instrument.magnifier
    return size >= max(rules.min_size, rules.limit_step) and (
        rules.reduce_only_exempt or worth >= rules.min_notional
    )


def _stop(
    position: Position,
    instrument: Instrument,
    size: Decimal,
    trigger: Decimal,
    parameters: ProtectParameters,
    names: StopNames,
    number: int,
) -> PlaceStop:
    long, rules = position.quantity > 0, instrument.rules
    limit = None
    if parameters.limit_offset:
        room = parameters.limit_offset
        limit = _on_tick(trigger * (1 - room if long else 1 + room), rules, up=not long)
        limit = max(limit, rules.price_step(limit))
    return PlaceStop(
        reference=order_reference(
            names.portfolio,
            names.slot,
            names.attempt,
            instrument.id,
            names.first + number,
            Purpose.PROTECT,
        ),
        instrument=instrument.id,
        quantity=-size if long else size,
        trigger=trigger,
        limit=limit,
    )


def _on_tick(price: Decimal, rules: TradingRules, *, up: bool) -> Decimal:
    step = rules.price_step(price)
    return (price / step).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR) * step


def _sound(price: Decimal | None) -> bool:
    return price is not None and price.is_finite() and price > 0
