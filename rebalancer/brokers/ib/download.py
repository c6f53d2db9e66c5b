"""One complete answer of the gateway about an account: its values, portfolio and positions.

Values and portfolio come with one request and its end marker, positions with another. Nothing
that the library remembered from before counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from rebalancer.brokers.ib.line import Line
from rebalancer.brokers.ib.unset import UNSET
from rebalancer.errors import BlindError
from rebalancer.model.money import FxRate, FxRates

WHOLE = "BASE"
"""The ledger's line of all currencies together, in base currency: never one of them."""

_CASH = "CASH"
"""Currency pairs that were traded: what is held of a currency is in the ledger."""


@dataclass(frozen=True)
class Row:
    """One holding as one of the two lists tells it; amounts in its currency, None unknown."""

    con_id: int
    contract: Any
    quantity: Decimal
    price: Decimal | None = None
    value: Decimal | None = None
    cost: Decimal | None = None


@dataclass(frozen=True)
class Download:
    """What one round of questions brought.

    `values` are the gateway's texts by (key, currency), `positions` and `portfolio` the two
    lists by contract number, without what is held at zero; the portfolio has marks and values.
    """

    account: str
    values: Mapping[tuple[str, str], str]
    positions: Mapping[int, Row]
    portfolio: Mapping[int, Row]

    @property
    def base(self) -> str:
        """Return the account's own currency: the one that net liquidation is told in."""
        told = sorted(cur for key, cur in self.values if key == "NetLiquidation" and cur)
        if len(told) != 1:
            raise BlindError("the gateway did not tell net liquidation in one currency")
        return told[0]

    def amount(self, key: str, currency: str = "") -> Decimal:
        """Return an amount; raises `BlindError` when it is missing or no number."""
        text = self.values.get((key, currency))
        if text is None:
            raise BlindError(f"the gateway did not tell {key} {currency}".rstrip())
        try:
            found = Decimal(text)
        except InvalidOperation:
            found = Decimal("NaN")
        if not (found.is_finite() and -UNSET < found < UNSET):
            raise BlindError(f"the gateway says {key} {currency} is {text!r}")
        return found

    def known(self, key: str, currency: str = "") -> Decimal | None:
        """Return an amount, None when the gateway did not tell it."""
        return self.amount(key, currency) if (key, currency) in self.values else None

    def by_currency(self, key: str) -> dict[str, Decimal]:
        """Return a line of the ledger in each currency, the whole left out."""
        return {
            currency: self.amount(key, currency)
            for told, currency in sorted(self.values)
            if told == key and currency not in ("", WHOLE)
        }

    def rates(self, at: datetime) -> FxRates:
        """Return the gateway's rates into the base currency; a rate of zero is none."""
        base = self.base
        told = self.by_currency("ExchangeRate")
        return FxRates(
            base, {cur: FxRate(rate, at) for cur, rate in told.items() if cur != base and rate > 0}
        )


def exact(number: float | Decimal) -> Decimal | None:
    """Return a number of the library's as the decimal that the wire had, None for "unset"."""
    found = Decimal(str(number))
    if not (found.is_finite() and -UNSET < found < UNSET):
        return None
    return Decimal(int(found)) if found == int(found) else found


def ask(line: Line) -> Download:
    """Ask once; raises `BlindError` when an answer does not come to its end."""
    wrapper, client = line.ib.wrapper, line.ib.client
    # Only what this request brings may be read: the library keeps what it heard before.
    wrapper.accountValues.clear()
    wrapper.portfolio.pop(line.account, None)

    def updates() -> Awaitable[Any]:
        client.reqAccountUpdates(False, line.account)
        answer: Awaitable[Any] = line.ib.reqAccountUpdatesAsync(line.account)
        return answer

    line.ask("the account's values", updates)
    values = {
        (str(value.tag), str(value.currency)): str(value.value)
        for value in tuple(wrapper.accountValues.values())
        if value.account == line.account and not value.modelCode
    }
    marked = tuple(wrapper.portfolio.get(line.account, {}).values())
    held = _asked(line, "the positions", line.ib.reqPositionsAsync)
    return Download(
        account=line.account,
        values=values,
        positions=_rows(
            Row(int(each.contract.conId), each.contract, _quantity(each.position))
            for each in held
            if each.account == line.account
        ),
        portfolio=_rows(
            Row(
                int(item.contract.conId),
                item.contract,
                _quantity(item.position),
                exact(item.marketPrice),
                exact(item.marketValue),
                exact(item.averageCost),
            )
            for item in marked
        ),
    )


def _asked(line: Line, what: str, ask: Callable[[], Awaitable[Any]]) -> tuple[Any, ...]:
    return tuple(line.ask(what, ask) or ())


def _quantity(number: float) -> Decimal:
    found = exact(number)
    if found is None:
        raise BlindError(f"the gateway says that {number} units are held")
    return found


def _rows(rows: Iterable[Row]) -> dict[int, Row]:
    return {row.con_id: row for row in rows if row.quantity and row.contract.secType != _CASH}
