"""Contracts, quotes and bars through the simulated gateway, over the whole protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.brokers.ib.contracts import Contracts
from rebalancer.brokers.ib.history import bars
from rebalancer.brokers.ib.line import Line
from rebalancer.brokers.ib.parameters import IbSettings
from rebalancer.brokers.ib.passage import SteppedPassage
from rebalancer.brokers.ib.quotes import quotes
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.market import Freshness, MarketSnapshot
from rebalancer.model.universe import Universe
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.ib_gateway.memory import LocalGateway
from rebalancer.simulators.ib_gateway.spec import GatewaySpec
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.store.atomic import Files
from tests.contract.brokers.rig import AAPL, KO, MSFT, SLOT, us_sessions

EURUSD = Instrument(InstrumentId("EUR.USD.FX@IB"), Kind.FOREX, "EUR", "USD", "24/5")
NIGHT = datetime(2020, 3, 2, 23, tzinfo=UTC)
SPEC = GatewaySpec(
    account="DU1",
    base="USD",
    folder=None,
    instruments=(AAPL, EURUSD, KO, MSFT),
    settings=PaperSettings(seed=7, fx={"EUR": Decimal("1.1")}),
    sessions=us_sessions().sessions,
)


@contextmanager
def connected(
    tmp_path: Path, spec: GatewaySpec = SPEC, at: datetime = SLOT
) -> Iterator[tuple[LocalGateway, Line, Contracts]]:
    gateway = LocalGateway(spec, Files())
    gateway.open(at, 1)
    line = Line(IbSettings(), "DU1", SteppedPassage(gateway))
    try:
        line.connect(5)
        universe = Universe(spec.instruments)
        contracts = Contracts(line, tmp_path, Files(), universe)
        contracts.qualify()
        gateway.arm()
        yield gateway, line, contracts
    finally:
        line.close()
        gateway.close()


def market(tmp_path: Path, spec: GatewaySpec = SPEC, at: datetime = SLOT) -> MarketSnapshot:
    with connected(tmp_path, spec, at) as (_gateway, line, contracts):
        return quotes(line, contracts, spec.instruments)


def test_every_instrument_is_qualified_and_keeps_its_configured_rules(tmp_path: Path) -> None:
    flags: list[tuple[str, str, str]] = []
    with connected(tmp_path) as (_gateway, _line, contracts):
        listed = contracts.listed(SPEC.instruments, lambda *flag: flags.append(flag))
    assert listed == SPEC.instruments
    assert flags == []


def test_quotes_are_those_of_the_engine(tmp_path: Path) -> None:
    found = market(tmp_path).quotes
    assert set(found) == {each.id for each in SPEC.instruments}
    for quote in found.values():
        assert quote.freshness is Freshness.SYNTHETIC
        assert quote.bid is not None
        assert quote.ask is not None
        assert quote.bid < quote.ask
        assert quote.at == SLOT
    # The adjusted close of Apple on 2020-02-28 as recorded.
    assert found[AAPL.id].close == Decimal("66.915")


def test_at_night_the_venue_says_that_it_does_not_trade(tmp_path: Path) -> None:
    quote = market(tmp_path, at=NIGHT).quotes[AAPL.id]
    assert (quote.trading, quote.close) == (False, Decimal("73.145"))


@pytest.mark.parametrize(
    ("words", "freshness"),
    [("delayed", Freshness.DELAYED), ("frozen", Freshness.FROZEN), ("none", None)],
)
def test_data_that_are_not_live_are_never_taken_for_live(
    tmp_path: Path, words: str, freshness: Freshness | None
) -> None:
    found = market(tmp_path, replace(SPEC, market_data=words)).quotes
    assert {quote.freshness for quote in found.values()} <= {freshness}


def test_what_goes_wrong_with_one_quote_leaves_the_others(tmp_path: Path) -> None:
    faults = (
        Fault(FaultKind.STALE_QUOTE, subject=AAPL.id, seconds=600),
        Fault(FaultKind.MISSING_QUOTE, subject=MSFT.id),
        Fault(FaultKind.ONE_SIDED_QUOTE, subject=KO.id),
    )
    found = market(tmp_path, replace(SPEC, faults=faults)).quotes
    assert found[AAPL.id].at == SLOT - timedelta(seconds=600)
    assert MSFT.id not in found
    assert (found[KO.id].ask, found[KO.id].bid is None) == (None, False)


def test_bars_of_days_and_hours_come_over_the_wire(tmp_path: Path) -> None:
    with connected(tmp_path) as (gateway, line, contracts):
        days = bars(line, contracts, (AAPL, KO), None, sessions=us_sessions())
        since = SLOT - timedelta(days=4)
        hours = bars(line, contracts, (AAPL,), since, size="hour", sessions=us_sessions())
        assert gateway.violations() == 0
    assert days.last_time() == datetime(2020, 2, 28, 21, tzinfo=UTC)
    assert days.values[-1].tolist() == [66.915, 47.963]
    assert hours.last_time() == datetime(2020, 3, 2, 15, tzinfo=UTC)
