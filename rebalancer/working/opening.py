"""The guard around the hour: an error becomes a flag, and the books are still closed."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import takewhile

from rebalancer.errors import (
    BlindError,
    ConnectError,
    DeadlineExceeded,
    OutcomeUnknown,
    RebalancerError,
)
from rebalancer.model.flags import Step
from rebalancer.model.records import Mode, RunRecord
from rebalancer.model.secret import masked
from rebalancer.model.universe import Universe
from rebalancer.ports import Desk, Venue
from rebalancer.working.closing import close_after_failure
from rebalancer.working.identity import require_own_books
from rebalancer.working.page import HaltSeen, RunPage
from rebalancer.working.protect import given_up

MOST_DRY_RUNS = 99
"""A reference has two digits for its attempt; dry runs send none, so there they may repeat."""


def _dry(desk: Desk) -> bool:
    return desk.mode is Mode.DRY_RUN


@contextmanager
def open_page(
    desk: Desk, slot: datetime, command: str = "", seen: HaltSeen | None = None
) -> Iterator[RunPage]:
    """Open the page of a slot and close it whatever happens.

    `command` names what is done instead of a run, after the owner saw the HALT files as `seen`
    says. An `Exception` that leaves the hour becomes
    a HALT flag with its step; what steps 8 to 13 are for still happens from what the page
    knows. A kill (`BaseException`) passes through: the next run finishes from the journal.
    Raises `StateError` when nothing can be written.
    """
    desk.books.check()  # damaged or missing books end the run before anything is sent
    earlier = [line for line in desk.books.journal(slot) if line.get("kind") == "begin"]
    attempt = len(earlier) + 1
    attempt = min(attempt, MOST_DRY_RUNS) if _dry(desk) else attempt
    page = RunPage(desk, slot, attempt, command, seen)
    require_own_books(page.standing, desk.identity)
    page.begin()
    if desk.mail_trouble:
        page.flag("mail-password", desk.mail_trouble, f"step:{int(Step.ALERT)}")
    try:
        yield page
    except Exception as error:
        note_failure(page, error)
        close_after_failure(desk, page)


@contextmanager
def connect(desk: Desk, page: RunPage) -> Iterator[Venue]:
    """Connect to the venue; whatever happens, the connection is closed at the end."""
    page.step(Step.CONNECT)
    page.untold = _untold(desk, page)
    with desk.broker.connect(page) as venue:
        if desk.identity and not page.standing.account:
            page.remember(account=desk.identity)  # now the venue has confirmed the account
        yield venue


def _untold(desk: Desk, page: RunPage) -> tuple[RunRecord, ...]:
    """Return the newest records, oldest first, whose runs ended before they told their troubles.

    Asked before the venue is: a run that cannot connect has them to tell as well.
    """
    last = desk.books.last_record()
    if last is None or page.desk.mode is not last.mode or not _ended_untold(desk, last):
        return ()
    session = () if last.session is None else desk.books.records(last.session)
    earlier = [each for each in session if each.slot < last.slot and each.mode is last.mode]
    owed = [last, *takewhile(lambda each: _ended_untold(desk, each), reversed(earlier))]
    for record in reversed(owed):
        page.flag(
            "run-repaired",
            f"the run of {record.slot:%Y-%m-%d %H:%M} UTC ended after its record and before its "
            "mails; what is owed goes out now",
        )
    return tuple(reversed(owed))


def _ended_untold(desk: Desk, record: RunRecord) -> bool:
    kinds = {line.get("kind") for line in desk.books.journal(record.slot)}
    return "begin" in kinds and "told" not in kinds


def learn_rules(desk: Desk, venue: Venue, page: RunPage) -> Desk:
    """Return the desk with the rules that the venue has for its instruments today.

    Ticks and lots are the venue's to say; what the owner configured stands where it says
    nothing. What the venue does not know at all is held by its flag; what it closes, or what
    stops could not protect, is to be left.
    """
    gone = given_up(page)
    listed = tuple(
        replace(each, leaving=each.leaving or gone.get(each.id, ""))
        for each in venue.listed(desk.universe.instruments)
    )
    for instrument in listed:
        if instrument.leaving:
            page.flag(
                "instrument-leaving",
                f"{instrument.id}: {instrument.leaving}; zero is wanted of it whatever the "
                "signals say, and only the way out of it is open",
                instrument.id,
            )
    page.desk = replace(desk, universe=Universe(listed))
    return page.desk


_CODES: tuple[tuple[type[Exception], str], ...] = (
    (BlindError, "blind"),
    (ConnectError, "cannot-connect"),
    (DeadlineExceeded, "deadline"),
)


def note_failure(page: RunPage, error: Exception) -> None:
    """Turn what ended the hour into a flag, an exit code and a traceback for the host's file.

    A report that fails (steps 10 to 12) is a flag of its own and never the exit code.
    """
    page.failure = error
    page.host["traceback"] = [masked(part) for part in traceback.format_exception(error)]
    known = isinstance(error, RebalancerError)
    words = masked(str(error) if known else f"{type(error).__name__}: {error}")
    advice = error.advice if isinstance(error, RebalancerError) else RebalancerError.advice
    message = f"step {int(page.at_step)}: {words}. {advice}"
    if page.at_step >= Step.ALERT:
        page.flag_quietly("report-failed", message, f"step:{int(page.at_step)}")
        return
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "run-failed")
    page.flag_quietly(code, message)
    page.worsen(error.exit_code if isinstance(error, RebalancerError) else 70)
    if isinstance(error, OutcomeUnknown):
        page.worsen(OutcomeUnknown.exit_code)
