"""Breakers about how trading goes: losses by instrument, refusals, slippage, failed runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.model.flags import LatchedFlag
from rebalancer.model.instrument import InstrumentId
from rebalancer.risk.breakers.latches import Breaker, Observed, at_its_time, never
from rebalancer.risk.words import money, percent

FEWEST_ORDERS = 10
"""Fewer orders say nothing about how often the venue refuses."""

RECENT_RUNS = 10
"""So many attempts with orders are remembered to count refusals in."""

FEWEST_EXECUTIONS = 10
"""Fewer executions say nothing about what trading costs."""


def _symbols(seen: Observed) -> Iterator[LatchedFlag]:
    if seen.worth is None:
        return
    limits = seen.limits
    windows = (
        (limits.symbol_loss_short_hours, limits.symbol_loss_short),
        (limits.symbol_loss_long_hours, limits.symbol_loss_long),
    )
    names = sorted({each.instrument for each in seen.conduct.results})
    for name in names:
        worst: LatchedFlag | None = None
        for hours, allowed in windows:
            lost = -_result(seen, name, seen.now - timedelta(hours=hours))
            if lost <= 0 or lost < allowed * seen.worth:
                continue
            message = (
                f"{name} lost {money(lost, seen.base)} within {hours:g} hours, "
                f"{percent(lost / seen.worth)} of net liquidation; the limit is "
                f"{percent(allowed)}; only reductions of it are sent"
            )
            until = seen.now + timedelta(hours=hours)
            if worst is None or worst.until is None or until > worst.until:
                worst = seen.found("symbol-loss", message, f"{lost:f}", subject=name, until=until)
        if worst is not None:
            yield worst


def _result(seen: Observed, name: InstrumentId, since: datetime) -> Decimal:
    """Return what an instrument gained since then; what the owner forgave does not count."""
    forgiven = seen.standing.losses_since.get(name)
    return sum(
        (
            each.amount
            for each in seen.conduct.results
            if each.instrument == name
            and each.at >= since
            and (forgiven is None or each.at > forgiven)
        ),
        Decimal(0),
    )


def rejects(seen: Observed) -> Iterator[LatchedFlag]:
    """Yield `reject-rate` when too many of the orders that are remembered were refused."""
    sent = sum(each.orders for each in seen.standing.recent_orders)
    rejected = sum(each.rejected for each in seen.standing.recent_orders)
    allowed = seen.limits.max_reject_rate
    if sent < FEWEST_ORDERS or Decimal(rejected) / sent <= allowed:
        return
    message = (
        f"the venue refused {rejected} of the last {sent} orders, "
        f"{percent(Decimal(rejected) / sent)}; the limit is {percent(allowed)}"
    )
    yield seen.found("reject-rate", message, f"{rejected}|{sent}")


def _slippage(seen: Observed) -> Iterator[LatchedFlag]:
    since = seen.now - timedelta(hours=seen.limits.slippage_hours)
    forgiven = seen.standing.slippage_since
    counted = [
        each
        for each in seen.conduct.shortfalls
        if each.at >= since and (forgiven is None or each.at > forgiven)
    ]
    traded = sum((each.notional for each in counted), Decimal(0))
    if len(counted) < FEWEST_EXECUTIONS or traded <= 0:
        return
    cost = sum((each.cost for each in counted), Decimal(0))
    bps, allowed = cost / traded * 10_000, seen.limits.max_slippage_bps
    if bps <= allowed:
        return
    message = (
        f"the last {len(counted)} executions cost {bps:.0f} bps of {money(traded, seen.base)} "
        f"against their decision prices; the limit is {allowed:f} bps; only reductions are sent"
    )
    yield seen.found("slippage", message, f"{bps:.1f}")


def _failures(seen: Observed) -> Iterator[LatchedFlag]:
    failed = seen.conduct.failed_runs
    if failed >= seen.limits.failed_runs_to_reduce:
        message = (
            f"{failed} runs in a row failed; only reductions are sent until a run has finished"
        )
        yield seen.found("failed-runs", message, str(failed))


def _finished(flag: LatchedFlag, seen: Observed) -> bool:
    return seen.conduct.failed_runs == 0


CONDUCT = (
    Breaker(
        ("symbol-loss",),
        _symbols,
        at_its_time,
        (
            "symbol_loss_short",
            "symbol_loss_short_hours",
            "symbol_loss_long",
            "symbol_loss_long_hours",
        ),
        "realised gains, fees and funding of an instrument in each window",
        timed=True,
    ),
    Breaker(
        ("reject-rate",),
        rejects,
        never,
        ("max_reject_rate",),
        f"the orders of the last {RECENT_RUNS} runs that sent any, {FEWEST_ORDERS} at least; "
        "while orders go out, this run's own",
    ),
    Breaker(
        ("slippage",),
        _slippage,
        never,
        ("max_slippage_bps", "slippage_hours"),
        f"decision prices, by notional, {FEWEST_EXECUTIONS} executions at least",
    ),
    Breaker(
        ("failed-runs",),
        _failures,
        _finished,
        ("failed_runs_to_reduce",),
        "runs that ended by an error or were killed, one after the other",
    ),
)
