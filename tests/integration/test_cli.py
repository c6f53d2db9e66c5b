"""The commands over a paper portfolio that really runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.cli import main
from rebalancer.model.codec import to_plain
from rebalancer.model.flags import LatchedFlag, Severity
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import (
    ApprovedOrder,
    Fill,
    OrderIntent,
    OrderType,
    TimeInForce,
    order_reference,
)
from rebalancer.model.records import Entry, EntryKind
from rebalancer.store.atomic import Files
from rebalancer.store.books import StateFolder
from rebalancer.store.lock import portfolio_lock

FIRST = "2020-03-02T15:05Z"
SECOND = "2020-03-02T16:05Z"
NEXT_DAY = "2020-03-03T16:05Z"
PLUGIN = """
from rebalancer.model.signals import TargetWeights

def generate(context):
    print("newest close:", context.closes.last_time().isoformat())
    weights = {name: 0.9 / len(context.universe) for name in context.universe}
    return TargetWeights(weights)
"""
TEXT = """
[portfolio]
name = "test"
mode = "paper"
base_currency = "USD"

[[sleeve]]
name = "even"
share = 1
generator = "signals/even.py"
universe = ["AAPL.STK.USD@IB", "KO.STK.USD@IB", "MSFT.STK.USD@IB", "PG.STK.USD@IB"]

[risk]
max_order_weight = 0.3
allow_unknown_volume = true
"""


@pytest.fixture
def portfolio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a paper portfolio of four stocks."""
    monkeypatch.setenv("REBALANCER_LOCKS", str(tmp_path / "locks"))
    (tmp_path / "signals").mkdir()
    (tmp_path / "signals" / "even.py").write_text(PLUGIN)
    path = tmp_path / "portfolio.toml"
    path.write_text(TEXT)
    return path


class Shell:
    """Types commands and reads what they say."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self.state = path.parent / "state" / "test"
        self._capsys = capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        """Type a command for the portfolio; return all that it says."""
        self._capsys.readouterr()
        ended = main([*words, "--config", str(self.path)])
        shown = self._capsys.readouterr()
        assert ended == code, shown.out + shown.err
        return shown.out + shown.err

    def json(self, *words: str) -> Any:
        """Type a command that answers in JSON."""
        return json.loads(self(*words, "--json"))

    def books(self) -> StateFolder:
        """Return the books as a program would open them."""
        return StateFolder(self.state, Files())


@pytest.fixture
def shell(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return the hands of the owner."""
    return Shell(portfolio, capsys)


def test_a_first_day_by_hand(shell: Shell) -> None:
    told = shell("check", "--connect")
    assert "Everything is right." in told
    assert "OK    clock" in told
    assert "no run on record" in shell("orders")
    shell("run", "--at", FIRST)
    orders = shell.json("orders")
    assert [row["instrument"][:4] for row in orders["orders"]]
    assert {row["fate"] for row in orders["orders"]} == {"filled"}
    assert len(orders["orders"]) + len(orders["nothing"]) == 4
    status = shell.json("status")
    assert status["last_run"]["slot"] == "2020-03-02T15:05:00Z"
    assert {row["instrument"] for row in status["positions"]} >= {"AAPL.STK.USD@IB"}
    assert "BUY" in shell("orders", "2020-03-02T1505Z")
    assert "no record of a run at" in shell("orders", "2020-03-02T1605Z", code=2)
    shell("cancel")  # nobody looks for the orders of a command that had none
    told = shell("orders")
    assert "`cancel` 2020-03-02T" in told
    assert "The orders of the last run: rebalancer orders 2020-03-02T1505Z" in told


def test_check_tells_everything_and_answers_2(shell: Shell) -> None:
    text = TEXT.replace("even.py", "evn.py").replace("max_order_weight", "max_order_wait")
    shell.path.write_text(text)
    told = shell("check", code=2)
    assert "sleeve[0].generator" in told
    assert "did you mean signals/even.py?" in told
    assert "risk.max_order_wait = 0.3: unknown key" in told
    assert "2 problems" in told


def test_check_names_a_wrong_calendar_beside_all_else_that_is_wrong(shell: Shell) -> None:
    text = TEXT.replace("even.py", "evn.py").replace("max_order_weight", "max_order_wait")
    text = text.replace('"USD"\n', '"USD"\ncalendar = "XNYSE"\n', 1)
    shell.path.write_text(text)
    told = shell("check", code=2)
    assert "portfolio.calendar: calendar 'XNYSE': there is no such calendar; near: XNYS" in told
    assert "3 problems" in told


def test_a_missing_mail_password_is_told_by_a_run_without_mails_and_by_check(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = (
        '[mail]\nhost = "127.0.0.1"\nport = 9\nuser = "me"\nsender = "m@e.x"\n'
        'recipients = ["m@e.x"]\nsession_mails = []\n'
    )
    shell.path.write_text(TEXT + mail)
    told = shell("check", "--mail", code=2)
    assert "no mail was tried at 127.0.0.1: its password is missing" in told
    assert told.count("BAD ") == 2, "no server is asked without its password"
    told = shell("run", "--at", FIRST)
    assert "HOLD mail-password" in told
    assert "REBALANCER_TEST_SMTP_PASSWORD" in told
    assert "Nothing needs your attention" not in told
    monkeypatch.setenv("REBALANCER_SMTP_PASSWORD", "there-it-is")
    assert "mail-password" not in shell("run", "--at", "2020-03-02T16:05Z")


def test_check_runs_the_generators(shell: Shell) -> None:
    (shell.path.parent / "signals" / "even.py").write_text("def generate(context):\n    1 / 0\n")
    told = shell("check", code=2)
    assert "line 2" in told
    assert "ZeroDivisionError" in told


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('"USD"\n', '"USD"\ncalendar = "XNYZ"\n', "portfolio.calendar"),
        ("KO.STK", "KOO.STK", "KOO.STK.USD@IB"),
        ("[risk]", '[paper]\nrecording = "none"\n[risk]', "paper.recording"),
        (
            "[risk]",
            '[mail]\nhost="h"\nuser="me"\nsender="m@e.x"\nrecipients=["m@e.x"]\n[risk]',
            "REBALANCER_TEST_SMTP_PASSWORD",
        ),
    ],
)
def test_check_looks_behind_the_text(shell: Shell, before: str, after: str, words: str) -> None:
    shell.path.write_text(TEXT.replace(before, after, 1))
    assert words in shell("check", code=2)


def test_check_finds_a_state_folder_that_others_can_write(shell: Shell) -> None:
    shell("check")
    shell.state.chmod(0o777)
    assert f"chmod 700 {shell.state}" in shell("check", code=2)


def test_check_finds_state_of_a_newer_version(shell: Shell) -> None:
    shell("run", "--at", FIRST)
    breakers = shell.state / "breakers.json"
    plain = json.loads(breakers.read_text())
    breakers.write_text(json.dumps(plain | {"schema": 99}))
    assert "Upgrade this program" in shell("check", code=9)


def test_check_mail_without_a_server_says_where_mails_go(shell: Shell) -> None:
    told = shell("check", "--mail")
    assert f"mails are files in {shell.state / 'reports'}" in told


def test_check_mail_tells_that_a_server_does_not_answer(shell: Shell) -> None:
    mail = '[mail]\nhost = "127.0.0.1"\nport = 9\nsender = "m@e.x"\nrecipients = ["m@e.x"]\n'
    shell.path.write_text(TEXT + mail)
    told = shell("check", "--mail", code=2)
    assert "Check the [mail] settings." in told


def test_check_compares_files(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    second = shell.path.with_name("second.toml")
    second.write_text(TEXT.replace('"test"', '"two"') + '[account]\nid = "PAPER-test"\n')
    assert main(["check", str(shell.path), str(second)]) == 2
    assert "account.id = PAPER-test" in capsys.readouterr().out


def test_signals_shows_weights_and_what_was_printed(shell: Shell) -> None:
    told = shell("signals", "even")
    assert "AAPL.STK.USD@IB  +22.5000%" in told  # 0.9 / 4
    assert "newest close: 2020-02-28" in told  # a Friday; it is Monday morning
    plain = shell.json("signals", "even", "--at", NEXT_DAY)
    assert plain["at"] == "2020-03-03T16:05:00Z"
    assert sum(plain["weights"].values()) == pytest.approx(0.9)
    assert not shell.state.exists() or not any(shell.state.glob("signals/*"))


def test_signals_sees_no_close_of_the_future(shell: Shell) -> None:
    first = shell.json("signals", "even", "--at", "2020-03-02T20:00Z")["output"]
    later = shell.json("signals", "even", "--at", "2020-03-03T21:30Z")["output"]
    assert first.split()[2] == "2020-02-28T21:00:00+00:00"
    assert later.split()[2] == "2020-03-03T21:00:00+00:00"


def test_signals_names_what_it_cannot_run(shell: Shell) -> None:
    assert "there is no sleeve 'odd'; there are even" in shell("signals", "odd", code=2)
    (shell.path.parent / "signals" / "even.py").write_text("print('hello')\n1 / 0\n")
    told = shell("signals", "even", code=3)
    assert "hello" in told
    assert "ZeroDivisionError" in told


def test_a_dry_run_has_orders_of_its_own(shell: Shell) -> None:
    shell("run", "--dry-run", "--at", FIRST)
    dry = shell.json("orders", "--dry-run")
    assert dry["mode"] == "dry-run"
    assert {row["fate"] for row in dry["orders"]} == {"not sent"}
    assert shell.json("orders") is None


def test_status_of_a_folder_is_a_line_each(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell("run", "--at", FIRST)
    folder = shell.path.parent
    (folder / "broken.toml").write_text("[portfolio]\n")
    (folder / "secrets.toml").write_text("")
    (folder / "secrets.toml").chmod(0o600)
    (folder / "any.example.toml").write_text("")
    capsys.readouterr()
    assert main(["status", "--all", str(folder)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("broken.toml")
    assert lines[2].startswith("test")
    assert "2020-03-02 15:05 UTC finished" in lines[2]


# ------------------------------------------------------------------------------- halt, resume


def test_a_halt_stops_and_a_resume_goes_on(shell: Shell) -> None:
    shell("halt", "results tonight")
    told = shell("run", "--at", FIRST, code=3)
    assert "results tonight" in told
    assert "halt-file" in shell("status", "--all", str(shell.path.parent))
    assert "results tonight" in shell("resume", "--yes")
    assert not (shell.state / "HALT").exists()
    shell("run", "--at", SECOND)
    assert {row["fate"] for row in shell.json("orders")["orders"]} == {"filled"}


def test_a_resume_asks_first(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("halt")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert "--yes confirms it" in shell("resume", code=2)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert "Nothing was done" in shell("resume")
    assert (shell.state / "HALT").exists()
    monkeypatch.setattr("builtins.input", lambda _: "test")
    shell("resume")
    assert not (shell.state / "HALT").exists()


def test_a_check_tells_the_next_opening_of_the_time_that_it_is(shell: Shell) -> None:
    assert "XNYS, next opening 2020-03-02 14:30 UTC" in shell("check")
    shell("run", "--at", "2020-03-04T16:05Z")
    assert "XNYS, next opening 2020-03-05 14:30 UTC" in shell("check")


def test_the_file_that_stops_all_goes_by_its_own_word_only(shell: Shell) -> None:
    shell("run", "--at", FIRST)
    shell("halt", "--all")
    of_all, own = shell.state.parent / "HALT", shell.state / "HALT"
    assert "halt-file:all is another word" in shell("resume", "halt-file", "--yes", code=2)
    for words in ((), ("--all",), ("halt-file",)):
        shell("halt")
        told = shell("resume", *words, "--yes")
        assert "HALT file of all portfolios stays" in told
        assert of_all.exists()
        assert not own.exists()
    assert "HALT file of all portfolios stays" in shell("resume", "--yes", code=3)
    shell("halt")
    told = shell("resume", "halt-file:all", "--yes")
    assert str(of_all) in told
    assert not of_all.exists()
    assert own.exists()
    assert "no HALT file of all" in shell("resume", "halt-file:all", "--yes", code=2)


def latched(code: str, subject: str = "", evidence: str = "") -> LatchedFlag:
    at = datetime(2020, 3, 2, 15, 5, tzinfo=UTC)
    return LatchedFlag(code, subject, Severity.HALT, "for a test", at, evidence)


def latch(shell: Shell, *flags: LatchedFlag) -> None:
    books = shell.books()
    books.save_standing(replace(books.standing(), latched=flags))


def test_resume_shows_what_is_latched_and_what_clears_it(shell: Shell) -> None:
    shell("run", "--at", FIRST)
    latch(shell, latched("daily-loss", evidence="0.06"))
    told = shell("resume")
    assert "daily-loss" in told
    assert "rebalancer resume" in told
    assert len(shell.books().standing().latched) == 1


def test_resume_clears_what_is_named(shell: Shell) -> None:
    shell("run", "--at", FIRST)
    latch(shell, latched("daily-loss", evidence="0.06"), latched("drawdown", evidence="90000"))
    assert "nothing latched is draw-down" in shell("resume", "draw-down", "--yes", code=2)
    assert "daily-loss lifted" in shell("resume", "daily-loss", "--yes")
    assert [flag.code for flag in shell.books().standing().latched] == ["drawdown"]
    shell("resume", "--all", "--yes")
    standing = shell.books().standing()
    assert standing.latched == ()
    assert standing.state.value == "ACTIVE"


def test_nothing_is_changed_while_a_run_is_at_work(shell: Shell) -> None:
    shell("run", "--at", FIRST)
    latch(shell, latched("daily-loss", evidence="0.06"))
    with held(shell.state):
        assert "Nothing to do" in shell("resume", "--all", "--yes", code=6)
    assert len(shell.books().standing().latched) == 1


@contextmanager
def held(folder: Path) -> Iterator[None]:
    now = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    with portfolio_lock(folder, now * 2, now):
        yield


def test_resume_of_a_break_makes_the_books_agree(shell: Shell) -> None:
    shell("run", "--at", FIRST)
    at = datetime(2020, 3, 2, 15, 30, tzinfo=UTC)
    fill = Fill(
        "made-up", "", "", InstrumentId("KO.STK.USD@IB"), Decimal(5), Decimal(50), "USD", at
    )
    shell.books().book((Entry(EntryKind.ADJUSTMENT, at, fill),))
    shell("run", "--at", SECOND)
    assert "reconciliation-break" in shell("resume")
    assert "KO.STK.USD@IB" in shell("resume", "reconciliation-break", "--yes")
    shell("run", "--at", NEXT_DAY)
    assert "reconciliation-break" not in shell("status")


# ------------------------------------------------------------------------------- resolve, adopt

SLOT = datetime(2020, 3, 2, 14, 35, tzinfo=UTC)
REFERENCE = order_reference("test", SLOT, 1, InstrumentId("KO.STK.USD@IB"), 1)


def unresolved(shell: Shell) -> None:
    """Leave what a run leaves that was cut off right after its order went to the wire."""
    name = InstrumentId("KO.STK.USD@IB")
    intent = OrderIntent(
        instrument=name,
        quantity=Decimal(-40),
        limit=Decimal("50.10"),
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        currency="USD",
        reference_price=Decimal("50.20"),
        reference_at=SLOT,
        current_quantity=Decimal(100),
        target_quantity=Decimal(60),
        current_weight=0.05,
        target_weight=0.03,
        notional=2008.0,
        fee=1.0,
        reducing=True,
        wave=0,
        sequence=1,
        reason="for a test",
    )
    order = ApprovedOrder(REFERENCE, intent, Decimal("49.9"), SLOT, reduce_only=True)
    books = shell.books()
    books.note(SLOT, {"kind": "intents", "attempt": 1, "orders": [to_plain(order)]}, durable=True)
    latch(shell, latched("unresolved-order", name, f"{REFERENCE}|"))


def test_an_order_that_traded_is_booked_once(shell: Shell) -> None:
    unresolved(shell)
    told = shell("resolve", REFERENCE, "--filled=-40@50.12", "--yes")
    assert "is settled" in told
    (entry,) = shell.books().entries()
    assert (entry.kind, entry.slot) == (EntryKind.FILL, SLOT)
    assert (entry.fill.quantity, entry.fill.price) == (Decimal(-40), Decimal("50.12"))
    assert entry.fill.reference == REFERENCE
    assert entry.decision_price == Decimal("50.20")
    assert shell.books().standing().latched == ()
    assert "is not unresolved" in shell("resolve", REFERENCE, "--dead", "--yes", code=2)
    assert len(shell.books().entries()) == 1


def test_a_dead_order_books_nothing(shell: Shell) -> None:
    unresolved(shell)
    shell("resolve", REFERENCE, "--dead", "--yes")
    assert shell.books().entries() == ()
    assert shell.books().standing().latched == ()
    (*_, last) = shell.books().journal(SLOT)
    assert last["order"]["status"] == "cancelled"


def test_what_the_venue_told_already_is_not_booked_again(shell: Shell) -> None:
    unresolved(shell)
    fill = Fill("e1", REFERENCE, "7", InstrumentId("KO.STK.USD@IB"), Decimal(-15), Decimal("50.11"),
                "USD", SLOT)  # fmt: skip
    shell.books().book((Entry(EntryKind.FILL, SLOT, fill),))
    assert "-15 of it already" in shell("resolve", REFERENCE, "--dead", "--yes", code=2)
    shell("resolve", REFERENCE, "--filled=-40@50.12", "--yes")
    assert [entry.fill.quantity for entry in shell.books().entries()] == [-15, -25]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("40@50.12", "a sale's quantity is negative"),
        ("-41@50.12", "for -40 only"),
        ("-40", "QUANTITY@PRICE"),
        ("-40@", "QUANTITY@PRICE"),
        ("x@1", "QUANTITY@PRICE"),
        ("-40@NaN", "QUANTITY@PRICE"),
        ("-40@0", "must be positive"),
    ],
)
def test_what_cannot_have_happened_is_refused(shell: Shell, said: str, words: str) -> None:
    unresolved(shell)
    assert words in shell("resolve", REFERENCE, f"--filled={said}", "--yes", code=2)
    assert len(shell.books().standing().latched) == 1


def test_an_order_that_is_not_unresolved_is_refused(shell: Shell) -> None:
    unresolved(shell)
    told = shell("resolve", "test.2003021435r1.ABCDEFGH.9", "--dead", "--yes", code=2)
    assert f"unresolved: {REFERENCE}" in told


def test_adopt_books_what_is_held_and_the_next_run_trades(shell: Shell) -> None:
    shell.path.write_text(TEXT + '[paper.positions]\n"KO.STK.USD@IB" = 100\n')
    told = shell("run", "--at", FIRST, code=3)
    assert "rebalancer adopt" in told
    assert "--yes" in shell("adopt", code=2)
    assert shell.books().entries() == ()
    told = shell("adopt", "--yes")
    assert "KO.STK.USD@IB" in told
    assert "+100" in told
    (entry,) = shell.books().entries()
    assert (entry.kind, entry.fill.quantity) == (EntryKind.ADOPTION, Decimal(100))
    assert "agree with the account" in shell("adopt", "--yes")
    shell("run", "--at", SECOND)
    assert "reconciliation-break" not in shell("status")
