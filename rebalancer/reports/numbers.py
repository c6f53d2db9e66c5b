"""Numbers and times as people read them; the same value is the same text everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

UNKNOWN = "unknown"
"""What stands for a value that nobody told us; it is never shown as zero."""

_MOST_DIGITS = 18
"""Numbers with more digits before the point are shown by their power of ten."""

_PLACES = {"JPY": 0, "KRW": 0, "BTC": 8, "ETH": 6}


def fixed(value: Decimal | float, places: int, *, signed: bool = False) -> str:
    """Return `value` with thousands separators and `places` decimals; never a negative zero."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not exact.is_finite():
        return UNKNOWN
    if _is_vast(exact):
        return _power(exact, signed=signed)
    rounded = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    if not rounded:
        rounded = abs(rounded)
    return f"{rounded:+,f}" if signed and rounded else f"{rounded:,f}"


def money(amount: Decimal | None, currency: str, *, signed: bool = False) -> str:
    """Return an amount with its currency code, `unknown` for None."""
    if amount is None:
        return UNKNOWN
    return f"{fixed(amount, _PLACES.get(currency, 2), signed=signed)} {currency}".rstrip()


def percent(fraction: Decimal | float | None, *, signed: bool = False, places: int = 2) -> str:
    """Return a fraction (0.0123) as `1.23 %`, `unknown` for None."""
    if fraction is None:
        return UNKNOWN
    exact = fraction if isinstance(fraction, Decimal) else Decimal(repr(fraction))
    shown = fixed(exact * 100, places, signed=signed)
    return shown if shown == UNKNOWN else f"{shown} %"


def basis_points(value: Decimal | None) -> str:
    """Return basis points with their sign, `unknown` for None."""
    return UNKNOWN if value is None else f"{fixed(value, 1, signed=True)} bps"


def quantity(value: Decimal | None, *, signed: bool = False) -> str:
    """Return a number of units without needless zeros, `unknown` for None."""
    if value is None:
        return UNKNOWN
    exact = value if value else Decimal(0)
    if _is_vast(exact):
        return _power(exact, signed=signed)
    return f"{exact.normalize():+,f}" if signed and exact else f"{exact.normalize():,f}"


def price(value: Decimal | None) -> str:
    """Return a price with two to eight decimals as needed, `unknown` for None."""
    if value is None:
        return UNKNOWN
    if not value.is_finite() or _is_vast(value):
        return fixed(value, 2)
    places = 4 if abs(value) >= 1 else 8
    text = fixed(value, places)
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def when(at: datetime | None) -> str:
    """Return a UTC time to the minute, `unknown` for None."""
    return UNKNOWN if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def clock(at: datetime) -> str:
    """Return the UTC hour and minute."""
    return f"{at.astimezone(UTC):%H:%M}"


def slot_name(slot: datetime) -> str:
    """Return the name of a slot's folder, `2026-01-05T1505Z`."""
    return f"{slot.astimezone(UTC):%Y-%m-%dT%H%MZ}"


def span(duration: timedelta) -> str:
    """Return a duration in its two largest units: `3 d 4 h`, `2 h 10 min`, `5 min`."""
    minutes = max(0, int(duration.total_seconds() // 60))
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {left} min" if hours else f"{left} min"


def count(number: int, noun: str, many: str = "") -> str:
    """Return `1 order`, `2 orders`, `no orders`."""
    plural = many or f"{noun}s"
    if number == 0:
        return f"no {plural}"
    return f"{number} {noun if number == 1 else plural}"


def _is_vast(value: Decimal) -> bool:
    return value.is_finite() and bool(value) and value.adjusted() > _MOST_DIGITS


def _power(value: Decimal, *, signed: bool) -> str:
    return f"{value:+.2E}" if signed else f"{value:.2E}"
