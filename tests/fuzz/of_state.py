"""State files, damaged: the run names the file and sends nothing, or sends what it would have."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from tests.fuzz.lives import ENGINE, EXCHANGE, GATEWAY, MOST_MINUTES, Life
from tests.fuzz.spoil import spoil_bytes, spoil_csv, spoil_json_text
from tests.fuzz.trial import Findings, Sent, Told, call, heard, named, within

LOOKS = ("status", "status --json", "orders", "orders --json", "resume", "check", "watchdog")
HOURS = 2


class State:
    """Every file of a portfolio that has lived two hours."""

    name = "states"

    def prepare(self, folder: Path) -> None:
        """Let each portfolio live two hours, and one more without damage."""
        self._folder = folder
        self._allowed: dict[str, list[Sent]] = {}
        for life in (ENGINE, GATEWAY, EXCHANGE):
            life.lived(folder / life.name, HOURS)
            whole = folder / f"{life.name}-whole"
            life.copy(folder / life.name, whole)
            before = len(life.orders(whole))
            assert life.hour(whole, HOURS).code == 0
            self._allowed[life.name] = life.orders(whole)[before:]

    def attempt(self, dice: Random, folder: Path, found: Findings) -> None:
        """Damage one or two files of one of them, look at it, and run its next hour."""
        life = dice.choice((ENGINE, ENGINE, GATEWAY, EXCHANGE))
        life.copy(self._folder / life.name, folder)
        life.wish(folder, HOURS)
        before = len(life.orders(folder))
        state = life.state(folder)
        cut = dice.random() < 0.3
        if cut:  # the last run did not get as far as its record
            life.last_run(folder, HOURS - 1).joinpath("record.json").unlink()
        tries = range(dice.choice((1, 1, 1, 2)))
        done = [each for _ in tries if (each := self._damage(dice, state)) is not None]
        found.what = f"{life.name}{' without its last record' if cut else ''}: " + "; ".join(
            words for words, _ in done
        )
        names = tuple(path.name for _, path in done)
        venue = any({"paper", "signals"} & {*path.parts[-3:]} for _, path in done)
        look = dice.choice(LOOKS).split()
        if dice.random() < 0.4:
            heard(found, call(*look, "--config", life.config(folder)), " ".join(look))
        told = life.hour(folder, HOURS, wish=False)
        heard(found, told, "run")
        if told.code == 9:
            named(found, told, names, "run")
        if not venue and life.has_venue(folder):
            self._judge(life, folder, before, told, found)
        if dice.random() < 0.3:
            heard(found, call(*look, "--config", life.config(folder)), f"{look} afterwards")

    def _judge(self, life: Life, folder: Path, before: int, told: Told, found: Findings) -> None:
        new = life.orders(folder)[before:]
        beyond = within(new, self._allowed[life.name])
        found.expect(not beyond, f"an order that was not due: {beyond}\n{told.text[:1500]}")
        found.expect(told.code in (0, 3, 5) or not new, f"sent although exit code {told.code}")
        took = clock_minutes(life, folder)
        found.expect(took <= MOST_MINUTES, f"the run took {took:.0f} minutes of the venue's time")

    def _damage(self, dice: Random, state: Path) -> tuple[str, Path] | None:
        files = sorted(path for path in state.rglob("*") if path.is_file())
        calendars = sorted(p for p in (state.parent / "calendars").glob("*") if p.is_file())
        truth = [p for p in files if p.name in ("breakers.json", "fills.jsonl", "equity.csv")]
        last = [p for p in files if p.parent.parent.name == "runs"]
        journals = [p for p in last if p.name == "journal.jsonl"][-1:]
        pool = dice.choice((truth, truth, last, journals, files, files + calendars))
        if not files + calendars:
            return None  # all of it went with the first one
        path = dice.choice(pool or files or calendars)
        what = dice.choice(("bytes", "bytes", "text", "text", "text", "text", "other", "thing"))
        content = path.read_bytes()
        if what == "bytes":
            path.write_bytes(spoil_bytes(dice, content))
        elif what == "text" and path.suffix == ".csv":
            path.write_bytes(spoil_csv(dice, content))
        elif what == "text":
            path.write_bytes(spoil_json_text(dice, content))
        elif what == "other":
            other = dice.choice([p for p in files if p.suffix == path.suffix] or files)
            shutil.copyfile(other, path) if other != path else path.write_bytes(b"{}\n")
            what = f"is {other.relative_to(state.parent)}"
        else:
            what = _thing(dice, path)
        return f"{path.relative_to(state.parent)} {what}", path


def _thing(dice: Random, path: Path) -> str:
    """Put something that is no file where a file was."""
    path.unlink()
    what = dice.choice(
        ("gone", "a folder", "a full folder", "a link to nowhere", "a link to itself", "all gone")
    )
    if what == "a folder":
        path.mkdir()
    elif what == "a full folder":
        path.mkdir()
        (path / "inner").write_text("x", encoding="utf-8")
    elif what == "all gone":
        shutil.rmtree(path.parent)
    elif what == "a link to nowhere":
        path.symlink_to(path.parent / "nowhere")
    elif what == "a link to itself":
        path.symlink_to(path)
    return what


def clock_minutes(life: Life, folder: Path, hour: int = HOURS) -> float:
    """Return how many minutes of the venue's time a run took."""
    from datetime import datetime

    now = datetime.fromisoformat(life.venue(folder)["now"].replace("Z", "+00:00"))
    return (now - life.at(hour)).total_seconds() / 60
