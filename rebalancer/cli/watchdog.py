"""`rebalancer watchdog`: a second cron line that mails when runs do not happen, or do not work."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from argparse import Namespace
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rebalancer.cli.arguments import DEFAULT_CONFIG
from rebalancer.cli.rough import Rough, read_roughly
from rebalancer.clock import SystemClock
from rebalancer.errors import (
    EXIT_LADDER,
    ConfigError,
    ConnectError,
    RebalancerError,
    RunHalted,
    StateError,
)
from rebalancer.store.atomic import Files

if TYPE_CHECKING:
    from rebalancer.model.heartbeat import Heartbeat
    from rebalancer.model.records import Mail
    from rebalancer.model.sessions import SessionTable
    from rebalancer.reports.watchdog import Sight

MEMORY = "watchdog.json"
WITHOUT_CALENDAR = timedelta(hours=26)
INTERVALS = 2
LEAST_FREE_BYTES = 20_000_000
MAIL_SECONDS = 20.0


@dataclass
class Memory:
    """What the watchdog remembers: since when it looks, and which troubles it told and when."""

    watching: str
    told: dict[str, str] = field(default_factory=dict)
    saved: str = ""


def execute(arguments: Namespace) -> int:
    """Look at every portfolio named; return the gravest exit code.

    What goes wrong with one is told, and mailed where that is possible; the others are looked at.
    """
    codes = [0]
    for name in arguments.config or [DEFAULT_CONFIG]:
        path, now = Path(name), SystemClock().now()
        try:
            codes.append(watch(path, arguments.older_than, now))
        except Exception as error:
            codes.append(_failed(path, error, now, debug=arguments.debug))
    return max(codes, key=EXIT_LADDER.index)


def watch(path: Path, older_than: float | None, now: datetime) -> int:
    """Look at one portfolio, mail what is new or over, remember it; return the exit code."""
    from rebalancer.reports.watchdog import recovery_mail, trouble_mail, troubles

    rough = read_roughly(path)
    name = rough.name or path.stem
    if rough.mode == "dry-run":
        print(f"{name}: a dry-run portfolio leaves no heartbeat; there is nothing to watch")
        return 0
    memory = _read_memory(rough, now)
    unwritten = _save_memory(rough, memory, now)
    sight = _look(rough, memory, unwritten, older_than, now)
    found = troubles(sight)
    for code, trouble in found.items():
        print(f"{name}: {code}: {trouble.words}")
    if not found:
        good = None if sight.beat is None else sight.beat.good
        print(
            f"{name}: all is well"
            + ("" if good is None else f"; last good run {good:%Y-%m-%d %H:%M} UTC")
        )
    mails = {code: trouble_mail(name, now, code, found[code])
             for code in found.keys() - memory.told}  # fmt: skip
    over = {code: recovery_mail(sight, code, memory.told[code])
            for code in memory.told.keys() - found}  # fmt: skip
    lost = 0
    for code, mail in [*sorted(mails.items()), *sorted(over.items())]:
        if trouble_with := _send(rough, mail, now):
            print(f"{name}: no mail about {code}: {trouble_with}", file=sys.stderr)
            lost = ConnectError.exit_code
            continue
        if code in mails:
            memory.told[code] = now.isoformat()
        else:
            del memory.told[code]
        _save_memory(rough, memory, now)  # after each: a kill costs one mail twice at most
    return lost or (RunHalted.exit_code if found else 0)


def _failed(path: Path, error: Exception, now: datetime, *, debug: bool) -> int:
    """Tell that the watchdog could not look at a portfolio; return the exit code of that."""
    from rebalancer.cli.crash import explain, show_traceback

    if debug and not isinstance(error, RebalancerError):
        code = show_traceback(error)
    else:
        code = explain(f"rebalancer watchdog: {path}", error, str(path))
    try:
        _mail_failure(path, error, now)
    except Exception as another:  # whatever broke the one may break the other
        print(f"{path}: no mail about that: {type(another).__name__}", file=sys.stderr)
    return code


def _mail_failure(path: Path, error: Exception, now: datetime) -> None:
    """Mail, once, that the watchdog itself fails; that it works again is mailed as of others."""
    from rebalancer.model.secret import masked
    from rebalancer.model.words import plain
    from rebalancer.reports.watchdog import FAILED, own_failure, trouble_mail

    rough = read_roughly(path)
    memory = Memory(now.isoformat())
    with suppress(Exception):  # without its memory a mail comes again
        memory = _read_memory(rough, now)
    if FAILED in memory.told:
        return
    trouble = own_failure(f"{type(error).__name__}: {plain(masked(str(error)))}")
    if words := _send(rough, trouble_mail(rough.name or path.stem, now, FAILED, trouble), now):
        print(f"{path}: no mail about {FAILED}: {words}", file=sys.stderr)
        return
    memory.told[FAILED] = now.isoformat()
    _save_memory(rough, memory, now)


def _look(
    rough: Rough, memory: Memory, unwritten: str, older_than: float | None, now: datetime
) -> Sight:
    from rebalancer.reports.watchdog import Sight, allowed_time, due_time

    beat, unread = _heartbeat(rough)
    watching = datetime.fromisoformat(memory.watching)
    began = watching if beat is None else beat.at
    good = watching if beat is None else beat.good or watching
    oldest = min(began, good)
    sessions = _sessions(rough, oldest, now)
    limit = WITHOUT_CALENDAR
    if older_than is not None:
        limit = timedelta(seconds=older_than)
    elif sessions is not None:
        spans = [timedelta(minutes=rough.interval_minutes)] * INTERVALS
        spans.append(timedelta(minutes=rough.deadline_minutes))
        limit = allowed_time(sessions, oldest, now, spans)
    halted, words = _halted(rough)
    return Sight(
        portfolio=rough.name or rough.path.stem,
        now=now,
        watching=watching,
        beat=beat,
        begun=due_time(sessions, began, now),
        good=due_time(sessions, good, now),
        limit=limit,
        in_session=sessions is not None,
        unread=unread,
        unwritten=unwritten or _full(rough),
        config=_config_trouble(rough.path),
        hung=_hung(rough, now),
        halted=halted,
        halt_words=words,
    )


def _heartbeat(rough: Rough) -> tuple[Heartbeat | None, str]:
    from rebalancer.store.heartbeat import read_heartbeat

    if rough.folder is None:
        what = "state folder" if rough.name else "name"
        return None, f"{rough.path} does not tell the portfolio's {what}"
    if unread := _closed(rough.folder):
        return None, f"{rough.folder}: {unread}"
    try:
        return read_heartbeat(Files(), rough.folder), ""
    except StateError as error:
        return None, str(error)


def _closed(folder: Path) -> str:
    """Return why nothing can be looked at in a folder, '' when it can."""
    try:
        here = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        return "there is no such folder"
    except (OSError, ValueError) as error:
        return f"it cannot be looked at: {getattr(error, 'strerror', None) or error}"
    return "" if here else "it is no folder"


def _sessions(rough: Rough, since: datetime, now: datetime) -> SessionTable | None:
    """Return the sessions that runs left behind, else those that the library knows."""
    from rebalancer.calendars import compiled_sessions, stored_sessions

    if not rough.calendar or rough.root is None:
        return None
    stored = stored_sessions(rough.calendar, since, now, rough.root / "calendars")
    if stored is not None:
        return stored
    try:  # runs left none of these years: a paper market's are long ago
        return compiled_sessions(rough.calendar, since, now)
    except Exception:  # whatever it is, the clock on the wall still counts
        return None


def _full(rough: Rough) -> str:
    if rough.folder is None:
        return ""
    try:
        free = shutil.disk_usage(rough.folder).free
    except OSError:
        return ""  # it cannot be read: that is told
    return f"only {free:,} bytes are free on its disk" if free < LEAST_FREE_BYTES else ""


def _hung(rough: Rough, now: datetime) -> str:
    from rebalancer.store.lock import NAME, holder_of

    if rough.folder is None:
        return ""
    try:
        holder = holder_of(rough.folder / NAME)
        late = holder is not None and datetime.fromisoformat(holder.deadline) < now
    except (StateError, ValueError):
        return ""
    return str(holder) if late else ""


def _halted(rough: Rough) -> tuple[datetime | None, str]:
    """Return since when a HALT file stands, and its last words."""
    from datetime import UTC

    if rough.folder is None or rough.root is None:
        return None, ""
    found = []
    for path in (rough.folder / "HALT", rough.root / "HALT"):
        try:
            since = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        with suppress(IndexError, ValueError, TypeError):  # made by hand: it tells no time
            since = min(since, datetime.fromisoformat(lines[0].split()[0]))
        found.append((since, lines[-1].strip() if lines else ""))
    return min(found, default=(None, ""))


def _config_trouble(path: Path) -> str:
    from rebalancer.config import load
    from rebalancer.reports.numbers import count

    try:
        load(path)
    except ConfigError as error:
        more = len(error.problems) - 1
        return f"{error.problems[0]}" + (f", and {count(more, 'more problem')}" if more else "")
    except Exception as error:  # whatever it is, runs meet it too
        return f"reading it ends with {type(error).__name__}"
    return ""


def _send(rough: Rough, mail: Mail, now: datetime) -> str:
    """Send a mail, or write it as a file without a mail server; return what went wrong."""
    if rough.mail_trouble:
        return rough.mail_trouble  # a file would be taken for told, and nobody looks for it
    if rough.smtp is None:
        from rebalancer.notify.files import FilePost

        if rough.folder is None:
            return "neither a mail server nor a state folder is known"
        if _closed(rough.folder):  # nor is one made: it would pass for the one that is gone
            return "there is neither a mail server nor the folder in which a file would lie"
        flags = FilePost(rough.folder / "reports", Files()).send((mail,))
        return "; ".join(flag.message for flag in flags)
    from rebalancer.notify.mail import MailNotSent, YagmailSender

    try:
        YagmailSender(rough.smtp, rough.password).deliver(mail, now, MAIL_SECONDS)
    except MailNotSent as error:
        return str(error)
    return ""


def _places(rough: Rough) -> tuple[Path, ...]:
    """Return where the memory may lie: beside the heartbeat, else among the user's locks."""
    from rebalancer.store.lock import account_lock_path

    here = str(rough.folder or rough.path.absolute())
    apart = account_lock_path("watchdog", here).with_suffix(".json")
    folder = rough.folder
    return (apart,) if folder is None or _closed(folder) else (folder / MEMORY, apart)


def _read_memory(rough: Rough, now: datetime) -> Memory:
    """Return the newest memory there is; a damaged one is none: a mail twice, none lost.

    What a clock that was ahead wrote is taken for the oldest, and nobody watches since tomorrow.
    """
    found: list[tuple[bool, datetime, Memory]] = []
    for place in _places(rough):
        try:
            plain = json.loads(Files().read(place))
            told = {str(code): str(since) for code, since in plain["told"].items()}
            texts = (plain["watching"], plain["saved"], *told.values())
            times = [datetime.fromisoformat(str(each)) for each in texts]
            if any(each.tzinfo is None for each in times):
                raise ValueError("a time without a zone")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        watching, saved = times[:2]
        memory = Memory(min(watching, now).isoformat(), told, saved.isoformat())
        found.append((saved <= now, saved, memory))
    newest = max(found, key=lambda each: each[:2], default=None)
    return Memory(now.isoformat()) if newest is None else newest[2]


def _save_memory(rough: Rough, memory: Memory, now: datetime) -> str:
    """Save it where that is possible; return why not where it belongs."""
    memory.saved = now.isoformat()
    plain = {"schema": 1, "saved": memory.saved, "watching": memory.watching, "told": memory.told}
    trouble = ""
    for place in _places(rough):
        try:
            Files().replace(place, f"{json.dumps(plain, sort_keys=True)}\n".encode("ascii"))
        except StateError as error:
            trouble = trouble or str(error)
            continue
        return trouble
    return trouble
