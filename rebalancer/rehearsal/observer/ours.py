"""What our runs left on the disk, read afterwards with plain files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from rebalancer.errors import DataError
from rebalancer.model.codec import from_plain
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import ApprovedOrder, Fill, execution_revision
from rebalancer.model.records import Entry, EntryKind, RunRecord
from rebalancer.store.books import slot_of_name

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Intent:
    """An approved order as a journal has it: which attempt at which slot wrote it, and where.

    `place` is the number of its line in the journal; `order` None: it is a stop.
    """

    slot: datetime
    attempt: int
    place: int
    reference: str
    instrument: InstrumentId
    quantity: Decimal
    order: ApprovedOrder | None


class Ours:
    """The state folder of one portfolio. Raises `DataError` for a file that cannot be read."""

    def __init__(self, state: Path) -> None:
        self.state = state

    @cached_property
    def journals(self) -> Mapping[datetime, Sequence[Line]]:
        """Return the whole lines of each slot's journal, oldest slot first."""
        return {
            slot: _lines(folder / "journal.jsonl")
            for slot, folder in self._runs()
            if (folder / "journal.jsonl").exists()
        }

    @cached_property
    def records(self) -> Mapping[datetime, RunRecord]:
        """Return the record of each slot that has one, oldest first."""
        return {
            slot: _record(folder / "record.json")
            for slot, folder in self._runs()
            if (folder / "record.json").exists()
        }

    @cached_property
    def intents(self) -> Mapping[str, Intent]:
        """Return every approved order and stop of the journals by reference."""
        return {
            each.reference: each
            for slot, lines in self.journals.items()
            for place, line in enumerate(lines)
            for each in _intents(slot, place, line)
        }

    def command(self, slot: datetime, attempt: int) -> str:
        """Return what the owner typed that became an attempt at a slot, '' where it was a run."""
        for line in self.journals.get(slot, ()):
            if line.get("kind") == "begin" and line["attempt"] == attempt:
                return str(line.get("command", ""))
        return ""

    @cached_property
    def entries(self) -> Sequence[Entry]:
        """Return the lines of fills.jsonl."""
        return [
            from_plain(Entry, line, "fills.jsonl") for line in _lines(self.state / "fills.jsonl")
        ]

    @cached_property
    def standing(self) -> Mapping[str, Fill]:
        """Return every execution as the lines of fills.jsonl leave it.

        By the id that it has in common with its corrections. Added up here, by nobody else's
        rules.
        """
        return standing_of(self.entries)

    @cached_property
    def trades(self) -> Sequence[Mapping[str, str]]:
        """Return the rows of trades.csv, [] when there is none."""
        path = self.state / "trades.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    @cached_property
    def equity(self) -> Sequence[Mapping[str, str]]:
        """Return the rows of equity.csv, [] when there is none."""
        path = self.state / "equity.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    @property
    def last(self) -> RunRecord | None:
        """Return the newest record."""
        return self.records[max(self.records)] if self.records else None

    def _runs(self) -> Iterator[tuple[datetime, Path]]:
        folder = self.state / "runs"
        if not folder.is_dir():
            return
        for path in sorted(folder.iterdir()):
            slot = slot_of_name(path.name)
            if slot is not None:
                yield slot, path


def standing_of(entries: Sequence[Entry]) -> Mapping[str, Fill]:
    """Return every execution as lines of fills.jsonl leave it, by its id without corrections."""
    found: dict[str, Fill] = {}
    for entry in entries:
        family = execution_revision(entry.fill.exec_id)[0]
        before = found.get(family)
        if entry.kind is EntryKind.BUST:
            found.pop(family, None)
        elif entry.kind is EntryKind.COMMISSION and before is not None:
            found[family] = _with_fee(before, entry.fill)
        elif entry.kind is EntryKind.CORRECTION:
            unknown = entry.fill.commission is None and before is not None
            found[family] = _with_fee(entry.fill, before) if unknown else entry.fill
        elif entry.kind is EntryKind.FILL:
            found[family] = entry.fill
    return found


def _with_fee(fill: Fill, source: Fill | None) -> Fill:
    if source is None:
        return fill
    return replace(
        fill, commission=source.commission, commission_currency=source.commission_currency
    )


def _lines(path: Path) -> Sequence[Line]:
    """Return the whole lines of a file of JSON lines, without its header."""
    if not path.exists():
        return []
    texts = path.read_bytes().split(b"\n")[1:-1]
    try:
        return [json.loads(text) for text in texts]
    except ValueError as error:
        raise DataError(f"{path.name}: {error}") from error


def _record(path: Path) -> RunRecord:
    try:
        return from_plain(RunRecord, json.loads(path.read_bytes()), path.name)
    except ValueError as error:
        raise DataError(f"{path.parent.name}/{path.name}: {error}") from error


def _intents(slot: datetime, place: int, line: Line) -> Iterator[Intent]:
    if line.get("kind") == "intents":
        for plain in line["orders"]:
            order = from_plain(ApprovedOrder, plain, "journal")
            yield Intent(
                slot,
                line["attempt"],
                place,
                order.reference,
                order.instrument,
                order.quantity,
                order,
            )
    elif line.get("kind") == "stops":
        for plain in line["stops"]:
            yield Intent(
                slot,
                line["attempt"],
                place,
                plain["reference"],
                InstrumentId(plain["instrument"]),
                Decimal(plain["quantity"]),
                None,
            )
