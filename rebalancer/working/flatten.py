"""Step 7 of `rebalancer flatten`: what is held goes to zero, in rounds, through the gates."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from rebalancer.errors import RunHalted
from rebalancer.execution.parameters import Leftover
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flags import TradingState
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.market import MarketSnapshot
from rebalancer.model.orders import ApprovedOrder, RefusedOrder, WorkingOrder
from rebalancer.model.plan import Plan
from rebalancer.planning import in_chunks, plan_flatten
from rebalancer.ports import Desk, Hands, Venue
from rebalancer.risk import Verdicts, apply_gates, largest_order
from rebalancer.working.decide import gate_input
from rebalancer.working.lots import scaled_lots
from rebalancer.working.page import RunPage
from rebalancer.working.work import work

MOST_ROUNDS = 100
MOST_IDLE = 2
"""So many rounds may pass without any execution before the rest is left."""

SETTLE_SECONDS = 15.0
"""How long an account is awaited that shows what the rounds before have sold."""


def taking(desk: Desk) -> Desk:
    """Return the desk with orders that take at once, and are cancelled where they cannot."""
    working = replace(
        desk.working,
        repeg_seconds=0.0,
        taker_after_seconds=0.0,
        reprice_after_seconds=0.0,
        market_as_last_resort=False,
        leftover=Leftover.CANCEL,
    )
    return replace(desk, working=working)


def sell_off(
    desk: Desk,
    venue: Venue,
    hands: Hands,
    page: RunPage,
    only: Collection[InstrumentId],
    others: Sequence[WorkingOrder],
) -> tuple[tuple[InstrumentId, Decimal], ...]:
    """Bring what is held of `only` (empty: of the universe) to zero; return what is left of it.

    Orders only reduce. A round sends one order an instrument, as large as the limits allow,
    with quotes and an account of its own; the next follows once the orders of the last have
    ended and are known, and the account shows what they did: what is sold from an old one is
    sold twice. An order that was refused, or of unknown fate, ends it for its instrument. A
    sleeve's remembered lots become smaller by what was sold, and by no more: a run without a
    signal wants none of it back. Exit code 3 where something is left.
    """
    account = page.last(AccountSnapshot) or venue.account()
    sale = _Sale(desk, venue, hands, page, frozenset(only), others, account)
    try:
        for _ in range(MOST_ROUNDS):
            if not sale.round(account):
                break
            account = sale.settled()
    finally:
        sale.tell()
        sale.forget_lots()
    left = sale.held(account)
    if left and hands.sends:
        page.worsen(RunHalted.exit_code)
    return tuple((name, account.quantity(name)) for name in left)


class _Sale:
    """What is sold off while it is; `approved` and `refused` are those of all rounds.

    `before` is the account that step 4 compared with the books.
    """

    def __init__(
        self,
        desk: Desk,
        venue: Venue,
        hands: Hands,
        page: RunPage,
        only: frozenset[InstrumentId],
        others: Sequence[WorkingOrder],
        before: AccountSnapshot,
    ) -> None:
        self.desk, self.venue, self.hands, self.page = desk, venue, hands, page
        self.only, self.others, self.before = only, others, before
        self.approved: list[ApprovedOrder] = []
        self.refused: dict[InstrumentId, RefusedOrder] = {}
        self.idle = 0

    def held(self, account: AccountSnapshot) -> tuple[InstrumentId, ...]:
        """Return what is still held of what is to be sold, in id order."""
        return tuple(
            sorted(
                each.instrument
                for each in account.positions
                if each.quantity
                and each.instrument in self.desk.universe
                and (not self.only or each.instrument in self.only)
            )
        )

    def round(self, account: AccountSnapshot) -> bool:
        """Send and work one order for each holding; return whether another round may follow."""
        names = [name for name in self.held(account) if not self._busy(name)]
        if not names or self.page.stop() is not None:
            return False
        market = self.page.keep(self.venue.market(self.desk.universe.instruments))
        plan = self._plan(names, account, market)
        verdicts = self._gate(plan, account, market)
        seen = len(self.page.fills)
        try:
            work(self.desk, self.venue, self.hands, verdicts.approved, self.page)
        finally:
            self.approved += self.page.approved
            self.refused |= {each.intent.instrument: each for each in self.page.refused}
        self.idle = 0 if len(self.page.fills) > seen else self.idle + 1
        return bool(verdicts.approved) and self.hands.sends and self.idle < MOST_IDLE

    def settled(self) -> AccountSnapshot:
        """Return an account that shows what was sold, or hold what it goes on not to show."""
        account = self.venue.account()
        until = self.venue.now() + timedelta(seconds=SETTLE_SECONDS)
        pause = timedelta(seconds=self.desk.working.poll_seconds)
        while self._not_shown(account) and self.venue.now() < until and not self.page.stop():
            for event in self.venue.wait(min(until, self.venue.now() + pause)):
                self.page.saw(event)
            account = self.venue.account()
        for name, left in self._not_shown(account).items():
            words = (
                f"{name}: after what was sold {left:f} of it are left, and the venue's account "
                f"goes on to show {account.quantity(name):f}; nothing more is sent in it"
            )
            self.page.flag("sources-disagree", words, name)
        return account

    def _not_shown(self, account: AccountSnapshot) -> dict[InstrumentId, Decimal]:
        """Return what our orders have left of holdings of which an account shows more, or less.

        Less of the same sign is believed: a stop may have triggered, a fee been paid in the coin.
        What was not held before is in an account that is older still.
        """
        late = {}
        for name in sorted({*self.held(self.before), *self.held(account)}):
            left, shown = self.before.quantity(name) + self._traded(name), account.quantity(name)
            if left * shown < 0 or abs(shown) > abs(left):
                late[name] = left
        return late

    def _traded(self, name: InstrumentId) -> Decimal:
        """Return what our orders in it traded, signed, by their states or executions: the more."""
        orders = [o for o in self.page.orders.values() if o.reference in self.page.intents]
        told = sum((o.filled for o in orders if o.instrument == name), Decimal(0))
        fills = self.page.own_fills()
        seen = sum((fill.quantity for fill in fills if fill.instrument == name), Decimal(0))
        return max(told, seen, key=abs)

    def forget_lots(self) -> None:
        """Let every sleeve want less by its part of what was sold, should it have no signal.

        A kill before this is harmless: remembered lots are kept at most, never bought.
        """
        lots, before = self.page.standing.sleeve_lots, self.before
        sold = dict.fromkeys(self.held(before), Decimal(0))
        for fill in self.page.own_fills():
            sold[fill.instrument] = sold.get(fill.instrument, Decimal(0)) + fill.quantity
        held = {name: before.quantity(name) for name in sold}
        kept = scaled_lots(lots, {name: (held[name], held[name] + sold[name]) for name in sold})
        if kept != lots:
            self.page.remember(sleeve_lots=kept)

    def tell(self) -> None:
        """Put the orders of all rounds onto the page."""
        sent = {order.instrument for order in self.approved}
        self.page.approved = list(self.approved)
        self.page.refused = [each for name, each in self.refused.items() if name not in sent]

    def _busy(self, name: InstrumentId) -> bool:
        """Return whether an order of this page in it has not ended, or its end is not known."""
        silent = set(self.page.unacknowledged())
        return name in self.refused or any(
            reference in silent or not self.page.orders[reference].status.terminal
            for reference, order in self.page.intents.items()
            if order.instrument == name
        )

    def _plan(
        self, names: Sequence[InstrumentId], account: AccountSnapshot, market: MarketSnapshot
    ) -> Plan:
        """Return the whole orders; the first round's are the order file."""
        desk = self.desk
        plan = plan_flatten(
            desk.universe,
            names,
            account,
            market,
            desk.planning,
            desk.fees,
            now=market.at,
            allow_delayed=desk.limits.allow_delayed_quotes,
        )
        if self.page.last(Plan) is None:
            self.page.keep(plan)
            desk.books.save_orders(self.page.slot, plan.lines(), label=desk.mode)
        return plan

    def _gate(self, plan: Plan, account: AccountSnapshot, market: MarketSnapshot) -> Verdicts:
        """Return what the gates of a run say of this round's orders; only reductions pass.

        Neutral sleeves may be left with one leg here: the owner wants out of what can be left.
        Nor do limits on the number of orders count: a runaway must not keep the owner in, and
        `MOST_ROUNDS` bounds these.
        """
        desk, page, universe = self.desk, self.page, self.desk.universe
        sent = len(page.intents)
        largest = {
            order.instrument: largest_order(
                order,
                universe[order.instrument],
                market.quotes.get(order.instrument),
                account,
                desk.limits,
            )
            for order in plan.orders
        }
        chunks = tuple(order for order, _ in in_chunks(plan.orders, universe, largest))
        given = gate_input(desk, page, replace(plan, orders=chunks), account, market, self.others)
        page.gate_input = replace(
            given,
            flags=tuple(flag for flag in page.flags if not page.works_despite(flag)),
            state=TradingState.REDUCING,
            sleeves=(),
            orders_in_session=given.orders_in_session + sent,
            by_owner=True,
            first_sequence=1 + max((_number(name) for name in page.intents), default=-1),
        )
        verdicts = apply_gates(page.gate_input)
        page.decided(verdicts)
        return page.keep(verdicts)


def _number(reference: str) -> int:
    return int(reference.rpartition(".")[2])
