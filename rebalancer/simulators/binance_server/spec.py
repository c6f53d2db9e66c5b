"""What a simulated Binance is made of, as a value that travels to a child process."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from decimal import Decimal
from typing import Any

from rebalancer.errors import DataError
from rebalancer.model.codec import from_plain, to_plain
from rebalancer.model.instrument import Instrument
from rebalancer.simulators.binance_server.faults import HttpFault, HttpRate
from rebalancer.simulators.binance_server.symbol_changes import SymbolChange
from rebalancer.simulators.binance_server.transfers import Transfer
from rebalancer.simulators.faults import Fault
from rebalancer.simulators.parameters import PaperSettings

KEY = "SimulatedKeyThatEverybodyMayKnow" * 2
"""The key of every simulated account: 64 letters and digits, as the exchange's are."""

SECRET = "SimulatedSecretEverybodyMayKnow0" * 2
"""The secret of every simulated account; it protects nothing."""


@dataclass(frozen=True, kw_only=True)
class BinanceSpec:
    """One simulated exchange: its account, market, symbols and faults. Holds no secrets.

    `account` is its uid, a whole number (anything else is shown as it is). `folder` has the
    account's books (None: in memory); `keep` False: they are read and never written.
    `fee_schedule` "binance" has both products'.
    `crowd`: so many more perpetuals, with made-up prices. `changes` are what happens to
    symbols, `transfers` to the wallet. `latency_seconds` of simulated time pass with each
    request. `shift_hours` re-dates the recording. `engine_faults` are the engine's kinds;
    those of its second group strike once `Control.arm` was called. `faults` and `rates` (by
    `fault_seed`) strike requests from the beginning. `port` is the one to listen at, 0 for any.
    `wire_log`: a file that gets every request ('' none).
    """

    account: str
    base: str
    folder: str | None
    instruments: tuple[Instrument, ...] = ()
    settings: PaperSettings = field(default_factory=PaperSettings)
    fee_schedule: str = "binance-usdm"
    fee_prices: Mapping[str, Decimal] = field(default_factory=dict)
    keep: bool = True
    faults: tuple[HttpFault, ...] = ()
    rates: tuple[HttpRate, ...] = ()
    fault_seed: int = 1
    engine_faults: tuple[Fault, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    changes: tuple[SymbolChange, ...] = ()
    multi_assets: bool = False
    hedge: bool = False
    averages_in_answers: bool = True
    crowd: int = 0
    latency_seconds: float = 0.02
    shift_hours: int = 0
    port: int = 0
    wire_log: str = ""


def spec_to_json(spec: BinanceSpec) -> str:
    """Return a spec as one line of JSON."""
    plain = {each.name: to_plain(getattr(spec, each.name)) for each in fields(spec)}
    return json.dumps(plain, separators=(",", ":"))


def spec_from_json(text: str) -> BinanceSpec:
    """Return the spec that `spec_to_json` wrote; raises `DataError` naming what is wrong."""
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"spec: not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise DataError("spec: expected an object")
    hints = typing.get_type_hints(BinanceSpec)
    values: dict[str, Any] = {}
    for each in fields(BinanceSpec):
        if each.name in plain:
            values[each.name] = from_plain(
                hints[each.name], plain.pop(each.name), f"spec.{each.name}"
            )
        elif each.default is MISSING and each.default_factory is MISSING:
            raise DataError(f"spec.{each.name}: missing")
    if plain:
        raise DataError(f"spec.{min(plain)}: unknown key")
    return BinanceSpec(**values)
