"""Resting orders that follow the market at the exchange: moved there, or sent anew on spot."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus, OrderType
from rebalancer.model.records import RunRecord
from rebalancer.simulators.binance_server.faults import Do, HttpFault
from rebalancer.simulators.binance_server.memory import LocalServer
from tests.exchanges import FIRST, Exchanges, write_coins
from tests.portfolios import QUIET, write_signal

FOLLOW = """
[execution]
window_seconds = 400
repeg_seconds = 30
worst_price_bps = 300
"""


def hour(folder: Path, kind: str, execution: str) -> tuple[RunRecord, Exchanges]:
    path = write_coins(
        folder,
        kind=kind,
        leverage="1",
        planning='order_type = "POST_ONLY"',
        extra=execution + QUIET,
    )
    exchanges = Exchanges(path)
    wanted = {f"{coin}USDT.{kind}@BINANCE": "0.3" for coin in ("BTC", "ETH", "SOL")}
    write_signal(folder, wanted, FIRST, portfolio="coins")
    return exchanges.hour(FIRST), exchanges


def held(record: RunRecord) -> dict[InstrumentId, Decimal]:
    assert record.after is not None
    return {each.instrument: each.quantity for each in record.after.positions if each.quantity}


def bought(record: RunRecord) -> dict[InstrumentId, Decimal]:
    """Return what was executed, less the fees that were taken in what was bought."""
    found: dict[InstrumentId, Decimal] = {}
    for fill in record.fills:
        in_kind = fill.commission_currency not in ("", fill.currency)
        fee = (fill.commission or Decimal(0)) if in_kind else Decimal(0)
        found[fill.instrument] = found.get(fill.instrument, Decimal(0)) + fill.quantity - fee
    return found


@pytest.mark.parametrize("kind", ["PERP", "SPOT"])
def test_a_resting_order_follows_the_market(tmp_path: Path, kind: str) -> None:
    record, exchanges = hour(tmp_path, kind, FOLLOW)
    assert record.exit_code == 0
    moved = {
        "PERP": exchanges.counts.get("PUT /fapi/v1/order", 0),
        "SPOT": sum("own side" in each.intent.reason for each in record.approved),
    }
    assert moved[kind] > 0, "the market did not move: the test shows nothing"
    assert all(each.intent.order_type is OrderType.POST_ONLY for each in record.approved)
    worst = {each.reference: each.worst_price for each in record.approved}
    assert all(
        order.limit is None or order.limit <= worst[order.reference] for order in record.orders
    )
    assert held(record) == bought(record)
    assert all(order.status.terminal for order in record.orders)


def test_no_more_is_bought_on_spot_than_was_wanted_however_often_it_is_sent_anew(
    tmp_path: Path,
) -> None:
    record, _ = hour(tmp_path, "SPOT", FOLLOW + "taker_after_seconds = 200\n")
    first: dict[InstrumentId, Decimal] = {}
    for order in record.approved:
        first.setdefault(order.instrument, order.quantity)
    total: dict[InstrumentId, Decimal] = {}
    for fill in record.fills:
        total[fill.instrument] = total.get(fill.instrument, Decimal(0)) + fill.quantity
    assert total == first
    references = [order.reference for order in record.approved]
    assert len(set(references)) == len(references)
    assert {order.status for order in record.orders} <= {
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.EXPIRED,
    }
    assert "unexplained-cash" not in {flag.code for flag in record.flags}
    assert "reconciliation-break" not in {flag.code for flag in record.flags}


@pytest.mark.parametrize(("kind", "style"), [("SPOT", "LIMIT"), ("PERP", "POST_ONLY")])
@pytest.mark.parametrize("halts", [False, True])
def test_an_order_whose_answer_was_lost_is_not_left_resting_for_good(
    tmp_path: Path, kind: str, style: str, *, halts: bool
) -> None:
    exchanges = Exchanges(
        write_coins(
            tmp_path,
            kind=kind,
            leverage="1",
            planning=f'order_type = "{style}"\nlimit_style = "passive"\nlimit_offset_bps = -900',
            extra=QUIET,
        )
    )
    where = f"POST {'/fapi/v1/order' if kind == 'PERP' else '/api/v3/order'}"
    exchanges.faults = (HttpFault(where, Do.TIMEOUT_AFTER),)
    left: list[str] = []

    def look(server: LocalServer) -> None:
        orders = server._steering.server.exchange.account.orders
        left.extend(order.reference for order in orders if order.live)

    exchanges.after = look
    if halts:
        exchanges.before = lambda server: _halt_after(server, exchanges.folder / "HALT", where)
    wanted = {f"{coin}USDT.{kind}@BINANCE": "0.3" for coin in ("BTC", "ETH", "SOL")}
    write_signal(tmp_path, wanted, FIRST, portfolio="coins")
    record = exchanges.hour(FIRST)
    assert left == []
    ends = {order.status for order in record.orders}
    assert OrderStatus.CANCELLED in ends
    assert ends <= {OrderStatus.CANCELLED, OrderStatus.NOT_SENT}
    assert record.standing is not None
    assert record.standing.latched == ()
    assert record.exit_code == (3 if halts else 0)


def _halt_after(server: LocalServer, halt: Path, where: str) -> None:
    """Let the owner write a HALT file while the answer to the first order does not come."""
    inner = server._steering.server
    handle = inner.handle

    def watched(request: Any) -> Any:
        try:
            return handle(request)
        finally:
            if f"{request.method} {request.path}" == where:
                halt.write_text("a test", encoding="utf-8")

    inner.handle = watched  # type: ignore[method-assign]
