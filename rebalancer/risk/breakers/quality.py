"""Breakers about what a plan is made from: prices and history, and how much it wants to trade."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from statistics import median

from rebalancer.model.flags import LatchedFlag
from rebalancer.model.records import Standing
from rebalancer.risk.breakers.latches import Breaker, Observed, never
from rebalancer.risk.parameters import Limits
from rebalancer.risk.words import percent

HISTORY = frozenset({"history-stale", "history-gap", "history-disagrees", "instrument-unknown"})
PRICES = frozenset({"price-missing", "rate-missing"})
"""Flags that say that an instrument cannot be decided on."""

DATA = ("data-poor", "data-missing")
FEWEST_BAD = 3
"""Fewer bad instruments are held one by one and the others trade on, if there are others."""

KEPT_PLANS = 50
"""So many plans of which the venue took something are remembered."""


def _history(seen: Observed) -> Iterator[LatchedFlag]:
    yield from bad_data(seen, HISTORY, "history")


def _history_is_good(flag: LatchedFlag, seen: Observed) -> bool:
    """Return whether history is; what prices latched is judged after the plan."""
    codes = {each.code for each in bad_data(seen, HISTORY, "history")}
    return not of_prices(flag) and flag.code not in codes


def of_prices(flag: LatchedFlag) -> bool:
    """Return whether a flag was latched for prices: before they are read nothing is known."""
    return flag.code in DATA and flag.evidence.startswith("prices")


def bad_data(seen: Observed, codes: frozenset[str], what: str) -> Iterator[LatchedFlag]:
    """Yield what so many bad instruments mean: nothing, only reductions, or a stop as well."""
    universe = set(seen.conduct.universe)
    bad = sorted({each.subject for each in seen.flags if each.code in codes} & universe)
    if not bad or len(bad) < min(FEWEST_BAD, len(universe)):
        return
    share = Decimal(len(bad)) / len(universe)
    more = ", ..." if len(bad) > FEWEST_BAD else ""
    for code, allowed in (
        ("data-poor", min(seen.limits.bad_data_to_reduce, seen.limits.bad_data_to_halt)),
        ("data-missing", seen.limits.bad_data_to_halt),
    ):
        if share >= allowed:
            message = (
                f"{what} of {len(bad)} of {len(universe)} instruments is not usable "
                f"({', '.join(bad[:FEWEST_BAD])}{more}); the limit is {percent(allowed)}"
            )
            yield seen.found(code, message, f"{what}|{len(bad)}|{len(universe)}")


def judged_plan(
    seen: Observed, wanted: Decimal, *, open_now: bool
) -> tuple[tuple[LatchedFlag, ...], tuple[LatchedFlag, ...]]:
    """Return what to latch and what has ended, once prices are read and the plan is made.

    `wanted` is what the plan would trade, of net liquidation. Prices of a closed market prove
    nothing either way.
    """
    found = tuple(_odd(seen, wanted))
    if not open_now:
        return found, ()
    prices = tuple(bad_data(seen, PRICES, "prices"))
    codes = {each.code for each in prices}
    ended = tuple(
        flag for flag in seen.standing.latched if of_prices(flag) and flag.code not in codes
    )
    return (*found, *prices), ended


def _odd(seen: Observed, wanted: Decimal) -> Iterator[LatchedFlag]:
    standing, limits = seen.standing, seen.limits
    usual = usual_turnover(standing, limits)
    allowed = max(usual or Decimal(0), standing.turnover_allowed or Decimal(0))
    if usual is None or wanted < limits.turnover_floor or wanted <= allowed:
        return
    message = (
        f"the plan wants to trade {percent(wanted)} of net liquidation; half of the last "
        f"{len(standing.wanted_turnover)} plans that were sent stayed within "
        f"{percent(usual / limits.turnover_factor)}, and {percent(allowed)} is the limit; "
        "nothing was sent"
    )
    yield seen.found("turnover-odd", message, f"{wanted:.6f}")


def usual_turnover(standing: Standing, limits: Limits) -> Decimal | None:
    """Return what a plan may want by its history, None while too few plans are known."""
    plans = standing.wanted_turnover
    if len(plans) < limits.turnover_history:
        return None
    return limits.turnover_factor * median(plans.values())


def word_of_now(standing: Standing, session: date | None) -> Standing:
    """Return what is remembered with the owner's word bound to its session, or without it.

    It belongs to the first session that is open when a plan is made after it: an evening's word
    is for the day after. In another session it is over, used or not.
    """
    if session is None or standing.turnover_allowed is None:
        return standing
    if standing.turnover_allowed_in in (None, session):
        return replace(standing, turnover_allowed_in=session)
    return replace(standing, turnover_allowed=None, turnover_allowed_in=None)


def with_plan(standing: Standing, slot: datetime, sent: Decimal) -> dict[str, Decimal]:
    """Return the remembered plans with this one, once a slot however often it is tried."""
    plans = dict(standing.wanted_turnover)
    if sent > 0:
        plans[slot.isoformat()] = sent.quantize(Decimal("0.000001"))
    return {name: plans[name] for name in sorted(plans)[-KEPT_PLANS:]}


def _after_the_plan(seen: Observed) -> tuple[LatchedFlag, ...]:
    return ()


QUALITY = (
    Breaker(
        DATA,
        _history,
        _history_is_good,
        ("bad_data_to_reduce", "bad_data_to_halt"),
        f"the universe: its history in step 4, its prices after step 6; {FEWEST_BAD} bad "
        "instruments at least, or all",
    ),
    Breaker(
        ("turnover-odd",),
        _after_the_plan,
        never,
        ("turnover_floor", "turnover_factor", "turnover_history"),
        f"the median of the last {KEPT_PLANS} plans, of what the venue took of them; after step 6",
    ),
)
