"""A dry run writes below `dry/` and nowhere else: what lies beside it is looked at twice."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

DRY = "dry"
"""The folder of the portfolio's folder that belongs to dry runs."""

NOT_OF_A_RUN = frozenset({"HALT", "lock"})
"""Files that come and go from outside while a run is at work: the owner's, and the lock."""


def live_files(state: Path) -> Mapping[str, str]:
    """Return the SHA-256 of each file that is a live run's, by its path in the state folder.

    Folders have none, and count too: a dry run makes none.
    """
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(state):
        here = Path(folder)
        if here == state:
            folders[:] = [name for name in folders if name != DRY]
            files[:] = [name for name in files if name not in NOT_OF_A_RUN]
        for name in folders:
            found[f"{(here / name).relative_to(state).as_posix()}/"] = ""
        for name in files:
            path = here / name
            found[path.relative_to(state).as_posix()] = sha256(path.read_bytes()).hexdigest()
    return found


def touched(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return which files came, went or changed between two looks, sorted."""
    names = sorted({*before, *after})
    return tuple(name for name in names if before.get(name) != after.get(name))
