"""The times that `breakers.json` keeps as texts: one that is none would be noticed too late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rebalancer.errors import StateError
from rebalancer.model.records import Standing
from rebalancer.store.schema import RESTORE


def require_times(standing: Standing, path: Path) -> None:
    """Raise `StateError` for a text that is no time with its zone; `path` is named."""
    for key, text in _times_of(standing):
        if not _is_time(text):
            words = f"{path}.{key}: {text!r} is not a time with its zone"
            raise StateError(f"{words}; the file is damaged: {RESTORE}")


def _times_of(standing: Standing) -> Iterator[tuple[str, str]]:
    """Yield the times that a standing keeps as texts, and where."""
    yield from (("values", text) for text in standing.values)
    yield from ((f"alerts.{key}", text) for key, text in standing.alerts.items())
    if "income" in standing.due:
        yield "due.income", standing.due["income"]
    for flag in standing.latched:
        if flag.code == "unresolved-order" and (text := flag.evidence.partition("|")[2]):
            yield "latched.evidence", text


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
