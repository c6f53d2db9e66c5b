"""As much of a portfolio's file as can be read, when the rest of it is broken."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebalancer.cli.halt import NAME

if TYPE_CHECKING:
    from rebalancer.model.secret import Secret
    from rebalancer.notify.parameters import SmtpSettings

MOST_LINES = 30
"""A value may go over so many lines."""


@dataclass(frozen=True)
class Rough:
    """What was found; None where nothing usable stands."""

    path: Path
    name: str | None
    mode: str
    root: Path
    calendar: str
    interval_minutes: float
    deadline_minutes: float
    smtp: SmtpSettings | None
    password: Secret

    @property
    def folder(self) -> Path | None:
        """Return the portfolio's state folder."""
        return None if self.name is None else self.root / self.name


def read_roughly(path: Path) -> Rough:
    """Return what a file still tells, defaults elsewhere; never raises for what it says."""
    from rebalancer.config.passwords import passwords
    from rebalancer.config.sections import PortfolioSettings
    from rebalancer.config.values import Problems, read
    from rebalancer.model.secret import Secret

    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    tables = tables_of(text)
    said = tables.get("portfolio", {})
    good = read(PortfolioSettings, said, "portfolio", Problems(str(path)))
    name = str(said.get("name", ""))
    name = name if NAME.fullmatch(name) else ""
    here = path.absolute().parent
    words, _ = passwords(here, name, os.environ)
    return Rough(
        path=path,
        name=name or None,
        mode=str(said.get("mode", "")),
        root=here / Path(str(good.get("state", "state"))).expanduser(),
        calendar=str(good.get("calendar", "")),
        interval_minutes=float(good.get("interval_minutes", 60)),
        deadline_minutes=float(good.get("deadline_minutes", 20)),
        smtp=_smtp(tables.get("mail", {}), here),
        password=words.smtp or Secret(""),
    )


def tables_of(text: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the tables of a TOML text; of a broken one the keys that can be read alone."""
    try:
        whole = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        whole = _by_line(text)
    return {name: each for name, each in whole.items() if isinstance(each, dict)}


def _by_line(text: str) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    table, lines = "", text.splitlines()
    for place, line in enumerate(lines):
        bare = line.strip()
        if bare.startswith("["):
            table = bare.partition("#")[0].strip()[1:-1].strip()
        elif "=" in bare and not bare.startswith("#"):
            for key, value in _one_key(lines[place : place + MOST_LINES]).items():
                found.setdefault(table, {}).setdefault(key, value)
    return found


def _one_key(lines: list[str]) -> dict[str, Any]:
    """Return the key that begins in the first line, with as many lines as its value needs."""
    for end in range(1, len(lines) + 1):
        try:
            return tomllib.loads("\n".join(lines[:end]))
        except (tomllib.TOMLDecodeError, RecursionError, ValueError):
            if end < len(lines) and lines[end].lstrip().startswith("["):
                break
    return {}


def _smtp(table: Mapping[str, Any], here: Path) -> SmtpSettings | None:
    from rebalancer.config.values import Problems, read
    from rebalancer.notify.parameters import SmtpSettings

    values = read(SmtpSettings, table, "mail", Problems("mail"))
    if not {"host", "sender", "recipients"} <= values.keys():
        return None
    smtp = SmtpSettings(**values)
    return replace(smtp, cafile=str(here / Path(smtp.cafile).expanduser())) if smtp.cafile else smtp
