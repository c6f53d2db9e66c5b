"""How large a number of the gateway's may be: its "unset" is the largest float there is."""

from __future__ import annotations

from decimal import Decimal

UNSET = Decimal("1E+19")
"""No price, size or amount of money comes near; what is as large is as good as not told.

With eight decimals it still fits into the digits that decimal arithmetic keeps.
Compare with it as it comes: already `abs` of a number with seven digits of power fails.
"""
