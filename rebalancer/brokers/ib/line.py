"""One connected client: every question to it is timed, and its end is noticed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from rebalancer.brokers.ib.bell import Bell
from rebalancer.brokers.ib.client import LOG, library
from rebalancer.brokers.ib.errors import meaning
from rebalancer.brokers.ib.garbage import break_on_garbage
from rebalancer.brokers.ib.heard import LOST, NOBODY, TOO_OLD, Heard
from rebalancer.brokers.ib.parameters import IbSettings
from rebalancer.brokers.ib.passage import Passage
from rebalancer.brokers.ib.throttle import Throttle
from rebalancer.errors import BlindError, ConnectError

T = TypeVar("T")

PARTING_SECONDS = 0.02
"""How long the loop turns after the last word, so that the other side hears of the end."""

STEP_SECONDS = 0.05
"""How often is looked whether what is waited for has come."""

MOST_RETURNS = 3
"""How often Interactive Brokers may be lost again while everything is read anew."""


class FinalRefusal(ConnectError):
    """The connection is refused for a reason that no further attempt would mend."""


class RequestFailed(BlindError):
    """The gateway answered a request with an error: its code and words."""

    def __init__(self, what: str, code: int, words: str) -> None:
        super().__init__(f"{what}: {words} (code {code})")
        self.code = code
        self.words = words


class Line:
    """A fresh `IB` object of the library, its event loop, and what was heard on it.

    `ask`, `rest` and `wait_for` are the only ways in which the loop turns: what is not asked
    for is heard meanwhile. `hear_again` reads everything anew after Interactive Brokers was
    lost and found again.
    """

    def __init__(self, settings: IbSettings, account: str, passage: Passage) -> None:
        self.lib = library()
        self.settings = settings
        self.account = account
        self.passage = passage
        self.loop = passage.loop()
        asyncio.set_event_loop(self.loop)
        self._bell = Bell(self.loop)
        self.ib = self.lib.IB()
        self.ib.RequestTimeout = settings.request_seconds
        self.ib.RaiseRequestErrors = True
        self.heard = Heard(
            on_lost=self._on_lost, on_refusal=self._on_refusal, on_fatal=self._on_fatal
        )
        self.heard.listen(self.ib)
        self.hear_again: Callable[[], None] = lambda: None
        self._gone: asyncio.Future[None] = self.loop.create_future()
        self._refused: asyncio.Future[tuple[int, str]] | None = None
        self._overdue = self._closed = False
        self._read_at, self._reading = 0, 0
        client = self.ib.client
        client.conn.disconnected += self._on_end
        client.apiError += self._on_api_error
        self.throttle = Throttle(client, self.loop, settings.messages_per_second)
        self._garbage = break_on_garbage(client, self._on_garbage)

    # ------------------------------------------------------------------ connecting

    def connect(self, seconds: float) -> None:
        """Connect and wait until the gateway is ready to be asked.

        Nothing is downloaded here: what the library would fetch while connecting is not
        trusted. Raises `ConnectError`, `FinalRefusal`.
        """
        settings, client = self.settings, self.ib.client
        self.ib.wrapper.clientId = settings.client_id
        host, port = self.passage.host, self.passage.port
        place = f"{host}:{port}"

        def ask() -> Awaitable[Any]:
            found: Awaitable[Any] = client.connectAsync(host, port, settings.client_id, 0)
            return found

        silence: list[str] = []
        try:
            self.loop.run_until_complete(
                self._or_end(ask, seconds, lambda: silence.append(self._silence()))
            )
        except TimeoutError as error:
            raise ConnectError(f"{place} {silence[0]} within {seconds:g} s") from error
        except (OSError, ConnectError, asyncio.CancelledError) as error:
            if self.heard.fatal:
                raise FinalRefusal(f"cannot connect to {place}: {self.heard.fatal}") from error
            why = str(error) or "the gateway closed the connection"
            if isinstance(error, OSError):
                why = f"{why} ({meaning(NOBODY).meaning}; {meaning(NOBODY).advice})"
            raise ConnectError(f"cannot connect to {place}: {why}") from error

    def _silence(self) -> str:
        """Return how far a gateway came that says nothing any more."""
        client = self.ib.client
        if client.conn.transport is None:
            return "could not be reached"
        if not client.serverVersion():
            return "accepts connections and does not answer"
        return "answers, but did not tell its accounts and order ids (is somebody logged in?)"

    def accounts(self) -> tuple[str, ...]:
        """Return the accounts that the gateway manages, none while it is not connected."""
        client = self.ib.client
        return tuple(client.getAccounts()) if client.isReady() else ()

    def close(self) -> None:
        """Disconnect and end the loop, whatever state they are in. Twice is once."""
        if self._closed:
            return
        self._closed = True
        LOG.info("ib: %d messages sent, %d received", self.throttle.sent, self._garbage.messages)
        self.throttle.forget()
        client = self.ib.client
        try:
            with contextlib.suppress(Exception):
                client.disconnect()
            self._turn(PARTING_SECONDS)
            if client.conn.transport is not None:  # the other side does not even take our end
                client.conn.transport.abort()
                self._turn(0)
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self._turn(0)
        finally:
            self._gone.cancel()
            self._bell.remove()
            self.loop.close()
            asyncio.set_event_loop(None)

    def _turn(self, seconds: float) -> None:
        with contextlib.suppress(Exception):
            self.loop.run_until_complete(asyncio.sleep(seconds))

    # ------------------------------------------------------------------ asking

    def ask(self, what: str, ask: Callable[[], Awaitable[T]], seconds: float | None = None) -> T:
        """Ask and wait for the answer, hearing everything else meanwhile.

        The time while the gateway has lost Interactive Brokers does not count, up to
        `farm_seconds`. Raises `BlindError` when the answer does not come within `seconds`
        (default: the setting), `ConnectError` when the wire breaks, `RequestFailed` when the
        answer is an error.
        """
        self.require_wire()
        limit = self.settings.request_seconds if seconds is None else seconds
        if self._overdue:
            # A late end could pass for this answer's: what is answered in its turn goes first.
            self._asked("the gateway's time", self.ib.reqCurrentTimeAsync, limit)
            self._overdue = False
        return self._asked(what, ask, limit)

    def _asked(self, what: str, ask: Callable[[], Awaitable[T]], limit: float) -> T:
        try:
            found = self.loop.run_until_complete(self._or_end(ask, limit))
        except TimeoutError as error:
            self._overdue = True
            if self.heard.lost:
                raise ConnectError(f"{what} did not arrive: {_LOST_WORDS}") from error
            raise BlindError(f"{what} did not arrive within {limit:g} s") from error
        except asyncio.CancelledError as error:
            raise ConnectError(f"{what}: the connection ended") from error
        except OSError as error:
            self._end(str(error))
            raise ConnectError(f"{what}: {error}") from error
        except self._request_error() as error:
            code, words = getattr(error, "code", 0), getattr(error, "message", str(error))
            raise RequestFailed(what, int(code), str(words)) from error
        except _Refused as error:
            raise RequestFailed(what, error.code, error.words) from error
        self.require_wire()  # the library ends what was asked as if it were complete
        return found

    def rest(self, seconds: float) -> None:
        """Let some time of the loop pass; returns early when the wire breaks."""
        with contextlib.suppress(TimeoutError, ConnectError, _Refused):
            self.loop.run_until_complete(self._or_end(lambda: asyncio.sleep(seconds), seconds + 1))

    def turn(self) -> None:
        """Let the loop go round once: what waits to leave leaves, what has come is heard."""
        self.require_wire()
        self.loop.run_until_complete(asyncio.sleep(0))

    def wait_for(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, `seconds` of the loop at most; return whether it is.

        Raises `ConnectError` when the wire breaks.
        """
        until = self.loop.time() + seconds
        while not is_so():
            self.require_wire()
            left = until - self.loop.time()
            if left <= 0:
                return False
            self.rest(min(left, STEP_SECONDS))
        return True

    def pause(self, seconds: float) -> None:
        """Wait on the loop, connected or not."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    # ------------------------------------------------------------------ sending

    @property
    def waiting_to_leave(self) -> int:
        """Return how many messages wait for their turn to leave."""
        return self.throttle.waiting

    def let_leave(self, seconds: float) -> bool:
        """Turn until everything has been handed to the wire; return whether it was.

        What is still held back when the time is over may leave later. Raises when the wire
        breaks.
        """
        gap = 1.0 / self.settings.messages_per_second
        until = self.loop.time() + seconds
        while self.throttle.waiting:
            if self.loop.time() >= until:
                return False
            self.rest(gap / 8)
            self.require_wire()
        return True

    # ------------------------------------------------------------------ trust

    def require_wire(self) -> None:
        """Raise when the wire is broken or has carried what nobody can read."""
        if self.heard.garbage:
            raise BlindError(f"the gateway sent what cannot be read: {self.heard.garbage}")
        if self.heard.broken:
            fatal = f"; {self.heard.fatal}" if self.heard.fatal else ""
            raise ConnectError(f"not connected: {self.heard.broken}{fatal}")

    def require(self) -> None:
        """Raise unless the wire is whole and the gateway has its way to Interactive Brokers.

        A lost way (1100) is given `farm_seconds` to come back; then everything is read anew,
        except inside `reading`, whose end tells whether it has to begin again.
        """
        self.require_wire()
        if self.heard.fatal:
            raise ConnectError(self.heard.fatal)
        if self.heard.lost and not self.wait_for(
            lambda: not self.heard.lost, self.settings.farm_seconds
        ):
            raise ConnectError(_LOST_WORDS)
        if not self._reading and self._read_at != self.heard.returns:
            LOG.warning("ib: Interactive Brokers was lost and is back: everything is read anew")
            self.hear()

    def hear(self) -> None:
        """Call `hear_again`, again when Interactive Brokers was lost meanwhile.

        Raises `ConnectError`, and whatever it raises.
        """
        for _ in range(MOST_RETURNS):
            returns = self.heard.returns
            with self.reading():
                self.hear_again()
            self._read_at = returns
            if self.heard.returns == returns:
                return
        raise ConnectError("the gateway loses Interactive Brokers again and again (1100)")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Return a context in which `require` does not begin to read everything anew."""
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1

    def require_farms(self) -> None:
        """Give broken data farms `farm_seconds` to come back. Raises `ConnectError`."""
        if not self.wait_for(lambda: not self.heard.farms, self.settings.farm_seconds):
            names = ", ".join(f"{name} ({code})" for code, name in sorted(self.heard.farms))
            raise ConnectError(f"the gateway's data farms are not connected: {names}")

    # ------------------------------------------------------------------ inside

    async def _or_end(
        self,
        ask: Callable[[], Awaitable[T]],
        seconds: float,
        too_late: Callable[[], None] = lambda: None,
    ) -> T:
        """Await something, the end of the wire or of the run, a refusal, or the end of the time."""
        self._refused = self.loop.create_future()
        task = asyncio.ensure_future(ask())
        both: set[asyncio.Future[Any]] = {task, self._gone, self._refused, self._bell.rung}
        try:
            while True:
                done, _ = await asyncio.wait(
                    both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
                )
                if task in done:
                    return task.result()
                if self._bell.rung in done:
                    raise self._bell.answer()
                if self._refused in done:
                    raise _Refused(*self._refused.result())
                if self._gone in done:
                    self.require_wire()
                    raise ConnectError("the connection ended")
                if not self.heard.lost or not await self._found_again():
                    too_late()
                    raise TimeoutError
        finally:
            self._refused.cancel()
            self._refused = None
            if not task.done():
                task.cancel()
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await task

    async def _found_again(self) -> bool:
        """Wait for the end of a 1100; return whether it came."""
        until = self.loop.time() + self.settings.farm_seconds
        while self.heard.lost and not self._gone.done() and self.loop.time() < until:
            await asyncio.sleep(STEP_SECONDS)
        return not self.heard.lost and not self._gone.done()

    def _request_error(self) -> type[Exception]:
        found: type[Exception] = self.lib.RequestError
        return found

    def _on_end(self, message: str = "") -> None:
        self._end(message or "the gateway closed the connection")

    def _on_api_error(self, message: str) -> None:
        if "version" in message:  # the library does not speak so old a gateway's language
            self.heard.on_error(-1, TOO_OLD, message)

    def _end(self, why: str) -> None:
        self.heard.broken = self.heard.broken or why
        self._stop()

    def _on_garbage(self, what: str) -> None:
        self.heard.garbage = self.heard.garbage or what
        self._stop()

    def _stop(self) -> None:
        """Let nothing leave any more, and nobody wait."""
        self.throttle.forget()
        if not self._gone.done():
            self._gone.set_result(None)

    def _on_lost(self, lost: bool) -> None:
        if lost:
            self.throttle.hold()
        else:
            self.throttle.release()

    def _on_fatal(self) -> None:
        if not self.ib.client.isReady():
            self._end("refused")

    def _on_refusal(self, code: int, words: str) -> None:
        if self._refused is not None and not self._refused.done():
            self._refused.set_result((code, words))


_LOST_WORDS = (
    f"the gateway has lost its connection to Interactive Brokers ({LOST}) and not found it again"
)


class _Refused(Exception):
    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words
