"""Whatever is held and owed: positions, cash and margin stay within their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flags import RUN
from rebalancer.model.orders import ApprovedOrder, MarginPreview
from rebalancer.risk import GateInput, Limits, Verdicts, apply_gates, check_margin
from tests.unit.risk.builders import (
    A,
    B,
    C,
    FlatFee,
    a_position,
    a_quote,
    a_stock,
    an_account,
    an_approved,
    an_intent,
    d,
    gate_input,
    identifier,
)
from tests.unit.risk.property_cases import judged_by, loose, refused_by, working

D = identifier("D")
NAMES = (A, B, C, D)

# ---------------------------------------------------------------------------- concentration


@st.composite
def additions_to_a_position(draw: st.DrawFn) -> GateInput:
    side, held = draw(st.sampled_from([1, -1])), draw(st.integers(0, 40))
    size, others = draw(st.integers(1, 40)), draw(st.integers(0, 10))
    if draw(st.booleans()):
        others, size = 0, max(40 - held, 1)  # 4,000 exactly
    intents = [an_intent(A, str(side * size))]
    if draw(st.booleans()):
        intents.append(an_intent(B, str(5 * side), sequence=1))
    account = an_account(*[a_position(A, str(side * held))] * bool(held))
    return gate_input(
        intents,
        account=replace(account, net_liquidation=d(20_000)),
        others=(working(A, side * others, limit="101"),) if others else (),
        limits=loose(
            max_position_notional=draw(st.sampled_from([None, d(4_000), d("3999.99")])),
            max_position_weight=draw(st.sampled_from([d(10), d("0.2"), d("0.1")])),
        ),
    )


@settings(deadline=None)
@given(additions_to_a_position())
def test_no_position_becomes_larger_than_one_may_be(asked: GateInput) -> None:
    limits, intent = asked.limits, asked.intents[0]
    others = sum(abs(order.remaining) * 101 for order in asked.others)
    after = (abs(asked.account.quantity(A)) + abs(intent.quantity)) * 100 + others
    most = limits.max_position_weight * 20_000
    if limits.max_position_notional is not None:
        most = min(most, limits.max_position_notional)
    verdicts = apply_gates(asked)
    refused = refused_by(verdicts, "concentration")
    assert (A in {each.intent.instrument for each in refused}) == (after > most)
    assert (A in {order.instrument for order in verdicts.approved}) == (after <= most)
    assert all("position of" in each.reason and "limit is" in each.reason for each in refused)


# ---------------------------------------------------------------------------- gross and net


@st.composite
def books_of_leverage(draw: st.DrawFn) -> GateInput:
    """Draw openings of B and C to one side, A to be reduced, and D held on the other side."""
    side = draw(st.sampled_from([1, -1]))
    against = draw(st.sampled_from([0, 10, 50, 7]))
    held = [a_position(A, str(20 * side))] + [a_position(D, str(-side * against))] * bool(against)
    intents = [an_intent(A, str(-side * draw(st.integers(1, 20))))] * draw(st.integers(0, 1))
    for n, name in enumerate((B, C), 1):
        size = draw(st.one_of(st.integers(1, 60), st.integers(1, 6).map(lambda n: 10 * n)))
        intents.append(an_intent(name, str(side * size), sequence=n, wave=1))
    scarce = draw(st.sampled_from(["max_gross_leverage", "max_net_leverage"]))
    return gate_input(
        intents,
        account=an_account(*held, net_liquidation=d(10_000)),
        stocks=[a_stock(name) for name in NAMES],
        limits=loose(**{scarce: draw(st.sampled_from([d("0.1"), d("0.4"), d("0.8"), d(1)]))}),
    )


@settings(deadline=None)
@given(books_of_leverage())
def test_nothing_is_opened_beyond_gross_or_net_leverage(asked: GateInput) -> None:
    limits, intents = asked.limits, asked.intents
    held = {name: asked.account.quantity(name) for name in NAMES}
    side = 1 if held[A] > 0 else -1
    closed = sum(abs(intent.quantity) for intent in intents if intent.instrument == A)
    gross = (sum(map(abs, held.values())) - closed) * 100
    net = (side * sum(held.values()) - closed) * 100
    verdicts = apply_gates(asked)
    refused = {
        gate: {each.intent.instrument for each in refused_by(verdicts, gate)}
        for gate in ("gross", "net")
    }
    for intent in intents:
        if intent.instrument != A:  # a refused one keeps its place
            gross += abs(intent.quantity) * 100
            net += abs(intent.quantity) * 100
            too_much = gross > limits.max_gross_leverage * 10_000
            assert (intent.instrument in refused["gross"]) == too_much
            too_much_net = not too_much and net > limits.max_net_leverage * 10_000
            assert (intent.instrument in refused["net"]) == too_much_net
    assert len(verdicts.approved) + sum(map(len, refused.values())) == len(intents)
    assert all("leverage would be" in each.reason for each in verdicts.refused)


# ---------------------------------------------------------------------------- others


@st.composite
def accounts_in_the_dark(draw: st.DrawFn) -> GateInput:
    """Draw what is not known: a value, a rate, a price of somebody's order, the margin."""
    what = draw(
        st.sets(st.sampled_from(["value", "number", "rate", "order", "margin"]), max_size=1)
    )
    held = [a_position(A, "20")]
    if "value" in what:
        held.append(a_position(B, "5", value=None))
    if "number" in what:
        held.append(a_position(B, "5", value=d("NaN")))
    if "rate" in what:
        held.append(a_position(identifier("SAP", "EUR"), "5"))
    account = an_account(*held, net_liquidation=d(100_000))
    margin = None if "margin" in what else d(90_000)
    account = replace(account, margined=True, excess_liquidity=margin, initial_margin=d(0))
    intents = [an_intent(A, "-10"), an_intent(C, "10", sequence=1)]
    return gate_input(
        intents[draw(st.integers(0, 1)) :],
        account=account,
        others=(working(D, 1, limit=draw(st.sampled_from([None, "NaN"]))),) * ("order" in what),
        stocks=[a_stock(name) for name in NAMES],
        quotes=[a_quote(A), a_quote(C)],
        limits=loose(),
    )


def dark(asked: GateInput) -> bool:
    """Return whether something of the account is not known."""
    account = asked.account
    values = [position.value for position in account.positions]
    return (
        any(value is None or not value.is_finite() for value in values)
        or any(position.currency != "USD" for position in account.positions)
        or account.excess_liquidity is None
        or bool(asked.others)
    )


@settings(deadline=None)
@given(accounts_in_the_dark())
def test_nothing_is_opened_while_something_of_the_account_is_unknown(asked: GateInput) -> None:
    verdicts = apply_gates(asked)
    refused = refused_by(verdicts, "others")
    opening = [intent for intent in asked.intents if intent.quantity > 0]
    assert [each.intent for each in refused] == (opening if dark(asked) else [])
    assert len(verdicts.approved) == len(asked.intents) - len(refused)
    assert all("unknown" in each.reason for each in refused)


# ---------------------------------------------------------------------------- cash and fee


@st.composite
def cash_accounts(draw: st.DrawFn) -> GateInput:
    """Draw two purchases, perhaps a sale that pays for them, and cash that has not settled."""
    cash = draw(st.one_of(st.integers(2, 25).map(lambda n: 100 * n + 2), st.integers(-500, 2_500)))
    settled = draw(st.sampled_from([None, cash, cash // 2, cash + 1_000]))
    sale = draw(st.sampled_from([0, 10]))
    account = an_account(a_position(A, "20"), cash={"USD": str(cash)}, net_liquidation=d(100_000))
    intents = [an_intent(A, str(-sale))] * bool(sale)
    for n, name in enumerate((B, C), 1):
        intents.append(an_intent(name, str(draw(st.integers(1, 12))), sequence=n))
    return gate_input(
        intents,
        account=replace(account, settled_cash=None if settled is None else {"USD": d(settled)}),
        limits=loose(),
        reserve=Decimal(draw(st.sampled_from([0, 0, 700]))),
    )


@settings(deadline=None)
@given(cash_accounts())
def test_nothing_is_bought_with_cash_that_is_not_there_or_not_settled(asked: GateInput) -> None:
    settled = asked.account.settled_cash
    cash = asked.account.cash["USD"]
    if settled is not None:
        cash = min(cash, settled["USD"])
    sold = sum(-100 * intent.quantity - 1 for intent in asked.intents if intent.quantity < 0)
    left = cash + (sold if settled is None else 0)
    verdicts = apply_gates(asked)
    refused = {each.intent.instrument for each in refused_by(verdicts, "cash")}
    for intent in asked.intents:
        if intent.quantity > 0:  # a refused one keeps its place
            left -= 100 * intent.quantity + 1
            assert (intent.instrument in refused) == (left < asked.reserve)
    spent = sum(100 * o.quantity + 1 for o in verdicts.approved if o.quantity > 0)
    assert not spent or cash + (sold if settled is None else 0) - spent >= asked.reserve


@st.composite
def fees_in_another_currency(draw: st.DrawFn) -> GateInput:
    rates = draw(st.sampled_from([{"BNB": "500"}, {"BNB": "0"}, {}]))
    return gate_input(
        [an_intent(A, draw(st.sampled_from(["10", "-10"])))],
        account=an_account(a_position(A, "10"), rates=rates),
        limits=loose(),
        fees=FlatFee("0.01", draw(st.sampled_from(["", "BNB"]))),
    )


@settings(deadline=None)
@given(fees_in_another_currency())
def test_no_order_is_approved_whose_fee_is_not_known_in_its_currency(asked: GateInput) -> None:
    assert isinstance(asked.fees, FlatFee)
    known = not asked.fees.currency or asked.account.rates.knows("BNB")
    verdicts = apply_gates(asked)
    assert judged_by(verdicts, "fee", "its fee cannot be converted to USD") == (not known)
    assert bool(verdicts.approved) == known


# ---------------------------------------------------------------------------- margin


@st.composite
def accounts_on_margin(draw: st.DrawFn) -> GateInput:
    """Draw purchases and short sales of B, C and D at 100, and perhaps a reduction of A."""
    sides = st.integers(1, 40).flatmap(lambda n: st.sampled_from([n, -n]))
    intents = [an_intent(A, str(-draw(st.integers(1, 20))))] * draw(st.integers(0, 1))
    for n, name in enumerate(NAMES[1 : 1 + draw(st.integers(1, 3))], 1):
        intents.append(an_intent(name, str(draw(sides)), sequence=n))
    excess = draw(st.sampled_from([None, d("NaN")] + [d(500 * n) for n in range(4, 14)] * 2))
    account = an_account(a_position(A, "20"), net_liquidation=d(20_000), excess_liquidity=excess)
    return gate_input(
        intents,
        account=account,
        stocks=[a_stock(name) for name in NAMES],
        limits=loose(
            margin_cushion=draw(st.sampled_from([d(0), d("0.1"), d("0.2")])),
            margin_rate=draw(st.sampled_from([d("0.25"), d("0.5"), d(1)])),
        ),
    )


@settings(deadline=None)
@given(accounts_on_margin())
def test_what_is_approved_leaves_the_cushion_above_the_margin_by_our_estimate(
    asked: GateInput,
) -> None:
    limits, excess = asked.limits, asked.account.excess_liquidity
    verdicts = apply_gates(asked)
    refused = refused_by(verdicts, "margin")
    opened = [order for order in verdicts.approved if order.instrument != A]
    if excess is None or not excess.is_finite():
        assert not refused
        assert excess is None or not opened  # what is no number is `others`
        return
    closed = sum(abs(intent.quantity) for intent in asked.intents if intent.instrument == A)
    added = sum(abs(order.quantity) for order in opened)
    cushion = limits.margin_cushion * 20_000
    assert not opened or excess - limits.margin_rate * (added - closed) * 100 >= cushion
    used = -closed * 100 * limits.margin_rate
    for intent in sorted(asked.intents, key=lambda each: (each.wave, each.sequence)):
        if intent.instrument != A:  # a refused one keeps its place
            used += abs(intent.quantity) * 100 * limits.margin_rate
            no = intent.instrument in {each.intent.instrument for each in refused}
            assert no == (excess - used < cushion)
    assert all("must stay" in each.reason for each in refused)


# ---------------------------------------------------------------------------- margin-preview


@dataclass(frozen=True)
class Asked:
    """What the venue was asked about, and what it answered."""

    approved: tuple[ApprovedOrder, ...]
    previews: Mapping[str, MarginPreview]
    account: AccountSnapshot
    limits: Limits

    def verdicts(self) -> Verdicts:
        return check_margin(self.approved, self.previews, self.account, self.limits)


thousands = st.one_of(st.integers(10, 20), st.integers(1, 60)).map(lambda n: d(1_000 * n))
answers = st.builds(
    lambda margin, equity: MarginPreview(True, margin, equity),
    st.one_of(*[thousands] * 9, st.sampled_from([None, d("NaN")])),
    st.one_of(*[thousands.map(lambda n: n + 40_000)] * 9, st.sampled_from([None, d("Infinity")])),
)


@st.composite
def answers_on_margin(draw: st.DrawFn) -> Asked:
    worth = st.sampled_from([1_000.0, 2_000.0, 4_000.0, 5_000.0, 10_000.0])
    orders = []
    for n, name in enumerate(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5))):
        order = an_approved(name)
        intent = replace(order.intent, notional=draw(worth), sequence=n)
        reduces = not draw(st.integers(0, 5))
        orders.append(replace(order, reference=f"r{n}", intent=intent, reduce_only=reduces))
    dry = not draw(st.integers(0, 9))
    told = {each.reference: MarginPreview(False) if dry else draw(answers) for each in orders}
    if not dry and not draw(st.integers(0, 4)):
        told.pop(draw(st.sampled_from(sorted(told))))
    return Asked(
        tuple(orders),
        told,
        an_account(initial_margin=draw(st.sampled_from([None] + [d(10_000)] * 4))),
        loose(
            margin_previews=draw(st.sampled_from([1, 1, 2, 2, 5])),
            margin_cushion=d(draw(st.sampled_from(["0", "0.1", "0.3"]))),
            margin_rate=d(draw(st.sampled_from(["0.25", "0.5", "1"]))),
        ),
    )


def answered(preview: MarginPreview | None) -> tuple[Fraction, Fraction] | None:
    """Return margin and equity after an order where both were told."""
    if preview is None:
        return None
    told = (preview.initial_margin_after, preview.equity_with_loan_after)
    if told[0] is None or told[1] is None or not all(each and each.is_finite() for each in told):
        return None
    return Fraction(told[0]), Fraction(told[1])


def expected_refusals(case: Asked) -> set[str]:
    """Return whose answer does not leave the cushion, or is none."""
    before, limits = case.account.initial_margin, case.limits
    opening = [order for order in case.approved if not order.reduce_only]
    worth = {order.reference: Fraction(order.intent.notional) for order in opening}
    largest = sorted(worth, key=lambda name: (-worth[name], name))[: limits.margin_previews]
    told = {name: answered(case.previews.get(name)) for name in largest}
    more = {
        name: worth[name] if before is None else max(answer[0] - Fraction(before), Fraction(0))
        for name, answer in told.items()
        if answer is not None
    }
    rate = max([Fraction(limits.margin_rate), *(more[name] / worth[name] for name in more)])
    equity = min((answer[1] for answer in told.values() if answer is not None), default=None)
    refused, used = set(), Fraction(0)
    for name, notional in worth.items():
        answer = told.get(name)
        if name not in told and equity is not None and before is not None:
            more[name] = rate * notional  # not asked about: the worst that was told of others
            answer = Fraction(before) + more[name], equity
        if answer is None:
            refused.add(name)
            continue
        if answer[1] - answer[0] - used < Fraction(limits.margin_cushion) * 100_000:
            refused.add(name)
        used += more[name]
    return refused


@settings(deadline=None, max_examples=200)
@given(answers_on_margin())
def test_what_the_venue_answers_on_margin_leaves_the_cushion_and_no_answer_is_a_no(
    case: Asked,
) -> None:
    verdicts = case.verdicts()
    refused = {order.reference for order in case.approved} - {
        order.reference for order in verdicts.approved
    }
    assert len(refused_by(verdicts, "margin-preview")) == len(verdicts.refused) == len(refused)
    if all(not preview.asked for preview in case.previews.values()) and case.previews:
        opening = any(not order.reduce_only for order in case.approved)
        assert not refused
        assert [flag.subject for flag in verdicts.flags] == [RUN] * opening
        return
    assert refused == expected_refusals(case)
