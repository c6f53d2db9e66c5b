"""The examples to copy give the weights that a pencil gives."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from rebalancer.errors import DataError
from rebalancer.generators.run import ChildGenerators
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Panel, empty_panel
from rebalancer.model.signals import Context, Coverage, FundingRates, TargetWeights
from rebalancer.model.universe import Sleeve

FOLDER = Path(__file__).resolve().parents[3] / "signals"
NOW = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
IDS = tuple(InstrumentId(f"{letter * 3}.STK.USD@IB") for letter in "ABC")
A, B, C = IDS
LN2 = math.log(2)
NAN = float("nan")


def generator(name: str) -> Callable[[Context], TargetWeights]:
    module = importlib.import_module(f"signals.{name}")
    generate: Callable[[Context], TargetWeights] = module.generate
    return generate


def context(*columns: list[float], **parameters: object) -> Context:
    """Return what a sleeve of as many instruments as there are columns of closes sees."""
    names = IDS[: len(columns)]
    closes = np.array(columns).T
    panel = Panel(names, np.arange(len(closes), dtype=np.int64), closes)
    return Context(NOW, "core", names, panel, parameters)


def without_history(*names: InstrumentId, **parameters: object) -> Context:
    return Context(NOW, "core", names, empty_panel(names), parameters)


# ------------------------------------------------------------------ equal and fixed weights


def test_equal_weight_divides_by_the_number_of_instruments() -> None:
    answer = generator("equal_weight")(without_history(A, B, C))
    assert answer == TargetWeights(dict.fromkeys(IDS, 0.333333333333))


def test_fixed_weights_are_those_of_the_configuration() -> None:
    asked = without_history(*IDS, weights={A: 0.6, C: -0.1}, leverage=1.5)
    assert generator("fixed_weights")(asked) == TargetWeights({A: 0.6, B: 0.0, C: -0.1}, 1.5)


def test_a_misspelt_instrument_is_no_zero() -> None:
    with pytest.raises(DataError, match="AAPL is not in the sleeve's universe"):
        generator("fixed_weights")(without_history(A, weights={"AAPL": 0.6}))


# ------------------------------------------------------------------ momentum

# Log returns ln 2 and 0: their standard deviation is ln 2 / sqrt 2, and with 2 bars a year
# the yearly volatility is ln 2. A target of 0.2 ln 2 then makes 0.2 / n of each instrument.
UP, DOWN = [100.0, 200.0, 200.0], [200.0, 100.0, 100.0]
SMALL = {
    "lookback": 2,
    "skip": 0,
    "volatility_bars": 2,
    "bars_per_year": 2.0,
    "target_volatility": 0.2 * LN2,
}


def test_what_rose_is_bought_and_what_fell_is_left() -> None:
    answer = generator("momentum")(context(UP, DOWN, **SMALL))
    assert answer == TargetWeights({A: 0.1, B: 0.0})


def test_what_fell_may_be_sold_short() -> None:
    answer = generator("momentum")(context(UP, DOWN, **SMALL, short=True))
    assert answer == TargetWeights({A: 0.1, B: -0.1})


def test_twice_the_volatility_is_half_the_weight() -> None:
    answer = generator("momentum")(context(UP, [100.0, 400.0, 400.0], **SMALL))
    assert answer == TargetWeights({A: 0.1, B: 0.05})


def test_one_weight_is_capped() -> None:
    answer = generator("momentum")(context(UP, [100.0, 400.0, 400.0], **SMALL, cap=0.07))
    assert answer == TargetWeights({A: 0.07, B: 0.05})


def test_all_weights_together_are_capped() -> None:
    # 0.1 + 0.1 = 0.2 is to be 0.16: x 0.8.
    answer = generator("momentum")(context(UP, DOWN, **SMALL, short=True, gross_cap=0.16))
    assert answer == TargetWeights({A: 0.08, B: -0.08})


def test_the_newest_bars_are_skipped() -> None:
    # Up from 100 to 200 in all, but down from 100 to 90 one bar ago.
    asked = context([100.0, 90.0, 200.0], **SMALL | {"skip": 1})
    assert generator("momentum")(asked).weights == {A: 0.0}


def test_older_bars_do_not_count() -> None:
    asked = context([1000.0, *UP], [1000.0, *DOWN], **SMALL)
    assert generator("momentum")(asked) == TargetWeights({A: 0.1, B: 0.0})


@pytest.mark.parametrize("gap", [[NAN, 200.0, 200.0], [100.0, NAN, 200.0], [100.0, 200.0, NAN]])
def test_an_instrument_with_a_gap_is_held_as_it_is(gap: list[float]) -> None:
    # It still counts: 0.2 / 3, not 0.2 / 2.
    answer = generator("momentum")(context(UP, gap, DOWN, **SMALL))
    assert answer == TargetWeights({A: 0.066666666667, C: 0.0}, coverage=Coverage.PARTIAL)


def test_a_gap_leaves_room_for_what_is_held() -> None:
    # 0.1 + 0.25 for the one we do not know = 0.35 is to be 0.21: x 0.6.
    answer = generator("momentum")(context(UP, [NAN] * 3, **SMALL, gross_cap=0.21))
    assert answer == TargetWeights({A: 0.06}, coverage=Coverage.PARTIAL)


def test_a_price_that_never_moved_is_no_data() -> None:
    answer = generator("momentum")(context(UP, [5.0, 5.0, 5.0], **SMALL))
    assert answer == TargetWeights({A: 0.1}, coverage=Coverage.PARTIAL)


def test_momentum_without_history_raises() -> None:
    momentum = generator("momentum")
    with pytest.raises(DataError, match="2 bars of history where 3 are needed"):
        momentum(context(UP[:2], **SMALL))
    with pytest.raises(DataError, match="no instrument has 3 complete bars"):
        momentum(context([NAN] * 3, **SMALL))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("skip", 2), ("skip", -1), ("volatility_bars", 1), ("cap", 0.0), ("gross_cap", -1.0),
        ("target_volatility", NAN), ("target_volatility", math.inf),
    ],
)  # fmt: skip
def test_parameters_that_mean_nothing_are_named(name: str, value: float) -> None:
    with pytest.raises(DataError, match=f"parameters.{name}"):
        generator("momentum")(context(UP, **SMALL | {name: value}))


@pytest.mark.parametrize("name", ["momentum", "inverse_volatility", "fixed_weights"])
def test_a_misspelt_parameter_is_an_error(name: str) -> None:
    with pytest.raises(TypeError, match="lookbck"):
        generator(name)(context(UP, lookbck=5))


# ------------------------------------------------------------------ inverse volatility


def test_the_calm_weigh_more() -> None:
    # Standard deviations of ln 2 / sqrt 2 and 2 ln 2 / sqrt 2: weights 2 to 1.
    answer = generator("inverse_volatility")(context(UP, [100.0, 400.0, 400.0], bars=2))
    assert answer == TargetWeights({A: 0.666666666667, B: 0.333333333333})


def test_a_part_may_stay_in_cash() -> None:
    asked = context(UP, [100.0, 400.0, 400.0], bars=2, invested=0.9)
    assert generator("inverse_volatility")(asked) == TargetWeights({A: 0.6, B: 0.3})


@pytest.mark.parametrize("column", [[100.0, NAN, 200.0], [5.0, 5.0, 5.0]])
def test_one_gap_spoils_all_weights(column: list[float]) -> None:
    with pytest.raises(DataError, match=r"^BBB.*: a close is missing in the last 3 bars"):
        generator("inverse_volatility")(context(UP, column, bars=2))


def test_inverse_volatility_without_history_raises() -> None:
    with pytest.raises(DataError, match="2 bars of history where 3 are needed"):
        generator("inverse_volatility")(context(UP[:2], bars=2))


# ------------------------------------------------------------------ as the manual shows them


def test_the_manual_shows_the_smallest_example() -> None:
    manual = (FOLDER.parent / "docs" / "SIGNALS.md").read_text()
    shown = manual.partition("```python\n")[2].partition("```")[0]
    assert "def generate(context: Context)" in shown
    lines = (FOLDER / "equal_weight.py").read_text().splitlines()
    assert [line for line in shown.splitlines() if line not in lines] == []


def test_the_manual_lists_every_example_and_its_parameters() -> None:
    manual = (FOLDER.parent / "docs" / "SIGNALS.md").read_text()
    for path in FOLDER.glob("[a-z]*.py"):
        (row,) = (line for line in manual.splitlines() if line.startswith(f"| `{path.name}` |"))
        kind = getattr(importlib.import_module(f"signals.{path.stem}"), "Parameters", None)
        known = [field.name for field in fields(kind)] if kind else []
        assert re.findall(r"`(\w+)`", row) == known


# ------------------------------------------------------------------ as the run sees them


class NoFiles:
    def make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def replace(self, path: Path, content: bytes) -> None:
        raise AssertionError(f"{path} was written")


PARAMETERS: dict[str, dict[str, object]] = {
    "fixed_weights": {"weights": {A: Decimal("0.5")}},
    "long_short": {"longs": 1, "shorts": 1},
}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("[a-z]*.py")))
def test_every_example_runs_in_the_child(name: str) -> None:
    steps = np.random.default_rng(7).normal(0.0005, 0.01, (300, 3))
    closes = 100 * np.exp(steps.cumsum(axis=0))
    panel = Panel(IDS, np.arange(300, dtype=np.int64) * 86_400, closes)
    sleeve = Sleeve(
        "core", IDS, Decimal(1), generator=f"{name}.py", parameters=PARAMETERS.get(name, {})
    )
    answer, output = ChildGenerators(FOLDER, FOLDER, NoFiles()).run_one(sleeve, panel, NOW)
    assert isinstance(answer, TargetWeights), answer
    assert output == ""
    assert set(answer.weights) == set(IDS)
    told = {"weights": {A: 0.5}} if "fixed" in name else PARAMETERS.get(name, {})
    asked = Context(NOW, "core", IDS, panel, told)
    assert answer == generator(name)(asked)


# ------------------------------------------------------------------ long and short


def rated(made: Context, *rows: list[float]) -> Context:
    times = np.arange(len(rows), dtype=np.int64) * 3600
    return replace(made, funding=FundingRates(times, np.array(rows)))


# Two returns each. A: +10 %, +21 %; B: -10 %, +10 %; C: +10 %, -20 %.
WINS, STAYS, LOSES = [100.0, 110.0, 133.1], [100.0, 90.0, 99.0], [100.0, 110.0, 88.0]
NEUTRAL = {"lookback": 2, "volatility_bars": 2, "longs": 1, "shorts": 1}


def test_long_short_buys_the_strongest_and_sells_the_weakest() -> None:
    # Scores: +0.331 / 0.0674 = 4.9, -0.01 / 0.142 = -0.07, -0.12 / 0.225 = -0.53.
    answer = generator("long_short")(context(WINS, STAYS, LOSES, **NEUTRAL))
    assert answer == TargetWeights({A: 0.5, B: 0.0, C: -0.5})
    assert sum(answer.weights.values()) == 0


def test_long_short_spreads_each_leg_equally() -> None:
    asked = context(WINS, STAYS, LOSES, **(NEUTRAL | {"shorts": 2, "gross": 0.8}))
    assert generator("long_short")(asked).weights == {A: 0.4, B: -0.2, C: -0.2}


def test_long_short_turns_where_funding_costs_more_than_the_trend_brings() -> None:
    made = context(WINS, STAYS, LOSES, **NEUTRAL, carry=1000.0, funding_rows=2)
    # A long in A paid 2 x 0.003: 4.9 - 6 = -1.1 is the weakest; B at -0.07 the strongest.
    asked = rated(made, [0.003, 0.0, 0.0], [0.003, 0.0, 0.0])
    assert generator("long_short")(asked).weights == {A: -0.5, B: 0.5, C: 0.0}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: context(WINS, STAYS, **(NEUTRAL | {"longs": 2})), "2 instruments, 3 are to be"),
        (lambda: context(WINS[:2], STAYS[:2], **NEUTRAL), "2 bars of history where 3 are needed"),
        (
            lambda: context(WINS, [100.0, NAN, 99.0], **NEUTRAL),
            "BBB.STK.USD@IB: a close is missing",
        ),
        (lambda: context(WINS, [5.0, 5.0, 5.0], **NEUTRAL), "BBB.STK.USD@IB: a close is missing"),
        (lambda: context(WINS, STAYS, **NEUTRAL, carry=1.0), "needs `funding = true`"),
        (
            lambda: rated(context(WINS, STAYS, **NEUTRAL, carry=1.0, funding_rows=2), [0.1, NAN]),
            "AAA.STK.USD@IB: 1 funding rates of 2",
        ),
        (lambda: context(WINS, STAYS, **(NEUTRAL | {"lookback": 0})), "parameters.lookback"),
        (lambda: context(WINS, STAYS, **NEUTRAL, gross=0.0), "parameters.gross"),
        (lambda: context(WINS, STAYS, **NEUTRAL, carry=-1.0), "parameters.carry"),
    ],
)
def test_long_short_never_ranks_what_it_does_not_know(
    made: Callable[[], Context], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        generator("long_short")(made())
