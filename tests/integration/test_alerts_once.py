"""Step 10 over several runs: each trouble is one mail, its end one more, whatever dies between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.hourly import hour
from rebalancer.model.flags import ErrorFlag, TradingState
from rebalancer.model.records import Mail
from rebalancer.notify.files import late
from rebalancer.reports.owed import KINDS
from rebalancer.risk import clear
from rebalancer.store.atomic import FileTrouble
from tests.integration.hours import SECOND, THIRD, Watch, add_cash, command
from tests.portfolios import FIRST, HOUR, QUIET, World, make_world

pytestmark = pytest.mark.usefixtures("quick")


@dataclass
class Letterbox:
    """A post that keeps every alert it is given, as a mail server would deliver it."""

    subjects: list[str] = field(default_factory=list)

    def send(self, mails: Sequence[Mail]) -> tuple[ErrorFlag, ...]:
        self.subjects += [mail.subject for mail in mails if mail.key.startswith("alert:")]
        return ()

    def about(self, words: str) -> int:
        return sum(words in subject for subject in self.subjects)


@dataclass
class Kept:
    """A post that keeps the keys of all that it is given."""

    keys: list[str] = field(default_factory=list)

    def send(self, mails: Sequence[Mail]) -> tuple[ErrorFlag, ...]:
        self.keys += [mail.key for mail in mails]
        return ()


class Killed(BaseException):
    """The process dies here."""


class Dying:
    """Books in which the process dies when it would remember what was mailed."""

    def __init__(self, books: Any) -> None:
        self._books, self._alerts = books, books.standing().alerts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._books, name)

    def save_standing(self, standing: Any) -> None:
        if standing.alerts != self._alerts:
            raise Killed
        self._books.save_standing(standing)


class Forgetful(Dying):
    """Books that fail once when they are to remember what was mailed."""

    def save_standing(self, standing: Any) -> None:
        if standing.alerts != self._alerts:
            self._alerts = standing.alerts
            raise MemoryError("no room for it")
        self._books.save_standing(standing)


@dataclass
class Strict(Letterbox):
    """A post that takes no mail under a key that it had before, as the outbox does."""

    keys: set[str] = field(default_factory=set)

    def send(self, mails: Sequence[Mail]) -> tuple[ErrorFlag, ...]:
        new = [mail for mail in mails if mail.key not in self.keys]
        self.keys |= {mail.key for mail in new}
        return super().send(new)


@dataclass
class Undiskly(Letterbox):
    """A post that sends what it is given, and says each time that no disk keeps it."""

    texts: list[str] = field(default_factory=list)

    def send(self, mails: Sequence[Mail]) -> tuple[ErrorFlag, ...]:
        super().send(mails)
        self.texts += [mail.text for mail in mails]
        return late(mails, "the outbox cannot be used", []) if mails else ()


def run(world: World, at: datetime, box: Letterbox) -> None:
    hour(replace(world.desk(at), post=box), at)


def test_a_halt_file_is_one_mail_however_long_it_stands_and_one_when_it_is_over(
    world: World,
) -> None:
    box = Letterbox()
    command(world, "halt", "holidays")
    for hours in range(4):
        run(world, FIRST + hours * HOUR, box)
    assert box.about("HALT halt-file") == 1
    (world.state / "HALT").unlink()
    run(world, FIRST + 4 * HOUR, box)
    run(world, FIRST + 5 * HOUR, box)
    assert (box.about("HALT halt-file"), box.about("recovered: halt-file")) == (1, 1)


class Shredder(Letterbox):
    """A post that neither sends nor keeps what it is given: no server, and a full disk."""

    def send(self, mails: Sequence[Mail]) -> tuple[ErrorFlag, ...]:
        lost = [mail.key for mail in mails]
        return late(mails, "the disk is full", lost) if lost else ()


def test_an_alert_that_is_lost_is_made_again(world: World) -> None:
    box = Letterbox()
    command(world, "halt", "holidays")
    run(world, FIRST, Shredder())
    run(world, SECOND, box)
    run(world, THIRD, box)
    assert box.about("HALT halt-file") == 1


def test_a_daily_mail_that_is_lost_is_still_owed(world: World) -> None:
    lossy, good = Shredder(), Kept()
    desk = replace(world.desk(FIRST), session_mails=("start",))
    hour(replace(desk, post=lossy), FIRST)
    assert "mail:start" not in world.standing().due
    desk = replace(world.desk(SECOND), session_mails=("start",))
    hour(replace(desk, post=good), SECOND)
    assert good.keys == ["mail:start:2020-03-02"]
    assert world.standing().due["mail:start"] == "2020-03-02"


def test_the_very_first_daily_mail_is_still_owed_when_a_newer_one_joins_it(world: World) -> None:
    good, later = Kept(), FIRST + 4 * HOUR
    hour(replace(world.desk(FIRST), session_mails=KINDS, post=Shredder()), FIRST)
    hour(replace(world.desk(later), session_mails=KINDS, post=good), later)
    assert good.keys == ["mail:start:2020-03-02", "mail:middle:2020-03-02"]


@pytest.mark.parametrize("ending", [False, True])
def test_a_kill_between_mail_and_memory_is_one_mail_too_many_at_most(
    world: World, ending: bool
) -> None:
    box = Letterbox()
    command(world, "halt", "holidays")
    run(world, FIRST, box)
    if ending:
        (world.state / "HALT").unlink()
        words = "recovered: halt-file"
    else:
        (world.state / "signals" / "hand.csv").unlink()
        words = "signal-missing"
    desk = world.desk(SECOND)
    with pytest.raises(Killed):
        hour(replace(desk, post=box, books=Dying(desk.books)), SECOND)
    for hours in range(3):
        run(world, THIRD + hours * HOUR, box)
    assert 1 <= box.about(words) <= 2, box.subjects
    assert max(Counter(box.subjects).values()) <= 2


def test_a_kill_before_the_mail_loses_none(world: World) -> None:
    box = Letterbox()
    command(world, "halt", "holidays")
    desk = world.desk(FIRST)

    def kill() -> None:
        raise Killed

    watch = Watch(desk.books, lambda line: line["kind"] == "end", kill)
    with pytest.raises(Killed):
        hour(replace(desk, post=box, books=watch), FIRST)
    assert box.subjects == []
    run(world, SECOND, box)
    run(world, THIRD, box)
    assert box.about("HALT halt-file") == 1


def test_a_command_by_hand_ends_no_trouble_that_it_does_not_look_at(world: World) -> None:
    world.hour(FIRST)
    (world.state / "signals" / "hand.csv").unlink()
    command(world, "halt", "x")
    world.hour(SECOND)
    before = dict(world.standing().alerts)
    assert {"halt-file", "signal-missing sleeve:hand"} <= set(before)
    mails = world.mails()
    assert command(world, "flatten", "--send", "--yes") == 0
    assert command(world, "cancel") == 0
    assert dict(world.standing().alerts) == before
    assert world.mails() == mails


def test_what_fails_after_an_alert_was_sent_is_a_mail_of_its_own(world: World) -> None:
    box, desk = Strict(), world.desk(FIRST)
    command(world, "halt", "holidays")
    hour(replace(desk, post=box, books=Forgetful(desk.books)), FIRST)
    assert box.about("halt-file") >= 1
    assert box.about("report-failed") == 1


def _killed_after_its_mail(world: World, box: Letterbox, at: datetime) -> None:
    """Let a run mail a trouble and die before it remembers that."""
    (world.state / "signals" / "hand.csv").unlink()
    desk = world.desk(at)
    with pytest.raises(Killed):
        hour(replace(desk, post=box, books=Dying(desk.books)), at)


def test_what_a_run_latches_is_not_told_by_the_alert_of_an_earlier_run(world: World) -> None:
    box = Strict()
    run(world, FIRST, box)
    _killed_after_its_mail(world, box, SECOND)
    world.change_venue(_pay_in)
    run(world, THIRD, box)
    assert box.about("signal-missing") == 1
    assert box.about("net-liquidation-jump") == 1


@pytest.mark.parametrize("at_once", [True, False])
def test_a_full_disk_keeps_no_alert_from_the_server(world: World, at_once: bool) -> None:
    box = Undiskly()
    full: list[Any] = []

    def is_full(line: Any) -> bool:
        already = bool(full)
        full.extend([line] if line["kind"] == "step" and line["step"] == 10 else [])
        return already or (at_once and bool(full))

    def refuse() -> None:
        raise FileTrouble("no room is left on the disk")

    run(world, FIRST, box)
    _killed_after_its_mail(world, box, SECOND)
    command(world, "halt", "holidays")
    desk = world.desk(THIRD)
    hour(replace(desk, post=box, books=Watch(desk.books, is_full, refuse)), THIRD)
    assert full
    assert box.about("halt-file") == 1
    assert any("report-failed" in text for text in box.texts)
    assert box.about("recovered: halt-file") == 0


QUIET_BUT_FOR_THE_DAY = """
max_turnover_per_session = 2
net_liquidation_jump = "0.9"
book_loss = "0.9"
drawdown = "0.9"
unexplained_cash = "1"
"""


def test_a_breaker_that_latches_again_after_resume_is_told_again_and_then_once(
    world: World,
) -> None:
    box = Letterbox()
    run(world, FIRST, box)
    world.change_venue(_pay_in)
    run(world, SECOND, box)
    run(world, THIRD, box)
    assert box.about("HALT net-liquidation-jump") == 1
    account = world.books().last_record().before  # type: ignore[union-attr]
    assert account is not None
    lifted, _ = clear(world.standing(), ["all"], account, account.at)
    world.books().save_standing(lifted)
    world.change_venue(add_cash("4000000"))
    before = len(box.subjects)
    for hours in (3, 4, 5):
        run(world, FIRST + hours * HOUR, box)
    assert world.standing().state is TradingState.HALTED
    assert box.about("HALT net-liquidation-jump") == 2
    later = box.subjects[before + 1 :]
    assert not [each for each in later if "recovered" in each and "still HALTED" not in each]


def test_a_daily_loss_of_each_session_is_a_mail_of_each_session(tmp_path: Path) -> None:
    world, box = make_world(tmp_path, extra=QUIET, risk=QUIET_BUT_FOR_THE_DAY), Letterbox()
    run(world, FIRST, box)
    for days in range(3):
        world.change_venue(add_cash("-9000"))
        for hours in (1, 2, 3):
            run(world, FIRST + timedelta(days=days) + hours * HOUR, box)
        assert "daily-loss" in {flag.code for flag in world.standing().latched}
    assert box.about("HALT daily-loss") == 3, box.subjects


def _pay_in(account: Any) -> None:
    account["cash"]["USD"] = str(Decimal(account["cash"]["USD"]) + 1_000_000)
