"""Connecting: through the real client to the simulated exchange in this process."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.binance.errors import FinalRefusal, RequestRefused, WriteForbidden
from rebalancer.brokers.binance.parameters import MarginType, Product
from rebalancer.errors import ConfigError, ConnectError
from rebalancer.model.income import IncomeKind
from rebalancer.model.secret import Secret
from rebalancer.model.universe import Universe
from rebalancer.risk.account import check_account
from rebalancer.risk.parameters import Limits
from rebalancer.simulators.binance_server.faults import Do, HttpFault
from rebalancer.simulators.binance_server.transfers import Transfer
from tests.binance_servers import START
from tests.unit.binance.core.stand import COINS, Notes, Stand
from tests.unit.binance.core.wire import Wire, pair, perp


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def test_a_connection_knows_the_account_and_proves_it(stand: Stand) -> None:
    with stand.connect() as venue:
        account = venue.account()
        assert account.net_liquidation == 10_000
        assert not check_account(account, Limits(), None, now=venue.now())
        assert venue.skew_seconds() == 0
        assert venue.keeps_stops
    assert stand.page.raised == []


def test_a_traded_position_is_proved_by_both_sources(stand: Stand) -> None:
    with stand.connect() as venue:
        for symbol, side, quantity in (("SOLUSDT", "BUY", "20"), ("ETHUSDT", "SELL", "1")):
            venue.line.signed(
                "POST",
                "/fapi/v1/order",
                symbol=symbol,
                side=side,
                type="MARKET",
                quantity=quantity,
                newClientOrderId=f"test-{symbol}",
            )
        account = venue.account()
        assert account.quantity(perp("SOLUSDT").id) == 20
        assert account.quantity(perp("ETHUSDT").id) == -1
        assert account.gross_position_value is not None
        assert not check_account(account, Limits(), None, now=venue.now())
        assert account.cash["USDT"] < 10_000


def test_connecting_asks_for_the_account_before_anything_else_that_is_signed(stand: Stand) -> None:
    with stand.connect():
        pass
    counts = stand.servers[0].counts()
    assert counts["GET /api/v3/account"] == counts["GET /fapi/v1/time"] == 1
    assert all(not name.startswith(("POST", "PUT", "DELETE")) for name in counts)
    assert stand.servers[0].used_weight()["usdm"] <= 12


def test_another_account_ends_it_at_the_first_attempt(stand: Stand) -> None:
    with (
        pytest.raises(FinalRefusal, match="700700700; 99 is configured"),
        stand.connect(account="99"),
    ):
        pass
    assert stand.servers[0].counts()["GET /api/v3/account"] == 1


def test_a_wrong_secret_ends_it_at_the_first_attempt(stand: Stand) -> None:
    with pytest.raises(FinalRefusal, match="-1022"), stand.connect(secret=Secret("wrong")):
        pass
    with pytest.raises(FinalRefusal, match="-2015"), stand.connect(key=Secret("k" * 64)):
        pass


def test_hedge_mode_is_refused(stand: Stand) -> None:
    stand.spec = {"hedge": True}
    with pytest.raises(FinalRefusal, match="hedge mode"), stand.connect():
        pass


def test_multi_assets_mode_needs_dollars_and_is_proved_in_them(stand: Stand) -> None:
    stand.spec = {"multi_assets": True}
    with pytest.raises(FinalRefusal, match="base_currency"), stand.connect():
        pass
    stand.spec["settings"] = {"cash": {"USDT": Decimal(5000), "BTC": Decimal("0.1")}}
    with stand.connect(base="USD") as venue:
        account = venue.account()
        assert set(account.cash) == {"USDT", "BTC"}
        assert not check_account(account, Limits(), None, now=venue.now())
    assert "haircut" in {code for code, _, _ in stand.page.raised}


@pytest.mark.parametrize(("multi", "bnb"), [(False, IncomeKind.APART), (True, IncomeKind.TRANSFER)])
def test_a_transfer_is_a_flow_where_the_accounts_value_has_its_asset(
    stand: Stand, multi: bool, bnb: IncomeKind
) -> None:
    """Also what leaves nothing of an asset behind: it was in the value of before."""
    at = START - timedelta(minutes=2)
    stand.spec = {
        "multi_assets": multi,
        "settings": {"cash": {"USDT": Decimal(5000), "BNB": Decimal(1)}},
        "transfers": (Transfer(at, "BNB", Decimal(-1)), Transfer(at, "USDT", Decimal(7))),
    }
    with stand.connect(base="USD" if multi else "USDT") as venue:
        told = {each.asset: each.kind for each in venue.income(START - timedelta(hours=1))}
        assert told == {"USDT": IncomeKind.TRANSFER, "BNB": bnb}
        account = venue.account()
        assert account.cash == {"USDT": 5007}
        assert account.rates.knows("BNB") is multi
        assert not check_account(account, Limits(), None, now=venue.now())


def test_modes_are_set_when_configured_and_stay_set(stand: Stand) -> None:
    stand.settings = {"margin_type": MarginType.ISOLATED, "leverage": 3}
    stand.spec = {"folder": str(stand.folder / "paper")}
    with stand.connect():
        pass
    stand.page.attempt = 2
    with stand.connect():
        pass
    first, second = (each.counts() for each in stand.servers)
    assert first["POST /fapi/v1/marginType"] == first["POST /fapi/v1/leverage"] == len(COINS)
    assert "POST /fapi/v1/marginType" not in second
    assert "POST /fapi/v1/leverage" not in second


def test_a_dry_run_writes_nothing_even_when_modes_are_configured(stand: Stand) -> None:
    stand.settings = {"margin_type": MarginType.ISOLATED, "leverage": 3, "multi_assets": False}
    with stand.connect(read_only=True) as venue:
        venue.account()
        with pytest.raises(WriteForbidden):
            venue.line.signed("POST", "/fapi/v1/order", symbol="SOLUSDT")
    assert all(name.startswith("GET ") for name in stand.servers[0].counts())


@pytest.mark.parametrize(
    "fault",
    [
        HttpFault("GET /fapi/v1/time", Do.CUT_BEFORE, count=5),
        HttpFault("GET /api/v3/account", Do.HTML, count=5),
        HttpFault("GET /fapi/v1/exchangeInfo", Do.TRUNCATE, count=5),
        HttpFault("GET /fapi/v1/accountConfig", Do.STATUS_BEFORE, status=503, code=-1001, count=5),
    ],
)
def test_trouble_that_passes_costs_an_attempt_only(stand: Stand, fault: HttpFault) -> None:
    stand.faults = (fault,)
    with stand.connect() as venue:
        assert venue.account().net_liquidation == 10_000


@pytest.mark.parametrize("do", [Do.CUT_BEFORE, Do.TIMEOUT_AFTER, Do.HTML, Do.TRUNCATE])
def test_trouble_that_stays_is_no_connection(stand: Stand, do: Do) -> None:
    stand.faults = (HttpFault("GET /api/v3/account", do, count=None),)
    with pytest.raises(ConnectError), stand.connect():
        pass


def test_a_clock_that_is_off_is_measured_and_told(stand: Stand) -> None:
    stand.faults = (HttpFault("GET /fapi/v1/time", Do.SKEW, seconds=30.0),)
    with stand.connect() as venue:
        assert abs(venue.skew_seconds() - 30) < 1
        assert venue.account().net_liquidation == 10_000


def test_a_clock_that_jumps_later_is_measured_anew(stand: Stand) -> None:
    with stand.connect() as venue:
        stand.servers[0].inject(HttpFault("GET /fapi/v3/account", Do.SKEW, seconds=-30.0))
        assert venue.account().net_liquidation == 10_000
        assert abs(venue.skew_seconds() + 30) < 1


def test_after_the_end_nothing_can_be_asked(stand: Stand) -> None:
    with stand.connect() as venue:
        pass
    for ask in (venue.account, venue.open_orders, venue.stops):
        with pytest.raises(ConnectError, match="closed"):
            ask()
    with pytest.raises(ConnectError):
        venue.wait(venue.now() + timedelta(seconds=1))


def test_waiting_lets_exactly_the_time_pass(stand: Stand) -> None:
    with stand.connect() as venue:
        until = venue.now() + timedelta(seconds=90)
        assert venue.wait(until) == ()
        assert until <= venue.now() < until + timedelta(seconds=1)


def test_a_universe_that_cannot_be_asked_in_time_is_refused_before_it_is_begun(
    stand: Stand,
) -> None:
    stand.settings = {"weight_share": 0.01}
    with pytest.raises(FinalRefusal, match="smaller universe"), stand.connect():
        pass


def test_a_run_that_needs_more_than_a_minutes_share_says_so_and_goes_on(stand: Stand) -> None:
    """5 % of 2400 are 120 a minute; three perpetuals are planned with three or four times that."""
    stand.settings = {"weight_share": 0.05}
    with stand.connect() as venue:
        assert venue.account().net_liquidation == 10_000
    ((code, words, subject),) = stand.page.raised
    assert (code, subject) == ("weight-large", "")
    assert "of 120 a minute" in words


def test_a_ban_ends_the_run_and_the_exchange_is_asked_nothing_any_more(stand: Stand) -> None:
    with stand.connect() as venue:
        stand.servers[0].inject(HttpFault("GET /fapi/v3/account", Do.BAN, seconds=120.0))
        with pytest.raises(ConnectError, match="banned"):
            venue.account()
        before = dict(stand.servers[0].counts())
        for ask in (venue.account, venue.open_orders):
            with pytest.raises(ConnectError, match="banned"):
                ask()
        with pytest.raises(RequestRefused, match="not sent"):
            venue.line.signed("DELETE", "/fapi/v1/order", symbol="SOLUSDT")
        assert dict(stand.servers[0].counts()) == before


def test_a_rate_limit_is_waited_for_as_long_as_the_exchange_says(stand: Stand) -> None:
    with stand.connect() as venue:
        stand.servers[0].inject(HttpFault("GET /fapi/v3/account", Do.RATE, seconds=23.0))
        start = venue.now()
        assert venue.account().net_liquidation == 10_000
        assert 23 <= (venue.now() - start).total_seconds() < 25


def test_orders_leave_at_95_percent_of_the_rate_that_the_exchange_counts(stand: Stand) -> None:
    """300 in ten seconds and 1200 a minute: 285 and 1140 are 95 % of them; none is refused."""
    stand.spec = {"latency_seconds": 0.001}
    with stand.connect() as venue:
        start = venue.now()
        for number in range(650):
            answer = venue.line.signed(
                "POST",
                "/fapi/v1/order",
                symbol="SOLUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="IOC",
                quantity="1",
                price="126.00",
                newClientOrderId=f"test-{number}",
                newOrderRespType="RESULT",
            )
            assert answer["status"] == "EXPIRED"
        took = (venue.now() - start).total_seconds()
    counted = stand.servers[0].used_weight()
    assert 285 <= counted["usdm-orders-10S-peak"] <= 300
    # Two full windows of 294 are behind the last 62.
    assert 20 <= took <= 650 / 28.5


def test_the_owners_error_table_is_read_and_checked(stand: Stand) -> None:
    (stand.folder / "binance_errors.toml").write_text("[usdm.-1]\n", encoding="utf-8")
    with pytest.raises(ConfigError), stand.connect(owners_folder=stand.folder):
        pass
    with stand.connect():
        pass


def test_two_runs_over_the_same_exchange_ask_the_same_bytes(stand: Stand) -> None:
    for _ in range(2):
        with stand.connect() as venue:
            venue.account()
            venue.open_orders()
    assert stand.servers[0].trace() == stand.servers[1].trace()


def test_a_spot_venue_has_no_stops(tmp_path: Path) -> None:
    wire = Wire()

    @contextmanager
    def passage(_page: Any) -> Any:
        yield wire

    wire.replies = {
        "GET /api/v3/account": {
            "uid": 1,
            "canTrade": True,
            "balances": [{"asset": "USDT", "free": "50", "locked": "0"}],
        },
        "GET /api/v3/exchangeInfo": {
            "symbols": [
                {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": []}
            ]
        },
        "GET /api/v3/openOrders": [],
        "GET /api/v3/ticker/price": [{"symbol": "BTCUSDT", "price": "50000"}],
    }
    broker = Stand(tmp_path).broker(
        product=Product.SPOT, account="1", universe=Universe([pair()]), passage=passage
    )
    with broker.connect(Notes()) as venue:
        assert not venue.keeps_stops
        assert venue.account().net_liquidation == 50
        assert venue.open_orders() == ()
