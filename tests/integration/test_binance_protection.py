"""The ladder, delistings, funding and resting orders, through the real client to the exchange."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.model.income import IncomeKind
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce, parse_reference
from rebalancer.model.records import RunRecord
from rebalancer.simulators.binance_server.faults import Do, HttpFault
from rebalancer.simulators.binance_server.symbol_changes import delisted
from rebalancer.simulators.binance_server.transfers import Transfer
from tests.exchanges import FIRST, Exchanges, perpetual, write_coins
from tests.portfolios import QUIET, read_json, write_signal

BTC, ETH, SOL = (InstrumentId(perpetual(coin)) for coin in ("BTC", "ETH", "SOL"))
HOUR = timedelta(hours=1)
LADDER = "\n[protect]\nenabled = true\n"
NEAR = f"{LADDER}base_distance = 0.004\nsteps = 2\nstep_distance = 0.002\n"
"""Stops so near that an ordinary hour reaches them."""


def coins(folder: Path, extra: str = LADDER, **changes: Any) -> Exchanges:
    path = write_coins(folder, extra=extra + QUIET, **changes.pop("top", {}))
    return Exchanges(path, changes=changes)


def run(
    exchanges: Exchanges, hours: int = 0, btc: str = "0.5", eth: str = "-0.4", sol: str = "0.3"
) -> RunRecord:
    at = FIRST + hours * HOUR
    wanted = {BTC: btc, ETH: eth, SOL: sol}
    write_signal(exchanges.path.parent, wanted, at, portfolio="coins")  # type: ignore[arg-type]
    return exchanges.hour(at)


def held(record: RunRecord) -> dict[InstrumentId, Decimal]:
    assert record.after is not None
    return {each.instrument: each.quantity for each in record.after.positions if each.quantity}


def covered(record: RunRecord) -> dict[InstrumentId, Decimal]:
    found: dict[InstrumentId, Decimal] = {}
    for stop in record.stops:
        found[stop.instrument] = found.get(stop.instrument, Decimal(0)) - stop.quantity
    return found


def protected(record: RunRecord) -> bool:
    """Return whether stops cover each position within the threshold, and nothing else."""
    stops, positions = covered(record), held(record)
    return set(stops) == set(positions) and all(
        abs(stops[name] / quantity - 1) <= Decimal("0.05") for name, quantity in positions.items()
    )


def told(record: RunRecord) -> set[str]:
    return {flag.code for flag in record.flags}


def test_every_position_has_its_ladder_and_its_money_is_explained(tmp_path: Path) -> None:
    exchanges = coins(tmp_path)
    records = [run(exchanges), run(exchanges, 1), run(exchanges, 2, eth="0"), run(exchanges, 3)]
    for record in records:
        assert record.exit_code == 0
        assert protected(record)
        assert told(record) == set()
    assert [kind for kind in _kinds(records[1]) if kind is IncomeKind.FUNDING] != []
    assert IncomeKind.REALISED in _kinds(records[2])
    assert ETH not in held(records[2])


def _kinds(record: RunRecord) -> list[IncomeKind]:
    return [each.kind for each in record.income]


def test_a_coin_that_left_the_configuration_keeps_its_stops_while_it_is_held(
    tmp_path: Path,
) -> None:
    exchanges = coins(tmp_path)
    first = run(exchanges)
    stops = {stop.reference for stop in first.stops if stop.instrument == SOL}
    write_coins(tmp_path, coins=("BTC", "ETH"), extra=LADDER + QUIET)
    write_signal(tmp_path, {BTC: "0.3", ETH: "-0.4"}, FIRST + HOUR, portfolio="coins")
    second = exchanges.hour(FIRST + HOUR)
    assert second.unmanaged == (SOL,)
    assert held(second)[SOL] == held(first)[SOL]
    assert {stop.reference for stop in second.stops if stop.instrument == SOL} == stops
    assert protected(second)


def test_a_stop_that_fires_between_two_runs_is_booked_as_ours(tmp_path: Path) -> None:
    exchanges = coins(tmp_path, NEAR)
    first = run(exchanges)
    fired: list[str] = []
    for hours in range(1, 4):
        record = run(exchanges, hours)
        assert not {"others-trade", "reconciliation-break", "many-breaks", "liquidated"} & told(
            record
        )
        assert "unexplained-cash" not in told(record)
        assert protected(record)
    assert set(covered(first)) == {BTC, ETH, SOL}
    books = exchanges.desk(FIRST + 4 * HOUR).books
    for entry in books.entries():
        parts = parse_reference(entry.fill.reference, "coins")
        if parts is not None and parts["purpose"] == "p":
            fired.append(entry.fill.reference)
            assert entry.decision_price is not None  # its trigger
    assert fired, "no stop fired: the test shows nothing"


def test_a_placing_whose_answer_is_lost_leaves_the_old_stops_and_is_settled_later(
    tmp_path: Path,
) -> None:
    for name, do in (("before", Do.CUT_BEFORE), ("after", Do.CUT_AFTER)):
        (tmp_path / name).mkdir()
        exchanges = coins(tmp_path / name)
        first = run(exchanges)
        old = {stop.reference for stop in first.stops if stop.instrument == BTC}
        where = "POST /fapi/v1/algoOrder"
        exchanges.faults = (HttpFault(where=where, nth=2, do=do, count=None),)
        second = run(exchanges, 1, btc="0.2")
        assert ("protection-failed" in told(second)) is (do is Do.CUT_BEFORE)
        kept = old <= {stop.reference for stop in second.stops}
        assert kept is (do is Do.CUT_BEFORE)
        exchanges.faults = ()
        third = run(exchanges, 2, btc="0.2")
        assert "protection-failed" not in told(third)
        assert protected(third)


def test_a_refused_stop_is_told_with_the_exchanges_words(tmp_path: Path) -> None:
    exchanges = coins(tmp_path)
    exchanges.faults = (
        HttpFault(
            where="POST /fapi/v1/algoOrder", do=Do.STATUS_BEFORE, status=400, code=-4045,
            count=None,
            message="Reach max stop order limit.",
        ),
    )  # fmt: skip
    record = run(exchanges)
    flags = [each for each in record.flags if each.code == "protection-failed"]
    assert {flag.subject for flag in flags} == {BTC, ETH, SOL}
    assert all("max stop order limit" in flag.message for flag in flags)
    exchanges.faults = ()
    again = run(exchanges, 1)
    assert protected(again)


def test_a_delisting_is_left_from_the_first_run_that_sees_it(tmp_path: Path) -> None:
    exchanges = coins(tmp_path)
    run(exchanges)
    seen = FIRST + timedelta(minutes=30)
    exchanges.changes["changes"] = delisted("SOLUSDT", seen, FIRST + 48 * HOUR)
    record = run(exchanges, 1)
    assert "instrument-leaving" in told(record)
    assert SOL not in held(record)
    assert protected(record)
    (line,) = [each for each in record.lines if each.instrument == SOL]
    assert "delists it" in line.reason
    after = run(exchanges, 2)
    assert SOL not in held(after)
    assert [each for each in after.approved if each.instrument == SOL] == []


def test_a_transfer_is_a_flow_and_no_jump(tmp_path: Path) -> None:
    exchanges = coins(tmp_path)
    run(exchanges)
    exchanges.changes["transfers"] = (
        Transfer(at=FIRST + timedelta(minutes=30), asset="USDT", amount=Decimal(5000)),
    )
    record = run(exchanges, 1)
    assert not {"net-liquidation-jump", "unexplained-cash"} & told(record)
    assert IncomeKind.TRANSFER in _kinds(record)
    assert record.equity is not None
    assert abs(record.equity.profit_since_last) < 1000


STYLE = """
[planning]
order_type = "POST_ONLY"
allow_short = true
leverage_cap = 2

[execution]
window_seconds = 100
repeg_seconds = 10
taker_after_seconds = 40
worst_price_bps = 100
"""


def _styled(folder: Path, style: str) -> Exchanges:
    """Return a portfolio whose `[planning]` is the style's."""
    path = write_coins(folder, extra=style + QUIET)
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition("[planning]")
    _, _, after = rest.partition("[risk]")
    path.write_text(f"{before}[risk]{after}", encoding="utf-8")
    return Exchanges(path)


def test_orders_rest_post_only_and_what_is_left_takes(tmp_path: Path) -> None:
    record = run(_styled(tmp_path, STYLE))
    assert record.exit_code == 0
    assert {order.intent.order_type for order in record.approved} >= {OrderType.POST_ONLY}
    wanted = {
        order.instrument: order.quantity
        for order in record.approved
        if order.intent.order_type is OrderType.POST_ONLY and "rest" not in order.intent.reason
    }
    assert held(record) == wanted
    for order in record.approved:
        if order.intent.order_type is OrderType.LIMIT:
            assert order.intent.time_in_force is TimeInForce.IOC
            assert order.intent.limit == order.worst_price
    references = [order.reference for order in record.approved]
    assert len(set(references)) == len(references)


def test_a_post_only_order_never_outlives_its_window(tmp_path: Path) -> None:
    style = STYLE.replace("taker_after_seconds = 40\n", "").replace("repeg_seconds = 10\n", "")
    record = run(_styled(tmp_path, style))
    assert all(order.status.terminal for order in record.orders)
    ended = {order.status for order in record.orders}
    assert ended <= {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED}


@pytest.mark.parametrize("kill_at", [1, 4, 6, 8, 11])
def test_a_kill_among_the_stops_leaves_nobody_without_one(tmp_path: Path, kill_at: int) -> None:
    exchanges = coins(tmp_path)
    first = run(exchanges)
    assert protected(first)
    exchanges.before = _kill_at(kill_at)
    with pytest.raises(KeyboardInterrupt):
        run(exchanges, 1, btc="0.2", sol="0.1")
    exchanges.before = lambda _server: None
    at = FIRST + HOUR
    write_signal(
        exchanges.path.parent, {BTC: "0.2", ETH: "-0.4", SOL: "0.1"}, at, portfolio="coins"
    )
    waiting = _waiting(exchanges)
    second = exchanges.hour(at)
    assert second.attempt == 2
    assert {BTC, ETH, SOL} <= waiting
    assert protected(second)


def _kill_at(number: int) -> Callable[[Any], None]:
    """Return what ends the process at the n-th request about a stop."""
    seen = [0]

    def arm(server: Any) -> None:
        handle = server._steering.server.handle

        def counted(request: Any) -> Any:
            if request.path == "/fapi/v1/algoOrder" and request.method != "GET":
                seen[0] += 1
                if seen[0] == number:
                    raise KeyboardInterrupt
            return handle(request)

        server._steering.server.handle = counted

    return arm


def _waiting(exchanges: Exchanges) -> set[InstrumentId]:
    """Return what has a stop at the exchange, as its books on the disk say."""
    (path,) = [
        each
        for each in (exchanges.folder / "paper").rglob("*.json")
        if "codec" in each.read_text(encoding="utf-8")
    ]
    notes = json.loads(read_json(path)["codec"]["algo.orders"])
    waiting = {note["symbol"] for note in notes if note["status"] == "NEW"}
    return {name for name in (BTC, ETH, SOL) if name.partition(".")[0] in waiting}
