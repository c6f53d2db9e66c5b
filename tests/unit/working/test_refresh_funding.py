"""Past funding rates: fetched once, handed to the generators that ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from rebalancer.errors import StateError
from rebalancer.generators.run import ChildGenerators
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.panel import Histories, Panel, empty_panel
from rebalancer.model.signals import TargetWeights
from rebalancer.model.universe import Sleeve
from rebalancer.ports import Desk, Venue
from rebalancer.store.atomic import Files
from rebalancer.store.candles import FUNDING, CandleStore
from rebalancer.working.refresh_funding import refresh_funding
from tests.portfolios import make_world, stock

A, B = InstrumentId(stock("AAPL")), InstrumentId(stock("KO"))
NOW = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
EIGHT = timedelta(hours=8)
PLUGIN = """
from rebalancer.model.signals import TargetWeights
def generate(context):
    rates = context.funding
    seen = 0.0 if rates is None else float(rates.values[-1, 0])
    return TargetWeights({name: seen for name in context.universe})
"""


@dataclass
class Payer:
    """The part of `ports.Venue` that tells funding: every eight hours, the same rate."""

    rates: dict[InstrumentId, float]
    asked: list[tuple[tuple[InstrumentId, ...], datetime | None]] = field(default_factory=list)

    def funding(self, instruments: Sequence[Instrument], since: datetime | None) -> Panel:
        names = tuple(each.id for each in instruments)
        self.asked.append((names, since))
        first = datetime(2020, 3, 1, tzinfo=UTC)
        times = [int((first + n * EIGHT).timestamp()) for n in range(5)]
        after = -1 if since is None else since.timestamp()
        kept = [at for at in times if after < at <= NOW.timestamp()]
        if not kept:
            return empty_panel(names)
        row = [1 + self.rates.get(name, np.nan) for name in names]
        return Panel(names, np.array(kept, np.int64), np.array([row] * len(kept)))


def desk_of(folder: Path, *, funding: bool = True) -> Desk:
    (folder / "paid.py").write_text(PLUGIN, encoding="utf-8")
    world = make_world(folder, symbols=("AAPL", "KO"), generator='generator = "paid.py"')
    desk = world.desk(NOW)
    sleeves = tuple(replace(each, funding=funding) for each in desk.sleeves)
    return replace(desk, sleeves=sleeves)


def test_rates_are_fetched_once_and_then_only_what_was_settled_since(tmp_path: Path) -> None:
    desk, venue = desk_of(tmp_path), Payer({A: 0.0001, B: -0.0002})
    first = refresh_funding(desk, cast(Venue, venue), NOW)
    again = refresh_funding(desk, cast(Venue, venue), NOW + timedelta(minutes=10))
    later = refresh_funding(desk, cast(Venue, venue), NOW + timedelta(hours=1))
    newest = datetime(2020, 3, 2, 8, tzinfo=UTC)
    assert first is not None and again is not None and later is not None
    assert len(first) == len(again) == len(later) == 5
    # 08:00 is the newest stored hour: the hours since have begun, and nothing was settled.
    assert venue.asked == [((A, B), None), ((A, B), newest), ((A, B), newest)]
    assert first.values[-1].tolist() == [1.0001, 0.9998]


def test_an_instrument_without_any_rate_is_asked_for_as_a_whole(tmp_path: Path) -> None:
    desk, venue = desk_of(tmp_path), Payer({A: 0.0001})
    refresh_funding(desk, cast(Venue, venue), NOW)
    venue.asked.clear()
    refresh_funding(desk, cast(Venue, venue), NOW)
    assert ((B,), None) in venue.asked


def test_nobody_is_asked_when_no_sleeve_wants_rates(tmp_path: Path) -> None:
    desk, venue = desk_of(tmp_path, funding=False), Payer({A: 0.0001})
    assert refresh_funding(desk, cast(Venue, venue), NOW) is None
    assert venue.asked == []


def test_rates_without_a_store_end_the_run(tmp_path: Path) -> None:
    desk = replace(desk_of(tmp_path), funding_rates=None)
    with pytest.raises(StateError, match="no store"):
        refresh_funding(desk, cast(Venue, Payer({})), NOW)


@pytest.mark.parametrize(("wanted", "seen"), [(True, -0.0002), (False, 0.0)])
def test_a_generator_sees_rates_when_its_sleeve_asks(
    tmp_path: Path, wanted: bool, seen: float
) -> None:
    (tmp_path / "paid.py").write_text(PLUGIN, encoding="utf-8")
    sleeve = Sleeve("paid", (B,), Decimal(1), "paid.py", timeout_seconds=60.0, funding=wanted)
    times = np.array([int(NOW.timestamp()) - 3600], np.int64)
    closes = Panel((B,), times, np.array([[10.0]]))
    rates = Panel((A, B), times, np.array([[1.0001, 0.9998]]))
    generators = ChildGenerators(tmp_path / "signals", tmp_path, Files())
    histories = Histories(closes, empty_panel((B,)), rates)
    answer, _output = generators.run_one(sleeve, histories, NOW)
    assert isinstance(answer, TargetWeights)
    assert answer.weights == {B: seen}


def test_the_store_is_a_file_of_its_own(tmp_path: Path) -> None:
    desk = replace(
        desk_of(tmp_path), funding_rates=CandleStore(tmp_path / "c", Files(), name=FUNDING)
    )
    refresh_funding(desk, cast(Venue, Payer({A: 0.0001, B: 0.0})), NOW)
    assert (tmp_path / "c" / "funding.npz").is_file()
