"""Step 4: the account is proved, the books are compared with it, the breakers are evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from math import nan

from rebalancer.ledger import (
    Break,
    CorporateAction,
    compare_books,
    continuous,
    corporate_actions,
    unexplained_cash,
    unmanaged,
)
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.records import Standing
from rebalancer.ports import Desk
from rebalancer.risk import check_account, evaluate_breakers
from rebalancer.working.bookkeeping import expected_now
from rebalancer.working.conduct import conduct_of
from rebalancer.working.counters import count_trades
from rebalancer.working.income import flows_since_accepted
from rebalancer.working.page import RunPage
from rebalancer.working.record import session_date

MARKS_LAST = timedelta(days=5)
"""So long an accepted price tells a split: over a long weekend, not over a holiday."""


def check_books(desk: Desk, account: AccountSnapshot, page: RunPage) -> Standing:
    """Return what is remembered after the checks of step 4; it is saved before step 6.

    Until the owner has adopted what an account already holds, nothing is compared (there is
    nothing to compare with) and nothing is sent.
    """
    page.stop()  # a halted run accepts nothing
    page.unaccepted = page.standing
    for flag in check_account(account, desk.limits, desk.net_liquidation_range, now=page.now):
        page.raised(flag)
    page.unmanaged = unmanaged(account, desk.universe)
    for identifier in page.unmanaged:
        page.flag("unmanaged", f"{identifier} is held and not in the universe", identifier)
    breaks, actions = _compared(desk, account, page)
    _explain_cash(desk, account, page)
    verdict = evaluate_breakers(
        page.standing,
        account,
        breaks,
        actions,
        desk.limits,
        session=session_date(desk, page.now),
        now=page.now,
        flags=page.flags,
        flows=flows_since_accepted(desk.books.entries(), page.standing, account),
        continuous=_continuous(desk, page),
        conduct=conduct_of(desk, page, account),
    )
    for flag in verdict.flags:
        page.raised(flag)
    page.standing = verdict.standing
    page.remember()
    count_trades(desk, page, account)
    return page.standing


def unaccepted(page: RunPage) -> Standing:
    """Return what is remembered, with nothing that a halted or failed run had accepted."""
    before, now = page.unaccepted, page.standing
    start, begun = now.session_start_net_liquidation, now.start_net_liquidation
    if start is not None and begun is not None and before.start_net_liquidation is not None:
        # Flows are counted from `accepted_at` on: those that were in it come again.
        start -= begun - before.start_net_liquidation
    return replace(
        now,
        accepted_net_liquidation=before.accepted_net_liquidation,
        accepted_at=before.accepted_at,
        start_net_liquidation=before.start_net_liquidation,
        high_water_mark=before.high_water_mark,
        session_start_net_liquidation=(
            start if before.accepted_at is not None else before.session_start_net_liquidation
        ),
        next_session_reference=now.next_session_reference or before.next_session_reference,
        contracts=before.contracts,
        marks={name: mark for name, mark in before.marks.items() if name in now.marks},
        values=before.values,
    )


def marks_after(standing: Standing, after: AccountSnapshot) -> Mapping[InstrumentId, Decimal]:
    """Return the accepted prices with the first ones of what the run itself has bought.

    Else a split in the night after it would find nothing to compare its price with.
    """
    doubts = {"reconciliation-break", "corporate-action"}
    left_out = {flag.subject for flag in standing.latched if flag.code in doubts}
    bought = {
        each.instrument: each.price
        for each in after.positions
        if each.quantity and each.price is not None and each.instrument not in left_out
    }
    return dict(sorted({**bought, **standing.marks}.items()))


def _compared(
    desk: Desk, account: AccountSnapshot, page: RunPage
) -> tuple[tuple[Break, ...], tuple[CorporateAction, ...]]:
    """Return where books and venue differ; none while the account is not adopted."""
    expected = expected_now(desk.books)
    if not page.standing.adopted:
        held = [p for p in account.positions if p.quantity and p.instrument in desk.universe]
        if held and not any(expected.values()):
            page.flag(
                "not-adopted",
                f"the account holds {len(held)} positions of the universe that no run of ours "
                "booked; `rebalancer adopt` books them, until then nothing is sent",
            )
            return (), ()
        page.remember(adopted=True)
    acts = corporate_actions(
        expected,
        account,
        desk.universe,
        page.standing.contracts,
        _telling(known_prices(desk, account, page), desk, page),
        _recent_marks(page),
        split_doubts(page.standing),
    )
    return compare_books(expected, account, desk.universe), acts


def _recent_marks(page: RunPage) -> Mapping[InstrumentId, Decimal]:
    """Return the accepted prices that are not too old to be compared with those of now.

    After a pause a price may be any other. One that a doubt stands on is never too old.
    """
    standing = page.standing
    doubtful, accepted = split_doubts(standing), standing.accepted_at
    recent = accepted is not None and page.now - accepted <= MARKS_LAST
    return {name: mark for name, mark in standing.marks.items() if recent or name in doubtful}


def split_doubts(standing: Standing) -> Mapping[InstrumentId, str]:
    """Return of which instruments a corporate action is latched, with its evidence."""
    latched = (flag for flag in standing.latched if flag.code == "corporate-action")
    return {InstrumentId(flag.subject): flag.evidence for flag in latched}


def _telling(
    prices: Mapping[InstrumentId, tuple[Decimal, Decimal]], desk: Desk, page: RunPage
) -> Mapping[InstrumentId, tuple[Decimal, Decimal]]:
    """Return the prices whose last close can tell a split: it is newer than the owner's word."""
    since = page.standing.closes_since
    times = desk.candles.panel(desk.universe.ids).up_to(page.now).times
    return {
        name: pair
        for name, pair in prices.items()
        if name not in since or times[-1] > since[name].timestamp()
    }


def known_prices(
    desk: Desk, account: AccountSnapshot, page: RunPage
) -> Mapping[InstrumentId, tuple[Decimal, Decimal]]:
    """Return the last close and the venue's mark of each holding for which both are known."""
    panel = desk.candles.panel(desk.universe.ids).up_to(page.now)
    if not len(panel):
        return {}
    closes = dict(zip(panel.instruments, panel.values[-1].tolist(), strict=True))
    return {
        position.instrument: (Decimal(repr(closes[position.instrument])), position.price)
        for position in account.positions
        if position.price is not None and closes.get(position.instrument, nan) > 0
    }


def _continuous(desk: Desk, page: RunPage) -> frozenset[InstrumentId]:
    """Return the instruments whose stored history, as far as a sleeve needs it, has no jump."""
    bars = max(sleeve.history_bars for sleeve in desk.sleeves)
    panel = desk.candles.panel(desk.universe.ids).up_to(page.now)
    return continuous(panel.values[-bars:], panel.instruments)


def _explain_cash(desk: Desk, account: AccountSnapshot, page: RunPage) -> None:
    """Note cash that moved without a trade of ours; much of it stops buys."""
    since = desk.books.entries(page.standing.accepted_entries)
    moved = unexplained_cash(page.standing.accepted_cash, since, account, desk.universe)
    total = Decimal(0)
    for currency, amount in sorted(moved.items()):
        page.flag(
            "unexplained-cash",
            f"{amount:+,.2f} {currency} moved without a trade of ours; booked as such",
            f"currency:{currency}",
        )
        if account.rates.knows(currency):
            total += abs(amount) * account.rates.rate(currency)
    worth = account.net_liquidation
    if total and not (worth.is_finite() and total <= desk.limits.unexplained_cash * worth):
        page.flag(
            "unexplained-cash-large",
            f"{total:,.2f} {account.rates.base} moved without a trade of ours, more than "
            f"{desk.limits.unexplained_cash:.1%} of net liquidation; no buys in this run",
        )
