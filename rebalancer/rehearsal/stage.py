"""What a rehearsal plays on: one portfolio, and the simulated venue that its kind trades at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from rebalancer.model.records import Mode
from rebalancer.model.sessions import SessionTable
from rebalancer.model.universe import Sleeve, Universe
from rebalancer.ports import Desk
from rebalancer.risk.parameters import Limits, ProtectParameters
from rebalancer.simulators.binance_server.spec import BinanceSpec
from rebalancer.simulators.ib_gateway.spec import GatewaySpec
from rebalancer.store.atomic import Files

LAST_SECONDS = 90.0
"""The end of a run's time that belongs to steps 8 to 13; nothing is sent in it."""


class DeskAt(Protocol):
    """Makes the portfolio's real desk for one run, its state below a folder of ours."""

    def __call__(
        self, folder: Path, slot: datetime, files: Files, mode: Mode, sessions: SessionTable
    ) -> Desk:
        """Return the desk; `<folder>/state/<portfolio>` is where its state goes."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One portfolio at one kind of venue, and what any schedule there begins with.

    `spec` is the venue's template: each schedule's account opens at another time of it.
    `starts` are the first slots that schedules begin at, by turns; `sessions_at` has the
    portfolio's sessions around a time. `protect` is the ladder of the schedules that have one,
    `always_protected` whether the portfolio itself has it on: then it is on in all of them.
    `deadline_seconds` is a run's whole time. `notes` say what was made up or left out.
    """

    venue: str
    portfolio: str
    universe: Universe
    limits: Limits
    sleeves: tuple[Sleeve, ...]
    starts: tuple[datetime, ...]
    sessions_at: Callable[[datetime], SessionTable]
    desk_at: DeskAt
    spec: GatewaySpec | BinanceSpec
    protect: ProtectParameters
    always_protected: bool = False
    deadline_seconds: float = 1200.0
    commit_after_close_minutes: float = 20.0
    session_mails: tuple[str, ...] = ("start", "middle", "end")
    notes: tuple[str, ...] = ()

    @property
    def instruments(self) -> tuple[str, ...]:
        """Return the ids of what may be wanted, in id order."""
        return tuple(str(each) for each in self.universe.ids)

    def state(self, folder: Path) -> Path:
        """Return the portfolio's own folder below a schedule's folder."""
        return folder / "state" / self.portfolio

    def start(self, seed: int) -> datetime:
        """Return the first slot of a seed's schedule."""
        return self.starts[seed % len(self.starts)]

    @property
    def sending_seconds(self) -> float:
        """Return how long after its begin a run may still send."""
        return self.deadline_seconds - min(LAST_SECONDS, self.deadline_seconds / 4)
