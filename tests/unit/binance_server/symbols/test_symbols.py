"""The symbols of the simulated exchange: what they are, and how they change over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rebalancer.errors import DataError
from rebalancer.model.codec import from_plain, to_plain
from rebalancer.model.instrument import InstrumentId, parse_instrument_id
from rebalancer.simulators.binance_server.spec import BinanceSpec
from rebalancer.simulators.binance_server.symbol_table import FIRST_DAY, NEVER
from rebalancer.simulators.binance_server.symbols import (
    SymbolChange,
    delisted,
    halted,
    instrument_of,
    symbol_table,
    symbols_for,
)
from rebalancer.simulators.parameters import PaperSettings

D = Decimal
AT = datetime(2025, 3, 20, 15, 5, tzinfo=UTC)
LATER = AT + timedelta(hours=2)


def spec(*changes: SymbolChange, crowd: int = 0, recording: str = "") -> BinanceSpec:
    chosen = PaperSettings(seed=7, start=AT, recording=recording or "binance_perps_2025")
    return BinanceSpec(
        account="1", base="USDT", folder=None, settings=chosen, changes=changes, crowd=crowd
    )


def test_the_table_has_the_exchanges_own_ticks_lots_and_limits() -> None:
    btc = symbol_table()["usdm", "BTCUSDT"]
    assert (btc.tick, btc.step, btc.min_notional) == (D("0.1"), D("0.001"), D(100))
    assert (btc.max_qty, btc.market_max_qty) == (D(1000), D(120))
    assert (btc.multiplier_up, btc.multiplier_down) == (D("1.05"), D("0.95"))
    assert (btc.min_price, btc.max_price, btc.max_orders) == (D("556.8"), D(4529764), 200)
    assert (btc.status, btc.contract_type, btc.delivery) == ("TRADING", "PERPETUAL", NEVER)
    spot = symbol_table()["spot", "BTCUSDT"]
    assert (spot.tick, spot.step, spot.min_notional) == (D("0.01"), D("0.00001"), D(5))
    assert (spot.market_step, spot.market_max_qty) == (D(0), D("97.09521512"))
    assert (spot.multiplier_up, spot.multiplier_down) == (D(5), D("0.2"))
    sol = symbol_table()["usdm", "SOLUSDT"]
    assert (sol.tick, sol.step, sol.min_notional) == (D("0.01"), D("0.01"), D(5))
    assert sol.onboard == FIRST_DAY


def test_every_symbol_makes_an_instrument_whose_name_we_can_read() -> None:
    table = symbol_table()
    assert sum(product == "usdm" for product, _ in table) > 600
    for symbol in table.values():
        instrument = instrument_of(symbol)
        assert parse_instrument_id(instrument.id) == symbol.id
        assert instrument.rules.price_step(D(1)) == symbol.tick
        assert instrument.rules.market_step > 0
        assert symbol.min_qty % symbol.step == 0
        assert symbol.base + symbol.quote == symbol.symbol
        assert instrument.shortable is (symbol.product == "usdm")


def test_a_recording_lists_what_it_has_prices_of() -> None:
    symbols, market, instruments = symbols_for(spec())
    assert len(symbols.listed("usdm", AT)) == len(symbols.listed("spot", AT)) == 9
    assert [each.symbol for each in symbols.listed("usdm", AT)][:2] == ["ADAUSDT", "BCHUSDT"]
    assert len(instruments) == 18
    assert set(instruments) == {each.id for each in market.listed()}
    symbols, _, _ = symbols_for(spec(recording="binance_spot_2020"))
    inside = datetime(2020, 6, 28, 3, tzinfo=UTC)
    assert symbols.listed("usdm", inside) == ()
    assert [each.status for each in symbols.listed("spot", inside)] == ["BREAK"]
    assert [each.status for each in symbols.listed("spot", inside - timedelta(hours=2))] == [
        "TRADING"
    ]


def test_a_halt_stops_one_symbol_and_ends() -> None:
    symbols, market, instruments = symbols_for(spec(*halted("ETHUSDT", AT, LATER)))
    eth, btc = (instruments[InstrumentId(f"{c}USDT.PERP@BINANCE")] for c in ("ETH", "BTC"))
    before, inside = AT - timedelta(minutes=1), AT + timedelta(minutes=1)
    for at, open_ in ((before, True), (inside, False), (LATER, True)):
        assert (market.touch(eth, at) is not None) is open_
        assert market.touch(btc, at) is not None
        found = symbols.find("usdm", "ETHUSDT", at)
        assert found is not None
        assert found.status == ("TRADING" if open_ else "BREAK")
    listed = {each.symbol: each.status for each in symbols.listed("usdm", inside)}
    assert listed["ETHUSDT"] == "BREAK"
    assert listed["BTCUSDT"] == "TRADING"
    assert market.mark(eth, inside) is not None
    assert symbols.next_change(before) == AT
    assert symbols.next_change(LATER) is None


def test_a_delisting_is_announced_and_comes() -> None:
    announced = AT - timedelta(days=1)
    symbols, market, instruments = symbols_for(spec(*delisted("LTCUSDT", announced, LATER)))
    ltc = instruments[InstrumentId("LTCUSDT.PERP@BINANCE")]
    assert symbols.leaving("usdm", announced - timedelta(minutes=1)) == []
    ((leaving, end),) = symbols.leaving("usdm", AT)
    assert (leaving.symbol, leaving.delivery, end) == ("LTCUSDT", LATER, LATER)
    assert leaving.status == "TRADING"
    found = symbols.find("usdm", "LTCUSDT", LATER)
    assert found is not None
    assert found.status == "SETTLING"
    assert market.session(ltc, LATER - timedelta(minutes=1)) is not None
    assert market.session(ltc, LATER) is None
    assert market.next_session(ltc, LATER) is None


def test_a_listing_begins_and_one_that_is_gone_is_gone() -> None:
    new = SymbolChange(at=AT, symbol="XRPUSDT", listed=True)
    gone = SymbolChange(at=LATER, symbol="XRPUSDT", listed=False)
    symbols, market, instruments = symbols_for(spec(new, gone))
    xrp = instruments[InstrumentId("XRPUSDT.PERP@BINANCE")]
    before = AT - timedelta(minutes=1)
    assert symbols.find("usdm", "XRPUSDT", before) is None
    assert len(symbols.listed("usdm", before)) == 8
    assert market.touch(xrp, before) is None
    found = symbols.find("usdm", "XRPUSDT", AT)
    assert found is not None
    assert found.onboard == AT
    assert market.touch(xrp, AT) is not None
    assert symbols.find("usdm", "XRPUSDT", LATER) is None


def test_a_filter_changes_and_the_engines_instrument_with_it() -> None:
    change = SymbolChange(at=AT, symbol="BCHUSDT", tick=D("0.1"), min_notional=D(20))
    symbols, _, instruments = symbols_for(spec(change))
    bch = InstrumentId("BCHUSDT.PERP@BINANCE")
    instruments.clock = lambda: AT - timedelta(minutes=1)
    before = instruments[bch]
    assert before.rules.price_step(D(300)) == D("0.01")
    instruments.clock = lambda: AT
    after = instruments[bch]
    assert (after.rules.price_step(D(300)), after.rules.min_notional) == (D("0.1"), D(20))
    assert instruments[bch] is after, "made once"
    found = symbols.find("usdm", "BCHUSDT", AT)
    assert found is not None
    assert (found.tick, found.step) == (D("0.1"), D("0.001"))


def test_a_change_of_an_unknown_symbol_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="a change of NOPEUSDT"):
        symbols_for(spec(SymbolChange(at=AT, symbol="NOPEUSDT", tick=D(1))))


def test_a_change_travels_as_plain_values() -> None:
    change = SymbolChange(at=AT, symbol="BCHUSDT", tick=D("0.1"), listed=True, delivery=LATER)
    assert from_plain(SymbolChange, to_plain(change)) == change


def test_five_hundred_perpetuals_have_prices_on_their_own_grids() -> None:
    symbols, market, instruments = symbols_for(spec(crowd=491))
    listed = symbols.listed("usdm", AT)
    assert len(listed) == 500
    assert len({each.symbol for each in listed}) == 500
    for symbol in listed:
        touch = market.touch(instruments[symbol.id], AT)
        assert touch is not None
        assert touch.bid % symbol.tick == touch.ask % symbol.tick == 0
        assert touch.bid >= symbol.tick, "there is a price"
        assert touch.bid >= symbol.min_price
        assert touch.ask * symbol.market_max_qty >= 50_000
    hours = market.candles(listed[20].symbol, "1h", None, None, 300, now=AT)
    assert len(hours) == 300
    assert all(each.low <= each.open <= each.high for each in hours)
    assert market.funding(listed[20].symbol)
    with pytest.raises(DataError, match="crowd = 5000"):
        symbols_for(spec(crowd=5000))
