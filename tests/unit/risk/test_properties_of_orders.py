"""Whatever an order looks like: only a sound one is approved, not too large, not one too many."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.model.instrument import PriceSign
from rebalancer.risk import GateInput, apply_gates
from tests.unit.risk.builders import (
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
)
from tests.unit.risk.property_cases import cents, judged_by, loose, refused_by

D, SAP = identifier("D"), identifier("SAP", "EUR")
NAMES = (A, B, C, D)

either_side = st.sampled_from([1, -1])

# ---------------------------------------------------------------------------- form

rates = st.sampled_from([{"EUR": "1.1"}, {"EUR": "0"}, {}])
numbers = st.sampled_from([d(100)] * 9 + [d(0), d(-100), d("NaN"), d("Infinity")])


@st.composite
def orders_of_any_form(draw: st.DrawFn) -> GateInput:
    name = draw(st.sampled_from([A, A, A, SAP, identifier("Z")]))
    intent = replace(
        an_intent(name, "10"),
        quantity=draw(st.sampled_from([d(10), d(-10)] * 3 + [d(0), d("NaN"), d("Infinity")])),
        limit=draw(numbers),
        reference_price=draw(numbers),
        currency=draw(st.sampled_from(["USD", "USD", "EUR"])),
    )
    sign = draw(st.sampled_from(list(PriceSign)))
    return gate_input(
        [intent] * draw(st.integers(1, 2)),
        account=an_account(a_position(A, "20"), rates=draw(rates)),
        stocks=[a_stock(A, price_sign=sign), a_stock(SAP, price_sign=sign)],
        limits=loose(),
    )


def sound(asked: GateInput) -> bool:
    """Return whether the first of the orders says what can be meant."""
    intent = asked.intents[0]
    if intent.instrument not in asked.universe:
        return False
    instrument = asked.universe[intent.instrument]
    prices = (intent.limit, intent.reference_price)
    if not all(each.is_finite() for each in (intent.quantity, *prices)) or not intent.quantity:
        return False
    if instrument.price_sign is PriceSign.POSITIVE and min(prices) <= 0:
        return False
    known = {"USD"} | {c for c, rate in asked.account.rates.rates.items() if rate.rate > 0}
    return intent.currency == instrument.currency and instrument.currency in known


@settings(deadline=None)
@given(orders_of_any_form())
def test_only_orders_made_of_sound_numbers_are_approved_and_each_once(asked: GateInput) -> None:
    verdicts = apply_gates(asked)
    refused = refused_by(verdicts, "form")
    assert len(refused) == (len(asked.intents) - 1 if sound(asked) else len(asked.intents))
    assert len(verdicts.approved) <= 1
    assert sound(asked) or not verdicts.approved


# ---------------------------------------------------------------------------- net-liquidation


@st.composite
def accounts_of_any_worth(draw: st.DrawFn) -> GateInput:
    odd = st.sampled_from(["NaN", "Infinity", "-Infinity", "0", "-1", "-25000.5"])
    worth = draw(st.one_of(st.sampled_from(["25000", "100000"]), odd))
    account = an_account(a_position(A, "20"), net_liquidation=d(worth))
    intents = [an_intent(A, "-10"), an_intent(B, "10", sequence=1)]
    return gate_input(intents[draw(st.integers(0, 1)) :], account=account, limits=loose())


@settings(deadline=None)
@given(accounts_of_any_worth())
def test_nothing_is_approved_on_a_worth_that_is_no_positive_number(asked: GateInput) -> None:
    value = asked.account.net_liquidation
    proved = value.is_finite() and value > 0
    verdicts = apply_gates(asked)
    refused = refused_by(verdicts, "net-liquidation")
    assert len(refused) == (0 if proved else len(asked.intents))
    assert len(verdicts.approved) == len(asked.intents) - len(refused)
    assert all(f"{value}" in each.reason for each in refused)


# ---------------------------------------------------------------------------- size


@st.composite
def orders_of_any_size(draw: st.DrawFn) -> GateInput:
    name = draw(st.sampled_from([A, SAP]))
    size, limit = draw(st.integers(1, 300)), draw(st.integers(9_900, 10_100))
    if draw(st.booleans()):  # exactly 20,000 (22,000 of EUR) in base currency
        size, limit = 200, 10_000
    intent = an_intent(
        name,
        str(size * draw(either_side)),
        str(cents(limit)),
        reference_price=cents(limit + draw(st.sampled_from([0, 0, -50, 50]))),
    )
    held = draw(st.sampled_from([0, 300]))
    account = an_account(
        *[a_position(name, str(held))] * bool(held),
        cash={"USD": "1000000", "EUR": "1000000"},
        rates={"EUR": "1.1"},
        net_liquidation=d(100_000),
    )
    multiplier, magnifier = draw(st.sampled_from([("1", "1"), ("3", "2")]))
    return gate_input(
        [intent],
        account=account,
        stocks=[a_stock(name, multiplier=d(multiplier), magnifier=d(magnifier))],
        limits=loose(
            max_order_notional=draw(st.sampled_from([None, d(20_000), d(22_000)])),
            max_order_weight=draw(st.sampled_from([d(10), d("0.1"), d("0.2"), d("0.22")])),
        ),
    )


@settings(deadline=None)
@given(orders_of_any_size())
def test_no_order_buy_or_sale_is_larger_than_an_order_may_be(asked: GateInput) -> None:
    (intent,), limits = asked.intents, asked.limits
    instrument = asked.universe[intent.instrument]
    rate = Fraction(11, 10) if instrument.currency == "EUR" else Fraction(1)
    dearest = Fraction(max(intent.limit, intent.reference_price))
    unit = Fraction(instrument.multiplier) / Fraction(instrument.magnifier)
    worth = abs(Fraction(intent.quantity)) * dearest * unit * rate
    most = Fraction(limits.max_order_weight) * Fraction(asked.account.net_liquidation)
    if limits.max_order_notional is not None:
        most = min(most, Fraction(limits.max_order_notional))
    verdicts = apply_gates(asked)
    assert judged_by(verdicts, "size", "order of", "USD", "the limit is") == (worth > most)
    assert bool(verdicts.approved) == (worth <= most)


# ---------------------------------------------------------------------------- participation


@st.composite
def orders_in_thin_markets(draw: st.DrawFn) -> GateInput:
    volume = st.sampled_from([None, d("NaN"), d(-1), d(0), d(1_000), d(1_000), d(1_500), d(5_000)])
    size = draw(st.integers(1, 60)) * draw(either_side)
    return gate_input(
        [an_intent(A, str(size))],
        account=an_account(a_position(A, "30")),
        quotes=[a_quote(A, average_volume=draw(volume))],
        limits=loose(
            max_participation=d(draw(st.sampled_from(["0.001", "0.01", "0.02"]))),
            allow_unknown_volume=not draw(st.integers(0, 3)),
        ),
    )


@settings(deadline=None)
@given(orders_in_thin_markets())
def test_no_order_is_too_large_a_part_of_what_is_traded_in_a_session(asked: GateInput) -> None:
    (intent,), limits = asked.intents, asked.limits
    volume = asked.market.quotes[A].average_volume
    size = abs(Fraction(intent.quantity))
    if volume is None or not volume.is_finite() or volume < 0:
        fits, words = limits.allow_unknown_volume, "its volume is unknown"
    else:
        fits = size <= Fraction(limits.max_participation) * Fraction(volume)
        words = "an average session's volume"
    verdicts = apply_gates(asked)
    assert judged_by(verdicts, "participation", words) == (not fits)
    assert bool(verdicts.approved) == fits


# ---------------------------------------------------------------------------- orders

counts = st.sampled_from([1, 2, 4, 9])


@st.composite
def runs_of_many_orders(draw: st.DrawFn) -> GateInput:
    """Draw up to four orders, each of an instrument of its own; reductions sell what is held."""
    sizes = draw(st.lists(st.sampled_from([-5, 5]), min_size=1, max_size=4))
    return gate_input(
        [an_intent(NAMES[n], str(size), sequence=n) for n, size in enumerate(sizes)],
        account=an_account(*[a_position(name, "10") for name in NAMES]),
        stocks=[a_stock(name) for name in NAMES],
        limits=loose(
            max_orders_per_run=draw(counts),
            max_orders_per_session=draw(counts),
            max_orders_per_days=draw(st.sampled_from([None, 2, 6])),
        ),
        orders_in_session=draw(st.integers(0, 3)),
        orders_before=draw(st.integers(0, 3)),
        by_owner=not draw(st.integers(0, 3)),
    )


@settings(deadline=None)
@given(runs_of_many_orders())
def test_no_order_is_one_too_many_of_a_run_a_session_or_the_last_sessions(
    asked: GateInput,
) -> None:
    limits, wanted = asked.limits, len(asked.intents)
    of_days = limits.max_orders_per_days or limits.max_orders_per_session * 5 // 2

    def room(half: int) -> int:
        return min(
            limits.max_orders_per_run * half // 2,
            limits.max_orders_per_session * half // 2 - asked.orders_in_session,
            of_days * half // 2 - asked.orders_in_session - asked.orders_before,
        )

    verdicts = apply_gates(asked)
    refused = refused_by(verdicts, "orders")
    reductions = sum(intent.quantity < 0 for intent in asked.intents)
    # A command of the owner's bounds its own reductions; they take their places all the same.
    reduced = reductions if asked.by_owner else max(min(room(3), reductions), 0)
    opened = max(min(room(2), wanted) - reductions, 0)
    assert len(verdicts.approved) == reduced + opened
    assert len(refused) == wanted - len(verdicts.approved)
    assert all("it is order" in each.reason and "the limit is" in each.reason for each in refused)


# ---------------------------------------------------------------------------- turnover


@st.composite
def sessions_of_much_trading(draw: st.DrawFn) -> GateInput:
    """Draw up to four orders of 1,000, 2,000 or 3,000 on 20,000; reductions sell what is held."""
    sizes = draw(st.lists(st.sampled_from([-10, 10, 20, 30]), min_size=1, max_size=4))
    account = an_account(*[a_position(name, "10") for name in NAMES])
    of_session = draw(st.sampled_from([d("0.1"), d("0.2"), d(1)]))
    return gate_input(
        [an_intent(NAMES[n], str(size), sequence=n) for n, size in enumerate(sizes)],
        account=replace(account, net_liquidation=d(20_000)),
        stocks=[a_stock(name) for name in NAMES],
        limits=loose(
            max_turnover_per_session=of_session,
            max_turnover_per_days=draw(st.sampled_from([None, d("0.3"), d("0.5")])),
        ),
        turnover_in_session=draw(st.sampled_from([d(0), d(1_000), d("1000.01")])),
        turnover_before=draw(st.sampled_from([d(0), d(3_000), d(8_000)])),
    )


@settings(deadline=None)
@given(sessions_of_much_trading())
def test_nothing_is_opened_beyond_what_a_session_or_the_last_sessions_may_trade(
    asked: GateInput,
) -> None:
    limits = asked.limits
    of_days = limits.max_turnover_per_days or limits.max_turnover_per_session * 5 / 2
    most = min(
        limits.max_turnover_per_session * 20_000,
        of_days * 20_000 - asked.turnover_before,
    )
    verdicts = apply_gates(asked)
    refused = refused_by(verdicts, "turnover")
    beyond, traded = set(), asked.turnover_in_session
    for intent in sorted(asked.intents, key=lambda each: (each.quantity > 0, each.sequence)):
        traded += abs(intent.quantity) * 100  # a refused one keeps its place
        if intent.quantity > 0 and traded > most:
            beyond.add(intent.instrument)
    assert {each.intent.instrument for each in refused} == beyond
    assert len(verdicts.approved) == len(asked.intents) - len(refused)
    assert all("would trade" in each.reason and "limit is" in each.reason for each in refused)


# ---------------------------------------------------------------------------- reversal


@st.composite
def reversals(draw: st.DrawFn) -> GateInput:
    """Draw a sale of all that is held and one that goes short, of which each may be too large."""
    held, short = draw(st.integers(1, 20)), draw(st.integers(0, 20))
    intents = [an_intent(A, str(-held))]
    if short:
        intents.append(an_intent(A, str(-short), sequence=1, part=1, reducing=False))
    return gate_input(
        intents,
        account=an_account(a_position(A, str(held))),
        limits=loose(max_order_notional=d(1_000)),
    )


@settings(deadline=None)
@given(reversals())
def test_nothing_is_opened_that_its_other_part_does_not_close_first(asked: GateInput) -> None:
    too_large = [abs(intent.quantity) > 10 for intent in asked.intents]
    verdicts = apply_gates(asked)
    refused = refused_by(verdicts, "reversal")
    alone = [part for part, large in enumerate(too_large) if too_large[0] and not large]
    assert [each.intent.part for each in refused] == alone
    assert all("its other part" in each.reason for each in refused)
    approved = {order.intent.part for order in verdicts.approved}
    assert 1 not in approved or 0 in approved
