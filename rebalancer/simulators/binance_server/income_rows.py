"""The income list: profit, commission, funding and transfers, one row each, kept three months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.call import ApiError, Call, Route
from rebalancer.simulators.binance_server.codec_notes import recall, remember
from rebalancer.simulators.binance_server.figures import coin, milliseconds
from rebalancer.simulators.binance_server.market_view import perpetual_name
from rebalancer.simulators.books import Account, Execution

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer

KEPT = timedelta(days=90)
LOOKS_BACK = timedelta(days=7)
_ROWS, _TOLD = "income.rows", "income.told"
_FIRST_TRANSACTION = 9_000_000_001

TYPES = frozenset(
    {
        "TRANSFER", "WELCOME_BONUS", "REALIZED_PNL", "FUNDING_FEE", "SPECIAL_FUNDING_FEE",
        "COMMISSION", "INSURANCE_CLEAR", "REFERRAL_KICKBACK", "COMMISSION_REBATE", "API_REBATE",
        "CONTEST_REWARD", "CROSS_COLLATERAL_TRANSFER", "OPTIONS_PREMIUM_FEE",
        "OPTIONS_SETTLE_PROFIT", "INTERNAL_TRANSFER", "AUTO_EXCHANGE", "DELIVERED_SETTELMENT",
        "COIN_SWAP_DEPOSIT", "COIN_SWAP_WITHDRAW", "POSITION_LIMIT_INCREASE_FEE",
        "STRATEGY_UMFUTURES_TRANSFER", "FEE_RETURN", "BFUSD_REWARD",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class IncomeRow:
    """One row: signed `amount` of `asset` at `at`; `trade` names the trade of a commission."""

    kind: str
    asset: str
    amount: Decimal
    at: datetime
    symbol: str = ""
    info: str = ""
    trade: str = ""


def book_income(account: Account, *rows: IncomeRow) -> None:
    """Add rows to the list; it moves no money (the caller's engine does)."""
    kept: list[list[Any]] = recall(account, _ROWS, [])
    number = kept[-1][6] + 1 if kept else _FIRST_TRANSACTION
    for number_of_row, row in enumerate(rows, number):
        kept.append(
            [milliseconds(row.at), row.kind, row.symbol, row.asset, coin(row.amount),
             row.info or row.kind, number_of_row, row.trade]
        )  # fmt: skip
    oldest = milliseconds(account.now - KEPT)
    # The newest stays whatever its age: the next transaction is numbered after it.
    kept = [row for place, row in enumerate(kept, 1) if row[0] >= oldest or place == len(kept)]
    remember(account, _ROWS, kept)


def trade_number(execution_id: str) -> int:
    """Return the number by which the exchange knows a trade: the engine's, without its time."""
    return int(execution_id.rpartition("-")[2])


def book_trades(server: BinanceServer) -> None:
    """Add commission and realised profit of the perpetual trades that are not in the list yet.

    It may be called as often as one likes: the last trade that was booked is remembered.
    """
    account = server.exchange.account
    told: int = recall(account, _TOLD, 0)
    rows: list[IncomeRow] = []
    last = told
    for execution in account.executions:
        number = trade_number(execution.id)
        symbol = perpetual_name(server, execution.instrument)
        if number <= told or not symbol:
            continue
        last = max(last, number)
        rows.extend(_rows_of(execution, symbol))
    if last > told:
        book_income(account, *rows)
        remember(account, _TOLD, last)


def _rows_of(execution: Execution, symbol: str) -> Sequence[IncomeRow]:
    """Return the rows of one trade; a commission of nothing is no row, nor is no profit."""
    trade, at = str(trade_number(execution.id)), execution.at
    rows = []
    if execution.realised:
        rows.append(
            IncomeRow(
                "REALIZED_PNL", execution.currency, execution.realised, at, symbol, trade, trade
            )
        )
    if execution.commission:
        rows.append(
            IncomeRow(
                "COMMISSION",
                execution.commission_currency,
                -execution.commission,
                at,
                symbol,
                trade,
                trade,
            )
        )
    return rows


def income(call: Call) -> list[dict[str, Any]]:
    """Return a page of the list, oldest first; without times that of the last seven days."""
    kind, symbol = call.text("incomeType", ""), call.text("symbol", "")
    if kind and kind not in TYPES:
        raise ApiError(-1130, "Data sent for parameter 'incomeType' is not valid.")
    book_trades(call.server)
    limit = min(max(call.integer("limit", 100), 1), 1000)
    page = max(call.integer("page", 1), 1)
    start = call.integer("startTime", -1)
    end = call.integer("endTime", -1)
    if start < 0:
        start = milliseconds(call.now - LOOKS_BACK) if end < 0 else 0
    if 0 <= end < start:
        raise ApiError(-1023, "Start time is greater than end time.")
    start = max(start, milliseconds(call.now - KEPT))
    found = [
        row
        for row in recall(call.server.exchange.account, _ROWS, [])
        if row[0] >= start
        and (end < 0 or row[0] <= end)
        and (not kind or row[1] == kind)
        and (not symbol or row[2] == symbol)
    ]
    found.sort(key=lambda row: (row[0], row[6]))
    return [_plain(row) for row in found[(page - 1) * limit : page * limit]]


def _plain(row: list[Any]) -> dict[str, Any]:
    at, kind, symbol, asset, amount, info, number, trade = row
    return {
        "symbol": symbol,
        "incomeType": kind,
        "income": amount,
        "asset": asset,
        "info": info,
        "time": at,
        "tranId": number,
        "tradeId": trade,
    }


ROUTES = {"GET /fapi/v1/income": Route(income, 30, signed=True)}
