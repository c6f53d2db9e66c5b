"""Numbers as the owner reads them in a reason."""

from __future__ import annotations

from decimal import Decimal


def money(amount: Decimal, currency: str) -> str:
    """Return `31,200 USD`; below a thousand with cents."""
    digits = 0 if abs(amount) >= 1000 else 2
    return f"{amount:,.{digits}f} {currency}"


def percent(fraction: Decimal) -> str:
    """Return `31.2 %` for 0.312; digits that say nothing are left out."""
    hundred = fraction * 100
    digits = 2 if abs(hundred) < 10 else 1
    return f"{_short(f'{hundred:,.{digits}f}')} %"


def times(leverage: Decimal) -> str:
    """Return `1.05 x`."""
    return f"{_short(f'{leverage:,.3f}')} x"


def plain(number: Decimal) -> str:
    """Return a number without superfluous zeros and never with an exponent."""
    if not number.is_finite():
        return str(number)
    return _short(f"{number:,f}")


def _short(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
