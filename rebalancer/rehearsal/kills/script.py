"""What happens to one seed's run: drawn from the seed, and nothing else."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from rebalancer.simulators.killing import Side

PER_WORLD = 24
"""Kills that share the ordinary hours before them."""

MOST_ORDINARY = 3
"""Worlds by turns: without an ordinary hour before the killed one, with one, with two."""

SIDES = (Side.LOST, Side.BEFORE, Side.AFTER)
LATER = (0.0, 0.0, 0.001, 0.004, 0.015)
"""Seconds after the venue acted: what the client does then is a matter of luck."""

TWICE = 3
"""One run in so many is killed again when it comes back."""

AGAIN = 3
"""One killed run in so many is tried again in its own slot."""

MEETS = 4
"""One run in so many that come after a kill meets a second one while it is at work."""

_GRAIN = Decimal("0.0001")


@dataclass(frozen=True, kw_only=True)
class Task:
    """Seeds of one world, or every `stride`-th message of its run with a signal."""

    world: int
    seeds: tuple[int, ...] = ()
    stride: int = 0
    sign: int = signal.SIGKILL


@dataclass(frozen=True)
class World:
    """What the seeds of a number share: ordinary hours with these weights, and the killed one's."""

    venue: str
    number: int
    ordinary: tuple[Mapping[str, str], ...]
    wanted: Mapping[str, str]
    protect: bool


@dataclass(frozen=True, kw_only=True)
class Blow:
    """A kill at the `nth` message of a run, in thousandths of its messages when it is a share.

    `later_seconds`: that long after the venue acted (`Side.AFTER`).
    """

    nth: int
    side: Side
    later_seconds: float = 0.0
    sign: int = signal.SIGKILL


@dataclass(frozen=True, kw_only=True)
class Script:
    """One seed: where its run is killed, whether the next one is too, and when that one comes.

    `meeting`: where the first calm run is stopped for a moment, in which a second run begins.
    """

    seed: int
    first: Blow
    second: Blow | None
    again: bool
    minutes: tuple[int, ...]
    meeting: Blow | None = None


def world_of(seed: int) -> int:
    """Return the number of the world that a seed's run is killed in."""
    return seed // PER_WORLD


def draw_world(venue: str, number: int, instruments: Sequence[str]) -> World:
    """Return a world: none to two ordinary hours, and what is wanted after them."""
    luck = Random(f"{venue}|world|{number}")
    short = venue == "binance"
    weights = [_weights(luck, instruments, short=short) for _ in range(number % MOST_ORDINARY + 1)]
    protect = short and number // MOST_ORDINARY % 2 == 0
    return World(venue, number, tuple(weights[:-1]), weights[-1], protect)


def draw_script(world: World, seed: int, messages: int) -> Script:
    """Return a seed's script for a run of so many messages.

    The seeds of a world are dealt over all its messages and sides, none twice.
    """
    dealt = [(nth, side) for nth in range(1, messages + 1) for side in SIDES]
    Random(f"{world.venue}|deal|{world.number}").shuffle(dealt)
    nth, side = dealt[seed % PER_WORLD % len(dealt)]
    luck = Random(f"{world.venue}|script|{seed}")
    second = None
    if luck.randrange(TWICE) == 0:
        second = _blow(luck, luck.randint(1, messages), luck.choice(SIDES))
    script = Script(
        seed=seed,
        first=_blow(luck, nth, side),
        second=second,
        again=luck.randrange(AGAIN) == 0,
        minutes=tuple(luck.choice((15, 30, 31, 60)) for _ in range(3)),
    )
    if luck.randrange(MEETS):
        return script
    return replace(script, meeting=meeting_at(luck.randint(1, messages)))


def meeting_at(nth: int) -> Blow:
    """Return the blow that stops a run at a message and does not kill it."""
    return Blow(nth=nth, side=Side.AFTER, sign=signal.SIGSTOP)


def stride_script(nth: int, sign: int, turn: int) -> Script:
    """Return a script that strikes a message; the sides take turns."""
    side = SIDES[turn % len(SIDES)] if sign == signal.SIGKILL else Side.AFTER
    blow = Blow(nth=nth, side=side, sign=sign)
    return Script(seed=nth, first=blow, second=None, again=turn % 2 == 1, minutes=(30, 30, 30))


def _blow(luck: Random, nth: int, side: Side) -> Blow:
    later = luck.choice(LATER) if side is Side.AFTER else 0.0
    return Blow(nth=nth, side=side, later_seconds=later)


def _weights(luck: Random, instruments: Sequence[str], *, short: bool) -> Mapping[str, str]:
    """Return weights of at most 0.9 together; perpetuals may be sold short."""
    drawn = [luck.random() if luck.random() < 0.85 else 0.0 for _ in instruments]
    whole = max(sum(drawn), 1.0)
    found = {}
    for name, each in zip(instruments, drawn, strict=True):
        weight = Decimal(each / whole * 0.9).quantize(_GRAIN)
        if weight:
            found[name] = str(-weight if short and luck.random() < 0.4 else weight)
    return found
