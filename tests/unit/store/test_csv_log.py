"""What people open in a spreadsheet: exact, stable, and no formula of a stranger's."""

from __future__ import annotations

import csv
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest

from rebalancer.errors import NewerState, StateError
from rebalancer.model.orders import Action
from rebalancer.store.csv_log import equity_csv, equity_row, orders_csv, read_equity, trades_csv
from tests.unit.store.samples import HOUR, SLOT, line, point, trade

PATH = Path("equity.csv")


def test_an_order_file_has_the_columns_of_the_specification_and_the_mode() -> None:
    # 1/33 = 0.030303...; a weight of -1e-7 is nothing at six decimals, and not minus nothing.
    assert orders_csv([line()], "dry-run").decode() == (
        "instrument,action,quantity,limit_price,order_type,time_in_force,reference_price,"
        "reference_age_seconds,current_quantity,target_quantity,current_weight,target_weight,"
        "reason,mode\n"
        "AAPL.STK.USD@IB,BUY,10,300.10,LIMIT,DAY,300.05,0,0,10,0.000000,0.030303,"
        "outside its band,dry-run\n"
    )


def test_what_is_not_known_is_an_empty_cell_and_never_zero() -> None:
    unknown = replace(
        line(Action.NOTHING, "no price"),
        limit=None,
        order_type=None,
        time_in_force=None,
        reference_price=None,
        reference_age_seconds=None,
        target_quantity=None,
        current_weight=None,
        target_weight=None,
    )
    row = orders_csv([unknown], "paper").decode().splitlines()[1]
    assert row == "AAPL.STK.USD@IB,NOTHING,10,,,,,,0,,,,no price,paper"


@pytest.mark.parametrize("reason", ["=1+1", "+1", "-1", "@SUM(A1)", "|x"])
def test_text_is_never_a_formula(reason: str) -> None:
    rows = list(csv.reader(StringIO(orders_csv([line(reason=reason)], "paper").decode())))
    assert rows[1][12] == f"'{reason}"


def test_a_reason_of_two_lines_stays_one_row() -> None:
    text = orders_csv([line(reason='said "no",\nthen\r\nleft')], "paper").decode()
    assert text.count("\n") == 2
    assert list(csv.reader(StringIO(text)))[1][12] == 'said "no", then left'


def test_a_commission_is_empty_until_it_is_known() -> None:
    rows = trades_csv([trade("E1"), trade("E2", commission=None)]).decode().splitlines()
    assert rows[1] == (
        "E1,2020-03-02T15:06:00Z,2020-03-02T15:05:00Z,AAPL.STK.USD@IB,BUY,10,300.10,USD,"
        "1.005,USD,demo.2003021505r1.AAAAAAAA.1,300.05"
    )
    assert rows[2].split(",")[8:10] == ["", ""]


def test_equity_comes_back_digit_for_digit() -> None:
    points = (point(), point(SLOT + HOUR, "1E+5"), point(SLOT + 2 * HOUR, "0.10"))
    content = equity_csv(points)
    assert content == equity_csv(points[:1]) + equity_row(points[1]) + equity_row(points[2])
    read = read_equity(content, PATH)
    assert read == points
    assert [str(each.net_liquidation) for each in read] == [
        "100000.123456789012345678", "100000", "0.10",
    ]  # fmt: skip


@pytest.mark.parametrize("row", [b"1" * 200_000, b'"' + b"1," * 100_000, b"\0", b"\xff"])
def test_an_equity_file_that_cannot_be_read_is_damaged(row: bytes) -> None:
    with pytest.raises(StateError, match=r"equity\.csv"):
        read_equity(equity_csv((point(),)) + row + b"\n", PATH)


def test_a_torn_last_row_of_equity_is_left_out() -> None:
    whole = equity_csv((point(),))
    row = equity_row(point(SLOT + HOUR))
    for cut in range(len(row)):
        assert read_equity(whole + row[:cut], PATH) == (point(),)


def test_damaged_equity_is_named_with_its_line() -> None:
    good = equity_csv((point(), point(SLOT + HOUR)))
    for bad in (good.replace(b"3001.00", b"much", 1), good.replace(b",ACTIVE", b"", 1)):
        with pytest.raises(StateError, match="line 2 is damaged"):
            read_equity(bad, PATH)
    with pytest.raises(StateError, match="line 3 is out of order"):
        read_equity(equity_csv((point(), point())), PATH)
    with pytest.raises(StateError, match="its columns"):
        read_equity(b"", PATH)


def test_equity_with_columns_of_a_newer_version_is_refused() -> None:
    with pytest.raises(NewerState):
        read_equity(equity_csv((point(),)).replace(b"state\n", b"state,more\n"), PATH)


def test_amounts_have_no_exponent() -> None:
    assert b",0.00000001," in trades_csv([replace(trade("E1"), quantity=Decimal("1E-8"))])
