"""Step 7: what the venue says an order would do to the margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


def critical(approved: Sequence[ApprovedOrder], limits: Limits) -> tuple[ApprovedOrder, ...]:
    """Return the orders about which the venue is asked, in the order in which they are sent.

    Those that may make a position larger, the `margin_previews` largest of them: a question
    takes its time at the venue, and the small ones are bounded by the answers on the large.
    """
    opening = [order for order in approved if not order.reduce_only]
    largest = sorted(opening, key=lambda order: (-order.intent.notional, order.reference))
    chosen = {order.reference for order in largest[: limits.margin_previews]}
    return tuple(order for order in approved if order.reference in chosen)


def check_margin(
    approved: Sequence[ApprovedOrder],
    previews: Mapping[str, MarginPreview],
    account: AccountSnapshot,
    limits: Limits,
    sleeves: Sequence[Sleeve] = (),
) -> Verdicts:
    """Return which approved orders the venue's margin allows; no answer is a no.

    `previews` by order reference, of the `critical` orders. An order must leave the cushion
    (`margin_cushion` x net liquidation) between equity and initial margin, by itself and with
    the orders before it: their increases of initial margin add up, which is an upper bound.
    An opening order that was not asked about counts the larger of `margin_rate` and the
    highest rate that was answered, times its notional. Reductions need no answer. A preview
    that was not asked (dry run) passes, with one note for the run and our own estimate in
    it. `sleeves`: a neutral one trades all or nothing.
    """
    asked = {order.reference for order in critical(approved, limits)}
    bound = _bound(approved, previews, account, limits)
    refused: dict[str, str] = {}
    unasked: list[ApprovedOrder] = []
    added = Decimal(0)
    for order in approved:
        preview = previews.get(order.reference)
        if order.reduce_only:
            continue
        if preview is not None and not preview.asked:
            unasked.append(order)
            continue
        if order.reference not in asked:
            preview = bound.preview(order)
            if preview is None:
                unasked.append(order)
                continue
        reason = _no_answer(preview)
        if reason is None and preview is not None:
            change = _change(preview, order, account)
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


@dataclass(frozen=True)
class _Bound:
    """What is assumed of an opening order that is too small to be asked about.

    `rate` is margin for one unit of notional; `margin` the account's initial margin now and
    `equity` the least equity that was answered, None where nothing was; `dry` says that the
    venue is not asked at all in this run.
    """

    rate: Decimal
    margin: Decimal | None
    equity: Decimal | None
    dry: bool

    def preview(self, order: ApprovedOrder) -> MarginPreview | None:
        """Return the answer that the venue would give at worst, None in a dry run."""
        if self.dry:
            return None
        if self.margin is None or self.equity is None:
            return MarginPreview(asked=True, message="nor was there one on the larger orders")
        after = self.margin + self.rate * Decimal(str(order.intent.notional))
        return MarginPreview(True, after, self.equity)


def _bound(
    approved: Sequence[ApprovedOrder],
    previews: Mapping[str, MarginPreview],
    account: AccountSnapshot,
    limits: Limits,
) -> _Bound:
    rates, equities, before = [limits.margin_rate], [], account.initial_margin
    before = before if before is not None and before.is_finite() else None
    for order in critical(approved, limits):
        preview, notional = previews.get(order.reference), Decimal(str(order.intent.notional))
        if preview is None or not preview.asked or _no_answer(preview) is not None:
            continue
        if preview.equity_with_loan_after is not None:
            equities.append(preview.equity_with_loan_after)
        if notional > 0:
            rates.append(_change(preview, order, account) / notional)
    dry = bool(previews) and not any(preview.asked for preview in previews.values())
    return _Bound(max(rates), before, min(equities, default=None), dry)


def _change(preview: MarginPreview, order: ApprovedOrder, account: AccountSnapshot) -> Decimal:
    """Return by how much an order makes the initial margin larger, not negative.

    Where the account has not told its initial margin, by as much as the order is worth.
    """
    before, after = account.initial_margin, preview.initial_margin_after
    if before is None or not before.is_finite() or after is None or not after.is_finite():
        return Decimal(str(order.intent.notional))
    return max(after - before, Decimal(0))


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
        names = {order.instrument for order in approved if order.reference in refused}
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
    orders, them = ("order", "it") if len(unasked) == 1 else ("orders", "them")
    message = (
        f"the venue was not asked what {len(unasked)} {orders} would do to the margin; "
        f"our own estimate passed {them} ({known})"
    )
    return submit_flag("margin-not-asked", RUN, message)
