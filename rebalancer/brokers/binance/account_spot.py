"""A spot account: free and locked amounts at price, read twice and held against the open orders.

Amounts of a pair's base asset are the position in that pair; the portfolio's own currencies are
cash. What can be priced and is in no pair is an unmanaged position; what cannot be priced, and
crumbs, are left out and told of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from rebalancer.brokers.binance.account_usdm import PAUSE_SECONDS, ROUNDS, Flag
from rebalancer.brokers.binance.info_cache import Assets, ExchangeInfo
from rebalancer.brokers.binance.line import BinanceLine
from rebalancer.brokers.binance.questions import number, rows
from rebalancer.errors import BlindError
from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.instrument import Instrument
from rebalancer.model.money import FxRate, FxRates

CRUMB = Decimal(1)
"""Assets outside the universe that are worth less are left out, in the base currency."""

ACCOUNT = "/api/v3/account"
_ORDERS, _PRICES = "/api/v3/openOrders", "/api/v3/ticker/price"
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Balance:
    """What is owned of an asset: free to use, and locked by open orders."""

    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """Return both."""
        return self.free + self.locked


def pairs_of(line: BinanceLine, info: ExchangeInfo) -> dict[str, tuple[Instrument, Assets]]:
    """Return the universe's pairs by base asset.

    Raises `BlindError` when the exchange does not tell a pair's assets, or when two pairs have
    the same base asset: whose position would it be?
    """
    found: dict[str, tuple[Instrument, Assets]] = {}
    for each in line.universe:
        info.rows()
        assets = info.assets(each.symbol)
        if assets is None:
            continue  # it is not listed, which `listed` flags
        if assets.base in found:
            other = found[assets.base][0]
            raise BlindError(
                f"{other.id} and {each.id} both buy {assets.base}: a balance cannot be told apart; "
                "keep one of them in the universe"
            )
        found[assets.base] = (each, assets)
    return found


def snapshot(
    line: BinanceLine, info: ExchangeInfo, account: str, base: str, flag: Flag
) -> AccountSnapshot:
    """Return the account; raises `BlindError` or `ConnectError` when it is not told."""
    pairs = pairs_of(line, info)
    balances, at = _read_agreeing(line, pairs, flag)
    prices = _prices(line)
    currencies = {base, *(assets.quote for _, assets in pairs.values())} - pairs.keys()
    rates = {
        name: FxRate(price, at)
        for name in sorted(balances.keys() | currencies)
        if name != base and (price := _price(prices, name, base)) is not None
    }
    known = FxRates(base, rates)
    positions, crumbs, unknown = [], [], []
    for name, balance in sorted(balances.items()):
        if not balance.total or name in currencies:
            continue
        if name in pairs:
            positions.append(_of_pair(*pairs[name], balance, prices))
        elif name not in rates:
            unknown.append(f"{balance.total:f} {name}")
        elif balance.total * rates[name].rate < CRUMB:
            crumbs.append(f"{balance.total:f} {name}")
        else:
            positions.append(_unmanaged(line, name, base, balance, rates[name].rate))
    cash = {name: balances[name].total for name in sorted(currencies) if name in balances}
    if unknown:
        flag("other-assets", f"no price in {base}, left out: {', '.join(unknown)}", "")
    if crumbs:
        flag("other-assets", f"worth less than 1 {base}, left out: {', '.join(crumbs)}", "")
    return AccountSnapshot(
        account=account,
        at=at,
        net_liquidation=_worth(cash, positions, known),
        cash=cash,
        rates=known,
        positions=tuple(positions),
    )


def balances_of(answer: Any) -> dict[str, Balance]:
    """Return the balances of an account's answer, without those of nothing."""
    if not isinstance(answer, dict):
        raise BlindError("the exchange's answer about the account is no object")
    found = {}
    for row in rows(answer.get("balances"), "balances"):
        name = str(row.get("asset"))
        if name in found:
            raise BlindError(f"balances: {name} is told twice")
        found[name] = Balance(number(row.get("free"), name), number(row.get("locked"), name))
    return {name: balance for name, balance in found.items() if balance.total}


@dataclass(frozen=True, slots=True)
class Told:
    """The account, read before and after the open orders, and what those hold back."""

    at: datetime
    before: Mapping[str, Balance]
    after: Mapping[str, Balance]
    needed: Mapping[str, Decimal]

    def apart(self) -> tuple[str, ...]:
        """Return the assets that the two readings tell differently."""
        names = sorted(self.before.keys() | self.after.keys())
        return tuple(
            name for name in names if _of(self.before, name).total != _of(self.after, name).total
        )

    def short(self) -> tuple[str, ...]:
        """Return the assets of which less is locked than the open orders hold back."""
        return tuple(
            name for name in sorted(self.needed) if self.needed[name] > _of(self.after, name).locked
        )


def _read_agreeing(
    line: BinanceLine, pairs: Mapping[str, tuple[Instrument, Assets]], flag: Flag
) -> tuple[Mapping[str, Balance], datetime]:
    """Return what is owned, told twice alike and enough for the open orders; else flagged."""
    told = _read(line, pairs)
    for _ in range(ROUNDS - 1):
        if not told.apart() and not told.short():
            return told.after, told.at
        line.passage.pause(PAUSE_SECONDS)
        told = _read(line, pairs)
    if told.apart():
        words = ", ".join(
            f"{name} {_of(told.before, name).total:f} and {_of(told.after, name).total:f}"
            for name in told.apart()
        )
        flag("balances-disagree", f"the account goes on changing: {words}", "")
    for name in told.short():
        locked = _of(told.after, name).locked
        words = f"open orders need {told.needed[name]:f} {name}, {locked:f} are locked"
        if name in pairs:
            flag("sources-disagree", words, pairs[name][0].id)
        else:
            flag("balances-disagree", words, "")
    return told.after, told.at


def _read(line: BinanceLine, pairs: Mapping[str, tuple[Instrument, Assets]]) -> Told:
    before = balances_of(line.signed("GET", ACCOUNT))
    needed = _needed(rows(line.signed("GET", _ORDERS), "openOrders"), pairs)
    after = balances_of(line.signed("GET", ACCOUNT))
    return Told(line.now(), before, after, needed)


def _of(balances: Mapping[str, Balance], name: str) -> Balance:
    return balances.get(name, Balance(_ZERO, _ZERO))


def _needed(
    orders: list[dict[str, Any]], pairs: Mapping[str, tuple[Instrument, Assets]]
) -> dict[str, Decimal]:
    """Return what open orders of the universe's pairs hold back, by asset."""
    by_symbol = {instrument.symbol: assets for instrument, assets in pairs.values()}
    found: dict[str, Decimal] = {}
    for row in orders:
        assets = by_symbol.get(str(row.get("symbol")))
        if assets is None or row.get("orderListId", -1) != -1:
            continue
        left = number(row.get("origQty"), "origQty") - number(row.get("executedQty"), "executedQty")
        buys = row.get("side") == "BUY"
        asset = assets.quote if buys else assets.base
        amount = left * number(row.get("price"), "price") if buys else left
        # The exchange keeps eight decimals of every amount.
        found[asset] = found.get(asset, _ZERO) + amount - Decimal("1E-8")
    return found


def _prices(line: BinanceLine) -> dict[str, Decimal]:
    """Return the last price of every symbol."""
    return {
        str(row.get("symbol")): number(row.get("price"), "price")
        for row in rows(line.get(_PRICES), "ticker/price")
    }


def _price(prices: Mapping[str, Decimal], asset: str, base: str) -> Decimal | None:
    """Return what an asset is worth in another, by the pair of both whichever way it is listed."""
    price = prices.get(f"{asset}{base}", _ZERO)
    if price > 0:
        return price
    turned = prices.get(f"{base}{asset}", _ZERO)
    return 1 / turned if turned > 0 else None


def _of_pair(
    instrument: Instrument, assets: Assets, balance: Balance, prices: Mapping[str, Decimal]
) -> Position:
    price = prices.get(instrument.symbol, _ZERO)
    known = price if price > 0 else None
    return Position(
        instrument=instrument.id,
        quantity=balance.total,
        currency=assets.quote,
        price=known,
        value=None if known is None else balance.total * known,
    )


def _unmanaged(
    line: BinanceLine, asset: str, base: str, balance: Balance, price: Decimal
) -> Position:
    return Position(
        instrument=line.instrument_id(f"{asset}{base}"),
        quantity=balance.total,
        currency=base,
        price=price,
        value=balance.total * price,
    )


def _worth(cash: Mapping[str, Decimal], positions: list[Position], rates: FxRates) -> Decimal:
    """Return what cash and positions add up to; what is unknown is found out by the proof."""
    parts = [amount * rates.rate(name) for name, amount in cash.items() if rates.knows(name)]
    parts += [
        each.value * rates.rate(each.currency)
        for each in positions
        if each.value is not None and rates.knows(each.currency)
    ]
    return sum(parts, _ZERO)
