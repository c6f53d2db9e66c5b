"""`rebalancer halt`: nothing is sent until `resume`. Needs as little as possible to work."""

from __future__ import annotations

import getpass
import os
import re
import tomllib
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from rebalancer.clock import SystemClock
from rebalancer.errors import StateError, UsageError
from rebalancer.model.words import plain
from rebalancer.store.atomic import Files

HALT = "HALT"
_LINE = re.compile(r"""^\s*(?P<key>name|state)\s*=\s*["'](?P<value>[^"']*)["']""", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9_-]{1,8}")


def execute(arguments: Namespace) -> int:
    """Add a line with time, user and reason to a HALT file; that the file exists is what halts."""
    folder = halt_folder(arguments)
    reason = " ".join(plain(" ".join(arguments.reason)).split()) or "no reason given"
    line = f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ} {_user()}: {reason}\n"
    path = folder / HALT
    try:
        Files().append(path, line.encode("utf-8"))
    except StateError as error:
        if not path.exists():
            raise StateError(f"{error}; NOTHING is halted") from error
        # The file is there, if without a reason (a full disk): that is what halts.
        print(f"its reason could not be written: {error}")
    print(f"Halted by {path}: no run sends an order until `rebalancer resume`.")
    print("A run that is at work cancels its open orders. When none is: rebalancer cancel.")
    return 0


def halt_folder(arguments: Namespace) -> Path:
    """Return the folder whose HALT file is meant: a portfolio's, or the one of all.

    Reads only `[portfolio] name` and `state` of the file, so that any other trouble in the
    configuration is no obstacle. Raises `UsageError` when the folder cannot be told.
    """
    if arguments.state:
        root = Path(arguments.state).expanduser()
        if not root.is_dir():
            raise UsageError(f"--state {root}: there is no such folder")
        return root
    path = Path(arguments.config)
    try:
        portfolio = _portfolio(path.read_text(encoding="utf-8"))
        root = path.absolute().parent / Path(portfolio.get("state", "state")).expanduser()
        name = "" if arguments.all else str(portfolio["name"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} does not tell the state folder; NOTHING is halted. Name the folder: "
            "rebalancer halt --state state/NAME"
        ) from error
    if not arguments.all and not NAME.fullmatch(name):
        raise UsageError(f"{path}: portfolio.name {name!r} is no name; name the folder: --state")
    return root / name


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
