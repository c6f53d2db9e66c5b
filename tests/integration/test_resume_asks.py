"""`rebalancer resume` lifts what the owner saw, on an account that a run would believe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.cli import changing
from rebalancer.errors import ConnectError
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.flag_table import FLAG_TABLE
from rebalancer.model.flags import LatchedFlag
from rebalancer.model.records import Standing
from tests.integration.hours import AAPL, JNJ, KO, command, set_position
from tests.portfolios import FIRST, World

pytestmark = pytest.mark.usefixtures("quick")
NUMBERS = ("accepted_net_liquidation", "high_water_mark", "session_start_net_liquidation")


@pytest.fixture
def built(world: World) -> World:
    """Return a portfolio that holds three instruments."""
    world.hour(FIRST)
    return world


def latched(code: str, subject: str = "", evidence: str = "90000") -> LatchedFlag:
    return LatchedFlag(code, subject, FLAG_TABLE[code].severity, "why", FIRST, evidence)


def latch(world: World, *flags: LatchedFlag) -> None:
    world.books().save_standing(replace(world.standing(), latched=flags))


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen while the question stands; then the owner says yes."""

    def typed(_question: str) -> str:
        act()
        return "demo"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", typed)


# ------------------------------------------------------------------ what was not shown


@pytest.mark.parametrize("words", [("--all",), ("drawdown", "daily-loss"), ("drawdown",)])
def test_what_is_latched_while_it_asks_stays(
    built: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    seen, new = latched("drawdown"), latched("reconciliation-break", KO, "1|2")
    other = latched("daily-loss", evidence="2020-03-02|90000")
    latch(built, seen, other)
    worse = replace(other, evidence="2020-03-02|50000", message="far worse")
    meanwhile(monkeypatch, lambda: latch(built, seen, worse, new))
    assert command(built, "resume", *words) == (0 if words == ("drawdown",) else 3)
    assert built.standing().latched == (worse, new)
    told = capsys.readouterr().out
    assert "drawdown lifted" in told
    assert ("changed meanwhile: far worse" in told) == (words != ("drawdown",))


def test_when_nothing_is_left_of_what_was_shown_nothing_is_cleared(
    built: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    latch(built, latched("drawdown"))
    new = latched("daily-loss")
    meanwhile(monkeypatch, lambda: latch(built, new))
    assert command(built, "resume", "--all") == 3
    assert built.standing().latched == (new,)
    assert "Nothing was cleared" in capsys.readouterr().out


def test_all_books_only_the_breaks_that_were_shown(built: World) -> None:
    latch(built, latched("reconciliation-break", AAPL, "445|400"))
    built.change_venue(set_position("400", AAPL))
    built.change_venue(set_position("1", JNJ))
    before = built.books().entries()
    assert command(built, "resume", "--all", "--yes") == 0
    booked = built.books().entries()[len(before) :]
    assert {entry.fill.instrument for entry in booked} == {AAPL}


# ------------------------------------------------------------------ what clearing does


def test_before_it_asks_it_says_what_clearing_each_named_flag_does(
    built: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    latch(
        built,
        latched("drawdown"),
        latched("reject-rate"),
        latched("reconciliation-break", AAPL, "445|400"),
        latched("reconciliation-break", KO, "1|2"),
    )
    shown: list[str] = []
    meanwhile(monkeypatch, lambda: shown.append(capsys.readouterr().out))
    assert command(built, "resume", "drawdown", "reconciliation-break") == 0
    lines = shown[0].splitlines()
    assert "Clearing drawdown: sets the high-water mark to the net liquidation of now." in lines
    both = f"Clearing reconciliation-break of {AAPL}, {KO}: books its position as the venue has it."
    assert both in lines
    assert "Clearing reject-rate" not in shown[0]


def test_without_a_code_it_says_what_clearing_would_do_and_who_does_what_it_cannot(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    latch(built, latched("reject-rate"), latched("unresolved-order", KO))
    assert command(built, "resume") == 0
    told = capsys.readouterr().out
    assert "Clearing reject-rate: counts refusals anew." in told
    assert f"Clearing unresolved-order of {KO}: only `rebalancer resolve` does." in told
    assert told.index("Clearing reject-rate") < told.index("To clear: rebalancer resume CODE")


def test_where_only_a_halt_file_goes_nothing_is_said_of_what_stays_latched(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    (built.state / "HALT").write_text("why\n", encoding="utf-8")
    latch(built, latched("drawdown"))
    assert command(built, "resume", "halt-file", "--yes") == 0
    assert "Clearing" not in capsys.readouterr().out


# ------------------------------------------------------------------ HALT files


def test_a_halt_file_with_a_new_line_stays(
    built: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = built.state / "HALT"
    path.write_text("2020-03-02T15:10:00Z me: mine\n", encoding="utf-8")

    def colleague() -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write("2020-03-02T15:11:00Z you: not yet\n")

    meanwhile(monkeypatch, colleague)
    assert command(built, "resume") == 3
    assert "not yet" in path.read_text(encoding="utf-8")
    assert "STAYS: it changed meanwhile" in capsys.readouterr().out
    assert command(built, "resume", "--yes") == 0
    assert not path.exists()


@pytest.mark.parametrize("words", [(), ("--all",), ("halt-file",)])
def test_a_halt_that_is_a_folder_is_the_owners_to_move(
    built: World, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (built.state / "HALT").mkdir()
    latch(built, latched("drawdown"))
    assert command(built, "resume", *words, "--yes") == 2
    assert "is a folder: move it away by hand" in capsys.readouterr().err
    assert built.standing().latched


def test_a_link_that_leads_nowhere_is_shown_and_removed(built: World, tmp_path: Path) -> None:
    (built.state / "HALT").symlink_to(tmp_path / "nowhere")
    assert command(built, "resume", "--yes") == 0
    assert not (built.state / "HALT").is_symlink()


# ------------------------------------------------------------------ an account nobody should trust


def numbers(standing: Standing) -> list[Decimal | None]:
    return [getattr(standing, name) for name in NUMBERS]


@pytest.mark.parametrize("code", ["net-liquidation-jump", "drawdown", "daily-loss"])
def test_a_value_that_its_parts_do_not_prove_is_not_accepted(
    built: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    latch(built, latched(code, evidence="2020-03-02|90000"))
    before, look = built.standing(), changing.look_at_trades

    def doubled(*asked: Any) -> tuple[AccountSnapshot, object, object]:
        account, fills, income = look(*asked)
        return replace(account, net_liquidation=2 * account.net_liquidation), fills, income

    monkeypatch.setattr("rebalancer.cli.changing.look_at_trades", doubled)
    assert command(built, "resume", code, "--yes") == 2
    assert "nothing was changed: cash" in capsys.readouterr().err
    assert built.standing() == before
    monkeypatch.setattr("rebalancer.cli.changing.look_at_trades", look)
    assert command(built, "resume", code, "--yes") == 0
    assert numbers(built.standing()) != [2 * each for each in numbers(before) if each is not None]


@pytest.mark.parametrize("code", ["net-liquidation-jump", "drawdown", "daily-loss", "turnover-odd"])
def test_offline_a_flag_without_a_number_is_lifted_with_words(
    built: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    latch(built, latched(code, evidence=""))

    def offline(*_asked: object) -> object:
        raise ConnectError("nobody answers")

    monkeypatch.setattr("rebalancer.cli.changing.look_at_trades", offline)
    assert command(built, "resume", code, "--yes") == 0
    assert "the last known values are used" in capsys.readouterr().out
    assert not built.standing().latched


# ------------------------------------------------------------------ breaks of unknown fate


@pytest.mark.parametrize("words", [("--all",), ("reconciliation-break",), (AAPL,)])
def test_a_break_stays_while_an_order_of_its_instrument_is_unresolved(
    built: World, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    built.change_venue(set_position("400"))
    built.change_venue(set_position("200", JNJ))
    order = latched("unresolved-order", AAPL, "demo.2003021505r1.NQ5QP2XZ.0|")
    latch(built, *(latched("reconciliation-break", name) for name in (AAPL, JNJ)), order)
    lines = len(built.fill_lines())
    assert command(built, "resume", *words, "--yes") == 3
    said = capsys.readouterr().out
    assert f"reconciliation-break {AAPL}: stays, order demo.2003021505r1.NQ5QP2XZ.0 in" in said
    left = {(flag.code, flag.subject) for flag in built.standing().latched}
    assert {("reconciliation-break", AAPL), ("unresolved-order", AAPL)} <= left
    # What is named beside it is lifted.
    assert (("reconciliation-break", JNJ) in left) == (words == (AAPL,))
    booked = [line["fill"]["instrument"] for line in built.fill_lines()[lines:]]
    assert booked == ([] if words == (AAPL,) else [JNJ])


def test_many_breaks_stay_while_any_order_is_unresolved(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    built.change_venue(set_position("400"))
    order = latched("unresolved-order", AAPL, "demo.2003021505r1.NQ5QP2XZ.0|")
    latch(built, latched("many-breaks"), order)
    lines = len(built.fill_lines())
    assert command(built, "resume", "many-breaks", "--yes") == 3
    assert "many-breaks: stays, order demo.2003021505r1.NQ5QP2XZ.0" in capsys.readouterr().out
    assert len(built.fill_lines()) == lines


def test_a_second_adjustment_of_one_minute_is_not_told_as_booked(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for held in ("400", "390"):
        built.change_venue(set_position(held))
        latch(built, latched("reconciliation-break", AAPL))
        code = command(built, "resume", "reconciliation-break", "--yes")
        assert code == (0 if held == "400" else 2)
    assert "call the command again in a minute" in capsys.readouterr().err
    assert [flag.code for flag in built.standing().latched] == ["reconciliation-break"]
