"""The owner's commands in schedules: in some of them he cancels or sells off.

Its dice are its own, so that everything else that a seed draws stays as it is without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rebalancer.simulators.faults.cells import faults
from rebalancer.simulators.faults.dice import Dice
from rebalancer.simulators.faults.hours import CANCEL, FLATTEN, Happening, Hour, Trouble

Cell = tuple[str, int]

SHARE = 1 / 12
_FLATTENS, _HALTS, _PREPARED = 2 / 3, 0.5, 0.7
_LIKELY, _SECOND = 0.65, 0.4
_MINUTES, _WHILE_THEY_WORK = (5, 10, 20, 30, 45, 60), (5, 5, 5, 20, 60)
"""An order of a run that was killed ends ten minutes later by itself, at Binance."""

STEPS = frozenset({1, 2, 4, 7, 8, 9, 10})
"""The steps of an hour that a command has."""

_CANCELS, _SENDS = 2, 7
LIES = ("account-stale", "account-stale", "positions-stale", "positions-empty")
"""What an account says that a sale looks at after each round; at every venue."""

_LIED, _BEHIND = (2, 2, 6, None), (5.0, 60.0, 600.0, 5400.0)
"""How many answers are old, and by how many seconds: an account is two of them, at one venue."""

_TALK = ("answer-", "request-")
"""Begins the names of faults that leave a question of step 7 without its answer in time."""

_NEVER = ("database-", "replace-")
_ABOUT_ORDERS = ("order-", "cancel-", "stop-", "news-", "quote-", "preview-", "positions-")
"""Begins the names of faults that a cancelling command does not meet in step 7."""

_LEAVES = frozenset({"no-fill", "partial-fill", "silent-order", "cancel-lost", "cancel-unheard"})
_REST = Trouble("no-fill", count=None, step=_SENDS)


@dataclass(frozen=True)
class Draws:
    """What a command is drawn with: its dice, and how its schedule draws everything else."""

    dice: Dice
    venue: str
    trouble: Callable[[Cell], Trouble]
    wanted: Callable[[], Mapping[str, str]]


def with_command(
    draws: Draws, hours: tuple[Hour, ...], *, post: bool, protect: bool
) -> tuple[Hour, ...]:
    """Return hours among which is a command of the owner's; mostly as they are.

    It is never the first, and never between two hours that belong together. Mostly a run comes
    before it that leaves something to be sold, or orders that work.
    """
    dice = draws.dice
    if not dice.chance(SHARE):
        return hours
    place = dice.pick([n for n in range(1, len(hours) + 1) if n == len(hours) or _apart(hours[n])])
    command = FLATTEN if dice.chance(_FLATTENS) else CANCEL
    before = hours[place - 1]
    more: tuple[Hour, ...] = ()
    if dice.chance(_PREPARED):
        before = Hour(60, draws.wanted(), () if command == FLATTEN else _left_working(draws))
        more = (before,)
    cells = _cells(draws.venue, command, post=post, protect=protect)
    if not _leaves_orders(before):
        cells = [cell for cell in cells if not (cell[0].startswith("cancel-") and cell[1] < _SENDS)]
    hour = Hour(
        minutes=dice.pick(_WHILE_THEY_WORK if command == CANCEL else _MINUTES),
        wanted={},
        troubles=_troubles(draws, command, cells),
        happenings=(Happening("halt-file-between"),) if dice.chance(_HALTS) else (),
        command=command,
    )
    return (*hours[:place], *more, hour, *hours[place:])


def _left_working(draws: Draws) -> tuple[Trouble, ...]:
    """Return what lets a run end with orders at work; at Binance only one that is killed does."""
    if draws.venue == "binance" or draws.dice.chance(0.5):
        return (_REST, Trouble("kill-port-after", at="venue.wait", nth=2, step=_SENDS))
    return (_REST,)


def _apart(hour: Hour) -> bool:
    """Return whether an hour needs nothing of the one before: not its slot, orders, or holdings."""
    return not hour.again and not any(
        each.fault.startswith(("positions-", "account-", "database-"))
        or (each.fault.startswith("cancel-") and each.step == _CANCELS)
        for each in hour.troubles
    )


def _leaves_orders(hour: Hour) -> bool:
    """Return whether orders of an hour may still work after it."""
    return not hour.dry and any(
        each.step == _SENDS and (each.fault in _LEAVES or each.fault.startswith("kill-"))
        for each in hour.troubles
    )


def _troubles(draws: Draws, command: str, cells: Sequence[Cell]) -> tuple[Trouble, ...]:
    """Return one or two troubles of a command, and what they wait for."""
    found = [_trouble(draws, command, cells)]
    # One long wait fits into a command's time, two do not.
    if draws.dice.chance(_SECOND) and found[0].fault != "slow":
        found.append(_trouble(draws, command, cells))
    if any(each.fault.startswith("cancel-") and each.step == _SENDS for each in found):
        found.append(_REST)
    return tuple(found)


def _trouble(draws: Draws, command: str, cells: Sequence[Cell]) -> Trouble:
    """Return a trouble of a command; for a sale likely about what it looks at after a round."""
    if command == FLATTEN and draws.dice.chance(_LIKELY):
        if draws.dice.chance(0.5):
            lie = draws.trouble((draws.dice.pick(LIES), _SENDS))
            return replace(
                lie, nth=1, count=draws.dice.pick(_LIED), seconds=draws.dice.pick(_BEHIND)
            )
        cells = [each for each in cells if each[1] == _SENDS and each[0].startswith(_TALK)]
    return draws.trouble(draws.dice.pick(cells))


def _cells(venue: str, command: str, *, post: bool, protect: bool) -> list[Cell]:
    """Return what may strike a command."""
    found: list[Cell] = []
    for row in faults().values():
        place = row.at(venue)
        left_out = (
            place is None
            or row.kind == "between"
            or row.name.startswith(_NEVER)
            or (row.kind == "mail" and not post)
            or (row.name.startswith("stop-") and not protect)
        )
        if place is not None and not left_out:
            about_orders = row.kind == "engine" or row.name.startswith(_ABOUT_ORDERS)
            found += [
                (row.name, step)
                for step in sorted(place.steps & STEPS)
                if not (command == CANCEL and step == _SENDS and about_orders)
            ]
    return found
