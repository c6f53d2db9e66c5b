"""Is what the gateway told of an account the whole truth? Its parts must agree.

An empty list of positions is no evidence of holding nothing, and cash that lies in a bank is
counted twice in one of the gateway's own lines: so everything is compared with something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from rebalancer.brokers.ib.download import Download, Row, ask
from rebalancer.brokers.ib.line import Line
from rebalancer.errors import BlindError
from rebalancer.model.money import FxRates

ATTEMPTS = 3
"""How often the account is asked for until its parts agree."""

PAUSE_SECONDS = 1.0
PARTS = Decimal("0.005")
"""Cash and positions must add up to net liquidation within this part of it."""

GROSS = Decimal("0.02")
"""Positions must add up to the gross position value within this part of it."""

CASH = Decimal("0.001")
"""Cash by currency must add up to the total within this part of net liquidation."""

_ZERO, _UNIT = Decimal(0), Decimal(1)
"""Differences up to one unit of base currency are rounding."""

_MARGINED = ("FUT", "FOP")
"""Kinds whose value is no part of the account: their gain is, as `FuturesPNL`."""


def proved(line: Line) -> Download:
    """Return the account as it is now, asked for anew until its parts agree.

    Raises `BlindError` when an answer does not come to its end, or when the parts still
    disagree after some rounds.
    """
    for _ in range(ATTEMPTS - 1):
        found = ask(line)
        if not disagreement(found, line.passage.now()):
            return found
        line.rest(PAUSE_SECONDS)
    found = ask(line)
    if why := disagreement(found, line.passage.now()):
        raise BlindError(why)
    return found


def disagreement(found: Download, at: datetime) -> str:
    """Return how the parts contradict each other, '' when they do not.

    What is missing or no number proves nothing either.
    """
    try:
        return next(_contradictions(found, at), "")
    except BlindError as error:
        return str(error)


def _contradictions(found: Download, at: datetime) -> Iterator[str]:
    if found.values.get(("AccountReady", ""), "true").lower() == "false":
        yield "the gateway says that the account's values are not ready"
    yield from _two_lists(found)
    base, rates = found.base, found.rates(at)
    for row in found.portfolio.values():
        if row.value is None:
            yield f"{_name(row)} is held and its value is unknown"
        elif not rates.knows(row.contract.currency):
            yield f"{_name(row)} is held and no rate of {row.contract.currency} is known"
    yield from _gross(found, base, rates)
    cash_by_currency(found, rates)
    yield from _net_liquidation(found, base, rates)


def _two_lists(found: Download) -> Iterator[str]:
    for number in sorted(found.positions.keys() | found.portfolio.keys()):
        one, two = found.positions.get(number), found.portfolio.get(number)
        held, listed = (_ZERO if row is None else row.quantity for row in (one, two))
        if held != listed:
            row = one or two
            name = str(number) if row is None else _name(row)
            yield f"positions say {held:f} {name}, the portfolio says {listed:f}"


def _gross(found: Download, base: str, rates: FxRates) -> Iterator[str]:
    told = found.known("GrossPositionValue", base)
    if told is None:
        return
    if told > _UNIT and not found.positions:
        yield f"no positions came, and yet the gross position value is {told:f} {base}"
    # Whether futures belong to it differs; without them and with them it may be meant.
    without, margined = _ZERO, _ZERO
    for row in found.portfolio.values():
        value = abs(row.value or _ZERO) * rates.rate(row.contract.currency)
        if row.contract.secType in _MARGINED:
            margined += value
        else:
            without += value
    allowed = max(GROSS * max(abs(told), without), _UNIT)
    if min(abs(without - told), abs(without + margined - told)) > allowed:
        yield (
            f"the positions are worth {without:.2f} {base} without signs, the gateway says "
            f"{told:f}: some are missing or wrong"
        )


def _net_liquidation(found: Download, base: str, rates: FxRates) -> Iterator[str]:
    told = found.amount("NetLiquidation", base)
    parts = found.amount("TotalCashValue", base) + in_base(found, "AccruedCash", rates)
    for row in found.portfolio.values():
        if row.contract.secType not in _MARGINED:
            parts += (row.value or _ZERO) * rates.rate(row.contract.currency)
    # The gateway's total of the cash has the gains of futures in it, or has not.
    gains = in_base(found, "FuturesPNL", rates)
    allowed = max(PARTS * abs(told), _UNIT)
    if min(abs(parts - told), abs(parts + gains - told)) > allowed:
        yield (
            f"cash and positions add up to {parts:.2f} {base}, net liquidation is {told:f}: "
            "a part is missing or counted twice"
        )


def in_base(found: Download, key: str, rates: FxRates) -> Decimal:
    """Return a line of the ledger in base currency, over all currencies with a rate."""
    told = found.by_currency(key)
    return sum((amount * rates.rate(cur) for cur, amount in told.items() if amount), _ZERO)


def cash_by_currency(found: Download, rates: FxRates) -> dict[str, Decimal]:
    """Return the cash of each currency that adds up to the account's total.

    `CashBalance` counts cash that is swept to a bank twice; `TotalCashBalance` does not. What
    does not add up to `TotalCashValue` proves nothing: raises `BlindError`.
    """
    base = found.base
    total = found.amount("TotalCashValue", base)
    allowed = max(abs(found.amount("NetLiquidation", base)) * CASH, _UNIT)
    for key in ("TotalCashBalance", "CashBalance"):
        cash = found.by_currency(key)
        if not cash or not all(rates.knows(cur) for cur, amount in cash.items() if amount):
            continue
        if abs(in_base(found, key, rates) - total) <= allowed:
            return {cur: each for cur, each in cash.items() if each or cur == base}
    raise BlindError(
        f"the cash of the currencies does not add up to the account's {total:f} {base}"
    )


def _name(row: Row) -> str:
    return str(getattr(row.contract, "localSymbol", "") or row.con_id)
