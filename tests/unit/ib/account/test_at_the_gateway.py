"""The account through the real library, from a simulated gateway."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.errors import BlindError, ConnectError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.orders import OrderType, TimeInForce
from rebalancer.risk import check_account
from rebalancer.risk.parameters import Limits
from rebalancer.simulators.ib_gateway.account_values import state_of
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
from rebalancer.simulators.ib_gateway.what_if import margins
from rebalancer.simulators.news import NewOrder
from rebalancer.simulators.parameters import PaperSettings
from tests.contract.brokers.rig import AAPL, KO, MSFT
from tests.unit.ib.connect.rig import ACCOUNT, Scene, shares

TWO_CURRENCIES: dict[str, Any] = {
    "seed": 7,
    "cash": {"USD": Decimal(50_000), "EUR": Decimal(-1_000)},
    "fx": {"EUR": Decimal("1.10")},
    "positions": {"KO.STK.USD@IB": Decimal(100), "GE.STK.USD@IB": Decimal(-20)},
}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, changes={"settings": PaperSettings(**TWO_CURRENCIES)})


def test_an_account_of_several_currencies_is_told_exactly(scene: Scene) -> None:
    with scene.connected() as venue:
        account = venue.account()
        worth = scene.gateway.gateway.exchange.worth()
    assert account.account == ACCOUNT
    assert account.cash == {"USD": Decimal(50_000), "EUR": Decimal(-1_000)}
    assert account.rates.rate("EUR") == Decimal("1.10")
    assert account.net_liquidation == worth.net_liquidation
    assert account.gross_position_value == worth.gross
    held = {position.instrument: position.quantity for position in account.positions}
    # GE is not in the universe and must be listed all the same.
    assert held == {"KO.STK.USD@IB": 100, "GE.STK.USD@IB": -20}
    parts = sum((p.value or 0 for p in account.positions), Decimal(0))
    # 50,000 USD less 1,000 EUR at 1.10.
    assert account.net_liquidation == 48_900 + parts
    assert account.leverage == (worth.gross / worth.net_liquidation).quantize(Decimal("0.01"))
    assert account.cushion is not None
    assert 0 < account.cushion < 1
    assert account.excess_liquidity == worth.excess
    assert account.settled_cash is None


def test_disaster_sweep_cash_counted_twice(scene: Scene) -> None:
    """25,000 USD lie in a bank, and the ledger's cash balance has them once more."""
    scene.changes["bank_sweep"] = Decimal(25_000)
    with scene.connected() as venue:
        wrapper = venue.line.ib.wrapper
        account = venue.account()
        told = {
            value.value
            for value in wrapper.accountValues.values()
            if (value.tag, value.currency) == ("CashBalance", "USD")
        }
        worth = scene.gateway.gateway.exchange.worth()
    assert told == {"75000.00"}
    assert account.cash["USD"] == 50_000
    assert account.net_liquidation == worth.net_liquidation


def test_a_cash_account_tells_its_settled_cash(tmp_path: Path) -> None:
    settings = PaperSettings(seed=7, cash_account=True)
    scene = Scene(tmp_path, changes={"settings": settings})
    with scene.connected() as venue:
        account = venue.account()
    assert account.settled_cash == {"USD": Decimal(100_000)}


def test_other_accounts_of_the_login_are_not_ours(scene: Scene) -> None:
    scene.changes["other_accounts"] = ("DU7770001",)
    with scene.connected() as venue:
        assert venue.account().net_liquidation > 40_000
        # The library also keeps what it hears of others; somebody else holds Apple.
        scene.gateway.gateway.sessions[1].send(
            "position",
            **scene.gateway.gateway.directory.listed(AAPL.id).values(),
            account="DU7770001",
            position="500",
            avgCost="60",
        )
        assert shares(venue) == 0


FUTURE = Instrument(
    InstrumentId("ES.FUT.202006@IB"),
    Kind.FUTURE,
    "ES",
    "USD",
    "XNYS",
    multiplier=Decimal(50),
)


def scene_with_a_future(tmp_path: Path) -> Scene:
    held: dict[str, Decimal] = {FUTURE.id: Decimal(1), AAPL.id: Decimal(100)}
    settings = PaperSettings(seed=7, cash={"USD": Decimal(200_000)}, positions=held)
    return Scene(tmp_path, instruments=(AAPL, KO, FUTURE), changes={"settings": settings})


def test_a_future_has_its_multiplier_taken_out_of_its_cost(tmp_path: Path) -> None:
    scene = scene_with_a_future(tmp_path)
    with scene.connected() as venue:
        _, position = venue.account().positions
        holding = scene.gateway.gateway.exchange.account.holdings[FUTURE.id]
    assert position.instrument == FUTURE.id
    assert position.price is not None
    assert position.value == position.price * 50
    assert position.average_cost == holding.average_cost


def test_an_account_with_a_future_is_believed_and_its_gain_is_in_the_cash(tmp_path: Path) -> None:
    """So Interactive Brokers says of its total cash; and its gross value has no futures."""
    scene = scene_with_a_future(tmp_path)
    with scene.connected() as venue:
        account = venue.account()
        own = scene.gateway.gateway.exchange.account.cash
    shares, future = account.positions
    assert shares.value is not None
    assert future.price is not None and future.average_cost is not None
    gain = 50 * (future.price - future.average_cost)
    assert gain, "the future has moved, or this says nothing"
    assert own == {"USD": 200_000}
    assert account.cash == {"USD": 200_000 + gain}
    assert account.net_liquidation == 200_000 + gain + shares.value
    assert account.gross_position_value == shares.value
    assert check_account(account, Limits(), None, now=account.at) == ()


def test_what_a_future_traded_today_changes_nothing_of_last_nights_value(tmp_path: Path) -> None:
    scene = scene_with_a_future(tmp_path)
    with scene.connected():
        gateway = scene.gateway.gateway
        exchange, before = gateway.exchange, state_of(gateway, ACCOUNT).before
        for size in (1, -2, -1):
            wanted = a_trade(size)
            margin = margins(exchange, wanted)
            exchange.place([wanted])
            exchange.play_to(exchange.now + timedelta(minutes=5))
            worth = exchange.worth()
            change = Decimal(margin["maintMarginAfter"]) - worth.maintenance
            assert abs(change) < worth.maintenance / 100 + 1, "the price moved, and no more"
        assert exchange.account.holdings[FUTURE.id].quantity == -1
        assert state_of(gateway, ACCOUNT).before == before


def a_trade(size: int) -> NewOrder:
    market, day = OrderType.MARKET, TimeInForce.DAY
    return NewOrder("", FUTURE.id, Decimal(size), None, market, day)


def test_nothing_that_the_library_remembers_counts(scene: Scene) -> None:
    """A position that was sold is only gone where the old list is forgotten first."""
    with scene.connected() as venue:
        first = venue.account()
        wrapper = venue.line.ib.wrapper
        (number, item), *_ = wrapper.portfolio[ACCOUNT].items()
        wrapper.portfolio[ACCOUNT][number + 1] = item
        wrapper.accountValues.clear()
        assert venue.account() == first


@pytest.mark.parametrize("name", ["portfolioValue", "position"])
def test_a_row_that_never_comes_is_a_contradiction_not_a_smaller_account(
    scene: Scene, name: str
) -> None:
    with scene.connected() as venue:
        scene.gateway.inject(WireFault(name, Do.LOSE, count=None))
        with pytest.raises(BlindError, match="positions say"):
            venue.account()


def test_a_value_that_never_comes_is_missing_not_zero(scene: Scene) -> None:
    with scene.connected() as venue:
        scene.gateway.inject(WireFault("accountValue", Do.LOSE, count=None))
        with pytest.raises(BlindError, match=r"did not tell|in one currency"):
            venue.account()


def test_a_wrong_account_is_never_read(scene: Scene) -> None:
    wrong = WireFault("connect", Do.ACCOUNT, text="DU0000666")
    with pytest.raises(ConnectError, match="DU0000666"), scene.connected(wrong):
        pytest.fail("connected")


def test_an_account_that_holds_nothing_is_confirmed_empty(tmp_path: Path) -> None:
    with Scene(tmp_path).connected() as venue:
        account = venue.account()
    assert account.positions == ()
    assert account.quantity(MSFT.id) == 0
    assert account.net_liquidation == account.cash["USD"] == 100_000
