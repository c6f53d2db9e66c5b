"""Money, margin, faults and the file of the books."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.errors import DataError, NewerState, StateError, UsageError
from rebalancer.model.fees import fee_schedule
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.orders import OrderStatus, OrderType, TimeInForce
from rebalancer.simulators.account import known_instruments, new_account
from rebalancer.simulators.booking import book, correct_trade
from rebalancer.simulators.books import FILE, Account, Books, Execution, open_books, saved_clock
from rebalancer.simulators.clock import VirtualClock, latency, next_minute
from rebalancer.simulators.exchange import Exchange, NewOrder, OrderNews, TradeNews
from rebalancer.simulators.faults import Fault, FaultKind, FaultScript, SeededFaults
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.store.atomic import Files
from tests.unit.simulators.test_market import market

AT = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
KO = InstrumentId("KO.STK.USD@IB")
AAPL = InstrumentId("AAPL.STK.USD@IB")


def engine(faults: FaultScript | None = None, **settings: Any) -> Exchange:
    """Return an engine in memory, at five past three."""
    chosen = PaperSettings(**{"seed": 7, **settings})
    here = market(**{key: settings[key] for key in ("depth", "fx") if key in settings})
    known = known_instruments(here, ())
    books = Books(new_account("P", "USD", chosen, here, known), None, None)
    exchange = Exchange(books, here, known, chosen, fee_schedule("none"), faults)
    exchange.play_to(AT)
    return exchange


def order(instrument: InstrumentId, quantity: int, limit: str | None, **more: Any) -> NewOrder:
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    price = None if limit is None else Decimal(limit)
    return NewOrder("r", instrument, Decimal(quantity), price, kind, TimeInForce.DAY, **more)


def outcome(exchange: Exchange, wanted: NewOrder, seconds: int = 90) -> tuple[OrderStatus, str]:
    (sent,) = exchange.place([wanted])
    exchange.play_to(exchange.now + timedelta(seconds=seconds))
    found = next(each for each in exchange.orders() if each.id == sent.id)
    return found.status, found.message


def plain_account() -> Account:
    cash = {"USD": Decimal(1000)}
    return Account(1, "P", "USD", 7, AT, dict(cash), dict(cash))


def test_average_cost_and_realised_profit_follow_the_trades() -> None:
    account = plain_account()
    ko = Instrument(KO, Kind.STOCK, "KO", "USD", "XNYS")
    for quantity, price in ((10, "50"), (10, "60")):
        book(account, ko, Decimal(quantity), Decimal(price))
    holding = account.holdings[KO]
    assert holding.average_cost == 55  # (10 x 50 + 10 x 60) / 20
    book(account, ko, Decimal(-5), Decimal(65))
    assert holding.realised == 50  # 5 x (65 - 55)
    assert holding.average_cost == 55
    book(account, ko, Decimal(-25), Decimal(45))
    assert holding.quantity == -10
    assert holding.realised == 50 - 150  # 15 x (45 - 55)
    assert holding.average_cost == 45, "what is left was opened by this trade"
    book(account, ko, Decimal(10), Decimal(40))
    assert holding.quantity == 0
    assert holding.realised == -100 + 50  # short at 45, bought back at 40
    # 1000 - 500 - 600 + 325 + 1125 - 400 = 950 = 1000 + realised.
    assert account.cash == {"USD": Decimal(950)}


ES = InstrumentId("ES.FUT.202012@IB")
FUTURE = Instrument(
    ES, Kind.FUTURE, "ES", "USD", "XNYS", multiplier=Decimal(50), magnifier=Decimal(100)
)


def test_a_future_costs_no_cash_and_its_gain_has_its_multiplier() -> None:
    """No venue takes the whole value of a future: only what it gained or lost is paid."""
    account = plain_account()
    book(account, FUTURE, Decimal(2), Decimal(30))
    assert account.cash["USD"] == 1000
    book(account, FUTURE, Decimal(-1), Decimal(34))
    assert account.cash["USD"] == 1000 + (34 - 30) * Decimal("0.5")
    assert account.holdings[ES].average_cost == 30


@pytest.mark.parametrize(
    ("place", "quantity", "price", "cash"),
    [
        (0, "2", "31", "1003"),  # bought at 31 what was sold at 34
        (1, "-2", "36", "1006"),  # sold at 36 what cost 30
        (1, "0", "34", "1000"),  # never sold: the gain is gone, and 2 are held at 30
        (0, "0", "30", "1004"),  # never bought: 2 are short, at what was realised of them
    ],
)
def test_a_corrected_trade_of_a_future_corrects_what_it_gained(
    place: int, quantity: str, price: str, cash: str
) -> None:
    """Two bought at 30 and sold at 34, half a dollar a point; the price is 40 now."""
    account = plain_account()
    trades = []
    for number, (size, at) in enumerate((("2", "30"), ("-2", "34"))):
        realised = book(account, FUTURE, Decimal(size), Decimal(at))
        trades.append(executed(number, Decimal(size), Decimal(at), realised))
    assert account.cash["USD"] == 1004
    one = trades[place]
    correct_trade(
        account,
        FUTURE,
        one,
        quantity=Decimal(quantity),
        price=Decimal(price),
        commission=Decimal(0),
    )
    held = account.holdings[ES]
    open_gain = held.quantity * (40 - held.average_cost) * Decimal("0.5")
    made = sum((each.quantity * (40 - each.price) for each in trades), Decimal(0))
    assert account.cash["USD"] == Decimal(cash)
    assert account.cash["USD"] + open_gain == 1000 + made * Decimal("0.5")
    realised = sum((each.realised or Decimal(0) for each in trades), Decimal(0))
    assert account.cash["USD"] == 1000 + realised, "what is forgotten later is carried over whole"


def executed(number: int, quantity: Decimal, price: Decimal, realised: Decimal | None) -> Execution:
    free = Decimal(0)
    return Execution(
        str(number), number, "r", ES, quantity, price, "USD", AT, "", free, "USD", None,
        realised=realised,
    )  # fmt: skip


def test_margin_lets_one_buy_twice_the_equity_and_not_more() -> None:
    # Equity 10,000, half of a position's value is needed: 20,000 can be held. KO is near 48.
    fits, too_much = 400, 430
    assert outcome(engine(cash={"USD": Decimal(10_000)}), order(KO, fits, "60"))[0] in (
        OrderStatus.WORKING,
        OrderStatus.FILLED,
    )
    status, why = outcome(engine(cash={"USD": Decimal(10_000)}), order(KO, too_much, "60"))
    assert status is OrderStatus.REJECTED
    assert why.startswith("margin: ")


def test_working_orders_count_in_the_margin_of_the_next_one() -> None:
    exchange = engine(cash={"USD": Decimal(10_000)})
    first = outcome(exchange, order(KO, 300, "40"))[0]
    second, why = outcome(exchange, order(KO, 300, "40"))
    assert first is OrderStatus.WORKING
    assert second is OrderStatus.REJECTED
    assert "margin" in why


def test_an_order_that_reduces_passes_without_margin() -> None:
    exchange = engine(cash={"USD": Decimal(-45_000)}, positions={KO: Decimal(1000)})
    worth = exchange.worth()
    assert worth.excess < 0, "a real venue would begin to sell"
    assert outcome(exchange, order(KO, 1, "60"))[0] is OrderStatus.REJECTED
    assert outcome(exchange, order(KO, -100, "40"))[0] is OrderStatus.FILLED


def test_margin_numbers_follow_the_ratios() -> None:
    exchange = engine(positions={KO: Decimal(100), AAPL: Decimal(-10)})
    worth = exchange.worth()
    long, short = 100 * worth.marks[KO], 10 * worth.marks[AAPL]
    assert worth.gross == long + short
    assert worth.net_liquidation == 100_000 + long - short
    assert worth.initial == (long + short) / 2
    assert worth.maintenance == long * Decimal("0.25") + short * Decimal("0.30")


def test_a_cash_account_cannot_borrow_sell_short_or_spend_twice() -> None:
    settings: dict[str, Any] = {"cash": {"USD": Decimal(1000)}, "cash_account": True}
    exchange = engine(**settings)
    assert outcome(exchange, order(KO, -1, "40"))[1] == "no short sales in a cash account"
    assert outcome(exchange, order(KO, 21, "50"))[0] is OrderStatus.REJECTED  # 1,050
    assert outcome(exchange, order(KO, 10, "40"))[0] is OrderStatus.WORKING  # 400 are bound
    assert outcome(exchange, order(KO, 13, "50"))[0] is OrderStatus.REJECTED  # 650 + 400
    assert outcome(exchange, order(KO, 12, "50"))[0] is OrderStatus.FILLED


def test_proceeds_of_a_cash_account_settle_after_two_sessions() -> None:
    cash = {"USD": Decimal(10)}
    exchange = engine(cash=cash, cash_account=True, positions={KO: Decimal(100)})
    assert outcome(exchange, order(KO, -100, "40"))[0] is OrderStatus.FILLED
    sold = exchange.account.cash["USD"]
    settled = [exchange.valuer.settled_cash(exchange.account, exchange.now)["USD"]]
    for _ in range(2):
        exchange.play_to(exchange.now + timedelta(days=1))
        settled.append(exchange.valuer.settled_cash(exchange.account, exchange.now)["USD"])
    assert settled == [Decimal(10), Decimal(10), sold]
    assert sold > 4000


def test_what_cannot_be_borrowed_cannot_be_sold_short() -> None:
    exchange = engine()
    known = dict(exchange.instruments)
    known[KO] = Instrument(KO, Kind.STOCK, "KO", "USD", "XNYS", shortable=False)
    books = Books(exchange.account, None, None)
    strict = Exchange(books, exchange.market, known, exchange.settings, fee_schedule("none"))
    assert outcome(strict, order(KO, -1, "40"))[0] is OrderStatus.REJECTED
    assert "cannot be borrowed" in outcome(strict, order(KO, -1, "40"))[1]


def test_a_good_till_date_order_ends_at_its_time() -> None:
    exchange = engine()
    till = AT + timedelta(seconds=30)
    wanted = NewOrder(
        "r", KO, Decimal(1), Decimal("10"), OrderType.LIMIT, TimeInForce.GTD, good_till=till
    )
    exchange.place([wanted])
    news = exchange.play_to(AT + timedelta(minutes=2))
    assert [each.order.status for each in news if isinstance(each, OrderNews)] == [
        OrderStatus.WORKING,
        OrderStatus.EXPIRED,
    ]
    assert exchange.orders()[0].ended_at == till


def test_what_happens_at_one_instant_comes_together() -> None:
    exchange = engine()
    exchange.place([order(KO, 10, "60")])
    news = exchange.advance(AT + timedelta(minutes=1))
    assert [type(each) for each in news] == [OrderNews, TradeNews, OrderNews]


def test_old_orders_and_executions_are_forgotten_and_cash_is_not() -> None:
    exchange = engine()
    outcome(exchange, order(KO, 10, "60"))
    cash = dict(exchange.account.cash)
    exchange.play_to(AT + timedelta(days=9))
    assert len(exchange.orders()) == len(exchange.executions(AT)) == 1
    assert exchange.account.carried_cash == {"USD": Decimal(100_000)}
    exchange.play_to(AT + timedelta(days=11))
    assert exchange.account.carried_cash == cash
    assert exchange.account.carried_positions == {KO: Decimal(10)}
    assert exchange.orders() == ()
    assert exchange.executions(AT) == ()
    assert exchange.account.cash == cash


def test_the_clock_goes_forward_only() -> None:
    clock = VirtualClock(AT)
    clock.advance_to(AT)
    with pytest.raises(UsageError, match="forward only"):
        clock.advance_to(AT - timedelta(seconds=1))
    assert clock.now == AT
    with pytest.raises(UsageError):
        engine().advance(AT - timedelta(days=1))


def test_latencies_are_seeded_and_within_bounds() -> None:
    drawn = [latency(7, f"order|{n}", 0.5) for n in range(200)]
    assert min(drawn) == timedelta(milliseconds=125)
    assert max(drawn) == timedelta(milliseconds=500)
    assert drawn == [latency(7, f"order|{n}", 0.5) for n in range(200)]
    assert drawn != [latency(8, f"order|{n}", 0.5) for n in range(200)]


def test_the_next_minute_is_a_whole_one() -> None:
    assert next_minute(AT) == AT + timedelta(minutes=1)
    assert next_minute(AT + timedelta(seconds=59.5)) == AT + timedelta(minutes=1)


def test_a_scripted_fault_strikes_at_its_occasions_only() -> None:
    script = FaultScript([Fault(FaultKind.REJECT, nth=2, count=2, subject=KO)])
    struck = [script.strikes(FaultKind.REJECT, name) is not None for name in (KO, AAPL, KO, KO, KO)]
    assert struck == [False, False, True, True, False]
    assert script.strikes(FaultKind.NO_FILL, KO) is None


def test_a_fault_without_count_strikes_for_ever() -> None:
    script = FaultScript([Fault(FaultKind.NO_FILL, nth=2, count=None)])
    assert [bool(script.strikes(FaultKind.NO_FILL)) for _ in range(5)] == [False] + [True] * 4


def test_seeded_faults_repeat_with_their_seed() -> None:
    def draw(seed: int) -> list[bool]:
        faults = SeededFaults(seed=seed, rates={FaultKind.REJECT: 0.3})
        return [faults.strikes(FaultKind.REJECT) is not None for _ in range(400)]

    assert draw(1) == draw(1) != draw(2)
    assert 80 < sum(draw(1)) < 160  # 120 expected, 9 standard deviation
    assert not any(SeededFaults(seed=1).strikes(FaultKind.REJECT) for _ in range(50))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cash": {"JPY": Decimal(1)}}, r"paper\.cash\.JPY: paper\.fx has no rate"),
        ({"positions": {"NOPE.STK.USD@IB": Decimal(1)}}, r"paper\.positions\.NOPE.*no price"),
        ({"positions": {"nonsense": Decimal(1)}}, "not an instrument"),
    ],
)
def test_an_account_that_cannot_be_valued_is_not_opened(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        engine(**settings)


def test_books_are_read_back_as_they_were_saved(tmp_path: Path) -> None:
    exchange = engine(positions={KO: Decimal(5)})
    outcome(exchange, order(KO, 700, "60"))
    Books(exchange.account, tmp_path, Files()).save()
    again = open_books(tmp_path, Files(), plain_account)
    assert again.account == exchange.account
    assert again.content() == (tmp_path / FILE).read_bytes()
    assert saved_clock(tmp_path) == exchange.now


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"schema": 1}', b'{"schema": 1, "now": 3}']
)
def test_damaged_books_are_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StateError, match=FILE):
        open_books(tmp_path, Files(), plain_account)
    with pytest.raises(StateError, match=FILE):
        saved_clock(tmp_path)


def test_books_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b'{"schema": 2, "now": "2020-03-02T15:05:00Z"}')
    with pytest.raises(NewerState, match="schema 2"):
        open_books(tmp_path, Files(), plain_account)


def test_an_order_book_that_is_killed_between_orders_goes_on(tmp_path: Path) -> None:
    exchange = engine()
    exchange.books = Books(exchange.account, tmp_path, Files())
    exchange.place([order(KO, 10, "60")])
    again = open_books(tmp_path, Files(), plain_account)
    revived = Exchange(
        again, exchange.market, exchange.instruments, exchange.settings, fee_schedule("none")
    )
    revived.play_to(AT + timedelta(minutes=1))
    exchange.play_to(AT + timedelta(minutes=1))
    assert revived.orders() == exchange.orders()
    assert revived.account == exchange.account
    assert revived.orders()[0].status is OrderStatus.FILLED
