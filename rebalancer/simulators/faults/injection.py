"""Brings the troubles of one run about: at ports, in files; the venues ask it for theirs.

One `Injector` is one process that may be killed. The driver wraps files and ports with it and
hands it to the venue (`ib_gateway.troubles.begin`, `binance_server.troubles.begin`), which
translates the troubles of the wire and of the engine into its own faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, NoReturn, TypeVar, cast

from rebalancer.errors import Interrupted
from rebalancer.simulators.faults.cells import STEPS, faults
from rebalancer.simulators.faults.files import BreakableFiles
from rebalancer.simulators.faults.hours import Trouble
from rebalancer.simulators.faults.killed import Killed
from rebalancer.simulators.faults.ports import Port
from rebalancer.simulators.faults.waiting import Waiting
from rebalancer.store.atomic import Files

T = TypeVar("T")

RAISED: Mapping[str, Callable[[], BaseException]] = {
    "memory-error": lambda: MemoryError("made up for a rehearsal"),
    "interrupted": lambda: Interrupted("signal 15: made up for a rehearsal"),
}
"""What a port raises instead of acting."""

ACTS = ("halt-file", "overlap", "trade-in-run", "liquidation-in-run", "slow")
"""What happens beside the run, just before a port acts; the driver and the venue know how."""


class Injector:
    """The troubles of one run, brought about where they wait for.

    `count` is told each fault that strikes and the step. `step` is the run's, set by the
    driver. `dead`: the process was killed; every operation raises `Killed` from then on.
    `acts` are what the driver does for troubles of a name (`ACTS`); `venue` fills in "slow".
    `struck` are the faults that struck, with step and occasion, in order.
    """

    def __init__(
        self, troubles: Sequence[Trouble], venue: str, count: Callable[[str, int], None]
    ) -> None:
        self.venue = venue
        self.step = 1
        self.dead = False
        self.where = ""
        self.acts: dict[str, Callable[[Trouble], None]] = {}
        self.struck: list[tuple[str, int, str]] = []
        self._count = count
        self._raised: list[BaseException] = []
        self._waiting: dict[str, list[Waiting]] = {}
        for trouble in troubles:
            kind = faults()[trouble.fault].kind
            self._waiting.setdefault(kind, []).append(Waiting(trouble))

    # ------------------------------------------------------------------ what the driver wraps

    def files(self, inner: Files) -> Files:
        """Return files that break as this run's troubles say."""
        return BreakableFiles(self, inner)

    def port(self, inner: T, name: str) -> T:
        """Return a port whose operations `<name>.<method>` suffer this run's troubles."""
        return cast("T", Port(self, inner, name))

    @contextmanager
    def passage(self, inner: AbstractContextManager[T], name: str) -> Iterator[T]:
        """Enter and leave a context; `<name>.enter` and `<name>.exit` are operations too."""
        try:
            entered = self.call(f"{name}.enter", inner.__enter__)
        except Killed:
            self._cut(inner)
            raise
        try:
            yield entered
        except BaseException as error:
            self._leave(inner, name, error)
            raise
        self._leave(inner, name, None)

    # ------------------------------------------------------------------ what they ask

    def waiting(self, kind: str) -> Sequence[Waiting]:
        """Return the troubles of a kind of `cells.KINDS`."""
        return self._waiting.get(kind, ())

    def due(self, kind: str, *names: str) -> tuple[Trouble, ...]:
        """Count an occasion that has these names; return the troubles of a kind that strike."""
        step = self.at_step
        return tuple(each.trouble for each in self.waiting(kind) if each.due(names, step))

    @property
    def at_step(self) -> int:
        """Return the step that counts: what comes before the first belongs to it."""
        return max(STEPS.start, self.step)

    def hit(self, fault: str, occasion: str) -> None:
        """Take note that a fault struck."""
        self.struck.append((fault, self.at_step, occasion))
        self._count(fault, self.at_step)

    def kill(self, fault: str, occasion: str) -> NoReturn:
        """End the process here."""
        self.hit(fault, occasion)
        self.dead, self.where = True, f"{fault} {occasion} in step {self.at_step}"
        raise Killed(self.where)

    def require_alive(self) -> None:
        """Raise `Killed` when the process is dead."""
        if self.dead:
            raise Killed(self.where)

    def raised(self, error: BaseException | None) -> bool:
        """Return whether an error, or what caused it, was made here."""
        while error is not None:
            if any(error is each for each in self._raised):
                return True
            error = error.__cause__ or error.__context__
        return False

    def raising(self, error: BaseException) -> BaseException:
        """Remember an error that is raised on purpose."""
        self._raised.append(error)
        return error

    def call(self, name: str, do: Callable[..., T], *args: Any, **words: Any) -> T:
        """Let a port's operation happen, with the troubles that wait for it."""
        self.require_alive()
        kills = self.due("kill-port", name)
        for trouble in self.due("port", name):
            self._at_port(trouble, name)
        for trouble in kills:
            if trouble.fault == "kill-port-before":
                self.kill(trouble.fault, name)
        try:
            answer = do(*args, **words)
        except Exception:
            self.require_alive()  # the wire was cut by the kill: nobody hears what came of it
            raise
        self.require_alive()
        for trouble in kills:
            self.kill(trouble.fault, name)
        return answer

    # ------------------------------------------------------------------ a venue's `Hearing`

    def before(self, name: str) -> bool:
        """Take note of a message that arrived; return whether it is to be acted upon."""
        if self.dead:
            return False
        self._kills = self.due("kill-message", name)
        for trouble in self._kills:
            if trouble.fault == "kill-message-before":
                self.kill(trouble.fault, name)
        return True

    def after(self, name: str) -> None:
        """Take note that a message was acted upon."""
        for trouble in self._kills:
            self.kill(trouble.fault, name)

    # ------------------------------------------------------------------ inside

    _kills: tuple[Trouble, ...] = ()

    def _at_port(self, trouble: Trouble, name: str) -> None:
        act = self.acts.get(trouble.fault)
        if trouble.fault in ACTS:
            if act is not None:
                self.hit(trouble.fault, name)
                act(trouble)
            return
        self.hit(trouble.fault, name)
        raise self.raising(RAISED[trouble.fault]())

    def _leave(
        self, inner: AbstractContextManager[Any], name: str, error: BaseException | None
    ) -> None:
        if self.dead:
            self._cut(inner)
            raise Killed(self.where) from None
        left = False

        def leave() -> None:
            nonlocal left
            left = True
            inner.__exit__(
                None if error is None else type(error),
                error,
                None if error is None else error.__traceback__,
            )

        try:
            self.call(f"{name}.exit", leave)
        finally:
            if not left:  # what struck came before it: a context that nobody leaves lives on
                self._cut(inner)

    def _cut(self, inner: AbstractContextManager[Any]) -> None:
        """Leave a context as a dead process does: its wire is cut, nobody hears what comes."""
        killed = Killed(self.where)
        with suppress(Exception, Killed):
            inner.__exit__(Killed, killed, killed.__traceback__)
