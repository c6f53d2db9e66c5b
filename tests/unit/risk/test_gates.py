"""Step 7: each gate by itself, with its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.model.flags import RUN, ErrorFlag, Severity, Step, TradingState
from rebalancer.model.instrument import InstrumentId, Kind, PriceSign
from rebalancer.model.market import Freshness, Quote
from rebalancer.model.orders import (
    OrderIntent,
    OrderStatus,
    OrderType,
    WorkingOrder,
    parse_reference,
)
from rebalancer.model.rules import PriceLevel, TradingRules
from rebalancer.model.universe import Sleeve
from rebalancer.risk import GATES, JOINT_GATES, Verdicts, apply_gates
from tests.unit.risk.builders import (
    CLOSE,
    NOW,
    OPEN,
    SESSION,
    A,
    B,
    C,
    FlatFee,
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


def a_flag(code: str, subject: str, severity: Severity) -> ErrorFlag:
    return ErrorFlag(Step.NET_LIQUIDATION, code, subject, severity, "why")


def refusal(verdicts: Verdicts) -> tuple[str, str]:
    assert verdicts.approved == ()
    assert len(verdicts.refused) == 1
    return verdicts.refused[0].gate, verdicts.refused[0].reason


def judged(intent: OrderIntent, **changes: Any) -> Verdicts:
    return apply_gates(gate_input([intent], **changes))


BUY = an_intent(A, "10")


def test_every_gate_has_a_name_of_its_own() -> None:
    names = [gate.name for gate in GATES] + [gate.name for gate in JOINT_GATES]
    assert len(names) == len(set(names))


def test_an_ordinary_order_is_approved() -> None:
    verdicts = judged(BUY, worst_price_bps=d(50), first_sequence=4)
    (order,) = verdicts.approved
    assert verdicts.refused == ()
    assert verdicts.flags == ()
    assert order.intent == BUY
    assert order.worst_price == d("100.50")  # 100 x 1.005
    assert order.deadline == NOW + timedelta(seconds=300)
    assert not order.reduce_only
    parts = parse_reference(order.reference, "demo")
    assert parts is not None
    assert (parts["slot"], parts["attempt"], parts["sequence"]) == ("2601051505", "1", "4")


@pytest.mark.parametrize(
    ("quantity", "limit", "reference", "bps", "worst"),
    [
        ("10", "100.03", "100.01", "50", "100.51"),  # 100.51005 down
        ("-10", "99.99", "100.01", "50", "99.51"),  # 99.50995 up
        ("10", "101", "100", "50", "101"),  # never tighter than the limit
        ("-10", "99", "100", "50", "99"),
        ("10", "100", "100", "0", "100"),
    ],
)
def test_the_worst_price_is_on_the_tick_and_never_tighter_than_the_limit(
    quantity: str, limit: str, reference: str, bps: str, worst: str
) -> None:
    intent = an_intent(A, quantity, limit, reference_price=d(reference))
    (order,) = judged(
        intent, worst_price_bps=d(bps), account=an_account(a_position(A, "100"))
    ).approved
    assert order.worst_price == d(worst)


def test_the_worst_price_follows_the_ticks_level() -> None:
    rules = TradingRules((PriceLevel(d(0), d("0.01")), PriceLevel(d(100), d("0.05"))))
    intent = an_intent(A, "10", "99.99", reference_price=d("99.99"))
    (order,) = judged(intent, stocks=[a_stock(A, rules=rules)], worst_price_bps=d(50)).approved
    assert order.worst_price == d("100.45")  # 100.48995 on the 0.05 grid, down


def test_a_halt_approves_nothing_and_says_which() -> None:
    flag = a_flag("drawdown", RUN, Severity.HALT)
    gate, reason = refusal(verdicts := judged(BUY, flags=(flag,)))
    assert gate == "halt"
    assert "drawdown" in reason
    assert verdicts.flags == ()
    assert refusal(judged(BUY, state=TradingState.HALTED))[0] == "halt"


@pytest.mark.parametrize("value", ["0", "-1", "NaN"])
def test_no_order_on_a_value_that_is_none(value: str) -> None:
    account = an_account(net_liquidation=d(value))
    assert refusal(judged(BUY, account=account))[0] == "net-liquidation"


@pytest.mark.parametrize("subject", [A, "currency:USD"])
def test_a_hold_blocks_its_instrument_or_currency_even_a_reduction(subject: str) -> None:
    account = an_account(a_position(A, "100"))
    for intent in (BUY, an_intent(A, "-10")):
        verdicts = judged(
            intent, account=account, flags=(a_flag("price-missing", subject, Severity.HOLD),)
        )
        assert refusal(verdicts)[0] == "hold"
        assert verdicts.flags == ()


@pytest.mark.parametrize("subject", [B, "currency:EUR", "sleeve:x", "run:2026"])
def test_a_hold_elsewhere_blocks_nothing(subject: str) -> None:
    flag = a_flag("run-died", subject, Severity.HOLD)
    assert len(judged(BUY, flags=(flag,)).approved) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"state": TradingState.REDUCING},
        {"flags": (a_flag("unexplained-cash-large", RUN, Severity.HOLD),)},
        {"flags": (a_flag("rate-stale", "currency:USD", Severity.NOTE),)},
    ],
)
def test_while_reducing_only_reductions_pass(changes: dict[str, Any]) -> None:
    account = an_account(a_position(A, "100"), a_position(B, "-100"))
    for intent in (BUY, an_intent(B, "-10")):
        assert refusal(judged(intent, account=account, **changes))[0] == "reducing"
    for intent in (an_intent(A, "-100"), an_intent(B, "100")):
        (order,) = judged(intent, account=account, **changes).approved
        assert abs(account.quantity(order.instrument) + order.quantity) == 0


def test_a_reduction_is_proved_and_not_believed() -> None:
    account = an_account(a_position(A, "5"))
    intent = an_intent(A, "-10", reducing=True)
    assert refusal(judged(intent, account=account))[0] == "short"
    reducing = judged(intent, account=account, state=TradingState.REDUCING)
    assert refusal(reducing)[0] == "reducing"


def test_two_orders_cannot_close_the_same_holding() -> None:
    account = an_account(a_position(A, "10"))
    first, second = an_intent(A, "-10"), an_intent(A, "-10", part=1, sequence=1)
    verdicts = apply_gates(gate_input([first, second], account=account))
    assert [order.intent for order in verdicts.approved] == [first]
    assert [(r.intent, r.gate) for r in verdicts.refused] == [(second, "short")]


def test_what_others_sell_cannot_be_sold_again() -> None:
    account = an_account(a_position(A, "10"))
    other = WorkingOrder("", "9", A, d(-6), d(0), d(100), OrderStatus.WORKING, NOW)
    assert refusal(judged(an_intent(A, "-5"), account=account, others=(other,)))[0] == "short"
    assert len(judged(an_intent(A, "-4"), account=account, others=(other,)).approved) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"session": None}, "the market is closed"),
        ({"venue_now": OPEN + timedelta(minutes=14)}, "outside the order window 14:45 to 20:55"),
        ({"venue_now": CLOSE - timedelta(minutes=5)}, "outside the order window"),
        ({"limits": some_limits(restart_window="15:00-15:10 UTC")}, "the gateway restarts"),
    ],
)
def test_closed_is_one_note_and_a_reason_for_each(changes: dict[str, Any], words: str) -> None:
    intents = [BUY, an_intent(B, "10", sequence=1)]
    verdicts = apply_gates(gate_input(intents, **changes))
    assert verdicts.approved == ()
    assert all(words in refused.reason for refused in verdicts.refused)
    assert [(f.code, f.subject, f.severity) for f in verdicts.flags] == [
        ("session-closed", RUN, Severity.NOTE)
    ]


def test_a_venue_that_never_closes_has_no_window() -> None:
    always = replace(SESSION, always=True)
    given = gate_input([BUY], session=always, venue_now=CLOSE - timedelta(minutes=1))
    fresh = {A: a_quote(A, at=given.venue_now)}
    assert apply_gates(replace(given, market=replace(given.market, quotes=fresh))).approved


def test_closed_with_nothing_wanted_says_nothing() -> None:
    assert apply_gates(gate_input([], session=None)) == Verdicts((), (), ())


def test_a_venue_that_disagrees_with_the_calendar_is_closed() -> None:
    verdicts = judged(BUY, quotes=[a_quote(A, trading=False)])
    assert refusal(verdicts)[0] == "venue-hours"
    assert [(f.code, f.subject) for f in verdicts.flags] == [("calendar-disagrees", A)]
    assert judged(BUY, quotes=[a_quote(A, trading=None)]).approved


@pytest.mark.parametrize(
    ("intent", "words"),
    [
        (an_intent(identifier("Z"), "10"), "not in the universe"),
        (replace(BUY, quantity=d(0)), "quantity is 0"),
        (replace(BUY, quantity=d("NaN")), "quantity is NaN"),
        (replace(BUY, limit=d("NaN")), "limit is NaN"),
        (replace(BUY, limit=d("-1")), "limit is -1"),
        (replace(BUY, reference_price=d(0)), "reference price is 0"),
        (replace(BUY, currency="EUR"), "in EUR and the instrument in USD"),
    ],
)
def test_what_is_not_sound_is_refused(intent: OrderIntent, words: str) -> None:
    gate, reason = refusal(judged(intent))
    assert gate == "form"
    assert words in reason


def test_the_same_order_twice_is_once() -> None:
    verdicts = apply_gates(gate_input([BUY, replace(BUY, sequence=1)]))
    assert len(verdicts.approved) == 1
    assert verdicts.refused[0].reason.startswith("a second order")


def test_a_missing_rate_refuses() -> None:
    name = identifier("SAP", "EUR")
    given = gate_input([an_intent(name, "1")], stocks=[a_stock(name)])
    assert refusal(apply_gates(given)) == ("form", "no rate from EUR to USD")


@pytest.mark.parametrize(
    ("quote", "gate", "words"),
    [
        (None, "quote", "no quote"),
        (a_quote(A, bid=None), "quote", "no bid"),
        (a_quote(A, ask=None), "quote", "no ask"),
        (a_quote(A, bid=Decimal("NaN")), "quote", "NaN"),
        (a_quote(A, bid=Decimal(-1)), "quote", "not positive"),
        (a_quote(A, bid=Decimal(101), ask=Decimal(100)), "quote", "crossed"),
        (a_quote(A, freshness=Freshness.DELAYED), "freshness", "delayed"),
        (a_quote(A, freshness=Freshness.FROZEN), "freshness", "frozen"),
        (a_quote(A, at=NOW - timedelta(seconds=61)), "freshness", "61 s old; the limit is 60 s"),
        (a_quote(A, at=NOW + timedelta(seconds=6)), "freshness", "in the future"),
        (a_quote(A, bid=Decimal(97), ask=Decimal(103)), "spread", "600 bps"),
        (a_quote(A, close=None), "collar", "last close is unknown"),
        (a_quote(A, close=Decimal(0)), "collar", "last close is unknown"),
        (a_quote(A, close=Decimal(80)), "collar", "25 % above the last close 80"),
        (a_quote(A, close=Decimal(125)), "collar", "20 % below"),
    ],
)
def test_a_poor_quote_refuses(quote: Quote | None, gate: str, words: str) -> None:
    verdicts = judged(BUY, quotes=[quote] if quote else [])
    found, reason = refusal(verdicts)
    assert found == gate
    assert words in reason
    assert [(f.code, f.subject, f.severity) for f in verdicts.flags] == [
        ("order-refused", A, Severity.HOLD)
    ]


def test_a_locked_quote_is_no_crossed_one() -> None:
    assert judged(BUY, quotes=[a_quote(A, bid=d(100), ask=d(100))]).approved


def test_delayed_quotes_pass_where_allowed_and_frozen_never() -> None:
    limits = some_limits(allow_delayed_quotes=True)
    for freshness, approved in ((Freshness.DELAYED, 1), (Freshness.FROZEN, 0)):
        verdicts = judged(BUY, quotes=[a_quote(A, freshness=freshness)], limits=limits)
        assert len(verdicts.approved) == approved


def test_a_worst_price_beyond_the_collar_refuses() -> None:
    gate, reason = refusal(judged(BUY, worst_price_bps=d(1600)))
    assert gate == "collar"
    assert "worst price 116" in reason


@pytest.mark.parametrize(
    ("intent", "rules", "words"),
    [
        (replace(BUY, limit=d("100.005")), TradingRules(), "not on the tick 0.01"),
        (BUY, TradingRules(limit_step=d(3)), "not a multiple of 3"),
        (
            replace(BUY, order_type=OrderType.MARKET),
            TradingRules(market_step=d(4)),
            "not a multiple of 4",
        ),
        (BUY, TradingRules(min_size=d(11)), "below the smallest, 11"),
        (BUY, TradingRules(max_size=d(9)), "above the largest, 9"),
        (BUY, TradingRules(min_notional=d(1001)), "1,000 USD is below the venue's smallest"),
    ],
)
def test_off_the_venues_grid_is_refused(
    intent: OrderIntent, rules: TradingRules, words: str
) -> None:
    gate, reason = refusal(judged(intent, stocks=[a_stock(A, rules=rules)]))
    assert gate == "grid"
    assert words in reason


def test_a_reduction_may_be_below_the_smallest_notional_where_the_venue_says_so() -> None:
    account = an_account(a_position(A, "10"))
    for exempt in (True, False):
        rules = TradingRules(min_notional=d(1001), reduce_only_exempt=exempt)
        verdicts = judged(an_intent(A, "-10"), account=account, stocks=[a_stock(A, rules=rules)])
        assert bool(verdicts.approved) is exempt


def test_fractions_of_shares_are_refused_unless_allowed() -> None:
    fine = [a_stock(A, rules=TradingRules(limit_step=d("0.001"), min_size=d(0)))]
    intent = an_intent(A, "1.5")
    assert refusal(judged(intent, stocks=fine))[0] == "fraction"
    assert judged(intent, stocks=fine, limits=some_limits(allow_fractions=True)).approved


def test_shorts_need_permission_and_something_to_borrow() -> None:
    sale = an_intent(A, "-10", reducing=False)
    assert refusal(judged(sale))[1].endswith("shorts are not allowed")
    limits = some_limits(allow_short=True)
    assert judged(sale, limits=limits).approved
    hard = [a_stock(A, shortable=False)]
    assert refusal(judged(sale, limits=limits, stocks=hard))[1].endswith("does not lend it")


def test_the_size_gate_says_its_numbers() -> None:
    limits = some_limits(max_order_weight=d("0.25"))
    intent = an_intent(A, "312", "100")
    assert refusal(judged(intent, limits=limits)) == (
        "size",
        "order of 31,200 USD is 31.2 % of net liquidation; the limit is 25 %",
    )
    assert judged(an_intent(A, "250"), limits=limits).approved
    capped = some_limits(max_order_notional=d(999))
    assert refusal(judged(BUY, limits=capped)) == (
        "size",
        "order of 1,000 USD; the limit is 999.00 USD",
    )


def test_size_is_judged_in_base_currency() -> None:
    name = identifier("SAP", "EUR")
    account = an_account(cash={"USD": "90000", "EUR": "10000"}, rates={"EUR": "1.1"})
    limits = some_limits(max_order_notional=d(1099))
    given = gate_input([an_intent(name, "10")], stocks=[a_stock(name)], account=account)
    # 10 x 100 EUR x 1.1 = 1,100 USD
    assert refusal(apply_gates(replace(given, limits=limits)))[0] == "size"
    assert apply_gates(given).approved


@pytest.mark.parametrize(
    ("volume", "allowed", "words"),
    [
        (d(999), False, "of an average session's volume 999; the limit is 1 %"),
        (d(0), False, "more than"),
        (None, False, "its volume is unknown"),
        (None, True, ""),
        (d(1000), False, ""),
    ],
)
def test_participation(volume: Decimal | None, allowed: bool, words: str) -> None:
    quotes = [a_quote(A, average_volume=volume)]
    verdicts = judged(BUY, quotes=quotes, limits=some_limits(allow_unknown_volume=allowed))
    if words:
        assert words in refusal(verdicts)[1]
    else:
        assert verdicts.approved


def test_a_small_account_undoes_no_trade_of_the_same_session() -> None:
    limits = some_limits(pattern_day_trader_equity=d(150_000))
    account = an_account(a_position(A, "100"), cash={"USD": "90000"})
    sale = an_intent(A, "-10")
    assert refusal(judged(sale, account=account, limits=limits, bought=frozenset({A})))[0] == (
        "day-trade"
    )
    assert refusal(judged(BUY, account=account, limits=limits, sold=frozenset({A})))[0] == (
        "day-trade"
    )
    assert judged(BUY, account=account, limits=limits, bought=frozenset({A})).approved
    rich = some_limits(pattern_day_trader_equity=d(100_000))
    assert judged(sale, account=account, limits=rich, bought=frozenset({A})).approved


def test_a_venue_that_allows_no_more_day_trades_is_believed() -> None:
    account = an_account(a_position(A, "100"), cash={"USD": "90000"}, day_trades_remaining=0)
    sale = an_intent(A, "-10")
    gate, reason = refusal(judged(sale, account=account, bought=frozenset({A})))
    assert gate == "day-trade"
    assert "allows no more" in reason
    assert judged(sale, account=account).approved
    one_left = replace(account, day_trades_remaining=1)
    assert judged(sale, account=one_left, bought=frozenset({A})).approved


def test_a_neutral_sleeve_trades_all_or_nothing() -> None:
    pair = Sleeve("pair", (A, B), Decimal(1), neutral=True)
    account = an_account(a_position(A, "100"), cash={"USD": "90000"})
    intents = [an_intent(A, "-10"), an_intent(B, "10"), an_intent(C, "10", sequence=1)]
    quotes = [a_quote(A), a_quote(C)]  # none of B
    given = gate_input(intents, account=account, quotes=quotes, sleeves=(pair,))
    verdicts = apply_gates(given)
    assert [order.instrument for order in verdicts.approved] == [C]
    assert {r.intent.instrument: r.gate for r in verdicts.refused} == {A: "neutral", B: "quote"}
    plain = apply_gates(replace(given, sleeves=(replace(pair, neutral=False),)))
    assert [order.instrument for order in plain.approved] == [A, C]


def test_a_hold_on_one_leg_stops_its_neutral_sleeve() -> None:
    pair = Sleeve("pair", (A, B), Decimal(1), neutral=True)
    flag = a_flag("history-stale", B, Severity.HOLD)
    assert refusal(judged(BUY, sleeves=(pair,), flags=(flag,)))[0] == "neutral"


def test_a_reversal_opens_only_what_may_close() -> None:
    limits = some_limits(allow_short=True)
    account = an_account(a_position(A, "10"), cash={"USD": "99000"})
    close = an_intent(A, "-10")
    opening = an_intent(A, "-5", part=1, wave=1, reducing=False)
    given = gate_input([close, opening], account=account, limits=limits)
    verdicts = apply_gates(given)
    assert [order.reduce_only for order in verdicts.approved] == [True, False]
    odd = replace(close, limit=d("100.005"))
    refused = apply_gates(replace(given, intents=(odd, opening))).refused
    assert [each.gate for each in refused] == ["grid", "reversal"]


def test_prices_of_any_sign_pass_where_the_instrument_has_them() -> None:
    combo = InstrumentId("SPREAD.OPT.X@IB")
    stock = a_stock(A, id=combo, kind=Kind.OPTION, price_sign=PriceSign.ANY)
    quote = a_quote(combo, "-2", close=d(-2), bid=d("-2.01"), ask=d("-2.00"))
    intent = replace(an_intent(A, "1", "-2"), instrument=combo, currency="USD")
    verdicts = judged(intent, stocks=[stock], quotes=[quote])
    assert verdicts.approved, verdicts.refused


def test_a_fee_in_a_currency_without_rate_refuses() -> None:
    gate, reason = refusal(judged(BUY, fees=FlatFee("1", "BNB")))
    assert gate == "fee"
    assert "cannot be converted" in reason
