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

BUG = 70


def explain(who: str, error: Exception, config: str | Sequence[str] | None) -> int:
    """Tell on standard error what went wrong and what to do; return the exit code of it.

    Of a bug the traceback is kept in a file (`keep_traceback`).
    """
    if not isinstance(error, RebalancerError):
        log = keep_traceback(error, config)
        words = " ".join(str(error).split()) or "no words"
        print(
            f"{who}: unexpected {type(error).__name__}: {words}\n"
            f"This is a bug; its traceback is in {log}",
            file=sys.stderr,
        )
        return BUG
    if isinstance(error, ConfigError):
        count = len(error.problems)
        print(f"{count} problem{'s' if count != 1 else ''}:", file=sys.stderr)
        print(*(f"  {problem}" for problem in error.problems), sep="\n", file=sys.stderr)
    else:
        print(f"{who}: {error}", file=sys.stderr)
    print(type(error).advice, file=sys.stderr)
    return error.exit_code


def stop_talking() -> None:
    """Send what is still printed nowhere: who read us has had enough (`| head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def keep_traceback(error: BaseException, config: str | Sequence[str] | None) -> Path:
    """Write a traceback to a new file that only its owner reads and return the path.

    It lies in the state folder beside the configuration when there is one, else among the
    temporary files.
    """
    text = "".join(traceback.format_exception(error))
    name = f"rebalancer-{SystemClock().now():%Y%m%dT%H%M%SZ}-{os.getpid()}-"
    first = config if isinstance(config, (str, type(None))) else next(iter(config), None)
    beside = (Path(first).parent if first else Path()) / "state"
    for folder in (beside, Path(tempfile.gettempdir())):
        if not folder.is_dir():
            continue
        try:
            handle, path = tempfile.mkstemp(".traceback.log", name, folder)
        except OSError:
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as log:
            log.write(text)
        return Path(path)
    return Path(os.devnull)
