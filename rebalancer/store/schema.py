"""Which version wrote a state file, and how an older one becomes today's.

A migration turns what version `n` wrote into what version `n + 1` writes. The older file is
kept beside the new one as `<name>.schema<n>`; killed anywhere in between, it is done again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rebalancer.errors import NewerState, StateError
from rebalancer.model.records import SCHEMA
from rebalancer.store.atomic import Files

Plain = Mapping[str, Any]
Migration = Callable[[Plain], Plain]
Migrations = Mapping[str, Mapping[int, Migration]]
"""File name -> version -> what brings one object (or one line) of it to the next version."""


def _same(plain: Plain) -> Plain:
    """Return what is told in the same words since."""
    return plain


def _standing_2(plain: Plain) -> Plain:
    """Return what is remembered, with until when executions were read.

    Version 1 asked for them from the last record on, whether or not its run had seen the venue;
    a run whose value was accepted had.
    """
    return {**plain, "executions_read": plain.get("accepted_at")}


def _record_2(plain: Plain) -> Plain:
    """Return a record; it carries what was remembered after its run."""
    standing = plain.get("standing")
    return {**plain, "standing": None if standing is None else _remembered_2(standing)}


def _remembered_2(standing: Plain) -> Plain:
    """Return what a record of version 1 says was remembered, as version 2 would."""
    return {**_standing_2(standing), "schema": 2}


MIGRATIONS: Migrations = {
    "breakers.json": {1: _standing_2},
    "record.json": {1: _record_2},
    **{
        name: {1: _same}
        for name in ("committed", "fills.jsonl", "heartbeat", "host.json", "journal.jsonl")
    },
}
"""Version 2: more is remembered (breakers, gaps, what was read); lines are as they were."""

RESTORE = "restore it from a backup or see docs/STATE.md"


def read_object(
    files: Files, path: Path, migrations: Migrations = MIGRATIONS, *, keep: bool = True
) -> Plain:
    """Return the JSON object in a file, brought to today's version.

    `keep` writes the new form back, after a copy of the old one; without it (somebody else's
    folder) nothing is written. Raises `NewerState`, or `StateError` when it is damaged.
    """
    return brought_up(files.read(path), files, path, migrations, keep=keep)


def brought_up(
    content: bytes, files: Files, path: Path, migrations: Migrations, *, keep: bool
) -> Plain:
    """Return the JSON object in a file whose content was read; see `read_object`."""
    plain: Plain = parse_object(content, path)
    version = plain["schema"]
    if version == SCHEMA:
        return plain
    plain = migrated(plain, version, path, migrations)
    if keep:
        text = json.dumps(plain, indent=1, separators=(",", ": ")) + "\n"
        keep_older(files, path, content, version)
        files.replace(path, text.encode("ascii"))
    return plain


def parse_object(content: bytes, path: Path) -> dict[str, Any]:
    """Return a JSON object that says its schema version; raises `StateError`, `NewerState`."""
    try:
        plain = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StateError(f"{path} is damaged ({error}); {RESTORE}") from error
    if not isinstance(plain, dict):
        raise StateError(f"{path} is damaged (not an object); {RESTORE}")
    check_version(plain.get("schema"), path)
    return plain


def check_version(version: object, path: Path) -> int:
    """Return a schema version that is ours or older; raises `StateError`, `NewerState`."""
    if type(version) is not int or version < 0:
        raise StateError(f"{path} is damaged (schema = {version!r}); {RESTORE}")
    if version > SCHEMA:
        raise NewerState(f"{path} has schema {version}; this program knows up to {SCHEMA}")
    return version


def migrated(plain: Plain, version: int, path: Path, migrations: Migrations) -> Plain:
    """Return an object (or a line) of an older version as today's would be."""
    steps = migrations.get(path.name, {})
    for each in range(version, SCHEMA):
        if each not in steps:
            raise StateError(f"{path} has schema {version}, which cannot be migrated; {RESTORE}")
        plain = steps[each](plain)
    return {**plain, "schema": SCHEMA} if "schema" in plain else plain


def keep_older(files: Files, path: Path, content: bytes, version: int) -> None:
    """Keep what an older version wrote beside the file; another copy that is there stays.

    After a restored backup there may be one already: then this one gets a number.
    """
    copy, number = path.with_name(f"{path.name}.schema{version}"), 1
    while files.exists(copy):
        if files.read(copy) == content:
            return
        number += 1
        copy = path.with_name(f"{path.name}.schema{version}-{number}")
    files.replace(copy, content)
