"""The state folder of a portfolio: what earlier runs left and this one adds to.

Writes go journal, fills, equity, breakers, trades view, host, record; docs/STATE.md says what
is true at any time because of that order.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from rebalancer.errors import DataError, StateError
from rebalancer.model.codec import from_plain, to_json, to_plain
from rebalancer.model.orders import PlanLine
from rebalancer.model.records import (
    SCHEMA,
    Entry,
    EquityPoint,
    RunRecord,
    Standing,
    TradeRecord,
)
from rebalancer.model.words import newest
from rebalancer.store.atomic import Files
from rebalancer.store.csv_log import equity_csv, equity_row, orders_csv, read_equity, trades_csv
from rebalancer.store.journal import JsonLines
from rebalancer.store.journal_lines import trouble_of
from rebalancer.store.packing import PackedRun, archive_of, old_runs, pack_run, packed_names
from rebalancer.store.remembered_times import require_times
from rebalancer.store.schema import MIGRATIONS, RESTORE, Migrations, brought_up, read_object
from rebalancer.store.unfinished import died_after_all

RUNS = "runs"
RECORD = "record.json"
JOURNAL = "journal.jsonl"
FILLS = "fills.jsonl"
EQUITY = "equity.csv"
TRADES = "trades.csv"
BREAKERS = "breakers.json"
HALT = "HALT"
_NAME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d)(\d\d)Z", re.ASCII)

Kind = TypeVar("Kind")


def slot_name(slot: datetime) -> str:
    """Return the name of a slot's folder: `2026-01-05T1505Z`."""
    return slot.astimezone(UTC).strftime("%Y-%m-%dT%H%MZ")


def slot_of_name(name: str) -> datetime | None:
    """Return the slot of a folder's name, None when it is none."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    year, month, day, hour, minute = (int(part) for part in match.groups())
    try:
        return datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None


class StateFolder:
    """`state/<portfolio>/` behind `ports.Books`.

    With `base` (a dry run), what this object has not written itself is read from `base`, and
    `base` is never written: the live state as it is now, whatever earlier dry runs left.
    Reading raises `StateError` for a damaged file and `NewerState` for a newer one.
    """

    def __init__(
        self,
        root: Path,
        files: Files,
        base: StateFolder | None = None,
        migrations: Migrations = MIGRATIONS,
        *,
        writable: bool = True,
    ) -> None:
        self.root = root
        self._files, self._migrations, self._writable = files, migrations, writable
        self._base = None if base is None else base.for_reading()
        self._standing: Standing | None = None
        self._saved: dict[datetime, RunRecord] = {}
        self._decoded: dict[datetime, tuple[bytes, RunRecord]] = {}
        self._fills_path, self._halts = root / FILLS, (root / HALT, root.parent / HALT)
        self._fills = self._lines(self._fills_path)
        self._entries: list[Entry] = []
        self._least: int | None = None
        self._journals: dict[datetime, JsonLines] = {}
        self._folders: dict[datetime, Path] = {}

    def for_reading(self) -> StateFolder:
        """Return the same folder for a reader: an older version's files stay as they are."""
        return StateFolder(self.root, self._files, None, self._migrations, writable=False)

    def check(self) -> None:
        """Raise `StateError` for what would only come to light after orders were sent.

        Damaged or missing books, and a folder where the view of the trades is to be written.
        """
        self.entries()
        self.equity()
        self._files.require_no_folder(self.root / TRADES)

    # ------------------------------------------------------------------- what is remembered

    def standing(self) -> Standing:
        """Return what is remembered from run to run, a fresh one for a new portfolio."""
        if self._base is not None:
            return self._standing or self._base.standing()
        path = self.root / BREAKERS
        if not self._files.exists(path):
            self._refuse_lost_memory(path)
            return Standing()
        standing = _decoded(Standing, self._object(path), path)
        require_times(standing, path)
        return standing

    def save_standing(self, standing: Standing) -> None:
        """Replace what is remembered."""
        self._standing = replace(standing, schema=SCHEMA)
        self._put(self.root / BREAKERS, self._standing)

    def halt_reason(self) -> str | None:
        """Return what the HALT files say, of this portfolio and of all; None without one."""
        if self._base is not None:
            return self._base.halt_reason()
        found = [self._words(path) for path in self._halts if self._files.exists(path)]
        if len(found) > 1:  # each shows, so that one that comes to another changes the words
            found = [words or "no reason given" for words in found]
        return "; ".join(found) if found else None

    # ------------------------------------------------------------------------ executions

    def entries(self, start: int = 0) -> tuple[Entry, ...]:
        """Return the lines of `fills.jsonl` from `start` on; each is decoded once.

        Raises `StateError` when there are fewer than the last record counted.
        """
        if self._base is not None:
            return (*self._base.entries(), *self._entries)[start:]
        path, known = self._fills_path, len(self._entries)
        if self._least is None:  # before the file is read: a run may be adding to both
            last = self.last_record()
            self._least = 0 if last is None else last.entries
        raw = self._fills.raw()
        if len(raw) < max(known, self._least):
            raise StateError(
                f"{path} has {len(raw)} lines, {max(known, self._least)} were counted; {RESTORE}"
            )
        fresh = self._fills.parsed(raw[known:], known)
        self._entries += [_decoded(Entry, line, path) for line in fresh]
        return tuple(self._entries[start:])

    def book(self, entries: Sequence[Entry]) -> int:
        """Append lines that are not there yet (by kind and execution id); return how many."""
        known = {(entry.kind, entry.fill.exec_id) for entry in self.entries()}
        fresh = []
        for entry in entries:
            if (key := (entry.kind, entry.fill.exec_id)) not in known:
                known.add(key)
                fresh.append(entry)
        if not fresh:
            return 0
        if self._base is not None and not self._entries:
            self._files.remove(self._fills_path)  # of an earlier dry run
        self._fills.append([to_plain(entry) for entry in fresh], durable=True)
        if self._base is not None:
            self._entries += fresh
        return len(fresh)

    # -------------------------------------------------------------------------- the runs

    def last_record(self) -> RunRecord | None:
        """Return the newest complete record, None for a new portfolio."""
        if self._base is not None:
            candidates = [*self._saved.values(), self._base.last_record()]
            found = [record for record in candidates if record is not None]
            return max(found, key=lambda record: record.slot, default=None)
        for slot in self._slots(newest_first=True):
            if (record := self.record(slot)) is not None:
                return record
        return None

    def record(self, slot: datetime) -> RunRecord | None:
        """Return the record of a slot, None when it has none (a dry run: none of its own)."""
        if self._base is not None:
            return self._saved.get(slot)
        path = self._run(slot) / RECORD
        if not self._files.exists(path):
            path, plain = self._record(slot)
            return None if plain is None else _decoded(RunRecord, plain, path)
        content = self._files.read(path)
        known = self._decoded.get(slot)
        if known is not None and known[0] == content:
            return known[1]  # most steps ask for the last record: it is decoded once
        plain = brought_up(content, self._files, path, self._migrations, keep=self._writable)
        record = _decoded(RunRecord, plain, path)
        self._decoded = {slot: (content, record)}
        return record

    def records(self, session: date) -> tuple[RunRecord, ...]:
        """Return the complete records of one session date, oldest first."""
        if self._base is not None:
            own = {r.slot: r for r in self._saved.values() if r.session == session}
            merged = {record.slot: record for record in self._base.records(session)} | own
            return tuple(merged[slot] for slot in sorted(merged))
        found = []
        # A session's date and the UTC date of its first run are at most a day apart; the last
        # run of it may lie beyond a weekend or a holiday.
        first = session - timedelta(days=1)
        slots = {*self._slots(since=first), *self._packed_slots(since=first)}
        for slot in sorted(slots):
            path, plain = self._record(slot)
            if plain is None:
                continue
            if str(plain.get("session") or "") > session.isoformat():
                break
            if plain.get("session") == session.isoformat():
                found.append(_decoded(RunRecord, plain, path))
        return tuple(found)

    def unfinished(self) -> tuple[datetime, ...]:
        """Return the slots at which a run died and that no later run has finished, oldest first.

        None for a dry run: what a live run leaves, maybe while it is at work, is its own.
        """
        if self._base is not None:
            return ()
        open_runs = {slot for slot in self._slots() if not self._has(slot, RECORD)}
        died = {slot for slot in open_runs if self._has(slot, JOURNAL)}
        newest = (each for each in self._slots(newest_first=True) if self._has(each, JOURNAL))
        return tuple(sorted(died.union(died_after_all(newest, self.journal, self.record))))

    def journal(self, slot: datetime) -> tuple[Mapping[str, Any], ...]:
        """Return the lines of a slot's journal; a torn last line is left out."""
        if self._base is None and not self._has(slot, JOURNAL):
            archive = archive_of(self._run(slot))
            packed = PackedRun(self._files, archive)
            path = archive / JOURNAL
            lines = JsonLines(packed, path, self._migrations, writable=False, trouble=trouble_of)
            return lines.lines()
        return self._journal(slot).lines()

    def note(self, slot: datetime, line: Mapping[str, Any], *, durable: bool) -> None:
        """Append one line to a slot's journal; `durable` waits for the disk."""
        self._journal(slot).append([line], durable=durable)

    def save_orders(self, slot: datetime, lines: Sequence[PlanLine], *, label: str) -> None:
        """Write the order file of a slot; `label` is its column `mode`."""
        self._files.replace(self._run(slot) / "orders.csv", orders_csv(lines, label))

    def save_record(
        self, record: RunRecord, host: Mapping[str, Any], trades: Sequence[TradeRecord]
    ) -> None:
        """Write a run's equity row, the trades view, the host's facts and, last, the record.

        Raises `StateError` when the record counts more executions than are logged.
        """
        logged = len(self.entries())
        if record.entries > logged:
            raise StateError(f"the record counts {record.entries} fill lines, {logged} are logged")
        folder = self._run(record.slot)
        if record.equity is not None:
            self._save_equity(record.equity)
        self._files.replace(self.root / TRADES, trades_csv(trades))
        self._put(folder / "host.json", {"schema": SCHEMA, **host})
        self._put(folder / RECORD, record)
        self._saved[record.slot] = record

    def pack(self, before: datetime, keep: frozenset[datetime] = frozenset()) -> int:
        """Pack the complete runs before a time, but `keep`, a few at once; return how many.

        A dry run packs nothing. The newest record always stays.
        """
        if self._base is not None:
            return 0
        done = [slot for slot in self._slots() if self._has(slot, RECORD)][:-1]
        folders = old_runs([(slot, self._run(slot)) for slot in done if slot not in keep], before)
        for folder in folders:
            pack_run(self._files, folder)
        return len(folders)

    # ------------------------------------------------------------------------------ equity

    def equity(self) -> tuple[EquityPoint, ...]:
        """Return the rows of `equity.csv`, oldest first."""
        if self._base is not None:
            own = [r.equity for r in self._saved.values() if r.equity is not None]
            return _merged(self._base.equity(), own)
        path = self.root / EQUITY
        if not self._files.exists(path):
            last = self.last_record()
            if last is not None and last.equity is not None:
                raise StateError(f"{path} is missing though runs have ended; {RESTORE}")
            return ()
        return read_equity(self._files.read(path), path)

    def _save_equity(self, point: EquityPoint) -> None:
        path = self.root / EQUITY
        points = self.equity()
        whole = self._base is None and self._files.exists(path)
        whole = whole and self._files.read(path).endswith(b"\n")
        if whole and points and points[-1].slot < point.slot:
            self._files.append(path, equity_row(point))
        else:
            self._files.replace(path, equity_csv(_merged(points, [point])))

    # ------------------------------------------------------------------------------- parts

    def _refuse_lost_memory(self, path: Path) -> None:
        """Raise when a portfolio has run before: it must not go on as if it were new."""
        if any(self._has(slot, RECORD) for slot in self._slots(newest_first=True)):
            raise StateError(f"{path} is missing though runs have ended; {RESTORE}")

    def _slots(self, *, since: date = date.min, newest_first: bool = False) -> Iterator[datetime]:
        """Go through the slots that have a folder; names sort like times."""
        names = self._files.listing(self.root / RUNS)
        names = names[bisect_left(names, since.isoformat()) :]
        for name in reversed(names) if newest_first else names:
            if (slot := slot_of_name(name)) is not None:
                yield slot

    def _packed_slots(self, since: date) -> Iterator[datetime]:
        names = packed_names(self._files, self.root / RUNS)
        for name in names[bisect_left(names, since.isoformat()) :]:
            if (slot := slot_of_name(name)) is not None:
                yield slot

    def _record(self, slot: datetime) -> tuple[Path, Mapping[str, Any] | None]:
        """Return where the record of a slot is, packed or not, and what it says."""
        path = self._run(slot) / RECORD
        if self._files.exists(path):
            return path, self._object(path)
        archive = archive_of(self._run(slot))
        packed, path = PackedRun(self._files, archive), archive / RECORD
        if not packed.exists(path):
            return path, None
        return path, read_object(packed, path, self._migrations, keep=False)

    def _run(self, slot: datetime) -> Path:
        if slot not in self._folders:
            self._folders[slot] = self.root / RUNS / slot_name(slot)
        return self._folders[slot]

    def _has(self, slot: datetime, name: str) -> bool:
        return self._files.exists(self._run(slot) / name)

    def _object(self, path: Path) -> Mapping[str, Any]:
        return read_object(self._files, path, self._migrations, keep=self._writable)

    def _journal(self, slot: datetime) -> JsonLines:
        if slot not in self._journals:
            self._journals[slot] = self._lines(self._run(slot) / JOURNAL, trouble_of)
        return self._journals[slot]

    def _lines(
        self, path: Path, trouble: Callable[[Mapping[str, Any]], str] = lambda _line: ""
    ) -> JsonLines:
        return JsonLines(
            self._files, path, self._migrations, writable=self._writable, trouble=trouble
        )

    def _put(self, path: Path, value: Any) -> None:
        self._files.replace(path, f"{to_json(value, indent=1)}\n".encode("ascii"))

    def _words(self, path: Path) -> str:
        try:
            return newest(self._files.read(path).decode("utf-8", "replace").strip())
        except StateError:
            return "(it cannot be read)"


def _merged(points: Sequence[EquityPoint], newer: Sequence[EquityPoint]) -> tuple[EquityPoint, ...]:
    """Return rows by slot, the newer ones instead of those of the same slot."""
    rows = {point.slot: point for point in (*points, *newer)}
    return tuple(rows[slot] for slot in sorted(rows))


def _decoded(kind: type[Kind], plain: Any, path: Path) -> Kind:
    try:
        return from_plain(kind, plain, str(path))
    except DataError as error:
        raise StateError(f"{error}; the file is damaged: {RESTORE}") from error
