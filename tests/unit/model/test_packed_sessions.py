"""Packed sessions answer as the sessions themselves would, without unpacking them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.model.sessions import PackedSessions, SessionTable

DAYS = [18_000, 18_001, 18_004, 18_005, 18_006]
OPENS = [day * 1440 + 870 for day in DAYS]
CLOSES = [day * 1440 + (1260 if day != 18_004 else 1080) for day in DAYS]
PACKED = SessionTable("XNYS", PackedSessions(DAYS, OPENS, CLOSES, frozenset({18_004})))
PLAIN = SessionTable("XNYS", tuple(PACKED.sessions))
FIRST = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=OPENS[0])
NEAR = [
    timedelta(minutes=m) + timedelta(microseconds=u) for m in OPENS + CLOSES for u in (-1, 0, 1)
]
moments = st.one_of(
    st.sampled_from([datetime(1970, 1, 1, tzinfo=UTC) + each for each in NEAR]),
    st.timedeltas(timedelta(days=-1), timedelta(days=9)).map(lambda after: FIRST + after),
)


@settings(max_examples=300)
@given(moments)
def test_packed_and_plain_sessions_give_the_same_answers(at: datetime) -> None:
    assert PACKED.last_closed(at) == PLAIN.last_closed(at)
    assert PACKED.next_open(at) == PLAIN.next_open(at)
    if at >= FIRST:
        assert PACKED.latest(at) == PLAIN.latest(at)
        assert PACKED.current(at) == PLAIN.current(at)


def test_the_sessions_are_those_that_were_packed() -> None:
    assert PLAIN.sessions[0].open == FIRST
    assert [each.half_day for each in PLAIN.sessions] == [False, False, True, False, False]
    assert PLAIN.sessions[2].close - PLAIN.sessions[2].open == timedelta(minutes=210)
