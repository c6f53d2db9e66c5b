"""`rebalancer init`: the example, made the owner's."""

from __future__ import annotations

import os
import re
import shutil
import stat
from argparse import Namespace
from importlib.resources import files
from pathlib import Path

from rebalancer.errors import RebalancerError, UsageError
from rebalancer.store.atomic import Files

EXAMPLES = {
    "ib": "portfolio.example.toml",
    "binance": "portfolio.binance.example.toml",
}
"""The example of each venue; both begin with paper money."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,8}")
_NAME_LINE = re.compile(r'^name = "main"', re.MULTILINE)


def execute(arguments: Namespace) -> int:
    """Write portfolio.toml, its state folder and the example generators."""
    name, folder = arguments.name, Path(arguments.folder).expanduser()
    if not _NAME.fullmatch(name) or name.upper() == "HALT":
        raise UsageError(f"--name {name!r}: 1 to 8 letters, digits, _ or -, and not HALT")
    path = folder / "portfolio.toml"
    first = not os.path.lexists(path)
    if not first and not arguments.force:
        raise UsageError(f"{path} is there already; --force overwrites it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Files().make_folder(folder / "state" / name)
        closed = first and _close(folder / "state")
        copied = _copy_signals(folder / "signals")
        Files().replace(path, example_text(name, arguments.venue).encode("utf-8"))
    except RebalancerError:
        raise
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: {error.strerror}") from error
    print(f"Wrote {path}: a paper portfolio with {name} as its name, every line explained.")
    if closed:
        print(f"Closed {folder / 'state'} to others (0700): a checkout leaves it open to them.")
    if copied:
        print(f"Copied generators to {folder / 'signals'}: {', '.join(copied)}.")
    option = "" if folder == Path() else f" --config {path}"
    print(
        "Next:\n"
        f"  rebalancer check{option}\n"
        f"  rebalancer run{option}       one hour; again and again: the paper market moves on\n"
        f"  rebalancer orders{option}    what was ordered, what was not, and why\n"
        f"  rebalancer status{option}"
    )
    return 0


def example_text(name: str = "main", venue: str = "ib") -> str:
    """Return the text of a first configuration; the venue's example is its one source."""
    text = (files("rebalancer") / EXAMPLES[venue]).read_text(encoding="utf-8")
    return _NAME_LINE.sub(f'name = "{name}"', text, count=1)


def _close(folder: Path) -> bool:
    """Close a state folder that git made for all to look into; return whether it was so.

    Only with the first portfolio: one that is loose later is so because its owner wants it. Nor
    do we change what a link leads to, or what is another user's.
    """
    facts = folder.lstat()
    ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()
    if not ours or not facts.st_mode & 0o077:
        return False
    folder.chmod(0o700)
    return True


def _copy_signals(folder: Path) -> list[str]:
    """Copy the example generators that are not there yet; return their names."""
    examples = Path(__file__).resolve().parents[2] / "signals"
    if not examples.is_dir() or examples == folder.resolve():
        return []
    folder.mkdir(exist_ok=True)
    copied = []
    for example in sorted(examples.glob("*.py")):
        if example.name != "__init__.py" and not os.path.lexists(folder / example.name):
            shutil.copyfile(example, folder / example.name)
            copied.append(example.name)
    return copied
