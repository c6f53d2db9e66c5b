"""Which client library speaks to Interactive Brokers: the one place that chooses.

ib_insync on Python up to 3.13, ib_async from 3.14 and wherever ib_insync is not installed.
They are never installed together.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from functools import cache
from importlib.util import find_spec
from typing import Any

from rebalancer.errors import ConfigError, Problem

LOG = logging.getLogger("rebalancer.brokers.ib")
LOG.addHandler(logging.NullHandler())

_LAST_OF_INSYNC = (3, 13)


class _Quietly(logging.Handler):
    """Tells what a library warns of to our own log, for debugging: it judges other than we do."""

    def emit(self, record: logging.LogRecord) -> None:
        LOG.debug("%s: %s", record.name, record.getMessage())


@cache
def library() -> Any:
    """Return the client library, imported on first use (a fifth of a second).

    Raises `ConfigError` when neither is installed.
    """
    name = chosen()
    if name is None:
        raise ConfigError(
            [
                Problem(
                    "the environment",
                    "ib_insync",
                    "",
                    "neither ib_insync nor ib_async is installed",
                    "make the environment anew from the lock: make demo",
                )
            ]
        )
    # eventkit asks for the current event loop while it is imported and keeps it: give it one
    # that is closed right away, so that none is left over and no Python warns or refuses.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        found = importlib.import_module(name)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    for each in (name, "eventkit"):
        logger = logging.getLogger(each)
        logger.handlers[:] = [_Quietly()]
        logger.setLevel(logging.WARNING)
        logger.propagate = False
    return found


def chosen() -> str | None:
    """Return the name of the library that would be used, None when there is none."""
    order = ["ib_insync", "ib_async"]
    if sys.version_info[:2] > _LAST_OF_INSYNC:
        order.reverse()
    return next((name for name in order if find_spec(name) is not None), None)
