"""An approval ends before what is sent by it could wait for the next opening."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rebalancer.model.sessions import Session
from rebalancer.risk import apply_gates
from tests.unit.risk.builders import (
    CLOSE,
    SESSION,
    A,
    a_position,
    an_account,
    an_intent,
    gate_input,
    some_limits,
)


def ends(
    before_close: float, session: Session, *, minutes: float = 5, by_owner: bool = False
) -> timedelta:
    """Return how long before the close the approval ends of what is asked so many minutes of it."""
    now = session.close - timedelta(minutes=before_close)
    given = gate_input([an_intent(A, "-1")], account=an_account(a_position(A, "1")))
    limits = some_limits(order_window_before_close_minutes=minutes, quote_max_age_seconds=1e6)
    given = replace(
        given,
        limits=limits,
        session=session,
        venue_now=now,
        approval_seconds=600.0,
        by_owner=by_owner,
        market=replace(
            given.market,
            quotes={name: replace(q, at=now) for name, q in given.market.quotes.items()},
        ),
    )
    (order,) = apply_gates(given).approved
    deadline: datetime = order.deadline
    return session.close - deadline


@pytest.mark.parametrize(
    ("before_close", "minutes", "left"),
    [(60, 5, 50), (15, 5, 5), (14, 5, 5), (6, 5, 5), (20, 12, 12), (3, 0, 0), (60, 0, 50)],
)
def test_nothing_of_a_run_is_sent_in_the_last_minutes(
    before_close: float, minutes: float, left: float
) -> None:
    assert ends(before_close, SESSION, minutes=minutes) == timedelta(minutes=left)


@pytest.mark.parametrize(("before_close", "left"), [(60, 50), (12, 2), (6, 0)])
def test_the_owners_command_may_go_on_until_the_close(before_close: float, left: float) -> None:
    assert ends(before_close, SESSION, by_owner=True) == timedelta(minutes=left)


@pytest.mark.parametrize("by_owner", [False, True])
def test_a_market_that_never_closes_ends_no_approval(*, by_owner: bool) -> None:
    day = Session(CLOSE.date(), CLOSE - timedelta(hours=24), CLOSE, always=True)
    assert ends(3, day, by_owner=by_owner) == timedelta(minutes=-7)
