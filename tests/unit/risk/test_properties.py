"""Whatever is wanted: nothing approved exceeds a limit, and a flag never approves more."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.model.flags import RUN, ErrorFlag, Severity, Step, TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderIntent
from rebalancer.model.universe import Sleeve
from rebalancer.risk import GateInput, Override, Verdicts, apply_gates
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
    some_limits,
)

D, E = identifier("D"), identifier("E", "EUR")
NAMES = (A, B, C, D, E)
RATES = {"EUR": "1.1"}
FEE = Decimal(1)

holdings = st.fixed_dictionaries({name: st.integers(-300, 300) for name in NAMES})
wishes = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.integers(-40, 40).map(lambda n: n * 10),
        st.sampled_from(["100"] * 6 + ["99.5", "100.5", "100.005"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)
flags = st.lists(
    st.tuples(
        st.sampled_from([*NAMES, RUN, "currency:EUR", "currency:USD", "sleeve:x"]),
        st.sampled_from(list(Severity)),
        st.sampled_from(["price-missing", "drawdown", "leverage-unreachable", "rate-stale"]),
    ),
    max_size=3,
)


LOOSE = {
    "max_order_weight": d(10),
    "max_position_weight": d(10),
    "max_gross_leverage": d(20),
    "max_net_leverage": d(20),
    "max_turnover_per_session": d(20),
    "max_turnover_per_days": d(20),
    "max_orders_per_run": 99,
}
TIGHT: dict[str, list[Any]] = {
    "max_order_weight": [d("0.1"), d("0.5")],
    "max_position_weight": [d("0.2"), d("0.5")],
    "max_gross_leverage": [d("0.5"), d("1.05")],
    "max_net_leverage": [d("0.1"), d("0.6")],
    "max_turnover_per_session": [d("0.2"), d(1)],
    "max_turnover_per_days": [d("0.3"), d(1)],
    "max_orders_per_run": [1, 3],
    "max_orders_per_days": [10, 12],
}


@st.composite
def inputs(draw: st.DrawFn) -> GateInput:
    """Draw a portfolio in which usually one thing is scarce: money, or one of the limits."""
    scarce = draw(st.sampled_from(["cash", "cash", *TIGHT]))
    held = draw(holdings)
    dollars = st.integers(-5_000, 60_000) if scarce == "cash" else st.just(500_000)
    euros = st.integers(0, 20_000) if scarce == "cash" else st.just(100_000)
    account = an_account(
        *(a_position(name, str(n)) for name, n in held.items() if n),
        cash={"USD": str(draw(dollars)), "EUR": str(draw(euros))},
        rates=RATES,
    )
    if scarce != "cash":  # rich in cash and small in value: only the limit is in the way
        account = replace(account, net_liquidation=d(100_000))
    elif draw(st.booleans()):
        account = replace(account, excess_liquidity=Decimal(draw(st.integers(0, 80_000))))
    tight = {scarce: draw(st.sampled_from(TIGHT[scarce]))} if scarce in TIGHT else {}
    limits = some_limits(**(LOOSE | tight | {"allow_short": draw(st.booleans())}))
    intents = tuple(
        an_intent(name, str(size), limit, sequence=n, part=int(second))
        for n, (name, size, limit, second) in enumerate(draw(wishes))
    )
    return gate_input(
        intents,
        account=account,
        limits=limits,
        stocks=[a_stock(name) for name in NAMES],
        quotes=[a_quote(name) for name in NAMES if draw(st.integers(0, 19))],
        reserve=Decimal(draw(st.sampled_from([0, 1000]))),
        borrow_limit=draw(st.sampled_from([None, None, Decimal(5000)])),
        worst_price_bps=Decimal(50),
        reprices=draw(st.booleans()),
        sleeves=(Sleeve("pair", (A, B), Decimal(1), neutral=not draw(st.integers(0, 4))),),
        state=draw(st.sampled_from([TradingState.ACTIVE] * 9 + [TradingState.REDUCING])),
        orders_before=draw(st.integers(0, 10)),
        turnover_before=Decimal(draw(st.integers(0, 20_000))),
    )


def rate(name: InstrumentId) -> Decimal:
    return d("1.1") if name == E else Decimal(1)


def check_limits(asked: GateInput, verdicts: Verdicts) -> None:  # noqa: C901 - one check a limit
    account, limits = asked.account, asked.limits
    value = account.net_liquidation
    held = {name: account.quantity(name) for name in NAMES}
    before, after = dict(held), dict(held)
    cash = {c: account.cash.get(c, d(0)) for c in ("USD", "EUR")}
    traded, opens = Decimal(0), set()
    for order in verdicts.approved:
        name, quantity, intent = order.instrument, order.quantity, order.intent
        reduces = after[name] * quantity < 0 and abs(quantity) <= abs(after[name])
        worth = abs(quantity) * max(intent.limit, intent.reference_price) * rate(name)
        traded += worth
        assert worth <= limits.max_order_weight * value
        if not reduces:
            opens.add(name)
            assert quantity > 0 or limits.allow_short
            assert traded <= limits.max_turnover_per_session * value
            assert traded + asked.turnover_before <= limits.turnover_of_days * value
        price = order.worst_price if asked.reprices else intent.limit
        cash[intent.currency] -= quantity * price + FEE
        after[name] += quantity
    orders, half = len(verdicts.approved), 1 if opens else Decimal("1.5")
    assert orders <= limits.max_orders_per_run * half
    if verdicts.approved:
        assert orders + asked.orders_before <= limits.orders_of_days * half
    gross = sum(abs(after[name]) * 100 * rate(name) for name in NAMES)
    net = sum(after[name] * 100 * rate(name) for name in NAMES)
    slack = Decimal("0.02") * sum(abs(o.quantity) for o in verdicts.approved) * 100  # limit != mark
    for name in opens:
        assert abs(after[name]) * 100 * rate(name) <= limits.max_position_weight * value + slack
    if opens:
        assert gross <= limits.max_gross_leverage * value + slack
    if any(after[name] > before[name] for name in opens):
        assert net <= limits.max_net_leverage * value + slack
    if any(after[name] < before[name] for name in opens):
        assert -net <= limits.max_net_leverage * value + slack
    bought = {
        o.intent.currency
        for o in verdicts.approved
        if o.quantity > 0 and o.instrument in opens and after[o.instrument] > 0
    }
    shorts = sum(
        -o.quantity * (o.worst_price if asked.reprices else o.intent.limit)
        for o in verdicts.approved
        if o.quantity < 0 and o.instrument in opens
    )
    if not shorts:  # what a short sale brings is no cash to spend
        for currency in bought:
            floor = Decimal(0)
            if asked.borrow_limit is not None:
                floor = -asked.borrow_limit / (d("1.1") if currency == "EUR" else 1)
            assert cash[currency] >= floor
        if bought and asked.borrow_limit is None:
            assert cash["USD"] + cash["EUR"] * d("1.1") >= asked.reserve


@settings(max_examples=400, deadline=None)
@given(inputs())
def test_nothing_approved_exceeds_a_limit_singly_or_together(asked: GateInput) -> None:
    if asked.account.net_liquidation <= 0:
        assert apply_gates(asked).approved == ()
        return
    check_limits(asked, apply_gates(asked))


@settings(max_examples=200, deadline=None)
@given(inputs())
def test_approved_and_refused_are_the_intents(asked: GateInput) -> None:
    verdicts = apply_gates(asked)
    back = [order.intent for order in verdicts.approved]
    back += [refused.intent for refused in verdicts.refused]

    def key(intent: OrderIntent) -> int:
        return intent.sequence

    assert sorted(back, key=key) == sorted(asked.intents, key=key)
    assert all(refused.reason and refused.gate for refused in verdicts.refused)
    references = [order.reference for order in verdicts.approved]
    assert len(set(references)) == len(references)


@settings(max_examples=300, deadline=None)
@given(inputs(), flags)
def test_a_flag_never_approves_more(
    asked: GateInput, more: list[tuple[str, Severity, str]]
) -> None:
    raised = tuple(
        ErrorFlag(Step.TARGETS, code, subject, severity, "why") for subject, severity, code in more
    )
    fewer = apply_gates(replace(asked, flags=raised))
    plain = {order.intent for order in apply_gates(asked).approved}
    assert {order.intent for order in fewer.approved} <= plain
    for flag in raised:
        if flag.severity is Severity.HALT:
            assert fewer.approved == ()
        if flag.severity is Severity.HOLD:
            assert flag.subject not in {order.instrument for order in fewer.approved}


@settings(max_examples=200, deadline=None)
@given(inputs())
def test_while_reducing_every_approved_order_reduces(asked: GateInput) -> None:
    verdicts = apply_gates(replace(asked, state=TradingState.REDUCING))
    left = {name: asked.account.quantity(name) for name in NAMES}
    for order in verdicts.approved:
        held = left[order.instrument]
        left[order.instrument] = held + order.quantity
        assert abs(left[order.instrument]) < abs(held)
        assert left[order.instrument] * held >= 0


owners = st.builds(
    Override,
    no_trading=st.booleans(),
    reduce_only=st.booleans(),
    max_weight=st.sampled_from([None, d("0.05"), d("0.3")]),
    max_notional=st.sampled_from([None, d(5_000), d(20_000)]),
)


@settings(max_examples=200, deadline=None)
@given(inputs(), st.dictionaries(st.sampled_from(NAMES), owners))
def test_an_override_holds_and_never_approves_more(
    asked: GateInput, overrides: dict[InstrumentId, Override]
) -> None:
    fewer = apply_gates(replace(asked, overrides=overrides)).approved
    assert {o.intent for o in fewer} <= {o.intent for o in apply_gates(asked).approved}
    after = {name: asked.account.quantity(name) for name in NAMES}
    grown = set()
    for order in fewer:
        name, held = order.instrument, after[order.instrument]
        after[name] = held + order.quantity
        override = overrides.get(name, Override())
        assert not override.no_trading
        opens = abs(after[name]) > abs(held) or after[name] * held < 0
        assert not (override.reduce_only and opens)
        if opens:
            grown.add(name)
    for name in grown:  # after all of them: what another part closes makes room, as in `release`
        if abs(after[name]) <= abs(asked.account.quantity(name)):
            continue  # closed and opened again: no larger than what was held beyond the bound
        override = overrides.get(name, Override())
        worth = abs(after[name]) * 100 * rate(name)
        moved = sum(abs(order.quantity) for order in fewer if order.instrument == name)
        slack = Decimal("0.02") * moved * 100  # limit != mark
        for bound in (override.max_notional, override.max_weight):
            least = bound if bound is None or bound > 1 else bound * value_of(asked)
            assert least is None or worth <= least + slack


def value_of(asked: GateInput) -> Decimal:
    """Return net liquidation."""
    return asked.account.net_liquidation


@settings(max_examples=200, deadline=None)
@given(inputs())
def test_a_neutral_sleeve_is_whole_or_absent(asked: GateInput) -> None:
    pair = Sleeve("pair", (A, B), Decimal(1), neutral=True)
    verdicts = apply_gates(replace(asked, sleeves=(pair,)))
    traded = {order.instrument for order in verdicts.approved}
    refused = {each.intent.instrument for each in verdicts.refused}
    assert not (traded & {A, B} and refused & {A, B})
