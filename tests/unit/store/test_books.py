"""The state folder: what a run leaves is what the next one finds, damaged is never empty."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.errors import NewerState, StateError
from rebalancer.model.flags import TradingState
from rebalancer.model.records import EntryKind, Standing
from rebalancer.store.atomic import Files
from rebalancer.store.books import (
    StateFolder,
    slot_name,
    slot_of_name,
)
from tests.unit.store.samples import (
    HOUR,
    MONDAY,
    SLOT,
    entry,
    folder,
    line,
    point,
    record,
    run,
    trade,
)

RUN = "runs/2020-03-02T1505Z"


def test_a_new_portfolio_knows_nothing_and_says_so(tmp_path: Path) -> None:
    books = folder(tmp_path)
    assert books.standing() == Standing()
    assert books.last_record() is None
    assert (books.entries(), books.equity(), books.unfinished(), books.records(MONDAY)) == (
        (), (), (), (),
    )  # fmt: skip
    assert (books.halt_reason(), books.record(SLOT), books.journal(SLOT)) == (None, None, ())
    assert not (tmp_path / "state").exists()


def test_what_a_run_leaves_the_next_one_finds(tmp_path: Path) -> None:
    run(folder(tmp_path))
    books = folder(tmp_path)
    assert books.last_record() == books.record(SLOT) == record(SLOT, 1)
    assert books.entries() == (entry("E1"),)
    assert books.equity() == (point(),)
    assert books.standing() == Standing(high_water_mark=Decimal(100))
    assert [each["kind"] for each in books.journal(SLOT)] == ["begin", "intents", "end"]
    assert books.unfinished() == ()


def test_the_folder_has_the_files_of_the_specification_for_the_owner_alone(
    tmp_path: Path,
) -> None:
    run(folder(tmp_path))
    root = tmp_path / "state" / "demo"
    files = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
    assert sorted(files) == [
        "breakers.json", "equity.csv", "fills.jsonl",
        f"{RUN}/host.json", f"{RUN}/journal.jsonl", f"{RUN}/orders.csv", f"{RUN}/record.json",
        "trades.csv",
    ]  # fmt: skip
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    folders = [root.parent, *(path for path in root.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert json.loads(files[f"{RUN}/host.json"].read_text()) == {"schema": 2, "pid": 1}
    for name in ("breakers.json", f"{RUN}/record.json"):
        assert json.loads(files[name].read_text())["schema"] == 2
    for name in ("fills.jsonl", f"{RUN}/journal.jsonl"):
        assert files[name].read_text().startswith('{"schema":2}\n')


def test_the_same_run_leaves_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(folder(tmp_path / name))
    one, two = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")
         if p.is_file()}
        for n in ("a", "b")
    )  # fmt: skip
    assert one == two
    assert len(one) == 8


def test_an_execution_is_booked_once_by_kind_and_id(tmp_path: Path) -> None:
    books = folder(tmp_path)
    assert books.book([entry("E1"), entry("E2"), entry("E1")]) == 2
    assert books.book([entry("E2"), entry("E2", kind=EntryKind.COMMISSION)]) == 1
    assert folder(tmp_path).book([entry("E1")]) == 0
    kept = folder(tmp_path).entries()
    assert [(each.kind.value, each.fill.exec_id) for each in kept] == [
        ("fill", "E1"), ("fill", "E2"), ("commission", "E2"),
    ]  # fmt: skip
    assert folder(tmp_path).entries(2) == kept[2:]


def test_fills_that_another_process_adds_are_seen(tmp_path: Path) -> None:
    reader, writer = folder(tmp_path), folder(tmp_path)
    writer.book([entry("E1")])
    assert len(reader.entries()) == 1
    writer.book([entry("E2")])
    assert [each.fill.exec_id for each in reader.entries()] == ["E1", "E2"]


def test_a_record_is_not_written_before_its_fills_are_logged(tmp_path: Path) -> None:
    books = folder(tmp_path)
    with pytest.raises(StateError, match="counts 1 fill lines, 0 are logged"):
        books.save_record(record(SLOT, 1), {}, ())
    assert books.record(SLOT) is None


def test_the_equity_row_of_a_slot_is_written_once_and_in_order(tmp_path: Path) -> None:
    books = folder(tmp_path)
    slots = [SLOT, SLOT + 2 * HOUR, SLOT + HOUR, SLOT]
    for worth, slot in enumerate(slots, 1):
        books.save_record(record(slot, equity=point(slot, str(worth))), {}, ())
    assert books.equity() == (
        point(SLOT, "4"), point(SLOT + HOUR, "3"), point(SLOT + 2 * HOUR, "2"),
    )  # fmt: skip


def test_a_torn_equity_row_is_repaired_by_the_next(tmp_path: Path) -> None:
    run(folder(tmp_path))
    path = tmp_path / "state/demo/equity.csv"
    path.write_bytes(path.read_bytes() + b"2020-03-02T16:05:00Z,2020")
    books = folder(tmp_path)
    assert books.equity() == (point(),)
    books.save_record(record(SLOT + 2 * HOUR, 1, equity=point(SLOT + 2 * HOUR)), {}, ())
    assert books.equity() == (point(), point(SLOT + 2 * HOUR))


def test_a_run_is_unfinished_too_when_its_record_is_another_attempts(tmp_path: Path) -> None:
    books = folder(tmp_path)
    for attempt in (1, 2):
        books.note(SLOT, {"kind": "begin", "attempt": attempt, "mode": "paper"}, durable=True)
    run(books, SLOT)
    assert books.unfinished() == (SLOT,)
    books.note(SLOT + HOUR, {"kind": "begin", "attempt": 1, "mode": "paper"}, durable=True)
    run(books, SLOT + HOUR)  # it failed in step 1
    assert books.unfinished() == (SLOT,)
    books.note(SLOT + HOUR, {"kind": "step", "attempt": 1, "step": 2}, durable=True)
    assert folder(tmp_path).unfinished() == ()


def test_an_unfinished_run_has_a_journal_and_no_record(tmp_path: Path) -> None:
    books = folder(tmp_path)
    begin = {"kind": "begin", "attempt": 1, "mode": "paper"}
    books.note(SLOT + HOUR, begin, durable=True)
    books.note(SLOT, begin, durable=True)
    run(books, SLOT + 2 * HOUR)
    books.save_orders(SLOT + 3 * HOUR, [line()], label="paper")  # no journal: nothing to finish
    (tmp_path / "state/demo/runs/lost+found").mkdir()
    assert folder(tmp_path).unfinished() == (SLOT, SLOT + HOUR)
    last = folder(tmp_path).last_record()
    assert last is not None
    assert last.slot == SLOT + 2 * HOUR


def test_the_records_of_a_session_are_found_around_its_date(tmp_path: Path) -> None:
    books = folder(tmp_path)
    tuesday = MONDAY + timedelta(days=1)
    friday = date(2020, 2, 28)
    when = {
        datetime(2020, 2, 28, 15, 5, tzinfo=UTC): friday,
        datetime(2020, 3, 1, 12, 5, tzinfo=UTC): friday,  # a Sunday belongs to Friday's session
        datetime(2020, 3, 1, 23, 5, tzinfo=UTC): MONDAY,  # the session of Monday in the east
        datetime(2020, 3, 2, 15, 5, tzinfo=UTC): MONDAY,
        datetime(2020, 3, 3, 15, 5, tzinfo=UTC): tuesday,
    }
    for slot, session in when.items():
        books.save_record(record(slot, session=session, equity=None), {}, ())
    books.save_record(record(SLOT + HOUR, session=None, equity=None), {}, ())
    found = {day: [r.slot for r in books.records(day)] for day in (friday, MONDAY, tuesday)}
    slots = list(when)
    assert found == {friday: slots[:2], MONDAY: slots[2:4], tuesday: slots[4:]}


def test_a_halt_file_of_the_portfolio_or_of_all_is_read(tmp_path: Path) -> None:
    books = folder(tmp_path)
    root = tmp_path / "state"
    (root / "demo").mkdir(parents=True)
    (root / "HALT").write_text("all of them\n")
    assert books.halt_reason() == "all of them"
    (root / "demo" / "HALT").write_text("")
    assert books.halt_reason() == "no reason given; all of them"
    (root / "HALT").unlink()
    assert books.halt_reason() == ""
    (root / "demo" / "HALT").unlink()
    (root / "demo" / "HALT").mkdir()  # whatever it is: it is there
    assert books.halt_reason() == "(it cannot be read)"


READS: tuple[Callable[[StateFolder], object], ...] = (
    StateFolder.standing,
    StateFolder.last_record,
    StateFolder.entries,
    StateFolder.equity,
    lambda books: books.journal(SLOT),
    lambda books: books.records(MONDAY),
)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nulls": lambda content: b"\0" * len(content),
    "cut": lambda content: content[: len(content) // 3],
    "keys": lambda content: content.replace(b'"schema"', b'"s"').replace(b"slot", b"slots"),
    "list": lambda content: b"[]\n",
}
PLACES = {
    "breakers.json": (0,),
    f"{RUN}/record.json": (1, 5),
    "fills.jsonl": (2,),
    "equity.csv": (3,),
    f"{RUN}/journal.jsonl": (4,),
}
CASES = [
    (name, read, damage)
    for name, reads in PLACES.items()
    for read in reads
    for damage in DAMAGES
    if not (name.endswith("journal.jsonl") and damage == "cut")  # its end may be torn
]


@pytest.mark.parametrize(("name", "read", "damage"), CASES)
def test_a_damaged_file_is_never_read_as_empty(
    tmp_path: Path, name: str, read: int, damage: str
) -> None:
    run(folder(tmp_path))
    path = tmp_path / "state/demo" / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(StateError, match=path.name.replace(".", r"\.")):
        READS[read](folder(tmp_path))


@pytest.mark.parametrize("name", ["breakers.json", "fills.jsonl", "equity.csv"])
def test_a_lost_file_of_a_portfolio_that_has_run_is_told(tmp_path: Path, name: str) -> None:
    run(folder(tmp_path))
    (tmp_path / "state/demo" / name).unlink()
    reads = {"breakers.json": 0, "fills.jsonl": 2, "equity.csv": 3}
    with pytest.raises(StateError, match=f"{name}.* restore it from a backup"):
        READS[reads[name]](folder(tmp_path))


@pytest.mark.parametrize("name", ["breakers.json", f"{RUN}/record.json"])
def test_a_file_of_a_newer_version_is_refused_and_kept(tmp_path: Path, name: str) -> None:
    run(folder(tmp_path))
    path = tmp_path / "state/demo" / name
    plain = json.loads(path.read_text()) | {"schema": 3, "wonder": []}
    path.write_text(json.dumps(plain))
    for read in (StateFolder.standing, StateFolder.last_record):
        if name == "breakers.json" or read is StateFolder.last_record:
            with pytest.raises(NewerState, match="schema 3"):
                (StateFolder.standing if name == "breakers.json" else read)(folder(tmp_path))
    assert json.loads(path.read_text()) == plain


def test_breakers_of_an_older_version_are_migrated_and_a_copy_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    root.mkdir()
    old = {"schema": 0, "halted": True}
    (root / "breakers.json").write_text(json.dumps(old))
    migrations = {
        "breakers.json": {0: lambda plain: {"schema": 1, "state": "HALTED"} if plain["halted"]
                          else {"schema": 1}, 1: dict}
    }  # fmt: skip
    dry = StateFolder(root / "dry", Files(), StateFolder(root, Files(), None, migrations))
    assert dry.standing().state is TradingState.HALTED
    assert json.loads((root / "breakers.json").read_text()) == old  # a dry run writes nothing here
    books = StateFolder(root, Files(), None, migrations)
    assert books.standing() == Standing(state=TradingState.HALTED)
    assert json.loads((root / "breakers.json").read_text()) == {"schema": 2, "state": "HALTED"}
    assert json.loads((root / "breakers.json.schema0").read_text()) == old
    assert StateFolder(root, Files()).standing() == books.standing()


def test_a_dry_run_reads_the_live_state_and_writes_none_of_it(tmp_path: Path) -> None:
    live = folder(tmp_path)
    run(live)
    before = {p: p.read_bytes() for p in (tmp_path / "state").rglob("*") if p.is_file()}
    dry = StateFolder(tmp_path / "state/demo/dry", Files(), live)
    assert (dry.standing(), dry.entries(), dry.equity(), dry.last_record()) == (
        live.standing(), live.entries(), live.equity(), live.last_record(),
    )  # fmt: skip
    assert dry.record(SLOT) is None
    run(dry, SLOT + HOUR, "E2")
    assert [each.fill.exec_id for each in dry.entries()] == ["E1", "E2"]
    assert [each.slot for each in dry.equity()] == [SLOT, SLOT + HOUR]
    assert [each.slot for each in dry.records(MONDAY)] == [SLOT, SLOT + HOUR]
    assert dry.last_record() == dry.record(SLOT + HOUR)
    assert dry.book([entry("E1")]) == 0
    after = {p: p.read_bytes() for p in before}
    assert after == before
    assert live.last_record() == record(SLOT, 1)


def test_a_dry_run_starts_from_the_live_state_whatever_earlier_dry_runs_left(
    tmp_path: Path,
) -> None:
    live, place = folder(tmp_path), tmp_path / "state/demo/dry"
    run(live)
    run(StateFolder(place, Files(), live), SLOT + HOUR, "DRY")
    live.save_standing(Standing(failed_runs=7))
    run(folder(tmp_path), SLOT + 2 * HOUR, "E2")
    dry = StateFolder(place, Files(), folder(tmp_path))
    assert dry.standing() == folder(tmp_path).standing()
    assert [each.fill.exec_id for each in dry.entries()] == ["E1", "E2"]
    assert dry.record(SLOT + HOUR) is None
    run(dry, SLOT + 3 * HOUR, "DRY2")
    alone = StateFolder(place, Files())  # what `status` shows of the last dry run
    assert alone.last_record() == dry.last_record()
    assert [e["fill"]["exec_id"] for e in map(json.loads, lines(place / "fills.jsonl")[1:])] == [
        "DRY2"
    ]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_dry_run_does_not_take_a_live_run_at_work_for_a_dead_one(tmp_path: Path) -> None:
    live = folder(tmp_path)
    live.note(SLOT, {"kind": "begin"}, durable=True)
    dry = StateFolder(tmp_path / "state/demo/dry", Files(), live)
    assert dry.unfinished() == ()
    assert dry.journal(SLOT) == ()
    (tmp_path / "state/demo/HALT").write_text("stop")
    assert dry.halt_reason() == "stop"


def test_slots_are_named_by_the_utc_minute() -> None:
    zone = datetime(2026, 1, 5, 23, 5, tzinfo=UTC).astimezone()
    assert slot_name(zone) == "2026-01-05T2305Z"
    assert slot_of_name("2026-01-05T2305Z") == zone
    for name in (
        "2026-01-05T2305",
        "2026-13-05T2305Z",
        "2026-01-05T2360Z",
        "x",
        "٢٠٢٦-01-05T2305Z",
    ):
        assert slot_of_name(name) is None


class Counting(Files):
    def __init__(self) -> None:
        self.count = 0

    def read(self, path: Path) -> bytes:
        self.count += 1
        return super().read(path)


def test_the_last_record_is_found_without_reading_the_others(tmp_path: Path) -> None:
    books = folder(tmp_path)
    for hours in range(30):
        books.save_record(record(SLOT + hours * HOUR, equity=None), {}, ())
    files = Counting()
    last = folder(tmp_path, files).last_record()
    assert last == record(SLOT + 29 * HOUR, equity=None)
    assert files.count == 1


def test_ten_thousand_entries_are_decoded_once(tmp_path: Path) -> None:
    books = folder(tmp_path)
    books.book([entry(f"E{n}", SLOT + n * timedelta(minutes=1)) for n in range(10_000)])
    one, two = books.entries(), books.entries(9_000)
    assert len(one) == 10_000
    assert all(a is b for a, b in zip(one[9_000:], two, strict=True))


def test_the_trades_view_is_rewritten_whole(tmp_path: Path) -> None:
    books = folder(tmp_path)
    books.save_record(record(equity=None), {}, [trade("E1", commission=None)])
    books.save_record(record(equity=None), {}, [trade("E1")])
    rows = lines(tmp_path / "state/demo/trades.csv")
    assert len(rows) == 2
    assert ",1.005,USD," in rows[1]


def test_a_packed_run_is_read_as_before(tmp_path: Path) -> None:
    slots = [SLOT + n * HOUR for n in range(4)]
    for slot in slots:
        run(folder(tmp_path), slot, f"E{slot:%H}")
    before = folder(tmp_path)
    wanted = (before.records(MONDAY), before.last_record(), before.unfinished())
    each = [(before.record(slot), before.journal(slot)) for slot in slots]
    assert len(wanted[0]) == 4
    assert all(journal for _, journal in each)
    assert folder(tmp_path).pack(SLOT + 9 * HOUR, frozenset({slots[1]})) == 2
    runs = tmp_path / "state/demo/runs"
    assert sorted(path.name for path in runs.iterdir()) == [
        slot_name(slots[1]), slot_name(slots[3]), "packed",
    ]  # fmt: skip
    after = folder(tmp_path)
    assert (after.records(MONDAY), after.last_record(), after.unfinished()) == wanted
    assert [(after.record(slot), after.journal(slot)) for slot in slots] == each
    assert folder(tmp_path).pack(SLOT + 9 * HOUR) == 1  # the one that was kept until now
    dry = StateFolder(tmp_path / "state/demo/dry", Files(), folder(tmp_path))
    assert dry.records(MONDAY) == wanted[0]


def test_a_run_that_is_packed_only_in_part_is_read_from_both(tmp_path: Path) -> None:
    for slot in (SLOT, SLOT + HOUR):
        run(folder(tmp_path), slot, f"E{slot:%H}")
    told = folder(tmp_path).journal(SLOT)
    place = tmp_path / "state/demo" / RUN
    kept = (place / "record.json").read_bytes()
    folder(tmp_path).pack(SLOT + HOUR)
    place.mkdir()
    (place / "record.json").write_bytes(kept)  # killed before the last file was removed
    assert folder(tmp_path).journal(SLOT) == told
    assert folder(tmp_path).record(SLOT) == record(SLOT, 1)
    assert [each.slot for each in folder(tmp_path).records(MONDAY)] == [SLOT, SLOT + HOUR]


@pytest.mark.parametrize("damage", ["cut", "nulls", "list"])
def test_a_damaged_archive_is_never_read_as_empty(tmp_path: Path, damage: str) -> None:
    for slot in (SLOT, SLOT + HOUR):
        run(folder(tmp_path), slot, f"E{slot:%H}")
    folder(tmp_path).pack(SLOT + HOUR)
    path = tmp_path / "state/demo/runs/packed/2020-03-02T1505Z.tar.gz"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    reads: tuple[Callable[[StateFolder], object], ...] = (
        lambda books: books.record(SLOT),
        lambda books: books.journal(SLOT),
        lambda books: books.records(MONDAY),
    )
    for read in reads:
        with pytest.raises(StateError, match=r"2020-03-02T1505Z\.tar\.gz is damaged"):
            read(folder(tmp_path))
