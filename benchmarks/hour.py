"""An ordinary hour: a paper run of 25 instruments as a process of its own, start included.

Once on the engine in the process, and once through the real client library and a loopback
socket, where what the messages may take at 45 a second is allowed on top.

It is the portfolio that `rebalancer init` writes, with its two generators in their child
interpreter, in the session, with no mail and no commit due; the first run of the session,
which buys everything, and the compiling of the calendars are not measured.
"""

from __future__ import annotations

import atexit
import re
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, sleep

from benchmarks import Benchmark
from benchmarks.processes import ROOT, RUN, mebibytes, process

IB = "ib_async" if sys.version_info >= (3, 14) else "ib_insync"
YARDSTICK = f"import pandas, sqlalchemy, {IB}"
QUIET = "[mail]\nsession_mails = []\n\n[database]\ncommit_after_close_minutes = 1440\n"
FIRST = datetime(2020, 3, 6, 15, 5, tzinfo=UTC)
APART = timedelta(minutes=5)
MOST = 1.5
MESSAGES_PER_SECOND = 45


class Session:
    """One paper portfolio and its next slot."""

    def __init__(self, transport: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rebalancer-bench-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        shutil.copytree(ROOT / "signals", self.folder / "signals")
        process([str(RUN), "init", "--name", "bench"], self.folder)
        config = self.folder / "portfolio.toml"
        kept, skipping = [], False
        text = config.read_text(encoding="utf-8")
        text = text.replace('transport = "socket"', f'transport = "{transport}"')
        for line in text.splitlines():
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

    def messages(self) -> int:
        """Return how many messages the client sent in the last run."""
        logs = sorted((self.folder / "state" / "bench" / "runs").glob("*/log.jsonl"))
        found = re.findall(r"ib: (\d+) messages sent", logs[-1].read_text(encoding="utf-8"))
        return int(found[-1]) if found else 0

    def _words(self) -> list[str]:
        at, self.slot = self.slot, self.slot + APART
        return [str(RUN), "run", "--at", f"{at:%Y-%m-%dT%H:%MZ}"]


def benchmarks() -> list[Benchmark]:
    """Return the claims about an ordinary hour."""
    engine, socket = Session("engine"), Session("socket")
    socket.run()  # the first bought everything: this one is what most hours are
    messages = socket.messages()
    allowed = messages / MESSAGES_PER_SECOND

    def imports_and_messages() -> None:
        """Take one and a half times the imports, and what the messages may take."""
        begun = perf_counter()
        process(["-c", YARDSTICK])
        sleep((MOST - 1) * (perf_counter() - begun) + allowed)

    return [
        Benchmark(
            name="a paper run of 25 instruments",
            run=engine.run,
            yardstick_name=YARDSTICK,
            yardstick=lambda: process(["-c", YARDSTICK]),
            most_ratio=MOST,
            mebibytes=engine.mebibytes,
            most_mebibytes=150,
        ),
        Benchmark(
            name=f"the same over the socket ({messages} messages)",
            run=socket.run,
            yardstick_name=f"{MOST:g}x these imports + {messages}/{MESSAGES_PER_SECOND} s",
            yardstick=imports_and_messages,
            most_ratio=1.0,
            mebibytes=socket.mebibytes,
            most_mebibytes=150,
            rounds=5,
        ),
    ]
