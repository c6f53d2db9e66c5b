"""Each gate alone: it says no to what it does not know, whether or not another gate did before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rebalancer.model.flags import RUN, ErrorFlag, Severity, Step, TradingState
from rebalancer.model.instrument import Kind, PriceSign
from rebalancer.model.market import Quote
from rebalancer.model.orders import OrderIntent
from rebalancer.model.rules import PriceBand, TradingRules
from rebalancer.risk import apply_gates, data_quality, order_gates, run_gates
from rebalancer.risk.candidates import candidates
from rebalancer.risk.parameters import Override
from rebalancer.risk.terms import Candidate, GateInput
from rebalancer.risk.venue_bounds import (
    below_venue_notional,
    below_venue_position,
    inside_venue_band,
)
from rebalancer.risk.venue_gates import room_for_an_order
from tests.unit.risk.builders import (
    CLOSE,
    NOW,
    A,
    B,
    C,
    a_position,
    a_quote,
    a_stock,
    an_account,
    an_intent,
    d,
    gate_input,
    identifier,
    some_limits,
)

Check = Callable[[Candidate, GateInput], str | None]
BUY = an_intent(A, "10")


def asked(check: Check, intent: OrderIntent = BUY, **given: Any) -> str | None:
    """Return what one gate says of one order."""
    whole = gate_input([intent], **given)
    return check(candidates(whole)[0], whole)


def of_quote(check: Check, quote: Quote | None, **given: Any) -> str | None:
    """Return what one gate says of a buy at one quote."""
    return asked(check, quotes=[] if quote is None else [quote], **given)


def a_flag(code: str, subject: str, severity: Severity = Severity.HOLD) -> ErrorFlag:
    return ErrorFlag(Step.NET_LIQUIDATION, code, subject, severity, "why")


# ---------------------------------------------------------------------------- without an answer


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (data_quality.quote_there, "no quote"),
        (data_quality.quote_fresh, "no quote"),
        (data_quality.spread_narrow, "its spread is unknown"),
        (data_quality.near_last_close, "its last close is unknown"),
        (
            order_gates.small_part_of_volume,
            "its volume is unknown and the portfolio does not allow that",
        ),
    ],
)
def test_without_a_quote_every_gate_that_reads_one_refuses(check: Check, said: str) -> None:
    assert of_quote(check, None) == said


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (order_gates.well_formed, f"{identifier('Z')} is not in the universe"),
        (order_gates.on_grid, "its rules are unknown"),
        (order_gates.small_enough, "its value is unknown"),
        # These say no to some instruments only: that it is none is said above.
        (order_gates.whole_shares, None),
        (order_gates.no_day_trade, None),
        (inside_venue_band, None),
        (below_venue_position, None),
        (below_venue_notional, None),
        (room_for_an_order, None),
    ],
)
def test_what_is_not_in_the_universe_breaks_no_gate(check: Check, said: str | None) -> None:
    limits = some_limits(pattern_day_trader_equity=d(10**6))
    strange = an_intent(identifier("Z"), "0.5")
    assert asked(check, strange, limits=limits) == said
    (only,) = candidates(gate_input([strange], worst_price_bps=d(50)))
    assert (only.worst, only.price) == (d(100), d(100))  # of what is not known only its limit


# ---------------------------------------------------------------------------- the run


def test_why_a_run_sends_nothing_or_only_reductions() -> None:
    assert asked(run_gates.no_halt, state=TradingState.HALTED) == "the trading state is HALTED"
    halt = a_flag("drawdown", RUN, Severity.HALT)
    assert asked(run_gates.no_halt, flags=(halt,)) == "the run is halted (drawdown): why"
    assert asked(run_gates.session_open, session=None) == "the market is closed"
    assert asked(run_gates.only_reductions, state=TradingState.REDUCING) == (
        "the trading state is REDUCING: only reductions are sent"
    )
    stale = a_flag("rate-stale", "currency:USD", Severity.NOTE)
    assert asked(run_gates.only_reductions, flags=(stale,)) == (
        "only reductions are sent in USD: why"
    )
    cash = a_flag("unexplained-cash-large", RUN)
    assert asked(run_gates.only_reductions, flags=(cash,)) == (
        "only reductions are sent (unexplained-cash-large): why"
    )


def test_a_stale_rate_stops_its_own_currency_and_a_note_about_it_nothing() -> None:
    for code, currency in (("rate-stale", "EUR"), ("unexplained-cash", "USD")):
        note = a_flag(code, f"currency:{currency}", Severity.NOTE)
        assert asked(run_gates.only_reductions, flags=(note,)) is None


def test_the_windows_end_is_the_owners() -> None:
    # 30 minutes before the close at 21:00: until 20:30.
    limits = some_limits(order_window_before_close_minutes=30.0)
    late: dict[str, Any] = {"limits": limits, "venue_now": CLOSE - timedelta(minutes=30)}
    assert asked(run_gates.session_open, **late) == (
        "20:30 UTC is outside the order window 14:45 to 20:30 UTC"
    )
    assert asked(
        run_gates.session_open, limits=limits, venue_now=CLOSE - timedelta(minutes=31)
    ) is None  # fmt: skip


def test_what_the_owner_forbids_is_said_in_his_own_words() -> None:
    none = {A: Override(no_trading=True)}
    assert asked(run_gates.owner_allows, overrides=none) == (
        "the configuration says no_trading for it"
    )
    reduce = {A: Override(reduce_only=True)}
    assert asked(run_gates.owner_allows, overrides=reduce) == (
        "the configuration says reduce_only for it"
    )


def test_a_venue_that_takes_no_orders_is_taken_as_closed() -> None:
    assert of_quote(run_gates.venue_agrees, a_quote(A, trading=False)) == (
        "the calendar says open and the venue takes no orders in it; taken as closed"
    )


def test_a_hold_on_the_instruments_currency_counts_whatever_the_order_says_of_it() -> None:
    name = identifier("SAP", "EUR")
    wrong = replace(an_intent(name, "1"), currency="USD")
    flag = a_flag("rate-missing", "currency:EUR")
    assert asked(run_gates.not_held, wrong, stocks=[a_stock(name)], flags=(flag,)) == (
        "currency:EUR is on hold (rate-missing): why"
    )


@pytest.mark.parametrize(
    ("first", "leaving"),
    [("symbol-loss", ""), ("history-stale", "it is delisted")],
)
def test_a_hold_that_lets_a_reduction_pass_hides_no_other(first: str, leaving: str) -> None:
    given: dict[str, Any] = {
        "account": an_account(a_position(A, "10")),
        "stocks": [a_stock(A, leaving=leaving)],
    }
    out, flags = an_intent(A, "-10"), (a_flag(first, A), a_flag("unresolved-order", A))
    assert asked(run_gates.not_held, out, flags=flags[:1], **given) is None
    assert asked(run_gates.not_held, out, flags=flags, **given) == (
        f"{A} is on hold (unresolved-order): why"
    )


def test_a_closed_market_counts_what_it_kept_back_in_one_note() -> None:
    intents = [an_intent(A, "10"), an_intent(B, "10", sequence=1), an_intent(C, "1", sequence=2)]
    no_trading = {C: Override(no_trading=True)}
    found = apply_gates(gate_input(intents, session=None, overrides=no_trading))
    assert [(f.code, f.subject, f.message) for f in found.flags] == [
        ("session-closed", RUN, "the market is closed; 3 orders were not sent")
    ]
    # One of the three is refused for its quote alone: a flag of its own, and it is not counted.
    quotes = [a_quote(name, next_funding=NOW + timedelta(seconds=30)) for name in (A, B)]
    mixed = apply_gates(gate_input(intents, quotes=quotes))
    assert [(f.code, f.subject, f.message) for f in mixed.flags] == [
        (
            "funding-window", RUN,
            "funding is exchanged at 15:05 UTC; nothing is sent 60 s around it; "
            "2 orders were not sent",
        ),
        ("order-refused", C, f"{C}: gate quote refused 1: no quote"),
    ]  # fmt: skip


# ---------------------------------------------------------------------------- prices


@pytest.mark.parametrize(
    ("bid", "ask", "said"),
    [
        ("0", "0.01", "its quote 0 / 0.01 is not positive"),
        ("0.01", "0", "its quote 0.01 / 0 is not positive"),
        ("0.4", "0.5", None),  # a penny stock is none the worse for it
        ("101", "100", "its quote is crossed: bid 101 above ask 100"),
    ],
)
def test_a_quote_is_positive_and_in_its_order(bid: str, ask: str, said: str | None) -> None:
    quote = a_quote(A, bid=d(bid), ask=d(ask))
    assert of_quote(data_quality.quote_there, quote) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-60, None), (-61, "its quote is 61 s old; the limit is 60 s"),
        (5, None), (6, "its quote is 6 s in the future"),
    ],
)  # fmt: skip
def test_a_quote_is_of_now(seconds: int, said: str | None) -> None:
    quote = a_quote(A, at=NOW + timedelta(seconds=seconds))
    assert of_quote(data_quality.quote_fresh, quote) == said


def test_a_spread_around_nothing_is_unknown() -> None:
    for changes in ({"bid": None}, {"ask": None}, {"bid": d(-1), "ask": d(1)}):
        assert of_quote(data_quality.spread_narrow, a_quote(A, **changes)) == (
            "its spread is unknown"
        )
    # (102 - 98) / 100 = 400 bps.
    wide = a_quote(A, bid=d(98), ask=d(102))
    assert of_quote(data_quality.spread_narrow, wide) == (
        "its spread is 400 bps (98 / 102); the limit is 200 bps"
    )
    assert of_quote(data_quality.spread_narrow, wide, limits=some_limits(max_spread_bps=d(400))) is None  # fmt: skip # noqa: E501


@pytest.mark.parametrize(
    ("limit", "middle", "bps", "said"),
    # The last close is 100, the collar 15 %.
    [
        ("115", "100", "0", None), ("85", "100", "0", None),
        ("115.01", "100", "0",
         "its limit 115.01 is 15 % above the last close 100; the limit is 15 %"),
        ("84", "100", "0", "its limit 84 is 16 % below the last close 100; the limit is 15 %"),
        # 100 x 1.16
        ("100", "100", "1600",
         "its worst price 116 is 16 % above the last close 100; the limit is 15 %"),
        ("100", "120.123456", "0",
         "its middle 120.1235 is 20.1 % above the last close 100; the limit is 15 %"),
    ],
)  # fmt: skip
def test_no_price_is_far_from_the_last_close(
    limit: str, middle: str, bps: str, said: str | None
) -> None:
    quote = a_quote(A, middle, close=d(100))
    order = an_intent(A, "10", limit)
    assert asked(
        data_quality.near_last_close, order, quotes=[quote], worst_price_bps=d(bps)
    ) == said  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "close", "said"),
    [
        # Below 1 all digits are there, from 1 on four of them.
        ("0.00002", "0.00001", "its limit 0.00002 is 100 % above the last close 0.00001"),
        ("1.234567", "1", "its limit 1.2346 is 23.5 % above the last close 1"),
        ("1", "0.5", "its limit 1 is 100 % above the last close 0.5"),
    ],
)
def test_the_price_of_a_cheap_thing_is_told_with_its_digits(
    limit: str, close: str, said: str
) -> None:
    order = an_intent(A, "10", limit)
    quotes = [a_quote(A, close, close=d(close))]
    assert asked(data_quality.near_last_close, order, quotes=quotes) == (
        f"{said}; the limit is 15 %"
    )


@pytest.mark.parametrize("changes", [{"bid": None}, {"ask": d("NaN")}])
def test_a_middle_that_is_not_known_is_not_near_the_last_close(changes: dict[str, Any]) -> None:
    assert of_quote(data_quality.near_last_close, a_quote(A, **changes)) == "its middle is unknown"


def test_prices_of_any_sign_have_no_spread_around_zero() -> None:
    combo = a_stock(A, price_sign=PriceSign.ANY)
    given = gate_input([BUY], stocks=[combo], quotes=[a_quote(A, "0", close=d(100))])
    assert apply_gates(given).refused[0].reason == "its spread is unknown"


# ---------------------------------------------------------------------------- size and side


def ruled(intent: OrderIntent, **rules: Any) -> str | None:
    """Return what the grid says of an order of 100 EUR x 4 / 2 a unit."""
    name = identifier("SAP", "EUR")
    stock = a_stock(name, rules=TradingRules(**rules), multiplier=d(4), magnifier=d(2))
    return asked(order_gates.on_grid, intent, stocks=[stock])


def test_the_venues_sizes_hold_up_to_themselves() -> None:
    ten = an_intent(identifier("SAP", "EUR"), "10")
    assert ruled(ten, min_size=d(10), max_size=d(10)) is None
    assert ruled(ten, max_size=d(9)) == "its size 10 is above the largest, 9"
    # 10 x 100 x 4 / 2 = 2,000
    assert ruled(ten, min_notional=d(2000)) is None
    assert ruled(ten, min_notional=d("2000.01")) == (
        "2,000 EUR is below the venue's smallest order, 2,000 EUR"
    )


def test_only_shares_must_be_whole() -> None:
    half = an_intent(A, "0.5")
    assert asked(order_gates.whole_shares, half) == "0.5 is not a whole number of shares"
    for kind in (Kind.SPOT, Kind.PERPETUAL, Kind.FUTURE):
        assert asked(order_gates.whole_shares, half, stocks=[a_stock(A, kind=kind)]) is None


@pytest.mark.parametrize(("quantity", "side"), [("1", "sold"), ("0.5", "sold"), ("-1", "bought")])
def test_a_day_trade_is_one_from_the_smallest_order_on(quantity: str, side: str) -> None:
    account = an_account(a_position(A, "50"), cash={"USD": "19999"})
    limits = some_limits(pattern_day_trader_equity=d(25_000))
    given = {"account": account, "limits": limits, side: frozenset({A})}
    order = an_intent(A, quantity)
    assert asked(order_gates.no_day_trade, order, **given) == (
        f"it was {side} in this session: a day trade on 24,999 USD; at least 25,000 USD is needed"
    )
    coin = [a_stock(A, kind=Kind.SPOT)]  # day trades are of shares
    assert asked(order_gates.no_day_trade, order, stocks=coin, **given) is None


# ---------------------------------------------------------------------------- the venue's bounds


def test_a_band_without_its_reference_refuses_both_sides() -> None:
    unknown = "the price is unknown around which the venue takes limits"
    one_sided = TradingRules(buy_band=PriceBand(None, d("1.05")))
    other_side = TradingRules(sell_band=PriceBand(d("0.95"), None))
    for rules in (one_sided, other_side):
        stocks = [a_stock(A, kind=Kind.PERPETUAL, rules=rules)]
        for close in (None, d(0), d(-1), d("NaN")):
            assert of_quote(inside_venue_band, a_quote(A, close=close), stocks=stocks) == unknown
        assert of_quote(inside_venue_band, None, stocks=stocks) == unknown
    # 0.5 is a price like any other: up to 0.525.
    stocks = [a_stock(A, kind=Kind.PERPETUAL, rules=one_sided)]
    for limit, said in (
        ("0.52", None), ("0.53", "its limit 0.53 is above the venue's highest, 0.525")
    ):  # fmt: skip
        quotes = [a_quote(A, "0.5")]
        assert asked(inside_venue_band, an_intent(A, "1", limit), stocks=stocks, quotes=quotes) == (
            said
        )


def test_a_worst_price_that_could_not_be_drawn_in_is_named() -> None:
    # Without a quote nothing draws 100 x 1.02 below the highest price.
    stocks = [a_stock(A, rules=TradingRules(max_price=d(101)))]
    assert asked(inside_venue_band, stocks=stocks, quotes=[], worst_price_bps=d(200)) == (
        "its worst price 102 is above the venue's highest, 101"
    )


def test_a_full_position_takes_not_even_the_smallest_buy() -> None:
    stocks = [a_stock(A, rules=TradingRules(max_position=d(10)))]
    account = an_account(a_position(A, "10"))
    for quantity, after in (("1", "11"), ("0.5", "10.5")):
        order = an_intent(A, quantity)
        assert asked(below_venue_position, order, stocks=stocks, account=account) == (
            f"{after} would be held; the venue's largest position is 10"
        )
