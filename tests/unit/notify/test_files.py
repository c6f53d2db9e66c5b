"""Without a mail server, mails are files that sort and open anywhere."""

from __future__ import annotations

from pathlib import Path

from rebalancer.model.flags import Step
from rebalancer.model.records import Attachment, Mail
from rebalancer.notify.files import FilePost, file_stem
from rebalancer.store.atomic import Files, FileTrouble

MAIL = Mail(
    key="mail:start:2020-03-02",
    subject="demo: session start",
    text="Grüße\n",
    html='<img src="cid:equity.png">',
    images=(Attachment("equity.png", b"png", "image/png"),),
    attachments=(Attachment("trades.csv", b"a\n", "text/csv"),),
    name="2020-03-02T1505Z-daily-1-start",
)


def test_a_mail_is_a_page_with_its_picture_inside_and_a_text(tmp_path: Path) -> None:
    post = FilePost(tmp_path / "reports", Files())
    assert post.send([MAIL]) == ()
    assert post.send([MAIL]) == ()
    names = sorted(path.name for path in (tmp_path / "reports").iterdir())
    assert names == [
        "2020-03-02T1505Z-daily-1-start-trades.csv",
        "2020-03-02T1505Z-daily-1-start.html",
        "2020-03-02T1505Z-daily-1-start.txt",
    ]
    html = (tmp_path / "reports" / names[1]).read_text(encoding="utf-8")
    assert html == '<img src="data:image/png;base64,cG5n">'
    text = (tmp_path / "reports" / names[2]).read_text(encoding="utf-8")
    assert text == "demo: session start\n\nGrüße\n"


def test_names_sort_by_slot_and_stay_in_the_folder() -> None:
    evil = Mail("k", "s", "t", "h", name="../../etc/passwd")
    assert "/" not in file_stem(evil)
    assert not file_stem(evil).startswith(".")
    assert file_stem(Mail("alert:2020-03-02T1505Z:1", "s", "t", "h")) == "alert-2020-03-02T1505Z-1"


def test_a_disk_that_refuses_is_a_note(tmp_path: Path) -> None:
    class Full(Files):
        def replace(self, path: Path, content: bytes) -> None:
            raise FileTrouble("the disk is full")

    flag, lost = FilePost(tmp_path, Full()).send([MAIL])
    assert (flag.code, flag.step) == ("mail-late", Step.DAILY_UPDATE)
    assert (lost.code, lost.subject) == ("mail-late", MAIL.key), "who asked for it owes it still"
    assert "the disk is full" in flag.message
