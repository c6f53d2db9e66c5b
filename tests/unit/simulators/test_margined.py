"""Perpetuals and spot pairs in the engine: what a trade moves, and what is refused."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.errors import DataError
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce
from rebalancer.simulators.booking import book, carry
from rebalancer.simulators.books import Account
from rebalancer.simulators.exchange import Exchange
from rebalancer.simulators.faults import Fault, FaultKind, FaultScript
from rebalancer.simulators.kinds import base_asset, is_margined, is_pair
from tests.unit.simulators.worlds import AT, BTC, ETH, GAP, SPOT, engine, wanted

D = Decimal


def account() -> Account:
    return Account(1, "P", "USDT", 7, AT, {"USDT": D(10_000)}, {"USDT": D(10_000)})


def adds_up(exchange: Exchange) -> None:
    """Carried balances and executions make the cash and the holdings."""
    books = exchange.account
    cash: dict[str, Decimal] = defaultdict(Decimal, books.carried_cash)
    held: dict[InstrumentId, Decimal] = defaultdict(Decimal, books.carried_positions)
    for execution in books.executions:
        instrument = exchange.instruments[execution.instrument]
        cash[execution.commission_currency] -= execution.commission
        if is_margined(instrument):
            cash[execution.currency] += execution.realised or 0
        elif is_pair(instrument):
            cash[base_asset(instrument)] += execution.quantity
            cash[execution.currency] -= execution.quantity * execution.price
        if not is_pair(instrument):
            held[execution.instrument] += execution.quantity
    assert {k: v for k, v in cash.items() if v} == {k: v for k, v in books.cash.items() if v}
    now = {name: each.quantity for name, each in books.holdings.items() if each.quantity}
    assert {name: each for name, each in held.items() if each} == now


def test_a_perpetual_moves_no_cash_until_profit_is_realised() -> None:
    of = account()
    assert book(of, BTC, D("0.2"), D(80_000)) is None
    assert book(of, BTC, D("0.2"), D(82_000)) is None
    assert of.cash == {"USDT": D(10_000)}
    holding = of.holdings[BTC.id]
    assert holding.average_cost == 81_000  # (80,000 + 82,000) / 2
    assert book(of, BTC, D("-0.1"), D(84_000)) == 300  # 0.1 x 3,000
    assert of.cash == {"USDT": D(10_300)}
    assert (holding.quantity, holding.average_cost) == (D("0.3"), D(81_000))


def test_a_flip_through_zero_realises_the_old_side_and_opens_the_new_at_its_price() -> None:
    of = account()
    book(of, BTC, D("0.3"), D(81_000))
    assert book(of, BTC, D("-0.5"), D(80_000)) == -300  # 0.3 x -1,000
    holding = of.holdings[BTC.id]
    assert (holding.quantity, holding.average_cost) == (D("-0.2"), D(80_000))
    assert of.cash == {"USDT": D(9_700)}
    assert book(of, BTC, D("0.2"), D(79_000)) == 200  # short 0.2, bought back 1,000 lower
    assert (holding.quantity, holding.average_cost) == (D(0), D(0))
    assert of.cash == {"USDT": D(9_900)}


def test_profit_that_is_not_realised_counts_in_the_worth_and_not_in_the_cash() -> None:
    exchange = engine()
    (bought,) = exchange.place([wanted(BTC, "0.1")], at_once=True)
    paid = bought.notional / bought.filled
    exchange.play_to(AT + timedelta(minutes=40))
    mark = exchange.market.mark(BTC, exchange.now)
    assert mark is not None
    worth = exchange.worth()
    assert exchange.account.cash == {"USDT": D(10_000)}
    assert worth.net_liquidation == 10_000 + D("0.1") * (mark - paid)
    assert worth.gross == D("0.1") * mark
    assert worth.initial == D("0.1") * mark / 10  # leverage 10
    assert worth.maintenance == D("0.1") * mark / 20  # half of it, unless a codec says otherwise


def test_a_codec_says_leverage_and_maintenance() -> None:
    exchange = engine()
    exchange.place([wanted(BTC, "0.1")], at_once=True)
    exchange.leverage = lambda name: D(20) if name == BTC.id else D(1)
    exchange.maintenance = lambda _, notional: notional / 250
    worth = exchange.worth()
    assert worth.initial == worth.gross / 20
    assert worth.maintenance == worth.gross / 250
    assert exchange.leverage(ETH.id) == 1


def test_the_fee_of_a_perpetual_is_taken_from_the_wallet_in_its_quote_asset() -> None:
    exchange = engine(fees="binance-usdm")
    exchange.place([wanted(BTC, "0.1")], at_once=True)
    (execution,) = exchange.executions(AT)
    fee = (execution.price / 10 * D("0.0005")).quantize(D("1E-8"))  # taker: 0.05 %
    assert (execution.commission, execution.commission_currency) == (fee, "USDT")
    assert execution.told, "a trade comes with its fee"
    assert exchange.account.cash == {"USDT": 10_000 - fee}


def test_spot_moves_two_assets_and_keeps_its_fee_from_what_the_trade_brings() -> None:
    exchange = engine(fees="binance-spot")
    exchange.place([wanted(SPOT, "0.1")], at_once=True)
    (bought,) = exchange.executions(AT)
    assert (bought.commission, bought.commission_currency) == (D("0.0001"), "BTC")  # 0.1 %
    assert exchange.account.cash["BTC"] == D("0.0999")
    assert exchange.account.cash["USDT"] == 10_000 - bought.price / 10
    assert not exchange.account.holdings
    exchange.place([wanted(SPOT, "-0.05")], at_once=True)
    sold = exchange.executions(AT)[-1]
    assert sold.commission_currency == "USDT"
    assert sold.commission == (sold.price * D("0.05") / 1000).quantize(D("1E-8"))
    assert exchange.account.cash["BTC"] == D("0.0499")
    mark = exchange.market.mark(SPOT, exchange.now)
    assert mark is not None
    cash = exchange.account.cash
    assert exchange.worth().net_liquidation == cash["USDT"] + cash["BTC"] * mark
    adds_up(exchange)


def test_spot_spends_only_what_is_there() -> None:
    exchange = engine()
    (order,) = exchange.place([wanted(SPOT, "0.2")], at_once=True)  # about 17,000 USDT
    assert (order.status, order.refusal) == (OrderStatus.REJECTED, "margin")
    (order,) = exchange.place([wanted(SPOT, "-0.01")], at_once=True)
    assert (order.status, order.refusal) == (OrderStatus.REJECTED, "margin")
    assert "BTC" in order.message
    resting = [wanted(SPOT, "0.07", "70000", reference=name) for name in ("a", "b", "c")]
    taken = exchange.place(resting, at_once=True)  # 4,900 USDT each
    assert [each.status for each in taken] == [
        OrderStatus.WORKING,
        OrderStatus.WORKING,
        OrderStatus.REJECTED,
    ]


def test_an_account_may_open_with_coins() -> None:
    exchange = engine(
        cash={"USDT": D(1000), "BTC": D("0.5")}, positions={"BTCUSDT.SPOT@BINANCE": D("0.25")}
    )
    assert exchange.account.cash == {"BTC": D("0.75"), "USDT": D(1000)}
    assert exchange.account.carried_cash == exchange.account.cash
    with pytest.raises(DataError, match=r"paper\.cash\.DOGE: paper\.fx has no rate"):
        engine(cash={"DOGE": D(1)})


def test_initial_margin_is_the_larger_side_over_the_leverage() -> None:
    exchange = engine()
    mark = exchange.market.mark(BTC, AT)
    assert mark is not None
    exchange.place([wanted(BTC, "0.5", "80000"), wanted(BTC, "-0.3", "99000")], at_once=True)
    assert exchange.initial_margin() == D("0.5") * mark / 10
    # 10,000 USDT carry 10 x 10,000 / 86,000 = 1.16 bitcoins, of which 0.5 are ordered.
    (refused,) = exchange.place([wanted(BTC, "0.8", "80000")], at_once=True)
    assert (refused.status, refused.refusal) == (OrderStatus.REJECTED, "margin")
    (taken,) = exchange.place([wanted(BTC, "-0.8", "99000")], at_once=True)
    assert taken.status is OrderStatus.WORKING, "the other side needs no more than 1.1"


def test_post_only_is_refused_where_it_would_take() -> None:
    exchange = engine()
    touch = exchange.market.touch(BTC, AT)
    assert touch is not None
    orders = [
        wanted(BTC, "0.01", str(touch.ask), post_only=True),
        wanted(BTC, "-0.01", str(touch.bid), post_only=True),
        wanted(BTC, "0.01", str(touch.ask - D("0.1")), post_only=True),
    ]
    buy, sell, rests = exchange.place(orders, at_once=True)
    assert buy.refusal == sell.refusal == "post-only"
    assert rests.status is OrderStatus.WORKING
    moved = exchange.move(rests.id, touch.ask, at_once=True)
    assert moved is not None
    assert moved.limit == touch.ask - D("0.1"), "a change that would take is refused"
    assert "would trade at once" in moved.message
    while exchange.orders()[2].status is OrderStatus.WORKING:
        exchange.play_to(exchange.now + timedelta(minutes=1))
    (execution,) = exchange.executions(AT)
    assert execution.liquidity == "maker"
    assert execution.price == touch.ask - D("0.1")


def test_an_order_type_says_post_only_too() -> None:
    exchange = engine()
    touch = exchange.market.touch(BTC, AT)
    assert touch is not None
    order = wanted(BTC, "0.01", str(touch.ask))
    changed = order.__class__(
        **{
            **{name: getattr(order, name) for name in order.__dataclass_fields__},
            "order_type": OrderType.POST_ONLY,
        }
    )
    (refused,) = exchange.place([changed], at_once=True)
    assert refused.refusal == "post-only"


def test_reduce_only_never_opens_and_ends_when_nothing_is_left() -> None:
    exchange = engine()
    (flat,) = exchange.place([wanted(BTC, "-0.1", reduce_only=True)], at_once=True)
    assert flat.refusal == "reduce-only"
    exchange.place([wanted(BTC, "0.1")], at_once=True)
    (same,) = exchange.place([wanted(BTC, "0.1", reduce_only=True)], at_once=True)
    assert same.refusal == "reduce-only"
    (waits,) = exchange.place([wanted(BTC, "-0.1", "99000", reduce_only=True)], at_once=True)
    assert waits.status is OrderStatus.WORKING
    (larger,) = exchange.place([wanted(BTC, "-0.3", reduce_only=True)], at_once=True)
    assert larger.filled == D("-0.1"), "it trades what there is to reduce"
    assert larger.status is OrderStatus.EXPIRED
    assert exchange.orders()[-2].status is OrderStatus.EXPIRED, "so has the one that waited"
    assert exchange.account.holdings[BTC.id].quantity == 0


def test_at_once_means_now() -> None:
    exchange = engine()
    (taken,) = exchange.place([wanted(BTC, "0.01", time_in_force=TimeInForce.IOC)], at_once=True)
    assert taken.status is OrderStatus.FILLED
    assert exchange.now == AT
    (rests,) = exchange.place([wanted(BTC, "0.01", "70000")], at_once=True)
    assert rests.status is OrderStatus.WORKING
    moved = exchange.move(rests.id, D("70000.1"), quantity=D("0.02"), at_once=True)
    assert moved is not None
    assert (moved.limit, moved.quantity) == (D("70000.1"), D("0.02"))
    ended = exchange.cancel(rests.id, at_once=True)
    assert ended is not None
    assert ended.status is OrderStatus.CANCELLED
    assert not exchange.live
    (dead,) = exchange.place(
        [wanted(BTC, "0.01", "70000", time_in_force=TimeInForce.IOC)], at_once=True
    )
    assert dead.status is OrderStatus.EXPIRED
    assert exchange.advance(AT + timedelta(minutes=5)) == (), "it was all told by the answers"


def test_a_move_to_a_price_that_takes_trades_at_once() -> None:
    exchange = engine()
    (rests,) = exchange.place([wanted(BTC, "0.01", "70000")], at_once=True)
    moved = exchange.move(rests.id, D(99_000), at_once=True)
    assert moved is not None
    assert moved.status is OrderStatus.FILLED
    assert exchange.executions(AT)[0].liquidity == "taker"


def test_faults_strike_what_is_done_at_once() -> None:
    kinds = (FaultKind.LOST_ORDER, FaultKind.REJECT, FaultKind.REFUSED_CANCEL)
    exchange = engine(faults=FaultScript(tuple(Fault(kind, nth=1) for kind in kinds)))
    (lost,) = exchange.place([wanted(BTC, "0.01", "70000")], at_once=True)
    assert lost.status is OrderStatus.SENT
    assert not exchange.orders(), "it never arrived"
    (refused,) = exchange.place([wanted(BTC, "0.01", "70000")], at_once=True)
    assert refused.refusal == "fault"
    (taken,) = exchange.place([wanted(BTC, "0.01", "70000")], at_once=True)
    still = exchange.cancel(taken.id, at_once=True)
    assert still is not None
    assert still.status is OrderStatus.WORKING
    assert still.message


def test_what_the_venue_itself_wants_is_not_refused() -> None:
    exchange = engine()
    huge = wanted(BTC, "5", forced=True)  # five bitcoins with 10,000 USDT
    (order,) = exchange.place([huge], at_once=True)
    assert order.filled == 5
    settled = exchange.settle(wanted(BTC, "-5", forced=True, reference="end"), D(86_000))
    assert settled.status is OrderStatus.FILLED
    assert exchange.executions(AT)[-1].price == 86_000
    adds_up(exchange)


def test_timers_run_in_order_of_time_and_see_what_trades_did() -> None:
    exchange = engine()
    seen: list[tuple[str, datetime, Decimal]] = []

    def every(minutes: int, name: str) -> None:
        def after(now: datetime) -> datetime:
            start = now.replace(minute=0, second=0, microsecond=0)
            return start + (((now - start) // timedelta(minutes=minutes)) + 1) * timedelta(
                minutes=minutes
            )

        def act(at: datetime) -> None:
            seen.append((name, at.replace(tzinfo=UTC), exchange.account.cash["USDT"]))
            exchange.book_cash("USDT", D(1))

        exchange.register(name, after, act)

    every(20, "b")
    every(30, "a")
    exchange.play_to(AT + timedelta(minutes=60))
    minutes = [(name, (at - AT) // timedelta(minutes=1) + 5, cash) for name, at, cash in seen]
    assert minutes == [
        ("b", 20, D(10_000)),
        ("a", 30, D(10_001)),
        ("b", 40, D(10_002)),
        ("a", 60, D(10_003)),
        ("b", 60, D(10_004)),
    ]
    adds_up(exchange)


def test_a_timer_that_is_always_due_acts_once_an_instant() -> None:
    exchange = engine()
    calls: list[datetime] = []
    exchange.register("due", lambda now: now, calls.append)
    exchange.play_to(AT + timedelta(seconds=10))
    assert calls[0] == AT
    assert len(calls) == len(set(calls))


def test_nothing_trades_in_the_hours_that_are_missing() -> None:
    before = GAP - timedelta(minutes=5)
    exchange = engine(name="binance_spot_2020", start=before, cash={"USDT": D(10_000)})
    (order,) = exchange.place([wanted(SPOT, "0.01", "8000")], at_once=True)
    exchange.play_to(GAP + timedelta(minutes=10))
    (refused,) = exchange.place([wanted(SPOT, "0.01")], at_once=True)
    assert refused.refusal == "closed"
    exchange.move(order.id, D(20_000), at_once=True)
    exchange.play_to(GAP + timedelta(hours=2, minutes=59))
    assert not exchange.executions(before)
    exchange.play_to(GAP + timedelta(hours=3, minutes=2))
    (execution,) = exchange.executions(before)
    assert execution.at == GAP + timedelta(hours=3), "05:00, when the exchange was back"


def test_carried_profits_keep_the_books_whole_when_old_orders_are_forgotten() -> None:
    exchange = engine(fees="binance-usdm")
    exchange.place([wanted(BTC, "0.1")], at_once=True)
    exchange.place([wanted(BTC, "-0.04")], at_once=True)
    exchange.place([wanted(SPOT, "0.01")], at_once=True)
    for _ in range(11):
        exchange.play_to(exchange.now + timedelta(days=1))
    assert not exchange.account.executions
    assert exchange.account.carried_positions == {BTC.id: D("0.06")}
    adds_up(exchange)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(70_000, 90_000)), max_size=12))
def test_wallet_and_profit_are_the_sum_of_all_trades(trades: list[tuple[int, int]]) -> None:
    of = account()
    made = [(D(size) / 100, D(price)) for size, price in trades if size]
    for quantity, price in made:
        book(of, BTC, quantity, price)
    held = sum((quantity for quantity, _ in made), D(0))
    spent = sum((quantity * price for quantity, price in made), D(0))
    holding = of.holdings.get(BTC.id)
    mark = D(80_000)
    open_profit = holding.quantity * (mark - holding.average_cost) if holding else D(0)
    # Whatever was realised on the way: wallet and open profit are what paying cash would give.
    assert of.cash["USDT"] + open_profit == pytest.approx(
        10_000 - spent + held * mark, abs=D("1E-6")
    )


def test_carry_of_a_pair_moves_both_assets() -> None:
    exchange = engine(fees="binance-spot")
    exchange.place([wanted(SPOT, "0.1")], at_once=True)
    (bought,) = exchange.executions(AT)
    of = account()
    carry(of, SPOT, bought)
    assert of.carried_cash == {"USDT": 10_000 - bought.price / 10, "BTC": D("0.0999")}
