"""Accounts and positions, as clients ask for them; most answers go on as pushes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.model.instrument import InstrumentId
from rebalancer.simulators.ib_gateway.account_values import (
    State,
    money,
    profit_of,
    realised_today,
    rows_of,
    state_of,
    summary_rows,
)
from rebalancer.simulators.ib_gateway.feeds import AccountFeed, MultiFeed, SummaryFeed
from rebalancer.simulators.ib_gateway.orders_state import plain
from rebalancer.simulators.ib_gateway.orders_times import ZONE

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway
    from rebalancer.simulators.ib_gateway.session import Session

MOST_SUMMARIES = 2
_GROUPS = ("All", "")
_ZERO = Decimal(0)
_FINEST = Decimal("1E-8")
_LEDGER_AND_NET = frozenset({"NetLiquidation", "NetLiquidation-S"})


def named(session: Session, account: str) -> str | None:
    """Return the account that a client means, None for one that the login does not see.

    Where a fault shows the account under another name, that name means it too.
    """
    gateway = session.gateway
    own = gateway.exchange.account.account
    shown = {own, gateway.faults.account, session.tap.spoilt.account, ""}
    if account in shown:
        return own
    return account if account in gateway.accounts else None


def _invalid(session: Session, number: int, cause: str) -> None:
    session.error(number, 321, f"Error validating request.-'bF' : cause - {cause}")


# ---------------------------------------------------------------------- account updates


def req_account_updates(session: Session, values: Mapping[str, Any]) -> None:
    """Begin or end the values and portfolio of one account; all of it is told at once."""
    code = str(values["acctCode"])
    account = named(session, code)
    if not values["subscribe"]:
        session.feeds.account = None
        return
    if account is None:
        _invalid(session, -1, f"Invalid account code '{code}'.")
        return
    if not code and len(session.gateway.accounts) > 1:
        _invalid(session, -1, "The account code is required for this operation.")
        return
    session.feeds.account = AccountFeed(account)
    send_account(session, held_in(session.gateway, account))
    session.send("accountDownloadEnd", account=account)


def send_account(session: Session, instruments: Iterable[InstrumentId]) -> None:
    """Send what has changed of the account's values, the rows of these instruments, the time."""
    feed, gateway = session.feeds.account, session.gateway
    if feed is None:
        return
    state = state_of(gateway, feed.account)
    told = {(key, currency): value for key, currency, value in rows_of(state)}
    before = feed.told
    news = [(*name, value) for name, value in told.items() if before.get(name) != value]
    session.tap.say_values(feed.account, news)
    for identifier in instruments:
        _send_portfolio(session, state, identifier)
    feed.told = told
    local = gateway.exchange.now.astimezone(ZONE)
    session.send("updateTime", time=f"{local:%H:%M}")


def _send_portfolio(session: Session, state: State, identifier: InstrumentId) -> None:
    gateway = session.gateway
    listed = gateway.directory.listed(identifier)
    instrument, holding = listed.instrument, gateway.exchange.account.holdings[identifier]
    now = gateway.exchange.now
    mark = state.worth.marks.get(identifier) or gateway.exchange.valuer.mark(identifier, now)
    unit = instrument.multiplier / instrument.magnifier
    session.send(
        "portfolioValue",
        **listed.values(),
        primaryExchange=listed.primary or listed.exchange,
        position=plain(holding.quantity),
        marketPrice=plain(mark),
        marketValue=money(holding.quantity * mark * unit),
        avgCost=plain(average_cost(gateway, identifier)),
        unrealizedPNL=money(profit_of(gateway, identifier, mark)),
        realizedPNL=money(state.realised.get(identifier, _ZERO)),
        account=state.account,
    )


def average_cost(gateway: Gateway, identifier: InstrumentId) -> Decimal:
    """Return what a unit cost on average, multiplier included, to eight decimals."""
    instrument = gateway.exchange.instruments[identifier]
    cost = gateway.exchange.account.holdings[identifier].average_cost
    cost *= instrument.multiplier / instrument.magnifier
    return cost.quantize(_FINEST, ROUND_HALF_EVEN)


def held_in(gateway: Gateway, account: str) -> tuple[InstrumentId, ...]:
    """Return what an account holds, by instrument id."""
    books = gateway.exchange.account
    if account != books.account:
        return ()
    return tuple(sorted(name for name, each in books.holdings.items() if each.quantity))


# ---------------------------------------------------------------------- several accounts


def req_account_updates_multi(session: Session, values: Mapping[str, Any]) -> None:
    """Tell the values of one account or model, and go on telling what changes."""
    number, account = values["reqId"], named(session, str(values["account"]))
    if account is None:
        _invalid(session, number, f"Invalid account code '{values['account']}'.")
        return
    model = str(values["modelCode"])
    feed = MultiFeed(account, model, ledger_only=values["ledgerAndNLV"])
    session.feeds.values_multi[number] = feed
    send_values_multi(session, number, feed)
    session.send("accountUpdateMultiEnd", reqId=number)


def send_values_multi(session: Session, number: int, feed: MultiFeed) -> None:
    """Send what has changed; models have nothing here."""
    if feed.model:
        return
    state = state_of(session.gateway, feed.account)
    ledger = {*state.purses, "BASE"}
    for key, currency, value in rows_of(state):
        wanted = not feed.ledger_only or key in _LEDGER_AND_NET or currency in ledger
        if wanted and feed.told.get((key, currency)) != value:
            feed.told[key, currency] = value
            session.send(
                "accountUpdateMulti",
                reqId=number,
                account=feed.account,
                key=key,
                value=value,
                currency=currency,
            )


def cancel_account_updates_multi(session: Session, values: Mapping[str, Any]) -> None:
    """End a request for values."""
    session.feeds.values_multi.pop(values["reqId"], None)


def req_account_summary(session: Session, values: Mapping[str, Any]) -> None:
    """Tell some values of all accounts, or of a group's, and go on telling what changes."""
    number, group = values["reqId"], str(values["group"])
    feeds, gateway = session.feeds.summaries, session.gateway
    if group not in _GROUPS and named(session, group) is None:
        _invalid(session, number, f"Invalid account group '{group}'.")
        return
    if number not in feeds and len(feeds) >= MOST_SUMMARIES:
        session.error(
            number,
            322,
            "Error processing request.-'bS' : cause - Maximum number of account summary requests "
            "exceeded",
        )
        return
    chosen = named(session, group)
    accounts = gateway.accounts if group in _GROUPS or chosen is None else (chosen,)
    tags = tuple(tag.strip() for tag in str(values["tags"]).split(",") if tag.strip())
    feeds[number] = SummaryFeed(accounts, tags)
    send_summary(session, number, feeds[number])
    session.send("accountSummaryEnd", reqId=number)


def send_summary(session: Session, number: int, feed: SummaryFeed) -> None:
    """Send what has changed of a summary."""
    for account in feed.accounts:
        state = state_of(session.gateway, account)
        for tag, currency, value in summary_rows(state, feed.tags):
            key = (account, tag, currency)
            if feed.told.get(key) != value:
                feed.told[key] = value
                session.send(
                    "accountSummary",
                    reqId=number,
                    account=account,
                    tag=tag,
                    value=value,
                    currency=currency,
                )


def cancel_account_summary(session: Session, values: Mapping[str, Any]) -> None:
    """End a summary."""
    session.feeds.summaries.pop(values["reqId"], None)


# ---------------------------------------------------------------------- positions


def req_positions(session: Session, values: Mapping[str, Any]) -> None:
    """Tell the positions of all accounts, and go on telling what changes."""
    session.feeds.positions = True
    gateway = session.gateway
    for identifier in held_in(gateway, gateway.exchange.account.account):
        send_position(session, identifier)
    session.send("positionEnd")


def send_position(session: Session, identifier: InstrumentId) -> None:
    """Send one position; without an exchange, as the real one does. 0: there is none any more."""
    session.send("position", **_position(session.gateway, identifier))


def _position(gateway: Gateway, identifier: InstrumentId) -> dict[str, Any]:
    holding = gateway.exchange.account.holdings[identifier]
    return {
        **gateway.directory.listed(identifier).values(),
        "account": gateway.exchange.account.account,
        "position": plain(holding.quantity),
        "avgCost": plain(average_cost(gateway, identifier)),
    }


def cancel_positions(session: Session, values: Mapping[str, Any]) -> None:
    """End the positions."""
    session.feeds.positions = False


def req_positions_multi(session: Session, values: Mapping[str, Any]) -> None:
    """Tell the positions of one account or model."""
    number, account = values["reqId"], named(session, str(values["account"]))
    if account is None:
        _invalid(session, number, f"Invalid account code '{values['account']}'.")
        return
    feed = MultiFeed(account, str(values["modelCode"]))
    session.feeds.positions_multi[number] = feed
    for identifier in held_in(session.gateway, account):
        send_position_multi(session, number, feed, identifier)
    session.send("positionMultiEnd", reqId=number)


def send_position_multi(
    session: Session, number: int, feed: MultiFeed, identifier: InstrumentId
) -> None:
    """Send one position of a request, if it is of its account; models have none here."""
    own = feed.account == session.gateway.exchange.account.account
    if own and not feed.model:
        values = _position(session.gateway, identifier)
        session.send("positionMulti", **values, reqId=number)


def cancel_positions_multi(session: Session, values: Mapping[str, Any]) -> None:
    """End the positions of one request."""
    session.feeds.positions_multi.pop(values["reqId"], None)


# ---------------------------------------------------------------------- profit and loss


def req_pnl(session: Session, values: Mapping[str, Any]) -> None:
    """Tell the account's profit of the day, unrealised and realised, and what changes of it."""
    number = values["reqId"]
    if named(session, str(values["account"])) is None:
        _invalid(session, number, f"Invalid account code '{values['account']}'.")
        return
    session.feeds.profits[number] = None
    send_profit(session, number)


def req_pnl_single(session: Session, values: Mapping[str, Any]) -> None:
    """Tell the profit of one position, and what changes of it."""
    number, gateway = values["reqId"], session.gateway
    instrument = gateway.directory.instrument(int(values["conId"] or 0))
    held = instrument is not None and instrument.id in gateway.exchange.account.holdings
    if named(session, str(values["account"])) is None or instrument is None or not held:
        _invalid(session, number, "No position of this contract in this account.")
        return
    session.feeds.profits[number] = instrument.id
    send_profit(session, number)


def send_profit(session: Session, number: int) -> None:
    """Send the profit that a request is about, in base currency (of one position: in its own)."""
    gateway, identifier = session.gateway, session.feeds.profits[number]
    exchange = gateway.exchange
    if identifier is None:
        state = state_of(gateway, exchange.account.account)
        whole = state.total()
        session.send(
            "pnl",
            reqId=number,
            dailyPnL=money(state.worth.net_liquidation - state.before),
            unrealizedPnL=money(whole.unrealised),
            realizedPnL=money(whole.realised),
        )
        return
    instrument, holding = exchange.instruments[identifier], exchange.account.holdings[identifier]
    mark = exchange.valuer.mark(identifier, exchange.now)
    profit = profit_of(gateway, identifier, mark)
    realised = realised_today(gateway).get(identifier, _ZERO)
    unit = instrument.multiplier / instrument.magnifier
    session.send(
        "pnlSingle",
        reqId=number,
        position=plain(holding.quantity),
        dailyPnL=money(profit + realised),
        unrealizedPnL=money(profit),
        realizedPnL=money(realised),
        value=money(holding.quantity * mark * unit),
    )


def cancel_pnl(session: Session, values: Mapping[str, Any]) -> None:
    """End a request for profits."""
    session.feeds.profits.pop(values["reqId"], None)


HANDLERS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "reqAccountUpdates": req_account_updates,
    "reqAccountUpdatesMulti": req_account_updates_multi,
    "cancelAccountUpdatesMulti": cancel_account_updates_multi,
    "reqAccountSummary": req_account_summary,
    "cancelAccountSummary": cancel_account_summary,
    "reqPositions": req_positions,
    "cancelPositions": cancel_positions,
    "reqPositionsMulti": req_positions_multi,
    "cancelPositionsMulti": cancel_positions_multi,
    "reqPnL": req_pnl,
    "cancelPnL": cancel_pnl,
    "reqPnLSingle": req_pnl_single,
    "cancelPnLSingle": cancel_pnl,
}
