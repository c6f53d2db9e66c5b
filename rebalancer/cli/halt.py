"""`rebalancer halt`: nothing is sent until `resume`. Needs as little as possible to work."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import stat
import tomllib
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from rebalancer.cli.arguments import DEFAULT_CONFIG
from rebalancer.clock import SystemClock
from rebalancer.errors import StateError, UsageError
from rebalancer.model.words import plain
from rebalancer.store.atomic import Files

HALT = "HALT"
TRACES = ("breakers.json", "heartbeat", "lock")
"""What every run leaves in its portfolio's folder: where none of them is, none has been."""
DRY = "dry"
"""Where dry runs keep their books; they look for HALT files where others do."""
_LINE = re.compile(r"""^\s*(?P<key>name|state)\s*=\s*["'](?P<value>[^"']*)["']""", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9_-]{1,8}")


def execute(arguments: Namespace) -> int:
    """Add a line with time, user and reason to a HALT file; that the file exists is what halts."""
    folder = halt_folder(arguments)
    known = [each for each in (folder, *_children(folder)) if _has_run(each)]
    reason = " ".join(plain(" ".join(arguments.reason)).split()) or "no reason given"
    line = f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ} {_user()}: {reason}\n"
    path = folder / HALT
    try:
        Files().append(path, line.encode("utf-8"))
    except StateError as error:
        if not os.path.lexists(path):  # a link that leads nowhere halts too; not knowing is no
            raise StateError(f"{error}; NOTHING is halted") from error
        # The file is there, if without a reason (a full disk): that is what halts.
        print(f"its reason could not be written: {error}")
    if not known:
        _warn(arguments, path)
        return 0
    which = "" if arguments.state or arguments.config == DEFAULT_CONFIG else " --config "
    which += shlex.quote(arguments.config) if which else ""
    word = "resume halt-file:all" if _is_for_all(arguments, folder) else "resume"
    print(f"Halted by {path}: no run sends an order until `rebalancer {word}{which}`.")
    print("A run that is at work now stops and cancels what it has at the venue by itself.")
    print(f"If none is at work, `rebalancer cancel{which}` cancels what is left there.")
    return 0


def _warn(arguments: Namespace, path: Path) -> None:
    """Say that no run ever looked at this file. Raises `UsageError` when nothing says one will."""
    near = _children(path.absolute().parent.parent)
    others = [str(each) for each in near if each.name != path.parent.name and _has_run(each)]
    hint = f" Runs have been in {', '.join(others)}: none of these is halted." if others else ""
    if arguments.state or not _is_toml(Path(arguments.config)):
        raise UsageError(
            f"{path} is written, but NO RUN HAS EVER BEEN THERE: what is at work goes on."
            f"{hint} Name the folder that has breakers.json, or the portfolio's own file with -c"
        )
    print(f"Written: {path}. NO RUN HAS BEEN HERE YET; the first one will find it.{hint}")
    print("If a run should have been here, this is the wrong file, or the name in it is wrong.")


def _is_for_all(arguments: Namespace, folder: Path) -> bool:
    """Return whether the folder is that of portfolios, not one portfolio's own."""
    return bool(arguments.all) if not arguments.state else not _has_run(folder)


def _has_run(folder: Path) -> bool:
    """Return whether a run has been in a portfolio's folder; it is no error not to know."""
    return folder.name != DRY and any(os.path.lexists(folder / name) for name in TRACES)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:
        return []


def _is_toml(path: Path) -> bool:
    try:
        tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def halt_folder(arguments: Namespace) -> Path:
    """Return the folder whose HALT file is meant: a portfolio's, or the one of all.

    Reads only `[portfolio] name` and `state` of the file, so that any other trouble in the
    configuration is no obstacle. Raises `UsageError` when the folder cannot be told.
    """
    if arguments.state:
        return _named(arguments.state)
    path = Path(arguments.config)
    try:
        portfolio = _portfolio(path.read_text(encoding="utf-8"))
        root = path.absolute().parent / Path(portfolio.get("state", "state")).expanduser()
        name = "" if arguments.all else str(portfolio["name"])
        if "\0" in str(root):
            raise ValueError("no folder has such a name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise UsageError(
            f"{path} does not tell the state folder; NOTHING is halted. Name the folder: "
            "rebalancer halt --state state/NAME"
        ) from error
    if not arguments.all and not NAME.fullmatch(name):
        raise UsageError(f"{path}: portfolio.name {name!r} is no name; name the folder: --state")
    return root / name


def _named(text: str) -> Path:
    """Return the folder that is named by hand. Raises `UsageError` when it is not one for sure."""
    root = Path(text)
    try:
        root = root.expanduser()
        trouble = "" if stat.S_ISDIR(root.stat().st_mode) else "it is no folder"
    except FileNotFoundError:
        trouble = "there is no such folder"
    except (OSError, RuntimeError, ValueError) as error:
        trouble = f"it cannot be looked at: {getattr(error, 'strerror', None) or error}"
    if trouble:
        raise UsageError(f"--state {text}: {trouble}; NOTHING is halted")
    return root


def _portfolio(text: str) -> Mapping[str, str]:
    """Return name and state of a configuration, even of one that is not TOML any more."""
    try:
        found: Mapping[str, str] = tomllib.loads(text)["portfolio"]
    except tomllib.TOMLDecodeError:
        section = text.partition("[portfolio]")[2].partition("\n[")[0]
        found = {m["key"]: m["value"] for m in _LINE.finditer(section)}
    return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"uid {os.getuid()}"
