"""A USDⓈ-M account from two sources that must agree: account, and position risk with balances.

Single-asset mode: the account's value is that of its base currency's wallet; other wallets stand
apart and are told of. Multi-assets mode: everything counts, in US dollars after the haircut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from rebalancer.brokers.binance.errors import RequestRefused
from rebalancer.brokers.binance.line import BinanceLine
from rebalancer.brokers.binance.questions import number, rows, whole
from rebalancer.errors import BlindError
from rebalancer.model.account import AccountSnapshot, Position
from rebalancer.model.money import FxRate, FxRates

ROUNDS = 3
"""How often the account is read when its two sources disagree."""

PAUSE_SECONDS = 0.5
MARGINS = Decimal("0.05")
"""Positions must need the account's maintenance margin within this part of it."""

DOLLARS = "USD"
"""The base currency of an account in multi-assets mode."""

Flag = Callable[[str, str, str], None]

_ACCOUNT, _RISK, _BALANCE = "/fapi/v3/account", "/fapi/v3/positionRisk", "/fapi/v3/balance"
_ZERO, _SMALL = Decimal(0), Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Held:
    """One symbol as one of the sources tells it: signed quantity and notional, profit so far."""

    symbol: str
    quantity: Decimal
    notional: Decimal
    profit: Decimal
    updated: int
    mark: Decimal | None = None
    entry: Decimal | None = None
    asset: str = ""
    liquidation: Decimal | None = None

    @property
    def prices(self) -> tuple[Decimal | None, Decimal | None]:
        """Return mark and entry price; the account endpoint tells them only by its amounts."""
        if self.mark is not None and self.entry is not None:
            return self.mark, self.entry
        if not self.quantity:
            return None, None
        return self.notional / self.quantity, (self.notional - self.profit) / self.quantity


@dataclass(frozen=True, slots=True)
class Told:
    """Both sources, read one after the other."""

    at: datetime
    totals: Mapping[str, Decimal]
    by_account: Mapping[str, Held]
    by_risk: Mapping[str, Held]
    wallets: Mapping[str, Decimal]
    balances: Mapping[str, Decimal]
    needed: Decimal | None = None
    """Maintenance margin of the positions that the account lists; None when not told of all."""

    def positions_apart(self) -> tuple[str, ...]:
        """Return the symbols in which the sources disagree."""
        return tuple(
            name
            for name in sorted({*self.by_account, *self.by_risk})
            if _quantity(self.by_account, name) != _quantity(self.by_risk, name)
        )

    def balances_apart(self) -> tuple[str, ...]:
        """Return the assets in which the sources disagree."""
        return tuple(
            name
            for name in sorted({*self.wallets, *self.balances})
            if self.wallets.get(name, _ZERO) != self.balances.get(name, _ZERO)
        )

    def contradiction(self) -> str:
        """Return how the lists contradict the account's maintenance margin, '' when they do not.

        Both lists may come empty, or old, from a server that lags; the total does not.
        """
        total, listed = self.totals["totalMaintMargin"], self.needed
        if total > 0 and not any(True for _ in self.held()):
            return f"no positions came, and yet the account's maintenance margin is {total:f}"
        if listed is None or abs(listed - total) <= max(MARGINS * max(listed, total), _SMALL):
            return ""
        return (
            f"the positions need {listed:f} of maintenance margin, the account says {total:f}: "
            "some are missing or wrong"
        )

    def held(self) -> Iterator[Held]:
        """Yield what is held: of two that disagree the newer, and never nothing for something."""
        for name in sorted({*self.by_account, *self.by_risk}):
            first, second = self.by_account.get(name), self.by_risk.get(name)
            found = second if first is None else first if second is None else None
            if found is None and first is not None and second is not None:
                found = first if first.updated > second.updated else second
            if found is not None and found.quantity:
                yield found


def snapshot(
    line: BinanceLine, account: str, base: str, flag: Flag, *, multi_assets: bool
) -> AccountSnapshot:
    """Return the account; raises `BlindError` or `ConnectError` when it is not told."""
    told = read_agreeing(line, flag)
    assets = _margin_assets(line, told)
    rates = _dollars(line, told, assets, flag) if multi_assets else _rates(line, told, base)
    counted = [each for each in told.held() if multi_assets or assets[each.symbol] == base]
    cash = {
        name: amount
        for name, amount in sorted(told.balances.items())
        if name == base or (multi_assets and amount)
    }
    if not multi_assets:
        _note_others(told, assets, base, flag)
    value = told.totals["totalMarginBalance"]
    maintenance = told.totals["totalMaintMargin"]
    known = FxRates(base, rates)
    gross = _gross(told, assets, known, counted)
    return AccountSnapshot(
        account=account,
        at=told.at,
        net_liquidation=value,
        cash=cash,
        rates=known,
        positions=tuple(_position(line, each, assets[each.symbol]) for each in counted),
        gross_position_value=gross,
        excess_liquidity=value - maintenance,
        initial_margin=told.totals["totalInitialMargin"],
        maintenance_margin=maintenance,
        leverage=None if gross is None or value <= 0 else abs(gross) / value + 0,
        cushion=None if value <= 0 else (value - maintenance) / value,
        margined=True,
    )


def read_agreeing(line: BinanceLine, flag: Flag) -> Told:
    """Return both sources; where they go on to disagree the newer counts, and it is flagged.

    Raises `BlindError` when positions and maintenance margin go on to contradict each other.
    """
    told = _read(line)
    for _ in range(ROUNDS - 1):
        apart = told.positions_apart() or told.balances_apart()
        if not apart and not told.contradiction():
            return told
        line.passage.pause(PAUSE_SECONDS)
        told = _read(line)
    if why := told.contradiction():
        raise BlindError(why)
    for name in told.positions_apart():
        first, second = told.by_account.get(name), told.by_risk.get(name)
        if first is not None and second is not None and second.updated > first.updated:
            continue  # something traded between the two questions
        words = (
            f"{name}: the account says {_quantity(told.by_account, name):f}, position risk "
            f"{_quantity(told.by_risk, name):f}"
        )
        flag("sources-disagree", words, line.instrument_id(name))
    apart = told.balances_apart()
    if apart:
        words = ", ".join(
            f"{name} {told.wallets.get(name, _ZERO):f} and {told.balances.get(name, _ZERO):f}"
            for name in apart
        )
        flag("balances-disagree", f"account and balances do not agree: {words}", "")
    return told


def _read(line: BinanceLine) -> Told:
    account = line.signed("GET", _ACCOUNT)
    if not isinstance(account, dict):
        raise BlindError("the exchange's answer about the account is no object")
    risk = rows(line.signed("GET", _RISK), "positionRisk")
    balances = rows(line.signed("GET", _BALANCE), "balance")
    names = ("totalMarginBalance", "totalMaintMargin", "totalInitialMargin")
    return Told(
        at=line.now(),
        totals={name: number(account.get(name), name) for name in names},
        by_account=_by_symbol(
            _held(row, "notional", "unrealizedProfit")
            for row in rows(account.get("positions"), "account positions")
        ),
        by_risk=_by_symbol(_at_risk(row) for row in risk),
        wallets=_amounts(rows(account.get("assets"), "account assets"), "walletBalance"),
        balances=_amounts(balances, "balance"),
        needed=_needed(rows(account.get("positions"), "account positions")),
    )


def _needed(positions: list[dict[str, Any]]) -> Decimal | None:
    """Return what positions need together; None where one does not say, or in what asset.

    The total is of positions in USDT alone, or of all of them in US dollars.
    """
    needed = _ZERO
    for row in positions:
        told = row.get("maintMargin")
        if told is None or not str(row.get("symbol")).endswith("USDT"):
            return None
        needed += number(told, "maintMargin")
    return needed


def _held(row: Mapping[str, Any], notional: str, profit: str) -> Held:
    symbol = row.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise BlindError("a position without a symbol")
    quantity = number(row.get("positionAmt"), f"{symbol} positionAmt")
    if row.get("positionSide", "BOTH") != "BOTH" and quantity:
        raise BlindError(f"{symbol}: a position of hedge mode ({row.get('positionSide')})")
    return Held(
        symbol,
        quantity,
        number(row.get(notional), f"{symbol} {notional}"),
        number(row.get(profit), f"{symbol} {profit}"),
        whole(row.get("updateTime"), f"{symbol} updateTime"),
    )


def _at_risk(row: Mapping[str, Any]) -> Held:
    held = _held(row, "notional", "unRealizedProfit")
    return Held(
        held.symbol,
        held.quantity,
        held.notional,
        held.profit,
        held.updated,
        mark=number(row.get("markPrice"), f"{held.symbol} markPrice"),
        entry=number(row.get("entryPrice"), f"{held.symbol} entryPrice"),
        asset=str(row.get("marginAsset", "")),
        liquidation=_liquidation(row),
    )


def _liquidation(row: Mapping[str, Any]) -> Decimal | None:
    """Return the price at which the exchange closes a position; it writes 0 for never."""
    told = row.get("liquidationPrice")
    price = _ZERO if told in (None, "") else number(told, "liquidationPrice")
    return price if price > 0 else None


def _by_symbol(found: Iterator[Held]) -> dict[str, Held]:
    """Return positions by symbol; in one-way mode each has one, the empty sides do not count."""
    told: dict[str, Held] = {}
    for each in found:
        if each.symbol in told and each.quantity and told[each.symbol].quantity:
            raise BlindError(f"{each.symbol}: its position is told twice")
        if each.symbol not in told or each.quantity:
            told[each.symbol] = each
    return told


def _amounts(found: list[dict[str, Any]], key: str) -> dict[str, Decimal]:
    told = {str(row.get("asset")): number(row.get(key), key) for row in found}
    if len(told) != len(found):
        raise BlindError(f"{key}: an asset is told twice")
    return told


def _quantity(held: Mapping[str, Held], symbol: str) -> Decimal:
    return held[symbol].quantity if symbol in held else _ZERO


def _margin_assets(line: BinanceLine, told: Told) -> dict[str, str]:
    """Return by symbol the asset in which a position's profit is counted."""
    found = {}
    for each in told.held():
        instrument = line.instrument(each.symbol)
        risk = told.by_risk.get(each.symbol)
        asset = risk.asset if risk is not None and risk.asset else ""
        asset = asset or (instrument.currency if instrument is not None else "")
        if not asset:
            raise BlindError(f"{each.symbol}: its margin asset is not told")
        found[each.symbol] = asset
    return found


def _position(line: BinanceLine, held: Held, asset: str) -> Position:
    mark, entry = held.prices
    return Position(
        instrument=line.instrument_id(held.symbol),
        quantity=held.quantity,
        currency=asset,
        price=mark,
        value=None if mark is None else held.quantity * mark,
        average_cost=entry,
        liquidation_price=held.liquidation,
    )


def _gross(
    told: Told, assets: Mapping[str, str], rates: FxRates, counted: list[Held]
) -> Decimal | None:
    """Return what is held without signs, by the account's own notionals; None when unknown."""
    names = {each.symbol for each in counted}
    found = [each for each in told.by_account.values() if each.symbol in names]
    if any(not rates.knows(assets[each.symbol]) for each in found):
        return None
    return sum((abs(each.notional) * rates.rate(assets[each.symbol]) for each in found), _ZERO)


def _rates(line: BinanceLine, told: Told, base: str) -> dict[str, FxRate]:
    """Return what other assets in the wallet are worth: fees may be paid in them."""
    found = {}
    for name, amount in sorted(told.balances.items()):
        if name == base or not amount:
            continue
        try:
            row = line.get("/fapi/v2/ticker/price", symbol=f"{name}{base}")
        except RequestRefused:
            continue
        price = number(row.get("price"), name) if isinstance(row, dict) else _ZERO
        if price > 0:
            found[name] = FxRate(price, told.at)
    return found


def _dollars(
    line: BinanceLine, told: Told, assets: Mapping[str, str], flag: Flag
) -> dict[str, FxRate]:
    """Return US dollars by asset: its bid rate for what is owned, its ask for what is owed.

    Where the account's total is rather the sum at index prices, those count: which of both the
    exchange adds up is told by what adds up.
    """
    cut: dict[str, Decimal] = {}
    plain: dict[str, Decimal] = {}
    shown = []
    for row in rows(line.get("/fapi/v1/assetIndex"), "assetIndex"):
        name = str(row.get("symbol")).removesuffix(DOLLARS)
        amount = told.balances.get(name, _ZERO)
        index = number(row.get("index"), "index")
        rate = number(row.get("askRate" if amount < 0 else "bidRate"), "bidRate")
        if index <= 0 or rate <= 0:
            continue
        cut[name], plain[name] = rate, index
        if amount and rate != index:
            less = abs(amount) * abs(index - rate)
            shown.append(f"{name} {abs(1 - rate / index):.2%} ({less:.2f} USD)")
    if shown:
        flag("haircut", f"the exchange's haircut on collateral: {', '.join(shown)}", "")
    total = told.totals["totalMarginBalance"]
    off = [abs(_sum(told, assets, rates) - total) for rates in (cut, plain)]
    chosen = cut if off[0] <= off[1] else plain
    return {name: FxRate(rate, told.at) for name, rate in sorted(chosen.items())}


def _sum(told: Told, assets: Mapping[str, str], rates: Mapping[str, Decimal]) -> Decimal:
    """Return wallets and profits in US dollars, as far as rates are known."""
    parts = [amount * rates.get(name, _ZERO) for name, amount in told.balances.items()]
    parts += [each.profit * rates.get(assets[each.symbol], _ZERO) for each in told.held()]
    return sum(parts, _ZERO)


def _note_others(told: Told, assets: Mapping[str, str], base: str, flag: Flag) -> None:
    """Tell of wallets and positions that the account's value in this currency does not have."""
    others = [
        f"{amount:f} {name}"
        for name, amount in sorted(told.balances.items())
        if name != base and amount
    ]
    others += [f"{symbol} in {asset}" for symbol, asset in sorted(assets.items()) if asset != base]
    if others:
        flag("other-assets", f"not part of the value in {base}: {', '.join(others)}", "")
