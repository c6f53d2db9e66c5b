"""A failure that leaves no record is told once a day and kind, and told for sure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rebalancer import wiring
from rebalancer.cli.unrecorded import tell_unrecorded
from rebalancer.config import Config, load
from rebalancer.errors import StateError
from rebalancer.model.records import Mail, Mode
from rebalancer.notify.files import FilePost
from rebalancer.notify.mail import MailNotSent
from rebalancer.notify.outbox import Outbox
from rebalancer.notify.post import MailPost
from rebalancer.ports import Post
from rebalancer.store.atomic import Files, FileTrouble
from tests.portfolios import write_portfolio

pytestmark = pytest.mark.usefixtures("quick")
MIDNIGHT = datetime(2026, 1, 5, 0, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAMAGED = StateError("fills.jsonl line 7 is damaged")


@dataclass
class Server:
    """A mail server that may be away, before an outbox on a disk that may be full."""

    folder: Path
    away: bool = False
    full: bool = False
    now: datetime = MIDNIGHT
    taken: list[datetime] = field(default_factory=list)

    def deliver(self, mail: Mail, at: datetime, seconds: float) -> tuple[str, ...]:
        assert mail.subject == "demo: a run left no record"
        if self.away:
            raise MailNotSent("the server does not answer", server_down=True)
        self.taken.append(at)
        return ()

    def post(self, config: Config, files: Files, *, dry: bool = False) -> Post:
        disk = Full() if self.full else files
        return MailPost(self, Outbox(self.folder / "outbox", disk), lambda: self.now)


class Full(Files):
    """A disk that takes nothing."""

    def replace(self, path: Path, content: bytes) -> None:
        raise FileTrouble(f"cannot write {path}: the disk is full")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(write_portfolio(tmp_path))


@pytest.fixture
def server(config: Config, monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(config.state_folder)
    monkeypatch.setattr(wiring, "post_for", server.post)
    return server


def fail(config: Config, server: Server, hours: int) -> None:
    """Let an hour's run fail without a record."""
    server.now = MIDNIGHT + hours * HOUR
    tell_unrecorded(config, Mode.LIVE, DAMAGED, server.now)


def test_the_same_failure_is_one_mail_a_day(config: Config, server: Server) -> None:
    for hours in range(48):
        fail(config, server, hours)
    assert server.taken == [MIDNIGHT, MIDNIGHT + 24 * HOUR]


def test_a_mail_that_had_to_wait_leaves_as_soon_as_the_server_is_back(
    config: Config, server: Server
) -> None:
    for hours in range(24):
        server.away = hours < 2
        fail(config, server, hours)
    assert server.taken == [MIDNIGHT + 2 * HOUR]


def test_a_mail_that_neither_disk_nor_server_took_is_made_again(
    config: Config, server: Server
) -> None:
    for hours in range(24):
        server.away = server.full = hours < 2
        fail(config, server, hours)
    assert server.taken == [MIDNIGHT + 2 * HOUR]


def test_a_mail_that_the_server_took_without_a_disk_is_told(config: Config, server: Server) -> None:
    server.full = True
    for hours in range(3):
        fail(config, server, hours)
    assert server.taken == [MIDNIGHT]


def test_a_mail_that_could_not_be_written_as_a_file_is_written_later(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = config.state_folder / "reports"
    disks = iter((Full(), Files(), Files()))
    monkeypatch.setattr(wiring, "post_for", lambda *_, **__: FilePost(reports, next(disks)))
    for hours in range(3):
        tell_unrecorded(config, Mode.LIVE, DAMAGED, MIDNIGHT + hours * HOUR)
    names = [path.name for path in reports.glob("*.txt")]
    assert names == ["2026-01-05T0105Z-failed-StateError.txt"]
