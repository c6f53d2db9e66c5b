"""Our instruments with the exchange's own rules, and which of them it closes or does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from rebalancer.brokers.binance.info_cache import ExchangeInfo
from rebalancer.brokers.binance.parameters import Product
from rebalancer.brokers.binance.questions import milliseconds, moment
from rebalancer.brokers.binance.rules import rules_of, unknown_filters
from rebalancer.errors import BlindError, DataError
from rebalancer.model.instrument import Instrument, Kind
from rebalancer.model.rules import TradingRules

NEVER_DELIVERED = 4133404800000
"""The delivery date of a perpetual that stays: 2100-12-25 08:00 UTC."""

TRADING = "TRADING"
PENDING = "PENDING_TRADING"
PERPETUAL = "PERPETUAL"

UNKNOWN, CLOSED, DIFFER, NEW_RULE = (
    "instrument-unknown",
    "not-trading",
    "rules-differ",
    "rule-unknown",
)

Flag = Callable[[str, str, str], None]
_KIND = {Product.USDM: Kind.PERPETUAL, Product.SPOT: Kind.SPOT}


@dataclass(frozen=True, slots=True)
class _Found:
    """What became of one instrument, and the flags about it: code and words."""

    instrument: Instrument
    flags: tuple[tuple[str, str], ...] = ()


def listed(
    info: ExchangeInfo,
    instruments: Sequence[Instrument],
    flag: Flag,
    product: Product,
    now: datetime,
) -> tuple[Instrument, ...]:
    """Return the instruments in their order, with the exchange's rules; see `ports.Venue`.

    `flag(code, message, subject)` hears of each that is unknown, does not trade (yet), or has
    other rules than at the last run. One that the exchange closes has the reason in `leaving`.
    """
    rows, before = info.rows(), info.kept()
    answer = []
    for instrument in instruments:
        symbol = instrument.symbol
        found = _judge(instrument, rows.get(symbol), before.get(symbol), product, now)
        answer.append(found.instrument)
        for code, words in found.flags:
            flag(code, f"{instrument.id}: {words}", instrument.id)
    return tuple(answer)


def trades(row: Mapping[str, Any] | None, product: Product) -> bool | None:
    """Return whether the exchange takes orders in a symbol; None when it does not list it."""
    if row is None:
        return None
    allowed = product is Product.USDM or row.get("isSpotTradingAllowed") is not False
    return row.get("status") == TRADING and allowed


def _judge(
    instrument: Instrument,
    row: Mapping[str, Any] | None,
    before: Mapping[str, Any] | None,
    product: Product,
    now: datetime,
) -> _Found:
    why = _another(instrument, row, product)
    if row is None or why:
        was = "; it was listed at an earlier run" if row is None and before is not None else ""
        return _unknown(instrument, why + was)
    pending = _pending(row, now)
    if pending:
        return _Found(instrument, ((CLOSED, f"{pending}. No order is sent in it"),))
    wanted = instrument.exchange or PERPETUAL
    if product is Product.USDM and row.get("contractType") != wanted:
        return _unknown(
            instrument,
            f"it is a {row.get('contractType')}, not a {wanted}; if it is meant, write exchange = "
            f'"{row.get("contractType")}" into its [[instrument]]',
        )
    try:
        rules = rules_of(row, product)
        told = unknown_filters(row)
    except DataError as error:
        return _unknown(instrument, f"its rules cannot be used: {error}")
    flags = [(NEW_RULE, f"the exchange has a rule that is not known here: {', '.join(told)}")]
    changes = _changes(before, rules, product)
    if changes:
        flags.append((DIFFER, f"since the last run {changes}"))
    leaving = _leaving(row) if product is Product.USDM else ""
    if product is Product.SPOT and not trades(row, product):
        flags.append((CLOSED, f"{_closed(row)}. No order is sent in it"))
    return _Found(
        replace(
            instrument,
            rules=_narrowed(rules, instrument.rules.max_size),
            multiplier=Decimal(1),
            magnifier=Decimal(1),
            shortable=instrument.shortable and product is Product.USDM,
            leaving=leaving,
        ),
        tuple(flags if told else flags[1:]),
    )


def _unknown(instrument: Instrument, why: str) -> _Found:
    return _Found(instrument, ((UNKNOWN, f"{why}. No order is sent in it"),))


def _another(instrument: Instrument, row: Mapping[str, Any] | None, product: Product) -> str:
    """Return why a row is not the instrument, '' when it is."""
    if instrument.kind is not _KIND[product]:
        return f"it is a {instrument.kind.value}; this account trades {product.value} only"
    if row is None:
        return f"the exchange does not list {instrument.symbol}"
    if row.get("quoteAsset") != instrument.currency:
        return f"the exchange quotes it in {row.get('quoteAsset')}, not in {instrument.currency}"
    margin = row.get("marginAsset", instrument.currency)
    if product is Product.USDM and margin != instrument.currency:
        return f"it is settled in {margin}, not in {instrument.currency}"
    return ""


def _pending(row: Mapping[str, Any], now: datetime) -> str:
    """Return that a symbol has never traded yet, '' when it has."""
    begins = row.get("onboardDate")
    later = isinstance(begins, int) and begins > milliseconds(now)
    if row.get("status") != PENDING and not later:
        return ""
    when = f" before {_at(begins)}" if later else ""
    return f"it does not trade yet{when} ({row.get('status')})"


def _leaving(row: Mapping[str, Any]) -> str:
    """Return why a perpetual is being closed by the exchange, '' when it stays."""
    delivery, status = row.get("deliveryDate"), row.get("status")
    words = []
    if delivery != NEVER_DELIVERED:
        words.append(f"the exchange delists it at {_at(delivery)}")
    if status != TRADING:
        words.append(f"its status is {status}, not {TRADING}")
    return "; ".join(words)


def _closed(row: Mapping[str, Any]) -> str:
    if row.get("status") != TRADING:
        return f"its status is {row.get('status')}, not {TRADING}"
    return "the exchange does not allow spot trading in it"


def _at(milliseconds_: object) -> str:
    try:
        return f"{moment(milliseconds_, 'date'):%Y-%m-%d %H:%M} UTC"
    except (BlindError, OverflowError):
        return f"a time it does not tell ({milliseconds_!r})"


def _narrowed(rules: TradingRules, most: Decimal | None) -> TradingRules:
    """Return the exchange's rules with the owner's own largest size where it is smaller."""
    if most is None or (rules.max_size is not None and rules.max_size <= most):
        return rules
    return replace(rules, max_size=max(most, rules.min_size))


def _changes(before: Mapping[str, Any] | None, rules: TradingRules, product: Product) -> str:
    """Return in what the rules differ from those of the last run, '' when in nothing."""
    if before is None:
        return ""
    try:
        old = rules_of(before, product)
    except DataError:
        return ""
    told = (
        ("tick", old.price_levels[0].step, rules.price_levels[0].step),
        ("size step", old.limit_step, rules.limit_step),
        ("market size step", old.market_step, rules.market_step),
        ("smallest size", old.min_size, rules.min_size),
        ("smallest notional", old.min_notional, rules.min_notional),
    )
    return ", ".join(f"{what} {a:f} became {b:f}" for what, a, b in told if a != b)
