"""What a campaign of kills is handed from outside: the program's own command line, a portfolio."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rebalancer.model.universe import Universe
from rebalancer.risk.parameters import Limits
from rebalancer.simulators.binance_server.spec import BinanceSpec
from rebalancer.simulators.ib_gateway.spec import GatewaySpec


@dataclass(frozen=True, kw_only=True)
class House:
    """One portfolio of a kind of venue, and the real command that runs its hours.

    `starts` are the first slots that worlds begin at, by turns. `write(folder, start, protect)`
    writes the portfolio's configuration for an account that opens then, `protect` with its
    ladder, and returns its path; its state is `<folder>/state/<portfolio>`. `spec(path)` is the
    venue of a configuration. `run(path, slot, control, wanted)` runs `rebalancer run` for the
    slot in this process, at the living venue whose control socket is `control`, and returns the
    exit code; the sleeves' generators want the weights `wanted`.
    """

    venue: str
    portfolio: str
    universe: Universe
    limits: Limits
    starts: tuple[datetime, ...]
    write: Callable[[Path, datetime, bool], Path]
    spec: Callable[[Path], GatewaySpec | BinanceSpec]
    run: Callable[[Path, datetime, Path, Mapping[str, str]], int]


HouseOf = Callable[[str], House]
"""Makes a venue's house; found by its name in a new process."""
