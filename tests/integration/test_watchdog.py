"""`rebalancer watchdog`: what it mails, once, and once more when it is over."""

from __future__ import annotations

import email
import email.policy
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rebalancer.cli import main, watchdog
from rebalancer.cli.rough import Rough
from rebalancer.clock import SystemClock
from rebalancer.errors import StateError
from rebalancer.model.heartbeat import Heartbeat
from rebalancer.store.atomic import Files
from rebalancer.store.heartbeat import read_heartbeat, write_heartbeat
from rebalancer.store.lock import portfolio_lock
from tests.integration.hours import command, run
from tests.integration.test_mail import PASSWORD, Mailbox, authority, mail_server
from tests.portfolios import FIRST, World, write_portfolio

pytestmark = pytest.mark.usefixtures("quick")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MONDAY = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
"""Thirty-five minutes after the opening in New York."""
FRIDAY = datetime(2020, 3, 6, 21, 0, tzinfo=UTC)
"""The close of the same week, in winter time."""


def beats(world: World, at: datetime, code: int = 0, good: datetime | None = None) -> None:
    """Let the last run have begun at a time and ended a minute later."""
    end = at + MINUTE
    outcome = "finished" if code == 0 else "failed"
    beat = Heartbeat(at, end, outcome, code, end if code == 0 else good)
    write_heartbeat(Files(), world.state, beat)


def look(world: World, now: datetime, older_than: float | None = None) -> int:
    return watchdog.watch(world.path, older_than, now)


def told(world: World) -> list[str]:
    """Return the codes of the watchdog's mails, in their order."""
    names = sorted(path.stem for path in world.reports.glob("*watchdog*.txt"))
    return [name.partition("-watchdog-")[2] for name in names]


def words(world: World, code: str) -> str:
    path = max(world.reports.glob(f"*-watchdog-{code}.txt"))
    return " ".join(path.read_text(encoding="utf-8").split())


@pytest.fixture
def watched(world: World) -> World:
    """Return a portfolio whose last run was good."""
    world.state.mkdir(parents=True, exist_ok=True)
    beats(world, MONDAY)
    return world


# ------------------------------------------------------------------ runs that do not happen


def test_while_runs_are_good_nothing_is_said(
    watched: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(watched, MONDAY + HOUR) == 0
    assert told(watched) == []
    assert "all is well; last good run 2020-03-02 15:06" in capsys.readouterr().out


def test_too_long_without_a_run_is_mailed_once_and_its_end_once(watched: World) -> None:
    # Two intervals and a deadline: 2 x 60 + 20 = 140 minutes.
    assert look(watched, MONDAY + 140 * MINUTE) == 0
    late = MONDAY + 142 * MINUTE
    for hours in range(3):
        assert look(watched, late + hours * HOUR) == 3
    assert told(watched) == ["runs-missing"]
    assert "The last run began 2020-03-02 15:05 UTC" in words(watched, "runs-missing")
    assert "2 h 20 min are allowed" in words(watched, "runs-missing")
    beats(watched, late + 3 * HOUR)
    for minutes in (5, 65):
        assert look(watched, late + 3 * HOUR + minutes * MINUTE) == 0
    assert told(watched) == ["runs-missing", "runs-missing-over"]
    assert "runs-missing is over" in words(watched, "runs-missing-over")


def test_only_time_in_which_a_run_was_due_counts(watched: World) -> None:
    beats(watched, FRIDAY - 55 * MINUTE)
    # All the weekend, and until Monday's second hour: 55 minutes of Friday, 85 of Monday. New
    # York changed its clocks in between: it opens at 13:30 UTC.
    monday = datetime(2020, 3, 9, 13, 30, tzinfo=UTC)
    assert look(watched, monday - MINUTE) == 0
    assert look(watched, monday + 85 * MINUTE) == 0
    assert look(watched, monday + 87 * MINUTE) == 3


def test_where_no_run_left_the_sessions_of_now_the_library_knows_them(watched: World) -> None:
    # As in paper: the runs' years are long ago, the watchdog's time is the wall's.
    beats(watched, datetime(2026, 11, 19, 14, 28, tzinfo=UTC))
    saturday = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)
    # Thursday and Friday were open from 14:30 to 21:00 UTC: 13 h are more than 2 h 20 min.
    assert look(watched, saturday) == 3
    assert "13 h 0 min of open market ago" in words(watched, "runs-missing")
    beats(watched, datetime(2026, 11, 20, 20, 30, tzinfo=UTC))
    monday = datetime(2026, 11, 23, 14, 29, tzinfo=UTC)
    assert look(watched, monday) == 0, "30 minutes of Friday, although 66 hours on the wall"
    left = {path.name for path in (watched.state.parent / "calendars").iterdir()}
    assert not any("2026" in name for name in left), "what a run reads is a run's to write"


def test_a_year_that_was_compiled_before_its_holidays_were_known_is_none(watched: World) -> None:
    path = watched.state.parent / "calendars" / "XNYS-2020.json"
    plain = json.loads(path.read_text(encoding="ascii"))
    empty: dict[str, list[int]] = {key: [] for key in ("days", "opens", "closes", "half_days")}
    path.write_text(json.dumps(plain | empty), encoding="ascii")
    assert look(watched, MONDAY + 142 * MINUTE) == 3


def test_without_a_calendar_the_clock_on_the_wall_counts(watched: World) -> None:
    shutil.rmtree(watched.state.parent / "calendars")
    text = watched.path.read_text(encoding="utf-8")
    watched.path.write_text(text.replace('"XNYS"', '"XNONE"'), encoding="utf-8")
    assert look(watched, MONDAY + 26 * HOUR) == 0
    assert look(watched, MONDAY + 26 * HOUR + 2 * MINUTE) == 3
    assert not (watched.state.parent / "calendars").exists()


def test_the_end_of_a_trouble_leaves_the_alarm_of_the_same_minute(watched: World) -> None:
    late = MONDAY + 142 * MINUTE
    assert look(watched, late) == 3
    beats(watched, late)
    assert look(watched, late + timedelta(seconds=20)) == 0
    assert told(watched) == ["runs-missing", "runs-missing-over"]
    assert "2 h 20 min are allowed" in words(watched, "runs-missing")
    assert "runs-missing is over" in words(watched, "runs-missing-over")


def test_the_owner_says_how_old_is_too_old(watched: World) -> None:
    assert look(watched, MONDAY + 3 * HOUR, older_than=3 * 3600) == 0
    assert look(watched, MONDAY + 3 * HOUR + 2 * MINUTE, older_than=3 * 3600) == 3


def test_a_portfolio_that_never_ran_is_given_its_time(watched: World) -> None:
    (watched.state / "heartbeat").unlink()
    assert look(watched, MONDAY) == 0
    assert look(watched, MONDAY + 139 * MINUTE) == 0
    assert look(watched, MONDAY + 141 * MINUTE) == 3
    assert "No run has ever begun" in words(watched, "runs-missing")


def test_runs_that_all_fail_are_no_sign_of_life(watched: World) -> None:
    for hour in (1, 2, 3):
        beats(watched, MONDAY + hour * HOUR, code=4, good=MONDAY + MINUTE)
        look(watched, MONDAY + hour * HOUR + 10 * MINUTE)
    assert told(watched) == ["runs-failing"]
    assert "failed, exit code 4" in words(watched, "runs-failing")
    assert "the last good one ended 2020-03-02 15:06 UTC" in words(watched, "runs-failing")


def test_runs_that_die_are_no_sign_of_life(watched: World) -> None:
    dead = Heartbeat(MONDAY + 3 * HOUR, MONDAY + MINUTE, "finished", 0, MONDAY + MINUTE)
    write_heartbeat(Files(), watched.state, dead)
    assert look(watched, MONDAY + 3 * HOUR + MINUTE) == 3
    assert "the one that began 2020-03-02 18:05 UTC has not ended" in words(watched, "runs-failing")


def test_what_an_older_program_left_is_believed(watched: World) -> None:
    write_heartbeat(Files(), watched.state, Heartbeat(MONDAY))
    assert look(watched, MONDAY + 2 * HOUR) == 0
    assert look(watched, MONDAY + 3 * HOUR) == 3


# ------------------------------------------------------------------ what else is the matter


def test_a_run_that_hangs_is_named(watched: World) -> None:
    now = MONDAY + HOUR
    with portfolio_lock(watched.state, now.timestamp() - 60, now.timestamp() - 3600):
        assert look(watched, now) == 3
        assert look(watched, now + MINUTE) == 3
    assert told(watched) == ["run-hangs"]
    assert f"process {os.getpid()}" in words(watched, "run-hangs")
    with portfolio_lock(watched.state, now.timestamp() + 600, now.timestamp()):
        assert look(watched, now + 2 * MINUTE) == 0
    assert told(watched) == ["run-hangs", "run-hangs-over"]


def test_a_clock_that_was_ahead_is_a_trouble_of_its_own(watched: World) -> None:
    assert look(watched, MONDAY - 3 * MINUTE) == 0
    assert look(watched, MONDAY - HOUR) == 3
    assert told(watched) == ["clock-ahead"]


def test_a_halt_file_that_stands_for_days_is_remembered(watched: World) -> None:
    (watched.state / "HALT").write_text("2020-03-02T16:00:00Z me: results\n", encoding="utf-8")
    beats(watched, MONDAY + 47 * HOUR)
    assert look(watched, MONDAY + 47 * HOUR) == 0
    beats(watched, MONDAY + 50 * HOUR)
    assert look(watched, MONDAY + 50 * HOUR) == 3
    assert told(watched) == ["halted-long"]
    assert "me: results" in words(watched, "halted-long")
    (watched.state / "HALT").unlink()
    assert look(watched, MONDAY + 50 * HOUR + MINUTE) == 0


def test_a_damaged_heartbeat_is_told_and_nothing_is_made_of_it(watched: World) -> None:
    (watched.state / "heartbeat").write_text("{", encoding="utf-8")
    assert look(watched, MONDAY + 50 * HOUR) == 3
    assert told(watched) == ["state-unreadable"]


def test_a_state_folder_that_is_gone_is_told_on_the_screen_and_by_the_exit_code(
    watched: World, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(watched.state)
    for minutes in (1, 2):  # it makes none either: the second look would be content with it
        assert look(watched, MONDAY + minutes * MINUTE) == 4
        said = capsys.readouterr()
        assert "there is no such folder" in said.out
        assert "no mail about state-unreadable: " in said.err
    assert not watched.state.exists()


def test_a_folder_that_cannot_be_written_is_told_once_all_the_same(watched: World) -> None:
    # A folder stands where the memory should be: the disk refuses to replace it.
    (watched.state / "watchdog.json").mkdir()
    for minutes in (1, 2, 3):
        assert look(watched, MONDAY + minutes * MINUTE) == 3
    assert told(watched) == ["state-unwritable"]
    (watched.state / "watchdog.json").rmdir()
    assert look(watched, MONDAY + 4 * MINUTE) == 0
    assert look(watched, MONDAY + 5 * MINUTE) == 0
    assert told(watched) == ["state-unwritable", "state-unwritable-over"]


def test_a_disk_that_is_nearly_full_is_told(
    watched: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "LEAST_FREE_BYTES", 10**18)
    assert look(watched, MONDAY) == 3
    assert told(watched) == ["state-unwritable"]


def test_a_broken_configuration_is_told_and_the_rest_still_watched(watched: World) -> None:
    text = watched.path.read_text(encoding="utf-8")
    watched.path.write_text(text.replace("[risk]", "[risk\nmax_ ="), encoding="utf-8")
    assert look(watched, MONDAY + HOUR) == 3
    assert told(watched) == ["config-broken"]
    assert "is not TOML" in words(watched, "config-broken")
    assert look(watched, MONDAY + 3 * HOUR) == 3
    assert told(watched) == ["config-broken", "runs-missing"]
    watched.path.write_text(text, encoding="utf-8")
    beats(watched, MONDAY + 3 * HOUR)
    assert look(watched, MONDAY + 3 * HOUR + MINUTE) == 0
    ended = ["config-broken-over", "runs-missing-over"]
    assert told(watched) == ["config-broken", "runs-missing", *ended]


def test_a_file_that_is_not_there_is_a_trouble(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = watchdog.watch(tmp_path / "none.toml", None, MONDAY)
    assert code == 4
    said = capsys.readouterr()
    assert "there is no such file" in said.out
    assert "neither a mail server nor a state folder is known" in said.err


# ------------------------------------------------------------------ its memory


def test_a_damaged_memory_costs_one_mail_twice_at_most(watched: World) -> None:
    late = MONDAY + 3 * HOUR
    look(watched, late)
    (watched.state / "watchdog.json").write_text("{", encoding="utf-8")
    look(watched, late + HOUR)
    look(watched, late + 2 * HOUR)
    assert told(watched) == ["runs-missing", "runs-missing"]


def test_a_kill_between_mail_and_memory_costs_one_mail_twice_at_most(
    watched: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    late, saves = MONDAY + 3 * HOUR, watchdog._save_memory
    calls: list[str] = []

    def killed(*arguments: object) -> str:
        calls.append("save")
        if len(calls) == 2:  # the first is the proof that the folder can be written
            raise Killed
        return saves(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(watchdog, "_save_memory", killed)
    with pytest.raises(Killed):
        look(watched, late)
    assert told(watched) == ["runs-missing"]
    for minutes in (1, 2, 3):
        look(watched, late + minutes * MINUTE)
    assert told(watched) == ["runs-missing", "runs-missing"]


def test_a_mail_that_could_not_be_sent_is_tried_again(
    watched: World, capsys: pytest.CaptureFixture[str]
) -> None:
    watched.reports.parent.mkdir(parents=True, exist_ok=True)
    watched.reports.write_text("a file where the mails should lie", encoding="utf-8")
    late = MONDAY + 3 * HOUR
    assert look(watched, late) == 4
    assert "no mail about runs-missing" in capsys.readouterr().err
    watched.reports.unlink()
    assert look(watched, late + MINUTE) == 3
    assert told(watched) == ["runs-missing"]


def test_its_memory_is_for_its_owner_alone_and_says_its_version(watched: World) -> None:
    look(watched, MONDAY)
    path = watched.state / "watchdog.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == 1


# ------------------------------------------------------------------ the command, and real runs


def test_after_a_real_run_the_command_says_that_all_is_well(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(world, FIRST) == 0
    assert command(world, "watchdog") == 0
    assert "all is well" in capsys.readouterr().out
    beat = read_heartbeat(Files(), world.state)
    assert beat is not None and beat.outcome == "finished"
    assert beat.good is not None and SystemClock().now() - beat.good < HOUR


def test_a_run_that_breaks_off_says_so_in_its_heartbeat(world: World) -> None:
    assert run(world, FIRST) == 0
    good = read_heartbeat(Files(), world.state)
    assert good is not None
    (world.state / "breakers.json").write_text("{", encoding="utf-8")
    assert run(world, FIRST + HOUR) == 9
    bad = read_heartbeat(Files(), world.state)
    assert bad is not None
    assert (bad.outcome, bad.exit_code, bad.good) == ("failed", 9, good.good)


def test_neither_a_dry_run_nor_a_command_by_hand_is_a_sign_of_life(world: World) -> None:
    assert run(world, FIRST) == 0
    before = (world.state / "heartbeat").read_bytes()
    assert run(world, FIRST + HOUR, "--dry-run") == 0
    assert command(world, "flatten") == 0
    assert command(world, "cancel") == 0
    assert (world.state / "heartbeat").read_bytes() == before


def test_a_dry_run_portfolio_has_nothing_to_watch(watched: World) -> None:
    text = watched.path.read_text(encoding="utf-8")
    watched.path.write_text(text.replace('"paper"', '"dry-run"', 1), encoding="utf-8")
    assert look(watched, MONDAY + 50 * HOUR) == 0


def test_of_several_portfolios_the_gravest_code_is_the_answer(
    watched: World, tmp_path: Path
) -> None:
    config = str(watched.path)
    assert main(["watchdog", "-c", config, "-c", str(tmp_path / "none.toml")]) == 4


def test_one_portfolio_that_breaks_the_watchdog_does_not_take_the_others(
    watched: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    other, look_at = write_portfolio(beside), watchdog._look

    def broken(rough: Rough, *rest: object) -> object:
        if rough.path == watched.path:
            raise ZeroDivisionError("by zero")
        return look_at(rough, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(watchdog, "_look", broken)
    line = ["watchdog", "-c", str(watched.path), "-c", str(other)]
    for _ in range(2):
        assert main(line) == 70
        said = capsys.readouterr()
        assert f"{watched.path}: unexpected ZeroDivisionError: by zero" in said.err
        assert "demo: state-unreadable: " in said.out, "the second was not looked at"
    assert told(watched) == ["watchdog-failed"]
    assert "ZeroDivisionError: by zero" in words(watched, "watchdog-failed")
    monkeypatch.setattr(watchdog, "_look", look_at)
    look(watched, SystemClock().now() + HOUR)
    assert "watchdog-failed is over" in words(watched, "watchdog-failed-over")


def test_an_error_of_ours_in_one_portfolio_is_its_code_and_the_others_are_looked_at(
    watched: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> object:
        raise StateError("the disk is gone")

    monkeypatch.setattr(watchdog, "_look", broken)
    assert main(["watchdog", "-c", str(watched.path), "-c", str(watched.path)]) == 9
    assert capsys.readouterr().err.count("the disk is gone") == 2


# ------------------------------------------------------------------ a mail server with a mistake

SERVER = 'host = "localhost"\nsender = "bot@example.com"\nrecipients = ["ops@example.com"]\n'


@pytest.mark.parametrize(
    "table",
    [
        "[mail]\n" + SERVER.replace('["ops@example.com"]', '"ops@example.com"'),
        "[mail]\n" + SERVER.replace('"localhost"', "7"),
        "[mail]\n" + SERVER.replace('"localhost"', '"localhost'),  # no TOML any more
        "[mail]\n" + SERVER.replace("host", "hots"),
        '[mail]\nhots = "localhost"\n',
        '[mail]\nsender = "bot@example.com"\n',
        "[mail\n" + SERVER.replace('["ops@example.com"]', '"ops@example.com"'),
        "[[mail]]\n" + SERVER,
    ],
)
def test_a_mail_server_with_a_mistake_is_no_mail_sent_and_none_remembered(
    watched: World, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, late = watched.path.read_text(encoding="utf-8"), MONDAY + 3 * HOUR
    assert text.count("[mail]\nsession_mails = []\n") == 1
    broken = text.replace("[mail]\nsession_mails = []\n", table)
    watched.path.write_text(broken, encoding="utf-8")
    assert look(watched, late) == 4
    said = capsys.readouterr()
    assert "runs-missing" in said.out and "config-broken" in said.out
    assert "no mail about runs-missing: the mail server of [mail] cannot be used" in said.err
    assert told(watched) == [], "a file that nobody looks for was taken for a mail"
    watched.path.write_text(text, encoding="utf-8")
    assert look(watched, late + MINUTE) == 3
    assert told(watched) == ["runs-missing"]


@pytest.mark.parametrize("table", ["", "[mail]\n", "[mail]\npictures = false\n"])
def test_who_names_no_mail_server_wants_files(watched: World, table: str) -> None:
    text = watched.path.read_text(encoding="utf-8")
    watched.path.write_text(text.replace("[mail]\nsession_mails = []\n", table), encoding="utf-8")
    assert look(watched, MONDAY + 3 * HOUR) == 3
    assert told(watched) == ["runs-missing"]


# ------------------------------------------------------------------ a real mail server


@pytest.mark.smtp
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
@pytest.mark.filterwarnings("ignore:Session.login_data is deprecated:DeprecationWarning")
def test_its_mails_leave_although_the_rest_of_the_file_is_broken(
    watched: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, mailbox = authority(tmp_path), Mailbox()
    with mail_server(mailbox, who) as where:
        text = watched.path.read_text(encoding="utf-8").replace("\n[mail]\n", "\n[mail]\n" + (
            f'host = "localhost"\nport = {where.port}\nuser = "bot"\n'
            'sender = "bot@example.com"\nrecipients = [\n  "ops@example.com", # me\n'
            f'  "risk@example.com",\n]\ncafile = "{who.file.name}"\n'
        ))  # fmt: skip
        watched.path.write_text(text.replace("[risk]", "[risk]\nthis is = not toml"), "utf-8")
        monkeypatch.setenv("REBALANCER_SMTP_PASSWORD", "wrong")
        assert look(watched, MONDAY + HOUR) == 4
        monkeypatch.setenv("REBALANCER_SMTP_PASSWORD", PASSWORD.reveal())
        for minutes in (1, 2):
            assert look(watched, MONDAY + HOUR + minutes * MINUTE) == 3
        assert look(watched, MONDAY + 3 * HOUR) == 3
        watched.path.write_text(text, encoding="utf-8")
        beats(watched, MONDAY + 3 * HOUR)
        assert look(watched, MONDAY + 3 * HOUR + MINUTE) == 0
    subjects = [
        email.message_from_bytes(each.content, policy=email.policy.default)["Subject"]
        for each in mailbox.envelopes
    ]
    assert subjects == [
        "demo: the configuration cannot be used",
        "demo: no run any more",
        "demo: over: config-broken",
        "demo: over: runs-missing",
    ]
    assert all(each.rcpt_tos == ["ops@example.com", "risk@example.com"]
               for each in mailbox.envelopes)  # fmt: skip
    assert told(watched) == []
