"""Our instruments with the venue's own rules merged in, and in what they differ.

The venue's word stands for ticks, multiplier and price magnifier. For sizes the stricter of
the two does: board lots are not in the API, so a configured lot wins over a smaller one, and
the API takes no fractions of stocks, whatever increment the venue states.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import lcm

from rebalancer.brokers.ib.contracts_listing import Listing
from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument, Kind
from rebalancer.model.rules import PriceLevel, TradingRules

ONE = Decimal(1)


def with_rules(
    instrument: Instrument, listing: Listing, levels: tuple[PriceLevel, ...] | None
) -> tuple[Instrument, tuple[str, ...]]:
    """Return an instrument with the venue's rules, and a text for each difference.

    `levels` are the price levels of its market rule, None when they are not known: then the
    configured ones stay, unless the venue's smallest tick is coarser.
    """
    mine = instrument.rules
    notes = []
    ticks = _ticks(mine, listing, levels)
    if ticks != mine.price_levels:
        notes.append(f"ticks {_words(mine.price_levels)}, at the venue {_words(ticks)}")
    if levels is None:
        notes.append("its market rule is not known; ticks are taken from the configuration")
    step, least = _sizes(instrument, listing)
    if step != mine.limit_step:
        notes.append(f"lot {mine.limit_step}, at the venue {listing.size_increment or ONE}")
    if least != mine.min_size:
        notes.append(f"smallest size {mine.min_size}, at the venue {listing.min_size or ONE}")
    market_step = common_multiple(mine.market_step, step)
    largest = mine.max_size
    if largest is not None and largest < least:
        largest = least
        notes.append(f"largest size {mine.max_size} is below the venue's smallest {least}")
    for what, here, there in (
        ("multiplier", instrument.multiplier, listing.multiplier),
        ("price magnifier", instrument.magnifier, listing.magnifier),
    ):
        if here != there:
            notes.append(f"{what} {here}, at the venue {there}")
    try:
        rules = replace(
            mine,
            price_levels=ticks,
            limit_step=step,
            market_step=market_step,
            min_size=least,
            max_size=largest,
        )
    except DataError as error:
        return instrument, (*notes, f"the venue's rules cannot be kept: {error}")
    merged = replace(
        instrument, rules=rules, multiplier=listing.multiplier, magnifier=listing.magnifier
    )
    return merged, tuple(notes)


def _ticks(
    mine: TradingRules, listing: Listing, levels: tuple[PriceLevel, ...] | None
) -> tuple[PriceLevel, ...]:
    if levels is not None:
        return levels
    smallest = min(level.step for level in mine.price_levels)
    if listing.min_tick is not None and smallest % listing.min_tick:
        return (PriceLevel(Decimal(0), listing.min_tick),)
    return mine.price_levels


def _sizes(instrument: Instrument, listing: Listing) -> tuple[Decimal, Decimal]:
    """Return the size step and the smallest size that both sides allow."""
    step, least = instrument.rules.limit_step, instrument.rules.min_size
    increment, smallest = listing.size_increment, listing.min_size
    if instrument.kind is not Kind.FOREX:
        increment, smallest = _whole(increment), _whole(smallest)
        step = common_multiple(step, ONE)
    if increment is not None:
        step = common_multiple(step, increment)
    if smallest is not None:
        least = max(least, smallest)
    if least % step:
        least = (least // step + 1) * step
    return step, least


def _whole(size: Decimal | None) -> Decimal | None:
    return None if size is None else max(size, ONE)


def common_multiple(one: Decimal, two: Decimal) -> Decimal:
    """Return the smallest size that is a whole number of steps of both."""
    if one % two == 0:
        return one
    if two % one == 0:
        return two
    places = max(-int(each.normalize().as_tuple().exponent) for each in (one, two))
    unit = ONE.scaleb(-max(places, 0))
    return lcm(int(one / unit), int(two / unit)) * unit


def _words(levels: tuple[PriceLevel, ...]) -> str:
    if len(levels) == 1:
        return f"{levels[0].step:f}"
    return ", ".join(f"{level.step:f} from {level.edge:f}" for level in levels)
