"""Large positions leave in pieces, and nothing is planned on trades that the owner forbids."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.model.orders import PlanLine
from rebalancer.model.records import Outcome, RunRecord
from tests.exchanges import FIRST as THURSDAY
from tests.exchanges import Exchanges, perpetual, write_coins
from tests.integration.hours import AAPL, EVER, JNJ, KO, SECOND, THIRD, TUESDAY
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world, write_signal

pytestmark = pytest.mark.usefixtures("quick")
BTC = perpetual("BTC")
FEW = ("AAPL", "JNJ", "KO")
IDS = (AAPL, JNJ, KO)
WEIGHT = 'max_order_weight = "0.9"'


def forbid(world: World, name: str, what: str = "no_trading") -> None:
    """Let the owner forbid something in one instrument."""
    text = world.path.read_text(encoding="utf-8")
    world.path.write_text(f'{text}\n[[instrument]]\nid = "{name}"\n{what} = true\n', "utf-8")


def line(record: RunRecord, name: str) -> PlanLine:
    return next(each for each in record.lines if each.instrument == name)


# ------------------------------------------------------------------ pieces


class Coins:
    """A portfolio of perpetuals in which an order may be a quarter of what there is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = write_coins(folder, coins=("BTC", "ETH"), extra=QUIET)
        self.exchanges = Exchanges(path)
        self.run(0, "0.4")
        text = path.read_text(encoding="utf-8")
        small = text.replace('max_order_weight = "1"', 'max_order_weight = "0.25"')
        path.write_text(small, encoding="utf-8")

    def run(self, hours: int, btc: str) -> RunRecord:
        at = THURSDAY + hours * HOUR
        write_signal(self.folder, {BTC: btc}, at, portfolio="coins")
        return self.exchanges.hour(at)


def held(record: RunRecord, name: str = BTC) -> Decimal:
    assert record.after is not None
    return next((p.quantity for p in record.after.positions if p.instrument == name), Decimal(0))


def test_a_position_above_the_largest_order_is_closed_in_as_many_runs_as_it_takes(
    tmp_path: Path,
) -> None:
    coins = Coins(tmp_path)
    first = coins.run(1, "0")
    (order,) = first.approved
    assert (order.quantity, first.refused) == (Decimal("-0.021"), ())  # half of 0.042
    assert "the rest follows in the next runs" in order.intent.reason
    assert "order-refused" not in codes(first)
    second = coins.run(2, "0")
    assert held(second) == 0
    assert "next runs" not in second.approved[0].intent.reason


def test_a_position_that_is_turned_opens_its_other_side_once_it_is_closed(tmp_path: Path) -> None:
    coins = Coins(tmp_path)
    first = coins.run(1, "-0.2")
    assert [order.intent.part for order in first.approved] == [0]
    assert (held(first), first.refused) == (Decimal("0.021"), ())
    second = coins.run(2, "-0.2")
    assert [order.intent.part for order in second.approved] == [0, 1]
    assert held(second) < 0


def test_buys_are_planned_on_what_the_pieces_bring(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=FEW, extra=QUIET)
    world.wants({"AAPL": "0.84"}, FIRST)
    world.hour(FIRST)
    text = world.path.read_text(encoding="utf-8")
    world.path.write_text(text.replace(WEIGHT, 'max_order_weight = "0.35"'), encoding="utf-8")
    # Of 84 % thirds go out. With the cash of 16 % they pay for 30 % of the one and 13 % of the
    # other, later for the rest of it.
    for number, parts in enumerate(([0.56, 0.13, 0.3], [0.28, 0.3, 0.3], [0, 0.3, 0.3]), 1):
        at = FIRST + number * HOUR
        world.wants({"KO": "0.3", "JNJ": "0.3"}, at)
        record = world.hour(at)
        assert (record.refused, record.outcome) == ((), Outcome.FINISHED)
        assert record.after is not None
        worth = {p.instrument: p.value or Decimal(0) for p in record.after.positions}
        weights = [float(worth.get(name, 0) / record.after.net_liquidation) for name in IDS]
        assert weights == pytest.approx(parts, abs=0.02)
        assert record.after.cash["USD"] >= 0


# ------------------------------------------------------------------ the owner's word


def test_what_may_not_be_traded_is_no_turnover_that_a_plan_wants(tmp_path: Path) -> None:
    risk = "turnover_history = 2\n"
    world = make_world(tmp_path, symbols=FEW, risk=risk, extra=QUIET)
    forbid(world, JNJ)
    forbid(world, KO, "reduce_only")
    for number, weight in enumerate(("0.02", "0.04", "0.06")):
        world.wants({"AAPL": weight}, FIRST + number * HOUR, **EVER)
        world.hour(FIRST + number * HOUR)
    world.wants({"AAPL": "0.08", "JNJ": "0.3", "KO": "0.3"}, TUESDAY, **EVER)
    record = world.hour(TUESDAY)
    assert record.outcome is Outcome.FINISHED
    assert not codes(record) & {"turnover-odd", "order-refused"}
    assert [fill.instrument for fill in record.fills] == [AAPL]
    assert "no_trading" in line(record, JNJ).reason
    assert "reduce_only" in line(record, KO).reason
    assert record.refused == ()


def test_buys_are_not_planned_on_a_sale_that_the_owner_forbids(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=FEW, extra=QUIET)
    world.wants({"AAPL": "0.6"}, FIRST)
    world.hour(FIRST)
    before = world.holdings()[AAPL]
    forbid(world, AAPL)
    world.wants({"KO": "0.6"}, SECOND)
    record = world.hour(SECOND)
    assert record.refused == ()
    assert world.holdings()[AAPL] == before
    assert record.after is not None
    # 60 % stay in AAPL: of the 40 % that are left, 39 % above the reserve.
    (bought,) = (p for p in record.after.positions if p.instrument == KO)
    assert bought.value is not None
    weight = bought.value / record.after.net_liquidation
    assert weight == pytest.approx(Decimal("0.39"), abs=Decimal("0.01"))


def test_a_neutral_sleeve_keeps_both_legs_where_one_may_not_be_traded(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=FEW, generator="neutral = true", extra=QUIET)
    world.wants({"AAPL": "0.3", "JNJ": "0.3"}, FIRST)
    world.hour(FIRST)
    before = world.holdings()
    forbid(world, JNJ)
    world.wants({"AAPL": "0.1", "JNJ": "0.1", "KO": "0.4"}, SECOND)
    record = world.hour(SECOND)
    assert (record.approved, record.refused) == ((), ())
    assert world.holdings() == before
    assert "no_trading" in line(record, JNJ).reason
    assert "trades all or nothing" in line(record, AAPL).reason
    world.wants({"AAPL": "0.1", "JNJ": "0.3"}, THIRD)  # JNJ stays as it is: no leg is missing
    assert [order.instrument for order in world.hour(THIRD).approved] == [AAPL]
