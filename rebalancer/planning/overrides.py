"""Signals as the owner lets them count: each instrument's targets times a scale of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from rebalancer.model.instrument import InstrumentId
from rebalancer.model.signals import Signal

_ONE = Decimal(1)


def scaled_signals(
    signals: Mapping[str, Signal], scales: Mapping[InstrumentId, Decimal]
) -> Mapping[str, Signal]:
    """Return signals whose targets, weights or lots, are multiplied by `scales` (default 1).

    What a smaller weight leaves is not given to others: it stays cash. An instrument that a
    signal does not list stays unlisted: zero and not listed are two things where a signal is
    partial.
    """
    if all(scale == _ONE for scale in scales.values()):
        return signals
    return {
        name: replace(
            signal,
            targets={
                each: target * scales.get(each, _ONE) for each, target in signal.targets.items()
            },
        )
        for name, signal in signals.items()
    }
