"""What goes wrong between a client and the exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
import requests

from rebalancer.simulators.binance_server.control import Control
from rebalancer.simulators.binance_server.faults import (
    Do,
    HttpFault,
    HttpRate,
    HttpScript,
    SeededHttpFaults,
)
from rebalancer.simulators.binance_server.launch import ChildServer
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.store.atomic import Files
from tests.binance_servers import START, request, spec

ORDER = "POST /fapi/v1/order"
PATIENCE = 0.4
"""Seconds that the client waits for an answer."""


class Client:
    """A session that signs, at one exchange."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.session = requests.Session()
        self.session.trust_env = False
        control.mount(self.session)

    def ask(self, method: str, path: str, **parameters: str) -> requests.Response:
        made = request(cast("Any", _Clock(self.control)), method, path, True, **parameters)
        address = f"http://{self.control.host}:{self.control.port}{made.path}?{made.query}"
        return self.session.request(
            method, address, headers=dict(made.headers), timeout=(5, PATIENCE)
        )

    def buy(self) -> requests.Response:
        return self.ask(
            "POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET",
            quantity="0.01", newClientOrderId="r.1", newOrderRespType="RESULT",
        )  # fmt: skip

    def held(self) -> str:
        rows = self.ask("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT").json()
        return str(rows[0]["positionAmt"]) if rows else "0"

    def bought(self) -> bool:
        return self.held() != "0"


class _Clock:
    """Signs at the exchange's time, wherever it runs."""

    def __init__(self, control: Control) -> None:
        self._control = control

    @property
    def now(self) -> Any:
        return self._control.now()


@pytest.fixture(params=["memory", "socket"])
def control(request: pytest.FixtureRequest) -> Iterator[Control]:
    made: Control
    made = LocalServer(spec(), Files()) if request.param == "memory" else ChildServer(spec())
    yield made
    made.close()


@pytest.fixture
def client(control: Control) -> Client:
    return Client(control)


@pytest.fixture
def local() -> Client:
    return Client(LocalServer(spec(), Files()))


LOST: list[tuple[Do, type[Exception], bool]] = [
    (Do.CUT_BEFORE, requests.ConnectionError, False),
    (Do.CUT_AFTER, requests.ConnectionError, True),
    (Do.TIMEOUT_BEFORE, requests.ReadTimeout, False),
    (Do.TIMEOUT_AFTER, requests.ReadTimeout, True),
]


@pytest.mark.parametrize(("do", "kind", "acted"), LOST)
def test_a_lost_answer_does_not_tell_whether_it_was_acted_upon(
    client: Client, do: Do, kind: type[Exception], acted: bool
) -> None:
    client.control.inject(HttpFault(ORDER, do))
    with pytest.raises(kind):
        client.buy()
    assert client.bought() is acted
    assert client.control.counts()[ORDER] == 1, "it was heard"
    assert client.buy().status_code == 200, "it struck once"


SPOILT: list[tuple[HttpFault, int, int | None, bool]] = [
    (HttpFault(ORDER, Do.STATUS_BEFORE), 503, -1007, False),
    (HttpFault(ORDER, Do.STATUS_AFTER), 503, -1007, True),
    (HttpFault(ORDER, Do.STATUS_AFTER, code=-1000), 503, -1000, True),
    (HttpFault(ORDER, Do.STATUS_BEFORE, code=-1001), 503, -1001, False),
    (HttpFault(ORDER, Do.STATUS_BEFORE, code=-1008), 503, -1008, False),
    (HttpFault(ORDER, Do.STATUS_BEFORE, code=-1021), 400, -1021, False),
    (HttpFault(ORDER, Do.STATUS_AFTER, status=408, code=-1006), 408, -1006, True),
    (HttpFault(ORDER, Do.HTML), 502, None, False),
    (HttpFault(ORDER, Do.HTML_AFTER, status=504), 504, None, True),
    (HttpFault(ORDER, Do.FORBIDDEN), 403, None, False),
    (HttpFault(ORDER, Do.TRUNCATE), 200, None, True),
    (HttpFault(ORDER, Do.EMPTY), 200, None, True),
    (HttpFault(ORDER, Do.RATE, seconds=20), 429, -1003, False),
    (HttpFault(ORDER, Do.MAINTENANCE, seconds=1), 503, 1, False),
]


@pytest.mark.parametrize(("fault", "status", "code", "acted"), SPOILT)
def test_an_answer_may_be_anything(
    client: Client, fault: HttpFault, status: int, code: int | None, acted: bool
) -> None:
    client.control.inject(fault)
    answer = client.buy()
    assert answer.status_code == status
    if code is None:
        with pytest.raises(requests.JSONDecodeError):
            answer.json()
    else:
        assert answer.json()["code"] == code
        assert answer.json()["msg"]
    if fault.do is Do.RATE:
        assert answer.headers["Retry-After"] == "20"
    client.control.advance(client.control.now() + timedelta(seconds=2))
    assert client.bought() is acted


def test_a_ban_holds_for_its_time(client: Client) -> None:
    client.control.inject(HttpFault("GET /fapi/v1/time", Do.BAN, seconds=30))
    answers = [client.ask("GET", "/fapi/v1/time") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [418, 418]
    assert answers[0].headers["Retry-After"] == "30"
    client.control.advance(client.control.now() + timedelta(seconds=30))
    assert client.ask("GET", "/fapi/v1/time").status_code == 200


def test_a_list_of_positions_can_be_empty_with_everything_else_as_it_is(client: Client) -> None:
    assert client.buy().status_code == 200
    account = "GET /fapi/v3/account"
    client.control.inject(HttpFault(f"{account}|GET /fapi/v3/positionRisk", Do.NO_ROWS, count=2))
    told = client.ask("GET", "/fapi/v3/account").json()
    assert told["positions"] == []
    assert float(told["totalMaintMargin"]) > 0
    assert client.held() == "0"
    assert client.held() == "0.010"


def test_positions_can_be_those_of_an_hour_ago(client: Client) -> None:
    assert client.buy().status_code == 200
    wallet = client.ask("GET", "/fapi/v3/account").json()["totalWalletBalance"]
    client.control.inject(HttpFault("GET /fapi/v3/account", Do.OLD_ROWS, seconds=3600))
    told = client.ask("GET", "/fapi/v3/account").json()
    assert (told["positions"], told["totalWalletBalance"]) == ([], wallet)
    client.control.inject(HttpFault("GET /fapi/v3/account", Do.OLD_ACCOUNT, seconds=3600))
    told = client.ask("GET", "/fapi/v3/account").json()
    assert told["positions"] == []
    assert float(told["totalMaintMargin"]) == 0
    assert float(told["totalWalletBalance"]) > float(wallet), "before the commission"
    assert client.held() == "0.010"


def test_what_arrives_twice_is_acted_upon_twice(client: Client) -> None:
    client.control.inject(HttpFault(ORDER, Do.TWICE))
    assert client.buy().status_code == 200
    assert client.held() == "0.020"


def test_what_arrives_late_is_too_old(local: Client) -> None:
    local.control.inject(HttpFault(ORDER, Do.DELAY, seconds=0.3, subject="r.1"))
    assert local.buy().status_code == 200, "within the window of 5 s"
    local.control.inject(HttpFault(ORDER, Do.DELAY, seconds=5.1))
    with pytest.raises(requests.ReadTimeout):
        local.buy()
    assert local.held() == "0.010", "the second was refused: outside of its window"


def test_a_late_answer_is_a_time_out_for_who_is_impatient(client: Client) -> None:
    client.control.inject(HttpFault(ORDER, Do.DELAY_AFTER, seconds=0.8))
    with pytest.raises(requests.ReadTimeout):
        client.buy()
    assert client.bought()


def test_a_time_out_takes_the_clients_own_time(local: Client) -> None:
    local.control.inject(HttpFault("*", Do.TIMEOUT_BEFORE))
    before = local.control.now()
    with pytest.raises(requests.ReadTimeout):
        local.ask("GET", "/fapi/v1/time")
    # 20 ms on the way and 400 ms of patience.
    assert local.control.now() - before == timedelta(milliseconds=420)


def test_a_skewed_clock_stays_skewed(client: Client) -> None:
    client.control.inject(HttpFault("*", Do.SKEW, seconds=30))
    for _ in range(2):
        told = client.ask("GET", "/fapi/v1/time").json()["serverTime"]
        assert told == round(client.control.now().timestamp() * 1000) + 30_000
    assert client.buy().json()["code"] == -1021


def test_another_account_is_shown_at_every_place_that_names_one(client: Client) -> None:
    client.control.inject(HttpFault("*", Do.WRONG_ACCOUNT, message="123"))
    assert client.ask("GET", "/api/v3/account").json()["uid"] == 123


def test_an_outage_lasts_until_the_next_run(client: Client) -> None:
    client.control.inject(HttpFault(ORDER, Do.OUTAGE))
    with pytest.raises(requests.ConnectionError):
        client.buy()
    with pytest.raises(requests.ConnectionError):
        client.ask("GET", "/fapi/v1/time")
    client.control.open(START + timedelta(hours=1), 1)
    assert client.ask("GET", "/fapi/v1/time").status_code == 200
    assert not client.bought()


QUOTE = "GET /fapi/v1/ticker/bookTicker"


@pytest.mark.parametrize("asked", [{}, {"symbol": "BTCUSDT"}])
def test_quotes_can_suffer(local: Client, asked: dict[str, str]) -> None:
    def row() -> dict[str, Any] | None:
        answer = local.ask("GET", "/fapi/v1/ticker/bookTicker", **asked).json()
        rows = answer if isinstance(answer, list) else [answer]
        return next((each for each in rows if each["symbol"] == "BTCUSDT"), None)

    whole = row()
    assert whole is not None

    def struck(do: Do, seconds: float = 0.0) -> dict[str, Any] | None:
        local.control.inject(HttpFault(QUOTE, do, subject="BTCUSDT", seconds=seconds))
        return row()

    crossed = struck(Do.CROSSED)
    assert crossed is not None
    assert float(crossed["bidPrice"]) > float(crossed["askPrice"])
    single = struck(Do.ONE_SIDED)
    assert single is not None
    assert (float(single["askPrice"]), single["bidPrice"]) == (0, whole["bidPrice"])
    stale = struck(Do.STALE, seconds=600)
    assert stale is not None
    # Sixty milliseconds later than the first, and ten minutes old.
    assert stale["time"] - whole["time"] == 60 - 600_000
    missing = struck(Do.NO_QUOTE)
    assert missing is None or float(missing["bidPrice"]) == float(missing["askPrice"]) == 0


# ------------------------------------------------------------------ scripts and seeds


def struck(script: HttpScript, *names: str) -> list[bool]:
    return [bool(script.strikes(name, (), START)) for name in names]


def test_occasions_are_counted_for_each_fault_on_its_own() -> None:
    script = HttpScript(
        (HttpFault("GET /a", Do.HTML, nth=2, count=2), HttpFault("GET /b", Do.HTML))
    )
    seen = struck(script, "GET /a", "GET /b", "GET /a", "GET /b", "GET /a", "GET /a")
    assert seen == [False, True, True, False, True, False]


@pytest.mark.parametrize(
    ("where", "name", "fits"),
    [
        ("", "GET /fapi/v1/time", True),
        ("", "advance", False),
        ("*", "GET /fapi/v1/time", True),
        ("GET /fapi/v?/account", "GET /fapi/v3/account", True),
        ("GET /fapi/v?/account", "POST /fapi/v3/account", False),
        ("GET /x | GET /y", "GET /y", True),
        ("GET /x", "GET /xx", False),
    ],
)
def test_a_fault_names_the_requests_it_waits_for(where: str, name: str, fits: bool) -> None:
    assert HttpFault(where, Do.HTML).waits_for(name, ()) is fits


def test_a_fault_may_wait_for_one_symbol_or_order() -> None:
    fault = HttpFault(ORDER, Do.CUT_BEFORE, subject="r.7")
    assert fault.waits_for(ORDER, ("BTCUSDT", "r.7"))
    assert not fault.waits_for(ORDER, ("BTCUSDT", "r.77"))


def test_a_fault_that_lasts_strikes_until_it_is_over() -> None:
    script = HttpScript((HttpFault("GET /a", Do.TRUNCATE, lasts=1.5),))
    seconds = (0.0, 1.0, 1.4, 1.5, 1.6)
    seen = [bool(script.strikes("GET /a", (), START + timedelta(seconds=s))) for s in seconds]
    assert seen == [True, True, True, False, False]


def test_a_seed_draws_the_same_faults_each_time_and_about_as_many_as_asked() -> None:
    def drawn(seed: int) -> list[bool]:
        rates = (HttpRate(HttpFault("GET /a", Do.HTML), 0.25),)
        return struck(SeededHttpFaults(seed=seed, rates=rates), *["GET /a"] * 400)

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    # 400 draws of 0.25: 100, within five deviations of sqrt(400 * 0.25 * 0.75) = 8.7
    assert abs(sum(drawn(1)) - 100) < 44


def test_a_seed_works_in_a_whole_exchange() -> None:
    rates = (HttpRate(HttpFault("GET /fapi/v1/time", Do.HTML), 0.5),)
    local = Client(LocalServer(spec(rates=rates, fault_seed=5), Files()))
    statuses = [local.ask("GET", "/fapi/v1/time").status_code for _ in range(20)]
    assert set(statuses) == {200, 502}


# ------------------------------------------------------------------ the engine's kinds


def with_engine(*faults: Fault) -> Client:
    control = LocalServer(spec(engine_faults=faults), Files())
    control.open(START, 1)
    return Client(control)


READS: list[tuple[FaultKind, Callable[[Client], requests.Response]]] = [
    (FaultKind.BLIND_ACCOUNT, lambda c: c.ask("GET", "/fapi/v3/account")),
    (FaultKind.BLIND_POSITIONS, lambda c: c.ask("GET", "/fapi/v3/positionRisk")),
    (FaultKind.BLIND_ORDERS, lambda c: c.ask("GET", "/fapi/v1/openOrders")),
    (FaultKind.BLIND_EXECUTIONS, lambda c: c.ask("GET", "/fapi/v1/income")),
]


@pytest.mark.parametrize(("kind", "read"), READS)
def test_a_blind_answer_stays_blind_while_it_is_asked_for_again(
    kind: FaultKind, read: Callable[[Client], requests.Response]
) -> None:
    client = with_engine(Fault(kind))
    assert isinstance(read(client).json(), (list, dict)), "it waits to be armed"
    client.control.arm()
    for pause in (0.2, 0.4, 0.8):
        with pytest.raises(requests.JSONDecodeError):
            read(client).json()
        client.control.advance(client.control.now() + timedelta(seconds=pause))
    client.control.advance(client.control.now() + timedelta(seconds=1))
    assert isinstance(read(client).json(), (list, dict))


def test_a_refused_connection_is_refused_until_the_next_run() -> None:
    client = with_engine(Fault(FaultKind.REFUSED_CONNECTION))
    with pytest.raises(requests.ConnectionError):
        client.ask("GET", "/fapi/v1/time")
    client.control.open(START + timedelta(hours=1), 1)
    assert client.ask("GET", "/fapi/v1/time").status_code == 200


def test_a_refused_connection_is_refused_by_the_port_itself() -> None:
    with ChildServer(spec(engine_faults=(Fault(FaultKind.REFUSED_CONNECTION),))) as control:
        client = Client(control)
        control.open(START, 1)
        with pytest.raises(requests.ConnectionError, match="refused"):
            client.ask("GET", "/fapi/v1/time")
        control.open(START, 1)
        assert client.ask("GET", "/fapi/v1/time").status_code == 200


def test_the_wrong_account_is_shown_for_a_run() -> None:
    client = with_engine(Fault(FaultKind.WRONG_ACCOUNT, message="999"))
    assert client.ask("GET", "/api/v3/account").json()["uid"] == 999
    client.control.open(START + timedelta(hours=1), 1)
    assert client.ask("GET", "/api/v3/account").json()["uid"] == 700700700


def test_a_connection_can_break_while_time_passes() -> None:
    client = with_engine(Fault(FaultKind.DISCONNECT, subject="wait", nth=2))
    client.control.arm()
    client.control.advance(START + timedelta(seconds=10))
    assert client.ask("GET", "/fapi/v1/time").status_code == 200
    client.control.advance(START + timedelta(seconds=20))
    with pytest.raises(requests.ConnectionError):
        client.ask("GET", "/fapi/v1/time")


@pytest.mark.parametrize("kind", [FaultKind.LOST_ORDER, FaultKind.LOST_ACKNOWLEDGEMENT])
def test_an_order_that_the_engine_loses_has_an_unknown_status(kind: FaultKind) -> None:
    client = with_engine(Fault(kind))
    answer = client.buy()
    assert (answer.status_code, answer.json()["code"]) == (503, -1007)
    assert client.bought() is (kind is FaultKind.LOST_ACKNOWLEDGEMENT)
