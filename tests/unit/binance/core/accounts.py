"""Answers about an account, as the exchange words them, made from a few numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.unit.binance.core.wire import Wire

ACCOUNT, RISK, BALANCE = (
    "GET /fapi/v3/account",
    "GET /fapi/v3/positionRisk",
    "GET /fapi/v3/balance",
)
SPOT, ORDERS, PRICES = "GET /api/v3/account", "GET /api/v3/openOrders", "GET /api/v3/ticker/price"


@dataclass(frozen=True)
class Held:
    """A position: signed quantity, entry and mark price, the asset that stands for it."""

    symbol: str
    quantity: str
    entry: str
    mark: str
    asset: str = "USDT"
    updated: int = 1000
    side: str = "BOTH"
    liquidation: str = "0"

    @property
    def notional(self) -> Decimal:
        return Decimal(self.quantity) * Decimal(self.mark)

    @property
    def profit(self) -> Decimal:
        return Decimal(self.quantity) * (Decimal(self.mark) - Decimal(self.entry))


@dataclass(frozen=True)
class Perpetuals:
    """A USDⓈ-M account in single-asset mode over USDT."""

    wallets: dict[str, str] = field(default_factory=lambda: {"USDT": "1000"})
    held: tuple[Held, ...] = ()
    total: str = ""
    maintenance: str = ""
    """'' is 20 where anything is held, and nothing where nothing is."""
    needs: tuple[str, ...] = ()
    """The maintenance margin of each position, where the exchange tells it."""

    def account(self) -> dict[str, Any]:
        own = sum((each.profit for each in self.held if each.asset == "USDT"), Decimal(0))
        total = self.total or str(Decimal(self.wallets.get("USDT", "0")) + own)
        return {
            "totalInitialMargin": "50",
            "totalMaintMargin": self.maintenance or ("20" if self.held else "0"),
            "totalMarginBalance": total,
            "assets": [
                {"asset": name, "walletBalance": amount, "updateTime": 1000}
                for name, amount in self.wallets.items()
            ],
            "positions": [
                {
                    "symbol": each.symbol,
                    "positionSide": each.side,
                    "positionAmt": each.quantity,
                    "unrealizedProfit": str(each.profit),
                    "notional": str(each.notional),
                    "updateTime": each.updated,
                    **({"maintMargin": self.needs[place]} if self.needs else {}),
                }
                for place, each in enumerate(self.held)
            ],
        }

    def risk(self) -> list[dict[str, Any]]:
        return [
            {
                "symbol": each.symbol,
                "positionSide": each.side,
                "positionAmt": each.quantity,
                "entryPrice": each.entry,
                "markPrice": each.mark,
                "unRealizedProfit": str(each.profit),
                "liquidationPrice": each.liquidation,
                "notional": str(each.notional),
                "marginAsset": each.asset,
                "updateTime": each.updated,
            }
            for each in self.held
        ]

    def balances(self) -> list[dict[str, Any]]:
        return [
            {"asset": name, "balance": amount, "updateTime": 1000}
            for name, amount in self.wallets.items()
        ]

    def on(self, wire: Wire) -> Wire:
        """Let the wire answer so, whatever it is asked how often."""
        wire.replies |= {ACCOUNT: self.account(), RISK: self.risk(), BALANCE: self.balances()}
        return wire


def spot_answer(uid: int = 700, **owned: tuple[str, str]) -> dict[str, Any]:
    """Return a spot account's answer; `owned` has free and locked by asset."""
    return {
        "uid": uid,
        "canTrade": True,
        "canWithdraw": True,
        "updateTime": 1,
        "balances": [
            {"asset": name, "free": free, "locked": locked}
            for name, (free, locked) in owned.items()
        ],
    }


@dataclass
class Flags:
    """What was flagged: code, message and subject."""

    raised: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, code: str, message: str, subject: str) -> None:
        self.raised.append((code, message, subject))

    @property
    def codes(self) -> list[str]:
        return [code for code, _, _ in self.raised]

    def words(self, code: str) -> str:
        return next(message for each, message, _ in self.raised if each == code)


def exact(*numbers: str | int) -> tuple[Decimal, ...]:
    """Return numbers as exact decimals."""
    return tuple(Decimal(each) for each in numbers)
