"""How the exchange writes numbers and times: decimal strings with fixed places, milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def fixed(value: Decimal, places: int) -> str:
    """Return a number with exactly so many decimals, rounded half up: `0.10`, never `1E-1`."""
    unit = Decimal(1).scaleb(-places)
    return f"{value.quantize(unit, ROUND_HALF_UP) + 0:f}"


def coin(value: Decimal) -> str:
    """Return an amount with the eight decimals that the exchange keeps of every asset."""
    return fixed(value, 8)


def on_grid(value: Decimal, step: Decimal) -> str:
    """Return a number with the decimals of a step: 12.5 on 0.10 is `12.50`."""
    return fixed(value, places(step))


def held_size(value: Decimal, step: Decimal) -> str:
    """Return a holding exactly, with the step's decimals at least: a step may have grown since."""
    normal = value.normalize()
    return fixed(value, max(places(step), places(normal)))


def places(step: Decimal) -> int:
    """Return how many decimals a step is written with."""
    exponent = step.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def plain(value: Decimal) -> str:
    """Return a number without needless zeros and without an exponent: 100, 0.001."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount(value: Decimal | int) -> str:
    """Return an amount of a position: eight decimals, and a bare 0 for nothing."""
    return coin(Decimal(value)) if value else "0"


def price(value: Decimal) -> str:
    """Return a computed price: at most eight decimals, none that are not needed."""
    return plain(Decimal(fixed(value, 8)))


def milliseconds(at: datetime) -> int:
    """Return a time as the exchange writes it, integer milliseconds since 1970."""
    return (at - _EPOCH) // _MILLISECOND


def time_of(number: int) -> datetime:
    """Return the time of integer milliseconds since 1970."""
    return _EPOCH + number * _MILLISECOND
