"""Passwords: from the environment, else from `secrets.toml` beside the portfolio's file."""

from __future__ import annotations

import os
import re
import stat
import tomllib
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rebalancer.config.sections import Passwords
from rebalancer.config.values import Problems, nearest
from rebalancer.model.secret import SHORTEST, Secret
from rebalancer.notify.ping import ping_trouble

SECRETS_FILE = "secrets.toml"
KNOWN = (
    "smtp_password",
    "database_password",
    "binance_api_key",
    "binance_api_secret",
    "ping_url",
)


def passwords(
    folder: Path, name: str, environment: Mapping[str, str]
) -> tuple[Passwords, Problems]:
    """Return a portfolio's passwords and what is wrong with the file they may stand in.

    `REBALANCER_<NAME>_SMTP_PASSWORD` comes before `REBALANCER_SMTP_PASSWORD`, both before
    `[<name>] smtp_password` and `smtp_password` of the file. The file is read only when
    nobody but its owner can.
    """
    path = folder / SECRETS_FILE
    problems = Problems(str(path))
    stored = _stored(path, problems)
    own = stored.get(name, {}) if name else {}
    if not isinstance(own, dict):
        problems.add(name, None, "must be a table of a portfolio's own secrets")
        own = {}
    found = {}
    for key in KNOWN:
        word = key.upper()
        text = environment.get(f"REBALANCER_{env_name(name)}_{word}") if name else None
        text = text or environment.get(f"REBALANCER_{word}") or own.get(key) or stored.get(key)
        if text is not None and not isinstance(text, str):
            problems.add(key, "", "must be text in quotes")
            text = None
        text = text.rstrip("\r\n") if text else text  # what `cat` and editors leave behind it
        if text and (trouble := _trouble(key, text)):
            problems.add(key, None, trouble)
            text = None
        found[key] = Secret(text) if text else None
    words = Passwords(
        smtp=found["smtp_password"],
        database=found["database_password"],
        binance_key=found["binance_api_key"],
        binance_secret=found["binance_api_secret"],
        ping=found["ping_url"],
    )
    return words, problems


def env_name(name: str) -> str:
    """Return a portfolio's name as it stands within the name of an environment variable."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _stored(path: Path, problems: Problems) -> dict[str, Any]:
    """Return what the secrets file says; nothing when others could read or change it."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return {}
    except OSError as error:
        problems.add("file", None, f"cannot be looked at: {error.strerror}")
        return {}
    if facts.st_uid != os.getuid():
        problems.add("file", None, "belongs to another user", f"chown {os.getuid()} {path}")
        return {}
    if stat.S_IMODE(facts.st_mode) & 0o077:
        mode = f"{stat.S_IMODE(facts.st_mode):04o}"
        problems.add("permissions", mode, "others can read or change it", f"chmod 600 {path}")
        return {}
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        # Its words could quote what stands there: only the place is told.
        place = re.search(r"\(at [^)]*\)", str(error))
        problems.add("file", None, f"cannot be read as TOML {place[0] if place else ''}".strip())
        return {}
    for key, value in stored.items():
        keys = value if isinstance(value, dict) else {}
        if not isinstance(value, dict) and key not in KNOWN:
            problems.add(key, None, "unknown key", _hint(key))
        for inner in keys:
            if inner not in KNOWN:
                problems.add(f"{key}.{inner}", None, "unknown key", _hint(inner))
    return stored


def _trouble(key: str, text: str) -> str:
    """Return what is wrong with a secret, '' for nothing; its letters are not told.

    Libraries show what they cannot send: nothing like that gets as far as to them.
    """
    Secret(text)  # it is one, also when it is refused
    if key == "ping_url":
        return ping_trouble(text)
    if key.startswith("binance_") and not all("!" <= letter <= "~" for letter in text):
        return "has letters that no key has (blanks, line ends, letters beyond ASCII)"
    if len(text) < SHORTEST:
        return f"has less than {SHORTEST} letters: it could not be kept out of logs and mails"
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        return "has control characters (line ends?) in it"
    return ""


def _hint(key: str) -> str:
    return nearest(key, KNOWN) or f"known: {', '.join(KNOWN)}"
