"""As much of a portfolio's file as can be read, when the rest of it is broken."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebalancer.cli.halt import NAME

if TYPE_CHECKING:
    from rebalancer.model.secret import Secret
    from rebalancer.notify.parameters import SmtpSettings

MOST_LINES = 30
"""A value may go over so many lines."""

_HEADING = re.compile(r"""\[+\s*["']?([^]"'#]*)""")


@dataclass(frozen=True)
class Rough:
    """What was found; None where nothing usable stands.

    `root` is None where the file names a folder that cannot be told. `mail_trouble` says why the
    mail server that the file speaks of cannot be used; '' where it can, or where none is wanted.
    """

    path: Path
    name: str | None
    mode: str
    root: Path | None
    calendar: str
    interval_minutes: float
    deadline_minutes: float
    smtp: SmtpSettings | None
    password: Secret
    mail_trouble: str = ""

    @property
    def folder(self) -> Path | None:
        """Return the portfolio's state folder."""
        return None if self.name is None or self.root is None else self.root / self.name


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
    name = str(said.get("name") or "")
    name = name if NAME.fullmatch(name) else ""
    here = path.absolute().parent
    words, _ = passwords(here, name, os.environ)
    smtp, mail_trouble = _smtp(tables.get("mail", {}), here)
    return Rough(
        path=path,
        name=name or None,
        mode=str(said.get("mode", "")),
        root=_root(good.get("state"), here),
        calendar=str(good.get("calendar", "")),
        interval_minutes=float(good.get("interval_minutes", 60)),
        deadline_minutes=float(good.get("deadline_minutes", 20)),
        smtp=smtp,
        password=words.smtp or Secret(""),
        mail_trouble=mail_trouble,
    )


def tables_of(text: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the tables of a TOML text; of a broken one the keys that can be read alone.

    There a key that cannot be read is None. What stands by a table's name and is none is its
    nameless key: somebody meant something by it.
    """
    try:
        whole = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        whole = _by_line(text)
    return {name: each if isinstance(each, dict) else {"": each} for name, each in whole.items()}


def _by_line(text: str) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    table, lines = "", text.splitlines()
    for place, line in enumerate(lines):
        bare = line.strip()
        if bare.startswith("["):
            heading = _HEADING.match(bare)  # also of one that is not closed
            table = heading[1].strip() if heading else ""
        elif "=" in bare and not bare.startswith("#"):
            keys = found.setdefault(table, {})
            unread = {bare.partition("=")[0].strip(" \t\"'"): None}
            for key, value in (_one_key(lines[place : place + MOST_LINES]) or unread).items():
                if keys.get(key) is None:
                    keys[key] = value
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


def _root(state: str | None, here: Path) -> Path | None:
    """Return the folder of every portfolio's state; None where it cannot be told."""
    try:
        return None if state is None else here / Path(state).expanduser()
    except RuntimeError:  # the home of a user whom nobody knows
        return None


def _smtp(table: Mapping[str, Any], here: Path) -> tuple[SmtpSettings | None, str]:
    """Return the mail server and what is wrong with it; neither where none is spoken of.

    A key that nobody knows speaks of one, too: it may be a `host` with a slip of the pen.
    """
    from rebalancer.config.sections import MailSettings
    from rebalancer.config.values import Problems, read
    from rebalancer.notify.parameters import SmtpSettings

    problems = Problems("[mail]")
    values = read(SmtpSettings, table, "mail", problems)
    if not table.keys() - {field.name for field in fields(MailSettings)}:
        return None, ""
    if not {"host", "sender", "recipients"} <= values.keys():
        words = "; ".join(f"{each.key}: {each.message}" for each in problems.found)
        return None, f"the mail server of [mail] cannot be used: {words}"
    smtp = SmtpSettings(**values)
    if smtp.cafile:
        with suppress(RuntimeError):  # as it stands no certificates are found: that is told
            smtp = replace(smtp, cafile=str(here / Path(smtp.cafile).expanduser()))
    return smtp, ""
