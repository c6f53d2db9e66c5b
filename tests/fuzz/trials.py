"""Trials of the kinds that need something prepared: a folder for each kind, a case by its seed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz.trial import Findings, Kind, apart

MEMORY = Path("/dev/shm")
_FOLDERS: dict[str, tuple[Path, Kind]] = {}


def case_of(kind: type[Kind]) -> Callable[[int], str]:
    """Return what tries one case of a kind and raises `AssertionError` for what it found."""

    def case(seed: int) -> str:
        home, prepared = _prepared(kind)
        folder, found = home / f"case-{seed}", Findings()
        folder.mkdir()
        try:
            with apart(home):
                prepared.attempt(Random(f"{kind.name}|{seed}"), folder, found)
        except BaseException as error:
            error.add_note(f"seed {seed}: {found.what}")
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        assert not found.wrong, "\n".join((f"seed {seed}: {found.what}", *found.wrong))
        return found.what

    return case


def _prepared(kind: type[Kind]) -> tuple[Path, Kind]:
    """Return a kind with what its trials begin with, made once a process."""
    if kind.name not in _FOLDERS:
        where = MEMORY if MEMORY.is_dir() else None
        home, made = Path(tempfile.mkdtemp(prefix="fuzz-", dir=where)), kind()
        _FOLDERS[kind.name] = home, made
        with apart(home):
            (home / "made").mkdir()
            made.prepare(home / "made")
    return _FOLDERS[kind.name]


def clean_up() -> None:
    """Remove what was made for the whole process."""
    while _FOLDERS:
        shutil.rmtree(_FOLDERS.popitem()[1][0], ignore_errors=True)
