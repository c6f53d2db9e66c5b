"""Connecting: through the real client to the simulated exchange in this process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.brokers.binance.broker import BinanceBroker
from rebalancer.brokers.binance.errors import FinalRefusal, WriteForbidden
from rebalancer.brokers.binance.parameters import BinanceSettings, MarginType, Product
from rebalancer.brokers.binance.passage import (
    HOSTS,
    LivePassage,
    at_exchange,
    at_simulator,
)
from rebalancer.errors import ConfigError, ConnectError
from rebalancer.model.flags import Step
from rebalancer.model.secret import Secret
from rebalancer.model.universe import Universe
from rebalancer.risk.account import check_account
from rebalancer.risk.parameters import Limits
from rebalancer.simulators.binance_server.faults import Do, HttpFault
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.binance_server.spec import KEY, SECRET
from rebalancer.store.atomic import Files
from tests.binance_servers import START, spec
from tests.unit.binance.core.wire import NOW, Wire, pair, perp

ACCOUNT = "700700700"
COINS = (perp("BTCUSDT"), perp("ETHUSDT"), perp("SOLUSDT"))


@dataclass
class Notes:
    """A page that remembers what was flagged."""

    slot: Any = START
    attempt: int = 1
    raised: list[tuple[str, str, str]] = field(default_factory=list)
    flags: tuple[Any, ...] = ()

    def flag(self, code: str, message: str, subject: str = "") -> None:
        self.raised.append((code, message, subject))

    def step(self, step: Step) -> None: ...
    def keep(self, fact: Any) -> Any:
        return fact

    def stop(self) -> None: ...
    def intend(self, orders: Any) -> None: ...
    def sent(self, references: Any) -> None: ...
    def saw(self, event: Any) -> None: ...


@dataclass
class Stand:
    """A broker in front of exchanges that are made anew for each connection."""

    folder: Path
    faults: tuple[HttpFault, ...] = ()
    spec: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    servers: list[LocalServer] = field(default_factory=list)
    page: Notes = field(default_factory=Notes)

    def broker(self, **changes: Any) -> BinanceBroker:
        def start() -> LocalServer:
            server = LocalServer(spec(**self.spec), Files())
            server.inject(*self.faults)
            self.servers.append(server)
            return server

        made = BinanceBroker(
            settings=BinanceSettings(history_days=20, **self.settings),
            product=Product.USDM,
            account=ACCOUNT,
            base="USDT",
            universe=Universe(COINS),
            key=Secret(KEY),
            secret=Secret(SECRET),
            passage=at_simulator(start),
            folder=self.folder,
            files=Files(),
        )
        return replace(made, **changes)

    def connect(self, **changes: Any) -> Any:
        return self.broker(**changes).connect(self.page)


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


# ---------------------------------------------------------------------- passages


@pytest.mark.parametrize("demo", [False, True])
@pytest.mark.parametrize("product", list(Product))
def test_the_way_to_the_exchange_leads_to_its_hosts(product: Product, demo: bool) -> None:
    with at_exchange(product, demo=demo)(Notes()) as passage:
        assert passage.base_url == HOSTS[product, demo]
        assert passage.account_url == HOSTS[Product.SPOT, demo]
        assert ("demo-" in passage.base_url) is demo
        assert not passage.simulated


def test_a_live_passage_has_the_machines_time_and_the_sessions_own_adapters() -> None:
    class Still:
        def now(self) -> Any:
            return NOW

    passage = LivePassage("https://fapi.example", clock=Still())  # type: ignore[arg-type]
    assert passage.now() == NOW
    assert passage.account_url == "https://fapi.example"
    passage.pause(-1)
    passage.pass_time(NOW - timedelta(seconds=5))


def test_an_exchange_that_was_started_is_ended_whatever_happens() -> None:
    ended = []

    class Broken:
        host, port = "127.0.0.1", 1

        def open(self, slot: Any, attempt: int) -> None:
            raise ConnectError("it died")

        def close(self) -> None:
            ended.append(True)

    made: Callable[[], Any] = Broken
    with pytest.raises(ConnectError, match="died"), at_simulator(made)(Notes()):
        pass
    assert ended == [True]


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
