"""What strangers write is read, and does nothing: markup, formulas, line ends, paths.

Strangers are the venue (messages, names, ids), other programs (signal files, HALT files) and
whatever an owner pastes into a command line.
"""

from __future__ import annotations

import csv
import email
import email.policy
import io
import json
import os
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rebalancer.cli import main
from rebalancer.cli.run_log import run_log
from rebalancer.errors import DataError, StateError, UsageError
from rebalancer.model.flags import ErrorFlag, LatchedFlag, Severity, Step
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import (
    Action,
    Fill,
    OrderStatus,
    OrderType,
    PlanLine,
    TimeInForce,
    WorkingOrder,
)
from rebalancer.model.records import Attachment, Mail, TradeRecord
from rebalancer.model.words import cell, plain
from rebalancer.notify.files import FilePost
from rebalancer.notify.message import mail_bytes
from rebalancer.reports import tabular
from rebalancer.reports.document import Document, Facts, Paragraph, Section, Table, document_text
from rebalancer.reports.html import mail_html
from rebalancer.simulators.candle_recording import candle_recording
from rebalancer.simulators.faults import Fault, FaultKind
from rebalancer.simulators.recording import recording
from rebalancer.store.atomic import Files
from rebalancer.store.csv_log import orders_csv, trades_csv
from rebalancer.store.packing import PackedRun
from tests.integration.hours import SYMBOLS, WANTED
from tests.portfolios import FIRST, QUIET, World, make_world, write_signal

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EVIL = (
    '<script>alert(1)</script><img src=x onerror="a()">&amp;\'"\r\nBcc: all@example.com\r\n\r\n'
    "body\x1b[2J\x00\u202etxt.exe\u2028{{ 7 * 7 }}{% raw %}\u200b"
)
FORMULAS = (
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "'=1", '"=1', "|calc", "%x",
    "\uff1d1+1", "a;=cmd|'/c calc'!A1", "a; +1", "a\t=1", "=cmd|'/c calc'!A1",
    '=HYPERLINK("http://evil","x")', "\u202e=1", "\u200b=1", "\x00=1", ";=1", "a;'=1", "x;\"@y",
)  # fmt: skip


class Judge(HTMLParser):
    """Collects the tags, the attributes that act, and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.acting: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.acting += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


HARMLESS = {
    "html", "head", "meta", "title", "body", "div", "p", "h1", "h2", "table", "tr", "td", "th",
    "br", "span", "img",
}  # fmt: skip


def judge_page(html: str) -> str:
    """Hold a page to what mails may have; return its text."""
    judge = Judge()
    judge.feed(html)
    assert judge.tags <= HARMLESS, judge.tags - HARMLESS
    assert not judge.acting
    assert "{{" in judge.text or "7 * 7" not in judge.text
    judge_words(judge.text.replace("\n", " "))
    return judge.text


def judge_words(text: str) -> None:
    """Hold one line of text to being nothing but letters to read."""
    assert all(letter.isprintable() for letter in text), ascii(text)


def judge_table(content: bytes) -> list[list[str]]:
    """Hold a CSV file to having no formula in any cell, however it is opened; return rows."""
    text = content.decode("utf-8")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    for separator in (",", ";", "\t"):
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            for found in row:
                shown = found.strip().strip('"').strip()
                assert not shown.startswith(tuple("=@|%\uff1d\uff0b\uff0d\uff20")), (row, found)
                if shown.startswith(("+", "-")):
                    Decimal(shown.partition(";")[0].partition(",")[0])  # a number, nothing else
                judge_words(found)
    return rows


# ------------------------------------------------------------------ words


def test_words_are_one_readable_line() -> None:
    said = plain(EVIL)
    judge_words(said)
    assert "<script>" in said  # it is text: who makes a page of it escapes it
    assert "\u202e" not in said and "\u200b" not in said
    assert plain("Größe 10 µ, 5 €") == "Größe 10 µ, 5 €"
    assert plain("\ud800") == "?"
    assert plain("a\nb\tc") == "a b c"
    assert len(plain("x" * 100_000)) == 2000


@pytest.mark.parametrize("kind", ["flag", "latched", "order"])
def test_words_of_strangers_are_harmless_where_they_are_kept(kind: str) -> None:
    order = WorkingOrder(
        "r", "1", InstrumentId("A.STK.USD@IB"), Decimal(1), Decimal(0), None,
        OrderStatus.REJECTED, NOW, EVIL,
    )  # fmt: skip
    facts: dict[str, ErrorFlag | LatchedFlag | WorkingOrder] = {
        "flag": ErrorFlag(Step.SUBMIT, "order-rejected", EVIL, Severity.NOTE, EVIL),
        "latched": LatchedFlag("drawdown", EVIL, Severity.HALT, EVIL, NOW),
        "order": order,
    }
    kept = facts[kind]
    judge_words(kept.message)
    judge_words(getattr(kept, "subject", ""))


# ------------------------------------------------------------------ pages and mails


def evil_document() -> Document:
    rows = ((EVIL, EVIL), ("plain", "2"))
    return Document(
        title=EVIL,
        subtitle=EVIL,
        banner=EVIL,
        lead=(Paragraph(EVIL),),
        sections=(
            Section(
                EVIL,
                (
                    Paragraph(EVIL),
                    Facts(((EVIL, EVIL),)),
                    Table((EVIL, EVIL), rows, frozenset({1})),
                    Table((EVIL, EVIL), rows, stacked=True),
                ),
            ),
        ),
        footer=(EVIL,),
    )


def test_a_page_shows_markup_and_does_not_obey_it() -> None:
    text = judge_page(mail_html(evil_document()))
    assert text.count("<script>alert(1)</script>") >= 10


def test_a_plain_report_has_lines_of_its_own_only() -> None:
    for line in document_text(evil_document()).splitlines():
        judge_words(line)


def test_a_mail_has_the_headers_that_we_gave_it() -> None:
    mail = Mail(
        key=EVIL,
        subject=EVIL,
        text=document_text(evil_document()),
        html=mail_html(evil_document()),
        attachments=(Attachment('../..\r\nX: 1/"a.csv', b"a,b\n", "text/csv"),),
        name=EVIL,
    )
    content = mail_bytes(mail, "bot@example.com", ("ops@example.com",), NOW)
    message: Any = email.message_from_bytes(content, policy=email.policy.default)
    assert sorted(set(message.keys())) == [
        "Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject",
        "To",
    ]  # fmt: skip
    assert "Bcc: all@example.com" in message["Subject"]  # as words of the subject
    judge_words(message["Subject"])
    (attached,) = message.iter_attachments()
    assert "Bcc" not in attached and "X" not in attached
    assert "/" not in attached.get_filename() and not attached.get_filename().startswith(".")


def test_a_mail_as_a_file_stays_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "inner" / "reports"
    attachment = Attachment("../../../evil.csv", b"x", "text/csv")
    for name in ("../../evil", "/etc/evil", "..", ".", "", EVIL, "a/b", "\ud800"):
        mail = Mail("../../key", EVIL, "text\ud800", "<p>\ud800</p>", (), (attachment,), name)
        FilePost(folder, Files()).send((mail,))
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != folder]
    assert not outside
    assert len(list(folder.iterdir())) >= 6


# ------------------------------------------------------------------ tables


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_of_text_is_never_a_formula(text: str) -> None:
    line = PlanLine(
        instrument=InstrumentId(text),
        action=Action.SELL,
        quantity=Decimal(-3),
        limit=Decimal("-0.5"),
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        reference_price=Decimal("-0.51"),
        reference_age_seconds=1,
        current_quantity=Decimal(-3),
        target_quantity=Decimal(-6),
        current_weight=-0.25,
        target_weight=-0.5,
        reason=text,
    )
    trade = TradeRecord(
        exec_id=text, at=NOW, slot=NOW, instrument=InstrumentId(text), side=text,
        quantity=Decimal(-3), price=Decimal("-0.5"), currency=text, commission=Decimal("-0.1"),
        commission_currency=text, reference=text, decision_price=Decimal("-0.5"),
    )  # fmt: skip
    fill = Fill(text, text, text, InstrumentId(text), Decimal(-3), Decimal("-0.5"), text, NOW)
    rows = judge_table(orders_csv([line], text))
    assert rows[1][2:4] == ["-3", "-0.5"]
    assert rows[1][10:12] == ["-0.250000", "-0.500000"]  # numbers stay numbers
    rows = judge_table(trades_csv([trade]))
    assert rows[1][5:7] == ["-3", "-0.5"]
    assert len(judge_table(tabular.trades_csv([fill], {}).content)) == 2


def test_ordinary_cells_are_left_as_they_are() -> None:
    for text in ("AAPL.STK.USD@IB", "r1.2-3=4", "within the band (0.2 %); nothing", "", "a; b"):
        assert cell(text) == text


def test_the_order_file_of_a_run_is_a_table_of_harmless_cells(world: World) -> None:
    world.hour(FIRST, faults=[Fault(FaultKind.REJECT, message="=1+1")])
    for path in [*world.state.rglob("*.csv")]:
        if path.parent.name != "signals":
            judge_table(path.read_bytes())


# ------------------------------------------------------------------ whole runs


def test_a_venue_that_writes_markup_does_not_reach_the_owners_eyes(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    record = world.hour(FIRST, faults=[Fault(FaultKind.REJECT, count=None, message=EVIL)])
    assert any("<script>" in order.message for order in record.orders)
    assert any("<script>" in flag.message for flag in record.flags)
    for path in world.reports.glob("*.html"):
        judge_page(path.read_text(encoding="utf-8"))
    pages = list(world.reports.glob("*.html"))
    assert pages
    for path in world.reports.glob("*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            judge_words(line)
    for path in world.state.rglob("*.jsonl"):
        for raw in path.read_bytes().splitlines():
            json.loads(raw)
    for command in ("status", "orders", "resume"):
        assert main([command, "-c", str(world.path)]) == 0
    for line in capfd.readouterr().out.splitlines():
        judge_words(line)


@pytest.mark.parametrize("kind", ["file", "long", "bytes", "folder", "link"])
def test_a_halt_file_says_what_it_likes_and_halts(
    world: World, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = world.state / "HALT"
    if kind == "folder":
        path.mkdir(parents=True)
    elif kind == "link":
        path.symlink_to("/nowhere/at/all")
    else:
        content = {"file": EVIL.encode(), "long": b"x" * 5_000_000, "bytes": b"\xff\xfe\x00=1"}
        path.write_bytes(content[kind])
    record = world.hour(FIRST)
    assert record.exit_code == 3
    assert not world.venue()["orders"]
    (flag,) = [flag for flag in record.flags if flag.code == "halt-file"]
    judge_words(flag.message)
    assert len(flag.message) < 3000
    for page in world.reports.glob("*.html"):
        judge_page(page.read_text(encoding="utf-8"))
    for command in ("status", "resume", "watchdog"):
        assert main([command, "-c", str(world.path)]) in (0, 2, 3)
    for line in capfd.readouterr().out.splitlines():
        judge_words(line)


@pytest.mark.parametrize("reason", [EVIL, "\udcff\udcfe", "", "-", "=1+1"])
def test_a_reason_to_halt_is_one_line(world: World, reason: str) -> None:
    words = ["halt", "-c", str(world.path), "--", reason.replace("\x00", "")]
    assert main(words) == 0
    lines = (world.state / "HALT").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1
    judge_words(lines[0])
    assert world.hour(FIRST).exit_code == 3


def test_a_line_of_the_log_is_a_line(tmp_path: Path) -> None:
    import logging

    with run_log(tmp_path):
        logging.getLogger("rebalancer.x").info("a\nb %s", EVIL)
    (line,) = (tmp_path / "log.jsonl").read_bytes().splitlines()
    assert "\n" in json.loads(line)["message"]  # the words are kept, quoted


# ------------------------------------------------------------------ paths


@pytest.mark.parametrize("name", ["../evil", "..", "a/b", "A", "", "x" * 25, "a\n", "a.b", "é"])
def test_a_sleeve_is_named_by_plain_letters(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS)
    text = world.path.read_text().replace('name = "hand"', f"name = {json.dumps(name)}")
    world.path.write_text(text)
    assert main(["check", str(world.path)]) == 2
    assert "sleeve" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../x", "..", ".", "a/b", "", "x" * 9, "a\n", "a.b", "HALT", "é"])
def test_a_portfolio_is_named_by_plain_letters(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS)
    text = world.path.read_text().replace('name = "demo"', f"name = {json.dumps(name)}", 1)
    world.path.write_text(text)
    assert main(["run", "-c", str(world.path)]) == 2
    assert main(["watchdog", "-c", str(world.path)]) != 70
    assert main(["halt", "-c", str(world.path)]) in (0, 2)
    assert "portfolio.name" in capsys.readouterr().err
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    strange = {path for path in made if "calendars" not in path} - {"demo.toml"}
    assert not {path for path in strange if not path.startswith("state/")}, strange


@pytest.mark.parametrize("calendar", ["../../evil", "/etc/passwd", "..", "a\x00b", "X" * 40, "é"])
def test_a_calendar_names_no_file(
    tmp_path: Path, calendar: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS)
    text = world.path.read_text().replace('"XNYS"', json.dumps(calendar))
    world.path.write_text(text)
    assert main(["check", str(world.path)]) == 2
    assert main(["run", "-c", str(world.path)]) == 2
    told = capsys.readouterr()
    assert "demo.toml: portfolio.calendar" in told.out
    assert "demo.toml: portfolio.calendar" in told.err
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("name", ["../us_equities", "..", "", "/", "us_equities/../us_equities"])
def test_a_recording_is_one_of_ours(name: str) -> None:
    with pytest.raises(DataError, match="there is no such; known"):
        recording(name)
    with pytest.raises(DataError, match="there is no such; known"):
        candle_recording(name)


@pytest.mark.parametrize("slot", ["../../etc", "2020-03-02T1505Z/../x", "..", "\x00", "latest"])
def test_a_slot_is_a_time(world: World, slot: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["orders", slot, "-c", str(world.path)]) == UsageError.exit_code
    assert main(["run", "--at", slot, "-c", str(world.path)]) == UsageError.exit_code
    assert capsys.readouterr().err


@pytest.mark.parametrize("name", ["../hand", "", "hand/..", "HAND", "\x00"])
def test_a_sleeve_of_a_command_is_one_of_the_file(world: World, name: str) -> None:
    assert main(["signals", name, "-c", str(world.path)]) == UsageError.exit_code


@pytest.mark.parametrize(
    "target", ["outside.csv", "/etc/hostname", "../../demo.toml", "hand.csv", "../signals/x.csv"]
)
def test_a_signal_file_that_leads_away_is_no_signal(world: World, target: str) -> None:
    """Also one that is a link to itself; what it leads to is not copied into the run either."""
    path = world.state / "signals" / "hand.csv"
    (world.folder / "outside.csv").write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(world.folder / target if target == "outside.csv" else target)
    record = world.hour(FIRST)
    assert not world.venue()["orders"]
    assert {flag.code for flag in record.flags} <= {"signal-invalid", "signal-missing"}
    assert record.flags
    assert not list(world.run_folder(FIRST).rglob("hand.csv"))


def test_a_signal_file_may_be_a_pipe_or_a_device_and_the_run_goes_on(world: World) -> None:
    path = world.state / "signals" / "hand.csv"
    path.unlink()
    os.mkfifo(path)
    record = world.hour(FIRST)
    assert {flag.code for flag in record.flags} == {"signal-invalid"}


@pytest.mark.parametrize(
    "row",
    [
        "=cmd|'/c calc'!A1,0.5",
        "<script>alert(1)</script>,0.5",
        "../../../etc/passwd,0.5",
        "\u202eLPAA.STK.USD@IB,0.5",
        "AAPL.STK.USD@IB\r\nKO.STK.USD@IB,0.5",
        'AAPL.STK.USD@IB,"0.5\n"',
        "AAPL.STK.USD@IB,=0.5",
    ],
)
def test_a_signal_file_with_tricks_is_told_harmlessly(tmp_path: Path, row: str) -> None:
    world = make_world(tmp_path, symbols=SYMBOLS, extra=QUIET)
    path = write_signal(tmp_path, {}, FIRST)
    tail = ",weight,1,2020-03-02T15:00:00Z,2020-03-03T15:00:00Z,complete\n"
    path.write_bytes(path.read_bytes() + f"{row}{tail}".encode())
    os.utime(path, (path.stat().st_mtime - 60,) * 2)
    record = world.hour(FIRST)
    assert not world.venue()["orders"]
    (flag,) = record.flags
    assert flag.code == "signal-invalid"
    judge_words(flag.message)
    for page in world.reports.glob("*.html"):
        judge_page(page.read_text(encoding="utf-8"))
    for table in (*world.state.glob("*.csv"), world.run_folder(FIRST) / "orders.csv"):
        judge_table(table.read_bytes())


def test_a_packed_run_is_read_where_it_is(world: World, tmp_path: Path) -> None:
    """Members of an archive are never written anywhere; names that lead away lead nowhere."""
    archive = world.state / "runs" / "packed" / "2020-01-02T1505Z.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as made:
        for name in ("../../../../evil", "/etc/evil", "x/../../evil2", "x/journal.jsonl/../../y"):
            member = tarfile.TarInfo(name)
            member.size = 4
            made.addfile(member, io.BytesIO(b"evil"))
        link = tarfile.TarInfo("2020-01-02T1505Z/record.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    packed = PackedRun(Files(), archive)
    with pytest.raises(StateError):
        packed.read(archive / "record.json")
    record = world.hour(FIRST)
    assert record.exit_code in (0, 9)
    after = {path for path in tmp_path.rglob("*") if path.is_file() and "evil" in path.name}
    assert not after - before


def test_nothing_follows_a_link_that_stands_where_a_file_is_to_be_written(world: World) -> None:
    victim = world.folder / "victim"
    victim.write_text("mine")
    for name in ("heartbeat", "breakers.json", "trades.csv", "equity.csv", "fills.jsonl"):
        world.state.mkdir(exist_ok=True)
        (world.state / name).symlink_to(victim)
    main(["run", "-c", str(world.path), "--at", "2020-03-02T15:05Z"])
    assert victim.read_text() == "mine"


def test_a_wish_is_still_a_wish(world: World) -> None:
    """The world of these tests trades when nobody plays tricks."""
    record = world.hour(FIRST)
    assert len(record.orders) == len(WANTED)
    assert replace(record) == record
