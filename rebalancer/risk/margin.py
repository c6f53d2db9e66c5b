"""Step 7: what the venue says an order would do to the margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flags import RUN, ErrorFlag
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import ApprovedOrder, MarginPreview, RefusedOrder
from rebalancer.model.universe import Sleeve
from rebalancer.risk.gates import neutral_sleeves_hit
from rebalancer.risk.parameters import Limits
from rebalancer.risk.terms import Verdicts, submit_flag
from rebalancer.risk.words import money


def check_margin(
    approved: Sequence[ApprovedOrder],
    previews: Mapping[str, MarginPreview],
    account: AccountSnapshot,
    limits: Limits,
    sleeves: Sequence[Sleeve] = (),
) -> Verdicts:
    """Return which approved orders the venue's margin allows; no answer is a no.

    `previews` by order reference. An order must leave the cushion (`margin_cushion` x net
    liquidation) between equity and initial margin, by itself and with the orders before it:
    their increases of initial margin add up, which is an upper bound. Reductions need an
    answer and nothing more. A preview that was not asked (dry run) passes, with one note for
    the run and our own estimate in it. `sleeves`: a neutral one trades all or nothing.
    """
    refused: dict[str, str] = {}
    unasked: list[ApprovedOrder] = []
    added = Decimal(0)
    for order in approved:
        preview = previews.get(order.reference)
        if preview is not None and not preview.asked:
            unasked.append(order)
            continue
        reason = _no_answer(preview)
        if reason is None and preview is not None:
            before = account.initial_margin
            change = Decimal(0)
            if before is not None and preview.initial_margin_after is not None:
                change = max(preview.initial_margin_after - before, Decimal(0))
            if not order.reduce_only:
                reason = _too_much(preview, added, account, limits)
            added += change  # a refused one keeps its place in the queue
        if reason is not None:
            refused[order.reference] = reason
    _all_or_nothing(approved, sleeves, refused)
    flags = _refusals(approved, refused)
    if unasked:
        flags = (_note(unasked, account), *flags)
    return Verdicts(
        approved=tuple(order for order in approved if order.reference not in refused),
        refused=tuple(
            RefusedOrder(order.intent, "margin-preview", refused[order.reference])
            for order in approved
            if order.reference in refused
        ),
        flags=flags,
    )


def _no_answer(preview: MarginPreview | None) -> str | None:
    if preview is None:
        return "the venue did not answer what it would do to the margin"
    for amount in (preview.initial_margin_after, preview.equity_with_loan_after):
        if amount is None or not amount.is_finite():
            words = f": {preview.message}" if preview.message else ""
            return f"the venue's answer on the margin is incomplete{words}"
    return None


def _too_much(
    preview: MarginPreview, added: Decimal, account: AccountSnapshot, limits: Limits
) -> str | None:
    margin, equity = preview.initial_margin_after, preview.equity_with_loan_after
    if margin is None or equity is None:
        return "the venue's answer on the margin is incomplete"
    left = equity - margin - added
    cushion = limits.margin_cushion * account.net_liquidation
    if left >= cushion:
        return None
    base = account.rates.base
    return (
        f"with the orders before it {money(left, base)} would be left above the initial margin; "
        f"the cushion is {money(cushion, base)}"
    )


def _all_or_nothing(
    approved: Sequence[ApprovedOrder], sleeves: Sequence[Sleeve], refused: dict[str, str]
) -> None:
    while True:
        names: dict[InstrumentId, str] = {
            order.instrument: "" for order in approved if order.reference in refused
        }
        hit = neutral_sleeves_hit(sleeves, names)
        more = {
            order.reference: hit[order.instrument]
            for order in approved
            if order.instrument in hit and order.reference not in refused
        }
        if not more:
            return
        refused.update(more)


def _refusals(
    approved: Sequence[ApprovedOrder], refused: Mapping[str, str]
) -> tuple[ErrorFlag, ...]:
    flags: dict[InstrumentId, ErrorFlag] = {}
    for order in approved:
        if order.reference in refused:
            reason = refused[order.reference]
            message = f"{order.instrument}: margin refused {order.quantity:f}: {reason}"
            flags.setdefault(
                order.instrument, submit_flag("order-refused", order.instrument, message)
            )
    return tuple(flags.values())


def _note(unasked: Sequence[ApprovedOrder], account: AccountSnapshot) -> ErrorFlag:
    base, excess = account.rates.base, account.excess_liquidity
    known = (
        f"excess liquidity is {money(excess, base)}" if excess is not None else "no margin known"
    )
    message = (
        f"the venue was not asked what {len(unasked)} orders would do to the margin; "
        f"our own estimate passed them ({known})"
    )
    return submit_flag("margin-not-asked", RUN, message)
