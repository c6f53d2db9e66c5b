"""How many orders may be sent: one rule for what is approved and for what follows it."""

from __future__ import annotations

from rebalancer.risk.means import Means


def too_many_orders(means: Means, of_run: int, *, reduces: bool) -> str | None:
    """Return why an order is one too many, None when it may go; `of_run` counts it too.

    A reduction may go beyond each limit by half, rounded down: orders that followed others must
    not keep a portfolio in. One of the owner's command has a bound of its own.
    """
    if means.by_owner and reduces:
        return None
    limits, of_session = means.limits, of_run + means.orders_in_session
    of_days = of_session + means.orders_before
    for number, limit, words in (
        (of_run, limits.max_orders_per_run, "this run"),
        (of_session, limits.max_orders_per_session, "this session"),
        (of_days, limits.orders_of_days, f"{limits.limit_days} sessions"),
    ):
        most = limit + limit // 2 if reduces else limit
        if number > most:
            of_these = " for reductions" if reduces else ""
            return f"it is order {number} of {words}; the limit is {most}{of_these}"
    return None
