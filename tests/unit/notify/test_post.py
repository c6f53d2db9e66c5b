"""What can leave leaves, what cannot waits, and nothing raises."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rebalancer.model.flags import RUN, Severity, Step
from rebalancer.model.records import Mail
from rebalancer.notify.mail import MailNotSent
from rebalancer.notify.outbox import Outbox
from rebalancer.notify.post import MailPost
from rebalancer.store.atomic import Files, FileTrouble

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def mail(key: str) -> Mail:
    return Mail(key, f"subject of {key}", "text\n", "<p>text</p>")


@dataclass
class FakeServer:
    """A `Sender` that takes mails, refuses some keys, or is down; each takes `seconds`."""

    down: bool = False
    bad: frozenset[str] = frozenset()
    picky: frozenset[str] = frozenset()
    seconds: float = 0.0
    took: list[str] = field(default_factory=list)
    tried: int = 0
    limits: list[float] = field(default_factory=list)
    clock: float = 0.0

    def deliver(self, mail: Mail, at: datetime, seconds: float) -> tuple[str, ...]:
        self.tried += 1
        self.limits.append(seconds)
        self.clock += self.seconds
        if self.down:
            raise MailNotSent("connection refused", server_down=True)
        if mail.key in self.bad:
            raise MailNotSent("the server refused the message", server_down=False)
        self.took.append(mail.key)
        return ("gone@example.com",) if mail.key in self.picky else ()


def post(folder: Path, server: FakeServer, files: Files | None = None) -> MailPost:
    outbox = Outbox(folder / "outbox", files or Files())
    return MailPost(server, outbox, lambda: NOW, monotonic=lambda: server.clock)


def test_mails_leave_and_nothing_is_flagged(tmp_path: Path) -> None:
    server = FakeServer()
    assert post(tmp_path, server).send([mail("alert:1"), mail("mail:start:2026-11-20")]) == ()
    assert server.took == ["alert:1", "mail:start:2026-11-20"]


def test_what_cannot_leave_waits_and_leaves_first_next_time_once(tmp_path: Path) -> None:
    down, up = FakeServer(down=True), FakeServer()
    (flag,) = post(tmp_path, down).send([mail("mail:start:2026-11-20")])
    assert (flag.code, flag.severity, flag.step) == ("mail-late", Severity.NOTE, Step.DAILY_UPDATE)
    assert flag.message == "1 mail waits in the outbox: connection refused"
    assert post(tmp_path, up).send([mail("alert:2")]) == ()
    assert post(tmp_path, up).send([]) == ()
    assert up.took == ["mail:start:2026-11-20", "alert:2"]


def test_what_neither_disk_nor_server_takes_is_named(tmp_path: Path) -> None:
    class Full(Files):
        def replace(self, path: Path, content: bytes) -> None:
            raise FileTrouble("the disk is full")

    mails = [mail("mail:start:2026-11-20"), mail("mail:middle:2026-11-20")]
    bad = FakeServer(bad=frozenset({"mail:middle:2026-11-20"}))
    told, *lost = post(tmp_path, bad, Full()).send(mails)
    assert told.subject == RUN
    assert [flag.subject for flag in lost] == ["mail:middle:2026-11-20"]
    assert bad.took == ["mail:start:2026-11-20"]
    down = FakeServer(down=True)
    _, *lost = post(tmp_path, down, Full()).send(mails)
    assert [flag.subject for flag in lost] == [each.key for each in mails]


def test_a_server_that_is_down_is_tried_once_in_a_run(tmp_path: Path) -> None:
    server = FakeServer(down=True)
    run = post(tmp_path, server)
    (flag,) = run.send([mail("alert:1"), mail("alert:2")])
    assert flag.step is Step.ALERT
    run.send([mail("mail:end:2026-11-20")])
    assert server.tried == 1
    assert len(Outbox(tmp_path / "outbox", Files()).waiting()) == 3


def test_a_mail_that_the_server_refuses_does_not_block_the_others(tmp_path: Path) -> None:
    server = FakeServer(bad=frozenset({"alert:1"}))
    (flag,) = post(tmp_path, server).send([mail("alert:1"), mail("alert:2")])
    assert server.took == ["alert:2"]
    assert "1 mail waits" in flag.message
    assert "the server refused the message" in flag.message


def test_a_refused_recipient_is_told_and_the_mail_has_left(tmp_path: Path) -> None:
    server = FakeServer(picky=frozenset({"alert:1"}))
    (flag,) = post(tmp_path, server).send([mail("alert:1")])
    assert "gone@example.com" in flag.message
    assert post(tmp_path, server).send([]) == ()


def test_twenty_seconds_are_for_all_mails_of_a_run(tmp_path: Path) -> None:
    server = FakeServer(seconds=8.0)
    run = post(tmp_path, server)
    run.send([mail("alert:1")])
    (flag,) = run.send([mail(f"alert:{n}") for n in range(2, 6)])
    # 8 + 8 + 8 > 20: the third mail begins with four seconds left, the fourth not at all
    assert server.limits == [20.0, 12.0, 4.0]
    assert "2 mails wait in the outbox: the run's time for mails is over" in flag.message


def test_merged_mails_are_told_in_one_line_before_the_others_once(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox", Files())
    outbox.put([mail(f"m{n}") for n in range(60)], NOW - timedelta(hours=1))
    server = FakeServer()
    assert post(tmp_path, server).send([]) == ()
    assert server.took[0] == "merged:10"
    assert len(server.took) == 51
    assert post(tmp_path, server).send([]) == ()
    assert len(server.took) == 51


def test_a_full_disk_does_not_keep_a_mail_from_leaving(tmp_path: Path) -> None:
    class Full(Files):
        def replace(self, path: Path, content: bytes) -> None:
            raise FileTrouble("the disk is full")

    server = FakeServer()
    (flag,) = post(tmp_path, server, Full()).send([mail("alert:1")])
    assert server.took == ["alert:1"]
    assert "the disk is full" in flag.message


def test_a_bug_in_the_sender_is_a_note_and_the_mail_waits(tmp_path: Path) -> None:
    class Broken(FakeServer):
        def deliver(self, mail: Mail, at: datetime, seconds: float) -> tuple[str, ...]:
            raise ZeroDivisionError

    (flag,) = post(tmp_path, Broken()).send([mail("alert:1")])
    assert "ZeroDivisionError" in flag.message
    server = FakeServer()
    assert post(tmp_path, server).send([]) == ()
    assert server.took == ["alert:1"]
