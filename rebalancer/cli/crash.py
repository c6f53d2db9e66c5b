"""Where the traceback of a bug goes, so that the owner is told a path and not a page."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from rebalancer.clock import SystemClock


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
