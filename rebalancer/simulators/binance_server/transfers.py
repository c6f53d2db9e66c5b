"""Deposits, withdrawals and transfers that a script lets happen at their times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.binance_server.codec_notes import recall, remember
from rebalancer.simulators.binance_server.income_rows import IncomeRow, book_income

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.server import BinanceServer


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that comes (positive) or goes (negative) at a time, not by trading."""

    at: datetime
    asset: str
    amount: Decimal


_DONE = "transfers.done"


def next_transfer(server: BinanceServer, after: datetime) -> datetime | None:
    """Return when the next scripted transfer is due, None when there is none any more."""
    waiting = _waiting(server)
    return max(min(each.at for each in waiting), after) if waiting else None


def book_transfers(server: BinanceServer, at: datetime) -> None:
    """Book every scripted transfer that is due: cash, and a row of the income list."""
    account = server.exchange.account
    due = sorted((each for each in _waiting(server) if each.at <= at), key=lambda each: each.at)
    for each in due:
        server.exchange.book_cash(each.asset, each.amount)
        book_income(account, IncomeRow("TRANSFER", each.asset, each.amount, each.at))
    if due:
        remember(account, _DONE, [*recall(account, _DONE, []), *map(_key, due)])


def booked_transfers(server: BinanceServer) -> tuple[tuple[int, Transfer], ...]:
    """Return the scripted transfers that have happened, with their numbers, oldest first."""
    done = recall(server.exchange.account, _DONE, [])
    found = [each for each in server.spec.transfers if _key(each) in done]
    return tuple(enumerate(sorted(found, key=lambda each: each.at), 1))


def _waiting(server: BinanceServer) -> list[Transfer]:
    done: list[Any] = recall(server.exchange.account, _DONE, [])
    return [each for each in server.spec.transfers if _key(each) not in done]


def _key(each: Transfer) -> str:
    return f"{each.at.isoformat()} {each.asset} {each.amount}"
