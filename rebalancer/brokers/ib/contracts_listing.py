"""What the venue says of one contract, as values that can be kept on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from rebalancer.brokers.ib.trading_hours import Hours, parse_hours
from rebalancer.brokers.ib.unset import UNSET
from rebalancer.errors import DataError

_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Listing:
    """One contract at the venue, and when that was asked.

    Names, exchanges and hours are the venue's texts. `magnifier` divides quoted prices
    (100 where they are in pence). Sizes and ticks are None where the venue leaves them unset.
    `market_rules` has the rule of each of `exchanges`, in their order.
    """

    con_id: int
    symbol: str
    sec_type: str
    currency: str
    exchange: str
    primary_exchange: str
    local_symbol: str
    trading_class: str
    expiry: str
    contract_month: str
    long_name: str
    multiplier: Decimal
    magnifier: Decimal
    min_tick: Decimal | None
    min_size: Decimal | None
    size_increment: Decimal | None
    exchanges: tuple[str, ...]
    market_rules: tuple[str, ...]
    order_types: tuple[str, ...]
    time_zone: str
    trading_hours: str
    liquid_hours: str
    at: datetime

    def market_rule(self) -> int | None:
        """Return the number of the rule for prices where we send orders, None when unknown."""
        rules = dict(zip(self.exchanges, self.market_rules, strict=False))
        found = rules.get(self.exchange) or rules.get(self.primary_exchange) or ""
        known = found.isascii() and found.isdigit() and len(found) <= _MOST_DIGITS
        return int(found) if known else None

    def hours(self, *, liquid: bool) -> Hours | None:
        """Return its sessions (`liquid`: the regular ones), None when they cannot be read."""
        text = self.liquid_hours if liquid else self.trading_hours
        try:
            return parse_hours(text, self.time_zone) if text else None
        except DataError:
            return None

    def words(self) -> str:
        """Return what tells it from others of the same name, for a person."""
        parts = [self.sec_type, self.currency, self.primary_exchange or self.exchange, self.expiry]
        shown = " ".join(part for part in (*parts, self.trading_class) if part)
        return f"con_id {self.con_id} ({self.symbol} {shown}: {self.long_name or 'no name'})"

    def fields(self) -> dict[str, str]:
        """Return the names by which it is matched with an instrument."""
        return {
            "conId": str(self.con_id),
            "symbol": self.symbol,
            "secType": self.sec_type,
            "currency": self.currency,
            "lastTradeDateOrContractMonth": self.expiry,
            "contractMonth": self.contract_month,
            "tradingClass": self.trading_class,
        }


def listing_of(details: Any, at: datetime) -> Listing:
    """Return what contract details of the library say; raises `DataError` without a contract."""
    contract = details.contract
    if contract is None or not contract.conId or not contract.symbol:
        raise DataError("contract details without a contract")
    return Listing(
        con_id=int(contract.conId),
        symbol=contract.symbol,
        sec_type=contract.secType,
        currency=contract.currency,
        exchange=contract.exchange,
        primary_exchange=contract.primaryExchange,
        local_symbol=contract.localSymbol,
        trading_class=contract.tradingClass,
        expiry=str(contract.lastTradeDateOrContractMonth),
        contract_month=details.contractMonth,
        long_name=details.longName,
        multiplier=positive(contract.multiplier) or Decimal(1),
        magnifier=positive(details.priceMagnifier) or Decimal(1),
        min_tick=positive(details.minTick),
        min_size=positive(details.minSize),
        size_increment=positive(details.sizeIncrement),
        exchanges=_list(details.validExchanges),
        market_rules=_list(details.marketRuleIds),
        order_types=_list(details.orderTypes),
        time_zone=details.timeZoneId,
        trading_hours=details.tradingHours,
        liquid_hours=details.liquidHours,
        at=at,
    )


def positive(value: object) -> Decimal | None:
    """Return a number by its shortest text; None for what is unset, zero or no number."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite() or not 0 < number < UNSET:
        return None
    return number.normalize() + Decimal(0)


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()


def plain_fields(contract: Any) -> Mapping[str, Any]:
    """Return a contract's fields, from an object of the library or a mapping alike."""
    return contract if isinstance(contract, Mapping) else vars(contract)
