"""Breakers about what is held now: leverage, and what is left above the maintenance margin."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flags import LatchedFlag
from rebalancer.risk.breakers.latches import Breaker, Observed
from rebalancer.risk.words import money, percent, times


def gross_of(account: AccountSnapshot) -> Decimal | None:
    """Return the positions' value without signs in base currency; None: one is unknown."""
    total = Decimal(0)
    for position in account.positions:
        if not position.quantity:
            continue
        value, rates = position.value, account.rates
        if value is None or not value.is_finite() or not rates.knows(position.currency):
            return None
        total += abs(value) * rates.rate(position.currency)
    return total


def _leverage(seen: Observed) -> Iterator[LatchedFlag]:
    gross, value = gross_of(seen.account), seen.worth
    allowed = seen.limits.max_gross_leverage
    if gross is None or value is None or gross / value <= allowed:
        return
    message = (
        f"positions of {money(gross, seen.base)} are {times(gross / value)} net liquidation; "
        f"the limit is {times(allowed)}; only reductions are sent"
    )
    yield seen.found("leverage-high", message, f"{gross / value:.4f}")


def _leverage_is_low(flag: LatchedFlag, seen: Observed) -> bool:
    gross, value = gross_of(seen.account), seen.worth
    known = gross is not None and value is not None
    return known and not tuple(_leverage(seen))


def cushion_of(account: AccountSnapshot) -> Decimal | None:
    """Return excess liquidity by net liquidation; None where the venue tells neither."""
    excess, value = account.excess_liquidity, account.net_liquidation
    if excess is not None and excess.is_finite() and value.is_finite() and value > 0:
        return excess / value
    cushion = account.cushion
    return cushion if cushion is not None and cushion.is_finite() else None


def _thin(seen: Observed) -> Iterator[LatchedFlag]:
    if unknown := seen.account.margin_unknown:
        message = (
            f"the venue does not tell {' and '.join(unknown)} of this account: how close it is "
            "to a margin call is unknown; only reductions are sent"
        )
        yield seen.found("margin-thin", message, "unknown")
        return
    cushion = cushion_of(seen.account)
    least = min(seen.limits.margin_floor, seen.limits.margin_cushion)
    if cushion is None or cushion >= least:
        return
    message = (
        f"{percent(cushion)} of net liquidation is left above the maintenance margin; "
        f"{percent(least)} must be; only reductions are sent"
    )
    yield seen.found("margin-thin", message, f"{cushion:.4f}")


def _thick(flag: LatchedFlag, seen: Observed) -> bool:
    return cushion_of(seen.account) is not None and not tuple(_thin(seen))


EXPOSURE = (
    Breaker(
        ("leverage-high",),
        _leverage,
        _leverage_is_low,
        ("max_gross_leverage",),
        "the account as it is, unmanaged positions among it",
    ),
    Breaker(
        ("margin-thin",),
        _thin,
        _thick,
        ("margin_floor", "margin_cushion"),
        "excess liquidity of the account as it is",
    ),
)
