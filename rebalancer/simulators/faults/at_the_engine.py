"""The troubles of a run that strike in the engine, whatever protocol is before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rebalancer.simulators.faults.venue import Fault, FaultKind, FaultScript

if TYPE_CHECKING:
    from rebalancer.simulators.faults.injection import Injector

ENGINE: Mapping[str, FaultKind] = {
    "reject": FaultKind.REJECT,
    "acknowledge-late": FaultKind.LATE_ACKNOWLEDGEMENT,
    "silent-order": FaultKind.LOST_ACKNOWLEDGEMENT,
    "partial-fill": FaultKind.PARTIAL_ONLY,
    "no-fill": FaultKind.NO_FILL,
    "cancel-late": FaultKind.LATE_CANCEL,
    "cancel-refused": FaultKind.REFUSED_CANCEL,
    "cancel-lost": FaultKind.LOST_CANCEL,
    "commission-late": FaultKind.LATE_COMMISSION,
    "commission-missing": FaultKind.MISSING_COMMISSION,
}
"""The names of `cells.toml`, and the engine's own."""


def begin(script: FaultScript, injector: Injector) -> None:
    """Let an engine's script ask for the troubles of a run, instead of those of the last one."""

    def strikes(kind: FaultKind, subject: str) -> Fault | None:
        for waiting in injector.waiting("engine"):
            trouble = waiting.trouble
            if ENGINE[trouble.fault] is not kind or trouble.subject not in ("", subject):
                continue
            if waiting.due((kind.name,), injector.at_step):
                injector.hit(trouble.fault, f"{kind.name} {subject}")
                return Fault(kind, seconds=trouble.seconds, message=trouble.text)
        return None

    script.also = strikes
