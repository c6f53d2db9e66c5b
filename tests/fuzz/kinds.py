"""What is damaged, and how many cases of each belong to an ordinary test run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.fuzz.of_config import Configuration
from tests.fuzz.of_messages import BinanceMessages, IbMessages
from tests.fuzz.of_secrets import Secrets
from tests.fuzz.of_signals import Signals
from tests.fuzz.of_state import State
from tests.fuzz.trials import case_of

BLOCK = 25
"""Cases of one test."""


@dataclass(frozen=True)
class Kind:
    """One kind of damage: `case(seed)` does one and raises `AssertionError` for a failure."""

    case: Callable[[int], str]
    in_ci: int


KINDS: Mapping[str, Kind] = {
    "configs": Kind(case_of(Configuration), 150),
    "secrets": Kind(case_of(Secrets), 50),
    "signals": Kind(case_of(Signals), 75),
    "states": Kind(case_of(State), 150),
    "ib": Kind(case_of(IbMessages), 25),
    "binance": Kind(case_of(BinanceMessages), 25),
}
