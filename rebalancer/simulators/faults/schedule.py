"""Schedules drawn from a seed: the same seed, the same schedule, on every machine.

One trouble of each schedule goes by turns through all cells (a fault in a step), so that any few
hundred seeds in a row come by each of them; now and then it strikes a dry run first. What happens
between two runs has turns of its own. The rest are drawn, half by cell and half by fault.
Dry runs, several troubles at once, a kill after a kill, the same slot once more, nights in
between and, with dice of their own, commands of the owner's are mixed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from rebalancer.simulators.faults.by_hand import Draws, with_command
from rebalancer.simulators.faults.cells import FaultRow, faults
from rebalancer.simulators.faults.dice import Dice
from rebalancer.simulators.faults.hours import Happening, Hour, Schedule, Trouble

__all__ = ["Dice", "Happening", "Hour", "Schedule", "Trouble", "draw", "draw_trouble"]

Cell = tuple[str, int]

_HOURS = (1, 2, 2, 2, 3, 3)
_MINUTES = (60, 60, 60, 60, 60, 60, 120, 5, 15, 1440)
_TROUBLES = (1, 1, 1, 2, 2, 3)
_MOST = 3
_NTH = (1, 1, 1, 1, 2, 2, 3, 4, 6, 9)
_NTH_OF_FEW = (1, 1, 1, 2)
_COUNTS = (1, 1, 1, 2, 6, None)
_WEIGHTS = ("0", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3", "0.4")
_MONEY = ("0.003", "0.02", "0.05", "0.2")
_BY_HAND = ("0.005", "-0.005", "0.03", "0.1", "-0.03", "-0.1")
"""Trades of the owner's: the first two are small enough to be booked where nothing tells them."""
_QUANTITIES = {"trade-in-run": ("0.1", "-0.1"), "liquidation-in-run": ("0.5", "1")}
"""Of what happens in an instrument beside a run: parts of net liquidation, of the position."""
_LOGS = ("fills.jsonl", "journal.jsonl")
_LIMITS = (("max_order_weight", "0.1"), ("max_turnover_per_session", "0.5"))

_POST_EVERY = 10
"""Every so many seeds have a mail server and a database."""

_HAPPENS_AT = 5
"""Of so many seeds this one has the turn of something that happens between two runs."""

_DRY, _QUIET, _SAME_WEIGHTS, _HAPPENING = 0.1, 0.25, 0.2, 0.2
_DRY_TURN = 0.1
_ABOUT_ORDERS = ("order-", "cancel-", "replace-", "stop-", "news-", "preview-")
"""Begins the names of faults that nothing can suffer in a dry run."""
_OFTEN = ("kill-", "request-", "answer-", "disk-", "news-", "line-", "halt-file")
"""Begins the names of faults that have many occasions in a step."""

_SHORT_STEPS = (2, 3, 5, 10, 11, 12, 13)
"""Steps in which little is asked and written."""

_LIES = ("positions-", "account-")
"""Begins the names of faults that say something else of what is held: from a run before."""

_REPEATED = ("request-", "answer-", "quote-", "overloaded", *_LIES)
"""Begins the names of faults that may go on, so that asking again does not help."""

_WHOLE = ("mail", "database")
"""Kinds that have one occasion at most."""

_LADDER, _FOLLOW = 0.4, 0.1
_AGAIN, _AGAIN_AFTER_KILL, _KILL_AFTER_KILL = 0.05, 0.4, 0.5

_CANCEL, _SUBMIT, _ALERT, _COMMIT = 2, 7, 10, 12
_NIGHT = 1440
_RESTING = ("cancel-", "replace-", "quote-")
"""Begins the names of faults that strike an order which rests and follows the market."""

_REST = Trouble("no-fill", count=None, step=_SUBMIT)
_BLIND = Trouble("quote-missing", count=None, step=6)


def draw(venue: str, seed: int, instruments: Sequence[str]) -> Schedule:
    """Return the schedule of a seed at a venue ("ib", "binance") for these instruments."""
    dice = Dice(f"{venue}|{seed}")
    post = seed % _POST_EVERY == 0
    hours: list[Hour] = []
    for _ in range(dice.pick(_HOURS)):
        hours.append(_hour(dice, venue, tuple(instruments), hours, post=post))
    _take_turn(dice, venue, seed, instruments, hours)
    if seed % _POST_EVERY == _HAPPENS_AT:
        _let_happen(dice, venue, seed, instruments, hours)
    planned = {(each.fault, each.step) for hour in hours for each in hour.troubles}
    stops = any(
        name.startswith("stop-") or (name.startswith(_LIES) and step == _SUBMIT)
        for name, step in planned
    )
    follows = any(name.startswith(_RESTING) and step == _SUBMIT for name, step in planned)
    ladder, follow = dice.chance(_LADDER), dice.chance(_FOLLOW)
    protect = venue == "binance" and (ladder or stops)
    by_hand = Dice(f"{venue}|{seed}|by hand")
    draws = Draws(
        by_hand,
        venue,
        lambda cell: draw_trouble(by_hand, venue, cell, instruments),
        lambda: _wanted(by_hand, venue, instruments, keep=False),
    )
    return Schedule(
        venue=venue,
        seed=seed,
        hours=with_command(draws, with_companions(hours), post=post, protect=protect),
        post=post,
        protect=protect,
        follow=follow or follows,
    )


def _take_turn(
    dice: Dice, venue: str, seed: int, instruments: Sequence[str], hours: list[Hour]
) -> None:
    """Put the cell whose turn it is into one of the hours, at its first occasion."""
    # Seeds with a mail server have the turns of mails and commits, all others those of every run.
    whole, part = divmod(seed, _POST_EVERY)
    turn, pool = seed - whole, _pools(venue)["run"]
    if part == 0:
        turn, pool = whole, _pools(venue)["post"]
    cells = pool.cells
    trouble = replace(draw_trouble(dice, venue, cells[turn % len(cells)], instruments), nth=1)
    place = dice.pick(range(len(hours)))
    hour = hours[place]
    rest = [each for each in hour.troubles if (each.fault, trouble.fault) != ("slow", "slow")]
    killed = place > 0 and _has_kill(hours[place - 1])
    hours[place] = replace(
        hour,
        troubles=(trouble, *rest[: _MOST - 1]),
        wanted=hour.wanted or _wanted(dice, venue, instruments, keep=False),
        again=hour.again and killed,
        dry=False,
    )
    row = faults()[trouble.fault]
    about_orders = row.kind == "engine" or row.name.startswith(_ABOUT_ORDERS)
    if dice.chance(_DRY_TURN) and row.kind not in _WHOLE and not about_orders:
        hours[place] = replace(hours[place], again=False)
        hours.insert(place, replace(hours[place], troubles=(trouble,), happenings=(), dry=True))


def _let_happen(
    dice: Dice, venue: str, seed: int, instruments: Sequence[str], hours: list[Hour]
) -> None:
    """Put what has its turn of happening before the last of the hours, if need be one more."""
    rows = _between(venue)
    happening = _happening(dice, rows[seed // _POST_EVERY % len(rows)].name, instruments)
    if len(hours) == 1:
        hours.append(Hour(60, {}))
    hours[-1] = replace(hours[-1], happenings=(happening, *hours[-1].happenings[:1]))


def with_companions(hours: Sequence[Hour]) -> tuple[Hour, ...]:
    """Return hours in which each trouble finds what it waits for.

    A cancel needs an order that rests, from the run before or in its own; an alert needs
    something that is the matter, a commit a session that has ended, a lie about positions some.
    """
    found: list[Hour] = []
    for hour in hours:
        if _strikes(hour, "cancel-", _CANCEL):
            before = found.pop() if found else Hour(60, hour.wanted)
            found.append(_with(before, _REST))
        lies = any(each.fault.startswith(_LIES) for each in hour.troubles)
        if (lies or _strikes(hour, "database-", _COMMIT)) and not found:
            found.append(Hour(60, hour.wanted))
        found.append(_accompanied(hour))
    return tuple(found)


def _accompanied(hour: Hour) -> Hour:
    """Return an hour with what its own troubles need in it."""
    if _strikes(hour, "cancel-", _CANCEL):
        hour = replace(hour, again=False)
    if any(_strikes(hour, name, _SUBMIT) for name in _RESTING):
        hour = _with(hour, _REST)
    if _strikes(hour, "mail-", _ALERT):
        hour = _with(hour, _BLIND)
    if _strikes(hour, "database-", _COMMIT):
        hour = replace(hour, minutes=_NIGHT, again=False)
    if any(faults()[each.fault].kind in _WHOLE for each in hour.troubles):
        hour = replace(hour, dry=False)
    return hour


def _strikes(hour: Hour, name: str, step: int) -> bool:
    """Return whether a trouble whose name begins so waits in a step."""
    return any(each.fault.startswith(name) and each.step == step for each in hour.troubles)


def _has_kill(hour: Hour) -> bool:
    return any(each.fault.startswith("kill-") for each in hour.troubles)


def _with(hour: Hour, trouble: Trouble) -> Hour:
    """Return an hour with one more trouble; not a dry one, where it could not strike."""
    return replace(hour, troubles=(*hour.troubles, trouble), dry=False)


def draw_trouble(dice: Dice, venue: str, cell: Cell, instruments: Sequence[str]) -> Trouble:
    """Return a trouble that may strike a cell: a fault in a step."""
    name, step = cell
    row = faults()[name]
    place = row.at(venue)
    if place is None:
        raise ValueError(f"{name} cannot strike at {venue}")
    counts: Sequence[int | None] = _COUNTS if name.startswith(_REPEATED) else (1, 1, 2)
    if name == "slow":
        counts = (1,)
    often = name.startswith(_OFTEN) and step not in _SHORT_STEPS
    return Trouble(
        name,
        at=dice.pick(place.at),
        nth=1 if row.kind in _WHOLE else dice.pick(_NTH if often else _NTH_OF_FEW),
        count=dice.pick(counts),
        code=dice.pick(place.codes),
        seconds=dice.pick(place.seconds),
        quantity=dice.pick(_QUANTITIES[name]) if name in _QUANTITIES else "",
        subject=_subject(dice, row, instruments),
        step=step,
    )


def _hour(
    dice: Dice, venue: str, instruments: Sequence[str], before: Sequence[Hour], *, post: bool
) -> Hour:
    first = not before
    killed = not first and _has_kill(before[-1])
    quiet = not first and dice.chance(_QUIET)
    troubles = () if quiet else _troubles(dice, venue, instruments, post=post, killed=killed)
    happened = not first and dice.chance(_HAPPENING)
    minutes = dice.pick(_MINUTES)
    wanted = _wanted(dice, venue, instruments, keep=not first)
    happenings = _happenings(dice, venue, instruments) if happened else ()
    if any(each.what == "split-ahead" for each in happenings):
        minutes = max(_MINUTES)  # shares are split overnight, and their past with the next bars
    return Hour(
        minutes=minutes,
        wanted=wanted,
        troubles=troubles,
        happenings=happenings,
        dry=dice.chance(_DRY),
        again=not first and dice.chance(_AGAIN_AFTER_KILL if killed else _AGAIN),
    )


def _troubles(
    dice: Dice, venue: str, instruments: Sequence[str], *, post: bool, killed: bool
) -> tuple[Trouble, ...]:
    pools = _pools(venue)
    found: list[Trouble] = []
    for number in range(dice.pick(_TROUBLES)):
        pool = pools["run"]
        if post and dice.chance(0.5):
            pool = pools[dice.pick(("post", "late"))]
        elif killed and number == 0 and dice.chance(_KILL_AFTER_KILL):
            pool = pools["kill"]
        trouble = draw_trouble(dice, venue, pool.draw(dice), instruments)
        # One long wait fits into a run's time, two do not: that would show nothing.
        if trouble.fault != "slow" or all(each.fault != "slow" for each in found):
            found.append(trouble)
    return tuple(found)


def _happenings(dice: Dice, venue: str, instruments: Sequence[str]) -> tuple[Happening, ...]:
    rows = _between(venue)
    return tuple(
        _happening(dice, dice.pick(rows).name, instruments) for _ in range(dice.pick((1, 1, 1, 2)))
    )


def _between(venue: str) -> Sequence[FaultRow]:
    return [r for r in faults().values() if r.kind == "between" and r.at(venue) is not None]


def _happening(dice: Dice, what: str, instruments: Sequence[str]) -> Happening:
    subject = dice.pick(instruments)
    if what in ("deposit", "withdrawal"):
        return Happening(what, quantity=dice.pick(_MONEY))
    if what == "trade-by-hand":
        return Happening(what, subject, dice.pick(_BY_HAND))
    if what == "liquidation":
        return Happening(what, subject, dice.pick(("0.5", "1")))
    if what == "split-ahead":
        return Happening(what, subject, dice.pick(("2", "3", "4")))
    if what == "split":
        return Happening(what, subject, dice.pick(("2", "4", "0.1")))
    if what == "file-torn":
        return Happening(what, dice.pick(_LOGS))
    if what == "config-changed":
        key, value = dice.pick(_LIMITS)
        return Happening(what, text=key, quantity=value)
    return Happening(what)


def _subject(dice: Dice, row: FaultRow, instruments: Sequence[str]) -> str:
    """Return an instrument for what can be about one, '' for all of them."""
    about_one = row.kind == "engine" or row.name.startswith("quote-") or row.name in _QUANTITIES
    return dice.pick(instruments) if about_one and dice.chance(0.5) else ""


def _wanted(dice: Dice, venue: str, instruments: Sequence[str], *, keep: bool) -> Mapping[str, str]:
    if keep and dice.chance(_SAME_WEIGHTS):
        return {}
    weights = {name: dice.pick(_WEIGHTS) for name in instruments}
    shorts = [name for name in instruments if ".PERP@" in name and dice.chance(0.3)]
    return {
        name: f"-{weight}" if name in shorts and weight != "0" else weight
        for name, weight in weights.items()
    }


@dataclass(frozen=True)
class Pool:
    """Cells to draw from: each fault's own, and all of them."""

    by_fault: Sequence[Sequence[Cell]]

    def draw(self, dice: Dice) -> Cell:
        """Return a cell: half of the time any, half of the time any fault's."""
        if dice.chance(0.5):
            return dice.pick(dice.pick(self.by_fault))
        return dice.pick(self.cells)

    @property
    def cells(self) -> Sequence[Cell]:
        """Return all of them, in the table's order."""
        return [cell for cells in self.by_fault for cell in cells]


@cache
def _pools(venue: str) -> Mapping[str, Pool]:
    """Return the cells of every run, those of mails and commits, of late steps, and kills.

    Steps 10 to 12 have something to do only where there is a mail to send, or a commit.
    """
    rows = [row for row in faults().values() if row.kind != "between"]
    cells: dict[str, Sequence[Cell]] = {}
    for row in rows:
        if (place := row.at(venue)) is not None:
            cells[row.name] = [(row.name, step) for step in sorted(place.steps)]
    whole = [name for name in cells if faults()[name].kind in _WHOLE]
    rest = [name for name in cells if name not in whole]
    late = ([cell for cell in cells[name] if cell[1] in (10, 11, 12)] for name in rest)
    return {
        "run": Pool([cells[name] for name in rest]),
        "post": Pool([cells[name] for name in whole]),
        "late": Pool([each for each in late if each]),
        "kill": Pool([cells[name] for name in rest if name.startswith("kill-")]),
    }
