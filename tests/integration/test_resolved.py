"""What the owner said an order traded, and the venue tells of it in a later run."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.cli import main
from rebalancer.model.flags import LatchedFlag, Severity
from rebalancer.model.orders import ApprovedOrder
from rebalancer.model.records import RunRecord
from rebalancer.simulators.faults import Fault, FaultKind
from tests.integration.test_unresolved import KO, on, resolve, subjects
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world

SECOND, THIRD, LATER = (FIRST + n * HOUR for n in (1, 2, 3))

pytestmark = pytest.mark.usefixtures("quick")


def cut_off(folder: Path, *faults: Fault) -> tuple[World, ApprovedOrder]:
    """Return a portfolio whose connection broke behind its only order, and that order."""
    world = make_world(folder, symbols=("AAPL", "KO"), extra=QUIET)
    world.wants({"KO": "0.3"}, FIRST)
    broken = Fault(FaultKind.DISCONNECT, nth=1, subject="wait")
    record = world.hour(FIRST, faults=[on(FaultKind.LOST_ACKNOWLEDGEMENT), broken, *faults])
    assert record.exit_code == 5
    assert subjects(world) == {KO}
    (order,) = record.approved
    return world, order


def say(world: World, order: ApprovedOrder, share: str) -> Decimal:
    """Resolve an order by hand; return the quantity that was said."""
    quantity = (order.quantity * Decimal(share)).to_integral_value()
    told = ("--filled", f"{quantity}@{order.intent.limit}") if quantity else ("--dead",)
    assert resolve(world, order.reference, *told) == 0
    assert not subjects(world)
    return quantity


def deaf(world: World) -> RunRecord:
    """Run an hour in which the venue tells no execution yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rebalancer.brokers.paper.PaperVenue.executions", lambda *_, **__: ())
        return world.hour(SECOND)


def there(world: World) -> list[tuple[str, Decimal, Decimal]]:
    """Return the venue's executions: id, quantity and price."""
    told = world.venue()["executions"]
    return [(each["id"], Decimal(each["quantity"]), Decimal(each["price"])) for each in told]


def traded(world: World) -> list[tuple[str, Decimal, Decimal]]:
    rows = world.rows("trades.csv")
    return [(row["exec_id"], Decimal(row["quantity"]), Decimal(row["price"])) for row in rows]


@pytest.mark.parametrize("share", ["1", "0.5", "0"])
def test_an_execution_that_is_told_after_the_owner_spoke_is_booked_once(
    tmp_path: Path, share: str
) -> None:
    world, order = cut_off(tmp_path)
    said = say(world, order, share)
    record = world.hour(SECOND)
    assert (record.exit_code, record.approved) == (0, ())
    assert not codes(record) & {"reconciliation-break", "gap-unexplained", "unexplained-cash"}
    assert dict(record.positions_expected) == world.holdings() == {KO: order.quantity}
    assert traded(world) == there(world)
    worth = sum((quantity * price for _, quantity, price in there(world)), Decimal(0))
    turnover = world.standing().turnover_in_session
    assert abs(turnover - worth) <= abs(said) * abs(order.intent.limit - worth / order.quantity)
    again = world.hour(THIRD)
    assert not codes(again) & {"reconciliation-break", "unexplained-cash", "fills-while-away"}
    assert world.standing().turnover_in_session == turnover


def test_a_run_between_the_owners_word_and_the_execution_counts_the_turnover_once(
    tmp_path: Path,
) -> None:
    world, order = cut_off(tmp_path)
    say(world, order, "1")
    assert deaf(world).exit_code == 0
    counted = world.standing().turnover_in_session
    assert counted == order.quantity * order.intent.limit
    record = world.hour(THIRD)
    assert "reconciliation-break" not in codes(record)
    assert traded(world) == there(world)
    assert world.standing().turnover_in_session == counted
    assert sum(Decimal(row["turnover"]) for row in world.rows("equity.csv")) == counted


def test_a_commission_that_is_told_later_still_completes_the_execution(tmp_path: Path) -> None:
    world, order = cut_off(tmp_path)
    say(world, order, "1")
    world.hour(SECOND, faults=[on(FaultKind.LATE_COMMISSION, KO, seconds=5400)])
    assert {row["commission"] for row in world.rows("trades.csv")} == {""}
    assert not codes(world.hour(LATER)) & {"unexplained-cash", "reconciliation-break"}
    fees = {each["id"]: Decimal(each["commission"]) for each in world.venue()["executions"]}
    assert {row["exec_id"]: Decimal(row["commission"]) for row in world.rows("trades.csv")} == fees


def test_less_than_the_owner_said_is_a_break_and_holds_the_instrument(tmp_path: Path) -> None:
    world, order = cut_off(tmp_path, on(FaultKind.PARTIAL_ONLY, KO))
    say(world, order, "1")
    record = world.hour(SECOND)
    assert "reconciliation-break" in codes(record)
    assert record.positions_expected[KO] == order.quantity
    half = world.holdings()[KO]
    assert 0 < half < order.quantity
    assert [quantity for _, quantity, _ in traded(world)] == [order.quantity - half, half]


def test_executions_that_wait_are_told_once_each_to_who_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, order = cut_off(tmp_path)
    say(world, order, "1")
    deaf(world)
    flag = LatchedFlag("reconciliation-break", KO, Severity.HOLD, "for a test", FIRST)
    world.books().save_standing(replace(world.standing(), latched=(flag,)))
    command = ["resume", "reconciliation-break", "--yes", "--config", str(world.path)]
    assert main(command) == 2
    assert f"the venue has {len(there(world))} executions in {KO}" in capsys.readouterr().err
    assert there(world)


def test_a_word_that_was_booked_and_not_settled_is_not_replaced_by_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, order = cut_off(tmp_path)
    before = world.standing()
    half = say(world, order, "0.5")
    world.books().save_standing(before)  # killed behind the line, before the flag was lifted
    whole = f"{order.quantity}@{order.intent.limit}"
    assert resolve(world, order.reference, "--filled", whole) == 2
    assert (
        f"only --filled {half:+f}@{order.intent.limit.normalize()} is possible"
        in capsys.readouterr().err
    )
    assert world.standing() == before
    say(world, order, "0.5")
    assert [Decimal(line["fill"]["quantity"]) for line in world.fill_lines()] == [half]


@pytest.mark.parametrize("price", ["4817", "4.817", "48.38", "-48.3", "0"])
def test_a_price_that_the_order_cannot_have_had_is_not_booked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], price: str
) -> None:
    world, order = cut_off(tmp_path)
    assert order.worst_price < Decimal("48.38")
    assert resolve(world, order.reference, "--filled", f"{order.quantity}@{price}") == 2
    said = capsys.readouterr().err
    assert f"{order.worst_price} at most" in said or "slipped" in said or "positive" in said
    assert not world.fill_lines()
    assert subjects(world) == {KO}


def test_the_owners_price_is_the_average_of_the_whole_order(tmp_path: Path) -> None:
    world = make_world(tmp_path, symbols=("AAPL", "KO"), extra=QUIET)
    world.wants({"KO": "0.3"}, FIRST)
    silent = (on(FaultKind.LOST_ACKNOWLEDGEMENT), on(FaultKind.UNKNOWN_LOOKUP))
    record = world.hour(FIRST, faults=[*silent, on(FaultKind.PARTIAL_ONLY)])
    (order,) = record.approved
    (part,) = world.fill_lines()
    known, paid = Decimal(part["fill"]["quantity"]), Decimal(part["fill"]["price"])
    average = paid - Decimal("0.01")
    assert 0 < known < order.quantity
    assert resolve(world, order.reference, "--filled", f"{order.quantity}@{average}") == 0
    rest = world.fill_lines()[-1]["fill"]
    worth = known * paid + Decimal(rest["quantity"]) * Decimal(rest["price"])
    assert Decimal(rest["quantity"]) == order.quantity - known
    assert abs(worth - order.quantity * average) < Decimal("0.0001")
