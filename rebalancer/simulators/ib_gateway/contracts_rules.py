"""Market rules: the numbers under which the gateway tells price steps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal

from rebalancer.model.rules import PriceLevel

Levels = tuple[PriceLevel, ...]

_CENT, _PENNY_STOCK = Decimal("0.01"), Decimal("0.0001")
_FIRST_OWN, _OWN = 10_000, 80_000

_KNOWN: dict[Levels, int] = {
    (PriceLevel(Decimal(0), _CENT),): 26,
    (PriceLevel(Decimal(0), Decimal("0.25")),): 67,
    (PriceLevel(Decimal(0), Decimal("0.00005")),): 239,
    (PriceLevel(Decimal(0), _PENNY_STOCK), PriceLevel(Decimal(1), _CENT)): 557,
}


def rule_number(levels: Levels) -> int:
    """Return the number of a rule: the same steps have the same one, always."""
    known = _KNOWN.get(levels)
    if known is not None:
        return known
    text = "|".join(f"{level.edge.normalize()}:{level.step.normalize()}" for level in levels)
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return _FIRST_OWN + int.from_bytes(digest[:4], "big") % _OWN


def rules_by_number(all_levels: Iterable[Levels]) -> dict[int, Levels]:
    """Return the rules that instruments with these steps need, and the known ones."""
    found = {number: levels for levels, number in _KNOWN.items()}
    return found | {rule_number(levels): levels for levels in all_levels}
