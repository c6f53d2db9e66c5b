"""Published prices as configurable constants. Venues change them: look before you rely on them.

Where they come from, and when they were read (every one can be overridden by its name):

* Interactive Brokers, US stocks and ETFs, fixed and tiered: its page "Commissions Stocks",
  United States, as published in the first half of 2025: fixed 0.005 a share, minimum 1.00;
  tiered 0.0035 / 0.0020 / 0.0015 / 0.0010 / 0.0005 a share by monthly volume (300,000 /
  3 million / 20 million / 100 million shares), minimum 0.35; both at most 1 % of the trade's
  value, and the cap wins over the minimum; clearing 0.00020 a share; NYSE and FINRA
  pass-through 0.000175 and 0.000563 of the commission.
* On sales: SEC section 31 fee 27.80 per million (suspended from May 2025 on and set anew each
  year: kept as the careful side) and FINRA trading activity fee 0.000166 a share, at most 8.30.
  On both sides: FINRA consolidated audit trail 0.000072 a share.
* Exchange fee of the tiered plan: 0.0030 a share for taking liquidity, the most that
  regulation allows; adding is taken as free, a rebate is not counted on.
* Interactive Brokers, others: forex 0.20 basis points, minimum 2.00 USD; US index futures
  2.25 a contract all in (0.85 commission, 1.38 exchange, 0.02 regulatory); options 0.65 a
  contract, minimum 1.00; stocks that are not in USD as 0.05 % of value with a minimum of
  3.00 (the euro area's; an estimate elsewhere).
* Binance, regular user without BNB discount, 2025: spot 0.1 % on both sides; USDⓈ-M futures
  maker 0.02 %, taker 0.05 %. Spot fees of a buy are taken in the bought asset at the venue;
  here they are worth the same in the quote currency.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation

from rebalancer.errors import DataError
from rebalancer.model.fees.lines import FeeLine
from rebalancer.model.fees.schedule import LineSchedule
from rebalancer.model.instrument import Instrument, Kind

_TIERS = tuple(Decimal(text) for text in ("0.0035", "0.0020", "0.0015", "0.0010", "0.0005"))


@dataclass(frozen=True)
class NoFees:
    """Nothing costs anything."""

    def line(self, _instrument: Instrument) -> FeeLine:
        """Return the price list of an instrument."""
        return FeeLine()


@dataclass(frozen=True)
class BinanceFees:
    """Fractions of the notional; negative is a rebate."""

    maker: Decimal
    taker: Decimal

    def line(self, _instrument: Instrument) -> FeeLine:
        """Return the price list of an instrument."""
        return FeeLine(maker_rate=self.maker, taker_rate=self.taker)


@dataclass(frozen=True, kw_only=True)
class _IbFees(ABC):
    """What both plans of Interactive Brokers share; amounts in USD unless said otherwise."""

    minimum: Decimal
    cap: Decimal = Decimal("0.01")
    sec_rate: Decimal = Decimal("0.0000278")
    activity_per_share: Decimal = Decimal("0.000166")
    activity_most: Decimal = Decimal("8.30")
    audit_per_share: Decimal = Decimal("0.000072")
    forex_rate: Decimal = Decimal("0.00002")
    forex_minimum: Decimal = Decimal(2)
    future_per_contract: Decimal = Decimal("2.25")
    option_per_contract: Decimal = Decimal("0.65")
    option_minimum: Decimal = Decimal(1)
    other_rate: Decimal = Decimal("0.0005")
    other_minimum: Decimal = Decimal(3)

    def line(self, instrument: Instrument) -> FeeLine:
        """Return the price list of an instrument."""
        if instrument.kind is Kind.STOCK and instrument.currency == "USD":
            return self.us_stock()
        if instrument.kind is Kind.FOREX:
            if instrument.currency == "USD":
                return FeeLine(
                    maker_rate=self.forex_rate,
                    taker_rate=self.forex_rate,
                    minimum=self.forex_minimum,
                )
            # Quoted in another currency: the minimum counts as units of the pair's first one.
            return FeeLine(
                maker_rate=self.forex_rate,
                taker_rate=self.forex_rate,
                minimum_units=self.forex_minimum,
            )
        if instrument.kind is Kind.FUTURE:
            return FeeLine(per_unit=self.future_per_contract)
        if instrument.kind is Kind.OPTION:
            return FeeLine(per_unit=self.option_per_contract, minimum=self.option_minimum)
        return FeeLine(
            maker_rate=self.other_rate, taker_rate=self.other_rate, minimum=self.other_minimum
        )

    @abstractmethod
    def us_stock(self) -> FeeLine:
        """Return the price list of US stocks and ETFs."""


@dataclass(frozen=True, kw_only=True)
class IbFixedFees(_IbFees):
    """One price a share, exchange and clearing included."""

    per_share: Decimal = Decimal("0.005")
    minimum: Decimal = Decimal("1.00")

    def us_stock(self) -> FeeLine:
        """Return the price list of US stocks and ETFs."""
        return FeeLine(
            per_unit=self.per_share,
            minimum=self.minimum,
            cap=self.cap,
            maker_per_unit=self.audit_per_share,
            taker_per_unit=self.audit_per_share,
            sell_rate=self.sec_rate,
            sell_per_unit=self.activity_per_share,
            sell_most=self.activity_most,
        )


@dataclass(frozen=True, kw_only=True)
class IbTieredFees(_IbFees):
    """A price a share by monthly volume (`tier` 1 to 5), exchange and clearing on top."""

    tier: Decimal = Decimal(1)
    minimum: Decimal = Decimal("0.35")
    clearing_per_share: Decimal = Decimal("0.00020")
    exchange_take_per_share: Decimal = Decimal("0.0030")
    exchange_add_per_share: Decimal = Decimal(0)
    pass_through: Decimal = Decimal("0.000738")

    def __post_init__(self) -> None:
        """Refuse a tier that there is not."""
        if self.tier not in range(1, len(_TIERS) + 1):
            raise DataError(f"fees ib-tiered: tier = {self.tier}: expected 1 to {len(_TIERS)}")

    def us_stock(self) -> FeeLine:
        """Return the price list of US stocks and ETFs."""
        always = self.clearing_per_share + self.audit_per_share
        return FeeLine(
            per_unit=_TIERS[int(self.tier) - 1],
            minimum=self.minimum,
            cap=self.cap,
            pass_through=self.pass_through,
            maker_per_unit=always + self.exchange_add_per_share,
            taker_per_unit=always + self.exchange_take_per_share,
            sell_rate=self.sec_rate,
            sell_per_unit=self.activity_per_share,
            sell_most=self.activity_most,
        )


_Prices = NoFees | BinanceFees | IbFixedFees | IbTieredFees

_PRICES: Mapping[str, _Prices] = {
    "binance-spot": BinanceFees(Decimal("0.001"), Decimal("0.001")),
    "binance-usdm": BinanceFees(Decimal("0.0002"), Decimal("0.0005")),
    "ib-fixed": IbFixedFees(),
    "ib-tiered": IbTieredFees(),
    "none": NoFees(),
}

FEE_SCHEDULES: tuple[str, ...] = tuple(_PRICES)
"""The names that `fee_schedule` knows."""


def fee_schedule(name: str, **overrides: Decimal | int | str) -> LineSchedule:
    """Return the fee schedule of a name, with some of its prices replaced.

    Raises `DataError` naming what there is, for an unknown name or price, and for a price
    that is not a finite number.
    """
    if name not in _PRICES:
        raise DataError(f"fees {name!r}: unknown schedule; there are {', '.join(FEE_SCHEDULES)}")
    prices = _PRICES[name]
    known = {field.name: getattr(prices, field.name) for field in fields(prices)}
    for key, said in overrides.items():
        if key not in known:
            there = ", ".join(known) or "none"
            raise DataError(f"fees {name}: unknown price {key!r}; there are {there}")
        known[key] = _number(name, key, said)
    return LineSchedule(name, type(prices)(**known).line)


def _number(name: str, key: str, said: Decimal | int | str) -> Decimal:
    try:
        number = Decimal(str(said))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise DataError(f"fees {name}: {key} = {said!r} is not a finite decimal number")
    return number
