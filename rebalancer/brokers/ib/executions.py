"""Executions and commissions as they stand on the wire: exact, in UTC, never zero for unknown.

The libraries turn prices into floats, a missing commission into zero, and times without a zone
into the host's zone; so what counts is read from the message's own text here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rebalancer.brokers.ib.foreign_trades import is_by_hand, origin_of
from rebalancer.brokers.ib.unset import UNSET
from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Fill, execution_revision

CONTRACT_FIELDS = (
    "conId",
    "symbol",
    "secType",
    "lastTradeDateOrContractMonth",
    "strike",
    "right",
    "multiplier",
    "exchange",
    "currency",
    "localSymbol",
    "tradingClass",
)
_LIQUIDITY = {"1": "maker", "2": "taker"}


@dataclass(frozen=True)
class Heard:
    """One execution: what the run gets, and who ordered it."""

    fill: Fill
    perm_id: int
    client_id: int
    order_id: int
    by_hand: bool


def read_execution(
    fields: Sequence[str], zone: str, identify: Callable[[dict[str, Any]], InstrumentId]
) -> tuple[Heard, str]:
    """Return the execution in an `execDetails` message (id 11), and its account.

    `zone` is the gateway's, for times without one. Raises `DataError` for a message that
    cannot be read.
    """
    if len(fields) < 31:
        raise DataError(f"an execution with {len(fields)} fields: {' '.join(fields)}")
    exec_id, time, account, side = fields[14], fields[15], fields[16], fields[18]
    order_id, perm_id, client_id, reference = fields[2], fields[21], fields[22], fields[26]
    if side not in {"BOT", "SLD"} or not exec_id:
        raise DataError(f"execution {exec_id!r} is neither BOT nor SLD: {side!r}")
    size = number(fields[19], f"size of execution {exec_id}")
    if size < 0:
        raise DataError(f"execution {exec_id} has a negative size: {fields[19]}")
    contract = dict(zip(CONTRACT_FIELDS, fields[3:14], strict=True))
    fill = Fill(
        exec_id=exec_id,
        reference=reference,
        venue_order_id=perm_id,
        instrument=identify(contract),
        quantity=size if side == "BOT" else -size,
        price=number(fields[20], f"price of execution {exec_id}"),
        currency=contract["currency"],
        at=execution_time(time, zone),
        liquidity=_LIQUIDITY.get(fields[30], ""),
        origin=origin_of(fields[23]),
    )
    heard = Heard(
        fill,
        integer(perm_id),
        integer(client_id),
        max(integer(order_id), 0),
        not fill.origin and is_by_hand(order_id, client_id, reference),
    )
    return heard, account


def read_commission(fields: Sequence[str]) -> tuple[str, Decimal | None, str]:
    """Return execution id, commission and its currency from a `commissionReport` (id 59).

    The commission is positive for a cost; None while the venue does not know it: an empty
    field, the API's "unset", -1, or an amount without a currency.
    """
    if len(fields) < 5:
        raise DataError(f"a commission report with {len(fields)} fields: {' '.join(fields)}")
    exec_id, text, currency = fields[2], fields[3].strip(), fields[4].strip()
    if not text or not currency:
        return exec_id, None, ""
    amount = amount_or_none(text)
    if amount is None or amount == -1:
        return exec_id, None, ""
    return exec_id, amount, currency


def with_commission(fill: Fill, commission: Decimal | None, currency: str) -> Fill:
    """Return an execution with its commission, as it was when the venue does not know it."""
    if commission is None:
        return fill
    return replace(fill, commission=commission, commission_currency=currency)


def latest(fills: Sequence[Fill]) -> tuple[Fill, ...]:
    """Return what stands after corrections: of each execution its highest revision."""
    best: dict[str, Fill] = {}
    for fill in sorted(fills, key=lambda each: execution_revision(each.exec_id)[1]):
        best[execution_revision(fill.exec_id)[0]] = fill
    return tuple(best.values())


def execution_time(text: str, zone: str) -> datetime:
    """Return a time of the wire in UTC, whatever the host's zone.

    `20261120 05:37:12 US/Eastern`, `20261120-10:37:12` (UTC), seconds since 1970, or a time
    without a zone (old gateways put two blanks before the clock): then it is in `zone`.
    Raises `DataError` for anything else.
    """
    said = text.strip()
    try:
        if said.isdigit() and len(said) > 8:
            return datetime.fromtimestamp(int(said), UTC)
        if "-" in said[:9]:
            return datetime.strptime(said, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        day, clock, *named = said.split(maxsplit=2)
        naive = datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S")  # noqa: DTZ007 - zone below
        return naive.replace(tzinfo=_zone(named[0] if named else zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise DataError(f"{text!r} is not a time of the gateway: {error}") from error


def number(text: str, what: str) -> Decimal:
    """Return a number of the wire exactly; raises `DataError` when it is none or unset."""
    amount = amount_or_none(text)
    if amount is None:
        raise DataError(f"the {what} is {text!r}")
    return amount


def amount_or_none(text: object) -> Decimal | None:
    """Return an amount of the wire, None for an empty, unset or unreadable one."""
    try:
        amount = Decimal(str(text).strip())
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and -UNSET < amount < UNSET else None


def integer(text: str) -> int:
    """Return a whole number of the wire; nothing, and the API's "unset", are 0.

    Raises `ValueError` or `InvalidOperation` for what is none.
    """
    said = text.strip()
    found = Decimal(said or 0)
    if not -UNSET < found < UNSET:
        raise ValueError(f"{said!r:.80} is not a whole number")
    return 0 if said == "2147483647" else int(found)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone {name!r}") from error
