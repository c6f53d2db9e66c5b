"""The stop-loss ladder: prices and pieces by hand, and what is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rebalancer.model.account import Position
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.orders import OrderStatus, Purpose, order_reference, parse_reference
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.stops import PlaceStop, StopOrder
from rebalancer.risk import Ladder, ProtectParameters, StopNames, best_group, ladder, unprotected
from tests.unit.risk.builders import NOW, SLOT, d

NAME = InstrumentId("BTCUSDT.PERP@BINANCE")
LOT = d("0.001")
RULES = TradingRules(
    (PriceLevel(d(0), d("0.1")),), LOT, LOT, LOT, min_notional=d(50), reduce_only_exempt=True
)
PERP = Instrument(NAME, Kind.PERPETUAL, "BTCUSDT", "USDT", "24/7", RULES)
RULED = ProtectParameters(enabled=True)


def held(quantity: str, cost: str = "100", mark: str | None = "100", **more: Any) -> Position:
    price = None if mark is None else d(mark)
    return Position(NAME, d(quantity), "USDT", price, None, d(cost), **more)


def stops(
    position: Position,
    own: tuple[StopOrder, ...] = (),
    parameters: ProtectParameters = RULED,
    instrument: Instrument = PERP,
    most: int = 50,
    **names: Any,
) -> Ladder:
    ours = replace(StopNames("demo", SLOT, 1), **names)
    return ladder(position, instrument, own, parameters, ours, most=most)


def waiting(place: PlaceStop, **changes: Any) -> StopOrder:
    """Return a stop as the venue shows it once it has it."""
    stop = StopOrder(
        place.reference, "1", place.instrument, place.quantity, place.trigger, place.limit,
        OrderStatus.WORKING, NOW,
    )  # fmt: skip
    return replace(stop, **changes)


def all_waiting(made: Ladder) -> tuple[StopOrder, ...]:
    return tuple(waiting(each) for each in made.place)


def shape(made: Ladder) -> list[tuple[Decimal, Decimal, Decimal | None]]:
    return [(each.quantity, each.trigger, each.limit) for each in made.place]


def test_a_long_position_gets_five_steps_below_its_cost() -> None:
    # 5, 5.5, 6, 6.5 and 7 % below 100; limits 0.5 % below each, rounded down to the tick:
    # 95 x 0.995 = 94.525, 94.5 x 0.995 = 94.0275, 93.53, 93.0325, 92.535
    made = stops(held("1"))
    fifth = d("-0.200")
    assert shape(made) == [
        (fifth, d("95.0"), d("94.5")),
        (fifth, d("94.5"), d("94.0")),
        (fifth, d("94.0"), d("93.5")),
        (fifth, d("93.5"), d("93.0")),
        (fifth, d("93.0"), d("92.5")),
    ]
    assert made.trouble == ""


def test_a_short_position_gets_them_above_and_they_buy() -> None:
    # 105 x 1.005 = 105.525 is rounded up: more willing to pay
    made = stops(held("-1"))
    assert shape(made)[0] == (d("0.200"), d("105.0"), d("105.6"))
    assert [each.trigger for each in made.place] == [
        d("105"), d("105.5"), d("106"), d("106.5"), d("107"),
    ]  # fmt: skip


def test_triggers_are_rounded_towards_the_market_so_that_no_loss_is_larger() -> None:
    # 33.33 x 0.95 = 31.6635: a long's trigger is 31.7, a short's 33.33 x 1.05 = 34.9965: 34.9
    assert stops(held("1", "33.33", "33")).place[0].trigger == d("31.7")
    assert stops(held("-1", "33.33", "33")).place[0].trigger == d("34.9")


def test_without_offset_the_stops_are_market_orders() -> None:
    market = replace(RULED, limit_offset=d(0))
    assert {each.limit for each in stops(held("1"), parameters=market).place} == {None}


def test_the_last_piece_takes_the_remainder() -> None:
    # 0.013 is 13 lots: 2 each, and 13 - 4 x 2 = 5 for the last
    assert [each.quantity for each in stops(held("0.013")).place] == [
        d("-0.002"), d("-0.002"), d("-0.002"), d("-0.002"), d("-0.005"),
    ]  # fmt: skip


def test_a_small_position_has_fewer_steps() -> None:
    assert shape(stops(held("0.002")))[0][:2] == (d("-0.001"), d("95"))
    assert len(stops(held("0.002")).place) == 2
    assert [each.quantity for each in stops(held("0.001")).place] == [d("-0.001")]


def test_where_closing_orders_need_a_smallest_notional_steps_are_fewer_too() -> None:
    # 1.5 x about 100 = 150 USDT in pieces of at least 50: at 94 x 0.5 = 47 too small for three
    strict = replace(PERP, rules=replace(RULES, reduce_only_exempt=False))
    assert [each.quantity for each in stops(held("1.5"), instrument=strict).place] == [
        d("-0.750"), d("-0.750"),
    ]  # fmt: skip


def test_what_is_no_multiple_of_a_lot_is_covered_whole() -> None:
    made = stops(held("0.0125"))
    assert sum(each.quantity for each in made.place) == d("-0.013")
    assert [e.quantity for e in stops(held("0.0004")).place] == [d("-0.001")]


def test_a_piece_above_the_largest_order_is_cut_at_the_same_trigger() -> None:
    large = replace(PERP, rules=replace(RULES, max_size=d(2)))
    made = stops(held("15"), instrument=large)
    assert [each.quantity for each in made.place][:2] == [d(-2), d(-1)]
    assert len({each.trigger for each in made.place}) == 5
    assert sum(each.quantity for each in made.place) == d(-15)


def test_at_most_so_many_stops_as_are_allowed_the_nearest_ones() -> None:
    assert [each.trigger for each in stops(held("1"), most=2).place] == [d("95"), d("94.5")]
    assert len(stops(held("1"), most=0).place) == 1


def test_references_are_protective_and_go_on_where_the_last_ended() -> None:
    made = stops(held("1"), first=7)
    parts = [parse_reference(each.reference, "demo") for each in made.place]
    assert [part["sequence"] for part in parts if part] == ["7", "8", "9", "10", "11"]
    assert {part["purpose"] for part in parts if part} == {"p"}


@pytest.mark.parametrize("quantity", ["1", "1.05", "0.953"])
def test_within_the_threshold_nothing_is_touched(quantity: str) -> None:
    own = all_waiting(stops(held("1")))
    assert stops(held(quantity), own) == Ladder()


@pytest.mark.parametrize("quantity", ["1.06", "0.9", "-1", "2"])
def test_beyond_it_a_new_set_is_placed_and_the_old_goes_afterwards(quantity: str) -> None:
    own = all_waiting(stops(held("1")))
    made = stops(held(quantity), own, slot=SLOT + timedelta(hours=1))
    assert sum(each.quantity for each in made.place) == -d(quantity)
    assert made.cancel == own
    assert not {each.reference for each in made.place} & {each.reference for each in own}


def test_what_triggered_and_closed_its_part_leaves_the_others_in_place() -> None:
    # the first of five fired: 0.8 is held, and four stops of 0.2 wait
    own = all_waiting(stops(held("1")))[1:]
    assert stops(held("0.8", mark="94.9"), own) == Ladder()


def test_of_two_complete_sets_the_newest_stays() -> None:
    old = all_waiting(stops(held("1")))
    new = all_waiting(stops(held("1"), slot=SLOT + timedelta(hours=1)))
    assert stops(held("1"), (*old, *new)) == Ladder(cancel=old)
    torn = new[:3]  # a run died while it placed them
    assert stops(held("1"), (*old, *torn)) == Ladder(cancel=torn)


def test_a_stop_that_is_not_confirmed_covers_nothing() -> None:
    own = all_waiting(stops(held("1")))
    unsure = tuple(replace(each, status=OrderStatus.UNKNOWN) for each in own)
    assert len(stops(held("1"), unsure, attempt=2).place) == 5


def test_a_stop_behind_the_mark_is_none_and_the_others_share_the_position() -> None:
    # the mark at 94.2 is below 95 and 94.5: three stops take a third each
    made = stops(held("0.9", mark="94.2"))
    assert shape(made)[0][:2] == (d("-0.300"), d("94.0"))
    assert len(made.place) == 3
    assert "94.2 is beyond its stop at 95.0" in made.trouble


@pytest.mark.parametrize(
    ("quantity", "mark", "trigger"), [("1", "80", "79.6"), ("-1", "120", "120.6")]
)
def test_with_every_stop_behind_the_mark_one_stays_just_beyond_it(
    quantity: str, mark: str, trigger: str
) -> None:
    # half a per cent from the mark
    made = stops(held(quantity, mark=mark))
    assert [(e.quantity, e.trigger) for e in made.place] == [(-d(quantity), d(trigger))]
    assert "beyond its stop" in made.trouble


def test_stops_beyond_the_liquidation_are_none() -> None:
    some_left = stops(held("1", liquidation_price=d("93.7")))
    assert [each.trigger for each in some_left.place] == [d("95"), d("94.5"), d("94")]
    assert some_left.trouble == ""
    none_left = stops(held("1", liquidation_price=d("97")))
    assert [(e.quantity, e.trigger) for e in none_left.place] == [(d(-1), d("99.5"))]
    assert "liquidation at 97" in none_left.trouble
    near = stops(held("1", liquidation_price=d("99.6")))
    assert [each.trigger for each in near.place] == [d("99.8")]  # half-way


def test_without_average_cost_the_mark_counts_and_without_both_there_is_doubt() -> None:
    marked = replace(held("1"), average_cost=None)
    assert stops(marked).place[0].trigger == d("95")
    assert stops(replace(marked, price=None)).doubt
    assert stops(held("1", mark=None)).place[0].trigger == d("95")


def test_unprotected_is_who_has_no_stop_on_the_right_side() -> None:
    own = all_waiting(stops(held("1")))
    assert unprotected((), held("1"), "demo")
    assert unprotected(own, held("-1"), "demo")
    assert not unprotected(own[:1], held("1"), "demo")


def test_the_best_set_covers_most_and_others_stops_are_no_set() -> None:
    old = all_waiting(stops(held("1")))
    new = all_waiting(stops(held("1"), slot=SLOT + timedelta(hours=1)))[:3]
    foreign = replace(old[0], reference="by-hand", quantity=d(-9))
    assert best_group((*old, *new, foreign), held("1"), "demo") == old


def test_an_ordinary_orders_reference_is_no_stop_of_the_ladder() -> None:
    name = order_reference("demo", SLOT, 1, NAME, 0, Purpose.REBALANCE)
    assert parse_reference(name, "demo") is not None
    assert "r1" in name


def test_a_stop_names_its_instrument() -> None:
    assert {each.instrument for each in stops(held("1")).place} == {NAME}


def test_market_stops_come_in_market_lots_and_limit_stops_in_limit_lots() -> None:
    rules = replace(RULES, limit_step=d("0.1"), market_step=d("0.3"), min_size=d("0.1"))
    instrument = replace(PERP, rules=rules)
    limits = stops(held("1"), instrument=instrument)
    assert sum(each.quantity for each in limits.place) == d("-1")
    markets = stops(held("1"), instrument=instrument, parameters=replace(RULED, limit_offset=d(0)))
    # 1 is 3.33 market lots: four are needed.
    assert sum(each.quantity for each in markets.place) == d("-1.2")


def test_the_worth_of_a_piece_counts_its_multiplier() -> None:
    # Five pieces of 0.2 at 93 x 10 / 4 are 46.5 each: less than 47; four of 0.25 are more.
    rules = replace(RULES, min_notional=d(47), reduce_only_exempt=False)
    instrument = replace(PERP, rules=rules, multiplier=d(10), magnifier=d(4))
    assert len(stops(held("1"), instrument=instrument).place) == 4
    # 93 x 0.2 x 10 / 4 = 46.5 exactly is enough.
    exact = replace(instrument, rules=replace(rules, min_notional=d("46.5")))
    assert len(stops(held("1"), instrument=exact).place) == 5


def test_where_one_piece_alone_is_too_small_it_is_placed_all_the_same() -> None:
    rules = replace(RULES, min_notional=d(10**6), reduce_only_exempt=False)
    (only,) = stops(held("1"), instrument=replace(PERP, rules=rules)).place
    assert only.quantity == d("-1")
    two = replace(RULES, min_notional=d(45), reduce_only_exempt=False)
    assert len(stops(held("1"), instrument=replace(PERP, rules=two)).place) == 2


@pytest.mark.parametrize(("quantity", "end"), [("1", "94.5"), ("-1", "105.5")])
def test_a_stop_at_the_liquidation_itself_comes_too_late(quantity: str, end: str) -> None:
    position = held(quantity, liquidation_price=d(end))
    made = stops(position)
    assert {each.trigger for each in made.place} == {d("95") if quantity == "1" else d("105")}
    assert made.trouble == ""


def test_with_all_of_them_beyond_the_liquidation_the_first_is_told() -> None:
    long = stops(held("1", liquidation_price=d(97)))
    assert long.trouble == "its stops from 95.0 on lie beyond its liquidation at 97"
    # A step of half a per cent below the mark is 99.5.
    assert [each.trigger for each in long.place] == [d("99.5")]
    short = stops(held("-1", liquidation_price=d(103)))
    assert short.trouble == "its stops from 105.0 on lie beyond its liquidation at 103"
    assert [each.trigger for each in short.place] == [d("100.5")]


@pytest.mark.parametrize(
    ("quantity", "mark", "end", "trigger"),
    # Half-way between mark and liquidation, on the tick that is farther from the mark.
    [("1", "100", "99.75", "99.8"), ("-1", "100", "100.25", "100.2")],
)
def test_so_near_to_its_liquidation_the_stop_lies_half_way(
    quantity: str, mark: str, end: str, trigger: str
) -> None:
    made = stops(held(quantity, mark=mark, liquidation_price=d(end)))
    assert [each.trigger for each in made.place] == [d(trigger)]


@pytest.mark.parametrize("end", ["0", "-5", "0.5"])
def test_a_long_position_with_hardly_any_leverage_has_its_whole_ladder(end: str) -> None:
    assert len(stops(held("1", liquidation_price=d(end))).place) == 5


def test_a_difference_of_just_the_threshold_is_left_alone() -> None:
    own = all_waiting(stops(held("1")))
    # 5 % of 1.05 is 0.0525, more than the 0.05 that are missing; of 1.0527 it is 0.0526 of 0.0527.
    assert stops(held("1.05"), own).place == ()
    assert stops(held("1.052"), own).place == ()
    assert stops(held("1.053"), own).place != ()
    exactly = replace(RULED, reset_threshold=d("0.2"))
    assert stops(held("1.25"), own, exactly).place == ()
    assert stops(held("1.251"), own, exactly).place != ()


@pytest.mark.parametrize("cost", ["0", "-1", "NaN"])
def test_an_average_cost_that_is_none_is_not_used(cost: str) -> None:
    assert shape(stops(held("1", cost))) == shape(stops(held("1", "100")))
    assert stops(held("1", cost, mark=None)).doubt
    assert stops(held("1", cost, mark="0")).doubt
    assert stops(held("1", cost, mark="NaN")).doubt


def test_without_stops_the_best_set_is_an_empty_one() -> None:
    assert best_group((), held("1"), "demo") == ()


def test_a_ladder_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="below cost"):
        ProtectParameters(base_distance=d("0.9"), steps=5, step_distance=d("0.1"))


@given(
    lots=some.integers(1, 10**6),
    side=some.sampled_from((1, -1)),
    steps=some.integers(1, 20),
    cost=some.decimals("0.5", "90000", places=3),
    move=some.decimals("-0.3", "0.3", places=3),
    most=some.integers(1, 30),
)
def test_whatever_happens_the_whole_position_is_covered_behind_the_mark(
    lots: int, side: int, steps: int, cost: Decimal, move: Decimal, most: int
) -> None:
    mark = (cost * (1 + move)).quantize(d("0.001"))
    position = Position(NAME, side * lots * LOT, "USDT", mark, None, cost)
    made = stops(position, parameters=replace(RULED, steps=steps), most=most)
    assert sum(each.quantity for each in made.place) == -position.quantity
    assert 1 <= len(made.place) <= max(1, min(steps, most))
    for each in made.place:
        assert each.trigger % d("0.1") == 0
        assert each.quantity % LOT == 0
        assert each.trigger > 0
        assert side * (mark - each.trigger) > 0
        assert each.limit is not None
        assert side * (each.trigger - each.limit) >= 0
    assert stops(position, all_waiting(made)).place == ()
