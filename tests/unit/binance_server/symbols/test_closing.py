"""What the exchange closes by itself: an account without margin, a symbol that ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce
from rebalancer.simulators.binance_server import closing
from rebalancer.simulators.binance_server.server import BinanceServer
from rebalancer.simulators.binance_server.spec import BinanceSpec
from rebalancer.simulators.binance_server.symbols import SymbolChange, delisted
from rebalancer.simulators.exchange import Exchange
from rebalancer.simulators.news import NewOrder
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.store.atomic import Files

D = Decimal
AT = datetime(2025, 3, 20, 15, 5, tzinfo=UTC)
BTC = InstrumentId("BTCUSDT.PERP@BINANCE")
LTC = InstrumentId("LTCUSDT.PERP@BINANCE")


def server(*changes: SymbolChange, **settings: Any) -> BinanceServer:
    given = {"seed": 7, "start": AT, "cash": {"USDT": D(10_000)}, **settings}
    chosen = PaperSettings(**{"recording": "binance_perps_2025", **given})
    return BinanceServer(
        BinanceSpec(
            account="1",
            base="USDT",
            folder=None,
            settings=chosen,
            changes=changes,
            fee_schedule="none",
        ),
        Files(),
    )


def trade(exchange: Exchange, of: InstrumentId, quantity: str, limit: str | None = None) -> None:
    order = NewOrder(
        reference=f"mine{exchange.account.next_order}",
        instrument=of,
        quantity=D(quantity),
        limit=None if limit is None else D(limit),
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
    )
    (sent,) = exchange.place([order], at_once=True)
    assert sent.status in (OrderStatus.FILLED, OrderStatus.WORKING), sent.message


def test_an_account_without_margin_is_closed_at_market_and_its_orders_end() -> None:
    here = server()
    exchange = here.exchange
    # 2.2 bitcoins at 86,174 are 189,583: at a leverage of 20 they need 9,479 of 10,000. Less
    # than 10,000 / 2.2 = 4,545 lower the margin is gone; the recording falls by more in ten days.
    trade(exchange, BTC, "2.2")
    trade(exchange, BTC, "0.01", "50000")
    paid = exchange.account.holdings[BTC].average_cost
    here.exchange.play_to(AT + timedelta(days=10))
    ours = [each for each in exchange.orders() if each.reference.startswith("mine")]
    theirs = [each for each in exchange.orders() if each.reference.startswith("autoclose-")]
    assert [each.status for each in ours] == [OrderStatus.FILLED, OrderStatus.EXPIRED]
    assert theirs
    assert sum((each.filled for each in theirs), D(0)) == D("-2.2")
    first = theirs[0]
    assert first.reference == f"autoclose-{int(first.placed_at.timestamp() * 1000)}"
    assert exchange.account.holdings[BTC].quantity == 0
    # Without fees and realised profit the wallet is the opening cash and the funding paid since:
    # closed when wallet + 2.2 x (price - paid) < maintenance(2.2 x price), and not a minute sooner.
    wallet = exchange.account.carried_cash["USDT"]

    def left(at: datetime) -> Decimal:
        price = here.market.mark(exchange.instruments[BTC], at)
        assert price is not None
        return wallet + D("2.2") * (price - paid) - exchange.maintenance(BTC, D("2.2") * price)

    assert left(first.placed_at) < 0
    assert left(first.placed_at - timedelta(minutes=1)) >= 0


def test_an_account_with_margin_to_spare_is_left_alone_and_seldom_looked_at() -> None:
    here = server()
    trade(here.exchange, BTC, "0.05")
    watch = closing.Watch(here)
    minute = timedelta(minutes=1)
    assert watch.next_look(AT) == AT + minute, "nobody has looked yet"
    watch.look(AT)
    assert watch.next_look(AT) == AT.replace(hour=16, minute=0)
    here.exchange.book_cash("USDT", D(-1))
    assert watch.next_look(AT) == AT + minute, "there is less than when it looked"
    here.exchange.play_to(AT + timedelta(days=10))
    assert here.exchange.account.holdings[BTC].quantity == D("0.05")
    assert closing.Watch(server()).next_look(AT) is None, "nothing is held"


def test_a_tight_account_is_looked_at_every_minute() -> None:
    here = server()
    trade(here.exchange, BTC, "2.2")
    watch = closing.Watch(here)
    here.exchange.maintenance = lambda _, notional: notional / 25
    # Of 10,000 about 9,960 are left and 2.2 x 86,174 / 25 = 7,583 are needed. At the hour's low
    # of 84,520 there would be 10,000 - 2.2 x 1,671 = 6,323.
    assert here.exchange.worth().excess > 2_000
    assert closing.worst_excess(here, AT) < -1_000
    watch.look(AT)
    assert watch.next_look(AT) == AT + timedelta(minutes=1)
    assert here.exchange.account.holdings[BTC].quantity == D("2.2"), "it is not short yet"


def test_a_delisted_symbol_is_settled_at_the_mark_and_its_orders_end() -> None:
    end = AT + timedelta(hours=2)
    here = server(*delisted("LTCUSDT", AT - timedelta(days=1), end))
    exchange = here.exchange
    trade(exchange, LTC, "5")
    trade(exchange, LTC, "1", "60")
    paid = exchange.account.holdings[LTC].average_cost
    here.exchange.play_to(end - timedelta(minutes=1))
    assert exchange.account.holdings[LTC].quantity == 5
    here.exchange.play_to(end)
    last = exchange.orders()[-1]
    assert last.reference == f"settlement_autoclose-{int(end.timestamp() * 1000)}"
    assert last.status is OrderStatus.FILLED
    execution = exchange.executions(end)[-1]
    assert execution.price == here.market.mark(exchange.instruments[LTC], end)
    assert execution.realised == 5 * (execution.price - paid)
    assert exchange.account.holdings[LTC].quantity == 0
    assert exchange.orders()[1].status is OrderStatus.EXPIRED
    here.exchange.play_to(end + timedelta(hours=5))
    assert exchange.orders()[-1].id == last.id, "once"


def test_a_filter_that_changes_is_the_engines_from_then_on() -> None:
    change = SymbolChange(at=AT + timedelta(hours=1), symbol="LTCUSDT", tick=D("0.1"))
    here = server(change)
    trade(here.exchange, LTC, "1", "60.05")
    here.exchange.play_to(AT + timedelta(hours=1))
    order = NewOrder("late", LTC, D(1), D("60.05"), OrderType.LIMIT, TimeInForce.GTC)
    (refused,) = here.exchange.place([order], at_once=True)
    assert refused.refusal == "tick"
