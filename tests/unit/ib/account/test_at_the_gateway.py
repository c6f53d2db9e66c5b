"""The account through the real library, from a simulated gateway."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.errors import BlindError, ConnectError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.simulators.ib_gateway.faults import Do, WireFault
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


def test_a_future_has_its_multiplier_taken_out_of_its_cost(tmp_path: Path) -> None:
    future = Instrument(
        InstrumentId("ES.FUT.202006@IB"),
        Kind.FUTURE,
        "ES",
        "USD",
        "XNYS",
        multiplier=Decimal(50),
    )
    settings = PaperSettings(
        seed=7, cash={"USD": Decimal(200_000)}, positions={future.id: Decimal(1)}
    )
    scene = Scene(tmp_path, instruments=(AAPL, KO, future), changes={"settings": settings})
    with scene.connected() as venue:
        (position,) = venue.account().positions
        holding = scene.gateway.gateway.exchange.account.holdings[future.id]
    assert position.instrument == future.id
    assert position.price is not None
    assert position.value == position.price * 50
    assert position.average_cost == holding.average_cost


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
