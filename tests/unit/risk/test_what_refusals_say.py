"""What the owner reads when margin, cash or time refuse an order: every word and number."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flags import RUN, Severity, Step
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import (
    ApprovedOrder,
    MarginPreview,
    OrderIntent,
    OrderStatus,
    WorkingOrder,
)
from rebalancer.model.universe import Sleeve
from rebalancer.risk import (
    Funding,
    SentOrder,
    Verdicts,
    apply_gates,
    check_margin,
    funding_of,
    release,
)
from rebalancer.risk.means import means_of
from rebalancer.risk.parameters import ProtectParameters
from tests.unit.risk.builders import (
    NOW,
    A,
    B,
    C,
    a_position,
    a_quote,
    a_stock,
    an_account,
    an_approved,
    an_intent,
    d,
    gate_input,
    identifier,
    some_limits,
)

SAP = identifier("SAP", "EUR")
EURO = a_stock(SAP, multiplier=d(4), magnifier=d(2))

# ---------------------------------------------------------------------------- margin

ACCOUNT = an_account(initial_margin=d(20_000), excess_liquidity=d(80_000))
LIMITS = some_limits(margin_cushion=d("0.1"), margin_previews=2, margin_rate=d("0.5"))


def orders(*notionals: float) -> tuple[ApprovedOrder, ...]:
    made = []
    for n, notional in enumerate(notionals):
        order = an_approved((A, B, C)[n])
        intent = replace(order.intent, notional=notional)
        made.append(replace(order, reference=f"ref-{n}", intent=intent))
    return tuple(made)


def answer(margin: str | None, equity: str | None = "100000", message: str = "") -> MarginPreview:
    return MarginPreview(
        True, None if margin is None else d(margin), None if equity is None else d(equity), None,
        message,
    )  # fmt: skip


def reasons(verdicts: Verdicts) -> dict[str, str]:
    return {refused.intent.instrument[0]: refused.reason for refused in verdicts.refused}


def test_margin_says_what_is_missing_or_left() -> None:
    some = orders(3000.0, 2000.0)
    answers = {"ref-0": answer(None, message="no permission"), "ref-1": answer("1", None)}
    found = check_margin(some, answers, ACCOUNT, LIMITS)
    assert reasons(found) == {
        "A": "the venue's answer on the margin is incomplete: no permission",
        "B": "the venue's answer on the margin is incomplete",
    }
    assert [(f.step, f.subject, f.message) for f in found.flags] == [
        (
            Step.SUBMIT, A,
            f"{A}: margin refused 10: the venue's answer on the margin is incomplete: "
            "no permission",
        ),
        (Step.SUBMIT, B, f"{B}: margin refused 10: the venue's answer on the margin is incomplete"),
    ]  # fmt: skip
    assert [refused.intent for refused in found.refused] == [order.intent for order in some]
    assert {refused.gate for refused in found.refused} == {"margin-preview"}
    found = check_margin(some[:1], {}, ACCOUNT, LIMITS)
    assert reasons(found) == {"A": "the venue did not answer what it would do to the margin"}
    found = check_margin(some[:1], {"ref-0": answer("95000")}, ACCOUNT, LIMITS)
    assert reasons(found) == {
        "A": "with the orders before it 5,000 USD would be left above the initial margin; "
        "the cushion is 10,000 USD"
    }


def test_what_every_order_adds_is_added_up_also_of_refused_ones() -> None:
    # Cushion 10,000 of 100,000; each adds 30,000: 50,000 left alone, then 20,000, then less.
    some, limits = orders(3000.0, 3000.0, 3000.0), replace(LIMITS, margin_previews=3)
    each = {f"ref-{n}": answer("50000") for n in range(3)}
    found = check_margin(some, each, ACCOUNT, limits)
    assert [order.instrument for order in found.approved] == [A, B]
    assert reasons(found)["C"].startswith("with the orders before it -10,000 USD would be left")
    # The first is refused and keeps its place: 30,000 of it count.
    first = each | {"ref-0": answer("50000", "55000")}
    found = check_margin(some, first, ACCOUNT, limits)
    assert [order.instrument for order in found.approved] == [B]


def test_a_smaller_margin_after_an_order_gives_nothing_to_others() -> None:
    some = orders(3000.0, 2000.0)
    found = check_margin(some, {"ref-0": answer("5000"), "ref-1": answer("91000")}, ACCOUNT, LIMITS)
    assert reasons(found) == {
        "B": "with the orders before it 9,000 USD would be left above the initial margin; "
        "the cushion is 10,000 USD"
    }


def test_an_order_that_was_not_asked_about_has_the_worst_that_was_answered() -> None:
    # 3,000 of A add 6,000: a rate of 2. So 2,000 of C add 4,000 more: 100,000 less 24,000 and
    # what A and B added.
    some = orders(3000.0, 2500.0, 2000.0)
    answers = {"ref-0": answer("26000"), "ref-1": answer("20000", "41000")}
    found = check_margin(some, answers, ACCOUNT, LIMITS)
    # B leaves 41,000 - 20,000 - 6,000 = 15,000; C 41,000 - 24,000 - 6,000 = 11,000.
    assert [order.instrument for order in found.approved] == [A, B, C]
    thin = answers | {"ref-1": answer("20000", "39999")}
    assert reasons(check_margin(some, thin, ACCOUNT, LIMITS)) == {
        "C": "with the orders before it 9,999 USD would be left above the initial margin; "
        "the cushion is 10,000 USD"
    }
    assert reasons(check_margin(some, {}, ACCOUNT, LIMITS))["C"] == (
        "the venue's answer on the margin is incomplete: nor was there one on the larger orders"
    )
    blind = an_account(excess_liquidity=d(80_000))
    assert reasons(check_margin(some, answers, blind, LIMITS))["C"] == (
        "the venue's answer on the margin is incomplete: nor was there one on the larger orders"
    )


def test_answers_without_numbers_and_orders_worth_nothing_bound_nobody() -> None:
    # A has no answer, B is worth nothing: C counts at margin_rate 0.5: 20,000 + 500.
    some, limits = orders(0.0, 3000.0, 1000.0), replace(LIMITS, margin_previews=3)
    limits = replace(limits, margin_previews=2)
    answers = {"ref-1": answer(None), "ref-2": answer("20500", "30500")}
    found = check_margin(some, answers, ACCOUNT, limits)
    assert [order.instrument for order in found.approved] == [A, C]


@pytest.mark.parametrize(
    ("excess", "known"), [(d(80_000), "excess liquidity is 80,000 USD"), (None, "no margin known")]
)
def test_a_dry_run_says_once_that_nobody_was_asked(excess: Decimal | None, known: str) -> None:
    account = an_account(initial_margin=d(20_000), excess_liquidity=excess)
    some, unasked = orders(3000.0, 2000.0, 1000.0), MarginPreview(asked=False)
    reducing = replace(some[0], reduce_only=True)
    found = check_margin(
        (reducing, *some[1:]), {"ref-1": unasked, "ref-2": unasked}, account, LIMITS
    )
    assert found.approved == (reducing, *some[1:])
    (flag,) = found.flags
    assert (flag.severity, flag.subject, flag.step) == (Severity.NOTE, RUN, Step.SUBMIT)
    assert flag.message == (
        "the venue was not asked what 2 orders would do to the margin; "
        f"our own estimate passed them ({known})"
    )
    # What is beyond the number of questions is not asked about either.
    few = replace(LIMITS, margin_previews=1)
    found = check_margin(some, {"ref-0": unasked}, account, few)
    assert found.approved == some
    assert "what 3 orders" in found.flags[0].message


def test_reductions_before_and_after_others_need_no_answer() -> None:
    some = orders(3000.0, 2000.0, 1000.0)
    mixed = (replace(some[0], reduce_only=True), some[1], some[2])
    found = check_margin(mixed, {"ref-1": answer("21000"), "ref-2": answer(None)}, ACCOUNT, LIMITS)
    assert [order.instrument for order in found.approved] == [A, B]


def test_a_neutral_sleeve_gives_up_its_other_leg() -> None:
    pair = Sleeve("pair", (A, B), d(1), neutral=True)
    found = check_margin(
        orders(3000.0, 2000.0), {"ref-0": answer("21000"), "ref-1": answer(None)}, ACCOUNT, LIMITS,
        (pair,),
    )  # fmt: skip
    assert found.approved == ()
    assert [f.subject for f in found.flags] == [A, B]
    assert "pair" in reasons(found)["A"]


# ---------------------------------------------------------------------------- cash


def cash_reason(*, limits: object = None, **changes: object) -> dict[str, str]:
    """Gate 10 of SAP at 100: 2,000 EUR, 2,500 USD and a fee of 1 EUR."""
    values = {
        "stocks": [EURO], "quotes": [a_quote(SAP)],
        "limits": limits or some_limits(max_order_weight=d(9), max_position_weight=d(9)),
    }  # fmt: skip
    asked = gate_input([an_intent(SAP, "10")], **(values | changes))  # type: ignore[arg-type]
    return {refused.gate: refused.reason for refused in apply_gates(asked).refused}


def rich(**cash: str) -> AccountSnapshot:
    return an_account(cash=cash, rates={"EUR": "1.25"}, net_liquidation=d(100_000))


def test_cash_says_what_would_be_left_and_what_must_stay() -> None:
    # The worst price is beyond the limit: money counts there.
    assert cash_reason(account=rich(USD="90000", EUR="5000")) == {}
    assert cash_reason(account=rich(USD="90000", EUR="1500"))["cash"] == (
        "2,001 EUR with fee would leave -501.00 EUR in cash; nothing is borrowed"
    )
    assert cash_reason(account=rich(USD="90000"))["cash"] == (
        "2,001 EUR with fee would leave -2,001 EUR in cash; nothing is borrowed"
    )
    # 1,000 USD may be owed: 800 EUR.
    owed = cash_reason(account=rich(USD="90000", EUR="1000"), borrow_limit=d(1000))
    assert owed["cash"] == (
        "2,001 EUR with fee would leave -1,001 EUR in cash; at least -800.00 EUR must stay"
    )
    assert cash_reason(account=rich(USD="90000", EUR="1201"), borrow_limit=d(1000)) == {}
    # 5,000 - 2,001 = 2,999 EUR are 3,748.75 USD, with 250 more 3,998.75.
    reserve = {"account": rich(USD="250", EUR="5000"), "reserve": d("3998.75")}
    assert cash_reason(**reserve) == {}
    assert cash_reason(**(reserve | {"reserve": d("3998.76")}))["cash"] == (
        "2,001 EUR with fee would leave 3,999 USD in cash; the reserve is 3,999 USD"
    )
    assert cash_reason(account=rich(EUR="5000", XXX="-0.01"))["cash"] == (
        "cash in a currency without a rate is owed: what is left is unknown"
    )
    assert cash_reason(account=rich(EUR="5000", XXX="0")) == {}
    assert cash_reason(account=rich(EUR="5000", XXX="0.5"), reserve=d("3748.75")) == {}


def test_our_estimate_of_margin_says_its_numbers() -> None:
    # 10 x 100 x 4 / 2 x 1.25 = 2,500 more: half of it is taken from the excess.
    limits = some_limits(
        max_order_weight=d(9), max_position_weight=d(9), margin_cushion=d("0.1"),
        margin_rate=d("0.5"),
    )  # fmt: skip
    account = rich(USD="90000", EUR="5000")
    enough = replace(account, excess_liquidity=d("11250"))
    assert cash_reason(account=enough, limits=limits) == {}
    thin = replace(account, excess_liquidity=d("11249"))
    assert cash_reason(account=thin, limits=limits)["margin"] == (
        "excess liquidity would be about 9,999 USD (our estimate at 50 % of gross); "
        "10,000 USD must stay"
    )
    # What is held already has its margin: only what is added counts.
    held = replace(thin, positions=(a_position(A, "300"),))
    more = replace(held, excess_liquidity=d("11250"))
    assert cash_reason(account=more, limits=limits) == {}


# ---------------------------------------------------------------------------- others


def working(name: str, quantity: str, limit: str | None = "120") -> WorkingOrder:
    price = None if limit is None else d(limit)
    return WorkingOrder("", "1", InstrumentId(name), d(quantity), d(0), price,
                        OrderStatus.WORKING, NOW)  # fmt: skip


def test_orders_of_others_take_cash_in_their_own_currency_at_their_worst() -> None:
    # 5 at 120 x 4 / 2 = 1,200 EUR; of ZZ, held in pounds at 20 (25 USD), 10 = 200 GBP; of QQ
    # nothing is held and nothing known.
    zz, qq = identifier("ZZ", "GBP"), identifier("QQ")
    account = an_account(
        a_position(zz, "3", "20"), a_position(SAP, "-2", "200"),
        cash={"USD": "90000", "EUR": "5000"}, rates={"EUR": "1.25", "GBP": "1.25"},
    )  # fmt: skip
    others = (working(SAP, "5"), working(zz, "10"), working(qq, "1"))
    asked = gate_input([], account=account, stocks=[EURO], quotes=[a_quote(SAP)], others=others)
    found = means_of(asked)
    assert found.cash == {"USD": d(90_000), "EUR": d(3_800), "GBP": d(-200)}
    assert found.others_bought == d(1_500) + d(250)
    assert found.others_sold == 0
    # SAP goes from -2 to at most 3: one more without sign; ZZ from 3 to 13.
    assert found.others_position == {SAP: d(300), zz: d(250)}
    assert found.others_gross == d(550)
    assert found.blind == f"what orders of others in {qq} may cost is unknown"


def test_orders_of_others_count_at_the_highest_price_that_is_known() -> None:
    quote = a_quote(SAP, "130")
    account = an_account(cash={"USD": "90000"}, rates={"EUR": "1.25"})
    for limit, price in (("120", "130.01"), ("140", "140"), (None, "130.01"), ("NaN", "130.01")):
        asked = gate_input([], account=account, stocks=[EURO], quotes=[quote],
                           others=(working(SAP, "-5", limit),))  # fmt: skip
        found = means_of(asked)
        assert found.others_sold == -5 * d(price) * 2 * d("1.25")
        assert found.others_gross == 5 * d(price) * 2 * d("1.25")
        assert found.cash == {"USD": d(90_000), "EUR": d(0)}


# ---------------------------------------------------------------------------- release


LOOSE = some_limits(
    max_order_weight=d(2), max_position_weight=d(2), max_gross_leverage=d(9), max_net_leverage=d(9)
)


def waiting(
    account: AccountSnapshot, *intents: OrderIntent
) -> tuple[Funding, tuple[ApprovedOrder, ...]]:
    asked = gate_input(intents, account=account, limits=LOOSE)
    approved = apply_gates(asked).approved
    return funding_of(asked, approved), approved


def test_what_is_dropped_at_the_end_says_why() -> None:
    account = an_account(a_position(A, "20"), cash={"USD": "10"})
    funding, some = waiting(account, an_intent(A, "-20"), an_intent(B, "10"))
    broke = release(funding, some[1:], [SentOrder(some[0], d("-5"), done=False)], final=True)
    # 10 + 5 / 20 of 1,999 = 509.75 of 1,001.
    assert [(r.gate, r.reason) for r in broke.dropped] == [
        ("cash", "1,001 USD with fee would leave -491.25 USD in cash; nothing is borrowed")
    ]
    assert [(f.code, f.message) for f in broke.flags] == [
        (
            "not-funded",
            f"{B}: 10 was not sent: 1,001 USD with fee would leave -491.25 USD in cash; "
            "nothing is borrowed",
        )
    ]
    late = release(funding, some[1:], [SentOrder(some[0], d("-20"), done=True)], final=True)
    assert [(r.gate, r.reason) for r in late.dropped] == [
        ("time", "its time was over before it was sent")
    ]


def test_a_reversal_says_what_it_waits_for() -> None:
    close, opening = an_intent(A, "-10"), an_intent(A, "-5", part=1, wave=1, reducing=False)
    limits = some_limits(allow_short=True)
    asked = gate_input([close, opening], account=an_account(a_position(A, "10")), limits=limits)
    some = apply_gates(asked).approved
    funding = funding_of(asked, some)
    over = release(funding, some[1:], [SentOrder(some[0], d("-9"), done=True)])
    assert [(r.gate, r.reason) for r in over.dropped] == [
        ("reversal", "it opens what its other part has not closed whole")
    ]
    ended = release(funding, some[1:], [SentOrder(some[0], d("-9"), done=False)], final=True)
    assert [(r.gate, r.reason) for r in ended.dropped] == [
        ("reversal", "it waits for its other part to close")
    ]
    assert [f.code for f in ended.flags] == ["not-funded"]
    # Another instrument's closing order is not its other part.
    other = replace(some[0], intent=replace(some[0].intent, instrument=B))
    strange = release(funding, some[1:], [SentOrder(other, d("-9"), done=True)])
    assert [r.reason for r in strange.dropped] == ["it waits for its other part to close"]


def test_a_neutral_sleeve_that_stops_is_refused_and_not_unfunded() -> None:
    triple = Sleeve("triple", (A, B, C), d(1), neutral=True)
    asked = gate_input(
        [an_intent(A, "10"), an_intent(B, "9"), an_intent(C, "8")], sleeves=(triple,)
    )
    some = apply_gates(asked).approved
    sofar = [SentOrder(some[0], d(0), done=True, rejected=True)]
    found = release(funding_of(asked, some), some[1:], sofar)
    assert [(f.code, f.subject) for f in found.flags] == [
        ("order-refused", B),
        ("order-refused", C),
    ]
    assert {r.gate for r in found.dropped} == {"neutral"}


# ---------------------------------------------------------------------------- a ladder's reach


def test_a_ladder_must_end_before_it_costs_everything() -> None:
    # The last of five stops: 0.6 + 4 x 0.1 = 1.0 of average cost away: too far; 0.0999 is not.
    with pytest.raises(ValueError, match="the last of 5 stops would be 100% below cost"):
        ProtectParameters(enabled=True, base_distance=d("0.6"), steps=5, step_distance=d("0.1"))
    ProtectParameters(enabled=True, base_distance=d("0.6"), steps=5, step_distance=d("0.0999"))
