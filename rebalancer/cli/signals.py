"""`rebalancer signals`: one generator alone, on the history a run would give it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebalancer.cli.opened import LookPage, look_desk, read_time, time_of
from rebalancer.cli.tables import show_table
from rebalancer.errors import DataError, UsageError

if TYPE_CHECKING:
    from rebalancer.config import Config
    from rebalancer.model.panel import Panel
    from rebalancer.model.signals import TargetWeights
    from rebalancer.model.universe import Sleeve
    from rebalancer.ports import Desk


def execute(arguments: Namespace) -> int:
    """Show what a sleeve's generator answers and printed; raises `DataError` when it fails."""
    from rebalancer.config import load
    from rebalancer.generators.run import ChildGenerators
    from rebalancer.model.flags import ErrorFlag
    from rebalancer.store.atomic import Files

    at = read_time(arguments.at, "--at") if arguments.at else None
    config = load(Path(arguments.config))
    sleeve = _sleeve(config, arguments.name)
    now = at or time_of(config)
    panel = _history(look_desk(config, now), sleeve, now)
    generators = ChildGenerators(config.state_folder / "signals", config.folder, Files())
    answer, output = generators.run_one(sleeve, panel, now)
    if isinstance(answer, ErrorFlag):
        _show_output(output, sys.stderr)
        raise DataError(answer.message)
    if arguments.json:
        print(json.dumps(_plain(sleeve, answer, now, output), indent=2))
    else:
        _show(sleeve, answer, now, len(panel))
        _show_output(output, sys.stdout)
    return 0


def _sleeve(config: Config, name: str) -> Sleeve:
    sleeves = {sleeve.name: sleeve for sleeve in config.sleeves}
    if name not in sleeves:
        raise UsageError(f"there is no sleeve {name!r}; there are {', '.join(sleeves)}")
    if not sleeves[name].generator:
        file = config.state_folder / "signals" / f"{name}.csv"
        raise UsageError(f"sleeve {name} has no generator: another program writes {file}")
    return sleeves[name]


def _history(desk: Desk, sleeve: Sleeve, now: datetime) -> Panel:
    """Return the closes that were known at `now`."""
    instruments = [desk.universe[name] for name in sleeve.universe]
    with desk.broker.connect(LookPage(now)) as venue:
        return venue.bars(instruments, None, sleeve.bars).select(sleeve.universe).up_to(now)


def _show(sleeve: Sleeve, answer: TargetWeights, now: datetime, bars: int) -> None:
    rows = [(name, f"{answer.weights[name]:+.4%}") for name in sorted(answer.weights)]
    total = sum(answer.weights.values())
    gross = sum(abs(weight) for weight in answer.weights.values())
    print(f"{sleeve.name} ({sleeve.generator}) at {now:%Y-%m-%d %H:%M} UTC, {bars} closes")
    print()
    show_table(("instrument", "weight"), rows, right=(1,))
    print()
    left_out = len(set(sleeve.universe) - set(answer.weights))
    print(
        f"sum {total:+.4%}, without signs {gross:.4%}, leverage {answer.leverage:g}, "
        f"coverage {answer.coverage.value}"
        + (f", {left_out} instruments left out" if left_out else "")
    )
    print("Weights are parts of the sleeve's capital. Nothing was written or ordered.")


def _show_output(output: str, stream: Any) -> None:
    if output:
        print("\nIt printed:", file=stream)
        print(output.rstrip("\n"), file=stream)


def _plain(sleeve: Sleeve, answer: TargetWeights, now: datetime, output: str) -> dict[str, Any]:
    return {
        "sleeve": sleeve.name,
        "at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "weights": {name: answer.weights[name] for name in sorted(answer.weights)},
        "leverage": answer.leverage,
        "coverage": answer.coverage.value,
        "output": output,
    }
