"""The HALT files of a portfolio, as they were when the owner looked, and their end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rebalancer.errors import UsageError
from rebalancer.model.words import newest

if TYPE_CHECKING:
    from rebalancer.config import Config

HALT_FILE = "halt-file"
HALT_FILE_OF_ALL = "halt-file:all"
"""The words for `resume`: this portfolio's file, and the one that stops every portfolio."""


def halt_files(config: Config) -> list[Path]:
    """Return the HALT files that stop this portfolio: its own, and the one that stops all."""
    found = (config.state_folder / "HALT", config.state_root / "HALT")
    return [path for path in found if os.path.lexists(path)]


@dataclass(frozen=True)
class HaltFile:
    """A HALT file as it was shown: another content afterwards was never seen by the owner.

    `content` is None for what cannot be read; then `trouble` says why, and `mark` tells
    whether it is still the same.
    """

    path: Path
    content: bytes | None
    trouble: str = ""
    mark: tuple[int, ...] = ()

    @staticmethod
    def seen(path: Path) -> HaltFile:
        """Return what is there now; whatever it is, that it is there is what halts."""
        try:
            return HaltFile(path, path.read_bytes())
        except OSError as error:
            found = path.lstat() if os.path.lexists(path) else None
            mark = () if found is None else (found.st_ino, found.st_size, found.st_mtime_ns)
            return HaltFile(path, None, error.strerror or str(error), mark)

    @property
    def words(self) -> str:
        """Return what it says, on one line."""
        if self.content is None:
            return f"(it cannot be read: {self.trouble})"
        return " ".join(newest(self.content.decode("utf-8", "replace")).split())


def to_end(
    config: Config, halts: Sequence[HaltFile], typed: Sequence[str], *, everything: bool
) -> list[HaltFile]:
    """Return the HALT files that were named: that of all portfolios only by its own word.

    Raises `UsageError` for one that is not there or is a folder.
    """
    own = everything or HALT_FILE in typed or not typed
    folders = {config.state_folder: own, config.state_root: HALT_FILE_OF_ALL in typed}
    ending = [halt for halt in halts if folders[halt.path.parent]]
    found = {halt.path.parent for halt in halts}
    if HALT_FILE in typed and config.state_folder not in found:
        more = f" of {config.name}; {HALT_FILE_OF_ALL} is another word" if found else ""
        raise UsageError(f"there is no HALT file{more}; nothing was cleared")
    if HALT_FILE_OF_ALL in typed and config.state_root not in found:
        raise UsageError("there is no HALT file of all portfolios; nothing was cleared")
    for halt in ending:
        if halt.path.is_dir() and not halt.path.is_symlink():
            raise UsageError(
                f"{halt.path} is a folder: move it away by hand, it halts as long as it is there; "
                "nothing was cleared"
            )
    return ending


def remove(halt: HaltFile) -> bool:
    """Remove a HALT file unless it changed since it was shown; return whether it went."""
    from rebalancer.store.atomic import Files

    if not os.path.lexists(halt.path):
        print(f"{halt.path} is gone already.")
        return True
    now = HaltFile.seen(halt.path)
    if now != halt:
        print(f"{halt.path} STAYS: it changed meanwhile. It says now: {now.words}")
        return False
    Files().remove(halt.path)
    print(f"Removed {halt.path}.")
    return True
