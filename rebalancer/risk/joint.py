"""Limits that orders share: cash, margin, gross, net, concentration, counts, turnover.

Two rules keep them safe whatever is refused. An order that was refused keeps its place in
the queue: what it would have used is not given to another in this run. And what an order
gives (proceeds, a smaller position) counts only while that order share. So a refusal never
lets another order through, and the answer does not depend on the order of checking: it is
the largest set of orders in which each passes given the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rebalancer.errors import UnknownRate
from rebalancer.model.fees import FeeSchedule
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.risk.candidates import unit
from rebalancer.risk.means import Means
from rebalancer.risk.order_counts import too_many_orders
from rebalancer.risk.parameters import Override
from rebalancer.risk.terms import Candidate, GateInput
from rebalancer.risk.words import money, percent, times

_MARGINED = frozenset({Kind.FUTURE, Kind.PERPETUAL})


@dataclass(frozen=True, slots=True)
class Claim:
    """What one order takes and gives, whoever approves it.

    `delta` is its signed change of exposure, `notional` its size without sign (base currency);
    `cost` what it takes in `currency` with its fee (never negative), `proceeds` what it gives
    after its fee (a reduction that sells; never negative).
    """

    place: int
    instrument: InstrumentId
    currency: str
    quantity: Decimal
    reduces: bool
    delta: Decimal
    notional: Decimal
    cost: Decimal
    proceeds: Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """How much of an order stands: `actual` has happened, `wanted` still may (0 to 1)."""

    actual: Decimal
    wanted: Decimal


WHOLE = Share(Decimal(1), Decimal(1))
NONE = Share(Decimal(0), Decimal(0))


@dataclass
class Totals:
    """Where the account would be after the orders of the queue so far."""

    means: Means
    orders: int
    turnover: Decimal
    gross: Decimal
    gross_before: Decimal
    long: Decimal
    short: Decimal
    cash: dict[str, Decimal]
    position: dict[InstrumentId, Decimal]

    def add(self, claim: Claim) -> None:
        """Take what a claim takes; what it gives was counted at the start."""
        self.orders += 1
        self.turnover += claim.notional
        self.cash[claim.currency] = self.cash.get(claim.currency, Decimal(0)) - claim.cost
        if claim.delta > 0:
            self.long += claim.delta
        else:
            self.short += claim.delta
        if not claim.reduces:
            size = abs(claim.delta)
            self.gross += size
            self.position[claim.instrument] = self.position.get(claim.instrument, Decimal(0)) + size


def begin(means: Means, claims: Sequence[Claim], shares: Mapping[int, Share]) -> Totals:
    """Return where the account is with what the standing orders give, before they take."""
    cash = dict(means.cash)
    position = dict(means.exposure)
    long = short = means.net
    for claim in claims:
        share = shares.get(claim.place, NONE)
        if means.proceeds_usable and claim.proceeds:
            cash[claim.currency] = cash.get(claim.currency, Decimal(0)) + (
                claim.proceeds * share.actual
            )
        if claim.reduces:
            held = position.get(claim.instrument, Decimal(0))
            whole = means.exposure_per_unit.get(claim.instrument, Decimal(0))
            closed = abs(claim.quantity) * share.actual * whole
            position[claim.instrument] = max(held - closed, Decimal(0))
        if claim.delta < 0:
            long += claim.delta * share.wanted
        else:
            short += claim.delta * share.wanted
    gross = sum((position[name] for name in sorted(position)), Decimal(0)) + means.others_gross
    return Totals(
        means=means,
        orders=0,
        turnover=Decimal(0),
        gross=gross,
        gross_before=sum(means.exposure.values(), Decimal(0)),
        long=long + means.others_bought,
        short=short + means.others_sold,
        cash=cash,
        position=position,
    )


@dataclass(frozen=True, slots=True)
class JointGate:
    """One row of the table of joint limits; `exempts`: reductions pass whatever they use.

    `limits` are its keys of `[risk]`, `planning` those of `[planning]`.
    """

    name: str
    check: Callable[[Claim, Totals], str | None]
    exempts: bool = True
    limits: tuple[str, ...] = ()
    planning: tuple[str, ...] = ()


def _orders(claim: Claim, totals: Totals) -> str | None:
    """Refuse one order too many: of this run, of this session, of the last sessions."""
    return too_many_orders(totals.means, totals.orders, reduces=claim.reduces)


def _turnover(claim: Claim, totals: Totals) -> str | None:
    """Refuse what would trade too much in this session, or in the last sessions."""
    means, limits = totals.means, totals.means.limits
    traded = totals.turnover + means.turnover_in_session
    share = traded / means.net_liquidation
    if share > limits.max_turnover_per_session:
        return (
            f"with it the session would trade {percent(share)} of net liquidation; "
            f"the limit is {percent(limits.max_turnover_per_session)}"
        )
    of_days = (traded + means.turnover_before) / means.net_liquidation
    if of_days > limits.turnover_of_days:
        return (
            f"with it {limits.limit_days} sessions would trade {percent(of_days)} of net "
            f"liquidation; the limit is {percent(limits.turnover_of_days)}"
        )
    return None


def _others_known(claim: Claim, totals: Totals) -> str | None:
    """Refuse to open anything while the value of a holding or of an order of others is unknown."""
    return totals.means.blind or None


def _concentration(claim: Claim, totals: Totals) -> str | None:
    """Refuse to open or add to a position that would be too large."""
    means = totals.means
    size = totals.position[claim.instrument]  # `Totals.add` took it
    size += means.others_position.get(claim.instrument, Decimal(0))
    own = means.overrides.get(claim.instrument, Override())
    largest = _least(means.limits.max_position_notional, own.max_notional)
    if largest is not None and size > largest:
        return (
            f"position of {money(size, means.base)} after it; the limit is "
            f"{money(largest, means.base)}"
        )
    weight = size / means.net_liquidation
    heaviest = min(means.limits.max_position_weight, own.max_weight or weight)
    if weight > heaviest:
        return (
            f"position of {money(size, means.base)} after it is {percent(weight)} of net "
            f"liquidation; the limit is {percent(heaviest)}"
        )
    return None


def _least(*bounds: Decimal | None) -> Decimal | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _gross(claim: Claim, totals: Totals) -> str | None:
    """Refuse what would take all positions together, without signs, too far."""
    means = totals.means
    leverage = totals.gross / means.net_liquidation
    if leverage <= means.limits.max_gross_leverage:
        return None
    return (
        f"gross leverage would be {times(leverage)}; "
        f"the limit is {times(means.limits.max_gross_leverage)}"
    )


def _net(claim: Claim, totals: Totals) -> str | None:
    """Refuse what would take all positions together, with signs, too far to its side."""
    means = totals.means
    side = totals.long if claim.delta > 0 else -totals.short
    leverage = side / means.net_liquidation
    if leverage <= means.limits.max_net_leverage:
        return None
    word = "long" if claim.delta > 0 else "short"
    return (
        f"net leverage would be {times(leverage)} {word}; "
        f"the limit is {times(means.limits.max_net_leverage)}"
    )


def _cash(claim: Claim, totals: Totals) -> str | None:
    """Refuse what would need more cash than there is, fees and reserve taken off."""
    if claim.delta < 0 and not claim.cost:
        return None
    means, currency = totals.means, claim.currency
    after = totals.cash[currency]  # `Totals.add` took its cost
    least = means.floor(currency)
    if after < least:
        allowed = f"at least {money(least, currency)} must stay" if least else "nothing is borrowed"
        return (
            f"{money(claim.cost, currency)} with fee would leave {money(after, currency)} in cash; "
            f"{allowed}"
        )
    if means.borrow_limit is not None:
        return None
    whole = means.in_base(totals.cash)
    if whole is None:
        return "cash in a currency without a rate is owed: what is left is unknown"
    if whole < means.reserve:
        return (
            f"{money(claim.cost, currency)} with fee would leave {money(whole, means.base)} in "
            f"cash; the reserve is {money(means.reserve, means.base)}"
        )
    return None


def _margin(claim: Claim, totals: Totals) -> str | None:
    """Refuse what would leave too little above the margin, by our own estimate."""
    means = totals.means
    if means.excess_liquidity is None:
        return None
    used = means.limits.margin_rate * (totals.gross - totals.gross_before)
    left = means.excess_liquidity - used
    cushion = means.limits.margin_cushion * means.net_liquidation
    if left >= cushion:
        return None
    return (
        f"excess liquidity would be about {money(left, means.base)} (our estimate at "
        f"{percent(means.limits.margin_rate)} of gross); {money(cushion, means.base)} must stay"
    )


JOINT_GATES: tuple[JointGate, ...] = (
    JointGate(
        "orders",
        _orders,
        exempts=False,
        limits=(
            "max_orders_per_run",
            "max_orders_per_session",
            "max_orders_per_days",
            "limit_days",
        ),
    ),
    JointGate("others", _others_known),
    JointGate(
        "turnover",
        _turnover,
        limits=("max_turnover_per_session", "max_turnover_per_days", "limit_days"),
    ),
    JointGate(
        "concentration", _concentration, limits=("max_position_weight", "max_position_notional")
    ),
    JointGate("gross", _gross, limits=("max_gross_leverage",)),
    JointGate("net", _net, limits=("max_net_leverage",)),
    JointGate("cash", _cash, planning=("funding", "borrow_limit", "cash_reserve")),
    JointGate("margin", _margin, limits=("margin_cushion", "margin_rate")),
)
"""The shared limits, in the order in which they are asked. Reductions pass all but the first."""


def over_limits(
    claims: Sequence[Claim], means: Means, shares: Mapping[int, Share]
) -> dict[int, tuple[str, str]]:
    """Return gate and reason for each standing claim that does not fit, by place.

    `claims` in queue order, refused ones too; `shares` has those that are not refused.
    Reductions take first, whatever their place: nothing could refuse them afterwards.
    """
    totals = begin(means, claims, shares)
    found: dict[int, tuple[str, str]] = {}
    for claim in sorted(claims, key=lambda each: not each.reduces):  # stable: the queue's order
        totals.add(claim)
        if claim.place not in shares:
            continue
        for gate in JOINT_GATES:
            if gate.exempts and claim.reduces:
                continue
            reason = gate.check(claim, totals)
            if reason is not None:
                found[claim.place] = (gate.name, reason)
                break
    return found


def claim_of(candidate: Candidate, fees: FeeSchedule, given: GateInput) -> Claim | str | None:
    """Return what an order takes and gives; why that is unknown; None for nothing sound."""
    instrument, rate, notional = candidate.instrument, candidate.rate, candidate.notional
    if instrument is None or rate is None or notional is None or candidate.twin:
        return None
    intent = candidate.intent
    worth = intent.quantity * candidate.price * unit(instrument)
    fee = _fee(instrument, candidate, fees, given)
    if fee is None:
        return f"its fee cannot be converted to {instrument.currency}"
    moved = Decimal(0) if instrument.kind in _MARGINED else worth
    gives = -moved - fee if candidate.reduces and moved < 0 else Decimal(0)
    takes = max(moved, Decimal(0)) + fee if gives <= 0 else Decimal(0)
    return Claim(
        place=candidate.place,
        instrument=intent.instrument,
        currency=instrument.currency,
        quantity=intent.quantity,
        reduces=candidate.reduces,
        delta=worth * rate,
        notional=notional,
        cost=max(takes, Decimal(0)),
        proceeds=max(gives, Decimal(0)),
    )


def _fee(
    instrument: Instrument, candidate: Candidate, fees: FeeSchedule, given: GateInput
) -> Decimal | None:
    fee = fees.order_fee(instrument, candidate.intent.quantity, candidate.price)
    if fee.currency == instrument.currency:
        return fee.amount
    rates = given.account.rates
    try:
        return rates.to_base(fee) / rates.rate(instrument.currency)
    except UnknownRate:
        return None
