"""One world: ordinary hours, then for each seed a run that is killed and those that follow."""

from __future__ import annotations

import io
import shutil
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from rebalancer.errors import LockBusy
from rebalancer.rehearsal.evidence import Evidence, RunEvidence, Violation
from rebalancer.rehearsal.kills.client import Client, Ending
from rebalancer.rehearsal.kills.house import House
from rebalancer.rehearsal.kills.script import (
    Blow,
    Script,
    Task,
    World,
    draw_script,
    draw_world,
    stride_script,
)
from rebalancer.rehearsal.kills.summary import KillResult
from rebalancer.rehearsal.kills.venue import HURRY_OF_THE_VENUE, Venue, made
from rebalancer.rehearsal.observer import judge
from rebalancer.simulators.books import Account, open_books
from rebalancer.simulators.faults.schedule import Hour, Schedule
from rebalancer.simulators.killing import Sentence
from rebalancer.store.atomic import Files
from rebalancer.store.books import StateFolder
from rebalancer.store.lock import holder_of

MINUTE = timedelta(minutes=1)
CALM_MINUTES = 60
_ROOM = 600.0
"""Seconds of the market's time that a run may take beyond its own deadline."""

_WRONG = {
    70: "a bug",
    9: "its state could not be used",
    2: "its words or configuration",
    99: "a bug",
}
"""Exit codes that no kill explains."""


@dataclass
class Setting:
    """A world that is ready to be killed in: a folder to be copied, and what it was seen to do."""

    world: World
    folder: Path
    runs: list[RunEvidence]
    hours: tuple[Hour, ...]
    slot: datetime
    opening: Account
    messages: tuple[str, ...] = ()


class Stage:
    """Plays the seeds of one venue in a folder of its own."""

    def __init__(self, house: House, folder: Path) -> None:
        self._house, self._folder = house, folder
        self._setting: Setting | None = None

    def warm(self) -> None:
        """Run two hours in this process: what is forked from it has everything loaded.

        A HALT file stands in the second, so that there is an alert.
        """
        house = self._house
        folder = self._folder / "warm"
        folder.mkdir(parents=True)
        path, state = house.write(folder, house.starts[0], False), folder / "state"
        made(replace(house.spec(path), folder=None), state)
        venue = Venue(house.spec(path), folder, state, None)
        wanted = draw_world(house.venue, 0, [str(each) for each in house.universe.ids]).wanted
        try:
            with redirect_stdout(io.StringIO()):
                house.run(path, house.starts[0], venue.control, wanted)
                (state / house.portfolio / "HALT").touch()
                house.run(path, house.starts[0] + 60 * MINUTE, venue.control, wanted)
        finally:
            venue.end()
            shutil.rmtree(folder, ignore_errors=True)

    def setting(self, number: int) -> Setting:
        """Return a world after its ordinary hours; the newest is kept."""
        if self._setting is None or self._setting.world.number != number:
            if self._setting is not None:
                shutil.rmtree(self._setting.folder, ignore_errors=True)
            self._setting = self._made(number)
        return self._setting

    def scripts(self, task: Task) -> Iterator[Script]:
        """Yield the scripts of a task."""
        setting = self.setting(task.world)
        messages = len(setting.messages)
        for seed in task.seeds:
            yield draw_script(setting.world, seed, messages)
        if task.stride:
            for turn, nth in enumerate(range(1, messages + 1, task.stride)):
                yield stride_script(nth, task.sign, turn)

    def play(self, world: int, script: Script) -> KillResult:
        """Play a script in a copy of a world, and judge what it left."""
        setting = self.setting(world)
        folder = self._copy(setting, f"s{script.seed}")
        play = _Play(self._house, folder, setting)
        try:
            result = play.script(script)
        finally:
            play.end()
        if not result.violations:
            shutil.rmtree(folder, ignore_errors=True)
        return result

    # ------------------------------------------------------------------ inside

    def _made(self, number: int) -> Setting:
        house = self._house
        world = draw_world(house.venue, number, [str(each) for each in house.universe.ids])
        start = house.starts[number % len(house.starts)]
        folder = self._folder / f"w{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        house.write(folder, start, world.protect)
        setting = Setting(world, folder, [], (), start, None)  # type: ignore[arg-type]
        play = _Play(house, folder, setting)
        try:
            setting.opening = play.account()
            for weights in world.ordinary:
                play.hour(Hour(CALM_MINUTES, weights), None)
            play.account()
        finally:
            play.end()
        setting.runs, setting.slot, setting.hours = play.runs, play.slot, tuple(play.hours)
        dress = _Play(house, self._copy(setting, "dress"), setting)
        try:
            dress.hour(Hour(CALM_MINUTES, world.wanted), None)
        finally:
            dress.end()
        setting.messages = dress.names
        return setting

    def _copy(self, setting: Setting, name: str) -> Path:
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(setting.folder, folder, symlinks=True)
        return folder


class _Play:
    """The hours of one world, each a process, at one living venue."""

    def __init__(self, house: House, folder: Path, setting: Setting) -> None:
        self._house, self._folder, self._setting = house, folder, setting
        self.state = folder / "state" / house.portfolio
        self.runs = [replace(each) for each in setting.runs]
        self.hours: list[Hour] = list(setting.hours)
        self.slot = setting.slot
        self.names: tuple[str, ...] = ()
        self.violations: list[Violation] = []
        self.met: list[int] = []
        """Exit codes of the second runs that met one at work."""
        self._kills: list[tuple[int, str, str]] = []
        self._ending = Ending(0, "")
        self._path = next(folder.glob("*.toml"))
        books = folder / "venue"
        self.venue = Venue(
            house.spec(self._path), folder, self.state, books if books.exists() else None
        )

    def end(self) -> None:
        """End the venue."""
        self.venue.end()

    def account(self) -> Account:
        """Return the venue's own books as they are now; they stay in the folder."""
        self.venue.line.books(self._folder / "venue")
        return open_books(self._folder / "venue", Files(), _nobody, keep=False).account

    def script(self, script: Script) -> KillResult:
        """Play a seed; return its result."""
        house, setting = self._house, self._setting
        wanted = setting.world.wanted
        outcomes: list[str] = []
        self.hour(Hour(CALM_MINUTES, wanted), script.first)
        if self._kills and not self.runs[-1].killed:
            outcomes.append(f"told to end: {self._outcome()}")
        again = script.again and self.runs[-1].killed != ""
        if script.second is not None:
            self.hour(Hour(script.minutes[0], {}, again=again), script.second)
            again = again and self.runs[-1].killed != ""
            outcomes.append(self._outcome())
        for place, minutes in enumerate(script.minutes[1:]):
            meeting = None if place else script.meeting
            self.hour(Hour(minutes, {}, again=again and not place), meeting, calm=True)
            if not place and self.runs[-2].killed:
                outcomes.append(self._outcome())
        evidence = Evidence(
            schedule=Schedule(
                house.venue, script.seed, tuple(self.hours), protect=setting.world.protect
            ),
            venue=house.venue,
            portfolio=house.portfolio,
            universe=house.universe,
            limits=house.limits,
            account=self.account(),
            opening_cash=dict(setting.opening.cash),
            opening_positions={n: h.quantity for n, h in setting.opening.holdings.items()},
            runs=self.runs,
            state=self.state,
            run_seconds=1200.0 + _ROOM,
        )
        violations = (*self.violations, *judge(evidence))
        return KillResult(
            house.venue,
            script.seed,
            kills=tuple((name, side) for _, name, side in self._kills),
            distinct=tuple((nth, side, script.seed) for nth, _, side in self._kills),
            outcomes=tuple(outcomes),
            met=tuple(self.met),
            violations=violations,
            state=str(self._folder) if violations else "",
            told=self._ending.said if violations else "",
        )

    # ------------------------------------------------------------------ one run

    def hour(self, hour: Hour, blow: Blow | None, *, calm: bool = False) -> None:
        """Run one hour in a process of its own, and kill it there."""
        line = self.venue.line
        now, before = line.look()
        if self.runs and not hour.again:
            coming = now.replace(second=0, microsecond=0) + MINUTE
            self.slot = max(self.slot + hour.minutes * MINUTE, coming)
        wanted = hour.wanted or self._wanted()
        if not calm:
            self.hours.append(hour)
        slot, path, control = self.slot, self._path, self.venue.control
        client = Client(lambda: self._house.run(path, slot, control, wanted), self._folder / "said")
        if blow is None:
            line.spare()
        else:
            line.kill(_sentence(client.pid, blow, HURRY_OF_THE_VENUE[self._house.venue]))
        self._ending = client.let_go() if not _stops(blow) else self._with_a_second(client, slot)
        self.names, struck = line.heard()
        killed = self._killed(blow, struck)
        self._looked_after(killed)
        self._see(hour, slot, now, before, killed, None if calm else len(self.hours) - 1)

    def _with_a_second(self, client: Client, slot: datetime) -> Ending:
        """Let a second run of the slot begin while the first stands still; return its own end.

        The first is at work: the second must say so, and do nothing.
        """
        house, path, control = self._house, self._path, self.venue.control
        client.begin()
        if client.stands_still():
            wanted = self._wanted()
            second = Client(lambda: house.run(path, slot, control, wanted), self._folder / "second")
            ending = second.let_go()
            client.go_on()
            self.met.append(ending.code)
            if ending.code != LockBusy.exit_code:
                words = f"a second run beside one at work ended with {ending.code}, not with 6"
                place = len(self.runs)
                self.violations.append(Violation("single-flight", words, place))
        return client.ended()

    def _see(
        self,
        hour: Hour,
        slot: datetime,
        began: datetime,
        before: tuple[int, ...],
        killed: str,
        place: int | None,
    ) -> None:
        line = self.venue.line
        ended, after = line.look()
        arrivals, naked = line.seen()
        self.runs.append(
            RunEvidence(
                slot=slot,
                attempt=1 + sum(each.slot == slot for each in self.runs),
                began=max(began, slot),
                ended=ended,
                killed=killed,
                record=None if killed else StateFolder(self.state, Files()).record(slot),
                exit_code=None if killed else self._ending.code,
                orders_before=before,
                orders_after=after,
                frames=Counter(self.names),
                arrivals=arrivals,
                naked=naked,
                lock_free=holder_of(self.state / "lock") is None,
                trace=line.trace(),
                hour=place,
            )
        )

    def _killed(self, blow: Blow | None, struck: str) -> str:
        """Return where the run was killed, '' when it was not."""
        if blow is None or not struck or _stops(blow):
            return ""
        if self._ending.code >= 0 and blow.sign == signal.SIGKILL:
            return ""  # it had ended by itself
        self._kills.append((blow.nth, struck, blow.side.value))
        if self._ending.code >= 0:
            return ""  # it was told to end, and closed its books
        return f"{blow.side.value} message {blow.nth}, {struck}"

    def _looked_after(self, killed: str) -> None:
        """Note what no kill explains."""
        code, place = self._ending.code, len(self.runs)
        if self._ending.hung:
            self.violations.append(Violation("bounded-time", "the process hung", place))
        elif code in _WRONG or (code < 0 and not killed):
            words = f"exit code {code}, {_WRONG.get(code, 'a signal of nobody')}"
            last = self._ending.said.strip().splitlines()[-4:]
            self.violations.append(Violation("crash", f"{words}: {' | '.join(last)}", place))

    def _wanted(self) -> Mapping[str, str]:
        return next((each.wanted for each in reversed(self.hours) if each.wanted), {})

    def _outcome(self) -> str:
        seen = self.runs[-1]
        if seen.killed:
            return "killed too"
        return f"exit {seen.exit_code}"


def _stops(blow: Blow | None) -> bool:
    return blow is not None and blow.sign == signal.SIGSTOP


def _sentence(pid: int, blow: Blow, hurry: float) -> Sentence:
    later = blow.later_seconds * hurry
    return Sentence(pid=pid, nth=blow.nth, side=blow.side, sign=blow.sign, later_seconds=later)


def _nobody() -> Account:
    raise AssertionError("the venue has written its books")
