"""What the owner is told when a command fails: words, advice, and where a bug's traceback is."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from rebalancer.clock import SystemClock
from rebalancer.errors import ConfigError, RebalancerError
from rebalancer.model.secret import masked
from rebalancer.model.words import plain

BUG = 70


def explain(who: str, error: Exception, config: str | Sequence[str] | None) -> int:
    """Tell on standard error what went wrong and what to do; return the exit code of it.

    Of a bug the traceback is kept in a file (`keep_traceback`).
    """
    if not isinstance(error, RebalancerError):
        log = keep_traceback(error, config)
        words = " ".join(plain(masked(str(error))).split()) or "no words"
        print(
            f"{who}: unexpected {type(error).__name__}: {words}\n"
            f"This is a bug; its traceback is in {log}",
            file=sys.stderr,
        )
        return BUG
    if isinstance(error, ConfigError):
        count = len(error.problems)
        print(f"{count} problem{'s' if count != 1 else ''}:", file=sys.stderr)
        lines = (f"  {_readable(str(problem))}" for problem in error.problems)
        print(*lines, sep="\n", file=sys.stderr)
    else:
        print(f"{who}: {_readable(str(error))}", file=sys.stderr)
    print(type(error).advice, file=sys.stderr)
    return error.exit_code


def _readable(words: str) -> str:
    """Return words without secrets and without what would steer a terminal; lines stay lines."""
    return "\n".join(plain(line) for line in masked(words).splitlines())


def show_traceback(error: BaseException) -> int:
    """Print a traceback, as `--debug` wants it; return the exit code of a bug."""
    print(traceback_of(error), end="", file=sys.stderr)
    return BUG


def stop_talking() -> None:
    """Send what is still printed nowhere: who read us has had enough (`| head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def traceback_of(error: BaseException) -> str:
    """Return a traceback without the secrets that its words may have."""
    return masked("".join(traceback.format_exception(error)))


def keep_traceback(error: BaseException, config: str | Sequence[str] | None) -> Path:
    """Write a traceback to a new file that only its owner reads and return the path.

    It lies in the state folder beside the configuration when there is one, else among the
    temporary files.
    """
    text = traceback_of(error)
    name = f"rebalancer-{SystemClock().now():%Y%m%dT%H%M%SZ}-{os.getpid()}-"
    first = config if isinstance(config, (str, type(None))) else next(iter(config), None)
    beside = (Path(first).parent if first else Path()) / "state"
    for folder in (beside, Path(tempfile.gettempdir())):
        try:
            if not folder.is_dir():
                continue
            handle, path = tempfile.mkstemp(".traceback.log", name, folder)
        except OSError:
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as log:
            log.write(text)
        return Path(path)
    return Path(os.devnull)
