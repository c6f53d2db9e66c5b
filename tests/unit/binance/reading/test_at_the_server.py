"""The real line asks the simulated exchange: whole answers, real gaps, delistings, weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rebalancer.brokers.binance.line import BinanceLine
from rebalancer.brokers.binance.parameters import BinanceSettings, Product
from rebalancer.brokers.binance.passage import SteppedPassage
from rebalancer.brokers.binance.reading import Reading
from rebalancer.model.income import IncomeKind
from rebalancer.model.instrument import Instrument
from rebalancer.model.secret import Secret
from rebalancer.model.universe import BarSize, Universe
from rebalancer.simulators.binance_server.memory import LocalServer
from rebalancer.simulators.binance_server.spec import KEY, SECRET, BinanceSpec
from rebalancer.simulators.binance_server.symbol_changes import (
    SymbolChange,
    delisted,
    halted,
)
from rebalancer.simulators.binance_server.symbols import symbols_of
from rebalancer.simulators.binance_server.transfers import Transfer
from rebalancer.simulators.candle_recording import candle_recording
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.store.atomic import Files
from tests.unit.binance.reading.exchange import Flags, pair, perp

SLOT = datetime(2025, 3, 20, 15, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
COINS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@contextmanager
def connected(
    folder: Path,
    instruments: Sequence[Instrument],
    *,
    product: Product = Product.USDM,
    recording: str = "binance_perps_2025",
    slot: datetime = SLOT,
    hours: int = 100,
    **spec: Any,
) -> Iterator[tuple[Reading, LocalServer]]:
    """Connect to a simulated exchange at `slot`."""
    settings = PaperSettings(
        recording=recording, cash={"USDT": Decimal(10_000)}, start=slot - timedelta(minutes=5)
    )
    made = BinanceSpec(account="1", base="USDT", folder=None, settings=settings, **spec)
    server = LocalServer(made, Files())
    universe = Universe(instruments)
    server.open(slot, 1)
    line = BinanceLine(
        SteppedPassage(server),
        BinanceSettings(history_days=0, history_hours=hours),
        product,
        universe,
        Secret(KEY),
        Secret(SECRET),
        read_only=True,
    )
    line.measure()
    try:
        yield Reading(line, universe, folder, Files()), server
    finally:
        server.close()


def perps(*symbols: str) -> list[Instrument]:
    return [perp(symbol) for symbol in sorted(symbols)]


def test_rules_quotes_bars_and_funding_fit_together(tmp_path: Path) -> None:
    asked = perps(*COINS)
    with connected(tmp_path, asked) as (read, server):
        flags = Flags()
        found = read.listed(asked, flags)
        assert flags.heard == []
        bars = read.bars(asked, None, BarSize.HOUR)
        assert bars.values.shape == (100, 3)
        assert int(bars.times[-1]) == int((SLOT - timedelta(minutes=5)).timestamp())
        quotes = read.market(asked).quotes
        for column, instrument in enumerate(found):
            quote = quotes[instrument.id]
            assert quote.bid is not None
            assert quote.ask is not None
            assert quote.bid < quote.ask
            assert quote.ask % instrument.rules.price_step(quote.ask) == 0
            # Five minutes after the close, prices have not gone far.
            assert float(quote.bid) == pytest.approx(bars.values[-1, column], rel=0.05)
            assert quote.close == pytest.approx(quote.mid, rel=Decimal("0.001"))
            assert quote.next_funding == datetime(2025, 3, 20, 16, tzinfo=UTC)
            assert quote.trading
        rates = read.funding(asked, SLOT - timedelta(days=1))
        # Settled every eight hours: 16:00, 00:00 and 08:00 of the day before.
        assert [int(at) % 86_400 // 3600 for at in rates.times] == [16, 0, 8]
        assert np.abs(rates.values - 1).max() < 0.01
        assert server.counts()["GET /fapi/v1/exchangeInfo"] == 1


def test_daily_closes_of_hourly_candles_are_those_of_the_daily_candles(tmp_path: Path) -> None:
    asked = perps(*COINS)
    since = SLOT - timedelta(days=4)
    with connected(tmp_path, asked, hours=200) as (read, _):
        from_hours = read.bars(asked, since)
    with connected(tmp_path, asked, hours=0) as (read, server):
        from_days = read.bars(asked, since)
        assert server.counts()["GET /fapi/v1/klines"] == 3
    assert from_hours.times.tolist() == from_days.times.tolist()
    assert np.array_equal(from_hours.values, from_days.values)
    assert len(from_days) == 4


def test_the_real_outage_reaches_the_panel_as_a_gap(tmp_path: Path) -> None:
    slot = datetime(2020, 6, 28, 12, 5, tzinfo=UTC)
    asked = [pair()]
    with connected(
        tmp_path, asked, product=Product.SPOT, recording="binance_spot_2020", slot=slot, hours=24
    ) as (read, _):
        panel = read.bars(asked, None, BarSize.HOUR)
    lost = [int(at) % 86_400 // 3600 for at, row in zip(panel.times, panel.values, strict=True)
            if np.isnan(row).all()]  # fmt: skip
    assert (len(panel), lost) == (24, [3, 4, 5])


def test_a_delisting_is_seen_from_its_announcement_on(tmp_path: Path) -> None:
    asked = perps(*COINS)
    gone = SLOT + timedelta(days=1)
    changes = delisted("SOLUSDT", SLOT - HOUR, gone)
    with connected(tmp_path, asked, changes=changes) as (read, _):
        found = read.listed(asked, Flags())
    assert [bool(each.leaving) for each in found] == [False, False, True]
    assert "2025-03-21 15:05 UTC" in found[2].leaving


def test_a_halted_perpetual_is_left_and_takes_no_orders(tmp_path: Path) -> None:
    asked = perps(*COINS)
    changes = halted("SOLUSDT", SLOT - HOUR, SLOT + HOUR)
    with connected(tmp_path, asked, changes=changes) as (read, _):
        found = read.listed(asked, Flags())
        assert found[2].leaving == "its status is BREAK, not TRADING"
        assert read.market(asked).quotes[asked[0].id].trading
        quote = read.market(asked).quotes.get(asked[2].id)
        assert quote is None or quote.trading is False


def test_a_perpetual_listed_yesterday_has_a_short_history(tmp_path: Path) -> None:
    asked = perps(*COINS)
    begins = SLOT - timedelta(hours=20, minutes=5)
    changes = (SymbolChange(at=begins, symbol="SOLUSDT", listed=True),)
    with connected(tmp_path, asked, changes=changes) as (read, _):
        flags = Flags()
        assert read.listed(asked, flags)[2].leaving == ""
        assert flags.heard == []
        panel = read.bars(asked, None, BarSize.HOUR)
    assert np.isnan(panel.values).sum(axis=0).tolist() == [0, 0, 80]


def test_new_filters_are_seen_by_the_next_connection(tmp_path: Path) -> None:
    asked = perps(*COINS)
    change = SymbolChange(at=SLOT + HOUR, symbol="SOLUSDT", tick=Decimal("0.1"))
    with connected(tmp_path, asked, changes=(change,)) as (read, _):
        before = read.listed(asked, Flags())
    with connected(tmp_path, asked, changes=(change,), slot=SLOT + 2 * HOUR) as (read, _):
        flags = Flags()
        after = read.listed(asked, flags)
    assert before[2].rules.price_step(Decimal(1)) == Decimal("0.01")
    assert after[2].rules.price_step(Decimal(1)) == Decimal("0.1")
    assert flags.codes == ["rules-differ"]


def test_a_deposit_is_income(tmp_path: Path) -> None:
    gift = Transfer(at=SLOT - timedelta(minutes=2), asset="USDT", amount=Decimal("123.45"))
    with connected(tmp_path, perps(*COINS), transfers=(gift,)) as (read, _):
        (line,) = read.income(SLOT - HOUR)
        assert (line.kind, line.amount) == (IncomeKind.TRANSFER, Decimal("123.45"))
        assert line.instrument is None


def test_five_hundred_perpetuals_cold_and_warm_by_the_servers_own_count(tmp_path: Path) -> None:
    made, _ = symbols_of(candle_recording("binance_perps_2025"), 491)
    names = [each.symbol for each in made if each.product == Product.USDM]
    asked = perps(*names)
    assert len(asked) == 500
    with connected(tmp_path, asked, crowd=491, hours=499) as (read, server):
        start = server.used_weight()["usdm"]
        read.listed(asked, Flags())
        read.bars(asked, None)
        read.bars(asked, None, BarSize.HOUR)
        # exchangeInfo 1, klines of 499 hours 2 each.
        assert server.used_weight()["usdm"] - start == 1 + 1000
    with connected(tmp_path, asked, crowd=491, hours=499) as (read, server):
        start = server.used_weight()["usdm"]
        read.listed(asked, Flags())
        read.bars(asked, SLOT - 6 * HOUR, BarSize.HOUR)
        quotes = read.market(asked).quotes
        read.market(asked)
        # exchangeInfo 1, klines 1 each, prices twice 5, marks once 10, no ticker for volumes.
        assert server.used_weight()["usdm"] - start == 1 + 500 + 10 + 10
        assert len(quotes) == 500
        assert all(quote.average_volume is not None for quote in quotes.values())
