"""What the owner's strategies want in a rehearsal: written as a generator's answer is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

from rebalancer.model.flags import ErrorFlag, Severity, Step
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.panel import Histories, Panel
from rebalancer.model.signal_file import format_signal, signal_file_name
from rebalancer.model.signals import Coverage, Signal, Unit
from rebalancer.model.universe import Sleeve
from rebalancer.store.atomic import Files

_GRAIN = Decimal("0.000001")


class WrittenSignals:
    """`ports.Generators` that writes the weights of a schedule's hour, each sleeve its part.

    Weights that add up to more than a sleeve may ask for are scaled down. `silent`: every
    generator fails, the files stay as they are.
    """

    def __init__(
        self, folder: Path, files: Files, wanted: Mapping[str, str], *, silent: bool = False
    ) -> None:
        self._folder, self._files, self._wanted, self._silent = folder, files, wanted, silent

    def write(
        self, sleeves: Sequence[Sleeve], _panel: Panel | Histories, now: datetime
    ) -> tuple[ErrorFlag, ...]:
        """Write each sleeve's signal file."""
        self._files.make_folder(self._folder)
        if self._silent:
            return tuple(_failed(sleeve) for sleeve in sleeves)
        for sleeve in sleeves:
            signal = Signal(
                sleeve=sleeve.name,
                unit=Unit.WEIGHT,
                targets=self._targets(sleeve),
                leverage=Decimal(1),
                as_of=now,
                valid_until=_until(now, sleeve),
                coverage=Coverage.COMPLETE,
                generator="rehearsal",
            )
            name = signal_file_name(sleeve.name)
            self._files.replace(self._folder / name, format_signal(signal).encode())
        return ()

    def _targets(self, sleeve: Sleeve) -> dict[InstrumentId, Decimal]:
        wanted = {
            name: Decimal(self._wanted[name]) for name in sleeve.universe if name in self._wanted
        }
        gross = sum((abs(weight) for weight in wanted.values()), Decimal(0))
        most = sleeve.leverage_max * Decimal("0.95")
        scale = min(Decimal(1), most / gross) if gross else Decimal(1)
        return {
            name: (weight * scale).quantize(_GRAIN, ROUND_DOWN)
            for name, weight in wanted.items()
            if weight
        }


def _until(now: datetime, sleeve: Sleeve) -> datetime:
    return now + timedelta(seconds=min(sleeve.stale_after_seconds, 86_400.0))


def _failed(sleeve: Sleeve) -> ErrorFlag:
    message = f"{sleeve.name}: made to fail for a rehearsal; its signal file was not written"
    subject = f"sleeve:{sleeve.name}"
    return ErrorFlag(Step.SIGNALS, "generator-failed", subject, Severity.HOLD, message)
