"""An answer about an order, a trade or a stop as one of our values."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rebalancer.brokers.binance.line import BinanceLine
from rebalancer.brokers.binance.questions import moment, number, whole
from rebalancer.brokers.binance.statuses import order_status, stop_status
from rebalancer.errors import BlindError, DataError
from rebalancer.model.orders import Fill, WorkingOrder
from rebalancer.model.stops import StopOrder

Row = Mapping[str, Any]


def order_of(line: BinanceLine, row: Row) -> WorkingOrder:
    """Return an ordinary order; a market order's price of zero is none."""
    _object(row)
    what = f"order {row.get('orderId')}"
    price = number(row.get("price", "0"), what)
    at = row.get("updateTime") or row.get("transactTime") or row.get("time")
    return WorkingOrder(
        reference=str(row.get("clientOrderId", "")),
        venue_id=str(_there(row, "orderId", what)),
        instrument=line.instrument_id(str(_there(row, "symbol", what))),
        quantity=_sign(row, what) * number(_there(row, "origQty", what), what),
        filled=_sign(row, what) * number(_there(row, "executedQty", what), what),
        limit=price or None,
        status=order_status(row.get("status")),
        at=moment(at, what),
    )


def fill_of(line: BinanceLine, row: Row) -> Fill:
    """Return an execution; which order of ours it was of is not told with it.

    Its id is that of the trade with its symbol: trade ids are counted by symbol.
    """
    _object(row)
    what = f"trade {row.get('id')}"
    symbol = str(_there(row, "symbol", what))
    known = line.instrument(symbol)
    buys = row["side"] == "BUY" if "side" in row else row.get("isBuyer") is True
    maker = row.get("maker", row.get("isMaker")) is True
    quantity = number(_there(row, "qty", what), what)
    return Fill(
        exec_id=f"{symbol}-{whole(_there(row, 'id', what), what)}",
        reference="",
        venue_order_id=str(_there(row, "orderId", what)),
        instrument=line.instrument_id(symbol),
        quantity=quantity if buys else -quantity,
        price=number(_there(row, "price", what), what),
        currency="USDT" if known is None else known.currency,
        at=moment(_there(row, "time", what), what),
        commission=number(_there(row, "commission", what), what),
        commission_currency=str(_there(row, "commissionAsset", what)),
        liquidity="maker" if maker else "taker",
    )


def stop_of(line: BinanceLine, row: Row) -> StopOrder:
    """Return an order of the algo service."""
    _object(row)
    what = f"algo order {row.get('algoId')}"
    price = number(row.get("price") or "0", what)
    return StopOrder(
        reference=str(row.get("clientAlgoId", "")),
        venue_id=str(_there(row, "algoId", what)),
        instrument=line.instrument_id(str(_there(row, "symbol", what))),
        quantity=_sign(row, what) * number(row.get("quantity") or "0", what),
        trigger=number(row.get("triggerPrice") or "0", what),
        limit=price or None,
        status=stop_status(row.get("algoStatus")),
        at=moment(row.get("updateTime") or row.get("createTime"), what),
        order_id=str(row.get("actualOrderId") or ""),
    )


def plain(value: Decimal) -> str:
    """Return a number as the exchange takes it: digits, no exponent, no sign.

    Raises `DataError` for what is no such number.
    """
    if not value.is_finite() or value < 0:
        raise DataError(f"{value} cannot be sent")
    return f"{value.normalize():f}" if value else "0"


def _object(row: object) -> None:
    if not isinstance(row, Mapping):
        raise BlindError(f"the exchange's answer has {row!r:.80} where an object belongs")


def _there(row: Row, key: str, what: str) -> Any:
    if key not in row:
        raise BlindError(f"{what}: the exchange's answer has no {key}")
    return row[key]


def _sign(row: Row, what: str) -> int:
    side = _there(row, "side", what)
    if side not in ("BUY", "SELL"):
        raise BlindError(f"{what}: {side!r} is no side")
    return 1 if side == "BUY" else -1
