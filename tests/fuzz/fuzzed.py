"""What is fuzzed through whole hours, how many cases belong to a test run, and the rest."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz.kinds import BLOCK, KINDS, Kind
from tests.fuzz.of_config import Configuration
from tests.fuzz.of_messages import BinanceMessages, IbMessages
from tests.fuzz.of_secrets import Secrets
from tests.fuzz.of_signals import Signals
from tests.fuzz.of_state import State
from tests.fuzz.trials import case_of

__all__ = ["ALL", "BLOCK", "OF_HOURS"]

OF_HOURS: Mapping[str, Kind] = {
    "examples": Kind(case_of(Configuration), 75),
    "secrets": Kind(case_of(Secrets), 50),
    "sleeves": Kind(case_of(Signals), 50),
    "lives": Kind(case_of(State), 100),
    "ib": Kind(case_of(IbMessages), 25),
    "binance": Kind(case_of(BinanceMessages), 25),
}
ALL: Mapping[str, Kind] = {**KINDS, **OF_HOURS}
