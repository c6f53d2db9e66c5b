"""What the account is worth and holds: proved, exact, and in the run's own terms."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from rebalancer.brokers.ib.contracts import Contracts
from rebalancer.brokers.ib.contracts_listing import positive
from rebalancer.brokers.ib.download import Download, Row
from rebalancer.brokers.ib.line import Line
from rebalancer.brokers.ib.proof import cash_by_currency, proved
from rebalancer.errors import BlindError
from rebalancer.model.account import AccountSnapshot, Position

_CASH_ONLY = "STKCASH"
_MOST_DIGITS = 9


def snapshot(line: Line, contracts: Contracts, base: str) -> AccountSnapshot:
    """Return the account as it is now, asked for anew.

    `base` is the currency that it must have. Raises `BlindError`, `ConnectError`.
    """
    found = proved(line)
    if found.base != base:
        raise BlindError(f"net liquidation is told in {found.base}, not in {base} any more")
    return read(found, contracts, line.passage.now())


def read(found: Download, contracts: Contracts, at: datetime) -> AccountSnapshot:
    """Return a proved download in the run's own terms."""
    base, rates = found.base, found.rates(at)
    settled = None
    cash_only = found.values.get(("TradingType-S", "")) == _CASH_ONLY
    if cash_only:
        settled = {base: found.amount("SettledCash", base)}
    positions = sorted(_positions(found, contracts), key=lambda held: held.instrument)
    accrued = found.by_currency("AccruedCash")
    return AccountSnapshot(
        account=found.account,
        at=at,
        net_liquidation=found.amount("NetLiquidation", base),
        cash=cash_by_currency(found, rates),
        rates=rates,
        positions=tuple(positions),
        gross_position_value=found.known("GrossPositionValue", base),
        settled_cash=settled,
        accrued={currency: amount for currency, amount in accrued.items() if amount},
        buying_power=found.known("BuyingPower", base),
        excess_liquidity=found.known("ExcessLiquidity", base),
        initial_margin=found.known("InitMarginReq", base),
        maintenance_margin=found.known("MaintMarginReq", base),
        day_trades_remaining=_day_trades(found),
        leverage=found.known("Leverage-S"),
        cushion=found.known("Cushion"),
        margined=not cash_only,
    )


def _day_trades(found: Download) -> int | None:
    """Return how many day trades the venue still allows, None for as many as you like.

    That is -1 there, or nothing at all; of what is no number, none is believed to be left.
    """
    text = found.values.get(("DayTradesRemaining", ""), "-1")
    if text in ("", "-1"):
        return None
    known = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if known else 0


def _positions(found: Download, contracts: Contracts) -> Iterator[Position]:
    for number, row in found.portfolio.items():
        name = contracts.name(row.contract)
        listing = contracts.listing(name)
        magnifier = Decimal(1) if listing is None else listing.magnifier
        yield Position(
            instrument=name,
            quantity=row.quantity,
            currency=row.contract.currency,
            price=row.price,
            value=row.value,
            average_cost=cost_per_unit(row, magnifier),
            contract=str(number),
        )


def cost_per_unit(row: Row, magnifier: Decimal) -> Decimal | None:
    """Return the average cost in the terms of the price, None when it is not known.

    The gateway tells what one contract cost in its currency. What its price is in follows from
    the value that it gives: a price in pence has the magnifier in it, one in pounds has not.
    """
    multiplier = positive(row.contract.multiplier or 1)
    if row.cost is None or multiplier is None:
        return None
    units = (multiplier / magnifier, multiplier)
    if row.price is None or row.value is None:
        unit = units[0]
    else:
        price, value = row.price * row.quantity, row.value
        unit = min(units, key=lambda each: abs(price * each - value))
    return row.cost / unit
