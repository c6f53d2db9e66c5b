"""What an account of perpetuals is worth to the exchange: wallets, positions, margins.

Cross margin: every position stands on the whole wallet of its margin asset, in multi-assets
mode on all wallets together, in US dollars and after the haircut. The arithmetic is the
documentation's; it is recomputed here from the engine's books, not taken from its own worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from rebalancer.simulators.binance_server.brackets import maintenance
from rebalancer.simulators.binance_server.figures import milliseconds
from rebalancer.simulators.binance_server.haircuts import in_dollars
from rebalancer.simulators.binance_server.market_view import listed, mark_price
from rebalancer.simulators.binance_server.modes import (
    ISOLATED,
    multi_assets,
    symbol_settings,
)
from rebalancer.simulators.books import Order

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer
    from rebalancer.simulators.binance_server.symbols import Symbol

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class PositionLine:
    """One symbol of the account: signed quantity and notional, the rest not negative.

    Amounts are in the symbol's margin asset; `updated` is in milliseconds, 0 never.
    """

    symbol: Symbol
    quantity: Decimal
    entry: Decimal
    mark: Decimal
    leverage: int
    isolated: bool
    bid_notional: Decimal
    ask_notional: Decimal
    updated: int

    @property
    def notional(self) -> Decimal:
        """Return quantity times mark price, signed."""
        return self.quantity * self.mark

    @property
    def profit(self) -> Decimal:
        """Return the profit that is not realised yet."""
        return self.quantity * (self.mark - self.entry)

    @property
    def position_margin(self) -> Decimal:
        """Return the initial margin of what is held."""
        return abs(self.notional) / self.leverage

    @property
    def initial_margin(self) -> Decimal:
        """Return the initial margin of the worse side: all buys traded, or all sells."""
        worse = max(abs(self.notional + self.bid_notional), abs(self.notional - self.ask_notional))
        return max(worse / self.leverage, self.position_margin)

    @property
    def order_margin(self) -> Decimal:
        """Return what open orders add to the initial margin."""
        return self.initial_margin - self.position_margin

    @property
    def maintenance_margin(self) -> Decimal:
        """Return the maintenance margin by bracket."""
        return maintenance(self.symbol.symbol, abs(self.notional)) if self.quantity else _ZERO

    @property
    def isolated_wallet(self) -> Decimal:
        """Return the wallet that an isolated position stands on: its margin at entry."""
        return abs(self.quantity) * self.entry / self.leverage if self.isolated else _ZERO

    @property
    def open(self) -> bool:
        """Return whether anything is held or ordered."""
        return bool(self.quantity or self.bid_notional or self.ask_notional)


@dataclass(frozen=True, slots=True)
class Wallet:
    """One asset of the account, or the total of all."""

    asset: str
    balance: Decimal
    profit: Decimal = _ZERO
    cross_profit: Decimal = _ZERO
    isolated: Decimal = _ZERO
    position_margin: Decimal = _ZERO
    order_margin: Decimal = _ZERO
    cross_margin: Decimal = _ZERO
    maintenance_margin: Decimal = _ZERO
    free: Decimal | None = None

    @property
    def cross_balance(self) -> Decimal:
        """Return the balance without the wallets of isolated positions."""
        return self.balance - self.isolated

    @property
    def margin_balance(self) -> Decimal:
        """Return balance and profit."""
        return self.balance + self.profit

    @property
    def initial_margin(self) -> Decimal:
        """Return the initial margin of positions and orders."""
        return self.position_margin + self.order_margin

    @property
    def available(self) -> Decimal:
        """Return what new orders may use, not negative."""
        if self.free is not None:
            return self.free
        return max(_ZERO, self.cross_balance + self.cross_profit - self.cross_margin)

    @property
    def withdrawable(self) -> Decimal:
        """Return what may be moved out: profit that is not realised may not."""
        return max(_ZERO, min(self.cross_balance, self.available))


@dataclass(frozen=True, slots=True)
class MarginView:
    """The whole account: all listed symbols, all assets in cash, and the total."""

    lines: tuple[PositionLine, ...]
    wallets: tuple[Wallet, ...]
    total: Wallet


def position_lines(server: BinanceServer) -> tuple[PositionLine, ...]:
    """Return a line for every listed perpetual, in the order of the listing."""
    account = server.exchange.account
    orders: dict[str, list[Order]] = {}
    for order in account.orders:
        if order.live and not order.reduce_only:
            orders.setdefault(order.instrument, []).append(order)
    updated = {each.instrument: milliseconds(each.at) for each in account.executions}
    settings = symbol_settings(account)
    lines = []
    for symbol in listed(server, "usdm"):
        holding = account.holdings.get(symbol.id)
        quantity = holding.quantity if holding else _ZERO
        resting = orders.get(symbol.id, [])
        mark = mark_price(server, symbol) if quantity or resting else _ZERO
        lines.append(
            PositionLine(
                symbol,
                quantity,
                holding.average_cost if holding and quantity else _ZERO,
                mark,
                settings.leverage(symbol.symbol),
                settings.margin_type(symbol.symbol) == ISOLATED,
                _notional([order for order in resting if order.quantity > 0], mark),
                _notional([order for order in resting if order.quantity < 0], mark),
                updated.get(symbol.id, 0) if quantity else 0,
            )
        )
    return tuple(lines)


def margin_view(server: BinanceServer, assets: tuple[str, ...] = ()) -> MarginView:
    """Return the account as the exchange sees it; `assets` are shown even when empty."""
    lines = position_lines(server)
    cash = server.exchange.account.cash
    names = dict.fromkeys((*assets, *sorted(cash)))
    wallets = tuple(_wallet(name, cash.get(name, _ZERO), lines) for name in names)
    if not multi_assets(server):
        dollars = next((each for each in wallets if each.asset == "USDT"), Wallet("USDT", _ZERO))
        return MarginView(lines, wallets, dollars)
    rates = {name: in_dollars(server, name) for name in names}
    total = _total(wallets, rates)
    return MarginView(lines, tuple(_shared(each, total, rates) for each in wallets), total)


def _notional(orders: list[Order], mark: Decimal) -> Decimal:
    """Return what open orders of one side are worth at their limits, not negative."""
    return sum((abs(each.remaining) * (each.limit or mark) for each in orders), _ZERO)


def _wallet(asset: str, balance: Decimal, lines: tuple[PositionLine, ...]) -> Wallet:
    own = [line for line in lines if line.open and line.symbol.quote == asset]
    cross = [line for line in own if not line.isolated]
    return Wallet(
        asset,
        balance,
        profit=sum((line.profit for line in own), _ZERO),
        cross_profit=sum((line.profit for line in cross), _ZERO),
        isolated=sum((line.isolated_wallet for line in own), _ZERO),
        position_margin=sum((line.position_margin for line in own), _ZERO),
        order_margin=sum((line.order_margin for line in own), _ZERO),
        cross_margin=sum((line.initial_margin for line in cross), _ZERO),
        maintenance_margin=sum((line.maintenance_margin for line in own), _ZERO),
    )


def _total(wallets: tuple[Wallet, ...], rates: Mapping[str, tuple[Decimal, Decimal]]) -> Wallet:
    """Return all wallets in US dollars: what is owned at its bid rate, what is owed at its ask."""

    def dollars(each: Wallet, amount: Decimal) -> Decimal:
        bid, ask = rates[each.asset]
        return amount * (bid if amount >= 0 else ask)

    def summed(name: str) -> Decimal:
        return sum((dollars(each, getattr(each, name)) for each in wallets), _ZERO)

    return Wallet(
        "USD",
        summed("balance"),
        profit=summed("profit"),
        cross_profit=summed("cross_profit"),
        isolated=summed("isolated"),
        position_margin=summed("position_margin"),
        order_margin=summed("order_margin"),
        cross_margin=summed("cross_margin"),
        maintenance_margin=summed("maintenance_margin"),
    )


def _shared(wallet: Wallet, total: Wallet, rates: Mapping[str, tuple[Decimal, Decimal]]) -> Wallet:
    """Return a wallet of multi-assets mode: what is available is the whole account's."""
    bid, _ = rates[wallet.asset]
    free = total.available / bid if bid else _ZERO
    return Wallet(
        wallet.asset,
        wallet.balance,
        wallet.profit,
        wallet.cross_profit,
        wallet.isolated,
        wallet.position_margin,
        wallet.order_margin,
        wallet.cross_margin,
        wallet.maintenance_margin,
        free,
    )
