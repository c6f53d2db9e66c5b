"""Which orders go out as Adaptive, and what was learned about where it is not available.

Adaptive is for DAY orders in regular hours only, not for currency pairs, and not in every
combination of instrument and venue. A refusal for that reason is remembered on disk, so that
the next run sends a plain limit order; in the same run nothing is sent again.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rebalancer.brokers.ib.efficiency import SmallFiles
from rebalancer.errors import StateError
from rebalancer.model.instrument import InstrumentId, Kind, split_instrument_id
from rebalancer.model.orders import OrderType, TimeInForce

FILE = "adaptive.json"
REMEMBER = timedelta(days=30)
"""How long a refusal is remembered; then Adaptive is tried again."""

_LOG = logging.getLogger("rebalancer.brokers.ib")
_KINDS = frozenset({Kind.STOCK, Kind.FUTURE, Kind.OPTION})
_CODES = frozenset({387, 439, 441, 442, 443})
"""Unsupported type here; no such algorithm; bad attributes; not allowed for this order; unknown."""


def may_adapt(instrument: InstrumentId, order_type: OrderType, force: TimeInForce) -> bool:
    """Return whether an order may go out as Adaptive by the rules that hold everywhere."""
    kind = split_instrument_id(instrument)[1]
    return order_type is OrderType.ADAPTIVE and force is TimeInForce.DAY and kind in _KINDS


def refuses_adaptive(code: int, words: str) -> bool:
    """Return whether a refusal says that Adaptive is not available for the order."""
    return code in _CODES or (code == 201 and "algo" in words.lower())


@dataclass
class AdaptiveMemory:
    """The instruments whose Adaptive orders were refused lately."""

    folder: Path
    files: SmallFiles

    def refused(self, instrument: InstrumentId, now: datetime) -> bool:
        """Return whether a plain limit order is to be sent for it instead."""
        at = self._read().get(instrument)
        return at is not None and now - at < REMEMBER

    def remember(self, instrument: InstrumentId, now: datetime) -> None:
        """Keep that Adaptive was refused for an instrument; old refusals are dropped."""
        known = {name: at for name, at in self._read().items() if now - at < REMEMBER}
        known[instrument] = now
        plain = {name: known[name].isoformat() for name in sorted(known)}
        self.files.replace(self.folder / FILE, json.dumps(plain, indent=1).encode("ascii"))

    def _read(self) -> dict[str, datetime]:
        """Return what is remembered; what cannot be read is as good as nothing."""
        path = self.folder / FILE
        try:
            if not self.files.exists(path):
                return {}
            plain = json.loads(self.files.read(path))
            return {str(name): datetime.fromisoformat(at) for name, at in plain.items()}
        except (StateError, ValueError, AttributeError, TypeError, RecursionError) as error:
            _LOG.warning("%s cannot be used and is begun anew: %s", path, error)
            return {}
