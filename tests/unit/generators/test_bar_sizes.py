"""Each generator is given bars of the size that its sleeve asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from rebalancer.generators.run import ChildGenerators
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Histories, Panel
from rebalancer.model.signals import TargetWeights
from rebalancer.model.universe import BarSize, Sleeve
from rebalancer.store.atomic import Files

NOW = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
A = InstrumentId("AAA.STK.USD@IB")
PLUGIN = """
from rebalancer.model.signals import TargetWeights
def generate(context):
    return TargetWeights({name: len(context.closes) / 100 for name in context.universe})
"""


def panel(bars: int, seconds: int) -> Panel:
    times = int(NOW.timestamp()) - seconds * np.arange(bars, 0, -1, dtype=np.int64)
    return Panel((A,), times, np.full((bars, 1), 10.0))


@pytest.mark.parametrize(("size", "bars"), [(BarSize.DAY, 3), (BarSize.HOUR, 7)])
def test_a_generator_sees_the_bars_of_its_sleeve(tmp_path: Path, size: BarSize, bars: int) -> None:
    (tmp_path / "count.py").write_text(PLUGIN, encoding="utf-8")
    sleeve = Sleeve("count", (A,), Decimal(1), "count.py", timeout_seconds=60.0, bars=size)
    generators = ChildGenerators(tmp_path / "signals", tmp_path, Files())
    histories = Histories(panel(3, 86_400), panel(7, 3_600))
    answer, _output = generators.run_one(sleeve, histories, NOW)
    assert isinstance(answer, TargetWeights)
    assert answer.weights == {A: bars / 100}
