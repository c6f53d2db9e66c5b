"""What sleeves remember to want of holdings whose units change."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.model.instrument import InstrumentId
from rebalancer.working.lots import scaled_lots, wanted_lots
from tests.unit.risk.builders import A, B, C

Lots = dict[str, dict[InstrumentId, Decimal]]


def lots(**sleeves: dict[InstrumentId, int]) -> Lots:
    return {
        sleeve: {name: Decimal(size) for name, size in each.items()}
        for sleeve, each in sleeves.items()
    }


def test_what_may_be_split_keeps_its_lots_and_everything_else_gets_new_ones() -> None:
    before = lots(a={A: 100, B: 5}, b={A: 40}, c={A: 7, C: 3})
    wanted = lots(a={A: 200, B: 6}, c={A: 0, B: 1})
    assert wanted_lots(before, wanted, {A}) == lots(a={A: 100, B: 6}, b={A: 40}, c={A: 0, B: 1})
    assert wanted_lots(before, wanted, set()) == lots(a={A: 200, B: 6}, b={A: 40}, c={A: 0, B: 1})


def test_nobody_knows_how_many_a_sleeve_wants_first_of_what_may_be_split() -> None:
    assert wanted_lots({}, lots(a={A: 200, B: 0}), {A, B}) == lots(a={B: 0})


def test_lots_are_scaled_with_their_holding_and_never_below_their_part() -> None:
    moves = {A: (Decimal(300), Decimal(100)), B: (Decimal(2), Decimal(-2))}
    found = scaled_lots(lots(a={A: 100, B: 2}, b={A: -3, C: 9}), moves)
    assert found["b"] == {A: Decimal(-1), C: Decimal(9)}
    assert found["a"][B] == 0
    assert 100 <= found["a"][A] * 3 < Decimal("100.00001")
    assert scaled_lots(lots(a={A: 5}), {A: (Decimal(0), Decimal(5))}) == lots(a={A: 5})
