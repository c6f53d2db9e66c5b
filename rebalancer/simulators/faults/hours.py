"""Fault schedules: plain values that can be printed, replayed and shrunk.

`model.codec` writes and reads them (`to_json(schedule)`, `from_json(Schedule, text)`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CANCEL, FLATTEN = "cancel", "flatten"
"""What the owner may do by hand instead of a run."""


@dataclass(frozen=True)
class Trouble:
    """One fault that is planned for one run.

    `fault` is a name of `cells.toml`. `at` is what it waits for: a port's operation
    ("hands.submit"), a file's ("append journal.jsonl:intents"), a message
    ("placeOrder:new", "POST /fapi/v1/order"); `*` and `?` stand for anything and for one
    character, several names have `|` between them, "" is all that the fault can strike.
    `step` limits it to one step of the hour (0: any). It strikes at occasions `nth` to
    `nth + count - 1` of that run (None: to its end). `seconds` are the venue's.
    """

    fault: str
    at: str = ""
    nth: int = 1
    count: int | None = 1
    code: int = 0
    seconds: float = 0.0
    quantity: str = ""
    subject: str = ""
    text: str = ""
    step: int = 0


@dataclass(frozen=True)
class Happening:
    """What happens outside, between two runs; `what` is a name of `cells.toml` ("between").

    `subject` is an instrument. `quantity` is a signed share of the net liquidation value where
    money or a trade is meant, of the position where a liquidation is, and the ratio of a split.
    `text` is the key of the limit that is changed to `quantity`.
    """

    what: str
    subject: str = ""
    quantity: str = ""
    text: str = ""


@dataclass(frozen=True)
class Hour:
    """One run and what goes wrong with it.

    `minutes` after the slot before (ignored for the first). `wanted` has the weights of the
    signals, by instrument id; when it is empty the ones before stay. `happenings` come before
    the run, `troubles` strike in it. `dry`: a dry run. `again`: the slot before once more, as
    its next attempt. `command`: no run, but what the owner types ("cancel", "flatten").
    """

    minutes: int
    wanted: Mapping[str, str]
    troubles: tuple[Trouble, ...] = ()
    happenings: tuple[Happening, ...] = ()
    dry: bool = False
    again: bool = False
    command: str = ""


@dataclass(frozen=True)
class Schedule:
    """The hours of one rehearsal; after them `calm` runs without any trouble follow.

    `post`: mails go to a mail server, commits to a database. `protect`: the ladder of stops
    is on. `follow`: orders rest and follow the market, then take.
    """

    venue: str
    seed: int
    hours: tuple[Hour, ...]
    calm: int = 2
    post: bool = False
    protect: bool = False
    follow: bool = False
