"""Each gate has a property, and what the property draws goes both ways at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from hypothesis import Phase, find, settings
from hypothesis import strategies as st

from rebalancer.model.universe import Sleeve
from rebalancer.risk import GATES, JOINT_GATES, Verdicts, apply_gates
from tests.unit.risk import (
    test_properties as limits,
)
from tests.unit.risk import (
    test_properties_of_hours as hours,
)
from tests.unit.risk import (
    test_properties_of_money as money,
)
from tests.unit.risk import (
    test_properties_of_orders as orders,
)
from tests.unit.risk import (
    test_properties_of_quotes as quotes,
)
from tests.unit.risk import (
    test_properties_of_venue_rules as venue,
)
from tests.unit.risk.builders import A, B


@dataclass(frozen=True)
class Property:
    """A property test, what it draws, and how that is judged."""

    test: Callable[..., None]
    cases: st.SearchStrategy[Any]
    judge: Callable[[Any], Verdicts] = apply_gates


PAIR = Sleeve("pair", (A, B), Decimal(1), neutral=True)
FLAGS = Property(
    hours.test_flags_and_states_refuse_what_they_are_about_and_nothing_else,
    hours.runs_that_may_not_do_everything(),
)
LEVERAGE = Property(
    money.test_nothing_is_opened_beyond_gross_or_net_leverage, money.books_of_leverage()
)

PROPERTIES: dict[str, Property] = {
    "halt": FLAGS,
    "net-liquidation": Property(
        orders.test_nothing_is_approved_on_a_worth_that_is_no_positive_number,
        orders.accounts_of_any_worth(),
    ),
    "session": Property(
        hours.test_nothing_is_approved_outside_the_session_or_in_its_first_and_last_minutes,
        hours.times_around_a_session(),
    ),
    "restart": Property(
        hours.test_nothing_is_approved_while_the_gateway_restarts, hours.times_around_a_restart()
    ),
    "funding": Property(
        hours.test_nothing_is_approved_around_a_funding_payment,
        hours.times_around_a_funding_payment(),
    ),
    "override": Property(
        limits.test_an_override_holds_and_never_approves_more,
        st.tuples(limits.inputs(), st.dictionaries(st.sampled_from(limits.NAMES), limits.owners)),
        lambda both: apply_gates(replace(both[0], overrides=both[1])),
    ),
    "hold": FLAGS,
    "reducing": FLAGS,
    "form": Property(
        orders.test_only_orders_made_of_sound_numbers_are_approved_and_each_once,
        orders.orders_of_any_form(),
    ),
    "leaving": Property(
        venue.test_of_what_the_venue_closes_only_the_way_out_is_approved,
        venue.trades_in_what_the_venue_closes(),
    ),
    "venue-hours": Property(
        hours.test_nothing_is_approved_while_the_venue_says_that_it_takes_no_orders,
        hours.venues_that_are_shut(),
    ),
    "quote": Property(
        quotes.test_nothing_is_traded_without_a_bid_and_an_ask_in_their_order,
        quotes.quotes_of_any_kind(),
    ),
    "freshness": Property(
        quotes.test_no_order_rests_on_a_quote_that_is_old_delayed_or_of_the_future,
        quotes.quotes_of_any_age(),
    ),
    "spread": Property(
        quotes.test_no_order_crosses_a_spread_above_the_limit, quotes.quotes_of_any_width()
    ),
    "collar": Property(
        quotes.test_no_price_of_an_order_is_beyond_the_collar, quotes.prices_around_a_close()
    ),
    "grid": Property(
        venue.test_what_is_approved_is_on_the_grid_of_prices_and_sizes,
        venue.orders_on_and_off_the_grid(),
    ),
    "venue-band": Property(
        venue.test_no_limit_and_no_worst_price_is_outside_what_the_venue_takes,
        venue.limits_around_bands(),
    ),
    "venue-position": Property(
        venue.test_no_buys_together_pass_the_venues_largest_position,
        venue.holdings_near_the_largest(),
    ),
    "venue-notional": Property(
        venue.test_no_order_is_worth_more_than_the_venue_takes_in_one,
        venue.orders_near_the_largest(),
    ),
    "venue-orders": Property(
        venue.test_no_order_is_one_more_than_the_venue_lets_work, venue.orders_that_work_already()
    ),
    "fraction": Property(
        venue.test_no_fraction_of_a_share_is_approved_unless_allowed, venue.quarters_of_shares()
    ),
    "short": Property(
        venue.test_nothing_is_sold_short_unless_owner_and_venue_allow_it,
        venue.sales_of_what_may_not_be_there(),
    ),
    "size": Property(
        orders.test_no_order_buy_or_sale_is_larger_than_an_order_may_be,
        orders.orders_of_any_size(),
    ),
    "participation": Property(
        orders.test_no_order_is_too_large_a_part_of_what_is_traded_in_a_session,
        orders.orders_in_thin_markets(),
    ),
    "day-trade": Property(
        hours.test_a_small_account_undoes_no_trade_of_the_session,
        hours.sessions_in_which_was_traded(),
    ),
    "orders": Property(
        orders.test_no_order_is_one_too_many_of_a_run_a_session_or_the_last_sessions,
        orders.runs_of_many_orders(),
    ),
    "others": Property(
        money.test_nothing_is_opened_while_something_of_the_account_is_unknown,
        money.accounts_in_the_dark(),
    ),
    "turnover": Property(
        orders.test_nothing_is_opened_beyond_what_a_session_or_the_last_sessions_may_trade,
        orders.sessions_of_much_trading(),
    ),
    "concentration": Property(
        money.test_no_position_becomes_larger_than_one_may_be, money.additions_to_a_position()
    ),
    "gross": LEVERAGE,
    "net": LEVERAGE,
    "cash": Property(
        money.test_nothing_is_bought_with_cash_that_is_not_there_or_not_settled,
        money.cash_accounts(),
    ),
    "margin": Property(
        money.test_what_is_approved_leaves_the_cushion_above_the_margin_by_our_estimate,
        money.accounts_on_margin(),
    ),
    # In no table: what says no besides them.
    "fee": Property(
        money.test_no_order_is_approved_whose_fee_is_not_known_in_its_currency,
        money.fees_in_another_currency(),
    ),
    "reversal": Property(
        orders.test_nothing_is_opened_that_its_other_part_does_not_close_first, orders.reversals()
    ),
    "neutral": Property(
        limits.test_a_neutral_sleeve_is_whole_or_absent,
        limits.inputs(),
        lambda asked: apply_gates(replace(asked, sleeves=(PAIR,))),
    ),
    "margin-preview": Property(
        money.test_what_the_venue_answers_on_margin_leaves_the_cushion_and_no_answer_is_a_no,
        money.answers_on_margin(),
        money.Asked.verdicts,
    ),
}
BESIDES = {"fee", "reversal", "neutral", "margin-preview"}
OF_GATES: tuple[ModuleType, ...] = (hours, money, orders, quotes, venue)


def test_every_gate_has_a_property_and_every_property_is_of_a_gate() -> None:
    in_tables = {gate.name for gate in GATES} | {gate.name for gate in JOINT_GATES}
    assert set(PROPERTIES) == in_tables | BESIDES
    written = {
        name
        for module in OF_GATES
        for name, test in vars(module).items()
        if name.startswith("test_") and callable(test)
    }
    assert written <= {each.test.__name__ for each in PROPERTIES.values()}
    assert all(hasattr(each.test, "hypothesis") for each in PROPERTIES.values())


@pytest.mark.parametrize("refuses", [True, False], ids=["refused", "passed"])
@pytest.mark.parametrize("gate", PROPERTIES)
def test_what_is_drawn_goes_both_ways_at_its_gate(gate: str, *, refuses: bool) -> None:
    of_gate = PROPERTIES[gate]

    def reached(case: Any) -> bool:
        verdicts = of_gate.judge(case)
        refused = any(each.gate == gate for each in verdicts.refused)
        return refused if refuses else bool(verdicts.approved) and not refused

    alone = settings(max_examples=500, database=None, derandomize=True, phases=[Phase.generate])
    find(of_gate.cases, reached, settings=alone)  # raises where there is none
