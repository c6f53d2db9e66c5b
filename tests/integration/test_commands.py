"""`run` over several portfolios and in bad hours, and `resume` after a run that was killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer import errors
from rebalancer.cli import changing, main, opened, run
from rebalancer.errors import EXIT_LADDER, RebalancerError
from rebalancer.hourly import hour
from rebalancer.model.records import EntryKind, Outcome, RunRecord
from rebalancer.ports import Desk
from rebalancer.store.lock import holder_of
from rebalancer.wiring import desk_for as real_desk_for
from rebalancer.working.bookkeeping import expected_now
from rebalancer.working.page import RunPage
from tests.integration.test_mail import PASSWORD, Mailbox, authority, mail_server
from tests.portfolios import (
    FIRST,
    HOUR,
    QUIET,
    World,
    codes,
    make_world,
    stamp,
    stock,
    write_portfolio,
)

ROOT = Path(__file__).resolve().parents[2]
SECOND, THIRD, FOURTH, FIFTH = (FIRST + n * HOUR for n in (1, 2, 3, 4))
WANTED = {"JNJ": "0.3", "KO": "0.3", "PG": "0.3"}
SOLD = WANTED | {"PG": "0.1"}


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REBALANCER_LOCKS", str(tmp_path / "locks"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, extra=QUIET, risk='heal_weight = "0"')


@pytest.fixture
def two(tmp_path: Path) -> tuple[World, World]:
    """Return two portfolios of one folder."""
    a, b = (make_world(tmp_path, name=name, extra=QUIET) for name in ("a", "b"))
    for world in (a, b):
        world.wants(WANTED, FIRST)
    return a, b


def run_both(*words: str, worlds: tuple[World, ...]) -> int:
    files = [word for world in worlds for word in ("--config", str(world.path))]
    return main(["run", *files, "--at", stamp(FIRST), *words])


# ------------------------------------------------------------------ resume


class Killed(BaseException):
    """A SIGKILL: no handler of ours may see it."""


class DyingBooks:
    """`ports.Books` of a run that is killed when a step begins."""

    def __init__(self, books: Any, step: int) -> None:
        self._books, self._step = books, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._books, name)

    def note(self, slot: datetime, line: Any, *, durable: bool) -> None:
        if line.get("step") == self._step:
            raise Killed
        self._books.note(slot, line, durable=durable)


def kill(world: World, at: datetime, *, step: int) -> None:
    """Run an hour that is killed when a step begins."""
    desk = world.desk(at)
    with pytest.raises(Killed):
        hour(replace(desk, books=DyingBooks(desk.books, step)), at)


def move(*symbols: str, by: int = 5) -> Callable[[Any], None]:
    """Return a change of the venue's holdings that no execution tells of."""

    def change(books: Any) -> None:
        for symbol in symbols:
            held = books["holdings"][stock(symbol)]
            held["quantity"] = str(Decimal(held["quantity"]) + by)

    return change


def broken(world: World, *symbols: str) -> World:
    """Let the books of some instruments be latched as broken, in the second hour."""
    world.wants(WANTED, FIRST)
    assert world.hour(FIRST).exit_code == 0
    world.change_venue(move(*symbols))
    world.hour(SECOND)
    held = {(flag.code, flag.subject) for flag in world.standing().latched}
    assert held == {("reconciliation-break", stock(symbol)) for symbol in symbols}
    return world


def resume(world: World, *words: str) -> int:
    return main(["resume", *words, "--yes", "--config", str(world.path)])


def disagreements(world: World) -> set[str]:
    """Return the instruments of which the books expect another quantity than the venue has."""
    expected = {str(name): number for name, number in expected_now(world.books()).items()}
    held = world.holdings()
    names = {*expected, *held}
    return {name for name in names if expected.get(name, Decimal(0)) != held.get(name, Decimal(0))}


def test_resume_after_a_killed_run_waits_until_its_executions_are_booked(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(world, "KO")
    world.wants(SOLD, THIRD)
    kill(world, THIRD, step=8)
    before = world.fill_lines()
    assert disagreements(world) == {stock("KO"), stock("PG")}
    assert resume(world, "--all") == 2
    told = capsys.readouterr().err
    assert "`rebalancer run` finishes the books of 2020-03-02 17:05 UTC" in told
    assert world.fill_lines() == before
    assert world.standing().latched

    world.wants(SOLD, FOURTH)
    assert "run-died" in codes(world.hour(FOURTH))
    assert disagreements(world) == {stock("KO")}
    assert resume(world, "--all") == 0
    assert not world.standing().latched
    assert disagreements(world) == set()
    world.wants(SOLD, FIFTH)
    assert "reconciliation-break" not in codes(world.hour(FIFTH))
    assert disagreements(world) == set()


def test_resume_waits_for_executions_that_only_the_venue_has(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(world, "KO")

    def trade_by_hand(books: Any) -> None:
        last = next(e for e in books["executions"] if e["instrument"] == stock("PG"))
        by_hand = last | {"id": "byhand", "reference": "", "quantity": "7"}
        books["executions"].append(by_hand)
        move("PG", by=7)(books)

    world.change_venue(trade_by_hand)
    before = world.fill_lines()
    assert resume(world, "reconciliation-break") == 2
    assert f"1 executions in {stock('PG')}" in capsys.readouterr().err
    assert world.fill_lines() == before

    world.wants(WANTED, THIRD)
    world.hour(THIRD)
    assert resume(world, "reconciliation-break") == 0
    assert disagreements(world) == set()
    adjusted = [e for e in world.books().entries() if e.kind is EntryKind.ADJUSTMENT]
    assert [(e.fill.instrument, e.fill.quantity) for e in adjusted] == [(stock("KO"), Decimal(5))]


def test_resume_of_one_break_leaves_the_others_alone(world: World) -> None:
    broken(world, "KO", "PG")
    assert resume(world, f"reconciliation-break:{stock('KO')}") == 0
    assert disagreements(world) == {stock("PG")}
    assert [flag.subject for flag in world.standing().latched] == [stock("PG")]
    assert resume(world, "--all") == 0
    assert disagreements(world) == set()


def test_resume_of_many_breaks_accepts_every_one(world: World) -> None:
    world.wants(WANTED, FIRST)
    world.hour(FIRST)
    world.change_venue(move("JNJ", "KO", "PG"))  # risk.breaks_to_halt is 3
    assert world.hour(SECOND).exit_code == 3
    assert "many-breaks" in {flag.code for flag in world.standing().latched}
    assert resume(world, "many-breaks") == 0
    assert disagreements(world) == set()


def test_resume_looks_at_the_account_only_when_no_run_is_at_work(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(world, "KO")
    seen = []
    look = opened.look_desk

    def looking(*arguments: Any) -> Desk:
        seen.append(holder_of(world.state / "lock"))
        return look(*arguments)

    monkeypatch.setattr(changing, "look_desk", looking)
    assert resume(world, "--all") == 0
    assert seen
    assert None not in seen


# ------------------------------------------------------------------ several portfolios


def test_a_portfolio_whose_file_is_wrong_does_not_stop_the_others(
    two: tuple[World, World], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = two
    a.path.write_text(a.path.read_text().replace("max_order_weight", "max_order_wait"))
    assert run_both(worlds=two) == 2
    assert "risk.max_order_wait" in capsys.readouterr().err
    assert a.record(FIRST) is None
    assert b.last().outcome is Outcome.FINISHED


def test_portfolios_that_share_an_account_do_not_run_at_all(
    two: tuple[World, World], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = two
    b.path.write_text(b.path.read_text().replace("PAPER-b", "PAPER-a"))
    assert run_both(worlds=two) == 2
    assert "account.id = PAPER-a" in capsys.readouterr().err
    assert a.record(FIRST) is None
    assert b.record(FIRST) is None


def crash_in_wiring(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the making of one portfolio's desk meet a bug."""

    def desk_for(config: Any, **more: Any) -> Desk:
        if config.name == name:
            raise ZeroDivisionError("a bug of ours")
        return real_desk_for(config, **more)

    monkeypatch.setattr(run, "desk_for", desk_for)


def test_a_bug_in_one_portfolio_does_not_stop_the_others(
    two: tuple[World, World],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    a, b = two
    crash_in_wiring(monkeypatch, "a")
    assert run_both(worlds=two) == 70
    told = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: a bug of ours" in told
    (log,) = (a.folder / "state").glob("*.traceback.log")
    assert str(log) in told
    assert b.last().outcome is Outcome.FINISHED
    (mail,) = a.reports.glob("*-failed-ZeroDivisionError.txt")
    assert "a bug of ours" in mail.read_text(encoding="utf-8")


def test_the_gravest_exit_code_is_the_answer_whatever_the_order(two: tuple[World, World]) -> None:
    a, b = two
    (a.state / "breakers.json").write_text("{", encoding="utf-8")  # 9
    b.path.write_text(b.path.read_text().replace("max_order_weight", "max_order_wait"))  # 2
    assert run_both(worlds=(a, b)) == 9
    assert run_both(worlds=(b, a)) == 9


def test_a_reader_who_has_had_enough_does_not_stop_the_next_portfolio(
    two: tuple[World, World],
) -> None:
    a, b = two
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, str(ROOT / "run.py"), "run", "--at", stamp(FIRST)]
    for world in two:
        words += ["--config", str(world.path)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with os.fdopen(writing) as out:
        done = subprocess.run(
            words, stdout=out, stderr=subprocess.PIPE, env=environment, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert a.last().outcome is b.last().outcome is Outcome.FINISHED


def test_every_exit_code_has_its_place_on_the_ladder(world: World) -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    known = {kind.exit_code for kind in kinds if issubclass(kind, RebalancerError)} | {0}
    assert known == set(EXIT_LADDER)
    assert len(EXIT_LADDER) == len(set(EXIT_LADDER))
    page = RunPage(world.desk(FIRST), FIRST, 1)
    for code in EXIT_LADDER:
        page.worsen(code)
        assert page.exit_code == code
    page.worsen(6)
    assert page.exit_code == 70


# ------------------------------------------------------------------ the recording's end


def test_after_the_recordings_end_a_run_says_so_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(tmp_path)
    text = world.path.read_text().replace("2020-03-02T14:30:00Z", "2022-12-28T14:30:00Z")
    world.path.write_text(text)
    words = ["run", "--config", str(world.path)]
    world.wants(WANTED, datetime(2022, 12, 28, 15, 5, tzinfo=UTC))
    assert main([*words, "--at", "2022-12-28T15:05Z"]) == 0
    # The last day's mail of the end and its commit are still done: the close was at 21:00.
    assert main([*words, "--at", "2022-12-28T21:25Z"]) == 0
    assert world.last().slot == datetime(2022, 12, 28, 21, 25, tzinfo=UTC)
    assert world.standing().due["commit"] == "2022-12-28"
    venue = (world.state / "paper" / "books.json").read_bytes()
    for at in ([], ["--at", "2022-12-29T15:05Z"], ["--at", "2023-02-01T15:05Z", "--dry-run"]):
        capsys.readouterr()
        assert main([*words, *at]) == 0
        shown = capsys.readouterr()
        assert shown.out.endswith(": the recording ended on 2022-12-28; nothing to do\n")
        assert shown.out.count("\n") == 1
    assert (world.state / "paper" / "books.json").read_bytes() == venue
    assert len(list((world.state / "runs").iterdir())) == 2


# ------------------------------------------------------------------ failures without a record


def failures(world: World) -> list[str]:
    return sorted(
        path.stem.partition("-failed-")[2] for path in world.reports.glob("*-failed-*.txt")
    )


def test_a_failure_without_a_record_is_told_once_a_day_and_kind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["run", "--config", str(world.path), "--at", stamp(FIRST)]
    crash_in_wiring(monkeypatch, "demo")
    assert [main(words) for _ in range(2)] == [70, 70]
    assert failures(world) == ["ZeroDivisionError"]
    monkeypatch.undo()
    monkeypatch.setenv("REBALANCER_LOCKS", str(world.folder / "locks"))
    (world.state / "breakers.json").write_text("{", encoding="utf-8")
    assert [main(words) for _ in range(2)] == [9, 9]
    assert failures(world) == ["StateError", "ZeroDivisionError"]
    (mail,) = world.reports.glob("*-failed-StateError.txt")
    told = " ".join(mail.read_text(encoding="utf-8").split())
    assert "breakers.json" in told
    assert "exit code 9" in told
    assert errors.StateError.advice in told


def test_what_somebody_typed_wrongly_is_not_mailed(world: World) -> None:
    assert main(["run", "--config", str(world.path), "--at", "2019-01-02T15:05Z"]) == 2
    assert not world.reports.exists()


def test_a_failure_with_a_record_is_told_by_its_alert_only(world: World) -> None:
    (world.folder / "state" / "demo" / "HALT").parent.mkdir(parents=True, exist_ok=True)
    world.path.write_text(world.path.read_text().replace("us_equities", "no_such"))
    assert main(["run", "--config", str(world.path), "--at", stamp(FIRST)]) == 3
    assert world.last().outcome is Outcome.FAILED
    assert failures(world) == []
    assert world.alert(FIRST)


def test_a_failure_after_the_record_is_left_to_the_next_runs_alert(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(desk: Desk, slot: datetime) -> RunRecord:
        hour(desk, slot)
        raise errors.DeadlineExceeded("the closing took too long")

    monkeypatch.setattr(run, "hour", late)
    assert main(["run", "--config", str(world.path), "--at", stamp(FIRST)]) == 8
    assert world.last().outcome is Outcome.FINISHED
    assert failures(world) == []


@pytest.mark.smtp
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
@pytest.mark.filterwarnings("ignore:Session.login_data is deprecated:DeprecationWarning")
def test_a_state_folder_that_takes_nothing_is_mailed_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox, who = Mailbox(), authority(world.folder)
    world.state.parent.mkdir(exist_ok=True)
    world.state.write_text("a file stands where the folder should be", encoding="utf-8")
    monkeypatch.setenv("REBALANCER_DEMO_SMTP_PASSWORD", PASSWORD.reveal())
    with mail_server(mailbox, who) as server:
        mail = (
            f'\n[mail]\nhost = "{server.host}"\nport = {server.port}\nuser = "bot"\n'
            f'sender = "{server.sender}"\nrecipients = ["{server.recipients[0]}"]\n'
            f'cafile = "{who.file}"\n'
        )
        write_portfolio(world.folder, extra=mail)
        words = ["run", "--config", str(world.path), "--at", stamp(FIRST)]
        assert [main(words) for _ in range(3)] == [9, 9, 9]
    (envelope,) = mailbox.envelopes
    assert b"a run left no record" in envelope.content
    assert world.state.is_file()


# ------------------------------------------------------------------ --json


def test_run_answers_programs_in_json(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    limits = "max_orders_per_run = 2"
    world.path.write_text(world.path.read_text().replace("[risk]\n", f"[risk]\n{limits}\n"))
    world.wants(WANTED, FIRST)
    words = ["run", "--json", "--config", str(world.path)]
    code = main([*words, "--at", stamp(FIRST)])
    told = json.loads(capsys.readouterr().out)
    record = world.last()
    assert told["exit_code"] == code == record.exit_code
    assert (told["portfolio"], told["mode"], told["slot"]) == (
        "demo",
        "paper",
        "2020-03-02T15:05:00Z",
    )
    assert told["outcome"] == record.outcome.value
    assert {row["instrument"] for row in told["orders"]} == {o.instrument for o in record.approved}
    assert {row["instrument"] for row in told["refused"]} == {
        o.intent.instrument for o in record.refused
    }
    assert told["refused"]
    assert all(row["gate"] and row["reason"] for row in told["refused"])
    assert [flag["code"] for flag in told["flags"]] == [flag.code for flag in record.flags]
    assert record.after is not None
    assert told["net_liquidation"] == {
        "before": "100000",
        "after": str(record.after.net_liquidation),
    }
    assert (Path(told["folder"]) / "record.json").is_file()
    main([*words, "--at", stamp(FIRST)])
    again = json.loads(capsys.readouterr().out)
    assert (again["outcome"], again["exit_code"]) == ("idle", 0)
    assert "nothing is run twice" in again["reason"]


def test_several_portfolios_answer_with_a_list(
    two: tuple[World, World], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = two
    (a.state / "breakers.json").write_text("{", encoding="utf-8")
    assert run_both("--json", worlds=two) == 9
    bad, good = json.loads(capsys.readouterr().out)
    assert (bad["config"], bad["exit_code"]) == (str(a.path), 9)
    assert "breakers.json" in bad["error"]
    assert (good["portfolio"], good["outcome"]) == ("b", "finished")
    assert b.last().exit_code == 0
