"""The hour: thirteen steps, in order. This file takes no decision; read it first."""

from __future__ import annotations

from datetime import datetime

from rebalancer.model.flags import Step
from rebalancer.model.records import RunRecord
from rebalancer.ports import Desk
from rebalancer.working.books import check_books
from rebalancer.working.cancel import cancel_own_orders
from rebalancer.working.closing import commit, log_trades, send_alert, send_daily, snapshot
from rebalancer.working.decide import check_margin, gate, make_plan
from rebalancer.working.healing import explain
from rebalancer.working.opening import connect, learn_rules, open_page
from rebalancer.working.protect import protect
from rebalancer.working.recover import recover
from rebalancer.working.refresh import refresh_bars
from rebalancer.working.work import work


def hour(desk: Desk, slot: datetime) -> RunRecord:
    """Carry the account from where it is to where its owner's signals want it."""
    with open_page(desk, slot) as page, connect(desk, page) as venue:  # 1 connect
        hands, desk = desk.hands(venue), learn_rules(desk, venue, page)
        recover(desk, venue, page)  # what earlier runs left unfinished
        page.step(Step.CANCEL)  # 2 cancel open orders
        others = page.keep(cancel_own_orders(desk, venue, hands, page))
        page.step(Step.SIGNALS)  # 3 generate signals
        panel = refresh_bars(desk, venue, page)
        page.keep(desk.generators.write(desk.sleeves, panel, venue.now()))
        page.step(Step.NET_LIQUIDATION)  # 4 net liquidation value, books, breakers
        account = page.keep(venue.account())
        explain(desk, venue, account, page)
        standing = page.keep(check_books(desk, account, page))
        page.step(Step.TARGETS)  # 5 read weights and leverage
        targets = page.keep(desk.inbox.read(desk.sleeves, venue.now(), slot))
        page.step(Step.ORDER_FILE)  # 6 order file
        market = page.keep(venue.market(desk.universe.instruments))
        plan = page.keep(make_plan(desk, page, targets, account, market, standing))
        desk.books.save_orders(slot, plan.lines(), label=desk.mode)
        page.step(Step.SUBMIT)  # 7 gate and submit
        gated = page.keep(gate(desk, page, plan, account, market, others))
        cleared = page.keep(check_margin(desk, venue, hands, gated, account, page))
        work(desk, venue, hands, cleared.approved, page)
        protect(desk, venue, hands, others, page)
        page.step(Step.LOG_TRADES)  # 8 log trades
        log_trades(desk, venue, page)
        page.step(Step.SNAPSHOT)  # 9 snapshot
        snapshot(desk, venue, page)
        page.step(Step.ALERT)  # 10 error alert
        send_alert(desk, page)
        page.step(Step.DAILY_UPDATE)  # 11 daily update
        send_daily(desk, page)
        page.step(Step.DATABASE)  # 12 database
        commit(desk, page)
        page.step(Step.DISCONNECT)
    return page.record  # 13 disconnected, whatever happened
