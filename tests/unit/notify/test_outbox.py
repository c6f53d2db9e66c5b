"""No mail is lost, none leaves twice, and the outbox stays small."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rebalancer.errors import StateError
from rebalancer.model.records import Attachment, Mail
from rebalancer.notify.outbox import LONGEST_WAIT, MOST_WAITING, Outbox
from rebalancer.store.atomic import Files, FileTrouble

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def mail(key: str) -> Mail:
    return Mail(
        key=key,
        subject=f"Größe 10 % of {key}",
        text="text\n",
        html="<p>text</p>",
        images=(Attachment("equity.png", b"\x89PNG\x00\xff", "image/png"),),
        attachments=(Attachment("trades.csv", b"a,b\n", "text/csv"),),
        name=f"name of {key}",
    )


def keys(outbox: Outbox) -> list[str]:
    return [waiting.mail.key for waiting in outbox.waiting()]


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox", Files())


def test_a_mail_comes_back_as_it_went_in(outbox: Outbox) -> None:
    outbox.put([mail("alert:1")], NOW)
    (waiting,) = outbox.waiting()
    assert waiting.mail == mail("alert:1")
    assert waiting.since == NOW


def test_a_key_waits_once_and_leaves_once(outbox: Outbox) -> None:
    outbox.put([mail("a"), mail("a")], NOW)
    outbox.put([mail("a"), mail("b")], NOW)
    assert keys(outbox) == ["a", "b"]
    outbox.sent(outbox.waiting()[0])
    outbox.put([mail("a")], NOW)
    assert keys(outbox) == ["b"]


def test_mails_leave_in_the_order_in_which_they_came_even_after_others_left(
    outbox: Outbox,
) -> None:
    outbox.put([mail("z")], NOW)
    outbox.sent(outbox.waiting()[0])
    outbox.put([mail("y"), mail("x")], NOW)
    assert keys(outbox) == ["y", "x"]


def test_a_mail_whose_file_was_not_removed_after_it_left_does_not_leave_again(
    tmp_path: Path,
) -> None:
    class Stuck(Files):
        def remove(self, path: Path) -> None:
            raise FileTrouble(f"cannot remove {path}")

    outbox = Outbox(tmp_path, Stuck())
    outbox.put([mail("a")], NOW)
    with pytest.raises(StateError):
        outbox.sent(outbox.waiting()[0])
    assert keys(Outbox(tmp_path, Files())) == []


def test_more_than_fifty_become_one_line_the_oldest_first(outbox: Outbox) -> None:
    outbox.put([mail(f"m{n}") for n in range(MOST_WAITING + 3)], NOW)
    assert keys(outbox) == [f"m{n}" for n in range(3, MOST_WAITING + 3)]
    assert outbox.merged().count == 3
    outbox.put([mail("one more")], NOW + timedelta(hours=1))
    assert outbox.merged().count == 4
    assert len(outbox.waiting()) == MOST_WAITING
    outbox.told()
    assert outbox.merged().count == 0


def test_after_three_days_a_mail_becomes_a_line(outbox: Outbox) -> None:
    outbox.put([mail("old")], NOW)
    outbox.put([mail("young")], NOW + timedelta(hours=1))
    outbox.put([], NOW + LONGEST_WAIT)
    assert keys(outbox) == ["old", "young"]
    outbox.put([], NOW + LONGEST_WAIT + timedelta(minutes=1))
    assert keys(outbox) == ["young"]
    merged = outbox.merged()
    assert (merged.count, merged.first, merged.last) == (1, "2026-11-21 12:00", "2026-11-21 12:00")


def test_a_crash_while_old_mails_are_merged_counts_each_once(tmp_path: Path) -> None:
    class Dying(Files):
        left = 1

        def remove(self, path: Path) -> None:
            if not self.left:
                raise FileTrouble("the plug was pulled")
            self.left -= 1
            super().remove(path)

    outbox = Outbox(tmp_path, Files())
    outbox.put([mail("a"), mail("b"), mail("c")], NOW)
    later = NOW + LONGEST_WAIT + timedelta(hours=1)
    with pytest.raises(StateError):
        Outbox(tmp_path, Dying()).put([], later)
    outbox.put([mail("d")], later)
    assert keys(outbox) == ["d"]
    assert outbox.merged().count == 3


def test_a_file_that_is_no_mail_stays_aside_and_is_named(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, Files())
    outbox.put([mail("a"), mail("b")], NOW)
    (tmp_path / "000001.json").write_bytes(b'{"torn')
    (tmp_path / "notes.txt").write_text("the owner's")
    assert keys(outbox) == ["b"]
    assert outbox.unreadable() == ("000001.json",)
    outbox.put([mail("c")], NOW)
    assert keys(outbox) == ["b", "c"]
    assert (tmp_path / "000001.json").exists()


def test_a_damaged_index_loses_no_mail(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, Files())
    outbox.put([mail("a")], NOW)
    (tmp_path / "index.json").write_bytes(b"[]")
    assert keys(outbox) == ["a"]
    outbox.put([mail("b")], NOW)
    assert keys(outbox) == ["a", "b"]


def test_without_mails_nothing_is_written(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox", Files())
    outbox.put([], NOW)
    assert outbox.waiting() == ()
    assert not (tmp_path / "outbox").exists()
