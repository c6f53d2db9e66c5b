"""An ordinary hour: a paper run of 25 instruments as a process of its own, start included.

It is the portfolio that `rebalancer init` writes, with its two generators in their child
interpreter, in the session, with no mail and no commit due; the first run of the session,
which buys everything, and the compiling of the calendars are not measured.
"""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks import Benchmark
from benchmarks.processes import ROOT, RUN, mebibytes, process

IB = "ib_async" if sys.version_info >= (3, 14) else "ib_insync"
YARDSTICK = f"import pandas, sqlalchemy, {IB}"
QUIET = "[mail]\nsession_mails = []\n\n[database]\ncommit_after_close_minutes = 1440\n"
FIRST = datetime(2020, 3, 6, 15, 5, tzinfo=UTC)
APART = timedelta(minutes=5)


class Session:
    """One paper portfolio and its next slot."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rebalancer-bench-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        shutil.copytree(ROOT / "signals", self.folder / "signals")
        process([str(RUN), "init", "--name", "bench"], self.folder)
        config = self.folder / "portfolio.toml"
        kept, skipping = [], False
        for line in config.read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                skipping = line in ("[mail]", "[database]")
            if not skipping:
                kept.append(line)
        config.write_text("\n".join(kept) + "\n" + QUIET, encoding="utf-8")
        self.slot = FIRST
        self.run()  # buys everything, commits the day before

    def run(self) -> None:
        """Run the next slot, five minutes of the market later."""
        process(self._words(), self.folder)

    def mebibytes(self) -> float:
        """Return the largest resident set of the next slot's run, generators included."""
        return mebibytes(self._words(), self.folder)

    def _words(self) -> list[str]:
        at, self.slot = self.slot, self.slot + APART
        return [str(RUN), "run", "--at", f"{at:%Y-%m-%dT%H:%MZ}"]


def benchmarks() -> list[Benchmark]:
    """Return the claim about an ordinary hour."""
    session = Session()
    return [
        Benchmark(
            name="a paper run of 25 instruments",
            run=session.run,
            yardstick_name=YARDSTICK,
            yardstick=lambda: process(["-c", YARDSTICK]),
            most_ratio=1.5,
            mebibytes=session.mebibytes,
            most_mebibytes=150,
        )
    ]
