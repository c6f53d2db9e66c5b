"""What a plan keeps to: untraded instruments, those that only reduce, reductions in pieces."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.plan import UNTRADED, Plan, Restraints, Why
from rebalancer.model.universe import Universe
from tests.unit.planning.test_properties import many, planned, worlds
from tests.unit.planning.worlds import (
    account,
    after,
    exactly,
    market,
    perpetual,
    plan,
    quote,
    ruled,
    signal,
    sleeve,
    stock,
    wanted,
    why,
)

D = Decimal
A, B = stock("A"), stock("B")
COIN = perpetual("C")
PRICES = market(quote(A, "10"), quote(B, "10"), quote(COIN, "10"))
KEEP_A = Restraints(untraded={A.id: Why.NO_TRADING})
HALF_A = account("1000", {A: "50"}, {"USD": "500"})


def of_a(made: Plan) -> Any:
    return next(line for line in made.lines() if line.instrument == A.id)


# ---------------------------------------------------------------------------- not traded


@pytest.mark.parametrize("target", ["0", "0.2", "0.9", "-0.5"])
def test_what_is_not_traded_is_wanted_as_it_is_held_and_the_line_says_why(target: str) -> None:
    made = plan([A, B], {A: target}, HALF_A, PRICES, exactly(allow_short=True), restraints=KEEP_A)
    assert made.orders == ()
    assert why(made) == {"A": "no-trading"}
    told = of_a(made)
    assert (told.current_quantity, told.target_quantity) == (D(50), D(50))
    assert (told.current_weight, told.target_weight) == (0.5, 0.5)
    assert told.reason == "held: the configuration says no_trading for it"


def test_targets_of_others_are_scaled_down_to_what_it_leaves() -> None:
    made = plan([A, B], {B: "1"}, HALF_A, PRICES, restraints=KEEP_A)
    assert wanted(made) == {"B": D(50)}  # half of 1,000 at 10
    assert [flag.code for flag in made.flags] == ["leverage-capped"]
    assert wanted(plan([A, B], {B: "1"}, HALF_A, PRICES)) == {"A": D(-50), "B": D(100)}


def test_what_is_not_traded_and_not_held_asks_for_no_cash() -> None:
    made = plan([A, B], {A: "0.7", B: "0.6"}, account("1000"), PRICES, restraints=KEEP_A)
    assert wanted(made) == {"B": D(60)}
    assert made.flags == ()


def test_the_word_of_the_owner_is_stronger_than_what_is_leaving() -> None:
    gone = stock("A", leaving="it is delisted")
    made = plan([gone], {gone: "0.2"}, HALF_A, PRICES, restraints=KEEP_A)
    assert made.orders == ()
    assert why(made) == {"A": "no-trading"}
    assert of_a(made).target_quantity == D(50)


def test_why_others_stay_as_they_are_is_still_said() -> None:
    made = plan([A, B], None, HALF_A, PRICES, restraints=KEEP_A)
    assert made.orders == ()
    assert why(made) == {"A": "no-trading", "B": "no-signal"}


def test_half_a_lot_of_it_is_kept_too() -> None:
    # 0.5 lies between two whole shares: the nearest of what is held is a share, of nothing is none.
    made = plan([A], {A: "0"}, account("1000", {A: "0.5"}), PRICES, restraints=KEEP_A)
    assert of_a(made).target_quantity == D(1)
    assert of_a(made).target_weight == 0.005
    assert made.orders == ()


def test_of_one_without_a_price_no_wanted_weight_is_told() -> None:
    made = plan([A, B], {A: "0.3"}, HALF_A, market(quote(B, "10")), restraints=KEEP_A)
    assert of_a(made).target_weight is None
    assert of_a(made).target_quantity == D(50)


def test_a_leg_of_a_sleeve_that_trades_all_or_nothing_has_its_own_reason() -> None:
    kept = Restraints(untraded={A.id: Why.NO_TRADING, B.id: Why.ALL_OR_NOTHING})
    made = plan([A, B], {B: "0.4"}, HALF_A, PRICES, restraints=kept)
    assert why(made) == {"A": "no-trading", "B": "all-or-nothing"}
    assert {skip.reason.split(":")[0] for skip in made.skips()} == {"held"}


def test_an_instrument_of_no_sleeve_keeps_its_reason() -> None:
    made = plan([A, B], {}, HALF_A, PRICES, sleeves=(sleeve("s", [B]),), restraints=KEEP_A)
    assert why(made) == {"A": "no-sleeve"}


@pytest.mark.parametrize(("weight", "lots"), [("0", D(0)), ("0.2", D(20))])
def test_remembered_is_what_the_sleeve_wants_of_it_not_what_is_kept(
    weight: str, lots: Decimal
) -> None:
    made = plan([A], {A: weight}, HALF_A, PRICES, restraints=KEEP_A)
    assert made.sleeve_lots == {"s": {A.id: lots}}


@many
@given(worlds(), st.data())
def test_nothing_is_ordered_in_what_is_not_traded(
    world: dict[str, Any], data: st.DataObject
) -> None:
    ids, reasons = world["universe"].ids, st.sampled_from(sorted(UNTRADED))
    kept = data.draw(st.dictionaries(st.sampled_from(ids), reasons))
    made = planned(world, restraints=Restraints(untraded=kept))
    assert not {order.instrument for order in made.orders} & kept.keys()
    held = {line.instrument: (line.current_quantity, line.target_quantity) for line in made.lines()}
    lot = {each.id: each.rules.limit_step for each in world["universe"]}
    for name in kept:
        current, target = held[name]
        assert target is not None
        assert abs(target - current) < max(lot[name], world["universe"][name].rules.market_step)
    assert {skip.instrument for skip in made.skips()} >= kept.keys()


# ---------------------------------------------------------------------------- only reduced


def test_nothing_is_opened_in_what_is_only_reduced_and_the_line_says_why() -> None:
    bound = Restraints(reduced=frozenset({A.id}))
    made = plan([A, B], {A: "0.7", B: "0.2"}, HALF_A, PRICES, restraints=bound)
    assert wanted(made) == {"B": D(20)}
    assert why(made) == {"A": "only-reduced"}
    assert "reduce_only" in of_a(made).reason
    less = plan([A, B], {A: "0.3", B: "0.2"}, HALF_A, PRICES, restraints=bound)
    assert wanted(less) == {"A": D(-20), "B": D(20)}
    assert "less than wished" not in less.orders[0].reason


def test_the_owners_word_is_the_reason_where_there_are_others() -> None:
    bound = Restraints(reduced=frozenset({A.id}))
    made = plan([A], {A: "-0.3"}, account("1000"), PRICES, restraints=bound)
    assert why(made) == {"A": "only-reduced"}  # shorts are not allowed either


def test_of_a_reversal_of_it_the_closing_part_is_left() -> None:
    bound = Restraints(reduced=frozenset({A.id}))
    made = plan([A], {A: "-0.3"}, HALF_A, PRICES, exactly(allow_short=True), restraints=bound)
    (order,) = made.orders
    assert (order.quantity, order.part, order.reducing) == (D(-50), 0, True)
    assert order.reason.endswith("less than wished: " + Why.ONLY_REDUCED.sentence)


@many
@given(worlds(), st.data())
def test_only_reductions_are_ordered_in_what_is_only_reduced(
    world: dict[str, Any], data: st.DataObject
) -> None:
    names = data.draw(st.frozensets(st.sampled_from(world["universe"].ids)))
    made = planned(world, restraints=Restraints(reduced=names))
    assert all(order.reducing for order in made.orders if order.instrument in names)


# ---------------------------------------------------------------------------- in pieces


def in_pieces(
    largest: str, target: str = "0", one: Instrument = A, held: str = "50", **more: Any
) -> Plan:
    holding = account("1000", {one: held}, {"USD": "500"}, rates={"USDT": "1"})
    parameters = exactly(allow_short=True, **more)
    bound = Restraints(largest={one.id: D(largest)})
    return plan([one], {one: target}, holding, PRICES, parameters, restraints=bound)


@pytest.mark.parametrize(
    ("held", "largest", "quantity"),
    [
        ("50", "50", -50),
        ("50", "49.99", -25),
        ("50", "25", -25),
        ("50", "24", -17),  # three pieces: 17, 17, 16
        ("-50", "20", 17),
        ("7", "2.9", -2),  # three pieces would be 3, 3 and 1: too large
        ("50", "1", -1),
        ("50", "0.99", -50),  # not even one share: a gate says so
        ("50", "0", -50),
        ("50", "1e30", -50),
    ],
)
def test_a_large_reduction_goes_in_equal_pieces_one_a_run(
    held: str, largest: str, quantity: int
) -> None:
    (order,) = in_pieces(largest, held=held).orders
    assert (order.quantity, order.part) == (D(quantity), 0)
    assert order.notional == abs(quantity) * 10
    cut = abs(quantity) < abs(D(held))
    assert ("the rest follows in the next runs" in order.reason) is cut


def test_a_reduction_to_a_target_goes_in_pieces_too() -> None:
    (order,) = in_pieces("30", "0.1").orders  # 40 of 50 shares
    assert (order.quantity, order.target_quantity) == (D(-20), D(10))


def test_what_opens_is_never_cut() -> None:
    (order,) = in_pieces("30", "0.9").orders
    assert order.quantity == D(40)


@pytest.mark.parametrize(
    ("largest", "orders"),
    [("50", [(-50, 0), (-40, 1)]), ("49", [(-25, 0)]), ("0.5", [(-50, 0), (-40, 1)])],
)
def test_the_other_side_is_opened_in_the_run_that_closes_the_whole(
    largest: str, orders: list[tuple[int, int]]
) -> None:
    made = in_pieces(largest, "-0.4")
    assert [(int(order.quantity), order.part) for order in made.orders] == orders


def test_what_opens_is_not_cut_beside_what_is() -> None:
    bound = Restraints(largest={A.id: D(30), B.id: D(20)})
    holding = account("1000", {A: "50", B: "10"}, {"USD": "400"})
    made = plan([A, B], {B: "-0.4"}, holding, PRICES, exactly(allow_short=True), restraints=bound)
    assert [(o.instrument, int(o.quantity), o.part) for o in made.orders] == [
        (A.id, -25, 0), (B.id, -10, 0), (B.id, -40, 1),
    ]  # fmt: skip


def test_what_the_venue_takes_no_lot_of_is_dust_beside_what_is_cut() -> None:
    none = stock("B", rules=ruled(min_size=D("0.5"), max_size=D("0.5")))
    bound, holding = Restraints(largest={A.id: D(30)}), account("1000", {A: "50", none: "10"})
    made = plan([A, none], {}, holding, PRICES, restraints=bound)
    assert wanted(made) == {"A": D(-25)}
    assert why(made) == {"B": "dust"}


def test_other_instruments_open_while_one_leaves_in_pieces() -> None:
    bound = Restraints(largest={A.id: D(30)})
    short = account("1000", {A: "50", B: "-10"}, {"USD": "600"})
    made = plan([A, B], {B: "0.2"}, short, PRICES, exactly(allow_short=True), restraints=bound)
    assert [(o.instrument, int(o.quantity), o.part) for o in made.orders] == [
        (A.id, -25, 0), (B.id, 10, 0), (B.id, 20, 1),
    ]  # fmt: skip


def test_buys_are_planned_on_what_a_piece_brings() -> None:
    bound = Restraints(largest={A.id: D(60)})
    holding = account("1000", {A: "100"}, {"USD": "0"})
    made = plan([A, B], {B: "0.9"}, holding, PRICES, restraints=bound)
    assert wanted(made) == {"A": D(-50), "B": D(50)}
    assert made.orders[1].reason.endswith(Why.NOT_FUNDED.sentence)


@pytest.mark.parametrize(
    ("rules", "floor", "quantity"),
    [
        ({"lot": "5"}, "0", -20),  # 50 in three pieces of whole fives
        ({"lot": "5", "min_size": D(20)}, "0", -20),
        ({"lot": "5", "min_size": D(25)}, "0", -50),
        ({"lot": "25", "min_size": D(0)}, "0", -50),  # not one lot is within the bound
        ({"min_notional": D(170)}, "0", -17),
        ({"min_notional": D(171)}, "0", -50),
        ({}, "170", -17),
        ({}, "171", -50),
    ],
)
def test_what_a_piece_would_be_too_small_for_stays_whole(
    rules: dict[str, Any], floor: str, quantity: int
) -> None:
    one = stock("A", rules=ruled(**rules))
    made = in_pieces("24", one=one, min_order_notional=D(floor))
    assert [order.quantity for order in made.orders] == [D(quantity)]


def test_pieces_are_of_what_the_venue_takes_at_most() -> None:
    # Of 50 the venue takes 40 at once; of these a piece is 20.
    made = in_pieces("30", one=stock("A", rules=ruled(max_size=D(40))))
    assert [order.quantity for order in made.orders] == [D(-20)]


def test_a_bound_is_in_units_however_fine_the_holding_is() -> None:
    one = perpetual("C", rules=ruled("0.1", "0.001"))
    (order,) = in_pieces("0.4", one=one, held="0.9005").orders
    assert order.quantity == D("-0.300")


def test_what_is_not_in_the_universe_bounds_nothing() -> None:
    other = InstrumentId("Z.STK.USD@IB")
    bound = Restraints({other: Why.NO_TRADING}, frozenset({other}), {other: D(1)})
    made = plan([A], {A: "0.2"}, HALF_A, PRICES, restraints=bound)
    assert wanted(made) == {"A": D(-30)}


@many
@given(worlds(), st.data())
def test_a_reduction_is_within_its_bound_or_whole_and_alone_when_it_is_cut(
    world: dict[str, Any], data: st.DataObject
) -> None:
    sizes = st.decimals("0.001", "100000", places=3)
    largest = data.draw(st.dictionaries(st.sampled_from(world["universe"].ids), sizes))
    made, free = planned(world, restraints=Restraints(largest=largest)), planned(world)
    whole = {order.instrument: order.quantity for order in free.orders if order.reducing}
    parts: dict[InstrumentId, list[int]] = {}
    for order in made.orders:
        parts.setdefault(order.instrument, []).append(order.part)
    reductions = {order.instrument: order for order in made.orders if order.reducing}
    assert reductions.keys() == whole.keys()
    for name, order in reductions.items():
        assert whole[name] * order.quantity > 0
        if order.quantity != whole[name]:
            assert abs(order.quantity) <= min(largest[name], abs(whole[name]))
            assert parts[name] == [0]


@many
@given(worlds(turnover_budget=None), st.integers(1, 5))
def test_a_whole_book_leaves_in_pieces_but_for_dust(world: dict[str, Any], parts: int) -> None:
    world["signals"] = {each.name: signal(each.name, {}) for each in world["sleeves"]}
    world["universe"] = Universe(
        [replace(each, rules=replace(each.rules, max_size=None)) for each in world["universe"]]
    )
    made = planned(world)
    largest = {each.instrument: abs(each.quantity) / parts for each in made.orders}
    for _ in range(20):  # more than `parts`: where lots are large, pieces are small
        made = planned(world, restraints=Restraints(largest=largest))
        if not made.orders:
            break
        assert all(order.reducing for order in made.orders)
        world["account"] = after(world["account"], made, world["universe"], world["fees"])
    assert made.orders == ()
    left = {name for name in world["universe"].ids if world["account"].quantity(name)}
    assert {skip.code for skip in made.skips() if skip.instrument in left} <= {"dust"}
