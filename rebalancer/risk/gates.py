"""Step 7: the gates, one visible table; the only builder of approved orders."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from rebalancer.model.flags import ErrorFlag, Severity
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import ApprovedOrder, RefusedOrder, order_reference
from rebalancer.model.universe import Sleeve
from rebalancer.risk import data_quality as data
from rebalancer.risk import order_gates as order
from rebalancer.risk import run_gates as run
from rebalancer.risk import venue_bounds as venue
from rebalancer.risk import venue_gates
from rebalancer.risk.candidates import candidates
from rebalancer.risk.joint import WHOLE, Claim, claim_of, over_limits
from rebalancer.risk.means import means_of
from rebalancer.risk.terms import Candidate, Gate, GateInput, Verdicts, submit_flag

_QUOTE_AGE = ("quote_max_age_seconds", "allow_delayed_quotes", "max_clock_skew_seconds")
_WINDOW = ("order_window_after_open_minutes", "order_window_before_close_minutes")

GATES: tuple[Gate, ...] = (
    Gate("halt", run.no_halt, raises=""),
    Gate("net-liquidation", run.sound_net_liquidation),
    Gate("session", run.session_open, raises="session-closed", limits=_WINDOW),
    Gate("restart", run.no_restart, raises="session-closed", limits=("restart_window",)),
    Gate(
        "funding",
        venue_gates.no_funding_now,
        raises="funding-window",
        limits=("funding_window_seconds",),
    ),
    Gate("override", run.owner_allows, raises="override"),
    Gate("hold", run.not_held, raises=""),
    Gate("reducing", run.only_reductions, raises=""),
    Gate("form", order.well_formed),
    Gate("leaving", order.not_leaving),
    Gate("venue-hours", run.venue_agrees, raises="calendar-disagrees"),
    Gate("quote", data.quote_there),
    Gate("freshness", data.quote_fresh, limits=_QUOTE_AGE),
    Gate("spread", data.spread_narrow, limits=("max_spread_bps",)),
    Gate("collar", data.near_last_close, limits=("price_collar",)),
    Gate("grid", order.on_grid),
    Gate("venue-band", venue.inside_venue_band),
    Gate("venue-position", venue.below_venue_position),
    Gate("venue-notional", venue.below_venue_notional),
    Gate("venue-orders", venue_gates.room_for_an_order),
    Gate("fraction", order.whole_shares, limits=("allow_fractions",)),
    Gate("short", order.no_short, limits=("allow_short",)),
    Gate("size", order.small_enough, limits=("max_order_notional", "max_order_weight")),
    Gate(
        "participation",
        order.small_part_of_volume,
        limits=("max_participation", "allow_unknown_volume"),
    ),
    Gate("day-trade", order.no_day_trade, limits=("pattern_day_trader_equity",)),
)
"""Asked in this order; the first no is the reason. None of them exempts reductions, but for
`reducing`, `override`, `leaving` and `short`, which are about nothing else, and a `hold` that says
so itself. The shared limits
(`JOINT_GATES`) follow; of those reductions pass all but the number of orders."""

_CLOSED = frozenset({"session-closed", "funding-window"})
"""Noes that only say "not now": one note for the run."""

_No = tuple[str, str, str]
"""Gate, reason, and the flag it raises ('' none)."""


def apply_gates(given: GateInput) -> Verdicts:
    """Return what may be sent and what not, with a reason for each no.

    Approved and refused are the intents, each once, in sequence. Every limit holds for each
    approved order and for all of them together. A refusal by a limit flags its instrument
    (`order-refused`); one that only says "closed" gives a single note for the run. A sleeve
    marked `neutral` trades all or nothing: reductions too, but for the way out of what the venue
    closes.
    """
    found = candidates(given)
    refused: dict[int, _No] = {}
    for candidate in found:
        no = _first_no(candidate, given)
        if no is not None:
            refused[candidate.place] = no
    claims = _claims(found, given, refused)
    _refuse_together(found, claims, given, refused)
    approved = _approve([each for each in found if each.place not in refused], given)
    no_orders = tuple(
        RefusedOrder(each.intent, *refused[each.place][:2])
        for each in found
        if each.place in refused
    )
    return Verdicts(approved, no_orders, _flags(found, refused))


def neutral_sleeves_hit(
    sleeves: Iterable[Sleeve], refused: Container[InstrumentId]
) -> dict[InstrumentId, str]:
    """Return the instruments of neutral sleeves in which one was refused, with the reason."""
    hit: dict[InstrumentId, str] = {}
    for sleeve in sleeves:
        if not sleeve.neutral:
            continue
        first = next((name for name in sorted(sleeve.universe) if name in refused), None)
        if first is not None:
            reason = f"sleeve {sleeve.name} trades all or nothing, and {first} does not trade"
            hit.update((name, reason) for name in sleeve.universe)
    return hit


def _first_no(candidate: Candidate, given: GateInput) -> _No | None:
    for gate in GATES:
        reason = gate.check(candidate, given)
        if reason is not None:
            return gate.name, reason, gate.raises
    return None


def _claims(
    found: Sequence[Candidate], given: GateInput, refused: dict[int, _No]
) -> tuple[Claim, ...]:
    claims = []
    for candidate in found:
        claim = claim_of(candidate, given.fees, given)
        if isinstance(claim, Claim):
            claims.append(claim)
        elif claim is not None:
            refused.setdefault(candidate.place, ("fee", claim, "order-refused"))
    return tuple(claims)


def _refuse_together(
    found: Sequence[Candidate],
    claims: Sequence[Claim],
    given: GateInput,
    refused: dict[int, _No],
) -> None:
    """Refuse what does not fit with the others until everything left does."""
    value = given.account.net_liquidation
    if not value.is_finite() or value <= 0:
        return  # every order is refused already
    means = means_of(given)
    held = {
        InstrumentId(flag.subject)
        for flag in given.flags
        if flag.severity is Severity.HOLD and flag.code not in run.LETS_REDUCE
    }
    while True:
        standing = {each.place: WHOLE for each in found if each.place not in refused}
        for place, (gate, reason) in over_limits(claims, means, standing).items():
            refused[place] = (gate, reason, "order-refused")
        _refuse_openings(found, refused)
        names = {each.intent.instrument for each in found if each.place in refused}
        hit = neutral_sleeves_hit(given.sleeves, names | held)
        for each in found:
            hit_too = each.intent.instrument in hit and not each.way_out
            if hit_too and each.place not in refused:
                refused[each.place] = ("neutral", hit[each.intent.instrument], "order-refused")
        if all(place not in refused for place in standing):
            return


def _refuse_openings(found: Sequence[Candidate], refused: dict[int, _No]) -> None:
    """Refuse the opening part of a reversal whose closing part was refused."""
    shut = {each.intent.instrument for each in found if each.place in refused}
    for each in found:
        if each.intent.part and each.intent.instrument in shut and each.place not in refused:
            reason = "it opens what its other part would have closed, and that was refused"
            refused[each.place] = ("reversal", reason, "order-refused")


def _approve(passed: Sequence[Candidate], given: GateInput) -> tuple[ApprovedOrder, ...]:
    deadline = _deadline(given)
    return tuple(
        ApprovedOrder(
            reference=order_reference(
                given.portfolio,
                given.slot,
                given.attempt,
                candidate.intent.instrument,
                given.first_sequence + number,
            ),
            intent=candidate.intent,
            worst_price=candidate.worst,
            deadline=deadline,
            reduce_only=candidate.reduces and candidate.intent.reducing,
        )
        for number, candidate in enumerate(passed)
    )


def _deadline(given: GateInput) -> datetime:
    """Return when approvals end: with their time, and before what is sent could miss the close.

    What goes out after it would rest over night and trade at the next opening. The owner's
    command may go on until the close itself.
    """
    ends = given.venue_now + timedelta(seconds=given.approval_seconds)
    if given.session is None or given.session.always:
        return ends
    minutes = 0.0 if given.by_owner else given.limits.order_window_before_close_minutes
    return min(ends, given.session.close - timedelta(minutes=minutes))


def _flags(found: Sequence[Candidate], refused: Mapping[int, _No]) -> tuple[ErrorFlag, ...]:
    flags: dict[tuple[str, str], ErrorFlag] = {}
    for candidate in found:
        if candidate.place not in refused:
            continue
        gate, reason, code = refused[candidate.place]
        name = candidate.intent.instrument
        closed = code in _CLOSED
        subject = "" if closed else str(name)
        if closed:
            shut = sum(no[2] == code for no in refused.values())
            message = f"{reason}; {shut} {'order was' if shut == 1 else 'orders were'} not sent"
        else:
            message = f"{name}: gate {gate} refused {candidate.intent.quantity:f}: {reason}"
        if code:
            flags.setdefault((code, subject), submit_flag(code, subject, message))
    return tuple(flags.values())
