"""A process that runs hours and is killed in them; the tests talk to it by lines of JSON.

It loads everything once and forks for each hour, so that a kill costs no new interpreter. An
hour goes through the command line (`rebalancer run --at ...`): locks, guard, messages and exit
codes are the real ones. Sabotage comes through the two seams a desk has: its `Books`, which are
told of each step, and its `Files`, through which every byte of state goes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

from rebalancer import errors, hourly, wiring
from rebalancer.brokers.paper import PaperBroker
from rebalancer.cli import main, run
from rebalancer.model.records import RunRecord
from rebalancer.ports import Desk
from rebalancer.simulators.faults import Fault, FaultKind, FaultScript
from rebalancer.store.atomic import Files

END = 14
"""The step that is "reached" when the hour has returned and the lock is still held."""


@dataclass
class Trouble:
    """What is to go wrong, and where the run is.

    `how` is an exception's name or a signal's; `step` strikes at the begin of a step, `write`
    after that many writes to the disk in step `within`, `torn` in the middle of that write.
    `always`: from then on everything written fails. `log` gets one line a write.
    """

    how: str = ""
    step: int = -1
    write: int = -1
    within: int = -1
    torn: bool = False
    always: bool = False
    log: str = ""
    at_step: int = 0
    writes: int = 0
    struck: bool = False
    faults: list[dict[str, Any]] = field(default_factory=list)

    def reached(self, step: int) -> None:
        """Note that a step begins; strike if it is the one."""
        self.at_step, self.writes = step, 0
        if step == self.step and not self.struck:
            self.strike()

    def strike(self) -> None:
        """Raise, or send the signal."""
        self.struck = True
        if self.how.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, self.how))
            return
        known = {"RuntimeError": RuntimeError, "OSError": OSError, "KeyError": KeyError}
        kind: type[Exception] = known.get(self.how) or getattr(errors, self.how)
        raise kind("sabotage")

    def due(self) -> bool:
        """Return whether the write that is to come now is the one."""
        here = not self.struck and self.at_step == self.within
        return here and self.writes == self.write


class Saboteur:
    """`ports.Books` that hear of each step first; everything else goes through."""

    def __init__(self, books: Any, trouble: Trouble) -> None:
        self._books, self._trouble = books, trouble

    def __getattr__(self, name: str) -> Any:
        return getattr(self._books, name)

    def note(self, slot: Any, line: Any, *, durable: bool) -> None:
        if line["kind"] == "step":
            self._trouble.reached(line["step"])
        self._books.note(slot, line, durable=durable)


class BreakingFiles(Files):
    """The disk of a machine whose process is killed at a chosen write."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble

    def replace(self, path: Path, content: bytes) -> None:
        self._before(path, content, lambda: self._half(path, content))
        super().replace(path, content)
        self._after()

    def append(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        self._before(path, content, lambda: self._half(path, content, append=True))
        super().append(path, content, durable=durable)
        self._after()

    def _before(self, path: Path, content: bytes, half: Callable[[], None]) -> None:
        trouble = self._trouble
        if trouble.always and trouble.struck:
            raise errors.StateError(f"cannot write {path}: the disk is full (sabotage)")
        if trouble.log:
            kind = re.search(rb'"kind":"(\w+)"', content) if path.suffix == ".jsonl" else None
            name = f"{path.name}:{kind[1].decode()}" if kind else path.name
            with Path(trouble.log).open("a", encoding="utf-8") as log:
                log.write(f"{trouble.at_step} {name}\n")
        if trouble.torn and trouble.due():
            half()
            trouble.strike()

    def _after(self) -> None:
        self._trouble.writes += 1
        if not self._trouble.torn and self._trouble.due():
            self._trouble.strike()

    def _half(self, path: Path, content: bytes, *, append: bool = False) -> None:
        """Leave what a pulled plug leaves: half a line, or half a temporary file."""
        target = path if append else path.with_name(f".{path.name}.{os.getpid()}.tmp")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab" if append else "wb") as file:
            file.write(content[: len(content) // 2])


def live(words: list[str], trouble: Trouble) -> int:
    """Run one command with its sabotage; return its exit code."""

    def desk_for(*args: Any, **more: Any) -> Desk:
        desk = _desk_for(*args, **(more | {"files": BreakingFiles(trouble)}))
        broker = desk.broker
        assert isinstance(broker, PaperBroker)
        script = [Fault(FaultKind[each.pop("kind")], **each) for each in trouble.faults]
        return replace(
            desk,
            books=Saboteur(desk.books, trouble),
            broker=replace(broker, faults=FaultScript(script)),
        )

    def hour(desk: Desk, slot: datetime) -> RunRecord:
        record = _hour(desk, slot)
        trouble.reached(END)
        return record

    with mock.patch.object(run, "desk_for", desk_for), mock.patch.object(run, "hour", hour):
        return main(words)


_desk_for, _hour = wiring.desk_for, hourly.hour


def serve() -> None:
    """Answer each line of standard input with how its process ended and what it printed."""
    for line in sys.stdin:
        order = json.loads(line)
        out = Path(order["out"])
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                os.dup2(handle, 1)
                os.dup2(handle, 2)
                os.environ["REBALANCER_LOCKS"] = order["locks"]
                code = live(order["words"], Trouble(**order["trouble"]))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        answer = {"code": os.waitstatus_to_exitcode(status), "out": out.read_text("utf-8")}
        print(json.dumps(answer), flush=True)


def warm_up() -> None:
    """Load and draw once, for all that are forked, what only some hours need."""
    import sqlalchemy

    import rebalancer.store.sql.database  # noqa: F401
    from rebalancer.model.flags import TradingState
    from rebalancer.model.records import EquityPoint
    from rebalancer.reports.document import Document
    from rebalancer.reports.html import mail_html
    from rebalancer.reports.plots import equity_png
    from rebalancer.simulators.recording import recording

    at, zero = datetime(2020, 3, 2, 15, 5, tzinfo=UTC), Decimal(0)
    numbers = {"cash_base": zero, "gross_leverage": zero, "net_leverage": zero, "turnover": zero}
    more = {"profit_since_last": zero, "profit_since_start": zero, "drawdown": zero}
    point = EquityPoint(
        at, at.date(), Decimal(1), **numbers, **more, orders=0, fills=0, state=TradingState.ACTIVE
    )
    equity_png((point,))
    mail_html(Document(title="", subtitle=""))
    recording("us_equities")
    sqlalchemy.create_engine("sqlite://").connect().close()


if __name__ == "__main__":
    warm_up()
    # A killed process loses nothing that the kernel has: what waits for the disk is for the
    # pulled plug, and slow.
    with mock.patch.object(os, "fsync", lambda fd: None):
        serve()
